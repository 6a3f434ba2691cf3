//! What Twilio answers when it does not do what was asked.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::lenient;

/// Twilio's numbers for the refusals we tell apart (Twilio: api/errors).
pub mod code {
    /// Credentials are wrong.
    pub const AUTHENTICATION_FAILED: u32 = 20003;
    /// The account is suspended or closed.
    pub const ACCOUNT_NOT_ACTIVE: u32 = 20005;
    /// There is no such thing.
    pub const NOT_FOUND: u32 = 20404;
    /// Too many requests at once.
    pub const TOO_MANY_REQUESTS: u32 = 20429;
    /// A fault at Twilio.
    pub const SERVER_ERROR: u32 = 20500;
    /// Twilio is not available.
    pub const UNAVAILABLE: u32 = 20503;
    /// Too many calls at once for this account.
    pub const TOO_MANY_CALLS: u32 = 10004;
    /// The account may not make calls.
    pub const VOICE_DISABLED: u32 = 10005;
    /// No `To`.
    pub const NO_TO: u32 = 21201;
    /// A URL that is none.
    pub const INVALID_URL: u32 = 21205;
    /// Keys to send that are none.
    pub const INVALID_SEND_DIGITS: u32 = 21206;
    /// A time-out that is none.
    pub const INVALID_TIMEOUT: u32 = 21208;
    /// `From` is neither owned nor verified.
    pub const FROM_NOT_OURS: u32 = 21210;
    /// `To` is not a number.
    pub const INVALID_TO: u32 = 21211;
    /// `From` is not a number.
    pub const INVALID_FROM: u32 = 21212;
    /// No `From`.
    pub const NO_FROM: u32 = 21213;
    /// `To` cannot be reached.
    pub const UNREACHABLE_TO: u32 = 21214;
    /// The account may not call that country.
    pub const COUNTRY_NOT_ALLOWED: u32 = 21215;
    /// Blocked by Twilio, for risk or regulation.
    pub const BLOCKED: u32 = 21216;
    /// The number does not look like one.
    pub const NOT_A_NUMBER: u32 = 21217;
    /// An application that does not exist.
    pub const INVALID_APPLICATION: u32 = 21218;
    /// A trial account may call verified numbers only.
    pub const TO_NOT_VERIFIED: u32 = 21219;
    /// The call is not in a state to be changed like that.
    pub const INVALID_CALL_STATE: u32 = 21220;
    /// A machine detection that does not exist.
    pub const INVALID_MACHINE_DETECTION: u32 = 21234;
    /// A fallback URL without a URL.
    pub const FALLBACK_WITHOUT_URL: u32 = 21405;
    /// More calls wait for their turn than a day can take.
    pub const QUEUE_FULL: u32 = 22005;
    /// `Twiml` is longer than 4000 characters.
    pub const TWIML_TOO_LONG: u32 = 32018;
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message} (HTTP {status}{})", .code.map(|code| format!(", Twilio {code}")).unwrap_or_default())]
pub struct RestError {
    /// Twilio's number, if it gave one.
    pub code: Option<u32>,
    /// What is wrong, in words. They may repeat what was sent, a number for instance.
    pub message: String,
    /// Where to read on.
    pub more_info: String,
    /// The HTTP status.
    pub status: u16,
}

/// What a body of either kind may hold: Twilio's own, or problem+json of the newer products (RFC 9457).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "lenient::number")]
    code: Option<u64>,
    #[serde(deserialize_with = "lenient::text")]
    message: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    more_info: Option<String>,
    #[serde(deserialize_with = "lenient::text", rename = "type")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    title: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    detail: Option<String>,
}

/// A gateway's error page may be long; its start is enough to recognise it.
const MESSAGE_CHARS_MAX: usize = 200;

impl RestError {
    /// A refusal as Twilio writes it.
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        Self { code: Some(code), message: message.into(), more_info, status }
    }

    /// Reads the answer to a request that failed. Never fails itself: a body that cannot be read still has a status.
    pub fn from_answer(status: u16, body: &[u8]) -> Self {
        let Ok(read) = serde_json::from_slice::<Body>(body) else {
            let text = String::from_utf8_lossy(body);
            let start: String = text.trim().chars().take(MESSAGE_CHARS_MAX).collect();
            let message = if start.is_empty() { "no explanation".to_owned() } else { start };
            return Self { code: None, message, more_info: String::new(), status };
        };
        Self {
            code: read.code.and_then(|code| u32::try_from(code).ok()),
            message: read.message.or(read.detail).or(read.title).unwrap_or_else(|| "no explanation".into()),
            more_info: read.more_info.or(read.kind).unwrap_or_default(),
            status,
        }
    }

    /// Whether the same request may succeed a little later. Placing a call is never repeated blindly all the same,
    /// since its outcome is unknown after a fault at Twilio's side.
    pub fn is_transient(&self) -> bool {
        self.status == 429 || self.status >= 500 || self.code == Some(code::TOO_MANY_REQUESTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_every_form_it_comes_in() {
        let classic = RestError::from_answer(
            400,
            br#"{"code":21211,"message":"not valid","more_info":"https://example.com/21211","status":400}"#,
        );
        assert_eq!(classic.code, Some(code::INVALID_TO));
        assert_eq!(classic.to_string(), "not valid (HTTP 400, Twilio 21211)");
        let problem = RestError::from_answer(
            429,
            br#"{"type":"https://example.com/t","title":"slow","status":429,"code":"20429","detail":"slow down"}"#,
        );
        assert_eq!((problem.code, problem.message.as_str()), (Some(20429), "slow down"));
        assert_eq!(problem.more_info, "https://example.com/t");
        let gateway = RestError::from_answer(502, b"<html>Bad Gateway</html>");
        assert_eq!((gateway.code, gateway.message.as_str()), (None, "<html>Bad Gateway</html>"));
        assert_eq!(RestError::from_answer(503, b"").to_string(), "no explanation (HTTP 503)");
        assert_eq!(RestError::from_answer(500, &[b'x'; 5000]).message.len(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn only_faults_and_pressure_are_worth_another_try() {
        assert!(RestError::from_answer(503, b"").is_transient());
        assert!(RestError::new(429, code::TOO_MANY_REQUESTS, "slow down").is_transient());
        assert!(!RestError::new(400, code::INVALID_TO, "no").is_transient());
        assert!(!RestError::new(401, code::AUTHENTICATION_FAILED, "no").is_transient());
    }

    #[test]
    fn a_refusal_survives_its_own_json() {
        let error = RestError::new(400, code::NO_TO, "no To");
        assert_eq!(RestError::from_answer(400, &serde_json::to_vec(&error).unwrap()), error);
    }
}
