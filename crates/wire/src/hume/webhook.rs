//! EVI's webhooks: payloads and signature.
//!
//! Verify before parsing, over the exact bytes received. Deliveries carry no id and no promise of order: handlers are
//! idempotent by event, chat and tool call. (Hume: "Webhooks")

use std::collections::BTreeMap;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::tool::ToolCall;
use crate::lenient;

/// The header that holds the signature: lower-case hex.
pub const SIGNATURE_HEADER: &str = "X-Hume-AI-Webhook-Signature";

/// The header that holds the time of signing: Unix seconds, decimal.
pub const TIMESTAMP_HEADER: &str = "X-Hume-AI-Webhook-Timestamp";

/// How far a delivery's time may lie from ours. Hume's examples check its age only; a far future is refused as well,
/// or else a forged clock would make a captured delivery last for ever.
pub const FRESHNESS: Duration = Duration::from_secs(180);

/// What happened to a chat.
#[derive(Debug, Clone, PartialEq)]
pub enum Webhook {
    /// A chat began.
    ChatStarted(ChatStarted),
    /// A chat ended.
    ChatEnded(ChatEnded),
    /// A tool is to be run; the answer goes to the chat, not into the HTTP response.
    ToolCall(ToolCallEvent),
    /// An event that came later than this program.
    Unknown {
        /// Its `event_name`, cut to 64 characters.
        event_name: String,
    },
}

/// Which chat a webhook speaks of. Absent values are sent as `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatRef {
    /// The group.
    pub chat_group_id: String,
    /// The chat.
    pub chat_id: String,
    /// The configuration it ran with.
    #[serde(default)]
    pub config_id: Option<String>,
    /// Only for chats over Hume's own Twilio endpoint.
    #[serde(default)]
    pub caller_number: Option<String>,
    /// The id that the session was given by us.
    #[serde(default)]
    pub custom_session_id: Option<String>,
    /// Only for chats over Hume's own Twilio endpoint: `call_sid`, `from_number` and the like.
    #[serde(default, deserialize_with = "lenient::if_understood")]
    pub twilio_metadata: Option<BTreeMap<String, Option<String>>>,
}

/// A chat began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event_name", rename = "chat_started")]
pub struct ChatStarted {
    /// Which chat.
    #[serde(flatten)]
    pub chat: ChatRef,
    /// When, in Unix milliseconds.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub start_time: i64,
    /// Whether it continues an earlier conversation.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub chat_start_type: ChatStartType,
}

/// Whether a chat continues an earlier conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatStartType {
    /// It is the first of its group.
    NewChatGroup,
    /// It continues its group.
    ResumedChatGroup,
    /// A kind that came later, or none.
    #[default]
    #[serde(other)]
    Other,
}

/// A chat ended. The transcript is fetched from the chat history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event_name", rename = "chat_ended")]
pub struct ChatEnded {
    /// Which chat.
    #[serde(flatten)]
    pub chat: ChatRef,
    /// When, in Unix milliseconds.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub end_time: i64,
    /// How long it lasted, in seconds.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub duration_seconds: i64,
    /// Why.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub end_reason: EndReason,
}

/// Why a chat ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EndReason {
    /// It has not, says the event.
    Active,
    /// The client closed.
    UserEnded,
    /// The client was silent as a connection.
    UserTimeout,
    /// Nobody spoke for too long.
    InactivityTimeout,
    /// It reached its longest duration.
    MaxDurationTimeout,
    /// Silence for too long.
    SilenceTimeout,
    /// Something broke.
    Error,
    /// A reason that came later, or none.
    #[default]
    #[serde(other)]
    Other,
}

/// A tool is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event_name", rename = "tool_call")]
pub struct ToolCallEvent {
    /// Which chat.
    #[serde(flatten)]
    pub chat: ChatRef,
    /// When, in Unix milliseconds.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub timestamp: i64,
    /// The call.
    pub tool_call_message: ToolCall,
}

/// A payload that could not be read. It does not repeat the payload, which may name a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not a JSON object.
    #[error("the webhook is not a JSON object")]
    NotJson,
    /// A known event with a field missing or of the wrong type.
    #[error("the webhook lacks a field or has one of the wrong type")]
    Malformed,
}

impl Webhook {
    /// Reads a payload whose signature was verified.
    ///
    /// # Errors
    /// If it is not JSON, or a known event does not say which chat it speaks of.
    pub fn parse(body: &[u8]) -> Result<Self, WebhookError> {
        let payload: Value = serde_json::from_slice(body).map_err(|_| WebhookError::NotJson)?;
        let fields = payload.as_object().ok_or(WebhookError::NotJson)?;
        let has = |name: &str| fields.contains_key(name);
        // The schema lets `event_name` be absent; each event then still has a field of its own.
        let name = match fields.get("event_name").and_then(Value::as_str) {
            Some(name) => name,
            None if has("start_time") => "chat_started",
            None if has("end_time") => "chat_ended",
            None if has("tool_call_message") => "tool_call",
            None => "",
        };
        Ok(match name {
            "chat_started" => Self::ChatStarted(read(&payload)?),
            "chat_ended" => Self::ChatEnded(read(&payload)?),
            "tool_call" => Self::ToolCall(read(&payload)?),
            other => Self::Unknown { event_name: other.chars().take(64).collect() },
        })
    }
}

fn read<'a, T: Deserialize<'a>>(payload: &'a Value) -> Result<T, WebhookError> {
    T::deserialize(payload).map_err(|_| WebhookError::Malformed)
}

/// Why a delivery is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signing key, so nothing can be believed.
    #[error("no signing key is configured")]
    NoKey,
    /// The timestamp is not a decimal number of seconds.
    #[error("the timestamp is not a number of seconds")]
    Timestamp,
    /// Signed longer ago than [`FRESHNESS`].
    #[error("the delivery is too old")]
    Stale,
    /// Signed more than [`FRESHNESS`] from now.
    #[error("the delivery comes from the future")]
    Future,
    /// Another key, another body or another time.
    #[error("the signature does not match")]
    Mismatch,
}

/// The signature of a delivery: HMAC-SHA256 over the body, a dot and the timestamp, in that order, as lower-case hex.
#[must_use]
pub fn sign(key: &[u8], body: &[u8], timestamp: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.update(b".");
    mac.update(timestamp.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in mac.finalize().into_bytes() {
        for nibble in [byte >> 4, byte & 0xF] {
            hex.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
    hex
}

/// Checks a delivery against the values of its two headers. `now` is in Unix seconds.
///
/// # Errors
/// If it is not from the holder of the key, or not from now.
pub fn verify(key: &[u8], body: &[u8], signature: &str, timestamp: &str, now: u64) -> Result<(), SignatureError> {
    if key.is_empty() {
        return Err(SignatureError::NoKey);
    }
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let signed_at: u64 = (if digits { timestamp.parse().ok() } else { None }).ok_or(SignatureError::Timestamp)?;
    let expected = sign(key, body, timestamp);
    if !bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) {
        return Err(SignatureError::Mismatch);
    }
    if now.saturating_sub(signed_at) > FRESHNESS.as_secs() {
        return Err(SignatureError::Stale);
    }
    if signed_at.saturating_sub(now) > FRESHNESS.as_secs() {
        return Err(SignatureError::Future);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"test-signing-key";
    const BODY: &[u8] = br#"{"event_name":"chat_started","chat_id":"c-1"}"#;
    const SIGNATURE: &str = "0ecded8d1d6936f93b5d599ce053fdd39c7bcd557df3143b9a19790238edf3b7";
    const SIGNED_AT: u64 = 1_700_000_000;

    fn checked(signature: &str, timestamp: &str, now: u64) -> Result<(), SignatureError> {
        verify(KEY, BODY, signature, timestamp, now)
    }

    #[test]
    fn the_known_vector_is_signed_and_verified() {
        assert_eq!(sign(KEY, BODY, "1700000000"), SIGNATURE);
        assert_eq!(checked(SIGNATURE, "1700000000", SIGNED_AT), Ok(()));
    }

    #[test]
    fn a_delivery_is_good_for_180_seconds_either_way() {
        assert_eq!(checked(SIGNATURE, "1700000000", SIGNED_AT + 180), Ok(()));
        assert_eq!(checked(SIGNATURE, "1700000000", SIGNED_AT + 181), Err(SignatureError::Stale));
        assert_eq!(checked(SIGNATURE, "1700000000", SIGNED_AT - 180), Ok(()));
        assert_eq!(checked(SIGNATURE, "1700000000", SIGNED_AT - 181), Err(SignatureError::Future));
        assert_eq!(checked(SIGNATURE, "1700000000", 0), Err(SignatureError::Future));
    }

    #[test]
    fn another_key_body_time_or_order_does_not_match() {
        let now = SIGNED_AT;
        assert_eq!(verify(b"other", BODY, SIGNATURE, "1700000000", now), Err(SignatureError::Mismatch));
        assert_eq!(verify(KEY, b"{}", SIGNATURE, "1700000000", now), Err(SignatureError::Mismatch));
        assert_eq!(checked(SIGNATURE, "1700000001", now), Err(SignatureError::Mismatch));
        assert_eq!(checked(&SIGNATURE.to_uppercase(), "1700000000", now), Err(SignatureError::Mismatch));
        assert_eq!(checked(&SIGNATURE[..63], "1700000000", now), Err(SignatureError::Mismatch));
        assert_eq!(checked("", "1700000000", now), Err(SignatureError::Mismatch));
        // Time first, as some clients of other makers sign, is something else.
        let reversed = sign(KEY, b"1700000000", std::str::from_utf8(BODY).unwrap());
        assert_eq!(checked(&reversed, "1700000000", now), Err(SignatureError::Mismatch));
    }

    #[test]
    fn without_a_key_or_a_time_nothing_is_believed() {
        let signature = sign(b"", BODY, "1700000000");
        assert_eq!(verify(b"", BODY, &signature, "1700000000", SIGNED_AT), Err(SignatureError::NoKey));
        for timestamp in ["", "+1700000000", "-1", "1700000000.0", " 1700000000", "99999999999999999999", "now"] {
            let signature = sign(KEY, BODY, timestamp);
            assert_eq!(checked(&signature, timestamp, SIGNED_AT), Err(SignatureError::Timestamp), "{timestamp}");
        }
    }

    #[test]
    fn a_webhook_is_written_as_hume_writes_it_and_reads_back() {
        let chat = ChatRef {
            chat_group_id: "g".into(),
            chat_id: "c".into(),
            custom_session_id: Some("call-1".into()),
            ..ChatRef::default()
        };
        let started = ChatStarted {
            chat: chat.clone(),
            start_time: 1_700_000_000_123,
            chat_start_type: ChatStartType::ResumedChatGroup,
        };
        let text = serde_json::to_string(&started).unwrap();
        insta::assert_snapshot!(text, @r#"{"event_name":"chat_started","chat_group_id":"g","chat_id":"c","config_id":null,"caller_number":null,"custom_session_id":"call-1","twilio_metadata":null,"start_time":1700000000123,"chat_start_type":"resumed_chat_group"}"#);
        assert_eq!(Webhook::parse(text.as_bytes()), Ok(Webhook::ChatStarted(started)));

        let ended = ChatEnded {
            chat: chat.clone(),
            end_time: 1_700_000_060_123,
            duration_seconds: 60,
            end_reason: EndReason::UserEnded,
        };
        let text = serde_json::to_string(&ended).unwrap();
        insta::assert_snapshot!(text, @r#"{"event_name":"chat_ended","chat_group_id":"g","chat_id":"c","config_id":null,"caller_number":null,"custom_session_id":"call-1","twilio_metadata":null,"end_time":1700000060123,"duration_seconds":60,"end_reason":"USER_ENDED"}"#);
        assert_eq!(Webhook::parse(text.as_bytes()), Ok(Webhook::ChatEnded(ended)));

        let call = ToolCall {
            tool_call_id: "t".into(),
            name: "look_up".into(),
            parameters: "{}".into(),
            tool_type: super::super::tool::ToolType::Function,
            response_required: true,
            custom_session_id: None,
        };
        let event = ToolCallEvent { chat, timestamp: 1_700_000_030_123, tool_call_message: call };
        let text = serde_json::to_string(&event).unwrap();
        assert!(text.contains(r#""tool_call_message":{"type":"tool_call","tool_call_id":"t""#), "{text}");
        assert_eq!(Webhook::parse(text.as_bytes()), Ok(Webhook::ToolCall(event)));
    }

    #[test]
    fn an_event_without_a_name_is_told_by_what_it_has() {
        let text = br#"{"chat_group_id":"g","chat_id":"c","end_time":5,"duration_seconds":1,"end_reason":"LATER","twilio_metadata":{"call_sid":"CA1","from_zip":null}}"#;
        let Ok(Webhook::ChatEnded(ended)) = Webhook::parse(text) else { panic!("it is a chat's end") };
        assert_eq!((ended.end_time, ended.end_reason), (5, EndReason::Other));
        assert_eq!(ended.chat.twilio_metadata.unwrap()["call_sid"].as_deref(), Some("CA1"));
    }

    #[test]
    fn unknown_events_are_named_and_broken_ones_refused() {
        assert_eq!(Webhook::parse(br#"{"event_name":"later"}"#), Ok(Webhook::Unknown { event_name: "later".into() }));
        assert_eq!(Webhook::parse(b"{}"), Ok(Webhook::Unknown { event_name: String::new() }));
        assert_eq!(Webhook::parse(br#"{"event_name":"chat_started"}"#), Err(WebhookError::Malformed));
        assert_eq!(Webhook::parse(b"[]"), Err(WebhookError::NotJson));
        assert_eq!(Webhook::parse(b"\xff"), Err(WebhookError::NotJson));
    }
}
