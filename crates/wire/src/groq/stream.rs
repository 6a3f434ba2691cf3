//! What comes in a streamed reply: chunks, an error, the end. (Groq: API reference, "Chat completion chunk")

use serde::{Deserialize, Serialize};

use super::error::{ApiError, ErrorBody};
use super::request::FunctionKind;
use super::sse::{self, SseEvent};
use crate::lenient::{if_understood, or_default, understood_items};
pub use crate::parse_error::ParseError;

/// What ends a stream that was not cut off.
const DONE: &str = "[DONE]";

/// One event of a streamed reply.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// More of the reply.
    Chunk(Box<ChatChunk>),
    /// The reply breaks off here.
    Error(ApiError),
    /// That was all.
    Done,
    /// An event that came later than this program.
    Unknown,
}

/// More of a reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The reply's id; the same in each chunk.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// `chat.completion.chunk`.
    #[serde(default, deserialize_with = "or_default")]
    pub object: String,
    /// When the reply was begun, in Unix seconds.
    #[serde(default, deserialize_with = "or_default")]
    pub created: u64,
    /// Which model answers.
    #[serde(default, deserialize_with = "or_default")]
    pub model: String,
    /// Which set-up of it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub system_fingerprint: Option<String>,
    /// One, or none in a last chunk that only tells what was used.
    #[serde(default, deserialize_with = "understood_items")]
    pub choices: Vec<Choice>,
    /// What was used, where other vendors put it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub usage: Option<Usage>,
    /// What only this vendor tells.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub x_groq: Option<XGroq>,
}

/// One of the replies that run beside each other; there is one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Which: 0.
    #[serde(default, deserialize_with = "or_default")]
    pub index: u32,
    /// What is new.
    #[serde(default, deserialize_with = "or_default")]
    pub delta: Delta,
    /// Always `null`: not supported.
    #[serde(default, skip_deserializing)]
    pub logprobs: Option<()>,
    /// Why the reply ends, in its last chunk.
    #[serde(default, deserialize_with = "if_understood")]
    pub finish_reason: Option<FinishReason>,
}

/// What is new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// `assistant`, in the first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub role: Option<String>,
    /// Words; the only thing to be spoken.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub content: Option<String>,
    /// Thoughts.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub reasoning: Option<String>,
    /// Pieces of tool calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "understood_items")]
    pub tool_calls: Vec<ToolCallDelta>,
}

/// A piece of a tool call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// Which call of this reply.
    pub index: u32,
    /// Its id, in its first piece.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub id: Option<String>,
    /// Always a function; in its first piece.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub kind: Option<FunctionKind>,
    /// More of it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub function: Option<FunctionDelta>,
}

/// More of a called function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDelta {
    /// Its name, in its first piece.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub name: Option<String>,
    /// More of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub arguments: Option<String>,
}

/// Why a reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It is complete.
    Stop,
    /// It reached its longest.
    Length,
    /// It calls tools.
    ToolCalls,
    /// A filter stopped it.
    ContentFilter,
    /// It calls a function, in the retired manner.
    FunctionCall,
    /// A reason that came later.
    #[serde(other)]
    Other,
}

/// What only this vendor tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct XGroq {
    /// The vendor's id of the request, in the first and the last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub id: Option<String>,
    /// What was used, in the last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub usage: Option<Usage>,
    /// Why the reply broke off.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub error: Option<String>,
    /// The seed that was used.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub seed: Option<i64>,
}

/// What a reply used: tokens, and seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// What the model read.
    #[serde(default, deserialize_with = "or_default")]
    pub prompt_tokens: u64,
    /// What it wrote.
    #[serde(default, deserialize_with = "or_default")]
    pub completion_tokens: u64,
    /// Both.
    #[serde(default, deserialize_with = "or_default")]
    pub total_tokens: u64,
    /// How long the request waited: what grows at peaks.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub queue_time: Option<f64>,
    /// How long the model read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub prompt_time: Option<f64>,
    /// How long it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub completion_time: Option<f64>,
    /// Reading and writing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub total_time: Option<f64>,
}

impl StreamEvent {
    /// Reads one event of the stream leniently.
    ///
    /// # Errors
    /// If its data is not JSON, or no object.
    pub fn parse(event: &SseEvent) -> Result<Self, ParseError> {
        // The vendor's SDK ends at anything that begins so.
        if event.data.starts_with(DONE) {
            return Ok(Self::Done);
        }
        let value: serde_json::Value = serde_json::from_str(&event.data).map_err(|_| ParseError::NotAMessage)?;
        let Some(fields) = value.as_object() else { return Err(ParseError::NotAMessage) };
        match (event.event.as_deref(), fields.get("error")) {
            (None | Some("error"), Some(error)) if !error.is_null() => {
                let told = error.as_str().map(|message| ApiError { message: message.into(), ..ApiError::default() });
                Ok(Self::Error(told.or_else(|| ApiError::deserialize(error).ok()).unwrap_or_default()))
            }
            (Some("error"), _) => Ok(Self::Error(ApiError::default())),
            (Some(_), _) => Ok(Self::Unknown),
            (None, _) => ChatChunk::deserialize(&value)
                .map(|chunk| Self::Chunk(Box::new(chunk)))
                .map_err(|error| ParseError::Malformed { kind: "chunk".to_owned(), column: error.column() }),
        }
    }

    /// The event as it is sent.
    #[must_use]
    pub fn to_sse(&self) -> String {
        match self {
            Self::Chunk(chunk) => sse::write(&chunk.to_json()),
            Self::Error(error) => sse::write(&error.to_json()),
            Self::Done => sse::write(DONE),
            Self::Unknown => String::new(),
        }
    }

    /// An error in the other of its two forms: as an event of the kind `error`.
    #[must_use]
    pub fn error_event(error: &ApiError) -> String {
        let body = ErrorBody { error: error.clone() };
        let data = serde_json::to_string(&body).expect("strings can always be written as JSON");
        format!("event: error\n{}", sse::write(&data))
    }
}

impl ChatChunk {
    /// The words that are new; empty if there are none.
    #[must_use]
    pub fn content(&self) -> &str {
        self.choices.first().and_then(|choice| choice.delta.content.as_deref()).unwrap_or_default()
    }

    /// The chunk as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }
}
