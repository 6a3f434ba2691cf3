//! What one session brought: the evidence that tests compare with what was sent.

use std::time::Instant;

use wire::openai::response::ResponseStatus;
use wire::openai::session::SessionUpdate;

use crate::evi::Ended;

/// More audio of one session is not kept: an hour of mu-law is 29 MB.
const MOST_AUDIO_BYTES: usize = 32 * 1024 * 1024;

/// More entries of a list are not kept; no conversation of an hour has as many.
const MOST_ENTRIES: usize = 8_192;

/// What one session received and said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// `sess_…`
    pub session_id: String,
    /// The model in the address.
    pub model: String,
    /// Every byte of audio, in order, exactly as received. Empty where the configuration does not keep it.
    pub audio: Vec<u8>,
    /// Bytes of audio received, also where they are not kept.
    pub audio_bytes: u64,
    /// `input_audio_buffer.append` events.
    pub appends: u64,
    /// Accepted updates, in order.
    pub updates: Vec<SessionUpdate>,
    /// Types of all other accepted client events, in order.
    pub events: Vec<String>,
    /// Accepted truncations: the item, and what was heard of it in milliseconds.
    pub truncations: Vec<(String, u64)>,
    /// What tools answered: the call, and the output.
    pub tool_outputs: Vec<(String, String)>,
    /// Tools that were called, by name.
    pub tool_calls: Vec<String>,
    /// Texts that the client put into the conversation, each with its role.
    pub texts: Vec<(String, String)>,
    /// What the caller was understood to say.
    pub heard: Vec<String>,
    /// What the model said, response by response.
    pub said: Vec<Said>,
    /// How each response ended.
    pub responses: Vec<ResponseStatus>,
    /// Codes of the errors that were answered.
    pub errors: Vec<String>,
    /// How it ended; still open without.
    pub ended: Option<(Instant, Ended)>,
}

/// A spoken message of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The item.
    pub item_id: String,
    /// The words, all of them.
    pub text: String,
    /// When its first audio was sent.
    pub at: Option<Instant>,
    /// How much of its audio was sent, in milliseconds.
    pub sent_ms: u64,
    /// How much it would have been.
    pub whole_ms: u64,
}

impl Record {
    pub(crate) fn hear(&mut self, audio: &[u8], keep: bool) {
        self.appends += 1;
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
