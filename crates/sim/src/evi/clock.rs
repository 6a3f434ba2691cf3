//! Time in a chat: what is due next, and faults at their moments.
//!
//! Whatever is due is done in the order in which it was due, at the time at which it was due, however late the chat is
//! asked: the same inputs give the same conversation on a slow machine.

use std::time::{Duration, Instant};

use wire::hume::error::ErrorCode;
use wire::hume::rest::ChatStatus;

use super::fault::{Mishap, Moment};
use super::session::{House, Session, Stall, note_fault};
use super::socket::{Ended, Out};

/// How long an answer to the inactivity message is waited for. (Hume: "Event Messages")
const GRACE: Duration = Duration::from_secs(15);

/// What can be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Fault(usize),
    LateAudio,
    Turn,
    Inactivity,
    Grace,
    MaxDuration,
    HardCap,
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
        let config = house.config;
        let faults = self.armed.iter().enumerate().map(|(at, (due, _))| (*due, Timer::Fault(at)));
        let inactivity = match self.grace {
            Some(until) => Some((until, Timer::Grace)),
            None => config.inactivity.map(|after| (self.last_user + after, Timer::Inactivity)),
        };
        let max_duration =
            config.max_duration.filter(|_| !self.farewell).map(|after| (self.opened + after, Timer::MaxDuration));
        faults
            .chain(self.late.as_ref().map(|(due, _)| (*due, Timer::LateAudio)))
            .chain(self.turn.as_ref().and_then(|turn| turn.next_due()).map(|due| (due, Timer::Turn)))
            .chain(inactivity)
            .chain(max_duration)
            .chain([(self.opened + config.hard_cap, Timer::HardCap)])
            .min_by_key(|(due, _)| *due)
    }

    fn fire(&mut self, house: &mut House<'_>, now: Instant, timer: Timer) {
        match timer {
            Timer::Fault(at) => {
                let (_, mishap) = self.armed.remove(at);
                self.suffer(house, now, &mishap);
            }
            Timer::LateAudio => {
                if let Some((_, chunk)) = self.late.take() {
                    self.send(house.config, &chunk.message(house.config, false));
                }
            }
            Timer::Turn => self.step(house, now),
            Timer::Inactivity => match house.config.inactivity_message.clone() {
                Some(text) => {
                    self.grace = Some(now + GRACE);
                    self.nudge(house, now, text);
                }
                None => self.time_out(house, now, ErrorCode::InactivityTimeout, ChatStatus::InactivityTimeout),
            },
            Timer::Grace => self.time_out(house, now, ErrorCode::InactivityTimeout, ChatStatus::InactivityTimeout),
            Timer::MaxDuration => match house.config.max_duration_message.clone() {
                Some(text) => self.bid_farewell(house, now, &text, ErrorCode::MaxDurationTimeout),
                None => self.time_out(house, now, ErrorCode::MaxDurationTimeout, ChatStatus::MaxDurationTimeout),
            },
            Timer::HardCap => self.time_out(house, now, ErrorCode::MaxDurationTimeout, ChatStatus::MaxDurationTimeout),
        }
    }

    fn time_out(&mut self, house: &mut House<'_>, now: Instant, error: ErrorCode, status: ChatStatus) {
        let why = match status {
            ChatStatus::InactivityTimeout => "the chat was closed because no user message came for too long",
            ChatStatus::Active
            | ChatStatus::UserEnded
            | ChatStatus::UserTimeout
            | ChatStatus::MaxDurationTimeout
            | ChatStatus::Error
            | ChatStatus::Other => "the chat was closed because it reached its maximal duration",
        };
        self.report(house.config, error, why);
        self.close(house, now, 1000, error.slug().unwrap_or_default(), status);
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

    /// Faults that wait for an amount of the caller's audio.
    pub(crate) fn note_heard(&mut self, house: &mut House<'_>, now: Instant) {
        let position = self.input.position();
        self.reached(house, now, |moment, _| matches!(moment, Moment::Heard(after) if *after <= position));
    }

    /// A fault takes effect.
    pub(crate) fn suffer(&mut self, house: &mut House<'_>, now: Instant, mishap: &Mishap) {
        if self.closed {
            return;
        }
        match mishap {
            Mishap::Drop => {
                self.end(house, now, Ended::Dropped, ChatStatus::Error);
                self.out.push_back(Out::Drop);
            }
            Mishap::Close { code, reason } => self.close(house, now, *code, reason, ChatStatus::Error),
            Mishap::Stall(None) => self.stall = Some(Stall::ForEver),
            Mishap::Stall(Some(pause)) => self.stall = Some(Stall::For(now + *pause)),
            Mishap::HugeAudio => self.huge = true,
            Mishap::MalformedJson => self.out.push_back(Out::Text(r#"{"type":"audio_output","id":"#.to_owned())),
            Mishap::BinaryFrame => self.out.push_back(Out::Binary(vec![0x00, 0xFF, 0x80, 0x7F])),
            Mishap::UnknownType => {
                self.out.push_back(Out::Text(r#"{"type":"ambience","level":0.25,"tags":["office"]}"#.to_owned()))
            }
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
        note_fault(house.counts, mishap.name());
    }
}
