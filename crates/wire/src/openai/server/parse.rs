//! Reading a server message: its type first, then the body that goes with it.

use std::borrow::Cow;

use serde::Deserialize;

use super::{ServerEvent, ServerMessage, Unknown};
use crate::lenient::if_understood;
pub use crate::parse_error::ParseError;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, deserialize_with = "if_understood")]
    event_id: Option<String>,
}

impl<'a> ServerMessage<'a> {
    /// Reads a message. Audio data stays where it is, in `text`.
    ///
    /// # Errors
    /// If it is not JSON, or lacks what a call cannot do without.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let Head { kind, event_id } = serde_json::from_str(text).map_err(|_| ParseError::NotAMessage)?;
        // Only a known type reaches this: an unknown one has no body to be malformed.
        let event = read(&kind, text)
            .map_err(|error| ParseError::Malformed { kind: kind.to_string(), column: error.column() })?;
        Ok(Self { event, event_id: event_id.unwrap_or_default() })
    }
}

fn read<'a>(kind: &str, text: &'a str) -> Result<ServerEvent<'a>, serde_json::Error> {
    Ok(match kind {
        "session.created" => ServerEvent::SessionCreated(body(text)?),
        "session.updated" => ServerEvent::SessionUpdated(body(text)?),
        "conversation.created" => ServerEvent::ConversationCreated(body(text)?),
        "conversation.item.added" => ServerEvent::ItemAdded(body(text)?),
        "conversation.item.done" => ServerEvent::ItemDone(body(text)?),
        "conversation.item.created" => ServerEvent::ItemCreated(body(text)?),
        "conversation.item.retrieved" => ServerEvent::ItemRetrieved(body(text)?),
        "conversation.item.truncated" => ServerEvent::ItemTruncated(body(text)?),
        "conversation.item.deleted" => ServerEvent::ItemDeleted(body(text)?),
        "conversation.item.input_audio_transcription.delta" => ServerEvent::TranscriptionDelta(body(text)?),
        "conversation.item.input_audio_transcription.completed" => ServerEvent::TranscriptionCompleted(body(text)?),
        "conversation.item.input_audio_transcription.failed" => ServerEvent::TranscriptionFailed(body(text)?),
        "conversation.item.input_audio_transcription.segment" => ServerEvent::TranscriptionSegment(body(text)?),
        "input_audio_buffer.committed" => ServerEvent::Committed(body(text)?),
        "input_audio_buffer.cleared" => ServerEvent::Cleared(body(text)?),
        "input_audio_buffer.speech_started" => ServerEvent::SpeechStarted(body(text)?),
        "input_audio_buffer.speech_stopped" => ServerEvent::SpeechStopped(body(text)?),
        "input_audio_buffer.timeout_triggered" => ServerEvent::TimeoutTriggered(body(text)?),
        "response.created" => ServerEvent::ResponseCreated(body(text)?),
        "response.done" => ServerEvent::ResponseDone(body(text)?),
        "response.output_item.added" => ServerEvent::OutputItemAdded(body(text)?),
        "response.output_item.done" => ServerEvent::OutputItemDone(body(text)?),
        "response.content_part.added" => ServerEvent::ContentPartAdded(body(text)?),
        "response.content_part.done" => ServerEvent::ContentPartDone(body(text)?),
        "response.output_audio.delta" => ServerEvent::AudioDelta(body(text)?),
        "response.output_audio.done" => ServerEvent::AudioDone(body(text)?),
        "response.output_audio_transcript.delta" => ServerEvent::TranscriptDelta(body(text)?),
        "response.output_audio_transcript.done" => ServerEvent::TranscriptDone(body(text)?),
        "response.output_text.delta" => ServerEvent::TextDelta(body(text)?),
        "response.output_text.done" => ServerEvent::TextDone(body(text)?),
        "response.function_call_arguments.delta" => ServerEvent::ArgumentsDelta(body(text)?),
        "response.function_call_arguments.done" => ServerEvent::ArgumentsDone(body(text)?),
        "rate_limits.updated" => ServerEvent::RateLimits(body(text)?),
        "error" => ServerEvent::Error(body(text)?),
        other => ServerEvent::Unknown(Unknown { kind: other.chars().take(64).collect() }),
    })
}

fn body<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}
