//! `GET`, `POST`, `DELETE /v1/session`: who is signed in, and signing a browser in and out.
//!
//! A page cannot keep a token safely; a cookie that scripts cannot read, that is sent to us alone and only from our own
//! page, can. Signing in takes a token, or the key of the link that the program for one machine shows when it starts; the
//! cookie stands for its owner for half a day.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::door::{Api, Person, Role, Viewer};
use crate::problem::Problem;
use crate::state::{ApiInner, ApiState};

/// A sign-in's body: a token.
const BODY_BYTES_MAX: usize = 4_096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    key: Option<String>,
}

/// Who is signed in, and what a page needs to know of this installation.
#[derive(serde::Serialize)]
pub(crate) struct Session {
    name: String,
    role: Role,
    /// What a day is.
    time_zone: String,
    /// Whether the telephone network is simulated.
    simulated: bool,
    /// Who calls, unless a request says otherwise.
    number: String,
    /// Two-letter codes of the countries that may be called.
    countries: Vec<String>,
}

impl Session {
    fn of(person: &Person, api: &ApiInner) -> Self {
        Self {
            name: person.name.clone(),
            role: person.role,
            time_zone: api.time_zone.iana_name().unwrap_or("UTC").to_owned(),
            simulated: api.simulated,
            number: api.our_number.clone(),
            countries: api.guard.countries().map(str::to_owned).collect(),
        }
    }
}

pub(crate) async fn show(api: Api<Viewer>) -> Result<Json<Session>, Problem> {
    Ok(Json(Session::of(&api.person, &api)))
}

pub(crate) async fn sign_in(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let api = state.inner();
    check_origin(api, &headers)?;
    let given = match crate::door::bearer(&headers) {
        Some(token) => SignIn { token: Some(token.to_owned()), key: None },
        None if body.len() <= BODY_BYTES_MAX => serde_json::from_slice(&body).map_err(|_| shape())?,
        None => return Err(Problem::invalid("body", "it is too long for a token")),
    };
    let person = match given {
        SignIn { token: Some(token), key: None } => api.people.by_token(&token),
        SignIn { token: None, key: Some(key) } => {
            let person = api.once.take(&key, api.store.now());
            if person.is_none() {
                api.counters.unauthorised();
                api.limits.stranger()?;
                return Err(used_link());
            }
            person
        }
        SignIn { .. } => return Err(shape()),
    };
    let Some(person) = person else {
        api.counters.unauthorised();
        api.limits.stranger()?;
        return Err(crate::door::unauthorised());
    };
    api.limits.token(&person.name)?;
    let now_s = api.store.now().as_ms() / 1_000;
    let value = api.people.cookie(&person, now_s).ok_or_else(|| Problem::internal("a person without an entry"))?;
    tracing::info!(user = person.name, "a browser signs in");
    let cookie = cookie(api, &headers, &value, crate::door::SESSION_S);
    Ok(([(SET_COOKIE, cookie)], Json(Session::of(&person, api))).into_response())
}

fn shape() -> Problem {
    Problem::invalid(
        "body",
        "send a token as {\"token\": \"…\"} or in Authorization: Bearer, or a link's key as {\"key\": \"…\"}",
    )
}

fn used_link() -> Problem {
    let detail =
        "the link was used, or is older than an hour; sign in with a token, or start the program again for a new link";
    Problem::new(StatusCode::UNAUTHORIZED, "link-used", "The link is not good any more", detail)
}

pub(crate) async fn sign_out(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, Problem> {
    let api = state.inner();
    check_origin(api, &headers)?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(api, &headers, "", 0))]).into_response())
}

/// A browser says which page a request comes from; other programs need not.
fn check_origin(api: &ApiInner, headers: &HeaderMap) -> Result<(), Problem> {
    if api.is_our_origin(headers) == Some(false) {
        return Err(Problem::forbidden("origin", "Not from another page", "sign in and out on our own page"));
    }
    Ok(())
}

/// Over an encrypted address the cookie goes back over such ones only. This machine's own pages have none, while the world
/// may reach us by a tunnel.
fn cookie(api: &ApiInner, headers: &HeaderMap, value: &str, seconds: u64) -> String {
    let page = headers.get(http::header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_encrypted = page.map_or(api.public.is_encrypted(), |page| page.starts_with("https:"));
    let secure = if is_encrypted { "; Secure" } else { "" };
    format!("{}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}", crate::door::SESSION_COOKIE)
}
