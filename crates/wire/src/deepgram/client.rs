//! What the client says beside audio.
//!
//! Written minimally: a field that is not set is not sent, and stays as it was. The simulator reads it with
//! [`ClientMessage::parse`]. There is no `KeepAlive` and no `Finalize` on this socket; both belong to `/v1/listen`.
//! (Deepgram: Flux API reference, publish messages)

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::connect::{EAGER_RANGE, EOT_RANGE, EOT_TIMEOUT_MS, Model, Threshold};
use super::error::ErrorCode;
use crate::faithful::{Difference, first_difference};

/// Any text message that a client may send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ClientMessage {
    /// Changes the settings while the stream runs.
    Configure(Configure),
    /// The turn is over now, whatever the model thinks.
    ForceEndTurn {},
    /// No more audio comes. What is left of the turn comes as `Update`s; there is no `EndOfTurn` and no summary.
    CloseStream {},
}

/// What changes; what is left out stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configure {
    /// When a turn is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
    /// Words to expect; they replace those there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyterms: Option<Vec<String>>,
    /// Languages to expect; only with [`Model::Multi`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_hints: Option<Vec<String>>,
    /// Whether numbers are written as digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerals: Option<bool>,
}

/// When a turn is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// How sure of it the model must be to say that the turn may be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eager_eot_threshold: Option<Threshold>,
    /// How sure of it the model must be to end the turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eot_threshold: Option<Threshold>,
    /// After how much silence the turn is over whatever the model thinks, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eot_timeout_ms: Option<u32>,
}

/// Why a client's message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{description}")]
pub struct Unacceptable {
    /// Whether it is only a change that cannot be made; anything else ends the stream.
    pub failed_change: bool,
    /// Which kind of mistake.
    pub code: ErrorCode,
    /// For people.
    pub description: String,
}

impl ClientMessage {
    /// The message as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }

    /// Reads a message strictly, for the simulator: it is sent on a stream with this model and these thresholds.
    ///
    /// # Errors
    /// With what the server answers: a `ConfigureFailure`, or a fatal `Error`.
    pub fn parse(text: &str, model: Model, now: Thresholds) -> Result<Self, Unacceptable> {
        let received: Value = serde_json::from_str(text).map_err(|_| fatal("the message is not valid JSON"))?;
        let kind = received.get("type").and_then(Value::as_str).ok_or_else(|| fatal("the message has no type"))?;
        if !matches!(kind, "Configure" | "ForceEndTurn" | "CloseStream") {
            let shown: String = kind.chars().take(64).collect();
            return Err(fatal(&format!("unknown message type '{shown}'")));
        }
        let message = Self::deserialize(&received).map_err(|error| fatal(&short(&error.to_string())))?;
        let understood = serde_json::to_value(&message).map_err(|error| fatal(&short(&error.to_string())))?;
        match first_difference(&received, &understood, &|_| false) {
            None => {}
            Some(Difference::Unknown(path)) => return Err(fatal(&format!("unknown field '{}'", short(&path)))),
            Some(Difference::Value(path)) => return Err(fatal(&format!("invalid value of '{}'", short(&path)))),
            Some(Difference::Null(path)) => return Err(fatal(&format!("'{}' must not be null", short(&path)))),
        }
        if let Self::Configure(change) = &message {
            change.check(model, now)?;
        }
        Ok(message)
    }
}

impl Configure {
    fn check(&self, model: Model, now: Thresholds) -> Result<(), Unacceptable> {
        if self.language_hints.is_some() && model != Model::Multi {
            return Err(failed("language hints need the model flux-general-multi"));
        }
        for list in [&self.keyterms, &self.language_hints].into_iter().flatten() {
            if list.iter().any(String::is_empty) {
                return Err(failed("a key term or a language hint must not be empty"));
            }
        }
        let Some(change) = self.thresholds else { return Ok(()) };
        let then = now.changed_by(change);
        if then.eot_threshold.is_some_and(|value| !EOT_RANGE.contains(&value)) {
            return Err(failed("eot_threshold must be between 0.5 and 1.0"));
        }
        if then.eager_eot_threshold.is_some_and(|value| !EAGER_RANGE.contains(&value)) {
            return Err(failed("eager_eot_threshold must be between 0.3 and 0.9"));
        }
        if then.eot_timeout_ms.is_some_and(|value| !EOT_TIMEOUT_MS.contains(&value)) {
            return Err(failed("eot_timeout_ms must be between 500 and 60000"));
        }
        if then.eager_eot_threshold > Some(then.eot_threshold.unwrap_or_default()) {
            return Err(failed("eager_eot_threshold must not be above eot_threshold"));
        }
        Ok(())
    }
}

impl Thresholds {
    /// These, where `change` leaves them alone.
    #[must_use]
    pub fn changed_by(self, change: Self) -> Self {
        Self {
            eager_eot_threshold: change.eager_eot_threshold.or(self.eager_eot_threshold),
            eot_threshold: change.eot_threshold.or(self.eot_threshold),
            eot_timeout_ms: change.eot_timeout_ms.or(self.eot_timeout_ms),
        }
    }
}

fn fatal(description: &str) -> Unacceptable {
    Unacceptable { failed_change: false, code: ErrorCode::UnparsableMessage, description: description.to_owned() }
}

fn failed(description: &str) -> Unacceptable {
    Unacceptable { failed_change: true, code: ErrorCode::InvalidConfiguration, description: description.to_owned() }
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}
