//! Twilio's playout queue: audio and marks in order of arrival, played at exactly real time.
//!
//! Sample-exact on purpose. The telephone network plays in steps of 20 ms, which would hide a queue that ran dry for a
//! few milliseconds; here every such moment is a gap in [`super::Heard`].
//!
//! A mark comes back when everything before it was played: at once if nothing is queued. `clear` forgets the queue and
//! returns all marks, in order, at that moment. Audio that makes the queue longer than ten minutes is discarded
//! (Twilio: api/errors/31931).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::heard::{Heard, MarkEnd};
use super::samples::{count, duration_of, index, samples_between, samples_covering};

/// More queued audio than this is discarded.
const QUEUE_MAX: Duration = Duration::from_secs(600);

/// Marks waiting at once. Twilio publishes no limit; at one mark per frame this is ten minutes, the audio limit.
const MARKS_MAX: usize = 30_000;

/// Audio and marks on their way to the ear.
#[derive(Debug)]
pub(super) struct Playout {
    chunks: VecDeque<Bytes>,
    /// Marks, each with the number of samples that come before it, counted from the stream's start.
    marks: VecDeque<(u64, String)>,
    queued: u64,
    played: u64,
    /// When the next sample begins, if there is one; else when the last one ended.
    cursor: Instant,
}

/// A mark that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Echo {
    pub(super) at: Instant,
    pub(super) name: String,
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// More than ten minutes are queued.
    Audio,
    /// More marks than any call needs.
    Mark,
}

impl Playout {
    pub(super) fn new(now: Instant) -> Self {
        Self { chunks: VecDeque::new(), marks: VecDeque::new(), queued: 0, played: 0, cursor: now }
    }

    /// Plays up to `now`.
    pub(super) fn advance(&mut self, now: Instant, heard: &mut Heard, echoes: &mut VecDeque<Echo>) {
        while let Some(chunk) = self.chunks.front_mut() {
            let samples = samples_between(self.cursor, now).min(count(chunk.len()));
            if samples == 0 {
                return;
            }
            let sounding = chunk.split_to(index(samples));
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
            heard.sound(self.cursor, &sounding);
            let start = self.cursor;
            let from = self.played;
            self.played += samples;
            self.cursor += duration_of(samples);
            while let Some((position, name)) = self.marks.pop_front_if(|(position, _)| *position <= self.played) {
                let at = start + duration_of(position.saturating_sub(from));
                heard.mark_returned(&name, at, MarkEnd::Played);
                echoes.push_back(Echo { at, name });
            }
        }
    }

    /// Queues audio that arrives now. The caller has advanced to `now`.
    pub(super) fn audio(&mut self, now: Instant, audio: Bytes) -> Result<(), Refused> {
        if duration_of(self.waiting()) > QUEUE_MAX {
            return Err(Refused::Audio);
        }
        if audio.is_empty() {
            return Ok(());
        }
        if self.chunks.is_empty() {
            self.cursor = self.cursor.max(now);
        }
        self.queued += count(audio.len());
        self.chunks.push_back(audio);
        Ok(())
    }

    /// Queues a mark, or returns it at once.
    pub(super) fn mark(
        &mut self,
        now: Instant,
        name: String,
        heard: &mut Heard,
        echoes: &mut VecDeque<Echo>,
    ) -> Result<(), Refused> {
        if self.marks.len() >= MARKS_MAX {
            return Err(Refused::Mark);
        }
        heard.mark_received(&name, now);
        if self.waiting() == 0 {
            heard.mark_returned(&name, now, MarkEnd::NothingQueued);
            echoes.push_back(Echo { at: now, name });
        } else {
            self.marks.push_back((self.queued, name));
        }
        Ok(())
    }

    /// Forgets what was not played, but for the tail that has already left the queue.
    pub(super) fn clear(&mut self, now: Instant, tail: Duration, heard: &mut Heard, echoes: &mut VecDeque<Echo>) {
        let reach = (now + tail).saturating_duration_since(self.cursor);
        let mut kept = samples_covering(reach).min(self.waiting());
        let dropped = self.waiting() - kept;
        self.queued = self.played + kept;
        for chunk in &mut self.chunks {
            let stays = kept.min(count(chunk.len()));
            chunk.truncate(index(stays));
            kept -= stays;
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        heard.cleared(now, duration_of(dropped), self.marks.len());
        for (_, name) in std::mem::take(&mut self.marks) {
            heard.mark_returned(&name, now, MarkEnd::Cleared);
            echoes.push_back(Echo { at: now, name });
        }
    }

    /// How much is still to be played.
    pub(super) fn queued(&self) -> Duration {
        duration_of(self.waiting())
    }

    /// When the next sample will begin, or would if one came now.
    pub(super) fn next_sample_at(&self, now: Instant) -> Instant {
        if self.chunks.is_empty() { self.cursor.max(now) } else { self.cursor + self.queued() }
    }

    /// When the next mark will come back.
    pub(super) fn next_mark_at(&self) -> Option<Instant> {
        let (position, _) = self.marks.front()?;
        Some(self.cursor + duration_of(position.saturating_sub(self.played)))
    }

    fn waiting(&self) -> u64 {
        self.queued - self.played
    }
}
