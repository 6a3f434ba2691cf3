//! The recording: frames of two voices into stereo pieces while the call lasts, pieces into one file afterwards.
//!
//! Left is the caller, right the agent as heard, both by media time, in mu-law at 8 kHz: two bytes for each moment of
//! 125 us. Where nothing was recorded there is silence. Times are milliseconds from the start of an epoch's stream; an
//! epoch's place in the file is its offset from the start of the first stream.
//!
//! Frames may come in any order within [`LATE_MAX`]; one that comes later than that, or from an implausible time, is
//! counted, not lost without a word. Where the pieces are kept is left to others.

mod join;

use crate::audio::mulaw::SILENCE;
use crate::io::Recorded;
use crate::journal::Speaker;
use crate::limits::SAMPLES_PER_MS;

pub use join::{Epoch, Peaks, Plan, Stretch, Waveform};

/// The length of a segment as it is stored, in milliseconds: what a machine's loss may cost.
pub const SEGMENT_MS: u64 = 10_000;

/// Bytes of a whole segment.
pub const SEGMENT_BYTES: usize = bytes_of(SEGMENT_MS);

/// A frame may come this much after a later one, in milliseconds. Both voices are recorded within a lead and a network
/// stall of real time; more patience would cost memory in each call.
pub const LATE_MAX_MS: u64 = 2_000;

/// A frame this far ahead of all others, in milliseconds, has a broken clock: believing it would fill the file with
/// silence. It is longer than the watchdog lets a silent socket live.
pub const AHEAD_MAX_MS: u64 = 60_000;

/// Bytes of one moment: a sample of each voice.
pub const MOMENT_BYTES: usize = 2;

/// Bytes that so many milliseconds of both voices take.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "every machine this runs on has 64 bits")]
pub const fn bytes_of(ms: u64) -> usize {
    (ms * SAMPLES_PER_MS) as usize * MOMENT_BYTES
}

/// Stereo audio of one piece of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Counts pieces of this length from the start of the epoch, from 0.
    pub n: u32,
    /// Interleaved mu-law. Only the last piece of an epoch may be shorter than the others.
    pub audio: Vec<u8>,
}

/// What could not be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Frames that came after their piece was finished.
    pub late: u64,
    /// Frames from an implausible time.
    pub ahead: u64,
}

/// Cuts the two voices of one epoch into pieces of equal length.
#[derive(Clone, Debug)]
pub struct Segmenter {
    piece_samples: u64,
    /// The piece that `open` begins with.
    n: u32,
    /// Interleaved audio from the start of piece `n` on, as far as there is any.
    open: Vec<u8>,
    /// The end of the latest frame, in samples from the start of the epoch.
    newest: u64,
    lost: Lost,
}

impl Segmenter {
    /// Pieces of `piece_ms` milliseconds.
    #[must_use]
    pub fn new(piece_ms: u64) -> Self {
        Self {
            piece_samples: piece_ms.max(1) * SAMPLES_PER_MS,
            n: 0,
            open: Vec::new(),
            newest: 0,
            lost: Lost::default(),
        }
    }

    /// Goes on behind the first `n` pieces, which are finished elsewhere.
    #[must_use]
    pub fn resuming(piece_ms: u64, n: u32) -> Self {
        let this = Self::new(piece_ms);
        Self { newest: u64::from(n) * this.piece_samples, n, ..this }
    }

    /// Takes a frame and hands out the pieces that nothing can be added to any more.
    pub fn push(&mut self, frame: &Recorded, mut finished: impl FnMut(Piece)) {
        let at = frame.at_ms.saturating_mul(SAMPLES_PER_MS);
        if at > self.newest.saturating_add(AHEAD_MAX_MS * SAMPLES_PER_MS) {
            self.lost.ahead += 1;
            return;
        }
        let end = at.saturating_add(frame.audio.len() as u64);
        let begin = self.begin();
        if at < begin {
            self.lost.late += 1;
        }
        // The part of a late frame that still has a place is kept.
        let skipped = usize::try_from(begin.saturating_sub(at)).unwrap_or(usize::MAX);
        if let Some(audio) = frame.audio.get(skipped..).filter(|audio| !audio.is_empty()) {
            self.write(frame.track, at.max(begin), audio);
        }
        self.newest = self.newest.max(end);
        while self.newest >= self.begin() + self.piece_samples + LATE_MAX_MS * SAMPLES_PER_MS {
            let whole = usize::try_from(self.piece_samples).unwrap_or(usize::MAX).saturating_mul(MOMENT_BYTES);
            let rest = if self.open.len() > whole { self.open.split_off(whole) } else { Vec::new() };
            let mut audio = std::mem::replace(&mut self.open, rest);
            audio.resize(whole, SILENCE);
            finished(Piece { n: self.n, audio });
            self.n += 1;
        }
    }

    /// Hands out what is left. The epoch is over.
    pub fn finish(mut self, mut finished: impl FnMut(Piece)) -> Lost {
        let whole = usize::try_from(self.piece_samples).unwrap_or(usize::MAX).saturating_mul(MOMENT_BYTES);
        while !self.open.is_empty() {
            let rest = if self.open.len() > whole { self.open.split_off(whole) } else { Vec::new() };
            finished(Piece { n: self.n, audio: std::mem::replace(&mut self.open, rest) });
            self.n += 1;
        }
        self.lost
    }

    /// What could not be recorded so far.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.lost
    }

    fn begin(&self) -> u64 {
        u64::from(self.n) * self.piece_samples
    }

    fn write(&mut self, track: Speaker, at: u64, audio: &[u8]) {
        let first = usize::try_from(at - self.begin()).unwrap_or(usize::MAX).saturating_mul(MOMENT_BYTES);
        let end = first.saturating_add(audio.len() * MOMENT_BYTES);
        if self.open.len() < end {
            self.open.resize(end, SILENCE);
        }
        let side = match track {
            Speaker::Caller => 0,
            Speaker::Agent => 1,
        };
        for (moment, &code) in self.open[first..end].chunks_exact_mut(MOMENT_BYTES).zip(audio) {
            moment[side] = code;
        }
    }
}

#[cfg(test)]
mod tests;
