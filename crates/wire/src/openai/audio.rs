//! The sound of a session: formats, turn detection, transcription, noise reduction, voice.
//!
//! The same types stand in an update and in the effective session.

use serde::{Deserialize, Serialize};

use super::session::Change;

/// Everything about sound.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AudioUpdate {
    /// The caller's side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputUpdate>,
    /// The voice's side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputUpdate>,
}

/// The caller's side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InputUpdate {
    /// What is appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<AudioFormat>,
    /// Runs before turn detection and model.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    pub noise_reduction: Change<NoiseReduction>,
    /// Off unless set.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    pub transcription: Change<Transcription>,
    /// Off: the client commits and asks for each response itself.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    pub turn_detection: Change<TurnDetection>,
}

/// The voice's side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputUpdate {
    /// What comes in deltas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<AudioFormat>,
    /// Cannot change once audio was produced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<Voice>,
    /// 0.25 to 1.5, where 1 is as the voice speaks; changes only between turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
}

/// How audio is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum AudioFormat {
    /// G.711 mu-law at 8 kHz: what the telephone speaks.
    #[serde(rename = "audio/pcmu")]
    Pcmu,
    /// G.711 A-law at 8 kHz.
    #[serde(rename = "audio/pcma")]
    Pcma,
    /// 16-bit PCM.
    #[serde(rename = "audio/pcm")]
    Pcm {
        /// Samples per second; only 24000 is documented.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<u32>,
    },
}

/// Noise reduction on the caller's side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseReduction {
    /// How far the mouth is from the microphone.
    #[serde(rename = "type")]
    pub kind: NoiseReductionKind,
    /// How strong; 1 when first switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
}

/// How far the mouth is from the microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseReductionKind {
    /// A handset or headphones.
    NearField,
    /// A speakerphone or a room.
    FarField,
}

/// Transcription of the caller; a separate pass, in its own time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcription {
    /// Which model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The language spoken, such as `en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// A hint, for the models that take one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Languages that may be spoken, for the models that take several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// Words to expect, for the models that take them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keywords: Option<Vec<String>>,
    /// How long a model may wait to be surer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
}

/// Who decides that the caller has finished, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TurnDetection {
    /// By silence.
    ServerVad(ServerVad),
    /// By what was said.
    SemanticVad(SemanticVad),
}

/// Turn detection by silence. Published defaults contradict each other, so we always set what we rely on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerVad {
    /// How loud speech is, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How much audio before the speech belongs to it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_padding_ms: Option<u32>,
    /// How much silence ends a turn, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_duration_ms: Option<u32>,
    /// Whether a response follows by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_response: Option<bool>,
    /// Whether speech cancels a running response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupt_response: Option<bool>,
    /// After how long a silence since the voice was heard to the end the model speaks by itself, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u32>,
}

/// Turn detection by what was said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemanticVad {
    /// How soon it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eagerness: Option<Eagerness>,
    /// Whether a response follows by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_response: Option<bool>,
    /// Whether speech cancels a running response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupt_response: Option<bool>,
}

/// How soon semantic turn detection answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Eagerness {
    /// Waits up to 8 s.
    Low,
    /// Waits up to 4 s.
    Medium,
    /// Waits up to 2 s.
    High,
    /// The same as medium.
    Auto,
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Voice {
    /// One of the vendor's: `marin`, `cedar` and others.
    Name(String),
    /// One's own.
    Custom {
        /// `voice_…`
        id: String,
    },
}
