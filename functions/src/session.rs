//! `POST`, `DELETE /v1/session`: signing a browser in and out.
//!
//! A page cannot keep a token safely; a cookie that scripts cannot read, that is sent to us alone and only from our own
//! page, can. Signing in takes a token; the cookie stands for its owner for half a day.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::door::Role;
use crate::problem::Problem;
use crate::state::{ApiInner, ApiState};

/// A sign-in's body: a token.
const BODY_BYTES_MAX: usize = 4_096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: String,
}

#[derive(serde::Serialize)]
struct SignedIn {
    name: String,
    role: Role,
}

pub(crate) async fn sign_in(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let api = state.inner();
    check_origin(api, &headers)?;
    let token = match crate::door::bearer(&headers) {
        Some(token) => token.to_owned(),
        None if body.len() <= BODY_BYTES_MAX => {
            let body: SignIn = serde_json::from_slice(&body).map_err(|_| {
                Problem::invalid("body", "send a token as {\"token\": \"…\"} or in Authorization: Bearer")
            })?;
            body.token
        }
        None => return Err(Problem::invalid("body", "it is too long for a token")),
    };
    let Some(person) = api.people.by_token(&token) else {
        api.counters.unauthorised();
        api.limits.stranger()?;
        return Err(crate::door::unauthorised());
    };
    api.limits.token(&person.name)?;
    let now_s = api.store.now().as_ms() / 1_000;
    let value = api.people.cookie(&person, now_s).ok_or_else(|| Problem::internal("a person without an entry"))?;
    tracing::info!(user = person.name, "a browser signs in");
    let cookie = cookie(api, &value, crate::door::SESSION_S);
    Ok(([(SET_COOKIE, cookie)], Json(SignedIn { name: person.name, role: person.role })).into_response())
}

pub(crate) async fn sign_out(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, Problem> {
    let api = state.inner();
    check_origin(api, &headers)?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(api, "", 0))]).into_response())
}

/// A browser says which page a request comes from; other programs need not.
fn check_origin(api: &ApiInner, headers: &HeaderMap) -> Result<(), Problem> {
    if api.is_our_origin(headers) == Some(false) {
        return Err(Problem::forbidden("origin", "Not from another page", "sign in and out on our own page"));
    }
    Ok(())
}

fn cookie(api: &ApiInner, value: &str, seconds: u64) -> String {
    let secure = if api.public.is_encrypted() { "; Secure" } else { "" };
    format!("{}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}", crate::door::SESSION_COOKIE)
}
