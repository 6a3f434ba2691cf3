//! When no engine answers: the lost one is dialled again, then the next one; with nobody left, an apology.

use std::time::Instant;

use wire::openai::error::{ErrorCode, Severity};

use super::{Call, Phone};
use crate::agent::EngineKind;
use crate::journal::{Kind, LinkCause};
use crate::limits::{BACK_OFF_FIRST, BACK_OFF_MAX, ENGINE_READY_WITHIN, GIVE_UP_AFTER, RESUME_WITHIN, STALLS_MAX};
use crate::timer::Timer;

/// The time in which no engine answers, after one did.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) since: Instant,
    pub(super) lost: EngineKind,
    attempts: u32,
    /// Whether the lost engine may be dialled again.
    may_redial: bool,
    /// Whether something the caller said, or waited for, may have gone with the engine.
    pub(super) missed: bool,
}

/// What makes dialling the same engine again pointless: it, or our credentials, must change first.
fn is_permanent(why: &LinkCause) -> bool {
    match why {
        LinkCause::Status { status } => matches!(status, 400..=428 | 430..=499),
        LinkCause::Dns | LinkCause::Tls => true,
        LinkCause::Failed { code } => ErrorCode::parse(code).is_some_and(|code| code.severity() == Severity::Fatal),
        LinkCause::Timeout
        | LinkCause::Unreachable
        | LinkCause::Closed { .. }
        | LinkCause::Stalled
        | LinkCause::RolledOver => false,
    }
}

impl Call {
    /// No engine is left to try.
    pub(super) fn nobody_left(&mut self, now: Instant) {
        self.timers.clear(Timer::EngineReady);
        match &self.seats.outage {
            // With nobody else to turn to, the lost engine is worth more patience.
            Some(outage) if outage.may_redial && now < outage.since + GIVE_UP_AFTER => self.back_off(now),
            Some(_) => self.apologise(now),
            // Before the stream there is nobody to apologise to; the stream's start finds the seats exhausted.
            None if self.is_up() => self.apologise(now),
            None => {}
        }
    }

    /// The current engine is of no more use.
    pub(super) fn current_failed(&mut self, now: Instant, why: LinkCause) {
        let Some(seat) = self.seats.current.take() else { return };
        let (kind, ready, by_group, spent) = (seat.kind, seat.ready, seat.by_group, seat.engine.is_spent());
        self.close_seat(now, seat);
        self.timers.clear(Timer::EngineReady);
        self.timers.clear(Timer::RollOver);
        self.timers.clear(Timer::Deaf);
        self.seats.roll_over_by = None;
        if ready {
            return self.engine_lost(now, kind, why, spent);
        }
        let permanent = is_permanent(&why);
        // The vendor does not keep the conversation, or not for us; a fresh one is told what was said.
        if let LinkCause::Status { status: status @ (400 | 404 | 409 | 410 | 422) } = why
            && by_group
        {
            self.seats.chat = None;
            let (code, message) = ("resume_refused".to_owned(), format!("the vendor answered {status}"));
            self.journal(now, Kind::EngineError { engine: kind, code, message });
            let fresh = self.dial(now, kind, 1);
            self.seats.current = Some(fresh);
            return self.timers.set(Timer::EngineReady, now + ENGINE_READY_WITHIN);
        }
        match &mut self.seats.outage {
            // Who is at a limit will not be below it within two seconds.
            Some(outage)
                if outage.lost == kind
                    && !permanent
                    && now < outage.since + RESUME_WITHIN
                    && (why != LinkCause::Status { status: 429 } || self.seats.waiting.is_empty()) =>
            {
                self.back_off(now)
            }
            Some(outage) => {
                if outage.lost == kind && permanent {
                    outage.may_redial = false;
                }
                self.journal(now, Kind::EngineRefused { engine: kind, why });
                self.dial_next(now);
            }
            None => {
                self.journal(now, Kind::EngineRefused { engine: kind, why });
                self.dial_next(now);
            }
        }
    }

    fn engine_lost(&mut self, now: Instant, lost: EngineKind, why: LinkCause, spent: bool) {
        if spent || why == LinkCause::Stalled {
            self.seats.stalls += 1;
        }
        let may_redial = !is_permanent(&why) && self.seats.stalls < STALLS_MAX;
        self.journal(now, Kind::EngineLost { engine: lost, why });
        let missed = self.caller.is_being_written() || !self.tools.is_empty() || self.caller_unnoticed(now);
        if let Some(n) = self.turns.arriving().filter(|turn| turn.engine.is_some()).map(|turn| turn.n) {
            self.seats.broke_off = Some(n);
        }
        self.cover_outage(now, missed);
        // What came of its turn is still played; nothing more will come.
        self.turns.break_off();
        self.playout.end_turn();
        self.opening_lost();
        self.goodbye_lost();
        self.tools_lost(now);
        self.write_unwritten(now);
        // An engine that has tried to get a part of itself back has had that much of its time.
        let since = self.seats.faltering.take().unwrap_or(now);
        self.recent.wait_again();
        self.seats.outage = Some(Outage { since, lost, attempts: 0, may_redial, missed });
        let resume_by = since + RESUME_WITHIN;
        self.timers.set(Timer::Resume, resume_by);
        let redial = may_redial && (now < resume_by && !spent || self.seats.waiting.is_empty());
        match self.seats.successor.take() {
            Some(successor) => {
                self.seats.current = Some(successor);
                self.timers.set(Timer::EngineReady, now + ENGINE_READY_WITHIN);
            }
            None if redial => self.redial(now),
            None => self.dial_next(now),
        }
    }

    /// The engine has lost a part of itself and is getting it back. Whoever waits for it hears a line before long.
    pub(super) fn engine_falters(&mut self, now: Instant) {
        if self.seats.faltering.is_none() {
            self.seats.faltering = Some(now);
            self.cover_faltering(now);
        }
    }

    /// It has it back.
    pub(super) fn engine_steady(&mut self) {
        if self.seats.faltering.take().is_some() {
            self.end_cover();
            self.bridged();
        }
    }

    fn back_off(&mut self, now: Instant) {
        let Some(outage) = &self.seats.outage else { return };
        let pause = BACK_OFF_FIRST.saturating_mul(1 << outage.attempts.min(6)).min(BACK_OFF_MAX);
        let jitter = pause.mul_f64(self.rng.f64() / 4.0);
        self.timers.set(Timer::Redial, now + pause + jitter);
    }

    pub(super) fn redial(&mut self, now: Instant) {
        let Some(outage) = self.seats.outage.as_mut().filter(|_| self.seats.current.is_none()) else { return };
        outage.attempts += 1;
        let (kind, attempt) = (outage.lost, outage.attempts);
        let seat = self.dial(now, kind, attempt);
        self.seats.current = Some(seat);
        self.timers.set(Timer::EngineReady, now + ENGINE_READY_WITHIN);
    }

    /// The engine was dialled and has not become ready.
    pub(super) fn engine_not_ready(&mut self, now: Instant) {
        self.current_failed(now, LinkCause::Timeout);
    }

    /// The lost engine has had its time: the next one's turn has come, if there is one.
    pub(super) fn resume_expired(&mut self, now: Instant) {
        let Some(outage) = &self.seats.outage else { return };
        if self.seats.waiting.is_empty() {
            if now >= outage.since + GIVE_UP_AFTER {
                return self.apologise(now);
            }
            return self.timers.set(Timer::Resume, outage.since + GIVE_UP_AFTER);
        }
        self.timers.clear(Timer::Redial);
        // An engine other than the lost one is already on its way in.
        let lost = outage.lost;
        if self.seats.current.as_ref().is_some_and(|seat| seat.kind != lost) {
            return self.timers.set(Timer::Resume, now + GIVE_UP_AFTER);
        }
        if let Some(seat) = self.seats.current.take() {
            self.close_seat(now, seat);
        }
        self.journal(now, Kind::EngineRefused { engine: lost, why: LinkCause::Timeout });
        self.timers.set(Timer::Resume, now + GIVE_UP_AFTER);
        self.dial_next(now);
    }

    /// Whether the caller speaks, or has spoken, and the engine did not say that it heard.
    pub(super) fn caller_unnoticed(&self, now: Instant) -> bool {
        match &self.phone {
            Phone::Up { upward, .. } => {
                !upward.is_quiet(now) || upward.voiced_at().is_some_and(|at| !self.caller.noticed_since(at))
            }
            Phone::Awaited => false,
        }
    }
}
