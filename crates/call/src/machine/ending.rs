//! How this epoch ends: hang-up, transfer, apology, hand-over; and what the record still owes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Call, Phone};
use crate::audio::lines::{self, Line};
use crate::engine::Event;
use crate::io::{Command, Output};
use crate::journal::{EndReason, EndedBy, Kind, NextStep, StreamEnd};
use crate::limits::{GOODBYE_WITHIN, HAND_OVER_LOOK, SAY_LATER_MAX};
use crate::timer::Timer;
use crate::words;

#[derive(Debug, Default)]
pub(super) struct Ending {
    closing: Option<Closing>,
    /// From when on a quiet moment is used to hand the call over.
    hand_over_from: Option<Instant>,
    /// What an operator wants said, while no engine can say it.
    say_later: VecDeque<String>,
}

fn is_agents(step: &NextStep) -> bool {
    matches!(step, NextStep::HangUp { ended_by: EndedBy::Agent, .. })
}

/// The call is about to end, when what is being said was heard.
#[derive(Debug)]
struct Closing {
    step: NextStep,
    /// Whether the engine has yet to say its last turn.
    awaits_turn: bool,
    /// The tool request that asked for the end and was not answered.
    tool: Option<String>,
    /// The caller spoke over the goodbye; their words decide whether the call ends.
    held: bool,
    /// The turn of the caller that the goodbye answers has no words yet. They will come, and mean no new turn.
    answers_unwritten: bool,
}

impl Ending {
    pub(super) fn is_draining(&self) -> bool {
        self.hand_over_from.is_some()
    }

    /// Whether the node's time runs out: the next quiet moment is the one to go.
    pub(super) fn hands_over(&self, now: Instant) -> bool {
        self.hand_over_from.is_some_and(|from| from <= now)
    }

    /// Whether the engine is not listened to any more: the last word is ours, or was said.
    pub(super) fn mutes(&self, event: &Event) -> bool {
        let ours = self.closing.as_ref().is_some_and(|closing| match &closing.step {
            NextStep::HangUp { ended_by, .. } => *ended_by != EndedBy::Agent,
            NextStep::Transfer { .. } => !closing.awaits_turn,
            NextStep::Apologise { .. } | NextStep::Continue => true,
        });
        ours && matches!(
            event,
            Event::Sentence { .. } | Event::SentenceEnd { .. } | Event::Audio { .. } | Event::Tool { .. }
        )
    }

    /// Whether the last words were said, and only have to be heard.
    pub(super) fn waits_for_playout(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| !closing.awaits_turn && !closing.held)
    }

    /// The caller cut the agent off. A goodbye that was cut is not a goodbye that was heard.
    pub(super) fn interrupted(&mut self) {
        if let Some(closing) = self.closing.as_mut().filter(|closing| is_agents(&closing.step)) {
            closing.held = true;
        }
    }

    pub(super) fn called_by(&mut self, tool: String) {
        if let Some(closing) = &mut self.closing {
            closing.tool = Some(tool);
        }
    }
}

impl Call {
    pub(super) fn command(&mut self, now: Instant, command: Command) {
        let name = match &command {
            Command::HangUp { .. } => "hang_up",
            Command::Transfer { .. } => "transfer",
            Command::Say { .. } => "say",
            Command::Instruct { .. } => "instruct",
            Command::Drain { .. } => "drain",
        };
        self.journal(now, Kind::Commanded { command: name.to_owned() });
        match command {
            // A prepared call that is let go again: its epoch may be another node's by now, and has a step of its own.
            Command::HangUp { by: EndedBy::System } if !self.is_up() => self.finish(now, StreamEnd::NeverCame, None),
            Command::HangUp { by } => {
                self.cut_off(now);
                let step = NextStep::HangUp { ended_by: by, reason: EndReason::HungUp };
                self.finish(now, StreamEnd::Closed, Some(step));
            }
            Command::Transfer { to } => {
                let step = NextStep::Transfer { to };
                if self.turns.arriving().is_some() {
                    self.end_after_next_turn(now, step)
                } else {
                    self.end_after_speech(now, step)
                }
            }
            Command::Say { text } => {
                // The oldest is the least worth hearing.
                if self.ending.say_later.len() == SAY_LATER_MAX {
                    self.ending.say_later.pop_front();
                }
                self.ending.say_later.push_back(text);
                self.say_what_waits(now);
            }
            Command::Instruct { instructions } => {
                self.journal(now, Kind::Instructed { instructions: instructions.clone() });
                self.with_engine(|engine, outbox| engine.instruct(&instructions, outbox));
                self.script.instructions = instructions;
            }
            Command::Drain { within_ms } => {
                if !self.is_up() {
                    return self.finish(now, StreamEnd::NeverCame, None);
                }
                // Most calls end by themselves in this time, and hear nothing of it.
                let within = Duration::from_millis(within_ms);
                self.ending.hand_over_from = Some(now + within.saturating_sub(HAND_OVER_LOOK));
                self.timers.set(Timer::Drain, now + within);
            }
        }
    }

    /// Ends the call as soon as what is being said was heard, within bounds.
    pub(super) fn end_after_speech(&mut self, now: Instant, step: NextStep) {
        let answers_unwritten = self.caller.is_being_written();
        self.ending.closing = Some(Closing { step, awaits_turn: false, tool: None, held: false, answers_unwritten });
        self.ending_moves(now);
    }

    /// More is to be heard before the end than was known.
    pub(super) fn ending_moves(&mut self, now: Instant) {
        if self.ending.closing.is_some() {
            self.timers.set(Timer::Goodbye, self.playout.heard_out_at(now) + GOODBYE_WITHIN);
        }
    }

    /// Says what an operator asked for, as soon as there is an engine to say it.
    pub(super) fn say_what_waits(&mut self, now: Instant) {
        while self.has_engine()
            && let Some(text) = self.ending.say_later.pop_front()
        {
            self.with_engine(|engine, outbox| engine.say(&text, outbox));
            self.expect_reply(now);
        }
    }

    /// Ends the call when the engine's next turn was heard.
    pub(super) fn end_after_next_turn(&mut self, now: Instant, step: NextStep) {
        self.end_after_speech(now, step);
        if let Some(closing) = &mut self.ending.closing {
            closing.awaits_turn = true;
        }
    }

    /// The engine has sent a turn; if it was the goodbye, only its playout is waited for.
    pub(super) fn goodbye_sent(&mut self) {
        if let Some(closing) = &mut self.ending.closing {
            closing.awaits_turn = false;
        }
    }

    /// The caller said something while the agent was hanging up. Unless it was a goodbye, the call goes on.
    pub(super) fn caller_goes_on(&mut self, now: Instant, text: &str) {
        let Some(closing) = self.ending.closing.as_mut().filter(|closing| is_agents(&closing.step)) else { return };
        if std::mem::take(&mut closing.answers_unwritten) {
            return;
        }
        if !words::are_real(text) || words::is_farewell(text) {
            closing.held = false;
            return;
        }
        self.timers.clear(Timer::Goodbye);
        if let Some(tool) = self.ending.closing.take().and_then(|closing| closing.tool) {
            self.answer_tool(now, &tool, now, Err("The caller is still speaking. Answer, and hang up later."));
        }
    }

    pub(super) fn end_if_heard_out(&mut self, now: Instant) {
        let heard_out = self.turns.is_empty() && self.playout.is_dry(now);
        if heard_out && self.ending.closing.as_ref().is_some_and(|closing| !closing.awaits_turn && !closing.held) {
            self.end_now(now);
        }
    }

    /// The goodbye took too long; what is being said now is still heard out.
    pub(super) fn goodbye_overdue(&mut self, now: Instant) {
        if self.turns.is_empty() { self.end_now(now) } else { self.ending_moves(now) }
    }

    /// The engine that said goodbye is gone. If the caller had spoken up, the call goes on without it.
    pub(super) fn goodbye_lost(&mut self) {
        if self.ending.closing.take_if(|closing| closing.held).is_some() {
            self.timers.clear(Timer::Goodbye);
        }
    }

    pub(super) fn end_now(&mut self, now: Instant) {
        if let Some(closing) = self.ending.closing.take() {
            self.finish(now, StreamEnd::Closed, Some(closing.step));
        }
    }

    /// Gives the call to another node.
    pub(super) fn hand_over(&mut self, now: Instant) {
        let step = self.ending.closing.take().map_or(NextStep::Continue, |closing| closing.step);
        self.finish(now, StreamEnd::Closed, Some(step));
    }

    /// No engine is left. What still plays is heard out, then the control plane says it in its own voice.
    pub(super) fn apologise(&mut self, now: Instant) {
        self.end_cover();
        if !self.is_up() {
            // There is nobody to apologise to yet; the stream's start finds the seats empty.
            return self.give_up_seats();
        }
        let step = NextStep::Apologise {
            text: lines::text(&self.script.language, Line::Sorry).to_owned(),
            language: lines::spoken_language(&self.script.language).to_owned(),
            reason: EndReason::NoEngine,
        };
        for timer in [Timer::Redial, Timer::Resume, Timer::Line, Timer::Reply, Timer::EngineReady] {
            self.timers.clear(timer);
        }
        self.end_after_speech(now, step);
    }

    /// The end of this epoch. Everything that is still open is written down as it stands.
    pub(super) fn finish(&mut self, now: Instant, why: StreamEnd, step: Option<NextStep>) {
        let heard = match why {
            StreamEnd::Stopped => self.playout.heard_when_stopped(now),
            StreamEnd::Lost | StreamEnd::Closed | StreamEnd::NeverCame => self.playout.heard(now),
        };
        for turn in self.turns.take_all() {
            let record = turn.record(heard, self.call_ms(now), false);
            self.turn_over(now, &turn, record);
        }
        self.write_unwritten(now);
        self.tools_lost(now);
        self.record_heard(now);
        self.write_measured(now);
        if let Some(next) = step {
            self.journal(now, Kind::NextStep { next: next.clone() });
            self.out.push_back(Output::NextStep(next));
        }
        self.journal(now, Kind::StreamEnded { why });
        match (&self.phone, why) {
            (Phone::Up { .. }, StreamEnd::Closed | StreamEnd::Stopped) => self.out.push_back(Output::ClosePhone),
            (Phone::Up { .. } | Phone::Awaited, StreamEnd::Lost | StreamEnd::NeverCame)
            | (Phone::Awaited, StreamEnd::Closed | StreamEnd::Stopped) => {}
        }
        self.close_links();
        self.over = true;
    }
}
