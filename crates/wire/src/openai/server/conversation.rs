//! Events about the conversation and about the caller's audio on its way into it.
//!
//! Transcripts are ordered by item, never by arrival: transcription is a pass of its own, in its own time.

use serde::{Deserialize, Serialize};

use crate::lenient::{if_understood, or_default};
use crate::openai::error::ErrorDetail;
use crate::openai::item::Item;
use crate::openai::response::TokenKinds;

/// There is a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationCreated {
    /// Which.
    #[serde(default, deserialize_with = "or_default")]
    pub conversation: Conversation,
}

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// `conv_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `realtime.conversation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

/// About a piece of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemEvent {
    /// The piece before it; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_item_id: Option<String>,
    /// The piece.
    pub item: Item,
}

/// A piece was cut to what was heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemTruncated {
    /// Which.
    pub item_id: String,
    /// Which part of it.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// How much is left, in milliseconds.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_end_ms: u64,
}

/// Names a piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemRef {
    /// Which.
    pub item_id: String,
}

/// More of what the caller said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranscriptionDelta {
    /// The caller's message.
    pub item_id: String,
    /// Which part of it.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// The words.
    #[serde(default, deserialize_with = "or_default")]
    pub delta: String,
}

/// All of what the caller said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranscriptionCompleted {
    /// The caller's message.
    pub item_id: String,
    /// Which part of it.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// The words.
    pub transcript: String,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub usage: Option<TranscriptionUsage>,
}

/// What the caller said will not be known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranscriptionFailed {
    /// The caller's message.
    pub item_id: String,
    /// Which part of it.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// Why.
    #[serde(default, deserialize_with = "or_default")]
    pub error: ErrorDetail,
}

/// Who of several said what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranscriptionSegment {
    /// The segment's id.
    pub id: String,
    /// The caller's message.
    pub item_id: String,
    /// Which part of it.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// The words.
    #[serde(default, deserialize_with = "or_default")]
    pub text: String,
    /// Who.
    #[serde(default, deserialize_with = "or_default")]
    pub speaker: String,
    /// From when, in seconds.
    #[serde(default, deserialize_with = "or_default")]
    pub start: f64,
    /// Until when, in seconds.
    #[serde(default, deserialize_with = "or_default")]
    pub end: f64,
}

/// What was appended became a user message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// The message.
    pub item_id: String,
    /// The piece before it; none for the first.
    #[serde(default)]
    pub previous_item_id: Option<String>,
}

/// The caller began to speak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpeechStarted {
    /// When, in milliseconds of all audio ever appended; includes the prefix padding.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_start_ms: u64,
    /// The message that this will become.
    #[serde(default, deserialize_with = "or_default")]
    pub item_id: String,
}

/// The caller stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpeechStopped {
    /// When, in milliseconds of all audio ever appended; includes the silence that proved it.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_end_ms: u64,
    /// The message that this will become.
    #[serde(default, deserialize_with = "or_default")]
    pub item_id: String,
}

/// The caller was silent for too long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeoutTriggered {
    /// From when, in milliseconds of all audio ever appended.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_start_ms: u64,
    /// Until when.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_end_ms: u64,
    /// The message that the silence becomes.
    #[serde(default, deserialize_with = "or_default")]
    pub item_id: String,
}

/// What a transcription cost, in the unit of its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TranscriptionUsage {
    /// By token.
    Tokens {
        /// What the model heard.
        #[serde(default, deserialize_with = "or_default")]
        input_tokens: u64,
        /// What it wrote.
        #[serde(default, deserialize_with = "or_default")]
        output_tokens: u64,
        /// All.
        #[serde(default, deserialize_with = "or_default")]
        total_tokens: u64,
        /// Of which kinds the input was.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
        input_token_details: Option<TokenKinds>,
    },
    /// By time.
    Duration {
        /// How long the audio was.
        #[serde(default, deserialize_with = "or_default")]
        seconds: f64,
    },
}
