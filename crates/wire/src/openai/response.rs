//! A response of the model: how it stands, what it consists of, what it used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::error::ErrorDetail;
use super::item::Item;
use super::session::{AudioFormat, MaxTokens, Modality, Voice};
use crate::lenient::{if_understood, or_default, understood_items};

/// A response, as in `response.created` and `response.done`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// `realtime.response`.
    #[serde(default, deserialize_with = "or_default")]
    pub object: String,
    /// `resp_…`
    pub id: String,
    /// How it stands.
    #[serde(default, deserialize_with = "or_default")]
    pub status: ResponseStatus,
    /// Why it ended as it did.
    #[serde(default, deserialize_with = "if_understood")]
    pub status_details: Option<StatusDetails>,
    /// What it consists of, without the audio itself.
    #[serde(default, deserialize_with = "understood_items")]
    pub output: Vec<Item>,
    /// The conversation it became a part of; none if it was asked for outside of it.
    #[serde(default, deserialize_with = "if_understood")]
    pub conversation_id: Option<String>,
    /// Audio or text.
    #[serde(default, deserialize_with = "understood_items")]
    pub output_modalities: Vec<Modality>,
    /// The longest it may be.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub max_output_tokens: Option<MaxTokens>,
    /// Its sound.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub audio: Option<ResponseAudio>,
    /// What it used; known when it is done.
    #[serde(default, deserialize_with = "if_understood")]
    pub usage: Option<Usage>,
    /// What the client said about it.
    #[serde(default, deserialize_with = "if_understood")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// How a response stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseStatus {
    /// All of it was sent.
    Completed,
    /// By the client or by the caller's speech.
    Cancelled,
    /// See the error in its details. Rate limits appear here.
    Failed,
    /// Cut off by a limit or a filter.
    Incomplete,
    /// More comes.
    InProgress,
    /// A status that came later, or none.
    #[default]
    #[serde(other)]
    Other,
}

/// Why a response ended as it did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDetails {
    /// The same as the status.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub kind: Option<ResponseStatus>,
    /// Why it was cancelled or is incomplete.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub reason: Option<StatusReason>,
    /// Why it failed: of the detail, only type, code and message are written, as nothing of the client's is at fault.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "if_understood",
        serialize_with = "write_failure"
    )]
    pub error: Option<ErrorDetail>,
}

fn write_failure<S: Serializer>(error: &Option<ErrorDetail>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Failure<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        code: Option<&'a str>,
        message: &'a str,
    }
    let failure =
        error.as_ref().map(|error| Failure { kind: &error.kind, code: error.code.as_deref(), message: &error.message });
    failure.serialize(serializer)
}

/// Why a response was cancelled or is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusReason {
    /// The caller spoke.
    TurnDetected,
    /// The client asked for it.
    ClientCancelled,
    /// It reached its longest.
    MaxOutputTokens,
    /// A filter stopped it.
    ContentFilter,
    /// A reason that came later.
    #[serde(other)]
    Other,
}

/// The sound of a response; as an override, what shall differ from the session's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseAudio {
    /// The voice's side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<ResponseAudioOutput>,
}

/// Format and voice of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseAudioOutput {
    /// What comes in deltas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<AudioFormat>,
    /// Who speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<Voice>,
}

/// What a response used, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All.
    #[serde(default, deserialize_with = "or_default")]
    pub total_tokens: u64,
    /// What the model read: the whole conversation, each time.
    #[serde(default, deserialize_with = "or_default")]
    pub input_tokens: u64,
    /// What it wrote and said.
    #[serde(default, deserialize_with = "or_default")]
    pub output_tokens: u64,
    /// Of which kinds the input was.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub input_token_details: Option<InputTokens>,
    /// Of which kinds the output was.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub output_token_details: Option<TokenKinds>,
}

/// Input tokens by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputTokens {
    /// Text.
    #[serde(default, deserialize_with = "or_default")]
    pub text_tokens: u64,
    /// Sound.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_tokens: u64,
    /// Pictures; none on the telephone.
    #[serde(default, deserialize_with = "or_default")]
    pub image_tokens: u64,
    /// How many were in the cache, which is cheaper.
    #[serde(default, deserialize_with = "or_default")]
    pub cached_tokens: u64,
    /// Of which kinds those were.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub cached_tokens_details: Option<TokenKinds>,
}

/// Tokens by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKinds {
    /// Text.
    #[serde(default, deserialize_with = "or_default")]
    pub text_tokens: u64,
    /// Sound.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_tokens: u64,
}

impl Response {
    /// A response that has just begun.
    #[must_use]
    pub fn begun(id: impl Into<String>) -> Self {
        let (object, status) = ("realtime.response".to_owned(), ResponseStatus::InProgress);
        Self { object, id: id.into(), status, ..Self::default() }
    }

    /// Why it was cancelled or is incomplete.
    #[must_use]
    pub fn reason(&self) -> Option<StatusReason> {
        self.status_details.as_ref()?.reason
    }
}
