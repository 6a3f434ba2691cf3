//! What the model asks for: our own tools are answered here, the others are the shell's to run.
//!
//! Arguments are held to the tool's schema before anything is done. An engine that is lost takes what it knew with it, and
//! the next one may ask for the same again; what was done for the first one is then not done twice. Its answer is given
//! again, or awaited, and a request that is repeated all the same carries the same key.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::Call;
use crate::agent::{Tool, schema};
use crate::io::{Output, ToolRequest};
use crate::journal::{EndReason, EndedBy, Kind, NextStep};
use crate::limits::TOOLS_MAX;
use crate::timer::Timer;

/// Ends the call, after the goodbye was heard.
const HANG_UP: &str = "hang_up";
/// Notes a booking in the journal, where the record's reader finds it.
const RECORD_BOOKING: &str = "record_booking";
/// Connects the caller with somebody whom the agent's file names.
const TRANSFER_CALL: &str = "transfer_call";

/// Bookings in one call: a family's appointments, and a model that has lost its way no further.
const BOOKINGS_MAX: usize = 20;

/// Characters of each part of a booking.
const BOOKING_CHARS_MAX: usize = 300;

/// What was done for an engine counts as done for the next one for so long: it asks within a turn or two, or means
/// something else.
const REMEMBERED_FOR: Duration = Duration::from_secs(120);

/// Requests that are remembered: more than a model makes in that time.
const REMEMBERED_MAX: usize = 32;

/// What the journal keeps of arguments and answers, in bytes: the journal is read, not replayed.
const JOURNALED_BYTES_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Tools {
    running: Vec<Running>,
    /// What this engine, or one before it, was given lately.
    remembered: VecDeque<Remembered>,
    bookings: Vec<Booking>,
    count: u32,
}

#[derive(Debug)]
struct Running {
    /// The engine's name for the request.
    id: String,
    /// The shell's: that of the engine that asked first.
    asked_as: String,
    since: Instant,
    deadline: Instant,
}

/// Something that was asked of the shell.
#[derive(Debug)]
struct Remembered {
    asked_as: String,
    key: String,
    name: String,
    arguments: Map<String, Value>,
    at: Instant,
    /// What came of it: nothing yet, or nothing good, may be asked again.
    answer: Option<String>,
    /// Until then the shell may still answer.
    deadline: Instant,
    /// Whether the engine that asked is gone: only then is the same request not a new one.
    orphaned: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Booking {
    what: String,
    when: String,
    name: String,
}

impl Tools {
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.running.iter().map(|running| running.deadline).min()
    }

    /// What an engine that is gone asked for in the same words, if the time for it is not over. Taken once: who asks a
    /// second time means it.
    fn inherited(&mut self, name: &str, arguments: &Map<String, Value>, now: Instant) -> Option<Remembered> {
        self.remembered.retain(|done| now.saturating_duration_since(done.at) < REMEMBERED_FOR);
        let same = |done: &Remembered| done.orphaned && done.name == name && done.arguments == *arguments;
        self.remembered.iter().position(same).and_then(|index| self.remembered.remove(index))
    }

    fn remember(&mut self, done: Remembered) {
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(done);
    }
}

impl Call {
    pub(super) fn tool_called(&mut self, now: Instant, id: String, name: String, arguments: String) {
        let noted = shortened(&arguments).to_owned();
        self.journal(now, Kind::ToolCalled { id: id.clone(), name: name.clone(), arguments: noted });
        self.caller.not_answered_yet();
        let Some(tool) = self.script.tools.iter().find(|tool| tool.name == name).cloned() else {
            return self.answer_tool(now, &id, now, Err("There is no such tool. Go on without it."));
        };
        // Whatever it says besides, it wants to end the call.
        if name == HANG_UP {
            return self.goodbye(now, id);
        }
        let arguments = match schema::arguments(tool.schema(), &arguments) {
            Ok(arguments) => arguments,
            Err(what) => {
                let error = format!("Not done: {what}. Ask again with the right arguments.");
                return self.answer_tool(now, &id, now, Err(&error));
            }
        };
        match name.as_str() {
            RECORD_BOOKING => self.record_booking(now, &id, &arguments),
            TRANSFER_CALL => self.transfer_called(now, id, &tool, &arguments),
            _ => self.run_tool(now, id, &tool, arguments),
        }
    }

    fn run_tool(&mut self, now: Instant, id: String, tool: &Tool, arguments: Map<String, Value>) {
        let Some(url) = tool.url.clone() else {
            return self.answer_tool(now, &id, now, Err("This tool is not available. Go on without it."));
        };
        if self.tools.running.len() >= TOOLS_MAX || self.tools.running.iter().any(|running| running.id == id) {
            return self.answer_tool(now, &id, now, Err("Too much is being looked up at once. Try again later."));
        }
        let inherited = self.tools.inherited(&tool.name, &arguments, now);
        if let Some(Remembered { answer: Some(answer), .. }) = &inherited {
            return self.answer_tool(now, &id, now, Ok(answer));
        }
        let deadline = now + Duration::from_millis(u64::from(tool.timeout_ms));
        match inherited {
            // It is under way; whoever asked first is gone, and its answer is this engine's.
            Some(done) if done.deadline > now => {
                let running = Running { id, asked_as: done.asked_as.clone(), since: now, deadline: done.deadline };
                self.tools.running.push(running);
                self.tools.remember(Remembered { orphaned: false, ..done });
            }
            other => {
                let key = other.map_or_else(|| self.next_key(), |done| done.key);
                let done = Remembered {
                    asked_as: id.clone(),
                    key: key.clone(),
                    name: tool.name.clone(),
                    arguments: arguments.clone(),
                    at: now,
                    answer: None,
                    deadline,
                    orphaned: false,
                };
                self.tools.remember(done);
                self.tools.running.push(Running { id: id.clone(), asked_as: id.clone(), since: now, deadline });
                let (name, agent) = (tool.name.clone(), self.script.agent.clone());
                self.out.push_back(Output::Tool(ToolRequest { id, name, key, url, agent, arguments, deadline }));
            }
        }
        self.set_tool_timer();
        self.expect_reply(now);
    }

    /// A name for a request that no other one of any call has.
    fn next_key(&mut self) -> String {
        self.tools.count += 1;
        format!("{}_{}_{}", self.id, self.epoch, self.tools.count)
    }

    /// The shell has an answer. One that comes too late was answered already, and is dropped; but for an engine that asks
    /// again it is kept.
    pub(super) fn tool_answered(&mut self, now: Instant, id: &str, answer: Result<&str, &str>) {
        if let Ok(content) = answer
            && let Some(done) = self.tools.remembered.iter_mut().rev().find(|done| done.asked_as == id)
        {
            done.answer = Some(content.to_owned());
        }
        if let Some(index) = self.tools.running.iter().position(|running| running.asked_as == id) {
            let running = self.tools.running.remove(index);
            self.answer_tool(now, &running.id, running.since, answer);
        }
        self.set_tool_timer();
    }

    pub(super) fn tool_overdue(&mut self, now: Instant) {
        while let Some(index) = self.tools.running.iter().position(|running| running.deadline <= now) {
            let running = self.tools.running.remove(index);
            self.answer_tool(
                now,
                &running.id,
                running.since,
                Err("It took too long. Go on without it, and say so if it matters."),
            );
        }
        self.set_tool_timer();
    }

    pub(super) fn answer_tool(&mut self, now: Instant, id: &str, since: Instant, answer: Result<&str, &str>) {
        self.with_engine(|engine, outbox| engine.tool(id, answer, outbox));
        let (ok, content) = match answer {
            Ok(content) => (true, content),
            Err(content) => (false, content),
        };
        let took_ms = super::millis(now.saturating_duration_since(since));
        let content = shortened(content).to_owned();
        self.journal(now, Kind::ToolAnswered { id: id.to_owned(), ok, content, took_ms });
        self.expect_reply(now);
    }

    /// The engine that asked is gone; nobody waits for the answers any more.
    pub(super) fn tools_lost(&mut self, now: Instant) {
        for running in std::mem::take(&mut self.tools.running) {
            let took_ms = super::millis(now.saturating_duration_since(running.since));
            let content = "the engine that asked was lost".to_owned();
            self.journal(now, Kind::ToolAnswered { id: running.id, ok: false, content, took_ms });
        }
        for done in &mut self.tools.remembered {
            done.orphaned = true;
        }
        self.timers.clear(Timer::Tool);
    }

    fn set_tool_timer(&mut self) {
        match self.tools.next_deadline() {
            Some(deadline) => self.timers.set(Timer::Tool, deadline),
            None => self.timers.clear(Timer::Tool),
        }
    }

    /// Writes a booking down, once.
    fn record_booking(&mut self, now: Instant, id: &str, arguments: &Map<String, Value>) {
        let part = |name: &str| {
            let text = arguments.get(name).and_then(Value::as_str).unwrap_or_default().trim();
            (1..=BOOKING_CHARS_MAX).contains(&text.chars().count()).then(|| text.to_owned())
        };
        let (Some(what), Some(when), Some(name)) = (part("what"), part("when"), part("name")) else {
            let error = "Not recorded: what, when and name must each say something, in at most 300 characters.";
            return self.answer_tool(now, id, now, Err(error));
        };
        let booking = Booking { what, when, name };
        if !self.tools.bookings.contains(&booking) {
            if self.tools.bookings.len() == BOOKINGS_MAX {
                return self.answer_tool(now, id, now, Err("Not recorded: this call has too many bookings already."));
            }
            let Booking { what, when, name } = &booking;
            let (what, when, name) = (what.clone(), when.clone(), name.clone());
            self.journal(now, Kind::BookingRecorded { what, when, name });
            self.tools.bookings.push(booking);
        }
        self.answer_tool(now, id, now, Ok(r#"{"recorded":true}"#));
    }

    /// The agent wants to connect the caller with somebody.
    fn transfer_called(&mut self, now: Instant, id: String, tool: &Tool, arguments: &Map<String, Value>) {
        // The schema lets no other name through than those of the file.
        let number = arguments.get("to").and_then(Value::as_str).and_then(|to| tool.destinations.get(to));
        let Some(to) = number.cloned() else {
            return self.answer_tool(now, &id, now, Err("There is no such destination. Go on without it."));
        };
        let announce = "Tell the caller in one short sentence that you connect them now. They are connected after it.";
        self.end_after_words(now, id, NextStep::Transfer { to }, announce);
    }

    /// The agent wants to hang up. What it said is heard out first; if it said nothing, it is asked for a goodbye.
    fn goodbye(&mut self, now: Instant, id: String) {
        let step = NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye };
        self.end_after_words(now, id, step, "Say goodbye in one short sentence. The line is closed after it.");
    }

    /// Ends the call when the agent's last words were heard; `ask` is what it is told if it has not said any.
    fn end_after_words(&mut self, now: Instant, id: String, step: NextStep, ask: &str) {
        if self.caller.answered_aloud() {
            // The engine may hold the turn open until the tool is answered, which it never will be.
            self.turns.complete();
            self.playout.end_turn();
            self.owed_nothing();
            self.end_after_speech(now, step);
            self.ending.called_by(id);
        } else {
            self.answer_tool(now, &id, now, Ok(ask));
            self.end_after_next_turn(now, step);
        }
    }
}

/// The beginning of a text, for the journal.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(JOURNALED_BYTES_MAX)]
}
