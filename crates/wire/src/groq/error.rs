//! Refused requests, the rates that are left, and what both say about the next try. (Groq: "API error codes and
//! responses", "Rate limits")

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lenient::{if_understood, or_default};
use crate::verdict::Verdict;

/// How long to wait, in seconds; only with status 429.
pub const RETRY_AFTER_HEADER: &str = "retry-after";

/// The longest wait that is worth reading: the vendor's own SDK waits no longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// What went wrong: the `error` of a refused request, or of a stream that broke off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    /// `invalid_request_error`; for a limit, `tokens` or `requests`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// See [`ErrorCode::parse`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub code: Option<String>,
    /// The field it is about.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub param: Option<String>,
    /// What the model wrote in place of a proper tool call.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub failed_generation: Option<String>,
}

/// A body that holds an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ApiError,
}

/// A known error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is wrong. Not published; only the simulator sends it.
    InvalidRequest,
    /// The model wrote a tool call that is none: the same request may well succeed.
    ToolUseFailed,
    /// No such model, or not for this account.
    ModelNotFound,
    /// There was such a model.
    ModelDecommissioned,
    /// Too much at once, or for today.
    RateLimitExceeded,
    /// The flexible tier is full.
    CapacityExceeded,
    /// The key is wrong.
    InvalidApiKey,
}

impl ErrorCode {
    /// All known codes.
    pub const ALL: [Self; 7] = [
        Self::InvalidRequest,
        Self::ToolUseFailed,
        Self::ModelNotFound,
        Self::ModelDecommissioned,
        Self::RateLimitExceeded,
        Self::CapacityExceeded,
        Self::InvalidApiKey,
    ];

    /// Reads a code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == code)
    }

    /// The code as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::ToolUseFailed => "tool_use_failed",
            Self::ModelNotFound => "model_not_found",
            Self::ModelDecommissioned => "model_decommissioned",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::CapacityExceeded => "capacity_exceeded",
            Self::InvalidApiKey => "invalid_api_key",
        }
    }
}

impl ApiError {
    /// An `invalid_request_error` with this code.
    #[must_use]
    pub fn invalid_request(code: ErrorCode, message: impl Into<String>) -> Self {
        let (kind, code) = ("invalid_request_error".to_owned(), Some(code.as_str().to_owned()));
        Self { kind, code, message: message.into(), ..Self::default() }
    }

    /// Reads the body of a refused request; one that cannot be read says nothing.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).map(|ErrorBody { error }| error).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&ErrorBody { error: self.clone() }).expect("strings can always be written as JSON")
    }

    /// The code, if it is a known one.
    #[must_use]
    pub fn known_code(&self) -> Option<ErrorCode> {
        ErrorCode::parse(self.code.as_deref()?)
    }

    /// What it says about the next try, with the status it came with; 0 for one that came within a stream.
    #[must_use]
    pub fn verdict(&self, status: u16) -> Verdict {
        match self.known_code() {
            // The model's slip, not ours: asked again, it mostly does better.
            Some(ErrorCode::ToolUseFailed) => Verdict::Retry,
            Some(ErrorCode::ModelNotFound | ErrorCode::ModelDecommissioned | ErrorCode::InvalidApiKey) => {
                Verdict::Refused
            }
            Some(ErrorCode::RateLimitExceeded | ErrorCode::CapacityExceeded) => Verdict::OverLimit,
            Some(ErrorCode::InvalidRequest) | None => Verdict::of_status(status),
        }
    }
}

/// The value of [`RETRY_AFTER_HEADER`]: seconds, perhaps with a fraction. More than a minute, or anything else, is none.
#[must_use]
pub fn retry_after(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= RETRY_AFTER_MAX)
}

/// The value of a `x-ratelimit-reset-…` header, such as `2m59.56s`, `7.66s` or `340ms`.
#[must_use]
pub fn reset_after(value: &str) -> Option<Duration> {
    let (mut rest, mut total) = (value.trim(), Duration::ZERO);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let seconds = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_code_reads_back_as_itself() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        }
        assert_eq!(ErrorCode::parse("something_else"), None);
    }

    #[test]
    fn a_body_reads_back_and_an_unreadable_one_says_nothing() {
        let error = ApiError {
            failed_generation: Some("<function=x".into()),
            ..ApiError::invalid_request(ErrorCode::ToolUseFailed, "Failed to call a function.")
        };
        assert_eq!(ApiError::parse(error.to_json().as_bytes()), error);
        assert_eq!(ApiError::parse(b"<html>"), ApiError::default());
    }

    #[test]
    fn the_code_decides_before_the_status() {
        let of = |code, status| ApiError::invalid_request(code, "").verdict(status);
        assert_eq!(of(ErrorCode::ToolUseFailed, 400), Verdict::Retry);
        assert_eq!(of(ErrorCode::InvalidRequest, 400), Verdict::Refused);
        assert_eq!(of(ErrorCode::ModelDecommissioned, 0), Verdict::Refused);
        assert_eq!(of(ErrorCode::RateLimitExceeded, 0), Verdict::OverLimit);
        assert_eq!(ApiError::default().verdict(503), Verdict::Retry);
        assert_eq!(ApiError::default().verdict(0), Verdict::Retry, "a stream that broke off");
    }

    #[test]
    fn waits_are_read_as_far_as_they_make_sense() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("0.5"), Some(Duration::from_millis(500)));
        for odd in ["", "soon", "-1", "61", "NaN", "inf"] {
            assert_eq!(retry_after(odd), None, "{odd}");
        }
        assert_eq!(reset_after("2m59.56s"), Some(Duration::from_millis(179_560)));
        assert_eq!(reset_after("340ms"), Some(Duration::from_millis(340)));
        for odd in ["", "7", "s", "7x", "1..2s", "99999999999999999999d"] {
            assert_eq!(reset_after(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(value in "\\PC{0,40}", marks in "[0-9.dhms]{0,20}") {
            let _ = (retry_after(&value), reset_after(&value), reset_after(&marks));
        }
    }
}
