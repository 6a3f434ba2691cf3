//! The line's figures, written down every ten seconds.

use std::time::Instant;

use super::{Call, Phone};
use crate::journal::{Kind, Measured};
use crate::limits::MEASURE_EVERY;
use crate::timer::Timer;

impl Call {
    pub(super) fn measure(&mut self, now: Instant) {
        self.timers.set(Timer::Measure, now + MEASURE_EVERY);
        self.write_measured(now);
    }

    pub(super) fn write_measured(&mut self, now: Instant) {
        let mut measured = std::mem::take(&mut self.measured);
        if let Phone::Up { upward, .. } = &mut self.phone {
            let counts = std::mem::take(&mut upward.counts);
            measured.frames_in = counts.frames;
            measured.missing_in_ms = counts.missing_ms;
            measured.filled_ms = counts.filled_ms;
            measured.skipped_ms = counts.skipped_ms;
            measured.interval_in_ms_max = counts.interval_ms_max;
        }
        let counts = std::mem::take(&mut self.playout.counts);
        measured.frames_out = counts.frames;
        measured.underruns = counts.underruns;
        measured.queued_ms_max = counts.queued_ms_max;
        measured.marks = counts.marks;
        measured.mark_lag_ms_sum = counts.mark_lag_ms_sum;
        measured.mark_lag_ms_max = counts.mark_lag_ms_max;
        if measured != Measured::default() {
            self.journal(now, Kind::Measured(measured));
        }
    }
}
