//! What went wrong, in both of its shapes, and what it says about the next try.
//!
//! Since version 2026-03-01 an error has a code, a title and a message; before, one text. (Cartesia: "API errors") The
//! list of codes is open. An error ends the context it names; the socket stays open unless it is closed.

use serde::{Deserialize, Serialize};

use crate::lenient::{if_understood, or_default};
use crate::verdict::Verdict;

/// What went wrong: an `error` message, or the body of a refused handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which context is over.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub context_id: Option<String>,
    /// Whether the context is over: always.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub done: Option<bool>,
    /// As over HTTP.
    #[serde(default, deserialize_with = "or_default")]
    pub status_code: u16,
    /// See [`ErrorCode::parse`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub error_code: Option<String>,
    /// For people, in short.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub title: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub message: Option<String>,
    /// Where to read on.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub doc_url: Option<String>,
    /// The vendor's id of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub request_id: Option<String>,
    /// All there is, in the old shape: title and message.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub error: Option<String>,
}

/// A known error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No such model.
    ModelNotFound,
    /// Too many contexts or sockets at once.
    ConcurrencyLimited,
    /// The message is wrong. Not published; only the simulator sends it.
    InvalidRequest,
    /// The context has expired or was closed. Not published; only the simulator sends it.
    ContextClosed,
}

impl ErrorCode {
    /// All known codes.
    pub const ALL: [Self; 4] =
        [Self::ModelNotFound, Self::ConcurrencyLimited, Self::InvalidRequest, Self::ContextClosed];

    /// Reads a code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == code)
    }

    /// The code as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ModelNotFound => "model_not_found",
            Self::ConcurrencyLimited => "concurrency_limited",
            Self::InvalidRequest => "invalid_request",
            Self::ContextClosed => "context_closed",
        }
    }
}

impl Fault {
    /// A fault in the new shape.
    #[must_use]
    pub fn new(context: Option<String>, status: u16, code: ErrorCode, title: &str, message: &str) -> Self {
        Self {
            context_id: context,
            done: Some(true),
            status_code: status,
            error_code: Some(code.as_str().to_owned()),
            title: Some(title.to_owned()),
            message: Some(message.to_owned()),
            ..Self::default()
        }
    }

    /// A message that cannot be taken.
    #[must_use]
    pub fn invalid(context: Option<String>, problem: &str) -> Self {
        Self::new(context, 400, ErrorCode::InvalidRequest, "Invalid request", problem)
    }

    /// The same in the shape that was used before 2026-03-01.
    #[must_use]
    pub fn into_old_shape(self) -> Self {
        let (error, context_id, status_code) = (Some(self.text()), self.context_id, self.status_code);
        Self { error, context_id, status_code, done: Some(true), ..Self::default() }
    }

    /// Reads the body of a refused handshake; one that cannot be read says nothing.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The code, if it is a known one.
    #[must_use]
    pub fn known_code(&self) -> Option<ErrorCode> {
        ErrorCode::parse(self.error_code.as_deref()?)
    }

    /// What it says, for people, in either shape.
    #[must_use]
    pub fn text(&self) -> String {
        match (&self.error, &self.title, &self.message) {
            (Some(error), _, _) => error.clone(),
            (None, Some(title), Some(message)) => format!("{title}: {message}"),
            (None, Some(text), None) | (None, None, Some(text)) => text.clone(),
            (None, None, None) => String::new(),
        }
    }

    /// What it says about the next try.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.known_code() {
            Some(ErrorCode::ModelNotFound) => Verdict::Refused,
            Some(ErrorCode::ConcurrencyLimited) => Verdict::OverLimit,
            // A new context takes what the old one did not.
            Some(ErrorCode::ContextClosed) => Verdict::Retry,
            Some(ErrorCode::InvalidRequest) | None => Verdict::of_status(self.status_code),
        }
    }
}

/// Whether a socket closed with this code is worth dialling again; those that the vendor's own SDK dials again, and a
/// connection that just ended.
#[must_use]
pub fn is_worth_redialling(close_code: Option<u16>) -> bool {
    matches!(close_code, None | Some(1001 | 1005 | 1006 | 1011 | 1012 | 1013 | 1015))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_say_the_same() {
        let fault = Fault::new(Some("c".into()), 429, ErrorCode::ConcurrencyLimited, "Too many", "Only two at a time");
        assert_eq!(fault.verdict(), Verdict::OverLimit);
        let old = fault.clone().into_old_shape();
        assert_eq!((old.text(), old.verdict()), (fault.text(), Verdict::OverLimit));
        assert_eq!((old.error_code, old.context_id.as_deref()), (None, Some("c")));
    }

    #[test]
    fn every_code_reads_back_as_itself() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        }
        assert_eq!(ErrorCode::parse("something_else"), None);
    }

    #[test]
    fn a_body_that_cannot_be_read_says_nothing_and_a_context_that_is_over_can_be_replaced() {
        assert_eq!(Fault::parse(b"<html>"), Fault::default());
        assert_eq!(Fault::default().verdict(), Verdict::Retry);
        assert_eq!(Fault::new(None, 400, ErrorCode::ContextClosed, "", "").verdict(), Verdict::Retry);
        assert_eq!(Fault::invalid(None, "x").verdict(), Verdict::Refused);
        assert!(is_worth_redialling(None) && !is_worth_redialling(Some(1008)));
    }
}
