//! What the client says.
//!
//! Written minimally: a field that is not set is not sent. Within one context everything but the text and what becomes of
//! it stays the same. The simulator reads it with [`ClientMessage::parse`]. (Cartesia: API reference, "TTS WebSocket")

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BUFFER_DELAY_MS_MAX;
use super::error::Fault;
use crate::faithful::{Difference, first_difference};

/// The longest name of a context that is taken, in characters. The vendor names no limit.
const CONTEXT_ID_CHARS_MAX: usize = 256;

/// Any message that a client may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClientMessage {
    /// More text.
    Generate(Box<Generate>),
    /// No more speech of this context.
    Cancel(Cancel),
}

/// More text for a context, the first of which opens it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// Which model.
    pub model_id: String,
    /// The text. The texts of a context are joined as they are.
    pub transcript: String,
    /// Who speaks.
    pub voice: Voice,
    /// What the audio is.
    pub output_format: OutputFormat,
    /// Which context; a name of the client's.
    pub context_id: String,
    /// Whether more text follows.
    #[serde(rename = "continue", default, skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
    /// Whether what was sent so far is to be spoken now, and its end reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush: Option<bool>,
    /// How long text waits for more of it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_buffer_delay_ms: Option<u32>,
    /// In which language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How it is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_config: Option<GenerationConfig>,
    /// How fast, in the old manner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
    /// Whether the times of the words are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_timestamps: Option<bool>,
    /// Whether the times of the sounds are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_phoneme_timestamps: Option<bool>,
    /// Whether the words of those times are written as they are spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_normalized_timestamps: Option<bool>,
    /// The account's own pronunciations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pronunciation_dict_id: Option<String>,
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// Always by id.
    pub mode: VoiceMode,
    /// Which.
    pub id: String,
}

/// How a voice is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoiceMode {
    /// By its id.
    #[default]
    Id,
}

/// What the audio is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFormat {
    /// Always none.
    pub container: Container,
    /// How a sample is written.
    pub encoding: Encoding,
    /// In Hz.
    pub sample_rate: u32,
}

/// What the audio is wrapped in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// Nothing.
    #[default]
    Raw,
}

/// How a sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// The telephone's, in North America and Japan.
    #[serde(rename = "pcm_mulaw")]
    Mulaw,
    /// The telephone's elsewhere.
    #[serde(rename = "pcm_alaw")]
    Alaw,
    /// 16-bit little endian.
    #[serde(rename = "pcm_s16le")]
    Linear16,
    /// 32-bit floats.
    #[serde(rename = "pcm_f32le")]
    Float32,
}

/// How speech is spoken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenerationConfig {
    /// From 0.6 to 1.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// From 0.5 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<f64>,
    /// With which feeling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emotion: Option<String>,
}

/// How fast speech is, in the old manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// Slower.
    Slow,
    /// As it comes.
    Normal,
    /// Faster.
    Fast,
}

/// No more speech of a context. What is already being made may still come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Which.
    pub context_id: String,
    /// Always.
    pub cancel: bool,
}

impl OutputFormat {
    /// What goes to Twilio as it is.
    pub const TELEPHONE: Self = Self { container: Container::Raw, encoding: Encoding::Mulaw, sample_rate: 8000 };
}

impl Voice {
    /// The voice with this id.
    #[must_use]
    pub fn id(id: impl Into<String>) -> Self {
        Self { mode: VoiceMode::Id, id: id.into() }
    }
}

impl Generate {
    /// Telephone audio with the times of its words. What differs from context to context, and the text, is set by
    /// [`Generate::more`] and [`Generate::last`].
    #[must_use]
    pub fn telephone(model: impl Into<String>, voice: impl Into<String>) -> Self {
        Self {
            model_id: model.into(),
            transcript: String::new(),
            voice: Voice::id(voice),
            output_format: OutputFormat::TELEPHONE,
            context_id: String::new(),
            more: None,
            flush: None,
            max_buffer_delay_ms: None,
            language: None,
            generation_config: None,
            speed: None,
            add_timestamps: Some(true),
            add_phoneme_timestamps: None,
            use_normalized_timestamps: None,
            pronunciation_dict_id: None,
        }
    }

    /// The same with this text, in this context, to which more text will come.
    #[must_use]
    pub fn more(&self, context: impl Into<String>, text: impl Into<String>) -> Self {
        Self { context_id: context.into(), transcript: text.into(), more: Some(true), ..self.clone() }
    }

    /// The same with the last text of this context; it may be empty.
    #[must_use]
    pub fn last(&self, context: impl Into<String>, text: impl Into<String>) -> Self {
        Self { context_id: context.into(), transcript: text.into(), more: Some(false), ..self.clone() }
    }

    /// Whether both may stand in one context: everything but the text and what becomes of it is the same.
    #[must_use]
    pub fn continues(&self, other: &Self) -> bool {
        let bare = |input: &Self| Self { transcript: String::new(), more: None, flush: None, ..input.clone() };
        bare(self) == bare(other)
    }

    /// Whether more text follows.
    #[must_use]
    pub fn is_continued(&self) -> bool {
        self.more.unwrap_or(false)
    }
}

impl ClientMessage {
    /// No more speech of this context.
    #[must_use]
    pub fn cancel(context: impl Into<String>) -> Self {
        Self::Cancel(Cancel { context_id: context.into(), cancel: true })
    }

    /// The message as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }

    /// Reads a message strictly, for the simulator.
    ///
    /// # Errors
    /// With what the server answers in an `error` message.
    pub fn parse(text: &str) -> Result<Self, Box<Fault>> {
        let received: Value =
            serde_json::from_str(text).map_err(|_| Box::new(Fault::invalid(None, "the message is no JSON")))?;
        let context = received.get("context_id").and_then(Value::as_str).map(str::to_owned);
        let refuse =
            |problem: &str| Box::new(Fault::invalid(context.clone(), &problem.chars().take(200).collect::<String>()));
        if !received.is_object() {
            return Err(refuse("the message is no object"));
        }
        let message = if received.get("cancel").is_some() {
            Cancel::deserialize(&received).map(Self::Cancel)
        } else {
            Generate::deserialize(&received).map(|input| Self::Generate(Box::new(input)))
        };
        let message = message.map_err(|error| refuse(&error.to_string()))?;
        let understood = serde_json::to_value(&message).map_err(|error| refuse(&error.to_string()))?;
        // The vendor's SDK types every optional field as one that may be null.
        match first_difference(&received, &understood, &|_| true) {
            None => {}
            Some(Difference::Unknown(path)) => return Err(refuse(&format!("unknown field '{path}'"))),
            Some(Difference::Value(path) | Difference::Null(path)) => {
                return Err(refuse(&format!("invalid value of '{path}'")));
            }
        }
        message.check().map_err(|problem| refuse(&problem))?;
        Ok(message)
    }

    fn check(&self) -> Result<(), String> {
        let (context, input) = match self {
            Self::Cancel(Cancel { cancel: false, .. }) => return Err("'cancel' must be true".to_owned()),
            Self::Cancel(Cancel { context_id, .. }) => (context_id, None),
            Self::Generate(input) => (&input.context_id, Some(input)),
        };
        if context.is_empty() || context.chars().count() > CONTEXT_ID_CHARS_MAX {
            return Err("invalid value of 'context_id'".to_owned());
        }
        let Some(input) = input else { return Ok(()) };
        if !matches!(input.output_format.sample_rate, 8000 | 16_000 | 22_050 | 24_000 | 44_100 | 48_000) {
            return Err("invalid value of 'output_format.sample_rate'".to_owned());
        }
        if input.max_buffer_delay_ms.is_some_and(|delay| delay > BUFFER_DELAY_MS_MAX) {
            return Err("'max_buffer_delay_ms' must be between 0 and 5000".to_owned());
        }
        let config = input.generation_config.clone().unwrap_or_default();
        if config.speed.is_some_and(|speed| !(0.6..=1.5).contains(&speed)) {
            return Err("'generation_config.speed' must be between 0.6 and 1.5".to_owned());
        }
        if config.volume.is_some_and(|volume| !(0.5..=2.0).contains(&volume)) {
            return Err("'generation_config.volume' must be between 0.5 and 2.0".to_owned());
        }
        if input.voice.id.is_empty() {
            return Err("invalid value of 'voice.id'".to_owned());
        }
        // An empty text only ends or flushes a context.
        if input.transcript.is_empty() && input.is_continued() && input.flush != Some(true) {
            return Err("'transcript' must not be empty".to_owned());
        }
        Ok(())
    }
}
