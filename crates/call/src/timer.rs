//! All deadlines of a call, by name.

use std::time::Instant;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(crate) enum Timer {
    /// The next frame to the phone is due.
    Playout,
    /// The clock estimates that a turn's last frame was heard, and its mark is missing.
    LastMark,
    /// No frame came from the phone in time.
    Upward,
    /// An engine has something to do of its own.
    Engine,
    /// The engine must be ready by now.
    EngineReady,
    /// Dial again.
    Redial,
    /// Give the lost engine up.
    Resume,
    /// Cover the silence with a bundled line.
    Line,
    /// The engine owes an answer: cover, then give it up.
    Reply,
    /// The engine has not noticed that the caller spoke.
    Deaf,
    /// Say the next part of the opening although the one before has no end.
    Opening,
    /// Open a fresh session before the limit.
    RollOver,
    /// The goodbye took too long.
    Goodbye,
    /// The earliest tool's time is up.
    Tool,
    /// The stream never came.
    Prepared,
    /// The longest call.
    CallLimit,
    /// No more keys follow.
    Keys,
    /// The caller has said nothing for too long.
    CallerSilence,
    /// Drain: hand over now, quiet or not.
    Drain,
    /// Something waits for a quiet moment: look again.
    Quiet,
    /// Journal the line's figures.
    Measure,
}

const TIMERS: [Timer; 21] = [
    Timer::Playout,
    Timer::LastMark,
    Timer::Upward,
    Timer::Engine,
    Timer::EngineReady,
    Timer::Redial,
    Timer::Resume,
    Timer::Line,
    Timer::Reply,
    Timer::Deaf,
    Timer::Opening,
    Timer::RollOver,
    Timer::Goodbye,
    Timer::Tool,
    Timer::Prepared,
    Timer::CallLimit,
    Timer::Keys,
    Timer::CallerSilence,
    Timer::Drain,
    Timer::Quiet,
    Timer::Measure,
];

/// The table: at most one deadline per name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers([Option<Instant>; TIMERS.len()]);

impl Timers {
    /// Sets, or moves, a deadline.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Sets a deadline unless it is set already. Whether it was set now.
    pub(crate) fn set_if_unset(&mut self, timer: Timer, at: Instant) -> bool {
        let unset = !self.is_set(timer);
        self.0[timer as usize].get_or_insert(at);
        unset
    }

    /// Whether the deadline is set.
    #[must_use]
    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// Takes a deadline away.
    pub(crate) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Takes the earliest deadline that has passed, if there is one. Equal deadlines come in the order of the table.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = TIMERS.iter().filter_map(|&t| self.0[t as usize].map(|at| (at, t))).min()?;
        (at <= now).then(|| {
            self.clear(timer);
            timer
        })
    }

    /// The next deadline.
    #[must_use]
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }
}
