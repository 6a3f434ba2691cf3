//! What the ear heard: every byte with its time, every gap, every mark, every `clear`.
//!
//! This is the truth that transcripts, truncations and latencies are measured against.

use std::time::{Duration, Instant};

use call::audio::mulaw;

use super::config::Keep;
use super::samples::{count, duration_of, samples_between};

/// Linear values beyond this count as sound, about -36 dBFS: above line noise and comfort tone, below any speech.
const LOUD: u16 = 500;

/// Pauses within speech are shorter than this.
const PAUSE_WITHIN_SPEECH: Duration = Duration::from_millis(400);

/// Four hours of audio: Twilio's default limit for a call.
const BYTES_MAX: usize = 4 * 3600 * 8000;

/// Four hours of 20 ms messages; also the bound for marks and clears.
const ENTRIES_MAX: usize = 4 * 3600 * 50;

/// Everything that reached the ear, and when.
#[derive(Debug, Clone)]
pub struct Heard {
    keep: Keep,
    stretches: Vec<Stretch>,
    arrivals: Vec<Arrival>,
    marks: Vec<MarkRecord>,
    clears: Vec<ClearRecord>,
    bytes_kept: usize,
    sounded: u64,
    loud_samples: u64,
    loud_since: Option<Instant>,
    loud_until: Option<Instant>,
}

/// Audio without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// When its first sample began.
    pub start: Instant,
    /// How long it sounded.
    pub length: Duration,
    /// Its mu-law bytes; empty if only figures are kept.
    pub audio: Vec<u8>,
}

impl Stretch {
    /// When its last sample ended.
    pub fn end(&self) -> Instant {
        self.start + self.length
    }
}

/// Silence because nothing was queued, between two stretches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When it began.
    pub at: Instant,
    /// How long it lasted.
    pub length: Duration,
}

/// One audio message from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When it came.
    pub at: Instant,
    /// When its first sample is due to sound, unless it is cleared.
    pub sounds_at: Instant,
    /// Its audio, in bytes.
    pub bytes: usize,
}

/// One mark from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkRecord {
    /// Its name.
    pub name: String,
    /// When it came.
    pub received: Instant,
    /// When it was reached or cleared, and which of these; nothing while it waits.
    pub returned: Option<(Instant, MarkEnd)>,
}

/// Why a mark came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkEnd {
    /// Everything before it was played.
    Played,
    /// Nothing was queued when it came.
    NothingQueued,
    /// It was waiting when a `clear` came; it proves nothing about what was heard.
    Cleared,
}

/// One `clear` from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearRecord {
    /// When it came.
    pub at: Instant,
    /// Audio that will never be heard.
    pub dropped: Duration,
    /// Marks that it returned.
    pub marks: usize,
}

impl Heard {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            stretches: Vec::new(),
            arrivals: Vec::new(),
            marks: Vec::new(),
            clears: Vec::new(),
            bytes_kept: 0,
            sounded: 0,
            loud_samples: 0,
            loud_since: None,
            loud_until: None,
        }
    }

    /// Audio without gaps, in order.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Gaps of at most `longest`: those inside a turn rather than between turns.
    pub fn gaps(&self, longest: Duration) -> Vec<Gap> {
        self.stretches
            .windows(2)
            .map(|pair| Gap { at: pair[0].end(), length: pair[1].start.saturating_duration_since(pair[0].end()) })
            .filter(|gap| gap.length <= longest)
            .collect()
    }

    /// All bytes heard, without the gaps.
    pub fn audio(&self) -> Vec<u8> {
        self.stretches.iter().flat_map(|stretch| &stretch.audio).copied().collect()
    }

    /// What the ear heard from a moment on, with mu-law silence in the gaps: the agent's side of a recording.
    pub fn timeline(&self, from: Instant) -> Vec<u8> {
        let mut track = Vec::new();
        for stretch in &self.stretches {
            if stretch.end() <= from {
                continue;
            }
            let skip = usize::try_from(samples_between(stretch.start, from)).unwrap_or(usize::MAX);
            let start = usize::try_from(samples_between(from, stretch.start)).unwrap_or(usize::MAX);
            track.resize(start.max(track.len()).min(BYTES_MAX), mulaw::SILENCE);
            track.extend(stretch.audio.iter().skip(skip));
        }
        track
    }

    /// How much sounded in all.
    pub fn length(&self) -> Duration {
        duration_of(self.sounded)
    }

    /// When the first sample sounded.
    pub fn first_at(&self) -> Option<Instant> {
        self.stretches.first().map(|stretch| stretch.start)
    }

    /// When the last sample ended.
    pub fn last_at(&self) -> Option<Instant> {
        self.stretches.last().map(Stretch::end)
    }

    /// When the latest speech began; pauses shorter than 400 ms do not end speech.
    pub fn loud_since(&self) -> Option<Instant> {
        self.loud_since
    }

    /// When speech was last heard.
    pub fn loud_until(&self) -> Option<Instant> {
        self.loud_until
    }

    /// Samples of speech heard so far: those beyond about -36 dBFS.
    pub fn loud_samples(&self) -> u64 {
        self.loud_samples
    }

    /// The server's audio messages, in order.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// The server's marks, in order.
    pub fn marks(&self) -> &[MarkRecord] {
        &self.marks
    }

    /// The server's clears, in order.
    pub fn clears(&self) -> &[ClearRecord] {
        &self.clears
    }

    pub(super) fn arrived(&mut self, arrival: Arrival) {
        if self.keep == Keep::Everything && self.arrivals.len() < ENTRIES_MAX {
            self.arrivals.push(arrival);
        }
    }

    pub(super) fn sound(&mut self, start: Instant, audio: &[u8]) {
        let length = duration_of(count(audio.len()));
        self.sounded += count(audio.len());
        self.listen(start, audio);
        let joins = self.stretches.last().is_some_and(|last| last.end() == start);
        if !joins {
            if self.stretches.len() >= ENTRIES_MAX {
                return;
            }
            self.stretches.push(Stretch { start, length: Duration::ZERO, audio: Vec::new() });
        }
        let stretch = self.stretches.last_mut().expect("invariant: joined or just pushed");
        stretch.length += length;
        if self.keep == Keep::Everything && self.bytes_kept + audio.len() <= BYTES_MAX {
            self.bytes_kept += audio.len();
            stretch.audio.extend_from_slice(audio);
        }
    }

    pub(super) fn mark_received(&mut self, name: &str, at: Instant) {
        if self.marks.len() < ENTRIES_MAX {
            self.marks.push(MarkRecord { name: name.to_owned(), received: at, returned: None });
        }
    }

    pub(super) fn mark_returned(&mut self, name: &str, at: Instant, end: MarkEnd) {
        // Marks return in order, so the first one still waiting is the one; names need not be unique.
        if let Some(mark) = self.marks.iter_mut().rev().take_while(|mark| mark.returned.is_none()).last() {
            debug_assert_eq!(mark.name, name, "marks return in the order they came in");
            mark.returned = Some((at, end));
        }
    }

    pub(super) fn cleared(&mut self, at: Instant, dropped: Duration, marks: usize) {
        if self.clears.len() < ENTRIES_MAX {
            self.clears.push(ClearRecord { at, dropped, marks });
        }
    }

    fn listen(&mut self, start: Instant, audio: &[u8]) {
        for (at, &code) in audio.iter().enumerate() {
            if mulaw::decode(code).unsigned_abs() < LOUD {
                continue;
            }
            let began = start + duration_of(count(at));
            if self.loud_until.is_none_or(|until| began.saturating_duration_since(until) > PAUSE_WITHIN_SPEECH) {
                self.loud_since = Some(began);
            }
            self.loud_until = Some(began + duration_of(1));
            self.loud_samples += 1;
        }
    }
}
