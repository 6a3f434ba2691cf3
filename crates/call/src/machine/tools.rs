//! What the model asks for: our own tools are answered here, the others are the shell's to run.

use std::time::{Duration, Instant};

use super::Call;
use crate::io::{Output, ToolRequest};
use crate::journal::{EndReason, EndedBy, Kind, NextStep};
use crate::limits::TOOLS_MAX;
use crate::timer::Timer;

/// Ends the call, after the goodbye was heard.
const HANG_UP: &str = "hang_up";
/// Notes a booking in the journal, where the record's reader finds it.
const RECORD_BOOKING: &str = "record_booking";

#[derive(Debug, Default)]
pub(super) struct Tools(Vec<Running>);

#[derive(Debug)]
struct Running {
    id: String,
    since: Instant,
    deadline: Instant,
}

impl Tools {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, id: &str) -> Option<Running> {
        let index = self.0.iter().position(|running| running.id == id)?;
        Some(self.0.remove(index))
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|running| running.deadline).min()
    }
}

impl Call {
    pub(super) fn tool_called(&mut self, now: Instant, id: String, name: String, arguments: String) {
        self.journal(now, Kind::ToolCalled { id: id.clone(), name: name.clone(), arguments: arguments.clone() });
        self.caller.not_answered_yet();
        let Some(tool) = self.script.tools.iter().find(|tool| tool.name == name) else {
            return self.answer_tool(now, &id, now, Err("There is no such tool. Go on without it."));
        };
        match name.as_str() {
            HANG_UP => self.goodbye(now, id),
            RECORD_BOOKING => match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&arguments) {
                Ok(_) => self.answer_tool(now, &id, now, Ok(r#"{"recorded":true}"#)),
                Err(_) => self.answer_tool(now, &id, now, Err("The arguments were not a JSON object. Try again.")),
            },
            _ if self.tools.0.len() >= TOOLS_MAX || self.tools.0.iter().any(|running| running.id == id) => {
                self.answer_tool(now, &id, now, Err("Too much is being looked up at once. Try again later."));
            }
            _ => {
                let deadline = now + Duration::from_millis(u64::from(tool.timeout_ms));
                self.tools.0.push(Running { id: id.clone(), since: now, deadline });
                self.out.push_back(Output::Tool(ToolRequest { id, name, arguments, deadline }));
                self.set_tool_timer();
                self.expect_reply(now);
            }
        }
    }

    /// The shell has an answer. One that comes too late was answered already, and is dropped.
    pub(super) fn tool_answered(&mut self, now: Instant, id: &str, answer: Result<&str, &str>) {
        if let Some(running) = self.tools.take(id) {
            self.answer_tool(now, id, running.since, answer);
        }
        self.set_tool_timer();
    }

    pub(super) fn tool_overdue(&mut self, now: Instant) {
        while let Some(index) = self.tools.0.iter().position(|running| running.deadline <= now) {
            let running = self.tools.0.remove(index);
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
        self.journal(now, Kind::ToolAnswered { id: id.to_owned(), ok, content: content.to_owned(), took_ms });
        self.expect_reply(now);
    }

    /// The engine that asked is gone; nobody waits for the answers any more.
    pub(super) fn tools_lost(&mut self, now: Instant) {
        for running in std::mem::take(&mut self.tools.0) {
            let took_ms = super::millis(now.saturating_duration_since(running.since));
            let content = "the engine that asked was lost".to_owned();
            self.journal(now, Kind::ToolAnswered { id: running.id, ok: false, content, took_ms });
        }
        self.timers.clear(Timer::Tool);
    }

    fn set_tool_timer(&mut self) {
        match self.tools.next_deadline() {
            Some(deadline) => self.timers.set(Timer::Tool, deadline),
            None => self.timers.clear(Timer::Tool),
        }
    }

    /// The agent wants to hang up. What it said is heard out first; if it said nothing, it is asked for a goodbye.
    fn goodbye(&mut self, now: Instant, id: String) {
        let step = NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye };
        if self.caller.answered_aloud() {
            // The engine may hold the turn open until the tool is answered, which it never will be.
            self.turns.complete();
            self.playout.end_turn();
            self.owed_nothing();
            self.end_after_speech(now, step);
            self.ending.called_by(id);
        } else {
            self.answer_tool(now, &id, now, Ok("Say goodbye in one short sentence. The line is closed after it."));
            self.end_after_next_turn(now, step);
        }
    }
}
