//! How a simulated Flux behaves, and what it keeps of a stream.

use std::time::Duration;

use wire::deepgram::client::{Configure, Thresholds};
use wire::deepgram::connect::Listen;

/// Everything about a simulated Flux except its faults: a switch for everything that is not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeepgramConfig {
    /// Accepted keys. Empty: any that is not empty.
    pub api_keys: Vec<String>,
    /// Streams at the same time; one more is refused with 429.
    pub streams_max: usize,
    /// From the handshake to `Connected`.
    pub connected_delay: Duration,
    /// From a frame's processing to the message about it. (The vendor claims 260 ms to the end of a turn, silence
    /// included.)
    pub latency: Duration,
    /// How much audio is processed in a second, in hundredths of real time: what comes faster lags behind.
    pub speed_percent: u32,
    /// While audio comes, an `Update` is due this often.
    pub update_every: Duration,
    /// So much speech makes a `StartOfTurn`.
    pub start_after: Duration,
    /// After so much silence it is certain that the turn is over; before, the confidence grows evenly.
    pub certain_after: Duration,
    /// Without any message for so long the stream is closed with 1011. (Clients saw 20 to 30 s.)
    pub idle_max: Duration,
    /// How a stream is closed after a fatal `Error`; 1005 for no code. (Undocumented.)
    pub error_close: u16,
    /// Whether the words come with times. (The vendor's models leave them open.)
    pub word_times: bool,
    /// How much audio of a stream its [`Record`] keeps, in bytes.
    pub keep_audio: usize,
}

impl Default for DeepgramConfig {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            streams_max: 50,
            connected_delay: Duration::from_millis(30),
            latency: Duration::from_millis(80),
            speed_percent: 125,
            update_every: wire::deepgram::UPDATE_INTERVAL,
            start_after: Duration::from_millis(200),
            certain_after: Duration::from_millis(700),
            idle_max: Duration::from_secs(25),
            error_close: 1005,
            word_times: true,
            keep_audio: 0,
        }
    }
}

/// What one stream brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The vendor's id of it.
    pub request_id: String,
    /// How it was opened.
    pub listen: Listen,
    /// The thresholds as they are now.
    pub thresholds: Thresholds,
    /// Bytes of audio that came.
    pub audio_bytes: u64,
    /// Of which before `Connected` was sent.
    pub early_bytes: u64,
    /// The beginning of the audio, as far as it is kept.
    pub audio: Vec<u8>,
    /// The transcripts of ended turns.
    pub heard: Vec<String>,
    /// Changes that were asked for.
    pub changes: Vec<Configure>,
    /// How often the client ended a turn.
    pub forced: u32,
    /// Whether the client closed the stream in the proper way.
    pub closed_properly: bool,
    /// What was wrong with the client's messages.
    pub errors: Vec<String>,
}

/// More entries of one kind are not kept.
const MOST_NOTES: usize = 1_000;

/// Keeps one more, while there is room.
pub(crate) fn note<T>(notes: &mut Vec<T>, entry: T) {
    if notes.len() < MOST_NOTES {
        notes.push(entry);
    }
}
