//! The call: phone on one side, engine on the other, and the rules between them.
//!
//! Read in this order: this file takes inputs and settles what follows from them; [`talk`] turns an engine's words and
//! sound into turns, [`caller`] the caller's, and [`barge_in`] cuts them; [`hearing`] sends the caller's voice up; [`seats`] dials engines, [`outage`] dials them
//! again; [`cover`] keeps the caller from silence; [`tools`] and [`ending`] do what their names say.

mod barge_in;
mod caller;
mod cover;
mod ending;
mod figures;
mod hearing;
mod keys;
mod opening;
mod outage;
mod quiet;
mod roll_over;
mod seats;
mod talk;
mod tools;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::twilio::stream::Outbound;

use crate::agent::Script;
use crate::audio::lines::Line;
use crate::engine::Event;
use crate::id::CallId;
use crate::io::{Input, Output, PhoneEvent, Recorded};
use crate::journal::{EndReason, EndedBy, Entry, Kind, Measured, NextStep, Speaker, StreamEnd, Turn};
use crate::limits::{HISTORY_MAX, LAST_MARK_WITHIN, MEASURE_EVERY, PREPARED_MAX};
use crate::playout::{Playout, Send};
use crate::recent::Recent;
use crate::setup::Setup;
use crate::timer::{Timer, Timers};
use crate::turn::{AgentTurns, FirstSound};
use crate::upward::Upward;
use crate::words;

/// An engine that was just woken is not woken again sooner.
const ENGINE_REST: Duration = Duration::from_millis(1);

/// One epoch of one call. See the crate's documentation for its shape.
#[derive(Debug)]
pub struct Call {
    id: CallId,
    epoch: u32,
    script: Script,
    offset_ms: u64,
    call_ms_max: u64,
    /// The time of the input that is being handled.
    now: Instant,
    born: Instant,
    born_wall_ms: u64,
    rng: fastrand::Rng,

    out: VecDeque<Output>,
    events: VecDeque<Event>,
    timers: Timers,
    seq: u64,
    measured: Measured,

    phone: Phone,
    playout: Playout,
    turns: AgentTurns,
    turn_count: u32,
    history: Vec<Turn>,
    caller: caller::Caller,
    /// What the caller said last, until an engine has told what it was.
    recent: Recent,
    opening: opening::Opening,
    seats: seats::Seats,
    cover: cover::Cover,
    tools: tools::Tools,
    ending: ending::Ending,
    /// Whether the caller has heard that the call is recorded.
    disclosed: bool,
    over: bool,
}

/// The phone's side.
#[derive(Debug)]
enum Phone {
    /// Twilio is still setting the stream up.
    Awaited,
    /// The stream is up.
    Up { started: Instant, upward: Upward },
}

impl Call {
    /// A call whose stream is expected. `wall_ms` is the wall clock at `now`, in Unix milliseconds; it dates the journal
    /// and decides nothing. `seed` feeds the jitter between dials.
    #[must_use]
    pub fn new(now: Instant, wall_ms: u64, setup: Setup, seed: u64) -> Self {
        let Setup { call, epoch, script, engines, history, chat, offset_ms, greeted, disclosed, call_ms_max } = setup;
        let turn_count = history.iter().map(|turn| turn.n).max().unwrap_or(0);
        let unanswered = history
            .last()
            .filter(|turn| turn.speaker == Speaker::Caller && !turn.text.is_empty())
            .map(|turn| (turn.n, turn.text.clone()));
        let mut this = Self {
            id: call,
            epoch,
            playout: Playout::new(script.lead, epoch),
            opening: opening::Opening::new(&script, greeted, disclosed),
            seats: seats::Seats::new(engines.clone(), chat),
            script,
            offset_ms,
            call_ms_max,
            now,
            born: now,
            born_wall_ms: wall_ms,
            rng: fastrand::Rng::with_seed(seed),
            out: VecDeque::new(),
            events: VecDeque::new(),
            timers: Timers::default(),
            seq: 0,
            measured: Measured::default(),
            phone: Phone::Awaited,
            turns: AgentTurns::default(),
            turn_count,
            history,
            caller: caller::Caller::new(now, unanswered),
            recent: Recent::default(),
            cover: cover::Cover::new(seed),
            tools: tools::Tools::default(),
            ending: ending::Ending::default(),
            disclosed,
            over: false,
        };
        this.journal(now, Kind::Prepared { engines });
        this.timers.set(Timer::Prepared, now + PREPARED_MAX);
        this.dial_next(now);
        this.settle(now);
        this
    }

    /// The call's id.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Takes what happened. Afterwards [`Call::poll`] until it says `Wait` or `Finished`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        if self.over {
            return;
        }
        self.now = now;
        match input {
            Input::Phone(event) => self.phone_event(now, event),
            Input::Link(link, event) => self.link_event(now, link, event),
            Input::Command(command) => self.command(now, command),
            Input::Tool { id, answer } => self.tool_answered(now, id, answer),
            Input::Wake => {}
        }
        self.engine_events(now);
        while !self.over
            && let Some(timer) = self.timers.expired(now)
        {
            self.timer(now, timer);
            self.engine_events(now);
        }
        if !self.over {
            self.settle(now);
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Output {
        if let Some(output) = self.out.pop_front() {
            return output;
        }
        match self.timers.next() {
            Some(deadline) if !self.over => Output::Wait(deadline),
            Some(_) | None => Output::Finished,
        }
    }

    fn phone_event(&mut self, now: Instant, event: PhoneEvent<'_>) {
        match event {
            PhoneEvent::Started { stream_sid } => self.stream_started(now, stream_sid),
            PhoneEvent::Media { timestamp_ms, payload } => self.caller_audio(now, timestamp_ms, payload),
            PhoneEvent::Dtmf { digit } => self.key_pressed(now, digit),
            PhoneEvent::Mark { name } => {
                self.playout.marked(now, name);
            }
            PhoneEvent::Stopped => self.finish(now, StreamEnd::Stopped, None),
            PhoneEvent::Lost => self.finish(now, StreamEnd::Lost, None),
            PhoneEvent::Malformed => self.measured.malformed += 1,
            PhoneEvent::Unknown => self.measured.unknown += 1,
        }
    }

    fn stream_started(&mut self, now: Instant, stream_sid: &str) {
        if !matches!(self.phone, Phone::Awaited) {
            self.measured.malformed += 1;
            return;
        }
        self.journal(now, Kind::StreamStarted { stream_sid: stream_sid.to_owned() });
        self.phone = Phone::Up { started: now, upward: Upward::new(now) };
        self.timers.clear(Timer::Prepared);
        self.timers.set(Timer::Measure, now + MEASURE_EVERY);
        self.timers.set(Timer::CallLimit, now + Duration::from_millis(self.call_ms_max.saturating_sub(self.offset_ms)));
        self.expect_caller(now);
        if self.has_engine() {
            self.go_on_opening(now);
        }
        // An engine that was asked to go on with the conversation owes its answer from now on.
        let asked = self.epoch > 1 && self.caller.wants_asking().is_none() && self.playout.is_dry(now);
        if asked && self.has_engine() {
            self.expect_reply(now);
        }
        self.cover_start(now);
    }

    fn timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Playout | Timer::Quiet => {}
            Timer::Engine => self.wake_engines(now),
            Timer::LastMark => self.playout.assume_heard(),
            Timer::Upward => self.fill_upward(now),
            Timer::EngineReady => self.engine_not_ready(now),
            Timer::Redial => self.redial(now),
            Timer::Resume => self.resume_expired(now),
            Timer::Line => self.line_due(now),
            Timer::Reply => self.reply_overdue(now),
            Timer::Deaf => self.engine_deaf(now),
            Timer::Opening => self.opening_overdue(now),
            Timer::RollOver => self.roll_over_due(now),
            Timer::Goodbye => self.goodbye_overdue(now),
            Timer::Tool => self.tool_overdue(now),
            Timer::Prepared => self.finish(now, StreamEnd::NeverCame, None),
            Timer::Keys => self.keys_over(now),
            Timer::CallLimit => self.end_for_limit(now),
            Timer::CallerSilence => self.caller_silent(now),
            Timer::Drain => self.hand_over(now),
            Timer::Measure => self.measure(now),
        }
    }

    /// Does what follows from the state as it is now, until nothing more follows.
    fn settle(&mut self, now: Instant) {
        self.feed_tone(now);
        self.play(now);
        self.close_heard_turns(now);
        self.look_for_quiet(now);
        self.end_if_heard_out(now);
        if self.over {
            return;
        }
        match self.engines_due() {
            Some(due) => self.timers.set(Timer::Engine, due.max(now + ENGINE_REST)),
            None => self.timers.clear(Timer::Engine),
        }
        let upward_due = match &self.phone {
            Phone::Up { upward, .. } => Some(upward.next_due()),
            Phone::Awaited => None,
        };
        if let Some(due) = upward_due {
            self.timers.set(Timer::Upward, due);
        }
    }

    /// Sends what is due to the phone, and records what was heard.
    fn play(&mut self, now: Instant) {
        if !self.is_up() {
            return;
        }
        while let Some(send) = self.playout.poll(now) {
            self.out.push_back(Output::Phone(match send {
                Send::Frame(frame) => Outbound::Media { payload: frame },
                Send::Mark(name) => Outbound::Mark { name },
            }));
        }
        match self.playout.next_due(now) {
            Some(due) => self.timers.set(Timer::Playout, due),
            None => self.timers.clear(Timer::Playout),
        }
        self.record_heard(now);
    }

    /// Hands what the caller has heard of the agent to the recording, if there is one.
    fn record_heard(&mut self, now: Instant) {
        let Phone::Up { started, .. } = self.phone else { return };
        while let Some(heard) = self.playout.take_heard(now) {
            if self.script.recording {
                let at_ms = millis(heard.slot.saturating_duration_since(started));
                self.out.push_back(Output::Record(Recorded { track: Speaker::Agent, at_ms, audio: heard.frame }));
            }
        }
    }

    /// Closes the turns that the caller has heard to their end.
    fn close_heard_turns(&mut self, now: Instant) {
        let Phone::Up { started, .. } = self.phone else { return };
        let offset_ms = self.offset_ms;
        let playout = &self.playout;
        let begun = self.turns.note_starts(playout.sent(), |position| {
            offset_ms + millis(playout.slot_of(position, now).saturating_duration_since(started))
        });
        for first in begun {
            let caller_end_ms = self.answered_end_ms();
            let FirstSound { n, arrived_ms, played_ms } = first;
            let way_ms = self.playout.way().map(millis);
            self.journal(now, Kind::FirstSound { n, caller_end_ms, arrived_ms, played_ms, way_ms });
        }
        let heard = self.playout.confirmed(now);
        while let Some(turn) = self.turns.take_heard(heard) {
            let end = turn.end().map_or(now, |end| self.playout.slot_of(end, now)).min(now);
            let record = turn.record(heard, self.call_ms(end), false);
            self.turn_over(now, &turn, record);
            self.expect_caller(now);
        }
        // All was sent and nothing more will come: only the last mark is missing.
        if self.turns.all_complete() && !self.turns.is_empty() && self.playout.queued().is_zero() {
            self.timers.set_if_unset(Timer::LastMark, self.playout.heard_out_at(now) + LAST_MARK_WITHIN);
        } else {
            self.timers.clear(Timer::LastMark);
        }
    }

    /// Writes a turn down, and remembers it for an engine that takes over.
    fn turn_over(&mut self, now: Instant, turn: &crate::turn::AgentTurn, record: Turn) {
        // Only the whole of it counts: whatever was asked for, this is about what was said and heard.
        if turn.is_disclosure() && words::contains(&record.heard_text, &self.script.disclosure) {
            self.disclosed = true;
            self.opening.disclosed();
            self.journal(now, Kind::DisclosureHeard { text: record.text.clone(), end_ms: record.end_ms });
        }
        self.remember(now, record);
    }

    fn remember(&mut self, now: Instant, record: Turn) {
        if self.history.len() == HISTORY_MAX {
            self.history.remove(0);
        }
        // Words may come late: what was said stays in the order in which it was said.
        let place = self.history.partition_point(|turn| turn.n < record.n);
        self.history.insert(place, record.clone());
        self.journal(now, Kind::Turn(record));
    }

    fn next_turn_number(&mut self) -> u32 {
        self.turn_count += 1;
        self.turn_count
    }

    /// Milliseconds from the start of the call's first stream.
    fn call_ms(&self, now: Instant) -> u64 {
        match self.phone {
            Phone::Up { started, .. } => self.offset_ms + millis(now.saturating_duration_since(started)),
            Phone::Awaited => self.offset_ms,
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.phone, Phone::Up { .. })
    }

    fn journal(&mut self, now: Instant, kind: Kind) {
        self.seq += 1;
        let at_ms = self.born_wall_ms + millis(now.saturating_duration_since(self.born));
        self.out.push_back(Output::Journal(Entry { epoch: self.epoch, seq: self.seq, at_ms, kind }));
    }

    /// The caller has said nothing for too long, unless it was the agent's turn all the while.
    fn caller_silent(&mut self, now: Instant) {
        if !self.playout.is_dry(now) || self.cover.owes_reply() || !self.tools.is_empty() || !self.has_engine() {
            return self.expect_caller(now);
        }
        self.end_for_limit(now);
    }

    fn end_for_limit(&mut self, now: Instant) {
        self.cut_off(now);
        self.play_line(now, Line::Sorry);
        self.end_after_speech(now, NextStep::HangUp { ended_by: EndedBy::System, reason: EndReason::Limit });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
