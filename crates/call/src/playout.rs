//! What is played to the phone, and what of it was heard.
//!
//! Twilio plays what we send in order, at real time, from a buffer that only `clear` can empty. So little is sent ahead:
//! at most the *lead*. Marks say what was played; between them the clock estimates. Positions count samples of agent
//! audio since the start of the stream, as if nothing had ever been cut: what a `clear` drops is taken out again.
//!
//! ```text
//!   0 ............ proven ...... heard ......... sent ............ end
//!     marks came back | the clock's | in the     | queued here
//!                     | estimate    | phone's    |
//!                     |             | buffer     |
//! ```
//!
//! The clock needs no knowledge of the way to the phone: a frame sent for the slot `t` plays at `t + way`, and a `clear`
//! sent now arrives at `now + way`. What the slots say has played by now is what the ear has heard when the `clear`
//! comes. Only a stall on the way breaks this, and a mark that comes later than its usual lag tells of it.

mod heard;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::audio::mulaw;
use crate::limits::{FRAME, FRAME_BYTES, MARK_EVERY, MARKS_MAX, PLAYOUT_QUEUED_MAX, SAMPLES_PER_MS};

/// Marks return unevenly by a few frames on any network; a lag beyond this is a phone that had nothing to play.
const STOOD_STILL: Duration = Duration::from_millis(60);

const FRAME_SAMPLES: u64 = FRAME_BYTES as u64;

/// Samples as a duration.
#[must_use]
pub(crate) fn duration(samples: u64) -> Duration {
    Duration::from_micros(samples * 1_000 / SAMPLES_PER_MS)
}

/// A duration in samples.
#[must_use]
pub(crate) fn samples(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX) / 1_000 * SAMPLES_PER_MS
        + u64::from(duration.subsec_micros() % 1_000) * SAMPLES_PER_MS / 1_000
}

/// What playout wants sent to the phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Send {
    /// One frame of mu-law.
    Frame(Bytes),
    /// A mark of this name.
    Mark(String),
}

/// A stretch of agent audio that was heard, for the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeardFrame {
    /// When the phone played it, by the slot it was sent for.
    pub(crate) slot: Instant,
    /// The frame.
    pub(crate) frame: Bytes,
}

/// What a `clear` cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The position up to which the caller has heard.
    pub(crate) heard: u64,
    /// Samples that will never be heard.
    pub(crate) dropped: u64,
    /// Whether the phone holds audio that must be cleared.
    pub(crate) in_phone: bool,
}

#[derive(Debug)]
enum Queued {
    Frame(Bytes),
    /// The end of a turn: a mark is due here, and running dry afterwards is no underrun.
    TurnEnd,
}

#[derive(Debug)]
struct Mark {
    name: String,
    position: u64,
    /// When the clock says that it is reached.
    due: Instant,
}

/// Counters for the journal's figures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlayoutCounts {
    /// Frames sent.
    pub(crate) frames: u64,
    /// Times the phone ran dry inside a turn.
    pub(crate) underruns: u64,
    /// Most audio waiting here.
    pub(crate) queued_ms_max: u64,
    /// Marks that proved something.
    pub(crate) marks: u64,
    /// Sum of their lag.
    pub(crate) mark_lag_ms_sum: u64,
    /// Greatest lag.
    pub(crate) mark_lag_ms_max: u64,
}

/// The audio on its way to the ear.
#[derive(Debug)]
pub(crate) struct Playout {
    lead: Duration,
    epoch: u32,
    queue: VecDeque<Queued>,
    queued_frames: u64,
    /// Bytes that do not fill a frame yet.
    rest: Vec<u8>,
    /// Frames sent and not known to be heard yet, for the recording.
    in_flight: VecDeque<HeardFrame>,
    /// The end of the last frame that was told as heard: by its slot, and as it was told.
    told: Option<(Instant, Instant)>,
    sent: u64,
    proven: u64,
    /// When the phone will have played all that was sent, if nothing stalls.
    dry_at: Option<Instant>,
    /// How much later than the clock says the phone plays, as the last mark told.
    late: Duration,
    /// The usual time from a mark's slot to its return.
    lag: Option<Duration>,
    marks: VecDeque<Mark>,
    mark_count: u64,
    unmarked: u64,
    /// Whether the last thing sent left a turn unfinished.
    inside_turn: bool,
    /// Figures since they were last taken.
    pub(crate) counts: PlayoutCounts,
}

impl Playout {
    /// Nothing to play yet. `epoch` makes the marks' names unique within the call.
    #[must_use]
    pub(crate) fn new(lead: Duration, epoch: u32) -> Self {
        Self {
            lead: lead.max(FRAME * 2),
            epoch,
            queue: VecDeque::new(),
            queued_frames: 0,
            rest: Vec::with_capacity(FRAME_BYTES),
            in_flight: VecDeque::new(),
            told: None,
            sent: 0,
            proven: 0,
            dry_at: None,
            late: Duration::ZERO,
            lag: None,
            marks: VecDeque::new(),
            mark_count: 0,
            unmarked: 0,
            inside_turn: false,
            counts: PlayoutCounts::default(),
        }
    }

    /// The position at which the next byte pushed will stand.
    #[must_use]
    pub(crate) fn end(&self) -> u64 {
        self.sent + self.queued_frames * FRAME_SAMPLES + self.rest.len() as u64
    }

    /// Audio that waits here, not yet sent.
    #[must_use]
    pub(crate) fn queued(&self) -> Duration {
        duration(self.end() - self.sent)
    }

    /// Adds mu-law audio. Returns how many bytes did not fit and were dropped.
    pub(crate) fn push(&mut self, mut mulaw: &[u8]) -> usize {
        let room = samples(PLAYOUT_QUEUED_MAX).saturating_sub(self.end() - self.sent);
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(mulaw.len());
        let dropped = mulaw.len() - fits;
        mulaw = &mulaw[..fits];
        while self.rest.len() + mulaw.len() >= FRAME_BYTES {
            let (head, tail) = mulaw.split_at(FRAME_BYTES - self.rest.len());
            let frame = if self.rest.is_empty() {
                Bytes::copy_from_slice(head)
            } else {
                self.rest.extend_from_slice(head);
                Bytes::copy_from_slice(&std::mem::take(&mut self.rest))
            };
            self.queue.push_back(Queued::Frame(frame));
            self.queued_frames += 1;
            mulaw = tail;
        }
        self.rest.extend_from_slice(mulaw);
        let queued_ms = u64::try_from(self.queued().as_millis()).unwrap_or(u64::MAX);
        self.counts.queued_ms_max = self.counts.queued_ms_max.max(queued_ms);
        dropped
    }

    /// Ends a turn: the last frame is filled up with silence, and a mark will tell when it was heard.
    pub(crate) fn end_turn(&mut self) {
        if !self.rest.is_empty() {
            self.rest.resize(FRAME_BYTES, mulaw::SILENCE);
            self.queue.push_back(Queued::Frame(Bytes::copy_from_slice(&std::mem::take(&mut self.rest))));
            self.queued_frames += 1;
        }
        if !matches!(self.queue.back(), Some(Queued::TurnEnd)) {
            self.queue.push_back(Queued::TurnEnd);
        }
    }

    /// The next thing to send now, if its time has come.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Send> {
        match self.queue.front()? {
            Queued::TurnEnd => {
                self.queue.pop_front();
                self.inside_turn = false;
                (self.unmarked > 0).then(|| self.mark(now)).or_else(|| self.poll(now))
            }
            Queued::Frame(_) if samples(MARK_EVERY) <= self.unmarked => Some(self.mark(now)),
            Queued::Frame(_) => {
                let dry_at = self.dry_at.unwrap_or(now).max(now);
                if dry_at + FRAME > now + self.lead {
                    return None;
                }
                let Some(Queued::Frame(frame)) = self.queue.pop_front() else { return None };
                if self.dry_at.is_none_or(|dry| dry < now) {
                    self.late = Duration::ZERO;
                    if self.inside_turn {
                        self.counts.underruns += 1;
                    }
                }
                self.queued_frames -= 1;
                self.sent += FRAME_SAMPLES;
                self.unmarked += FRAME_SAMPLES;
                self.inside_turn = true;
                self.counts.frames += 1;
                self.in_flight.push_back(HeardFrame { slot: dry_at, frame: frame.clone() });
                self.dry_at = Some(dry_at + FRAME);
                Some(Send::Frame(frame))
            }
        }
    }

    /// The position behind the last frame sent.
    #[must_use]
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// When [`Playout::poll`] will next have something to send.
    #[must_use]
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        self.queue.front()?;
        match self.dry_at {
            Some(dry) if samples(MARK_EVERY) > self.unmarked => {
                Some((dry.max(now) + FRAME).checked_sub(self.lead)?.max(now))
            }
            Some(_) | None => Some(now),
        }
    }

    fn mark(&mut self, now: Instant) -> Send {
        self.mark_count += 1;
        self.unmarked = 0;
        let name = format!("{}.{}", self.epoch, self.mark_count);
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { name: name.clone(), position: self.sent, due: self.dry_at.unwrap_or(now) });
        Send::Mark(name)
    }

    /// Drops all that has not been heard. The caller of this sends `clear` when the cut says so.
    pub(crate) fn cut(&mut self, now: Instant) -> Cut {
        let heard = self.heard(now);
        let cut = Cut { heard, dropped: self.end() - heard, in_phone: self.sent > heard || !self.marks.is_empty() };
        self.queue.clear();
        self.queued_frames = 0;
        self.rest.clear();
        self.marks.clear();
        self.in_flight.retain(|frame| frame.slot + self.late < now);
        self.sent = heard;
        self.proven = heard;
        self.unmarked = 0;
        self.inside_turn = false;
        self.dry_at = self.dry_at.map(|dry| dry.min(now));
        self.late = Duration::ZERO;
        cut
    }

    /// Drops what lies beyond `position` and has not been sent; what is in the phone is left to play.
    /// Returns the samples dropped.
    pub(crate) fn cut_beyond(&mut self, position: u64) -> u64 {
        let end = self.end();
        let keep = position.saturating_sub(self.sent).div_ceil(FRAME_SAMPLES);
        if keep > self.queued_frames {
            return 0;
        }
        self.rest.clear();
        let mut seen = 0;
        self.queue.retain(|queued| match queued {
            Queued::Frame(_) => {
                seen += 1;
                seen <= keep
            }
            Queued::TurnEnd => false,
        });
        self.queued_frames = keep;
        let dropped = end - self.end();
        self.end_turn();
        dropped
    }
}

#[cfg(test)]
mod tests;
