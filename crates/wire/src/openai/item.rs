//! The pieces a conversation consists of: messages, tool calls and their results.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient::or_default;

/// One piece of the conversation.
///
/// What is not understood is kept as it came, [`Item::Other`], so that one odd piece never hides a whole response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// Something said or written.
    Message(Message),
    /// The model calls a tool.
    FunctionCall(FunctionCall),
    /// A tool's result.
    FunctionCallOutput(FunctionCallOutput),
    /// Points to a piece that exists; only in the `input` of a `response.create`.
    ItemReference {
        /// The piece's id.
        id: String,
    },
    /// Anything else.
    #[serde(untagged)]
    Other(Value),
}

/// Something said or written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Given by the server unless the client chose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `realtime.item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Whether it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ItemStatus>,
    /// Whose.
    pub role: Role,
    /// Its parts.
    #[serde(default, deserialize_with = "or_default")]
    pub content: Vec<ContentPart>,
}

/// The model calls a tool. Run it only once the call, and the response it stands in, are completed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The piece's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `realtime.item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Whether it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ItemStatus>,
    /// Names the call; the result repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// JSON, as text, written by a model, so it may not parse.
    #[serde(default, deserialize_with = "or_default")]
    pub arguments: String,
}

/// A tool's result. Nothing is spoken until a response is asked for as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCallOutput {
    /// The piece's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `realtime.item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Whether it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ItemStatus>,
    /// The call that is answered.
    pub call_id: String,
    /// Any text, usually JSON.
    pub output: String,
}

/// Whether a piece is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// It is.
    Completed,
    /// It was cut off.
    Incomplete,
    /// More comes.
    InProgress,
    /// A status that came later.
    #[serde(other)]
    Other,
}

/// Whose a message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The caller's.
    User,
    /// The model's.
    Assistant,
    /// The system's.
    System,
    /// One that came later.
    #[default]
    #[serde(other)]
    Other,
}

/// One part of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentPart {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ContentKind,
    /// The text, of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The words, of audio; `null` until they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// Base64, of audio that a client puts in; servers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
}

/// What a part is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// Written by the client.
    InputText,
    /// Spoken by the caller.
    InputAudio,
    /// Written by the model, or in its name.
    OutputText,
    /// Spoken by the model.
    OutputAudio,
    /// Text, in `response.content_part` events.
    Text,
    /// Audio, in `response.content_part` events.
    Audio,
    /// One that came later.
    #[default]
    #[serde(other)]
    Other,
}

/// `{"type":"function","name":…}`: a function by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolCallName {
    /// A function of ours.
    Function {
        /// Its name.
        name: String,
    },
}

impl ContentPart {
    /// A part of this kind with text.
    #[must_use]
    pub fn text(kind: ContentKind, text: impl Into<String>) -> Self {
        Self { kind, text: Some(text.into()), ..Self::default() }
    }

    /// Audio of this kind with its words, if known.
    #[must_use]
    pub fn audio(kind: ContentKind, transcript: Option<String>) -> Self {
        Self { kind, transcript, ..Self::default() }
    }
}

impl Item {
    /// What the caller said or did, as text.
    #[must_use]
    pub fn user_text(text: impl Into<String>) -> Self {
        Self::said(Role::User, ContentKind::InputText, text)
    }

    /// What the system wants the model to know.
    #[must_use]
    pub fn system_text(text: impl Into<String>) -> Self {
        Self::said(Role::System, ContentKind::InputText, text)
    }

    /// What the model said earlier, as text; its audio cannot be put in.
    #[must_use]
    pub fn assistant_text(text: impl Into<String>) -> Self {
        Self::said(Role::Assistant, ContentKind::OutputText, text)
    }

    /// A tool's result.
    #[must_use]
    pub fn tool_output(call_id: impl Into<String>, output: impl Into<String>) -> Self {
        let (call_id, output) = (call_id.into(), output.into());
        Self::FunctionCallOutput(FunctionCallOutput { call_id, output, ..FunctionCallOutput::default() })
    }

    fn said(role: Role, kind: ContentKind, text: impl Into<String>) -> Self {
        Self::Message(Message { role, content: vec![ContentPart::text(kind, text)], ..Message::default() })
    }

    /// Its id, where it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Message(Message { id, .. })
            | Self::FunctionCall(FunctionCall { id, .. })
            | Self::FunctionCallOutput(FunctionCallOutput { id, .. }) => id.as_deref(),
            Self::ItemReference { id } => Some(id),
            Self::Other(value) => value.get("id").and_then(Value::as_str),
        }
    }
}
