//! How a session is configured: what `session.update` carries, and the parts it shares with the effective session.
//!
//! An update changes only the fields it has. Fields that can be switched off take `null` for it, so each is a
//! [`Change`]: keep, clear, or set. What the whole session then looks like is in [`effective`](super::effective).
//! (`OpenAI`: Realtime client events, `session.update`)

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use super::audio::{
    AudioFormat, AudioUpdate, Eagerness, InputUpdate, NoiseReduction, NoiseReductionKind, OutputUpdate, SemanticVad,
    ServerVad, Transcription, TurnDetection, Voice,
};
use super::item::ToolCallName;

/// What happens to a field that can be switched off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The field is absent: as it was.
    #[default]
    Keep,
    /// The field is `null`: off.
    Clear,
    /// From now on this.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the field stays absent; for `skip_serializing_if`.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Carries the change out.
    pub(crate) fn apply_to(&self, field: &mut Option<T>)
    where
        T: Clone,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value.clone()),
        }
    }
}

impl<T: Serialize> Serialize for Change<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Clear => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

/// Reached only when the field is present, so `null` means to clear.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// The `session` of a `session.update`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionUpdate {
    /// Always `realtime`, and required.
    #[serde(rename = "type")]
    pub kind: SessionKind,
    /// Cannot be changed; set by the socket's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The prompt; an empty one clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Audio or text, never both; audio always brings a transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_modalities: Option<Vec<Modality>>,
    /// The longest response, tool calls included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<MaxTokens>,
    /// The tools; an empty list clears them.
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
    /// What else shall come with events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// A stored prompt. Being withdrawn by the vendor; not sent by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Value>,
    /// Tracing at the vendor's. Not sent by us.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    pub tracing: Change<Value>,
    /// What happens when the context overflows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Value>,
    /// Everything about sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioUpdate>,
}

impl SessionUpdate {
    /// Speech over a telephone line: audio out, mu-law both ways. The rest is for the caller to fill in.
    #[must_use]
    pub fn telephone() -> Self {
        let input = InputUpdate { format: Some(AudioFormat::Pcmu), ..InputUpdate::default() };
        let output = OutputUpdate { format: Some(AudioFormat::Pcmu), ..OutputUpdate::default() };
        Self {
            output_modalities: Some(vec![Modality::Audio]),
            audio: Some(AudioUpdate { input: Some(input), output: Some(output) }),
            ..Self::default()
        }
    }
}

/// The kind of session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// Speech to speech.
    #[default]
    Realtime,
}

/// What a response consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Speech and its transcript.
    Audio,
    /// Text.
    Text,
    /// One that came later.
    #[serde(other)]
    Other,
}

/// The longest response, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTokens {
    /// At most so many; documented as 1 to 4096.
    Limit(u32),
    /// `"inf"`: as many as the model can.
    Infinite,
}

impl Serialize for MaxTokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Limit(limit) => serializer.serialize_u32(*limit),
            Self::Infinite => serializer.serialize_str("inf"),
        }
    }
}

impl<'de> Deserialize<'de> for MaxTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Limit(u32),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Limit(limit) => Ok(Self::Limit(limit)),
            Written::Word(word) if word == "inf" => Ok(Self::Infinite),
            Written::Word(_) => Err(serde::de::Error::custom("expected a whole number or \"inf\"")),
        }
    }
}

/// A tool of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    /// A function that we run.
    Function(FunctionTool),
}

/// A function that we run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionTool {
    /// The name by which the model calls it.
    pub name: String,
    /// By this the model chooses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema, as an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
}

/// Whether the model may, must or must not call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ToolChoice {
    /// A general rule.
    Mode(ToolChoiceMode),
    /// This function.
    Function(ToolCallName),
}

/// A general rule for calling tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoiceMode {
    /// It may.
    Auto,
    /// It must not.
    None,
    /// It must.
    Required,
}

/// How long the model thinks before it speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasoning {
    /// `minimal`, `low`, `medium`, `high` or `xhigh`; more is slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
}
