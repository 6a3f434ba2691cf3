//! Every frame of the caller's voice: what was in it, when it left, and whether it left at all.

use std::time::{Duration, Instant};

use call::audio::mulaw;

use super::config::Keep;

/// Four hours of frames: Twilio's default limit for a call.
const FRAMES_MAX: usize = 4 * 3600 * 50;

/// 20 ms of the caller's side of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentFrame {
    /// When its message left, or would have left.
    pub at: Instant,
    /// Its position: milliseconds since the stream began, as in the message.
    pub timestamp: Duration,
    /// The chunk number in the message; 0 for a frame that was lost before it got one.
    pub chunk: u64,
    /// Its mu-law bytes.
    pub audio: [u8; 160],
    /// Whether the caller was speaking or pressing a key in it.
    pub speech: bool,
    /// What became of it.
    pub fate: Fate,
}

impl SentFrame {
    /// Whether anything is to be heard in it.
    pub fn is_silent(&self) -> bool {
        mulaw::is_silent(&self.audio)
    }

    /// Whether the server had a chance to get it.
    pub fn was_delivered(&self) -> bool {
        self.fate == Fate::Delivered
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was handed to the socket.
    Delivered,
    /// It never reached Twilio: the next timestamp jumps, the chunk numbers do not.
    LostOnLine,
    /// Twilio dropped it because the server was slow to read (31930): the chunk numbers jump too.
    DroppedUnderCongestion,
}

/// The frames of one stream.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    keep: Keep,
    frames: Vec<SentFrame>,
    delivered: u64,
}

impl Sent {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, frames: Vec::new(), delivered: 0 }
    }

    pub(super) fn add(&mut self, frame: SentFrame) {
        self.delivered += u64::from(frame.was_delivered());
        if self.keep == Keep::Everything && self.frames.len() < FRAMES_MAX {
            self.frames.push(frame);
        }
    }

    /// Takes back a frame that the socket refused after all.
    pub(super) fn dropped_under_congestion(&mut self, chunk: u64) {
        self.delivered = self.delivered.saturating_sub(1);
        if let Some(frame) = self.frames.iter_mut().rev().find(|frame| frame.chunk == chunk) {
            frame.fate = Fate::DroppedUnderCongestion;
        }
    }

    pub(super) fn frames(&self) -> &[SentFrame] {
        &self.frames
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }
}
