//! What of the agent's audio was heard: by the marks that came back, and between them by the clock.

use std::time::{Duration, Instant};

use super::{HeardFrame, Playout, STOOD_STILL, duration, samples};
use crate::limits::{FRAME, MARK_OVERDUE};

impl Playout {
    /// When the phone plays what stands at `position`, by our clock.
    #[must_use]
    pub(crate) fn slot_of(&self, position: u64, now: Instant) -> Instant {
        let dry_at = self.dry_at.unwrap_or(now) + self.late;
        dry_at.checked_sub(duration(self.sent.saturating_sub(position))).unwrap_or(now)
    }

    /// Takes all that was sent as heard: its last mark is lost.
    pub(crate) fn assume_heard(&mut self) {
        self.marks.clear();
        self.proven = self.sent;
    }

    /// The usual way to the phone and back, once a mark has told.
    pub(crate) fn way(&self) -> Option<Duration> {
        self.lag
    }

    /// A mark came back. Whether it proved anything: one that a `clear` set free proves nothing.
    pub(crate) fn marked(&mut self, now: Instant, name: &str) -> bool {
        let Some(index) = self.marks.iter().position(|mark| mark.name == name) else { return false };
        let Some(mark) = self.marks.drain(..=index).next_back() else { return false };
        self.proven = self.proven.max(mark.position);
        let lag = now.saturating_duration_since(mark.due);
        // The least lag seen is the way there and back; it may grow slowly, as ways do.
        let usual = self.lag.map_or(lag, |usual| lag.min(usual + Duration::from_millis(1)));
        self.lag = Some(usual);
        self.late = lag - usual;
        let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        self.counts.marks += 1;
        self.counts.mark_lag_ms_sum += lag_ms;
        self.counts.mark_lag_ms_max = self.counts.mark_lag_ms_max.max(lag_ms);
        true
    }

    /// The position up to which the caller has heard.
    #[must_use]
    pub(crate) fn heard(&self, now: Instant) -> u64 {
        let Some(dry_at) = self.dry_at else { return self.proven };
        let unplayed = samples((dry_at + self.late).saturating_duration_since(now));
        let by_clock = self.sent.saturating_sub(unplayed);
        let overdue = self
            .marks
            .front()
            .filter(|mark| now > mark.due + self.late + self.lag.unwrap_or_default() + MARK_OVERDUE)
            .map_or(by_clock, |_| self.proven);
        overdue.max(self.proven)
    }

    /// The position up to which the caller had heard when the phone said that it had stopped: that took as long as half
    /// of a mark's way there and back, and so did the frames that were under way then.
    #[must_use]
    pub(crate) fn heard_when_stopped(&self, now: Instant) -> u64 {
        self.heard(now.checked_sub(self.lag.unwrap_or_default()).unwrap_or(now))
    }

    /// The position up to which the caller has heard for certain: what marks have proved, or, where none is on its way
    /// back, what the clock says. An end is told by this; a cut cannot wait for it.
    #[must_use]
    pub(crate) fn confirmed(&self, now: Instant) -> u64 {
        if self.marks.is_empty() { self.heard(now) } else { self.proven }
    }

    /// Audio that the caller has not heard yet, wherever it waits.
    #[must_use]
    pub(crate) fn unplayed(&self, now: Instant) -> Duration {
        duration(self.end() - self.heard(now))
    }

    /// When all that is here will have been heard, if nothing more comes and nothing stalls.
    #[must_use]
    pub(crate) fn heard_out_at(&self, now: Instant) -> Instant {
        self.dry_at.unwrap_or(now).max(now) + self.late + duration(self.end() - self.sent)
    }

    /// Since when the caller hears nothing of the agent; none if there was nothing yet.
    #[must_use]
    pub(crate) fn dry_since(&self) -> Option<Instant> {
        self.dry_at.map(|dry_at| dry_at + self.late)
    }

    /// Whether everything was heard, as far as is known.
    #[must_use]
    pub(crate) fn is_dry(&self, now: Instant) -> bool {
        self.end() == self.heard(now)
    }

    /// Takes the frames that have been heard since this was last asked.
    ///
    /// The lag of marks trembles by milliseconds, the phone's playing does not: a frame follows the one before it without
    /// a hole or an overlap, unless the lag says that the phone really stood still.
    pub(crate) fn take_heard(&mut self, now: Instant) -> Option<HeardFrame> {
        let late = self.late;
        let frame = self.in_flight.pop_front_if(|frame| frame.slot + FRAME + late <= now)?;
        let by_lag = frame.slot + late;
        let slot = match self.told {
            Some((slot_end, told_end)) if slot_end == frame.slot && by_lag < told_end + STOOD_STILL => told_end,
            Some((_, told_end)) => by_lag.max(told_end),
            None => by_lag,
        };
        self.told = Some((frame.slot + FRAME, slot + FRAME));
        Some(HeardFrame { slot, ..frame })
    }
}
