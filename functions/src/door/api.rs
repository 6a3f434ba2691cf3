//! The API's door: its state is handed out together with who asks for it, and in no other way.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use super::people::{Person, Role};
use crate::problem::Problem;
use crate::state::{ApiInner, ApiState};

/// The name of the browser's cookie.
pub(crate) const SESSION_COOKIE: &str = "switchboard_session";

/// A role, as a type.
pub trait Access: Send + Sync {
    /// The least role that may pass.
    const ROLE: Role;
}

/// Whoever may look.
#[derive(Debug)]
pub struct Viewer;

/// Whoever may place and steer calls.
#[derive(Debug)]
pub struct Operator;

/// Whoever may do everything.
#[derive(Debug)]
pub struct Admin;

impl Access for Viewer {
    const ROLE: Role = Role::Viewer;
}

impl Access for Operator {
    const ROLE: Role = Role::Operator;
}

impl Access for Admin {
    const ROLE: Role = Role::Admin;
}

/// The API's state, for a person of at least this role.
#[derive(Debug)]
pub struct Api<R> {
    inner: ApiState,
    /// Who asks.
    pub person: Person,
    role: PhantomData<R>,
}

impl<R> Deref for Api<R> {
    type Target = ApiInner;

    fn deref(&self) -> &ApiInner {
        self.inner.inner()
    }
}

impl<R: Access> FromRequestParts<ApiState> for Api<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let person = state.inner().recognise(&parts.headers, &parts.method)?;
        if person.role < R::ROLE {
            state.inner().counters.unauthorised();
            let detail = format!(
                "this needs the role {}; {} has the role {}",
                R::ROLE.as_str(),
                person.name,
                person.role.as_str()
            );
            return Err(Problem::forbidden("role", "Your role does not allow this", detail));
        }
        Ok(Self { inner: state.clone(), person, role: PhantomData })
    }
}

impl ApiInner {
    /// Who sent these headers, within their limit.
    fn recognise(&self, headers: &HeaderMap, method: &Method) -> Result<Person, Problem> {
        let person = match bearer(headers) {
            Some(token) => self.people.by_token(token),
            None => self.cookie_owner(headers, method)?,
        };
        let Some(person) = person else {
            self.counters.unauthorised();
            self.limits.stranger()?;
            return Err(unauthorised());
        };
        self.limits.token(&person.name)?;
        Ok(person)
    }

    /// A cookie is sent by the browser whoever wrote the page, so whatever changes something must come from our own.
    fn cookie_owner(&self, headers: &HeaderMap, method: &Method) -> Result<Option<Person>, Problem> {
        let now_s = self.store.now().as_ms() / 1_000;
        let person = session_cookie(headers).and_then(|value| self.people.by_cookie(value, now_s));
        let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if person.is_some() && !is_safe && !self.is_our_origin(headers).unwrap_or(false) {
            self.counters.unauthorised();
            let detail = "a change with a cookie must come from our own page";
            return Err(Problem::forbidden("origin", "Not from another page", detail));
        }
        Ok(person)
    }

    /// Whether the page that sent the request is ours; none if the header is missing.
    pub(crate) fn is_our_origin(&self, headers: &HeaderMap) -> Option<bool> {
        let origin = headers.get(ORIGIN)?.to_str().unwrap_or_default();
        Some(self.origins.iter().any(|ours| ours == origin))
    }
}

pub(crate) fn unauthorised() -> Problem {
    let detail = "send Authorization: Bearer <token>, with a token of API_TOKENS";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorised", "Who is it?", detail)
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value)
}
