//! DynamoDB over HTTP, on the emulator's library.
//!
//! The library brings a server of its own, which answers every origin and every key; this one asks for the key's id. The id
//! alone is the proof: it is random, made at each start, and never leaves this machine. Signatures are not recomputed,
//! so that a test may change a request on its way.
//!
//! Tables, items, queries and transactions are served; streams, PartiQL, tags and vectors are not. What the library's
//! server says about requests that no SDK would send is coarser here: they are `SerializationException` or
//! `ValidationException`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dynoxide::{Database, DynoxideError};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

/// DynamoDB takes bodies of up to 16 MB.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Serves the database to whoever knows this key's id.
pub(crate) fn router(database: Database, access_key: &str) -> Router {
    let tables = Tables { database, access_key: access_key.into() };
    Router::new().route("/", post(answer)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(tables)
}

#[derive(Clone)]
struct Tables {
    database: Database,
    access_key: std::sync::Arc<str>,
}

async fn answer(State(tables): State<Tables>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(key) = access_key_of(&headers) else {
        return refuse("MissingAuthenticationTokenException", "Request is missing Authentication Token");
    };
    if !bool::from(key.as_bytes().ct_eq(tables.access_key.as_bytes())) {
        return refuse("UnrecognizedClientException", "The security token included in the request is invalid.");
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let Some(operation) = target.and_then(|target| target.strip_prefix("DynamoDB_20120810.")) else {
        return refuse("UnknownOperationException", "no operation of DynamoDB is named");
    };
    let (status, body) = match carry_out(&tables.database, operation, &body) {
        Ok(Some(body)) => (StatusCode::OK, body),
        Ok(None) => return refuse("UnknownOperationException", "this operation is not emulated"),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            // Conditions that fail are everyday; a disk that fails is not.
            if status.is_server_error() {
                tracing::error!(operation, %error, "the DynamoDB emulator failed");
            }
            (status, error.to_json())
        }
    };
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
}

/// The access key's id in a signed request: `AWS4-HMAC-SHA256 Credential=<id>/<date>/<region>/<service>/aws4_request, …`.
fn access_key_of(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
    let credential = parts.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split_once('/').map(|(id, _)| id)
}

fn refuse(code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": message });
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response()
}

/// Does what is asked. None if the operation is not served.
fn carry_out(database: &Database, operation: &str, body: &[u8]) -> Result<Option<String>, DynoxideError> {
    let answer = match operation {
        "CreateTable" => ask(body, |request| database.create_table(request)),
        "DescribeTable" => ask(body, |request| database.describe_table(request)),
        "UpdateTable" => ask(body, |request| database.update_table(request)),
        "DeleteTable" => ask(body, |request| database.delete_table(request)),
        "ListTables" => ask(body, |request| database.list_tables(request)),
        "UpdateTimeToLive" => ask(body, |request| database.update_time_to_live(request)),
        "DescribeTimeToLive" => ask(body, |request| database.describe_time_to_live(request)),
        "GetItem" => ask(body, |request| database.get_item(request)),
        "PutItem" => ask(body, |request| database.put_item(request)),
        "UpdateItem" => ask(body, |request| database.update_item(request)),
        "DeleteItem" => ask(body, |request| database.delete_item(request)),
        "BatchGetItem" => ask(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => ask(body, |request| database.batch_write_item(request)),
        "Query" => ask(body, |request| database.query(request)),
        "Scan" => ask(body, |request| database.scan(request)),
        "TransactGetItems" => ask(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => ask(body, |request| database.transact_write_items(request)),
        _ => return Ok(None),
    };
    answer.map(Some)
}

fn ask<Request: DeserializeOwned, Answer: Serialize>(
    body: &[u8],
    act: impl FnOnce(Request) -> Result<Answer, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let answer = act(request)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// The library's own requests say with a mark before the message what kind of refusal it is.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    let (mark, words) = message.split_once(':').unwrap_or(("", &message));
    match mark {
        "VALIDATION" | "VALIDATION_REQUEST" | "VALIDATION_AS_READ" => {
            DynoxideError::ValidationException(words.to_owned())
        }
        "SERIALIZATION" | "SERIALIZATION_AS_READ" => DynoxideError::SerializationException(words.to_owned()),
        _ => DynoxideError::SerializationException(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_in(authorization: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())]);
        access_key_of(&headers).map(str::to_owned)
    }

    #[test]
    fn the_keys_id_is_read_from_a_signed_request() {
        let signed = "AWS4-HMAC-SHA256 Credential=AB12/20261121/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
        assert_eq!(key_in(signed).as_deref(), Some("AB12"));
        let compact = "AWS4-HMAC-SHA256 SignedHeaders=host,Credential=AB12/20261121,Signature=0";
        assert_eq!(key_in(compact).as_deref(), Some("AB12"));
    }

    #[test]
    fn what_is_not_signed_has_no_key() {
        for authorization in ["", "Bearer AB12", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=AB12", "Basic QTpC"] {
            assert_eq!(key_in(authorization), None, "{authorization}");
        }
        assert_eq!(access_key_of(&HeaderMap::new()), None);
    }

    #[test]
    fn an_operation_that_is_not_served_is_none_and_a_body_that_is_none_is_an_error() {
        let database = Database::memory().unwrap();
        assert!(carry_out(&database, "ExecuteStatement", b"{}").unwrap().is_none());
        assert!(carry_out(&database, "ListTables", b"{}").unwrap().unwrap().contains("TableNames"));
        for body in [&b""[..], b"[", b"\xff", b"{}"] {
            let error = carry_out(&database, "PutItem", body).unwrap_err();
            assert_eq!(error.status_code(), 400, "{error}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(carry_out(&database, "PutItem", deep.as_bytes()).unwrap_err().status_code(), 400);
    }
}
