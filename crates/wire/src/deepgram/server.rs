//! What the recogniser says. (Deepgram: Flux API reference, subscribe messages)
//!
//! The transcript of a turn is cumulative: each message holds all of it so far. `EagerEndOfTurn` says that the turn may
//! be over, `TurnResumed` takes that back, and the text of `EndOfTurn` is that of the eager event before it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::client::Thresholds;
use crate::lenient::{if_understood, or_default, understood_items};
pub use crate::parse_error::ParseError;

/// Any message that the server may send.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum ServerMessage {
    /// Always first; audio may come now.
    Connected(Connected),
    /// What was heard, and where the turn stands.
    TurnInfo(TurnInfo),
    /// The settings were changed.
    ConfigureSuccess(ConfigureSuccess),
    /// The settings were not changed; the stream goes on.
    ConfigureFailure(ConfigureFailure),
    /// Something is not as it should be; the stream goes on.
    Warning(Warning),
    /// The stream is over.
    Error(FatalError),
    /// A message that came later than this program.
    #[serde(untagged)]
    Unknown(Unknown),
}

/// The stream is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// The vendor's id of this stream.
    #[serde(default, deserialize_with = "or_default")]
    pub request_id: String,
    /// The message's place among all of this stream, from 0.
    #[serde(default, deserialize_with = "or_default")]
    pub sequence_id: u64,
}

/// What was heard, and where the turn stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnInfo {
    /// The vendor's id of this stream.
    #[serde(default, deserialize_with = "or_default")]
    pub request_id: String,
    /// The message's place among all of this stream, from 0.
    #[serde(default, deserialize_with = "or_default")]
    pub sequence_id: u64,
    /// What happened.
    pub event: TurnEvent,
    /// Which turn; one more right after each `EndOfTurn`.
    pub turn_index: u64,
    /// Where the turn's audio begins, in seconds of what was sent on this socket.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_window_start: f64,
    /// How far the audio was understood.
    #[serde(default, deserialize_with = "or_default")]
    pub audio_window_end: f64,
    /// All that was said in this turn so far.
    #[serde(default, deserialize_with = "or_default")]
    pub transcript: String,
    /// Word by word.
    #[serde(default, deserialize_with = "understood_items")]
    pub words: Vec<Word>,
    /// How sure the model is that the turn is over.
    #[serde(default, deserialize_with = "or_default")]
    pub end_of_turn_confidence: f64,
    /// What ended the turn; only on `EndOfTurn`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub trigger: Option<Trigger>,
    /// The languages that were spoken, the most frequent first; only with the multilingual model.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub languages: Option<Vec<String>>,
    /// The languages that were to be expected.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub languages_hinted: Option<Vec<String>>,
}

/// What happened to the turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TurnEvent {
    /// More audio was understood, or silence; nothing else.
    #[default]
    Update,
    /// The caller began to speak.
    StartOfTurn,
    /// The caller may have finished.
    EagerEndOfTurn,
    /// The caller had not finished.
    TurnResumed,
    /// The caller has finished.
    EndOfTurn,
    /// Something that came later.
    #[serde(other)]
    Other,
}

/// What ended a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The model was sure.
    Model,
    /// The client asked for it.
    Manual,
    /// The caller was silent for long.
    Timeout,
    /// Something that came later.
    #[serde(other)]
    Other,
}

/// One word.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// With its capitals and punctuation.
    pub word: String,
    /// How sure the model is of it.
    #[serde(default, deserialize_with = "or_default")]
    pub confidence: f64,
    /// In seconds of what was sent on this socket.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub start: Option<f64>,
    /// In seconds of what was sent on this socket.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub end: Option<f64>,
}

/// The settings were changed; they are all listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigureSuccess {
    /// The vendor's id of this stream.
    #[serde(default, deserialize_with = "or_default")]
    pub request_id: String,
    /// The message's place among all of this stream, from 0.
    #[serde(default, deserialize_with = "or_default")]
    pub sequence_id: u64,
    /// When a turn is over.
    #[serde(default, deserialize_with = "or_default")]
    pub thresholds: Thresholds,
    /// Words to expect.
    #[serde(default, deserialize_with = "understood_items")]
    pub keyterms: Vec<String>,
    /// Languages to expect.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub language_hints: Option<Vec<String>>,
    /// Whether numbers are written as digits.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub numerals: Option<bool>,
}

/// The settings were not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigureFailure {
    /// The vendor's id of this stream.
    #[serde(default, deserialize_with = "or_default")]
    pub request_id: String,
    /// The message's place among all of this stream, from 0.
    #[serde(default, deserialize_with = "or_default")]
    pub sequence_id: u64,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub code: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub description: Option<String>,
}

/// Something is not as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The vendor's id of this stream.
    #[serde(default, deserialize_with = "or_default")]
    pub request_id: String,
    /// The message's place among all of this stream, from 0.
    #[serde(default, deserialize_with = "or_default")]
    pub sequence_id: u64,
    /// Which.
    #[serde(default, deserialize_with = "or_default")]
    pub code: String,
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
}

/// The stream is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FatalError {
    /// The message's place among all of this stream, from 0.
    #[serde(default, deserialize_with = "or_default")]
    pub sequence_id: u64,
    /// Why, such as `INTERNAL_SERVER_ERROR`.
    #[serde(default, deserialize_with = "or_default")]
    pub code: String,
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
}

/// A message whose `type` is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Its `type`, cut to 64 characters.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

impl ServerMessage {
    /// Reads a message leniently.
    ///
    /// # Errors
    /// If it is not JSON, or lacks what a call cannot do without.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let Head { kind } = serde_json::from_str(text).map_err(|_| ParseError::NotAMessage)?;
        read(&kind, text).map_err(|error| ParseError::Malformed { kind: kind.to_string(), column: error.column() })
    }

    /// The message as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }
}

fn read(kind: &str, text: &str) -> Result<ServerMessage, serde_json::Error> {
    Ok(match kind {
        "Connected" => ServerMessage::Connected(serde_json::from_str(text)?),
        "TurnInfo" => ServerMessage::TurnInfo(serde_json::from_str(text)?),
        "ConfigureSuccess" => ServerMessage::ConfigureSuccess(serde_json::from_str(text)?),
        "ConfigureFailure" => ServerMessage::ConfigureFailure(serde_json::from_str(text)?),
        "Warning" => ServerMessage::Warning(serde_json::from_str(text)?),
        "Error" => ServerMessage::Error(serde_json::from_str(text)?),
        other => ServerMessage::Unknown(Unknown { kind: other.chars().take(64).collect() }),
    })
}
