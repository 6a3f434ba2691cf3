//! What EVI says to the client.
//!
//! Read leniently: recorded traffic has fields that no schema lists, lacks some that every schema requires, and holds
//! ids that are not what they are said to be. Only what a call cannot do without must be there.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::error::ErrorCode;
use super::scores::Scores;
use super::session::SessionSettings;
use super::tool::{ToolCall, ToolError, ToolResponse};
use crate::lenient;
pub use crate::openai::server::NotBase64;

/// Any message that EVI may send. (Hume: "Chat" reference, subscribe events)
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ServerMessage<'a> {
    /// Always first: which chat this is.
    ChatMetadata(ChatMetadata),
    /// What the caller said.
    UserMessage(UserMessage),
    /// A sentence that EVI says.
    AssistantMessage(AssistantMessage),
    /// How EVI's own sentence sounded.
    AssistantProsody(AssistantProsody),
    /// A piece of EVI's voice.
    AudioOutput(AudioOutput<'a>),
    /// The caller spoke while EVI was sending.
    UserInterruption(UserInterruption),
    /// All of a turn was sent; it is not yet heard.
    AssistantEnd(AssistantEnd),
    /// EVI wants a tool to be run.
    ToolCall(ToolCall),
    /// The result of a tool that EVI ran.
    ToolResponse(ToolResponse),
    /// The failure of a tool that EVI ran.
    ToolError(ToolError),
    /// An echo of settings.
    SessionSettings(Box<SessionSettings>),
    /// Something went wrong; the chat may go on.
    Error(ErrorMessage),
    /// A message that came later than this program.
    Unknown(Unknown),
}

/// Which chat this is. A resumed chat has a new `chat_id` in the same group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "chat_metadata")]
pub struct ChatMetadata {
    /// The id of the group, by which the conversation can be resumed.
    pub chat_group_id: String,
    /// The id of this socket's chat.
    pub chat_id: String,
    /// Opaque; recorded ones look like a UUID but are longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// What the caller said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "user_message")]
pub struct UserMessage {
    /// The words.
    pub message: ChatMessage,
    /// How they sounded; empty for typed and interim text.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub models: Inference,
    /// When, in milliseconds since the audio began to flow.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::if_understood")]
    pub time: Option<Interval>,
    /// Whether it came from a `user_input`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub from_text: bool,
    /// Whether it will be said again, corrected: not a turn yet.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub interim: bool,
    /// The language that was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// A sentence that EVI says. Not proof that it was heard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "assistant_message")]
pub struct AssistantMessage {
    /// The same as that of the audio that speaks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The words.
    pub message: ChatMessage,
    /// How they sound; newer traffic sends it later, as `assistant_prosody`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub models: Inference,
    /// Whether it came from an `assistant_input`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub from_text: bool,
    /// Whether it bridges the time until the model's real answer. Missing in recorded traffic.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub is_quick_response: bool,
    /// The language it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// How EVI's own sentence sounded; may come after its audio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "assistant_prosody")]
pub struct AssistantProsody {
    /// The id of the sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How it sounded.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub models: Inference,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// A piece of EVI's voice: a WAV file of its own, whose header alone tells rate and layout (24 and 48 kHz were seen).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "audio_output")]
pub struct AudioOutput<'a> {
    /// The id of the sentence that it speaks.
    pub id: String,
    /// Its place within the sentence, from 0.
    pub index: u64,
    /// Base64 of the WAV file.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
    /// Undocumented, and false on every chunk that was recorded: never to be relied upon.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::if_understood")]
    pub is_final_chunk: Option<bool>,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// Audio data is too long to print.
impl std::fmt::Debug for AudioOutput<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, index, data, is_final_chunk, custom_session_id: _ } = self;
        write!(
            formatter,
            "AudioOutput {{ id: {id:?}, index: {index}, data: {} bytes, is_final_chunk: {is_final_chunk:?} }}",
            data.len()
        )
    }
}

/// The caller spoke while EVI was sending; nothing more of the turn follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "user_interruption")]
pub struct UserInterruption {
    /// Opaque: documented as a Unix timestamp, recorded as 810. Zero when it could not be read.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub time: i64,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// All of a turn was sent; also follows an interruption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "assistant_end")]
pub struct AssistantEnd {
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// Something went wrong. Whether the chat goes on is told by [`ErrorCode::closes`], and in the end by the socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "error")]
pub struct ErrorMessage {
    /// Such as `E0714`; see [`ErrorCode::parse`].
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub code: String,
    /// Such as `inactivity_timeout`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub slug: String,
    /// For people.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub message: String,
    /// Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

impl ErrorMessage {
    /// The message for a known code. Where EVI's slug is not known, `unknown` stands in for it.
    #[must_use]
    pub fn new(code: ErrorCode, message: String, request_id: Option<String>) -> Self {
        let slug = code.slug().unwrap_or("unknown").to_owned();
        Self { code: code.code().to_owned(), slug, message, request_id, custom_session_id: None }
    }
}

/// A message whose `type` is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Its `type`, cut to 64 characters.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One contribution to the conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Whose.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub role: Role,
    /// The words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A call of a tool, where the contribution is one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::if_understood")]
    pub tool_call: Option<ToolCall>,
    /// A tool's response or error, where the contribution is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_result: Option<serde_json::Value>,
}

/// Whose contribution it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// EVI's.
    Assistant,
    /// The system's.
    System,
    /// The caller's.
    User,
    /// Everyone's.
    All,
    /// A tool's.
    Tool,
    /// Injected context.
    Context,
    /// One that came later, or none.
    #[default]
    #[serde(other)]
    Other,
}

/// What Hume's models found in a voice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inference {
    /// Expression, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::if_understood")]
    pub prosody: Option<Prosody>,
}

/// Expression in the voice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prosody {
    /// One score per dimension.
    pub scores: Scores,
}

/// A span of the audio that went up, in milliseconds since its first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Its beginning.
    pub begin: u64,
    /// Its end.
    pub end: u64,
}

impl Inference {
    /// With these expression scores.
    #[must_use]
    pub fn with_scores(scores: Scores) -> Self {
        Self { prosody: Some(Prosody { scores }) }
    }

    /// The expression scores, where there are any.
    #[must_use]
    pub fn scores(&self) -> Option<&Scores> {
        self.prosody.as_ref().map(|prosody| &prosody.scores)
    }
}

impl ChatMessage {
    /// Words of somebody.
    #[must_use]
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: Some(content.into()), tool_call: None, tool_result: None }
    }

    /// The words; empty when there are none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.content.as_deref().unwrap_or_default()
    }
}

impl AudioOutput<'_> {
    /// The chunk that holds this WAV file.
    #[must_use]
    pub fn from_wav(id: impl Into<String>, index: u64, wav: &[u8]) -> Self {
        let data = Cow::Owned(STANDARD.encode(wav));
        Self { id: id.into(), index, data, is_final_chunk: None, custom_session_id: None }
    }

    /// The WAV file, written into `out` in place of what was there.
    ///
    /// # Errors
    /// If the data is not Base64; `out` then holds nothing of use.
    pub fn decode_into(&self, out: &mut Vec<u8>) -> Result<(), NotBase64> {
        lenient::decode_base64(&self.data, out)
    }
}

/// A server message that could not be read. It does not repeat the message, which may hold what somebody said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or not an object with a `type`.
    #[error("not a JSON object with a type")]
    NotAMessage,
    /// A known message with a field missing or of the wrong type.
    #[error("malformed {kind} near column {column}")]
    Malformed {
        /// The message's `type`.
        kind: &'static str,
        /// Where reading stopped, in bytes from the start of the line; 0 if not known.
        column: usize,
    },
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

impl<'a> ServerMessage<'a> {
    /// Reads a message. Audio data stays where it is, in `text`.
    ///
    /// # Errors
    /// If it is not JSON, or lacks what a call cannot do without.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let Head { kind } = serde_json::from_str(text).map_err(|_| ParseError::NotAMessage)?;
        Ok(match kind.as_ref() {
            "chat_metadata" => Self::ChatMetadata(body(text, "chat_metadata")?),
            "user_message" => Self::UserMessage(body(text, "user_message")?),
            "assistant_message" => Self::AssistantMessage(body(text, "assistant_message")?),
            "assistant_prosody" => Self::AssistantProsody(body(text, "assistant_prosody")?),
            "audio_output" => Self::AudioOutput(body(text, "audio_output")?),
            "user_interruption" => Self::UserInterruption(body(text, "user_interruption")?),
            "assistant_end" => Self::AssistantEnd(body(text, "assistant_end")?),
            "tool_call" => Self::ToolCall(body(text, "tool_call")?),
            "tool_response" => Self::ToolResponse(body(text, "tool_response")?),
            "tool_error" => Self::ToolError(body(text, "tool_error")?),
            "session_settings" => Self::SessionSettings(Box::new(body(text, "session_settings")?)),
            "error" => Self::Error(body(text, "error")?),
            other => Self::Unknown(Unknown { kind: other.chars().take(64).collect() }),
        })
    }

    /// The message as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }
}

fn body<'a, T: Deserialize<'a>>(text: &'a str, kind: &'static str) -> Result<T, ParseError> {
    serde_json::from_str(text).map_err(|error| ParseError::Malformed { kind, column: error.column() })
}
