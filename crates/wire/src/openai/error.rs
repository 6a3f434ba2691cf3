//! The `error` event, its known codes, and which closes are worth another try.
//!
//! Most errors leave the socket open. The full lists of codes and close codes are not published; what is not known is
//! treated as recoverable, and the socket decides.

use serde::{Deserialize, Serialize};

use crate::lenient::{if_understood, or_default};

/// What went wrong: the `error` of an `error` event, of a failed response or of a failed transcription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// `invalid_request_error`, `server_error`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// See [`ErrorCode::parse`].
    #[serde(default, deserialize_with = "if_understood")]
    pub code: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    /// The field it is about.
    #[serde(default, deserialize_with = "if_understood")]
    pub param: Option<String>,
    /// The client's own `event_id` of the message it is about.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub event_id: Option<String>,
}

impl ErrorDetail {
    /// An `invalid_request_error` with this code.
    #[must_use]
    pub fn invalid_request(code: ErrorCode, message: impl Into<String>) -> Self {
        let (kind, code) = ("invalid_request_error".to_owned(), Some(code.as_str().to_owned()));
        Self { kind, code, message: message.into(), ..Self::default() }
    }

    /// The code, if it is a known one.
    #[must_use]
    pub fn known_code(&self) -> Option<ErrorCode> {
        ErrorCode::parse(self.code.as_deref()?)
    }

    /// Whether it only says that there was nothing to cancel: the server's own turn detection was faster.
    #[must_use]
    pub fn is_idle_cancel(&self) -> bool {
        // The code was seen by some clients, the wording by others.
        self.known_code() == Some(ErrorCode::ResponseCancelNotActive) || self.message.starts_with("Cancellation failed")
    }
}

/// A known error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Not a client event at all.
    InvalidEvent,
    /// A required field is absent.
    MissingParameter,
    /// A field that does not exist.
    UnknownParameter,
    /// A field of the wrong type.
    InvalidType,
    /// A field with an impossible value.
    InvalidValue,
    /// The session reached its longest.
    SessionExpired,
    /// A response was asked for while one is running.
    ActiveResponse,
    /// There was nothing to cancel.
    ResponseCancelNotActive,
    /// A commit without audio.
    CommitEmpty,
    /// There is no such item.
    InvalidItemId,
    /// Too much at once; in a failed response.
    RateLimitExceeded,
    /// The account has no quota left.
    InsufficientQuota,
    /// The key is wrong.
    InvalidApiKey,
    /// The account is closed.
    AccountDeactivated,
    /// The account's own limit is reached.
    BillingHardLimit,
}

/// What an error means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The session goes on.
    Recoverable,
    /// This session is over; another one may work.
    SessionOver,
    /// No session will work until a person acts.
    Fatal,
}

impl ErrorCode {
    /// All known codes.
    pub const ALL: [Self; 15] = [
        Self::InvalidEvent,
        Self::MissingParameter,
        Self::UnknownParameter,
        Self::InvalidType,
        Self::InvalidValue,
        Self::SessionExpired,
        Self::ActiveResponse,
        Self::ResponseCancelNotActive,
        Self::CommitEmpty,
        Self::InvalidItemId,
        Self::RateLimitExceeded,
        Self::InsufficientQuota,
        Self::InvalidApiKey,
        Self::AccountDeactivated,
        Self::BillingHardLimit,
    ];

    /// Reads a code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == code)
    }

    /// The code as it is sent. The four about single fields are not published for this API and stand for themselves:
    /// only the simulator sends them, and no client decides by them.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidEvent => "invalid_event",
            Self::MissingParameter => "missing_required_parameter",
            Self::UnknownParameter => "unknown_parameter",
            Self::InvalidType => "invalid_type",
            Self::InvalidValue => "invalid_value",
            Self::SessionExpired => "session_expired",
            Self::ActiveResponse => "conversation_already_has_active_response",
            Self::ResponseCancelNotActive => "response_cancel_not_active",
            Self::CommitEmpty => "input_audio_buffer_commit_empty",
            Self::InvalidItemId => "item_retrieve_invalid_item_id",
            Self::RateLimitExceeded => "inference_rate_limit_exceeded",
            Self::InsufficientQuota => "insufficient_quota",
            Self::InvalidApiKey => "invalid_api_key",
            Self::AccountDeactivated => "account_deactivated",
            Self::BillingHardLimit => "billing_hard_limit_reached",
        }
    }

    /// What it means for the session.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::InvalidEvent
            | Self::MissingParameter
            | Self::UnknownParameter
            | Self::InvalidType
            | Self::InvalidValue
            | Self::ActiveResponse
            | Self::ResponseCancelNotActive
            | Self::CommitEmpty
            | Self::InvalidItemId
            | Self::RateLimitExceeded => Severity::Recoverable,
            Self::SessionExpired => Severity::SessionOver,
            Self::InsufficientQuota | Self::InvalidApiKey | Self::AccountDeactivated | Self::BillingHardLimit => {
                Severity::Fatal
            }
        }
    }
}

/// Whether a socket closed with this code is worth dialling again; those that the vendor's own SDK dials again.
#[must_use]
pub fn is_worth_redialling(close_code: u16) -> bool {
    matches!(close_code, 1001 | 1005 | 1006 | 1011 | 1012 | 1013 | 1015)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_as_itself() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        }
        assert_eq!(ErrorCode::parse("something_else"), None);
    }

    #[test]
    fn a_late_cancel_is_recognised_by_code_or_by_wording() {
        assert!(ErrorDetail::invalid_request(ErrorCode::ResponseCancelNotActive, "x").is_idle_cancel());
        assert!(
            ErrorDetail { message: "Cancellation failed: no active response found".into(), ..ErrorDetail::default() }
                .is_idle_cancel()
        );
        assert!(!ErrorDetail::invalid_request(ErrorCode::CommitEmpty, "x").is_idle_cancel());
    }

    #[test]
    fn a_normal_close_is_not_dialled_again() {
        assert!(!is_worth_redialling(1000));
        assert!(is_worth_redialling(1006));
    }
}
