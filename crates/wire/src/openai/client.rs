//! What the client says.
//!
//! Written minimally: a field that is not set is not sent. The simulator reads it with [`ClientMessage::parse`], which
//! refuses what the vendor's server would refuse. (`OpenAI`: Realtime client events)

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ErrorCode, ErrorDetail};
use super::item::Item;
use super::response::ResponseAudio;
use super::session::{MaxTokens, Modality, Reasoning, SessionUpdate, Tool, ToolChoice};

/// Any message that a client may send over a WebSocket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClientMessage<'a> {
    /// What it says.
    #[serde(flatten)]
    pub event: ClientEvent<'a>,
    /// Chosen by the client; an `error` about this message repeats it, and nothing else does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ClientEvent<'a> {
    /// Changes the session.
    #[serde(rename = "session.update")]
    SessionUpdate {
        /// What changes.
        session: Box<SessionUpdate>,
    },
    /// Adds audio of the caller. Not acknowledged.
    #[serde(rename = "input_audio_buffer.append")]
    Append {
        /// Base64, in the session's input format.
        audio: Cow<'a, str>,
    },
    /// Makes what was appended a user message; needed only without turn detection.
    #[serde(rename = "input_audio_buffer.commit")]
    Commit {},
    /// Throws away what was appended.
    #[serde(rename = "input_audio_buffer.clear")]
    Clear {},
    /// Adds to the conversation.
    #[serde(rename = "conversation.item.create")]
    ItemCreate {
        /// After which piece: at the end when left out, first of all for `root`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous_item_id: Option<String>,
        /// The piece.
        item: Item,
    },
    /// Tells how much of the model's speech was heard; the rest, and all of its text, is forgotten.
    #[serde(rename = "conversation.item.truncate")]
    ItemTruncate {
        /// The assistant's message.
        item_id: String,
        /// The part of it: 0.
        content_index: u32,
        /// How much was heard, in milliseconds. More than there is, is an error.
        audio_end_ms: u64,
    },
    /// Removes a piece.
    #[serde(rename = "conversation.item.delete")]
    ItemDelete {
        /// Which.
        item_id: String,
    },
    /// Asks for a piece.
    #[serde(rename = "conversation.item.retrieve")]
    ItemRetrieve {
        /// Which.
        item_id: String,
    },
    /// Asks for a response. Refused while one is running.
    #[serde(rename = "response.create")]
    ResponseCreate {
        /// What shall differ from the session's settings.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response: Option<Box<ResponseOverrides>>,
    },
    /// Stops a response. An error, harmless, if none is running.
    #[serde(rename = "response.cancel")]
    ResponseCancel {
        /// Which; the running one when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_id: Option<String>,
    },
}

/// What shall differ from the session's settings in one response.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponseOverrides {
    /// The prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Audio or text, never both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_modalities: Option<Vec<Modality>>,
    /// The longest it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<MaxTokens>,
    /// The tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Whether the model may, must or must not call one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Reasoning models only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Reasoning models only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// Format and voice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<ResponseAudio>,
    /// Whether it becomes part of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationTarget>,
    /// What the model reads instead of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Vec<Item>>,
    /// At most 16 pairs; keys up to 64 and values up to 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// A stored prompt. Being withdrawn by the vendor; not sent by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Value>,
}

/// Whether a response becomes part of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationTarget {
    /// It does; one at a time.
    Auto,
    /// It does not, and may run beside others.
    None,
}

/// Appends the `input_audio_buffer.append` message for these bytes to `out`: the one message that is sent fifty times a
/// second, so it is written without an intermediate string.
pub fn write_append(audio: &[u8], out: &mut String) {
    out.push_str(r#"{"type":"input_audio_buffer.append","audio":""#);
    STANDARD.encode_string(audio, out);
    out.push_str("\"}");
}

/// The bytes of an append, for the simulator.
///
/// # Errors
/// If they are not Base64 with the standard alphabet and padding.
pub fn decode_append(audio: &str) -> Result<Vec<u8>, ErrorDetail> {
    STANDARD.decode(audio.as_bytes()).map_err(|_| ErrorDetail {
        param: Some("audio".to_owned()),
        ..ErrorDetail::invalid_request(ErrorCode::InvalidValue, "the audio is not valid Base64")
    })
}

impl ClientEvent<'_> {
    /// Audio of the caller.
    #[must_use]
    pub fn append(audio: &[u8]) -> Self {
        Self::Append { audio: Cow::Owned(STANDARD.encode(audio)) }
    }

    /// A response with the session's settings.
    #[must_use]
    pub fn respond() -> Self {
        Self::ResponseCreate { response: None }
    }

    /// The message as text, without an id of its own.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }
}

impl<'a> ClientMessage<'a> {
    /// The message with an id, to tell which message an `error` is about.
    #[must_use]
    pub fn with_id(event: ClientEvent<'a>, event_id: impl Into<String>) -> Self {
        Self { event, event_id: Some(event_id.into()) }
    }

    /// The message as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }
}

impl<'a> From<ClientEvent<'a>> for ClientMessage<'a> {
    fn from(event: ClientEvent<'a>) -> Self {
        Self { event, event_id: None }
    }
}
