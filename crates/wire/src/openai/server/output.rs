//! Events about a response as it is made: its pieces, their parts, and what is spoken, written or called.
//!
//! All `done` events come for interrupted and cancelled responses as well. The order between speech and its transcript
//! is not promised.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::lenient::{NotBase64, decode_base64, or_default};
use crate::openai::item::{ContentPart, Item};
use crate::openai::response::Response;

/// About a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseEvent {
    /// As it now stands.
    pub response: Box<Response>,
}

/// About a piece of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputItem {
    /// The response.
    pub response_id: String,
    /// The piece's place in it.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The piece.
    pub item: Item,
}

/// About a part of a piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The response.
    pub response_id: String,
    /// The piece.
    pub item_id: String,
    /// The piece's place in the response.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The part's place in the piece.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// The part.
    #[serde(default, deserialize_with = "or_default")]
    pub part: ContentPart,
}

/// Names a part of a piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartRef {
    /// The response.
    pub response_id: String,
    /// The piece.
    pub item_id: String,
    /// The piece's place in the response.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The part's place in the piece.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
}

/// More text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextDelta {
    /// The response.
    pub response_id: String,
    /// The piece.
    pub item_id: String,
    /// The piece's place in the response.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The part's place in the piece.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// The text.
    pub delta: String,
}

/// All of what the model says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranscriptDone {
    /// The response.
    pub response_id: String,
    /// The piece.
    pub item_id: String,
    /// The piece's place in the response.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The part's place in the piece.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// The words; not proof that they were heard.
    pub transcript: String,
}

/// All of what the model writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextDone {
    /// The response.
    pub response_id: String,
    /// The piece.
    pub item_id: String,
    /// The piece's place in the response.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The part's place in the piece.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// The text.
    pub text: String,
}

/// More of a tool call's arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArgumentsDelta {
    /// The response.
    pub response_id: String,
    /// The piece.
    pub item_id: String,
    /// The piece's place in the response.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The call.
    pub call_id: String,
    /// The text.
    pub delta: String,
}

/// All of a tool call's arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArgumentsDone {
    /// The response.
    pub response_id: String,
    /// The piece.
    pub item_id: String,
    /// The piece's place in the response.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The call.
    pub call_id: String,
    /// The tool.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// JSON, as text, written by a model.
    #[serde(default, deserialize_with = "or_default")]
    pub arguments: String,
}

/// Speech, in the session's output format, of any length.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioDelta<'a> {
    /// The response.
    pub response_id: String,
    /// The piece.
    pub item_id: String,
    /// The piece's place in the response.
    #[serde(default, deserialize_with = "or_default")]
    pub output_index: u32,
    /// The part's place in the piece.
    #[serde(default, deserialize_with = "or_default")]
    pub content_index: u32,
    /// Base64 of the bytes.
    #[serde(borrow)]
    pub delta: Cow<'a, str>,
}

/// Audio data is too long to print.
impl std::fmt::Debug for AudioDelta<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { response_id, item_id, output_index, content_index, delta } = self;
        write!(
            formatter,
            "AudioDelta {{ response_id: {response_id:?}, item_id: {item_id:?}, output_index: {output_index}, \
             content_index: {content_index}, delta: {} bytes }}",
            delta.len()
        )
    }
}

impl AudioDelta<'_> {
    /// These bytes, as part of what is named.
    #[must_use]
    pub fn from_bytes(part: &PartRef, audio: &[u8]) -> Self {
        let PartRef { response_id, item_id, output_index, content_index } = part.clone();
        Self { response_id, item_id, output_index, content_index, delta: Cow::Owned(STANDARD.encode(audio)) }
    }

    /// The bytes, written into `out` in place of what was there.
    ///
    /// # Errors
    /// If the data is not Base64; `out` then holds nothing of use.
    pub fn decode_into(&self, out: &mut Vec<u8>) -> Result<(), NotBase64> {
        decode_base64(&self.delta, out)
    }
}
