//! What a simulated phone is told before its stream starts, and a switch for everything Twilio does not document.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::twilio::sid::{AccountSid, CallSid, StreamSid};

/// One stream of one call.
#[derive(Debug, Clone)]
pub struct PhoneConfig {
    /// The account that owns the call.
    pub account_sid: AccountSid,
    /// The call's leg.
    pub call_sid: CallSid,
    /// The stream.
    pub stream_sid: StreamSid,
    /// The `<Parameter>`s of the TwiML.
    pub custom_parameters: BTreeMap<String, String>,
    /// How unevenly the caller's audio leaves Twilio.
    pub pacing: Pacing,
    /// What the line sounds like while the caller does not speak.
    pub line: Line,
    /// What the records hold on to.
    pub keep: Keep,
    /// What Twilio does not document.
    pub unknowns: Unknowns,
}

impl PhoneConfig {
    /// A phone on an ideal line.
    pub fn new(account_sid: AccountSid, call_sid: CallSid, stream_sid: StreamSid) -> Self {
        Self {
            account_sid,
            call_sid,
            stream_sid,
            custom_parameters: BTreeMap::new(),
            pacing: Pacing::default(),
            line: Line::Silent,
            keep: Keep::Everything,
            unknowns: Unknowns::default(),
        }
    }
}

/// How unevenly the caller's audio leaves Twilio. The order of messages never changes: they travel on one TCP stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pacing {
    /// Each frame is late by a random time up to this.
    pub jitter: Duration,
    /// Frames sometimes wait for one another and leave together.
    pub bunching: Option<Bunching>,
    /// The chance, 0 to 1, that a frame was lost on its way to Twilio: its timestamp is skipped, its number is not.
    pub loss: f64,
    /// The chance, 0 to 1, that Twilio drops a frame under congestion (31930): its number is skipped too.
    pub congestion: f64,
    /// Times at which nothing at all leaves Twilio.
    pub stalls: Vec<Stall>,
    /// Stalls of the given length at random times.
    pub random_stalls: Option<RandomStalls>,
}

/// Frames that leave together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bunching {
    /// The chance, 0 to 1, that a frame is the first of a bunch.
    pub chance: f64,
    /// Frames in a bunch, at least 2.
    pub frames: u32,
}

/// A time at which nothing passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// When, after the start of the stream (or of the delay line).
    pub after: Duration,
    /// For how long.
    pub length: Duration,
}

/// Stalls that come by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomStalls {
    /// The chance, 0 to 1, that a stall begins with a given frame.
    pub chance: f64,
    /// The longest; each is a random part of it.
    pub longest: Duration,
}

/// The sound of a line on which nobody speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Line {
    /// The mu-law code of zero.
    #[default]
    Silent,
    /// The lowest few codes at random, about -70 dBFS: silence to any detector, and never twice the same bytes.
    Noisy,
}

/// What the records hold on to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// Every byte heard and every frame sent, for at most four hours: the longest call Twilio allows by default.
    #[default]
    Everything,
    /// Times and totals without audio, for hundreds of phones in one process.
    Figures,
}

/// What Twilio does not document about a stream. The defaults are what its users report, or the strictest reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknowns {
    /// Audio that has left the queue and is still played after a `clear`.
    pub tail_after_clear: Duration,
    /// The close code after `stop`; without one the connection is just dropped.
    pub close_code_after_stop: Option<u16>,
    /// The time between `stop` and the close.
    pub close_delay_after_stop: Duration,
    /// The timestamp of the first frame; Twilio's own example begins at 5 ms.
    pub first_timestamp: Duration,
    /// Whether a pressed key can also be heard in the audio.
    pub tone_in_audio: bool,
    /// Whether, and how often, Twilio sends a WebSocket ping.
    pub ping_every: Option<Duration>,
}

impl Default for Unknowns {
    fn default() -> Self {
        Self {
            tail_after_clear: Duration::from_millis(40),
            close_code_after_stop: Some(1000),
            close_delay_after_stop: Duration::ZERO,
            first_timestamp: Duration::ZERO,
            tone_in_audio: false,
            ping_every: None,
        }
    }
}
