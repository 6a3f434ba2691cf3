//! Refusals, codes and closes, and what they say about the next try.
//!
//! A refused handshake has a JSON body and repeats its text in the [`ERROR_HEADER`]. (Deepgram: "Errors") A stream that
//! cannot go on says so in an `Error`, and ends. The lists of codes are open; what is not known can be tried again.

use serde::{Deserialize, Serialize};

use crate::lenient::or_default;
use crate::verdict::Verdict;

/// The vendor's id of a stream, on every answer to a handshake.
pub const REQUEST_ID_HEADER: &str = "dg-request-id";

/// What is wrong, on a refused handshake.
pub const ERROR_HEADER: &str = "dg-error";

/// The body of a refused handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which kind, such as `INVALID_AUTH`.
    #[serde(default, deserialize_with = "or_default")]
    pub err_code: String,
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub err_msg: String,
    /// The vendor's id of the attempt.
    #[serde(default, deserialize_with = "or_default")]
    pub request_id: String,
}

impl Refusal {
    /// Reads the body of a refused handshake; one that cannot be read says nothing.
    #[must_use]
    pub fn parse(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("three strings can always be written as JSON")
    }
}

/// A code that the server is known to send in an `Error` or a `ConfigureFailure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The vendor's own trouble.
    InternalServerError,
    /// A client message that is none. Not published for this API: only the simulator sends it, and nothing decides by
    /// it.
    UnparsableMessage,
    /// A change that cannot be made. Not published either.
    InvalidConfiguration,
}

impl ErrorCode {
    /// The code as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InternalServerError => "INTERNAL_SERVER_ERROR",
            Self::UnparsableMessage => "UNPARSABLE_CLIENT_MESSAGE",
            Self::InvalidConfiguration => "CONFIGURE_INVALID_VALUE",
        }
    }
}

/// What a refused handshake says about the next try.
#[must_use]
pub fn of_handshake(status: u16) -> Verdict {
    // 402 `ASR_PAYMENT_REQUIRED` and 403 for a model are refusals like a wrong key; 429 is the project's concurrency.
    Verdict::of_status(status)
}

/// Whether a socket closed with this code is worth dialling again. `None` is a close without a code, which is how this
/// server ends a stream that the client closed, and also how a connection dies. A proper end (1000) that nobody asked for
/// says nothing against another stream.
#[must_use]
pub fn is_worth_redialling(close_code: Option<u16>) -> bool {
    // 1008 `DATA-0000`: the audio cannot be decoded, and will not be the next time.
    !matches!(close_code, Some(1002 | 1003 | 1007..=1010))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_back_and_an_unreadable_one_says_nothing() {
        let refusal = Refusal { err_code: "INVALID_AUTH".into(), err_msg: "no".into(), request_id: "r".into() };
        assert_eq!(Refusal::parse(&refusal.to_json()), refusal);
        assert_eq!(Refusal::parse("<html>"), Refusal::default());
    }

    #[test]
    fn a_payment_or_a_key_that_is_missing_is_for_a_person() {
        for status in [400, 401, 402, 403] {
            assert_eq!(of_handshake(status), Verdict::Refused);
        }
        assert_eq!(of_handshake(429), Verdict::OverLimit);
        assert_eq!(of_handshake(503), Verdict::Retry);
    }

    #[test]
    fn audio_that_cannot_be_decoded_is_not_sent_again() {
        assert!(!is_worth_redialling(Some(1008)));
        assert!(is_worth_redialling(Some(1000)) && is_worth_redialling(Some(1011)));
        assert!(is_worth_redialling(None));
    }
}
