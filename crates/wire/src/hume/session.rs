//! What can be set for one chat: audio format, prompt, context, variables, tools, voice.
//!
//! Updates are partial: an absent field keeps its value. Settings die with the chat and are not carried over by a
//! resume, so they are sent again on each socket. (Hume: "Session Settings", "Resuming Chats")

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tool::{BuiltinTool, Tool};

/// The `session_settings` message, both ways: from the client a change, from EVI an echo.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "session_settings")]
pub struct SessionSettings {
    /// Our own id for the session; EVI repeats it in its messages and webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
    /// The format of the audio that goes up. Raw PCM cannot be understood without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioConfiguration>,
    /// Replaces the configuration's prompt for this chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Adds to what the model is told with the caller's words, or takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "context_change")]
    pub context: Option<ContextChange>,
    /// Values for the `{{name}}` placeholders of the prompt; all become strings there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "crate::lenient::or_default")]
    pub variables: BTreeMap<String, Variable>,
    /// Tools of ours. An empty list takes away those of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Tools that EVI runs itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin_tools: Option<Vec<BuiltinTool>>,
    /// Free-form, but an object: any other JSON value has the whole message refused with `E0101`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// Changes the voice without touching the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice_id: Option<String>,
    /// One's own key for the supplemental language model. Does not print.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_model_api_key: Option<LanguageModelApiKey>,
}

/// The format of audio that has no header of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioConfiguration {
    /// How a sample is written.
    pub encoding: Encoding,
    /// Samples per second, in Hz. A wrong one is not refused: speech is heard at the wrong pitch.
    pub sample_rate: u32,
    /// 1 on the telephone.
    pub channels: u16,
    /// Of undocumented purpose; not sent by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
}

impl AudioConfiguration {
    /// What a telephone line sounds like once mu-law is decoded: linear16, 8 kHz, mono. EVI takes it as it is.
    #[must_use]
    pub fn telephone() -> Self {
        Self { encoding: Encoding::Linear16, sample_rate: 8000, channels: 1, codec: None }
    }
}

/// How a sample is written. EVI knows one raw encoding; mu-law is not among them. (Hume: "Audio")
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Signed 16-bit little-endian PCM, interleaved.
    Linear16,
}

/// What happens to the injected context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextChange {
    /// `null` on the wire: the model is told nothing extra any more.
    Clear,
    /// From now on, or once.
    Inject(Context),
}

impl Serialize for ContextChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Clear => serializer.serialize_none(),
            Self::Inject(context) => context.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ContextChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Context>::deserialize(deserializer)?.map_or(Self::Clear, Self::Inject))
    }
}

/// Tells a `null` (clear) from an absent field (keep), which `Option` alone would not.
fn context_change<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ContextChange>, D::Error> {
    ContextChange::deserialize(deserializer).map(Some)
}

/// Text that is appended to the caller's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// For how long; `temporary` when left out.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ContextKind>,
    /// The text.
    pub text: String,
}

/// For how long a context holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextKind {
    /// For the next user message only.
    Temporary,
    /// For all that follow in this chat.
    Persistent,
}

/// The value of a `{{name}}` placeholder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Variable {
    /// A string.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// A boolean.
    Flag(bool),
}

impl From<&str> for Variable {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// As it will stand in the prompt.
impl fmt::Display for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Number(number) => number.fmt(formatter),
            Self::Flag(flag) => flag.fmt(formatter),
        }
    }
}

/// A key for a language model; serialised, never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LanguageModelApiKey(pub String);

impl fmt::Debug for LanguageModelApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_context_clears_and_absent_context_keeps() {
        let cleared: SessionSettings = serde_json::from_str(r#"{"context":null}"#).unwrap();
        assert_eq!(cleared.context, Some(ContextChange::Clear));
        assert_eq!(serde_json::to_string(&cleared).unwrap(), r#"{"type":"session_settings","context":null}"#);
        let kept: SessionSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(kept.context, None);
        assert_eq!(serde_json::to_string(&kept).unwrap(), r#"{"type":"session_settings"}"#);
    }

    #[test]
    fn the_language_models_key_is_sent_but_never_printed() {
        let settings = SessionSettings {
            language_model_api_key: Some(LanguageModelApiKey("very-secret".into())),
            ..SessionSettings::default()
        };
        assert!(serde_json::to_string(&settings).unwrap().contains("very-secret"));
        let printed = format!("{settings:?} {settings:#?}");
        assert!(!printed.contains("very-secret") && printed.contains("[redacted]"), "{printed}");
    }

    #[test]
    fn every_optional_field_may_be_null() {
        let text = r#"{"type":"session_settings","custom_session_id":null,"audio":null,"system_prompt":null,"variables":null,
            "tools":null,"builtin_tools":null,"metadata":null,"voice_id":null,"language_model_api_key":null}"#;
        assert_eq!(serde_json::from_str::<SessionSettings>(text).unwrap(), SessionSettings::default());
    }

    #[test]
    fn metadata_must_be_an_object() {
        for value in ["[]", "\"x\"", "1", "true"] {
            let text = format!(r#"{{"metadata":{value}}}"#);
            assert!(serde_json::from_str::<SessionSettings>(&text).is_err(), "{value}");
        }
    }
}
