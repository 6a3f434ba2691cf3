//! What one connection brought: the evidence that tests compare with what was sent.

use std::time::Instant;

use wire::hume::session::SessionSettings;
use wire::hume::tool::{ToolError, ToolResponse};

use super::socket::Ended;

/// More audio of one chat is not kept: half an hour of linear16 at 8 kHz is 29 MB.
const MOST_AUDIO_BYTES: usize = 32 * 1024 * 1024;

/// More entries of a list are not kept; no conversation of half an hour has as many.
const MOST_ENTRIES: usize = 4_096;

/// What one chat received and said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The id of the chat.
    pub chat_id: String,
    /// The group it belongs to.
    pub chat_group_id: String,
    /// The `custom_session_id` that the client gave, at connect or later.
    pub custom_session_id: Option<String>,
    /// Whether it continues an earlier chat.
    pub resumed: bool,
    /// Every byte of audio, in order, exactly as received. Empty where the configuration does not keep it.
    pub audio: Vec<u8>,
    /// Bytes of audio received, also where they are not kept.
    pub audio_bytes: u64,
    /// Messages or binary frames that carried audio.
    pub audio_messages: u64,
    /// Settings given at connect and later, in order.
    pub settings: Vec<SessionSettings>,
    /// What tools answered.
    pub tool_responses: Vec<ToolResponse>,
    /// What tools failed with.
    pub tool_errors: Vec<ToolError>,
    /// Tools that were called, by name.
    pub tool_calls: Vec<String>,
    /// Texts of `user_input`.
    pub user_inputs: Vec<String>,
    /// Texts of `assistant_input`.
    pub assistant_inputs: Vec<String>,
    /// What the caller was understood to say.
    pub heard: Vec<String>,
    /// Sentences whose audio was sent, at least in part.
    pub said: Vec<Said>,
    /// Interruptions by the caller's voice.
    pub interruptions: u32,
    /// Errors that were answered, by code.
    pub errors: Vec<String>,
    /// How it ended; still open without.
    pub ended: Option<(Instant, Ended)>,
}

/// A sentence of EVI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The message id, also that of its audio.
    pub id: String,
    /// The words.
    pub text: String,
    /// When its first audio was sent.
    pub at: Option<Instant>,
    /// How much of its audio was sent, in milliseconds.
    pub sent_ms: u64,
    /// How much it has, in milliseconds.
    pub whole_ms: u64,
}

impl Record {
    pub(crate) fn hear(&mut self, audio: &[u8], keep: bool) {
        self.audio_messages += 1;
        self.audio_bytes += audio.len() as u64;
        if keep && self.audio.len() + audio.len() <= MOST_AUDIO_BYTES {
            self.audio.extend_from_slice(audio);
        }
    }
}

/// Appends while there is room.
pub(crate) fn note<T>(list: &mut Vec<T>, entry: T) {
    if list.len() < MOST_ENTRIES {
        list.push(entry);
    }
}
