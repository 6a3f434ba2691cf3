//! What a session is opened with: the agent's settings, and what was said before.

use wire::openai::item::Item;
use wire::openai::session::{
    AudioUpdate, Change, FunctionTool, InputUpdate, OutputUpdate, ServerVad, SessionUpdate, Tool, Transcription,
    TurnDetection, Voice,
};

use crate::agent::Script;
use crate::engine::conversation::belongs_to_conversation;
use crate::journal::{Speaker, Turn};

/// Audio before the detected speech that belongs to it: the vendor's own default, set because defaults differ by source.
const PREFIX_PADDING_MS: u32 = 300;

/// The model that writes down the caller's words, unless the agent names one.
const TRANSCRIPTION_MODEL: &str = "gpt-transcribe";

/// A turn as an item of a new session's conversation. Assistant audio cannot be created, text can.
pub(super) fn item(turn: &Turn) -> Option<Item> {
    let text = turn.heard_text.trim();
    belongs_to_conversation(turn).then(|| match turn.speaker {
        Speaker::Caller => Item::user_text(text),
        Speaker::Agent => Item::assistant_text(text),
    })
}

pub(super) fn update(script: &Script) -> SessionUpdate {
    let telephone = SessionUpdate::telephone();
    let AudioUpdate { input, output } = telephone.audio.clone().unwrap_or_default();
    let language = script.language.split('-').next().unwrap_or_default();
    let input = InputUpdate {
        transcription: Change::Set(Transcription {
            model: Some(script.openai.transcription_model.clone().unwrap_or_else(|| TRANSCRIPTION_MODEL.to_owned())),
            language: (!language.is_empty()).then(|| language.to_owned()),
            ..Transcription::default()
        }),
        turn_detection: Change::Set(TurnDetection::ServerVad(ServerVad {
            threshold: Some(f64::from(script.turn_taking.speech_threshold)),
            prefix_padding_ms: Some(PREFIX_PADDING_MS),
            silence_duration_ms: Some(script.turn_taking.end_of_turn_silence_ms),
            create_response: Some(true),
            interrupt_response: Some(true),
            idle_timeout_ms: None,
        })),
        ..input.unwrap_or_default()
    };
    let output = OutputUpdate {
        voice: script.openai.voice.clone().map(Voice::Name),
        speed: script.openai.speed.map(f64::from),
        ..output.unwrap_or_default()
    };
    let tools = script.tools.iter().map(|tool| {
        Tool::Function(FunctionTool {
            name: tool.name.clone(),
            description: (!tool.description.is_empty()).then(|| tool.description.clone()),
            parameters: serde_json::from_str(tool.schema()).ok(),
        })
    });
    SessionUpdate {
        instructions: Some(script.instructions.clone()),
        tools: Some(tools.collect()),
        audio: Some(AudioUpdate { input: Some(input), output: Some(output) }),
        ..telephone
    }
}
