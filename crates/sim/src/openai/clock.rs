//! Time in a session: what is due next, and faults at their moments.
//!
//! Whatever is due is done in the order in which it was due, at the time at which it was due, however late the session
//! is asked: the same inputs give the same conversation on a slow machine.

use std::time::Instant;

use wire::openai::error::{ErrorCode, ErrorDetail};

use super::session::{House, Session, Stall};
use crate::evi::fault::{Mishap, Moment};
use crate::evi::{Ended, Out};

/// What the close at the end of a session says.
const EXPIRED: &str = "Your session hit the maximum duration of 60 minutes.";

/// What can be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Fault(usize),
    Scheduled(usize),
    Response,
    Idle,
    Expiry,
}

impl Session {
    /// The next thing that happens on the socket, if anything does by now.
    pub(crate) fn poll(&mut self, house: &mut House<'_>, now: Instant) -> Option<Out> {
        if now < self.opened {
            return None;
        }
        match self.stall {
            Some(Stall::ForEver) => return None,
            Some(Stall::For(until)) if now < until => return None,
            Some(Stall::For(_)) => self.stall = None,
            None => {}
        }
        while self.out.is_empty() && self.stall.is_none() {
            let (due, timer) = self.next_timer(house)?;
            if due > now {
                return None;
            }
            self.fire(house, due, timer);
        }
        if self.stall.is_some() { None } else { self.out.pop_front() }
    }

    /// When [`poll`](Self::poll) is worth calling again.
    pub(crate) fn next_due(&self, house: &House<'_>) -> Option<Instant> {
        match self.stall {
            Some(Stall::ForEver) => None,
            Some(Stall::For(until)) => Some(until),
            None if !self.out.is_empty() => Some(self.opened),
            None => self.next_timer(house).map(|(due, _)| due.max(self.opened)),
        }
    }

    fn next_timer(&self, house: &House<'_>) -> Option<(Instant, Timer)> {
        if self.closed {
            return None;
        }
        let faults = self.armed.iter().enumerate().map(|(at, (due, _))| (*due, Timer::Fault(at)));
        let scheduled = self.scheduled.iter().enumerate().map(|(at, (due, _))| (*due, Timer::Scheduled(at)));
        faults
            .chain(scheduled)
            .chain(self.response.as_ref().map(|running| (running.due, Timer::Response)))
            .chain(self.idle_at.map(|due| (due, Timer::Idle)))
            .chain([(self.opened + house.config.session_max, Timer::Expiry)])
            .min_by_key(|(due, _)| *due)
    }

    fn fire(&mut self, house: &mut House<'_>, now: Instant, timer: Timer) {
        match timer {
            Timer::Fault(at) => {
                let (_, mishap) = self.armed.remove(at);
                self.suffer(house, now, &mishap);
            }
            Timer::Scheduled(at) => {
                let (_, event) = self.scheduled.remove(at);
                self.send(house.config, event);
            }
            Timer::Response => self.step(house, now),
            Timer::Idle => self.idle(house, now),
            Timer::Expiry => {
                if house.config.expiry_error {
                    let error = ErrorDetail::invalid_request(ErrorCode::SessionExpired, EXPIRED);
                    self.refuse(house.config, error, None);
                }
                self.close(now, 1001, EXPIRED);
            }
        }
    }

    /// Faults whose moment is now, as told by `is_now`.
    pub(crate) fn reached(&mut self, house: &mut House<'_>, now: Instant, is_now: impl Fn(&Moment, &Self) -> bool) {
        let mut at = 0;
        while at < self.fate.len() {
            if is_now(&self.fate[at].0, self) {
                let (_, mishap) = self.fate.remove(at);
                self.suffer(house, now, &mishap);
            } else {
                at += 1;
            }
        }
    }

    /// A fault takes effect.
    pub(crate) fn suffer(&mut self, house: &mut House<'_>, now: Instant, mishap: &Mishap) {
        if self.closed {
            return;
        }
        match mishap {
            Mishap::Drop => {
                self.end(now, Ended::Dropped);
                self.out.push_back(Out::Drop);
            }
            Mishap::Close { code, reason } => self.close(now, *code, reason),
            Mishap::Stall(None) => self.stall = Some(Stall::ForEver),
            Mishap::Stall(Some(pause)) => self.stall = Some(Stall::For(now + *pause)),
            Mishap::HugeAudio => self.huge = true,
            Mishap::MalformedJson => {
                self.out.push_back(Out::Text(r#"{"type":"response.output_audio.delta","delta":"#.to_owned()))
            }
            Mishap::BinaryFrame => self.out.push_back(Out::Binary(vec![0x00, 0xFF, 0x80, 0x7F])),
            Mishap::UnknownType => self
                .out
                .push_back(Out::Text(r#"{"type":"response.gesture","event_id":"event_0","gesture":"nod"}"#.to_owned())),
            Mishap::FailedTurn => self.fails = true,
            // Takes effect, and is counted, when the caller interrupts.
            Mishap::LateAudio(by) => {
                self.late_audio = Some(*by);
                return;
            }
        }
        self.count(house, mishap);
    }

    pub(crate) fn count(&self, house: &mut House<'_>, mishap: &Mishap) {
        *house.counts.entry(mishap.name()).or_default() += 1;
    }
}
