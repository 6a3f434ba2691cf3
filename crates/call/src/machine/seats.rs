//! Who sits on the engine's side: dialling, seating, going on. [`super::outage`] dials a lost engine again and gives way
//! to the next; [`super::roll_over`] seats a fresh session before the limit of the old one.
//!
//! ```text
//!            refused: next engine                lost: same engine again (2 s), then the next
//!   dial ────────────┐                    ┌───────────────────────────────────────────┐
//!     │              ▼                    │                                           ▼
//!     └──> ready ──> at work ── limit near: a successor is dialled beside it, and takes over between turns
//!                                  nobody left: apologise
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use super::Call;
use super::outage::Outage;
use crate::agent::EngineKind;
use crate::engine::{Beginning, Engine, Outbox, TakeUp};
use crate::io::{LinkEvent, LinkId};
use crate::journal::{Cover, Kind};
use crate::limits::{ASK_AFTER, ENGINE_READY_WITHIN, ROLL_OVER_MARGIN};
use crate::setup::ChatRef;
use crate::timer::Timer;

#[derive(Debug)]
pub(super) struct Seats {
    /// Engines not tried yet.
    pub(super) waiting: VecDeque<EngineKind>,
    pub(super) current: Option<Seat>,
    /// A fresh session of the same engine, dialled while the current one still works.
    pub(super) successor: Option<Seat>,
    count: u32,
    pub(super) chat: Option<ChatRef>,
    pub(super) outage: Option<Outage>,
    /// Since when the current engine tries to get a part of itself back.
    pub(super) faltering: Option<Instant>,
    /// When the current session ends at the latest, once a fresh one is wanted.
    pub(super) roll_over_by: Option<Instant>,
    /// How often the engine was given up for its silence, since it last said something.
    pub(super) stalls: u8,
    /// The turn in whose middle an engine was lost, until another has taken it up.
    pub(super) broke_off: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: u32,
    pub(super) kind: EngineKind,
    pub(super) engine: Engine,
    pub(super) dialled_at: Instant,
    pub(super) ready: bool,
    /// Whether it goes on with a conversation that another session began.
    resumed: bool,
    /// Whether it was asked to go on with the vendor's own conversation.
    pub(super) by_group: bool,
    /// Audio sent to it: where its own clock stands.
    pub(super) heard_ms: u64,
}

impl Seats {
    pub(super) fn new(engines: Vec<EngineKind>, chat: Option<ChatRef>) -> Self {
        Self {
            waiting: engines.into(),
            current: None,
            successor: None,
            count: 0,
            chat,
            outage: None,
            faltering: None,
            roll_over_by: None,
            stalls: 0,
            broke_off: None,
        }
    }

    /// Whether there is no engine, and none left to try.
    pub(super) fn is_exhausted(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty() && self.outage.is_none()
    }

    pub(super) fn wants_roll_over(&self) -> bool {
        self.roll_over_by.is_some()
    }

    pub(super) fn current_resumed(&self) -> bool {
        self.current.as_ref().is_some_and(|seat| seat.resumed)
    }

    fn seat_of(&mut self, link: LinkId) -> Option<&mut Seat> {
        [self.current.as_mut(), self.successor.as_mut()].into_iter().flatten().find(|seat| seat.id == link.seat)
    }

    fn is_current(&self, link: LinkId) -> bool {
        self.current.as_ref().is_some_and(|seat| seat.id == link.seat)
    }
}

impl Call {
    /// Whether an engine listens.
    pub(super) fn has_engine(&self) -> bool {
        self.seats.current.as_ref().is_some_and(|seat| seat.ready)
    }

    /// Which engine sits there, listening or not.
    pub(super) fn engine_kind(&self) -> Option<EngineKind> {
        self.seats.current.as_ref().map(|seat| seat.kind)
    }

    /// Does something with the current engine, if it listens.
    pub(super) fn with_engine(&mut self, work: impl FnOnce(&mut Engine, &mut Outbox<'_>)) {
        if let Some(seat) = self.seats.current.as_mut().filter(|seat| seat.ready) {
            let unplayed = self.playout.unplayed(self.now);
            let (seat_id, now) = (seat.id, self.now);
            work(
                &mut seat.engine,
                &mut Outbox { seat: seat_id, now, unplayed, out: &mut self.out, events: &mut self.events },
            );
        }
    }

    /// Dials the next engine that has not been tried.
    pub(super) fn dial_next(&mut self, now: Instant) {
        let Some(kind) = self.seats.waiting.pop_front() else { return self.nobody_left(now) };
        let seat = self.dial(now, kind, 1);
        self.seats.current = Some(seat);
        self.timers.set(Timer::EngineReady, now + ENGINE_READY_WITHIN);
    }

    pub(super) fn dial(&mut self, now: Instant, kind: EngineKind, attempt: u32) -> Seat {
        self.seats.count += 1;
        let id = self.seats.count;
        let group = self.seats.chat.as_ref().filter(|chat| chat.engine == kind).map(|chat| chat.group.clone());
        let resumed = group.is_some() || self.history.iter().any(|turn| turn.engine.is_some());
        let by_group = group.is_some();
        let mut engine = Engine::new(
            kind,
            &Beginning { call: self.id, seat: id, script: &self.script, history: &self.history, group },
        );
        self.journal(now, Kind::EngineDialled { engine: kind, attempt });
        let unplayed = self.playout.unplayed(now);
        engine.dial(&mut Outbox { seat: id, now, unplayed, out: &mut self.out, events: &mut self.events });
        Seat { id, kind, engine, dialled_at: now, ready: false, resumed, by_group, heard_ms: 0 }
    }

    /// Something happened on a link.
    pub(super) fn link_event(&mut self, now: Instant, link: LinkId, event: LinkEvent<'_>) {
        let current = self.seats.is_current(link);
        let unplayed = self.playout.unplayed(now);
        let mut events = std::mem::take(&mut self.events);
        let Some(seat) = self.seats.seat_of(link) else {
            // A link that was given up: what still comes from it is of no interest.
            self.events = events;
            return;
        };
        let mut outbox = Outbox { seat: seat.id, now, unplayed, out: &mut self.out, events: &mut events };
        seat.engine.link(link.port, event, &mut outbox);
        self.events = events;
        if current { self.engine_events(now) } else { self.successor_events(now) }
    }

    /// The current engine is ready.
    pub(super) fn engine_ready(&mut self, now: Instant, chat: Option<String>, group: Option<String>) {
        let Some(seat) = self.seats.current.as_mut().filter(|seat| !seat.ready) else {
            self.measured.unknown += 1;
            return;
        };
        seat.ready = true;
        let (engine, resumed, session_max) = (seat.kind, seat.resumed, seat.engine.session_max());
        let took_ms = super::millis(now.saturating_duration_since(seat.dialled_at));
        self.seats.chat = group.clone().map(|group| ChatRef { engine, group });
        self.journal(now, Kind::EngineReady { engine, resumed, chat_group: group, chat, took_ms });
        for timer in [Timer::EngineReady, Timer::Redial, Timer::Resume] {
            self.timers.clear(timer);
        }
        if let Some(session_max) = session_max {
            self.timers.set(Timer::RollOver, now + session_max.saturating_sub(ROLL_OVER_MARGIN));
        }
        self.seated(now, engine, resumed);
        if !self.is_up() {
            self.timers.set_if_unset(Timer::Upward, now);
        }
    }

    /// An engine has taken its seat: it hears what was kept for it, and the conversation goes on.
    pub(super) fn seated(&mut self, now: Instant, engine: EngineKind, resumed: bool) {
        self.caller.engine_seated();
        let covered_by = self.end_cover();
        let outage = self.seats.outage.take();
        if let Some(outage) = &outage {
            let gap_ms = super::millis(now.saturating_duration_since(outage.since));
            self.journal(now, Kind::EngineResumed { engine, gap_ms, covered_by });
        }
        self.hear_kept(now);
        self.caller.keys_again();
        self.keys_over(now);
        self.say_what_waits(now);
        let first_of_later_epoch = self.epoch > 1 && outage.is_none();
        let disturbed =
            matches!(covered_by, Cover::Line | Cover::Tone) || outage.as_ref().is_some_and(|out| out.missed);
        let owes = self.carry_on(now, resumed, disturbed);
        // The new engine needs its time too, and the caller's silence goes on: it is still counted from its beginning.
        if owes && outage.is_some() {
            return self.bridge(now, covered_by);
        }
        self.silence_over();
        if !owes && first_of_later_epoch && resumed && self.opening.is_over() {
            // The caller fell silent when the node died, and nothing tells what was said meanwhile.
            self.caller.ask_again(now);
        }
    }

    /// A fresh session sits where the old one sat; nothing was missed, and nobody is asked.
    pub(super) fn rolled_over(&mut self, now: Instant) {
        self.caller.engine_seated();
        self.hear_kept(now);
        self.carry_on(now, true, false);
    }

    /// Takes the conversation up where it stands: whoever had the word has it again. Whether the caller waits for the engine.
    /// `disturbed`: the caller has noticed that something was wrong.
    fn carry_on(&mut self, now: Instant, resumed: bool, disturbed: bool) -> bool {
        if !self.opening.is_over() {
            self.go_on_opening(now);
            return true;
        }
        if !resumed || self.ending.waits_for_playout() {
            return false;
        }
        // What the caller has begun to say is heard to its end, and answered with all that came before it. If the engine
        // makes nothing of it, it is asked to go on all the same.
        if self.recent.has_words() {
            self.caller.is_heard_again(now + self.recent.waiting() + ASK_AFTER);
            return true;
        }
        let how = self.broken_off().or_else(|| {
            let waits = disturbed && !self.caller.is_unanswered();
            waits.then_some(TakeUp::Waited)
        });
        self.go_on_by_itself(now, how.as_ref())
    }

    /// Has the engine answer what waits for an answer, or take up what else there is. Whether there was anything.
    pub(super) fn go_on_by_itself(&mut self, now: Instant, how: Option<&TakeUp>) -> bool {
        if let Some(how) = how {
            self.caller.waits_for_more();
            self.with_engine(|engine, outbox| engine.take_up(how, outbox));
        } else if let Some(words) = self.caller.unanswered() {
            self.with_engine(|engine, outbox| engine.answer(&words, outbox));
        } else {
            return false;
        }
        self.expect_reply(now);
        true
    }

    /// What of the turn in whose middle an engine was lost the caller has heard, or is about to.
    fn broken_off(&self) -> Option<TakeUp> {
        let n = self.seats.broke_off?;
        let record = self.turns.record_of(n, self.playout.end());
        let (text, heard) = match (&record, self.history.iter().rev().find(|turn| turn.n == n)) {
            (Some(record), _) | (None, Some(record)) => (record.text.trim(), record.heard_text.trim()),
            (None, None) => return None,
        };
        let unheard = text.strip_prefix(heard).unwrap_or_default();
        (!heard.is_empty()).then(|| TakeUp::BrokenOff { heard: heard.to_owned(), unheard: unheard.to_owned() })
    }

    /// Nobody will be dialled any more.
    pub(super) fn give_up_seats(&mut self) {
        self.close_links();
        self.seats.outage = None;
        self.seats.waiting.clear();
        for timer in [Timer::Redial, Timer::Resume, Timer::EngineReady] {
            self.timers.clear(timer);
        }
    }

    /// Closes the links of an engine that is no longer wanted.
    pub(super) fn close_seat(&mut self, now: Instant, mut seat: Seat) {
        let unplayed = self.playout.unplayed(now);
        seat.engine.hang_up(&mut Outbox { seat: seat.id, now, unplayed, out: &mut self.out, events: &mut self.events });
    }

    /// Lets the engines do what is due with them.
    pub(super) fn wake_engines(&mut self, now: Instant) {
        let unplayed = self.playout.unplayed(now);
        if let Some(seat) = &mut self.seats.current {
            let (seat_id, out) = (seat.id, &mut self.out);
            seat.engine.wake(&mut Outbox { seat: seat_id, now, unplayed, out, events: &mut self.events });
            self.engine_events(now);
        }
        if let Some(seat) = &mut self.seats.successor {
            let (seat_id, out) = (seat.id, &mut self.out);
            seat.engine.wake(&mut Outbox { seat: seat_id, now, unplayed, out, events: &mut self.events });
            self.successor_events(now);
        }
    }

    /// When an engine next wants to be woken.
    pub(super) fn engines_due(&self) -> Option<Instant> {
        [&self.seats.current, &self.seats.successor]
            .into_iter()
            .flatten()
            .filter_map(|seat| seat.engine.next_due())
            .min()
    }

    /// Closes every link.
    pub(super) fn close_links(&mut self) {
        for seat in [self.seats.current.take(), self.seats.successor.take()].into_iter().flatten() {
            self.close_seat(self.now, seat);
        }
    }
}
