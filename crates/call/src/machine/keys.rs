//! Keys that the caller presses: several in a row are one input, told when the row is over.

use std::time::Instant;

use super::Call;
use crate::journal::Kind;
use crate::limits::{KEYS_MAX, KEYS_PAUSE};
use crate::timer::Timer;

impl Call {
    pub(super) fn key_pressed(&mut self, now: Instant, digit: &str) {
        let digit: String = digit.chars().filter(|key| "0123456789*#ABCD".contains(*key)).take(1).collect();
        if digit.is_empty() {
            self.measured.malformed += 1;
            return;
        }
        self.caller.keys().push_str(&digit);
        self.expect_caller(now);
        let over = digit == "#" || self.caller.keys().len() >= KEYS_MAX;
        self.journal(now, Kind::Dtmf { digit });
        if over {
            return self.keys_over(now);
        }
        self.timers.set(Timer::Keys, now + KEYS_PAUSE);
    }

    /// The row is over: the engine is told, or will be when there is one.
    pub(super) fn keys_over(&mut self, now: Instant) {
        self.timers.clear(Timer::Keys);
        if self.caller.keys().is_empty() || !self.has_engine() {
            return;
        }
        let keys = std::mem::take(self.caller.keys());
        self.with_engine(|engine, outbox| engine.key(&keys, outbox));
        self.caller.keys_told(keys);
        self.expect_reply(now);
    }
}
