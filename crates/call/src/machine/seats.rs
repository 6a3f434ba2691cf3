//! Who sits on the engine's side: dialling, resuming, giving way to the next. [`super::roll_over`] seats a fresh session
//! before the limit of the old one.
//!
//! ```text
//!            refused: next engine                lost: same engine again (2 s), then the next
//!   dial ────────────┐                    ┌───────────────────────────────────────────┐
//!     │              ▼                    │                                           ▼
//!     └──> ready ──> at work ── limit near: a successor is dialled beside it, and takes over between turns
//!                                  nobody left: apologise
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::openai::error::{ErrorCode, Severity};

use super::{Call, Phone, silent_frames};
use crate::agent::EngineKind;
use crate::audio::lines::Line;
use crate::audio::mulaw;
use crate::engine::{Beginning, Engine, Event, Outbox};
use crate::io::{LinkEvent, LinkId, Output};
use crate::journal::{Cover, Kind, LinkCause};
use crate::limits::{
    BACK_OFF_FIRST, BACK_OFF_MAX, ENGINE_MESSAGE_BYTES_MAX, ENGINE_READY_WITHIN, FRAME_BYTES, GIVE_UP_AFTER,
    RESUME_WITHIN, ROLL_OVER_MARGIN, SAMPLES_PER_MS, STALLS_MAX, UPWARD_KEPT_MAX,
};
use crate::setup::ChatRef;
use crate::timer::Timer;

#[derive(Debug)]
pub(super) struct Seats {
    /// Engines not tried yet.
    waiting: VecDeque<EngineKind>,
    pub(super) current: Option<Seat>,
    /// A fresh session of the same engine, dialled while the current one still works.
    pub(super) successor: Option<Seat>,
    count: u32,
    pub(super) chat: Option<ChatRef>,
    pub(super) outage: Option<Outage>,
    /// When the current session ends at the latest, once a fresh one is wanted.
    pub(super) roll_over_by: Option<Instant>,
    /// How often the engine was given up for its silence, since it last said something.
    pub(super) stalls: u8,
    /// Caller's audio that no engine has heard yet.
    kept: VecDeque<[u8; FRAME_BYTES]>,
    /// How much of it had to be dropped.
    dropped_ms: u64,
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
    by_group: bool,
    /// Audio sent to it: where its own clock stands.
    heard_ms: u64,
}

/// The time in which no engine answers, after one did.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) since: Instant,
    lost: EngineKind,
    attempts: u32,
    /// Whether the lost engine may be dialled again.
    may_redial: bool,
    /// Whether something the caller said, or waited for, may have gone with the engine.
    pub(super) missed: bool,
    /// Whether the caller has waited for an answer already.
    waited: bool,
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
            roll_over_by: None,
            stalls: 0,
            kept: VecDeque::new(),
            dropped_ms: 0,
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
            work(&mut seat.engine, &mut Outbox { seat: seat.id, out: &mut self.out, events: &mut self.events });
        }
    }

    /// Sends a frame of the caller up, or keeps it for the engine that is being dialled.
    pub(super) fn hear(&mut self, mulaw: &[u8]) {
        if let Some(seat) = self.seats.current.as_mut().filter(|seat| seat.ready) {
            seat.engine.hear(mulaw, &mut Outbox { seat: seat.id, out: &mut self.out, events: &mut self.events });
            seat.heard_ms += mulaw.len() as u64 / SAMPLES_PER_MS;
            return;
        }
        for chunk in mulaw.chunks(FRAME_BYTES) {
            let mut frame = [mulaw::SILENCE; FRAME_BYTES];
            frame[..chunk.len()].copy_from_slice(chunk);
            if self.seats.kept.len() as u128 >= UPWARD_KEPT_MAX.as_millis() / 20 {
                self.seats.kept.pop_front();
                self.seats.dropped_ms += 20;
            }
            self.seats.kept.push_back(frame);
        }
    }

    pub(super) fn hear_silence(&mut self, length: Duration) {
        for frame in silent_frames(length) {
            self.hear(&frame);
        }
    }

    /// The call's time of something that the engine places `ms` after the first audio it received.
    pub(super) fn heard_at_ms(&self, ms: u64) -> u64 {
        let heard_ms = self.seats.current.as_ref().map_or(0, |seat| seat.heard_ms);
        let sent_ms = match &self.phone {
            Phone::Up { upward, .. } => upward.sent_ms(),
            Phone::Awaited => 0,
        };
        self.offset_ms + (sent_ms + ms).saturating_sub(heard_ms)
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
        let mut engine =
            Engine::new(kind, &Beginning { call: self.id, script: &self.script, history: &self.history, group });
        self.journal(now, Kind::EngineDialled { engine: kind, attempt });
        engine.dial(&mut Outbox { seat: id, out: &mut self.out, events: &mut self.events });
        Seat { id, kind, engine, dialled_at: now, ready: false, resumed, by_group, heard_ms: 0 }
    }

    /// No engine is left to try.
    fn nobody_left(&mut self, now: Instant) {
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

    /// Something happened on a link.
    pub(super) fn link_event(&mut self, now: Instant, link: LinkId, event: LinkEvent<'_>) {
        let current = self.seats.is_current(link);
        let mut events = std::mem::take(&mut self.events);
        let Some(seat) = self.seats.seat_of(link) else {
            // A link that was given up: what still comes from it is of no interest.
            self.events = events;
            return;
        };
        let mut outbox = Outbox { seat: seat.id, out: &mut self.out, events: &mut events };
        match event {
            LinkEvent::Opened => seat.engine.opened(link.port, &mut outbox),
            LinkEvent::Text(text) if text.len() <= ENGINE_MESSAGE_BYTES_MAX => {
                seat.engine.receive(link.port, text, &mut outbox)
            }
            LinkEvent::Text(_) | LinkEvent::Binary => outbox.events.push_back(Event::Malformed),
            LinkEvent::Refused(why) => outbox.events.push_back(Event::Lost(why)),
            LinkEvent::Lost(code) => {
                let why = seat.engine.closed(code);
                outbox.events.push_back(Event::Lost(why));
            }
        }
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
        self.timers.set(Timer::RollOver, now + session_max.saturating_sub(ROLL_OVER_MARGIN));
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
        self.keys_over(now);
        self.say_what_waits(now);
        // The caller waited, or fell silent when the node died, or nothing tells what was said meanwhile: ask.
        let asked_to_wait = matches!(covered_by, Cover::Line | Cover::Tone);
        let first_of_later_epoch = self.epoch > 1 && outage.is_none();
        let (missed, waited) = outage.map_or((false, false), |outage| (outage.missed, outage.waited));
        // The new engine needs its time too: the silence would add up.
        if waited && self.is_up() && self.caller.is_unanswered() && self.playout.is_dry(now) {
            self.play_line(now, Line::Hold);
        }
        self.carry_on(now, resumed, asked_to_wait || missed || first_of_later_epoch);
    }

    /// A fresh session sits where the old one sat; nothing was missed, and nobody is asked.
    pub(super) fn rolled_over(&mut self, now: Instant) {
        self.caller.engine_seated();
        self.hear_kept(now);
        self.carry_on(now, true, false);
    }

    /// Sends up what the caller said while nobody listened.
    fn hear_kept(&mut self, now: Instant) {
        for frame in std::mem::take(&mut self.seats.kept) {
            self.hear(&frame);
        }
        let lost_ms = std::mem::take(&mut self.seats.dropped_ms);
        if lost_ms > 0 {
            self.journal(now, Kind::Gap { what: "caller audio that no engine could hear in time".to_owned(), lost_ms });
        }
    }

    /// Takes the conversation up where it stands. `ask`: unless something is owed, the caller is asked to say it again.
    fn carry_on(&mut self, now: Instant, resumed: bool, ask: bool) {
        if !self.opening.is_over() {
            return self.go_on_opening(now);
        }
        if !resumed {
            return;
        }
        if let Some(words) = self.caller.unanswered() {
            self.with_engine(|engine, outbox| engine.answer(&words, outbox));
            return self.expect_reply(now);
        }
        if ask {
            self.caller.ask_again(now);
        }
    }

    /// The current engine is of no more use.
    pub(super) fn current_failed(&mut self, now: Instant, why: LinkCause) {
        let Some(seat) = self.seats.current.take() else { return };
        self.out.push_back(Output::Close { link: LinkId { seat: seat.id, port: 0 } });
        self.timers.clear(Timer::EngineReady);
        self.timers.clear(Timer::RollOver);
        self.timers.clear(Timer::Deaf);
        self.seats.roll_over_by = None;
        if seat.ready {
            return self.engine_lost(now, &seat, why);
        }
        let permanent = is_permanent(&why);
        // The vendor does not keep the conversation, or not for us; a fresh one is told what was said.
        if let LinkCause::Status { status: status @ (400 | 404 | 409 | 410 | 422) } = why
            && seat.by_group
        {
            self.seats.chat = None;
            let (code, message) = ("resume_refused".to_owned(), format!("the vendor answered {status}"));
            self.journal(now, Kind::EngineError { engine: seat.kind, code, message });
            let fresh = self.dial(now, seat.kind, 1);
            self.seats.current = Some(fresh);
            return self.timers.set(Timer::EngineReady, now + ENGINE_READY_WITHIN);
        }
        match &mut self.seats.outage {
            Some(outage) if outage.lost == seat.kind && !permanent && now < outage.since + RESUME_WITHIN => {
                self.back_off(now)
            }
            Some(outage) => {
                if outage.lost == seat.kind && permanent {
                    outage.may_redial = false;
                }
                self.journal(now, Kind::EngineRefused { engine: seat.kind, why });
                self.dial_next(now);
            }
            None => {
                self.journal(now, Kind::EngineRefused { engine: seat.kind, why });
                self.dial_next(now);
            }
        }
    }

    fn engine_lost(&mut self, now: Instant, seat: &Seat, why: LinkCause) {
        if why == LinkCause::Stalled {
            self.seats.stalls += 1;
        }
        let may_redial = !is_permanent(&why) && self.seats.stalls < STALLS_MAX;
        self.journal(now, Kind::EngineLost { engine: seat.kind, why });
        let missed = self.caller.is_being_written() || !self.tools.is_empty() || self.caller_unnoticed(now);
        let waited = self.cover.owes_reply() || missed;
        // What came of its turn is still played; nothing more will come.
        self.turns.break_off();
        self.playout.end_turn();
        self.opening_lost();
        self.goodbye_lost();
        self.tools_lost(now);
        self.write_unwritten(now);
        self.cover_outage(now);
        self.seats.outage = Some(Outage { since: now, lost: seat.kind, attempts: 0, may_redial, missed, waited });
        self.timers.set(Timer::Resume, now + RESUME_WITHIN);
        match self.seats.successor.take() {
            Some(successor) => {
                self.seats.current = Some(successor);
                self.timers.set(Timer::EngineReady, now + ENGINE_READY_WITHIN);
            }
            None if may_redial => self.redial(now),
            None => self.dial_next(now),
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
            self.out.push_back(Output::Close { link: LinkId { seat: seat.id, port: 0 } });
        }
        self.journal(now, Kind::EngineRefused { engine: lost, why: LinkCause::Timeout });
        self.timers.set(Timer::Resume, now + GIVE_UP_AFTER);
        self.dial_next(now);
    }

    /// Whether the caller speaks, or has spoken, and the engine did not say that it heard.
    fn caller_unnoticed(&self, now: Instant) -> bool {
        match &self.phone {
            Phone::Up { upward, .. } => {
                !upward.is_quiet(now) || upward.voiced_at().is_some_and(|at| !self.caller.noticed_since(at))
            }
            Phone::Awaited => false,
        }
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

    /// Closes every link.
    pub(super) fn close_links(&mut self) {
        for seat in [self.seats.current.take(), self.seats.successor.take()].into_iter().flatten() {
            self.out.push_back(Output::Close { link: LinkId { seat: seat.id, port: 0 } });
        }
    }
}
