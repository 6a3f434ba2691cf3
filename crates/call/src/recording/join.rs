//! The pieces of a call's epochs as one file, and its waveform.
//!
//! A recording of four hours has 230 MB, and whoever joins it holds a segment at a time: a [`Plan`] is made from the
//! segments' sizes alone and says, from the file's beginning to its end, what to fetch and where there is silence;
//! [`Peaks`] listens to what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{MOMENT_BYTES, SEGMENT_BYTES, bytes_of};
use crate::audio::PHONE_RATE;
use crate::audio::mulaw;
use crate::audio::wav::{Encoding, Header};

/// The longest file, in milliseconds: ten epochs of calls that Twilio ends after four hours. What lies beyond is left
/// out, because only a broken clock gets there.
const FILE_MS_MAX: u64 = 5 * 3_600_000;

/// Peaks of a waveform that a page can draw; longer calls get coarser ones.
const PEAKS_MAX: u64 = 30_000;

/// The grains a waveform may have, in milliseconds.
const STEPS_MS: [u32; 3] = [20, 50, 100];

/// The recorded segments of one epoch, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Milliseconds from the start of the call's first stream to the start of this one's.
    pub offset_ms: u64,
    /// Number and size in bytes of each segment, in any order. A missing one is silence.
    pub segments: Vec<(u32, u64)>,
}

/// What a file is made of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Nothing was recorded. Never longer than a segment.
    Silence {
        /// For so many bytes.
        bytes: usize,
    },
    /// A part of a segment.
    Audio {
        /// The segment's epoch.
        epoch: u32,
        /// Its number.
        n: u32,
        /// Which of its bytes.
        range: Range<usize>,
    },
}

impl Stretch {
    /// How much of the file it fills.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Silence { bytes } => *bytes,
            Self::Audio { range, .. } => range.len(),
        }
    }
}

/// How a call's file comes to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    stretches: Vec<Stretch>,
    bytes: usize,
}

impl Plan {
    /// Places all segments. Where two epochs overlap, because an offset was taken by a wall clock, the later one is
    /// heard.
    #[must_use]
    pub fn new(epochs: &BTreeMap<u32, Epoch>) -> Self {
        let mut placed: Vec<(Range<usize>, u32, u32)> = Vec::new();
        for (&epoch, Epoch { offset_ms, segments }) in epochs {
            let start = bytes_of((*offset_ms).min(FILE_MS_MAX));
            for &(n, bytes) in segments {
                let at = (n as usize).saturating_mul(SEGMENT_BYTES).saturating_add(start);
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(SEGMENT_BYTES);
                let end = at.saturating_add(bytes / MOMENT_BYTES * MOMENT_BYTES);
                if end <= bytes_of(FILE_MS_MAX) && end > at {
                    placed.push((at..end, epoch, n));
                }
            }
        }
        // From border to border one segment is heard: of those that reach over it, the one placed last.
        let mut borders: BTreeMap<usize, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (which, (place, ..)) in placed.iter().enumerate() {
            borders.entry(place.start).or_default().0.push(which);
            borders.entry(place.end).or_default().1.push(which);
        }
        let mut plan = Self { stretches: Vec::new(), bytes: 0 };
        let mut open: BTreeSet<usize> = BTreeSet::new();
        for (border, (begin, end)) in borders {
            match open.last().map(|which| &placed[*which]) {
                None => plan.silence(border),
                Some((place, epoch, n)) => plan.audio(border, place.start, *epoch, *n),
            }
            open.extend(begin);
            for which in end {
                open.remove(&which);
            }
        }
        plan
    }

    fn silence(&mut self, until: usize) {
        while self.bytes < until {
            let bytes = (until - self.bytes).min(SEGMENT_BYTES);
            self.stretches.push(Stretch::Silence { bytes });
            self.bytes += bytes;
        }
    }

    fn audio(&mut self, until: usize, start: usize, epoch: u32, n: u32) {
        let range = self.bytes - start..until - start;
        self.bytes = until;
        // A border of a segment that is not heard is none.
        if let Some(Stretch::Audio { epoch: before, n: n_before, range: so_far }) = self.stretches.last_mut()
            && (*before, *n_before, so_far.end) == (epoch, n, range.start)
        {
            so_far.end = range.end;
            return;
        }
        self.stretches.push(Stretch::Audio { epoch, n, range });
    }

    /// What the file begins with: a stereo mu-law WAV's header.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        Header { encoding: Encoding::MuLaw, rate: PHONE_RATE, channels: 2 }.with_data(self.bytes as u64)
    }

    /// What follows it, without a gap.
    #[must_use]
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// The ear for its waveform.
    #[must_use]
    pub fn peaks(&self) -> Peaks {
        let ms = (self.bytes / bytes_of(1)) as u64;
        let coarsest = STEPS_MS[STEPS_MS.len() - 1];
        let step_ms = STEPS_MS.into_iter().find(|&step| ms / u64::from(step) <= PEAKS_MAX).unwrap_or(coarsest);
        Peaks { waveform: Waveform { step_ms, caller: Vec::new(), agent: Vec::new() }, heard: 0, loudest: [0; 2] }
    }
}

/// How loud both voices are: for each step the highest level, 0 for silence to 255 for the loudest possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waveform {
    /// The length of a step, in milliseconds.
    pub step_ms: u32,
    /// The caller's peaks.
    pub caller: Vec<u8>,
    /// The agent's peaks.
    pub agent: Vec<u8>,
}

/// Listens to a file while it is written, and draws its waveform.
#[derive(Clone, Debug)]
pub struct Peaks {
    waveform: Waveform,
    /// Bytes of the step that is open.
    heard: usize,
    loudest: [u16; 2],
}

impl Peaks {
    /// Hears the next bytes of the file, headers excluded.
    pub fn hear(&mut self, mut stereo: &[u8]) {
        let step = bytes_of(u64::from(self.waveform.step_ms));
        while !stereo.is_empty() {
            let (now, later) = stereo.split_at(stereo.len().min(step - self.heard));
            for (place, &code) in now.iter().enumerate() {
                let side = &mut self.loudest[(self.heard + place) % MOMENT_BYTES];
                *side = (*side).max(mulaw::decode(code).unsigned_abs());
            }
            self.heard += now.len();
            if self.heard == step {
                self.close();
            }
            stereo = later;
        }
    }

    /// The waveform of all that was heard.
    #[must_use]
    pub fn finish(mut self) -> Waveform {
        if self.heard > 0 {
            self.close();
        }
        self.waveform
    }

    fn close(&mut self) {
        let [caller, agent] = self.loudest.map(|loudest| u8::try_from(loudest >> 7).unwrap_or(u8::MAX));
        self.waveform.caller.push(caller);
        self.waveform.agent.push(agent);
        (self.heard, self.loudest) = (0, [0; 2]);
    }
}
