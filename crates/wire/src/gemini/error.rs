//! How the service refuses. (Gemini API: "API errors"; google.rpc `Status`, `RetryInfo`, `QuotaFailure`, `ErrorInfo`)

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest message of the service that is kept: it may repeat what was sent.
const MESSAGE_CHARS_MAX: usize = 200;

/// A refusal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiError {
    /// The HTTP status again.
    pub code: u16,
    /// For people.
    pub message: String,
    /// The canonical name, such as `RESOURCE_EXHAUSTED`.
    pub status: String,
    /// More of it, each with its `@type`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Value>,
}

/// The envelope of a refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The refusal.
    pub error: ApiError,
}

impl ApiError {
    /// Reads a refusal: its envelope, or that in an array of one, as some fronts of the service send it. What is neither
    /// gives a refusal of this status without words.
    #[must_use]
    pub fn parse(http_status: u16, body: &[u8]) -> Self {
        let listed = serde_json::from_slice::<Vec<ErrorBody>>(body).ok().and_then(|list| list.into_iter().next());
        let one = || serde_json::from_slice::<ErrorBody>(body).ok();
        let mut error = listed.or_else(one).map(|body| body.error).unwrap_or_default();
        error.code = http_status;
        error.message = error.message.chars().take(MESSAGE_CHARS_MAX).collect();
        error
    }

    /// How long the service wants to be left alone, where it says so (`google.rpc.RetryInfo`, as in `22s` or `0.5s`).
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        let info = self.detail("google.rpc.RetryInfo")?;
        let seconds: f64 = info.get("retryDelay")?.as_str()?.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Whether the allowance of the whole day is used up: a stated delay then means nothing.
    #[must_use]
    pub fn is_daily_quota(&self) -> bool {
        let Some(violations) = self.detail("google.rpc.QuotaFailure").and_then(|failure| failure.get("violations"))
        else {
            return false;
        };
        let of_a_day = |violation: &Value| {
            violation.get("quotaId").and_then(Value::as_str).is_some_and(|id| id.contains("PerDay"))
        };
        violations.as_array().is_some_and(|violations| violations.iter().any(of_a_day))
    }

    /// The short reason, such as `API_KEY_INVALID` (`google.rpc.ErrorInfo`).
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.detail("google.rpc.ErrorInfo")?.get("reason")?.as_str()
    }

    fn detail(&self, kind: &str) -> Option<&Value> {
        let is_kind = |detail: &&Value| {
            detail.get("@type").and_then(Value::as_str).is_some_and(|name| name.rsplit('/').next() == Some(kind))
        };
        self.details.iter().find(is_kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITED: &str = r#"{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"m","quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaValue":"10"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"22.5s"}]}}"#;

    #[test]
    fn a_delay_and_a_quota_are_found_among_the_details() {
        let error = ApiError::parse(429, LIMITED.as_bytes());
        assert_eq!(error.retry_delay(), Some(Duration::from_millis(22_500)));
        assert!(!error.is_daily_quota());
        let daily = LIMITED.replace("PerMinute", "PerDay");
        assert!(ApiError::parse(429, format!("[{daily}]").as_bytes()).is_daily_quota(), "also in an array");
        let key = br#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
        assert_eq!(ApiError::parse(400, key).reason(), Some("API_KEY_INVALID"));
    }

    #[test]
    fn whatever_is_sent_reads_as_a_refusal_of_its_status() {
        for body in [&b""[..], b"<html>", b"[]", b"{}", b"\xff", br#"{"error":"no"}"#] {
            let error = ApiError::parse(503, body);
            assert_eq!((error.code, error.message.as_str(), error.retry_delay()), (503, "", None));
        }
        let odd = br#"{"error":{"details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"-1s"},7,null]}}"#;
        assert_eq!(ApiError::parse(429, odd).retry_delay(), None);
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(5_000));
        assert_eq!(ApiError::parse(400, long.as_bytes()).message.len(), MESSAGE_CHARS_MAX);
    }
}
