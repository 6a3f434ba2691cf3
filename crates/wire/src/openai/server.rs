//! What the server says. (`OpenAI`: Realtime server events)
//!
//! Only what exists on a WebSocket and matters to a phone call has a type of its own; MCP, SIP and WebRTC events, and
//! whatever comes later, are [`ServerEvent::Unknown`].

use serde::{Deserialize, Serialize};

use super::effective::Session;
use super::error::ErrorDetail;
pub use crate::lenient::NotBase64;
use crate::lenient::{integer, or_default, understood_items};

mod conversation;
mod output;
mod parse;

pub use conversation::{
    Committed, Conversation, ConversationCreated, ItemEvent, ItemRef, ItemTruncated, SpeechStarted, SpeechStopped,
    TimeoutTriggered, TranscriptionCompleted, TranscriptionDelta, TranscriptionFailed, TranscriptionSegment,
    TranscriptionUsage,
};
pub use output::{
    ArgumentsDelta, ArgumentsDone, AudioDelta, OutputItem, Part, PartRef, ResponseEvent, TextDelta, TextDone,
    TranscriptDone,
};
pub use parse::ParseError;

/// Any message of the server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerMessage<'a> {
    /// What it says.
    #[serde(flatten)]
    pub event: ServerEvent<'a>,
    /// The server's own id for it; empty if it had none.
    pub event_id: String,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum ServerEvent<'a> {
    /// Always first: the session with the server's defaults.
    #[serde(rename = "session.created")]
    SessionCreated(SessionEvent),
    /// The session after an update.
    #[serde(rename = "session.updated")]
    SessionUpdated(SessionEvent),
    /// There is a conversation.
    #[serde(rename = "conversation.created")]
    ConversationCreated(ConversationCreated),
    /// A piece was added; more of it may come.
    #[serde(rename = "conversation.item.added")]
    ItemAdded(ItemEvent),
    /// A piece is whole.
    #[serde(rename = "conversation.item.done")]
    ItemDone(ItemEvent),
    /// A leftover of the beta dialect.
    #[serde(rename = "conversation.item.created")]
    ItemCreated(ItemEvent),
    /// A piece that was asked for.
    #[serde(rename = "conversation.item.retrieved")]
    ItemRetrieved(ItemEvent),
    /// A piece was cut to what was heard.
    #[serde(rename = "conversation.item.truncated")]
    ItemTruncated(ItemTruncated),
    /// A piece was removed.
    #[serde(rename = "conversation.item.deleted")]
    ItemDeleted(ItemRef),
    /// More of what the caller said.
    #[serde(rename = "conversation.item.input_audio_transcription.delta")]
    TranscriptionDelta(TranscriptionDelta),
    /// All of what the caller said. May come before or after the reply.
    #[serde(rename = "conversation.item.input_audio_transcription.completed")]
    TranscriptionCompleted(TranscriptionCompleted),
    /// What the caller said will not be known.
    #[serde(rename = "conversation.item.input_audio_transcription.failed")]
    TranscriptionFailed(TranscriptionFailed),
    /// Who of several said what.
    #[serde(rename = "conversation.item.input_audio_transcription.segment")]
    TranscriptionSegment(TranscriptionSegment),
    /// What was appended became a user message.
    #[serde(rename = "input_audio_buffer.committed")]
    Committed(Committed),
    /// What was appended was thrown away.
    #[serde(rename = "input_audio_buffer.cleared")]
    Cleared(Empty),
    /// The caller began to speak.
    #[serde(rename = "input_audio_buffer.speech_started")]
    SpeechStarted(SpeechStarted),
    /// The caller stopped.
    #[serde(rename = "input_audio_buffer.speech_stopped")]
    SpeechStopped(SpeechStopped),
    /// The caller was silent for too long; a response follows.
    #[serde(rename = "input_audio_buffer.timeout_triggered")]
    TimeoutTriggered(TimeoutTriggered),
    /// A response begins.
    #[serde(rename = "response.created")]
    ResponseCreated(ResponseEvent),
    /// A response ended, however it did.
    #[serde(rename = "response.done")]
    ResponseDone(ResponseEvent),
    /// A response begins another piece.
    #[serde(rename = "response.output_item.added")]
    OutputItemAdded(OutputItem),
    /// A piece of a response is whole.
    #[serde(rename = "response.output_item.done")]
    OutputItemDone(OutputItem),
    /// A piece begins another part.
    #[serde(rename = "response.content_part.added")]
    ContentPartAdded(Part),
    /// A part is whole.
    #[serde(rename = "response.content_part.done")]
    ContentPartDone(Part),
    /// Speech.
    #[serde(rename = "response.output_audio.delta")]
    AudioDelta(AudioDelta<'a>),
    /// All speech of a part was sent.
    #[serde(rename = "response.output_audio.done")]
    AudioDone(PartRef),
    /// More of what the model says.
    #[serde(rename = "response.output_audio_transcript.delta")]
    TranscriptDelta(TextDelta),
    /// All of what the model says.
    #[serde(rename = "response.output_audio_transcript.done")]
    TranscriptDone(TranscriptDone),
    /// More of what the model writes.
    #[serde(rename = "response.output_text.delta")]
    TextDelta(TextDelta),
    /// All of what the model writes.
    #[serde(rename = "response.output_text.done")]
    TextDone(TextDone),
    /// More of a tool call's arguments.
    #[serde(rename = "response.function_call_arguments.delta")]
    ArgumentsDelta(ArgumentsDelta),
    /// All of a tool call's arguments; comes for cancelled responses too.
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone(ArgumentsDone),
    /// What is left of the account's rates.
    #[serde(rename = "rate_limits.updated")]
    RateLimits(RateLimits),
    /// Something went wrong; mostly the session goes on.
    #[serde(rename = "error")]
    Error(ErrorEvent),
    /// A message that came later than this program, or that no phone call needs.
    #[serde(untagged)]
    Unknown(Unknown),
}

/// Nothing but a type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Empty {}

/// The whole session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionEvent {
    /// As it now is.
    pub session: Box<Session>,
}

/// What is left of the account's rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateLimits {
    /// One for each kind.
    #[serde(default, deserialize_with = "understood_items")]
    pub rate_limits: Vec<RateLimit>,
}

/// What is left of one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateLimit {
    /// `requests` or `tokens`.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// The most there can be.
    #[serde(default, deserialize_with = "integer")]
    pub limit: i64,
    /// What is left.
    #[serde(default, deserialize_with = "integer")]
    pub remaining: i64,
    /// In how many seconds it is whole again.
    #[serde(default, deserialize_with = "or_default")]
    pub reset_seconds: f64,
}

/// Something went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorEvent {
    /// What.
    #[serde(default, deserialize_with = "or_default")]
    pub error: ErrorDetail,
}

/// A message whose `type` is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Its `type`, cut to 64 characters.
    #[serde(rename = "type")]
    pub kind: String,
}

impl<'a> ServerMessage<'a> {
    /// The message with this id.
    #[must_use]
    pub fn new(event_id: impl Into<String>, event: ServerEvent<'a>) -> Self {
        Self { event, event_id: event_id.into() }
    }

    /// The message as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }
}
