//! Errors as the API shows them (RFC 9457), and the one place where they are logged.
//!
//! A handler returns a [`Problem`]; the outermost layer ([`finish`](crate::door::finish)) adds the request's id as
//! `instance`, writes the body and logs it once. What a person may know is in `detail`; what only we should know is the
//! cause, and goes to the log alone.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use store::StoreError;

use crate::shown::shown;

/// The media type of a problem.
pub(crate) const CONTENT: &str = "application/problem+json";

/// Something that kept a request from being carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    cause: Option<String>,
}

/// What is wrong with one part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The parameter or the body's key.
    pub name: String,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}

#[derive(Serialize)]
struct Shown<'p> {
    #[serde(rename = "type")]
    kind: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'p [FieldError],
}

impl Problem {
    /// A problem of a kind of its own. `kind` becomes a part of the problem's type: lower-case words and hyphens.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts { status, kind, title, detail, errors: Vec::new(), retry_after: None, cause: None }))
    }

    /// One parameter or key of the request is wrong.
    #[must_use]
    pub fn invalid(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::all_invalid(vec![FieldError { name: name.into(), detail: detail.into() }])
    }

    /// Several are.
    #[must_use]
    pub fn all_invalid(errors: Vec<FieldError>) -> Self {
        let detail = errors.iter().map(|error| format!("{}: {}", error.name, error.detail)).collect::<Vec<_>>();
        let title = "The request is not valid";
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "invalid-request", title, detail.join("; "));
        problem.0.errors = errors;
        problem
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", format!("{what} does not exist"))
    }

    /// There was such a thing, and somebody wanted it to be gone.
    #[must_use]
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "erased", "It was erased", detail)
    }

    /// The call is in a state in which this cannot be done.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "This cannot be done now", detail)
    }

    /// Not allowed, whoever asks.
    #[must_use]
    pub fn forbidden(kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, kind, title, detail)
    }

    /// Too much at once.
    #[must_use]
    pub fn too_many(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail).after(retry_after)
    }

    /// Something we depend on does not answer.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available at the moment", detail);
        problem.after(Duration::from_secs(1)).because(cause)
    }

    /// Something that should not happen did.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = "this is our fault; the log knows more under the request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong", detail).because(cause)
    }

    /// When asking again makes sense.
    #[must_use]
    pub fn after(mut self, retry_after: Duration) -> Self {
        self.0.retry_after = Some(retry_after);
        self
    }

    /// What only the log shall say.
    #[must_use]
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.0.cause = Some(shown(&cause.to_string()));
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What is wrong, in words for whoever asked.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Writes the answer. `instance` names this occurrence.
    pub(crate) fn render(&self, instance: Option<String>) -> Response {
        let shown = Shown {
            kind: format!("urn:switchboard:problem:{}", self.0.kind),
            title: self.0.title,
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            instance,
            errors: &self.0.errors,
        };
        let body = serde_json::to_vec(&shown).expect("invariant: texts and numbers are always JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        if let Some(after) = self.0.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    /// Logs it. Called by the outermost layer only. The details are left out below 500: they may repeat what was sent,
    /// a telephone number for instance.
    pub(crate) fn log(&self) {
        let (status, kind, cause) = (self.0.status.as_u16(), self.0.kind, self.0.cause.as_deref().unwrap_or_default());
        if self.0.status.is_server_error() {
            tracing::error!(status, kind, cause, "a request failed");
        } else if self.0.status == StatusCode::FORBIDDEN || self.0.status == StatusCode::TOO_MANY_REQUESTS {
            tracing::warn!(status, kind, cause, "a request was refused");
        } else {
            tracing::debug!(status, kind, cause, "a request could not be carried out");
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render(None);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound(what) => Self::not_found(what),
            StoreError::Erased(what) => Self::gone(format!("{what} was erased")),
            StoreError::BadCursor => {
                Self::invalid("cursor", "it does not belong to this list; leave it out to begin at the newest call")
            }
            StoreError::Throttled | StoreError::Unavailable(_) | StoreError::Conflict => {
                Self::unavailable("the store does not answer; try again in a moment", &error)
            }
            StoreError::Corrupt { .. } | StoreError::TooLarge(_) | StoreError::Refused { .. } => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_written_as_rfc_9457_says_and_keeps_its_cause_to_itself() {
        let problem = Problem::unavailable("try again", "password=hunter2 at 10.0.0.1");
        let response = problem.render(Some("urn:request:1".to_owned()));
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[CONTENT_TYPE], CONTENT);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let body = axum::body::to_bytes(response.into_body(), 4_096).await.unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&body), @r#"{"type":"urn:switchboard:problem:unavailable","title":"Not available at the moment","status":503,"detail":"try again","instance":"urn:request:1"}"#);
    }

    #[test]
    fn what_the_store_says_becomes_a_status() {
        let status = |error: StoreError| Problem::from(error).status().as_u16();
        assert_eq!(status(StoreError::NotFound("call_1".into())), 404);
        assert_eq!(status(StoreError::Erased("call_1".into())), 410);
        assert_eq!(status(StoreError::Throttled), 503);
        assert_eq!(status(StoreError::BadCursor), 400);
        assert_eq!(status(StoreError::TooLarge("x".into())), 500);
    }
}
