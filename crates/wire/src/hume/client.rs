//! What the client says to EVI.
//!
//! Written minimally: a field that is not set is not sent. Read strictly, by the simulator only: wrong structure is
//! answered as EVI answers it. EVI does not publish whether it refuses unknown fields; here they are refused, so that a
//! mistake of ours cannot hide.
//!
//! Audio may also go up as a binary frame that holds nothing but the bytes. That saves a third of the bandwidth, and
//! three of Hume's own SDK paths do it, but only the JSON form is documented, so that is what we send.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ErrorCode;
use super::server::ErrorMessage;
use super::session::SessionSettings;
use super::tool::{ToolError, ToolResponse};
use crate::faithful::{Difference, first_difference};

/// Any message that a client may send. (Hume: "Chat" reference, publish events)
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClientMessage<'a> {
    /// Audio of the caller.
    AudioInput(AudioInput<'a>),
    /// Settings for this chat.
    SessionSettings(Box<SessionSettings>),
    /// Text as if the caller had said it.
    UserInput(UserInput),
    /// Text for EVI to say.
    AssistantInput(AssistantInput),
    /// A tool's result.
    ToolResponse(ToolResponse),
    /// A tool's failure.
    ToolError(ToolError),
    /// EVI shall listen but not answer.
    Pause(PauseAssistantMessage),
    /// EVI shall answer again.
    Resume(ResumeAssistantMessage),
}

/// Audio of the caller, in the declared encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "audio_input")]
pub struct AudioInput<'a> {
    /// Base64 of the bytes. 20 ms at a time are recommended.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
    /// Our own id for the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// Text as if the caller had said it. EVI answers aloud.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "user_input")]
pub struct UserInput {
    /// The words.
    pub text: String,
    /// Our own id for the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// Text that EVI speaks and takes into the conversation as its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "assistant_input")]
pub struct AssistantInput {
    /// The words.
    pub text: String,
    /// Our own id for the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// EVI goes on listening and transcribing but does not answer. Audio made already may still come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "pause_assistant_message")]
pub struct PauseAssistantMessage {
    /// Our own id for the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// EVI answers again: only the last thing that was said, with the rest as context.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "resume_assistant_message")]
pub struct ResumeAssistantMessage {
    /// Our own id for the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// Appends the `audio_input` message for these bytes to `out`: the one message that is sent fifty times a second, so it
/// is written without an intermediate string.
pub fn write_audio_input(audio: &[u8], out: &mut String) {
    out.push_str(r#"{"type":"audio_input","data":""#);
    STANDARD.encode_string(audio, out);
    out.push_str("\"}");
}

impl AudioInput<'_> {
    /// The message for these bytes.
    #[must_use]
    pub fn from_bytes(audio: &[u8]) -> Self {
        Self { data: Cow::Owned(STANDARD.encode(audio)), custom_session_id: None }
    }

    /// The bytes.
    ///
    /// # Errors
    /// If the data is not Base64 with the standard alphabet and padding; EVI's code for it is `E0201`.
    pub fn decode(&self) -> Result<Vec<u8>, ClientError> {
        STANDARD.decode(self.data.as_bytes()).map_err(|_| ClientError::NotBase64)
    }
}

impl<'a> ClientMessage<'a> {
    /// Reads a message as strictly as EVI does, for the simulator.
    ///
    /// # Errors
    /// With what EVI answers; the chat goes on.
    pub fn parse(text: &'a str) -> Result<Self, ClientError> {
        let Head { kind } = serde_json::from_str(text).map_err(|error| head_error(text, &error))?;
        match kind.as_ref() {
            "audio_input" => {
                let strict: StrictAudioInput<'a> = serde_json::from_str(text).map_err(|error| payload(&error))?;
                Ok(Self::AudioInput(AudioInput { data: strict.data, custom_session_id: strict.custom_session_id }))
            }
            "session_settings" => Ok(Self::SessionSettings(Box::new(read(text)?))),
            "user_input" => Ok(Self::UserInput(read(text)?)),
            "assistant_input" => Ok(Self::AssistantInput(read(text)?)),
            "tool_response" => Ok(Self::ToolResponse(read(text)?)),
            "tool_error" => Ok(Self::ToolError(read(text)?)),
            "pause_assistant_message" => Ok(Self::Pause(read(text)?)),
            "resume_assistant_message" => Ok(Self::Resume(read(text)?)),
            other => Err(ClientError::Payload(shorten(&format!("unknown message type `{other}`")))),
        }
    }

    /// The message as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// As [`AudioInput`], but refusing unknown fields while reading: fifty of these come per second and call, too many for
/// the comparison that all others go through.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictAudioInput<'a> {
    #[expect(dead_code, reason = "named so that it is not an unknown field")]
    #[serde(rename = "type")]
    kind: serde::de::IgnoredAny,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(default)]
    custom_session_id: Option<String>,
}

fn read<T: Serialize + serde::de::DeserializeOwned>(text: &str) -> Result<T, ClientError> {
    let received: Value = serde_json::from_str(text).map_err(|error| payload(&error))?;
    let message: T = T::deserialize(&received).map_err(|error| payload(&error))?;
    let understood = serde_json::to_value(&message).map_err(|error| payload(&error))?;
    // Every optional field of a client message may be null.
    match first_difference(&received, &understood, &|_| true) {
        None => Ok(message),
        Some(Difference::Unknown(path)) => Err(ClientError::Payload(shorten(&format!("unknown field `{path}`")))),
        Some(Difference::Value(path) | Difference::Null(path)) => {
            Err(ClientError::Payload(shorten(&format!("unexpected value of `{path}`"))))
        }
    }
}

/// A client message that EVI would refuse, without closing the socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The frame was not JSON.
    #[error("the message is not valid JSON")]
    NotJson,
    /// JSON, but not a message: a field is missing, unknown or of the wrong type.
    #[error("{0}")]
    Payload(String),
    /// Audio that is not Base64.
    #[error("the audio data is not valid Base64")]
    NotBase64,
}

impl ClientError {
    /// The code EVI gives it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotJson => ErrorCode::NotJson,
            Self::Payload(_) => ErrorCode::PayloadParse,
            Self::NotBase64 => ErrorCode::NotBase64,
        }
    }

    /// The `error` message EVI answers with.
    #[must_use]
    pub fn to_message(&self, request_id: Option<String>) -> ErrorMessage {
        ErrorMessage::new(self.code(), self.to_string(), request_id)
    }
}

fn head_error(text: &str, error: &serde_json::Error) -> ClientError {
    // A fault in the type can be found before a fault in the syntax further on.
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => payload(error),
        Err(_) => ClientError::NotJson,
    }
}

fn payload(error: &serde_json::Error) -> ClientError {
    ClientError::Payload(shorten(&error.to_string()))
}

/// Long enough to say what is wrong, too short to send a whole message back.
fn shorten(message: &str) -> String {
    message.chars().take(200).collect()
}
