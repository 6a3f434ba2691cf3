//! What waits for a quiet moment: a hand-over, a fresh session, a question to the caller.

use std::time::{Duration, Instant};

use super::{Call, Phone};
use crate::audio::lines::Line;
use crate::timer::Timer;

/// How often something that waits for a quiet moment looks again.
const QUIET_LOOK: Duration = Duration::from_millis(200);

impl Call {
    /// Nothing is being said, nothing is owed.
    pub(super) fn is_quiet(&mut self, now: Instant) -> bool {
        let caller_quiet = match &self.phone {
            Phone::Up { upward, .. } => upward.is_quiet(now),
            Phone::Awaited => false,
        };
        caller_quiet
            && self.turns.is_empty()
            && self.playout.is_dry(now)
            && !self.cover.owes_reply()
            && self.tools.is_empty()
    }

    /// Does what waits for a quiet moment, if this is one.
    pub(super) fn look_for_quiet(&mut self, now: Instant) {
        let ask_at = self.caller.wants_asking();
        if !self.ending.is_draining() && !self.seats.wants_roll_over() && ask_at.is_none() {
            return self.timers.clear(Timer::Quiet);
        }
        let quiet = self.is_quiet(now);
        if quiet && self.ending.hands_over(now) {
            return self.hand_over(now);
        }
        if quiet && ask_at.is_some_and(|at| at <= now) && self.has_engine() {
            self.caller.need_not_be_asked();
            if !(self.caller.was_heard_again() && self.go_on_by_itself(now, None)) {
                self.play_line(now, Line::Again);
                self.play(now);
            }
        }
        self.roll_over_if(now, quiet);
        self.timers.set_if_unset(Timer::Quiet, now + QUIET_LOOK);
    }
}
