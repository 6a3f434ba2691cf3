//! A fresh session before the limit of the old one: dialled beside it at a quiet moment, seated at a quiet moment.

use std::time::Instant;

use super::Call;
use crate::engine::Event;
use crate::journal::{Kind, LinkCause};
use crate::limits::{ENGINE_READY_WITHIN, ROLL_OVER_AGAIN, ROLL_OVER_LATEST, ROLL_OVER_MARGIN};
use crate::setup::ChatRef;
use crate::timer::Timer;

impl Call {
    /// A fresh session is wanted from now on, at the first quiet moment.
    pub(super) fn roll_over_due(&mut self, now: Instant) {
        self.seats.roll_over_by.get_or_insert(now + ROLL_OVER_MARGIN.saturating_sub(ROLL_OVER_LATEST));
    }

    /// Goes a step further with a roll-over that is wanted: at a quiet moment, or when its time is running out.
    pub(super) fn roll_over_if(&mut self, now: Instant, quiet: bool) {
        let Some(by) = self.seats.roll_over_by.filter(|_| self.has_engine()) else { return };
        let now_or_never = now >= by;
        match &self.seats.successor {
            None if quiet || now_or_never => {
                if let Some(kind) = self.engine_kind() {
                    let seat = self.dial(now, kind, 1);
                    self.seats.successor = Some(seat);
                }
            }
            None => {}
            Some(seat) if !seat.ready && now > seat.dialled_at + ENGINE_READY_WITHIN => {
                self.successor_failed(now, LinkCause::Timeout);
            }
            Some(seat) if !seat.ready => {}
            Some(_) if quiet || now_or_never => self.seat_successor(now),
            // Somebody has begun to speak: what is said now is unknown to the fresh session. The next quiet moment.
            Some(_) => self.discard_successor(),
        }
    }

    /// What the successor reports before it is seated. It has heard nothing and was asked for nothing.
    pub(super) fn successor_events(&mut self, now: Instant) {
        while let Some(event) = self.events.pop_front() {
            match event {
                Event::Ready { chat, group } => {
                    let Some(seat) = self.seats.successor.as_mut().filter(|seat| !seat.ready) else { continue };
                    seat.ready = true;
                    let engine = seat.kind;
                    let took_ms = super::millis(now.saturating_duration_since(seat.dialled_at));
                    if let Some(group) = group.clone() {
                        self.seats.chat = Some(ChatRef { engine, group });
                    }
                    self.journal(now, Kind::EngineReady { engine, resumed: true, chat_group: group, chat, took_ms });
                }
                Event::Lost(why) => self.successor_failed(now, why),
                Event::Malformed => self.measured.malformed += 1,
                Event::Unknown
                | Event::Interrupted
                | Event::CallerWords { .. }
                | Event::CallerTurn { .. }
                | Event::CallerText { .. }
                | Event::Sentence { .. }
                | Event::SentenceEnd { .. }
                | Event::Audio { .. }
                | Event::TurnSent
                | Event::WordEnds { .. }
                | Event::Faltering
                | Event::Steady
                | Event::Language { .. }
                | Event::LateAudio { .. }
                | Event::Tool { .. }
                | Event::Trouble { .. } => self.measured.unknown += 1,
            }
        }
    }

    fn successor_failed(&mut self, now: Instant, why: LinkCause) {
        if let Some(kind) = self.seats.successor.as_ref().map(|seat| seat.kind) {
            self.discard_successor();
            self.journal(now, Kind::EngineRefused { engine: kind, why });
            self.seats.roll_over_by = None;
            self.timers.set(Timer::RollOver, now + ROLL_OVER_AGAIN);
        }
    }

    fn discard_successor(&mut self) {
        if let Some(seat) = self.seats.successor.take() {
            self.close_seat(self.now, seat);
        }
    }

    fn seat_successor(&mut self, now: Instant) {
        let Some(successor) = self.seats.successor.take() else { return };
        if let Some(old) = self.seats.current.take() {
            let engine = old.kind;
            self.close_seat(now, old);
            self.journal(now, Kind::EngineLost { engine, why: LinkCause::RolledOver });
        }
        self.turns.break_off();
        self.playout.end_turn();
        self.tools_lost(now);
        self.recent.wait_again();
        let (session_max, dialled_at) = (successor.engine.session_max(), successor.dialled_at);
        self.seats.current = Some(successor);
        self.seats.roll_over_by = None;
        if let Some(session_max) = session_max {
            self.timers.set(Timer::RollOver, dialled_at + session_max.saturating_sub(ROLL_OVER_MARGIN));
        }
        self.rolled_over(now);
    }
}
