//! Bodies and queries, bounded and read into types at the door.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The largest body of an API request, in bytes: instructions of 32,000 characters fit several times.
const API_BYTES_MAX: usize = 256 << 10;

/// A JSON body.
#[derive(Debug)]
pub struct Content<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Content<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let content = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = content.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/json") {
            let detail = "send JSON, with the header Content-Type: application/json";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported-media-type", "The body is not JSON", detail));
        }
        let bytes = read_bytes(&parts, body, API_BYTES_MAX).await?;
        let content = serde_json::from_slice(&bytes).map_err(|error| Problem::invalid("body", error.to_string()))?;
        Ok(Self(content))
    }
}

/// A query, of which every parameter must be known.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| {
            // The first words say only that the query could not be read.
            let text = error.body_text();
            Problem::invalid("query", text.trim_start_matches("Failed to deserialize query string: ").to_owned())
        })
    }
}

/// Reads a body of at most `bytes_max`.
///
/// # Errors
///
/// It is larger, or breaks off.
pub async fn read_bytes(parts: &Parts, body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("a body of at most {} kB is taken here", bytes_max >> 10);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    };
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > bytes_max) {
        return Err(too_large());
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(_) => Err(Problem::invalid("body", "it broke off before its end")),
    }
}
