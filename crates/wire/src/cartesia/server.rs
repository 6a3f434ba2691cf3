//! What the voice says. (Cartesia: API reference, "TTS WebSocket")

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::error::Fault;
pub use crate::lenient::NotBase64;
use crate::lenient::{decode_base64, if_understood, or_default};
pub use crate::parse_error::ParseError;

/// Any message that the server may send.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage<'a> {
    /// Audio. Any number of bytes; faster than it is heard.
    Chunk(Chunk<'a>),
    /// The times of words.
    Timestamps(Timestamps),
    /// The times of sounds.
    PhonemeTimestamps(PhonemeTimestamps),
    /// All audio of what was sent before a flush has come.
    FlushDone(FlushDone),
    /// All audio of a context has come.
    Done(Done),
    /// Something went wrong: the context it names is over.
    Error(Fault),
    /// A message that came later than this program.
    #[serde(untagged)]
    Unknown(Unknown),
}

/// Audio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Chunk<'a> {
    /// Whose.
    pub context_id: Cow<'a, str>,
    /// Base64; read it with [`Chunk::decode`].
    #[serde(borrow)]
    pub data: Cow<'a, str>,
    /// Always false: a [`Done`] ends a context.
    #[serde(default, deserialize_with = "or_default")]
    pub done: bool,
    /// 206.
    #[serde(default, deserialize_with = "or_default")]
    pub status_code: u16,
    /// How long the server worked on it, in milliseconds.
    #[serde(default, deserialize_with = "or_default")]
    pub step_time: f64,
    /// After how many flushes of the context.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub flush_id: Option<u64>,
}

/// The times of words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timestamps {
    /// Whose.
    pub context_id: String,
    /// Always false.
    #[serde(default, deserialize_with = "or_default")]
    pub done: bool,
    /// 206.
    #[serde(default, deserialize_with = "or_default")]
    pub status_code: u16,
    /// After how many flushes of the context.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub flush_id: Option<u64>,
    /// The words and their times.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub word_timestamps: Option<WordTimes>,
}

/// Words and when they are said: three lists of one length, in seconds from the beginning of the context's audio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WordTimes {
    /// The words.
    pub words: Vec<String>,
    /// Where each begins.
    pub start: Vec<f64>,
    /// Where each ends.
    pub end: Vec<f64>,
}

/// The times of sounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PhonemeTimestamps {
    /// Whose.
    pub context_id: String,
    /// Always false.
    #[serde(default, deserialize_with = "or_default")]
    pub done: bool,
    /// 206.
    #[serde(default, deserialize_with = "or_default")]
    pub status_code: u16,
    /// After how many flushes of the context.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub flush_id: Option<u64>,
    /// The sounds and their times.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub phoneme_timestamps: Option<PhonemeTimes>,
}

/// Sounds and when they are made, as in [`WordTimes`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PhonemeTimes {
    /// The sounds.
    pub phonemes: Vec<String>,
    /// Where each begins.
    pub start: Vec<f64>,
    /// Where each ends.
    pub end: Vec<f64>,
}

/// All audio of what was sent before a flush has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushDone {
    /// Whose.
    pub context_id: String,
    /// Always false.
    #[serde(default, deserialize_with = "or_default")]
    pub done: bool,
    /// Always true.
    #[serde(default, deserialize_with = "or_default")]
    pub flush_done: bool,
    /// Which flush of the context, from 1.
    #[serde(default, deserialize_with = "or_default")]
    pub flush_id: u64,
    /// 206.
    #[serde(default, deserialize_with = "or_default")]
    pub status_code: u16,
}

/// All audio of a context has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Whose.
    pub context_id: String,
    /// Always true.
    #[serde(default, deserialize_with = "or_default")]
    pub done: bool,
    /// 206 in the vendor's example.
    #[serde(default, deserialize_with = "or_default")]
    pub status_code: u16,
}

/// A message whose `type` is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Its `type`, cut to 64 characters.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One word and when it is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WordTime<'t> {
    /// The word.
    pub word: &'t str,
    /// In seconds from the beginning of the context's audio.
    pub start: f64,
    /// In seconds from the beginning of the context's audio.
    pub end: f64,
}

impl WordTimes {
    /// Word by word, as far as each has both times, and they are times.
    pub fn iter(&self) -> impl Iterator<Item = WordTime<'_>> {
        let times = self.start.iter().zip(&self.end);
        let sound = |time: f64| time.is_finite() && time >= 0.0;
        (self.words.iter().zip(times))
            .map(|(word, (&start, &end))| WordTime { word, start, end })
            .filter(move |word| sound(word.start) && sound(word.end) && word.start <= word.end)
    }
}

impl Chunk<'_> {
    /// Audio of a context.
    #[must_use]
    pub fn new(context_id: impl Into<String>, audio: &[u8], flush_id: Option<u64>) -> Self {
        let (context_id, data) = (Cow::Owned(context_id.into()), Cow::Owned(STANDARD.encode(audio)));
        Self { context_id, data, done: false, status_code: 206, step_time: 0.0, flush_id }
    }

    /// The audio, written into `out` in place of what was there.
    ///
    /// # Errors
    /// If it is not Base64.
    pub fn decode(&self, out: &mut Vec<u8>) -> Result<(), NotBase64> {
        decode_base64(&self.data, out)
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

impl<'a> ServerMessage<'a> {
    /// Reads a message leniently. Audio stays where it is, in `text`.
    ///
    /// # Errors
    /// If it is not JSON, or lacks what a call cannot do without.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let Head { kind } = serde_json::from_str(text).map_err(|_| ParseError::NotAMessage)?;
        read(&kind, text).map_err(|error| ParseError::Malformed { kind: kind.to_string(), column: error.column() })
    }

    /// The message as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }

    /// Whose it is, if it says so.
    #[must_use]
    pub fn context_id(&self) -> Option<&str> {
        match self {
            Self::Chunk(chunk) => Some(&chunk.context_id),
            Self::Timestamps(Timestamps { context_id, .. })
            | Self::PhonemeTimestamps(PhonemeTimestamps { context_id, .. })
            | Self::FlushDone(FlushDone { context_id, .. })
            | Self::Done(Done { context_id, .. }) => Some(context_id),
            Self::Error(fault) => fault.context_id.as_deref(),
            Self::Unknown(_) => None,
        }
    }
}

fn read<'a>(kind: &str, text: &'a str) -> Result<ServerMessage<'a>, serde_json::Error> {
    Ok(match kind {
        "chunk" => ServerMessage::Chunk(serde_json::from_str(text)?),
        "timestamps" => ServerMessage::Timestamps(serde_json::from_str(text)?),
        "phoneme_timestamps" => ServerMessage::PhonemeTimestamps(serde_json::from_str(text)?),
        "flush_done" => ServerMessage::FlushDone(serde_json::from_str(text)?),
        "done" => ServerMessage::Done(serde_json::from_str(text)?),
        "error" => ServerMessage::Error(serde_json::from_str(text)?),
        other => ServerMessage::Unknown(Unknown { kind: other.chars().take(64).collect() }),
    })
}
