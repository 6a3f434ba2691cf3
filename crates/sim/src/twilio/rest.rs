//! The REST interface (Twilio: usage/api, voice/api): what an account may ask, over HTTP.
//!
//! Basic authentication with the account's token or an API key, forms in, JSON out, refusals with Twilio's numbers.
//! Resources that the product does not use answer 404 (20404), so that a new use shows itself.

mod account;
mod calls;
mod numbers;
mod page;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use wire::twilio::rest::{RestError, code};

use super::config::RestFault;
use super::exchange::Exchange;

/// The whole interface, to be served alone or mounted beside others.
pub(super) fn router(exchange: Arc<Exchange>) -> Router {
    const ACCOUNT: &str = "/2010-04-01/Accounts/{account}";
    let at = |path: &str| format!("{ACCOUNT}{path}");
    Router::new()
        .route(ACCOUNT, get(account::read))
        .route(&at("/Calls.json"), get(calls::list).post(calls::create))
        .route(&at("/Calls/{call}"), get(calls::read).post(calls::update).delete(calls::delete))
        .route(&at("/Calls/{call}/Notifications.json"), get(calls::notifications))
        .route(&at("/IncomingPhoneNumbers.json"), get(numbers::list))
        .route(&at("/IncomingPhoneNumbers/{number}"), get(numbers::read).post(numbers::update))
        .fallback(async || Refusal(not_found("resource")))
        .layer(from_fn_with_state(Arc::clone(&exchange), guard))
        .with_state(exchange)
}

/// A refusal as an answer.
#[derive(Debug)]
struct Refusal(RestError);

impl From<RestError> for Refusal {
    fn from(error: RestError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="Twilio API""#));
        }
        response
    }
}

fn refuse(status: u16, code: u32, message: impl Into<String>) -> Refusal {
    Refusal(RestError::new(status, code, message))
}

fn not_found(what: &str) -> RestError {
    RestError::new(404, code::NOT_FOUND, format!("The requested {what} was not found"))
}

/// Who asks, then what goes wrong, then the work.
async fn guard(State(exchange): State<Arc<Exchange>>, request: Request, next: Next) -> Response {
    if !is_allowed(&exchange, request.headers()) {
        return refuse(401, code::AUTHENTICATION_FAILED, "Authenticate").into_response();
    }
    tokio::time::sleep(exchange.part_of(exchange.faults().rest.delay_max)).await;
    let fault = exchange.next_rest_fault();
    match fault {
        Some(RestFault::TooMany) => return refuse(429, code::TOO_MANY_REQUESTS, "Too Many Requests").into_response(),
        Some(RestFault::Unavailable) => {
            return refuse(503, code::UNAVAILABLE, "Service unavailable").into_response();
        }
        Some(RestFault::LoseAnswer) | None => {}
    }
    let (mut parts, body) = request.into_parts();
    let in_path = Path::<std::collections::BTreeMap<String, String>>::from_request_parts(&mut parts, &()).await;
    if let Ok(Path(path)) = in_path
        && let Some(account) = path.get("account")
        && account.trim_end_matches(".json") != exchange.config.account_sid.as_str()
    {
        return Refusal(not_found("account")).into_response();
    }
    let response = next.run(Request::from_parts(parts, body)).await;
    if fault == Some(RestFault::LoseAnswer) {
        return (StatusCode::GATEWAY_TIMEOUT, "<html><body>504 Gateway Time-out</body></html>").into_response();
    }
    response
}

fn is_allowed(exchange: &Exchange, headers: &HeaderMap) -> bool {
    let credentials = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .and_then(|decoded| String::from_utf8(decoded).ok());
    let Some((user, password)) = credentials.as_deref().and_then(|credentials| credentials.split_once(':')) else {
        return false;
    };
    let config = &exchange.config;
    (user == config.account_sid.as_str() && password == config.auth_token)
        || config.api_keys.get(user).is_some_and(|secret| secret == password)
}
