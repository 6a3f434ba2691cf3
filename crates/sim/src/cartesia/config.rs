//! How a simulated Cartesia behaves, and what it keeps of a socket.

use std::ops::Range;
use std::time::Duration;

use wire::cartesia::{CONTEXT_EXPIRY, SOCKET_IDLE_MAX};

/// Everything about a simulated Cartesia except its faults: a switch for everything that is not published.
#[derive(Debug, Clone, PartialEq)]
pub struct CartesiaConfig {
    /// Accepted keys. Empty: any that is not empty.
    pub api_keys: Vec<String>,
    /// Known models; any other ends its context with `model_not_found`. Empty: any.
    pub models: Vec<String>,
    /// Contexts that may be active at the same time, over all sockets; sockets may be ten times as many.
    pub concurrency: usize,
    /// From a text to its first audio.
    pub first_audio: Duration,
    /// How many times faster than real time audio is sent.
    pub speed: u32,
    /// How many bytes a chunk holds, by seed.
    pub chunk_bytes: Range<usize>,
    /// Whether the times of words can be had. (Restricted to some languages at times.)
    pub word_times: bool,
    /// A context without more text expires so long after its last audio was sent.
    pub context_expiry: Duration,
    /// Whether an expired context is reported as done. (Undocumented.)
    pub expiry_is_told: bool,
    /// What becomes of text for a context that is over. (Undocumented.)
    pub late_input: LateInput,
    /// How much audio of a cancelled context still comes: what was being made already.
    pub after_cancel: Duration,
    /// Whether a cancelled context is reported as done.
    pub cancel_is_told: bool,
    /// Whether each text of a context without buffering is reported as flushed.
    pub flush_each: bool,
    /// The status of `done`: 206 in the vendor's example.
    pub done_status: u16,
    /// Whether an error closes the socket. (Undocumented.)
    pub error_closes: bool,
    /// A socket without any message for so long is closed.
    pub idle_max: Duration,
    /// The close code then. (Undocumented.)
    pub idle_close: u16,
}

/// What becomes of text for a context that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateInput {
    /// An error names the context.
    Refused,
    /// Nothing at all.
    Ignored,
    /// A new context of that name begins.
    Begins,
}

impl Default for CartesiaConfig {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            models: ["sonic-3.5", "sonic-3", "sonic-3.5-2026-05-04", "sonic-3-2026-01-12", "sonic-3-2025-10-27"]
                .map(str::to_owned)
                .to_vec(),
            concurrency: 15,
            first_audio: Duration::from_millis(100),
            speed: 4,
            chunk_bytes: 700..1_900,
            word_times: true,
            context_expiry: CONTEXT_EXPIRY,
            expiry_is_told: true,
            late_input: LateInput::Refused,
            after_cancel: Duration::from_millis(300),
            cancel_is_told: true,
            flush_each: false,
            done_status: 206,
            error_closes: false,
            idle_max: SOCKET_IDLE_MAX,
            idle_close: 1000,
        }
    }
}

/// What one socket brought and said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The vendor's id of it.
    pub request_id: String,
    /// The dialect that was asked for.
    pub version: String,
    /// What was spoken, in order.
    pub spoken: Vec<Spoken>,
    /// Contexts that the client cancelled.
    pub cancelled: Vec<String>,
    /// Contexts that expired.
    pub expired: Vec<String>,
    /// Contexts that came to their end.
    pub done: Vec<String>,
    /// What was wrong with the client's messages.
    pub errors: Vec<String>,
}

/// One piece of text that was spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// In which context.
    pub context_id: String,
    /// The text.
    pub text: String,
    /// Whether all of it was recorded.
    pub recorded: bool,
    /// How long it is.
    pub length: Duration,
}

/// More entries of one kind are not kept.
const MOST_NOTES: usize = 1_000;

/// Keeps one more, while there is room.
pub(crate) fn note<T>(notes: &mut Vec<T>, entry: T) {
    if notes.len() < MOST_NOTES {
        notes.push(entry);
    }
}
