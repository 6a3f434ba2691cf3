//! The conversation as the model is told it: what the caller said, and what of the agent's words the caller heard.
//!
//! The model keeps nothing between two requests, so this is its whole memory. It is bounded: when it grows beyond some
//! 4,000 tokens the oldest turns are left out, a tool call never without its answer, and the model is told that something
//! was left out.

use std::collections::VecDeque;

use wire::groq::request::{Message, ToolCall};

use crate::engine::conversation::belongs_to_conversation;
use crate::journal::{Speaker, Turn};
use crate::limits::{CONVERSATION_BYTES_MAX, TOOL_ANSWER_BYTES_MAX};

/// What the model reads in place of an answer that has not come.
const NO_ANSWER: &str = "No answer has come yet.";

#[derive(Debug, Default)]
pub(super) struct History {
    entries: VecDeque<Entry>,
    /// Whether the beginning was left out.
    shortened: bool,
}

#[derive(Debug)]
struct Entry {
    what: What,
    /// Whether it belongs to an answer that was begun before the caller's turn was certainly over.
    early: bool,
}

#[derive(Debug)]
enum What {
    Caller(String),
    Agent { sentence: String, text: String },
    Calls { calls: Vec<ToolCall>, answers: Vec<Option<String>> },
}

impl Entry {
    fn bytes(&self) -> usize {
        match &self.what {
            What::Caller(text) | What::Agent { text, .. } => text.len(),
            What::Calls { calls, answers } => {
                let asked: usize = calls.iter().map(|call| call.function.arguments.len()).sum();
                asked + answers.iter().flatten().map(String::len).sum::<usize>()
            }
        }
    }
}

impl History {
    /// What was said before this engine came.
    pub(super) fn new(turns: &[Turn]) -> Self {
        let mut history = Self::default();
        for turn in turns.iter().filter(|turn| belongs_to_conversation(turn)) {
            let text = turn.heard_text.trim().to_owned();
            history.push(match turn.speaker {
                Speaker::Caller => What::Caller(text),
                Speaker::Agent => What::Agent { sentence: String::new(), text },
            });
        }
        history
    }

    pub(super) fn caller(&mut self, text: &str, early: bool) {
        self.push(What::Caller(text.to_owned()));
        self.mark_last(early);
    }

    /// More words of the agent, as they are handed to the voice.
    pub(super) fn agent(&mut self, sentence: &str, text: &str, early: bool) {
        let known = self.entries.iter_mut().rev().find_map(|entry| match &mut entry.what {
            What::Agent { sentence: known, text } if known == sentence => Some(text),
            What::Agent { .. } | What::Caller(_) | What::Calls { .. } => None,
        });
        match known {
            Some(said) => said.push_str(text),
            None => {
                self.push(What::Agent { sentence: sentence.to_owned(), text: text.to_owned() });
                self.mark_last(early);
            }
        }
    }

    /// Of this sentence only so much was heard, or spoken. Whether that is news.
    pub(super) fn cut(&mut self, sentence: &str, heard: &str) -> bool {
        let mut news = false;
        for entry in &mut self.entries {
            if let What::Agent { sentence: known, text } = &mut entry.what
                && known == sentence
            {
                news |= text.trim() != heard.trim();
                heard.trim().clone_into(text);
            }
        }
        self.entries.retain(|entry| !matches!(&entry.what, What::Agent { text, .. } if text.is_empty()));
        news
    }

    pub(super) fn calls(&mut self, calls: Vec<ToolCall>, early: bool) {
        let answers = vec![None; calls.len()];
        self.push(What::Calls { calls, answers });
        self.mark_last(early);
    }

    /// A tool has answered. Whether the model had asked for it, and whether it now has all answers.
    pub(super) fn answer(&mut self, id: &str, answer: String) -> bool {
        for entry in self.entries.iter_mut().rev() {
            let What::Calls { calls, answers } = &mut entry.what else { continue };
            if let Some(index) = calls.iter().position(|call| call.id == id) {
                let mut answer = answer;
                if answer.len() > TOOL_ANSWER_BYTES_MAX {
                    let end = (0..=TOOL_ANSWER_BYTES_MAX).rev().find(|end| answer.is_char_boundary(*end));
                    answer.truncate(end.unwrap_or(0));
                }
                answers[index] = Some(answer);
                return answers.iter().all(Option::is_some);
            }
        }
        false
    }

    /// The caller's turn is over as it was thought to be: what was begun early counts.
    pub(super) fn keep_early(&mut self) {
        for entry in &mut self.entries {
            entry.early = false;
        }
    }

    /// The caller goes on: what was begun early was never said.
    pub(super) fn drop_early(&mut self) {
        self.entries.retain(|entry| !entry.early);
    }

    /// What the caller said last, if nobody has said anything since.
    pub(super) fn last_words(&self) -> Option<&str> {
        match &self.entries.back()?.what {
            What::Caller(text) => Some(text),
            What::Agent { .. } | What::Calls { .. } => None,
        }
    }

    pub(super) fn is_shortened(&self) -> bool {
        self.shortened
    }

    /// The conversation as the request carries it.
    pub(super) fn messages(&self, into: &mut Vec<Message>) {
        for entry in &self.entries {
            match &entry.what {
                What::Caller(text) => into.push(Message::User { content: text.clone() }),
                What::Agent { text, .. } => match into.last_mut() {
                    // One turn may have been spoken in several pieces.
                    Some(Message::Assistant { content: Some(said), tool_calls }) if tool_calls.is_empty() => {
                        said.push(' ');
                        said.push_str(text.trim());
                    }
                    _ => {
                        into.push(Message::Assistant { content: Some(text.trim().to_owned()), tool_calls: Vec::new() })
                    }
                },
                What::Calls { calls, answers } => {
                    match into.last_mut() {
                        Some(Message::Assistant { tool_calls, .. }) if tool_calls.is_empty() => {
                            tool_calls.clone_from(calls);
                        }
                        _ => into.push(Message::Assistant { content: None, tool_calls: calls.clone() }),
                    }
                    for (call, answer) in calls.iter().zip(answers) {
                        let content = answer.as_deref().unwrap_or(NO_ANSWER).to_owned();
                        into.push(Message::Tool { tool_call_id: call.id.clone(), content });
                    }
                }
            }
        }
    }

    fn push(&mut self, what: What) {
        self.entries.push_back(Entry { what, early: false });
        let mut bytes: usize = self.entries.iter().map(Entry::bytes).sum();
        while bytes > CONVERSATION_BYTES_MAX && self.entries.len() > 1 {
            bytes -= self.entries.pop_front().map_or(0, |oldest| oldest.bytes());
            self.shortened = true;
        }
    }

    fn mark_last(&mut self, early: bool) {
        if let Some(last) = self.entries.back_mut() {
            last.early = early;
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::groq::request::CalledFunction;

    use super::*;

    fn said(history: &History) -> Vec<Message> {
        let mut messages = Vec::new();
        history.messages(&mut messages);
        messages
    }

    fn user(text: &str) -> Message {
        Message::User { content: text.into() }
    }

    fn assistant(text: &str) -> Message {
        Message::Assistant { content: Some(text.into()), tool_calls: Vec::new() }
    }

    fn call(id: &str) -> ToolCall {
        let function = CalledFunction { name: "look_up".into(), arguments: "{}".into() };
        ToolCall { id: id.into(), function, ..ToolCall::default() }
    }

    #[test]
    fn the_model_is_told_what_was_heard_and_no_more() {
        let mut history = History::default();
        history.caller("When are you open?", false);
        history.agent("a", "We are open from nine to five, ", false);
        history.agent("a", "Monday to Friday.", false);
        history.cut("a", "We are open from");
        history.caller("And on Saturday?", false);
        history.agent("b", "No.", false);
        history.cut("b", "");
        assert_eq!(
            said(&history),
            [user("When are you open?"), assistant("We are open from"), user("And on Saturday?")]
        );
    }

    #[test]
    fn what_was_begun_early_is_forgotten_when_the_caller_goes_on() {
        let mut history = History::default();
        history.caller("I need", true);
        history.agent("a", "What do you need?", true);
        history.calls(vec![call("1")], true);
        history.drop_early();
        assert_eq!(said(&history), []);
        history.caller("I need an appointment.", true);
        history.keep_early();
        history.drop_early();
        assert_eq!(history.last_words(), Some("I need an appointment."));
    }

    #[test]
    fn an_answer_that_is_missing_is_said_to_be_missing() {
        let mut history = History::default();
        history.agent("a", "One moment.", false);
        history.calls(vec![call("1"), call("2")], false);
        assert!(!history.answer("1", "found".into()));
        history.caller("Hello?", false);
        let messages = said(&history);
        let Message::Assistant { content, tool_calls } = &messages[0] else { panic!("{messages:?}") };
        assert_eq!((content.as_deref(), tool_calls.len()), (Some("One moment."), 2));
        let tool = |id: &str, content: &str| Message::Tool { tool_call_id: id.into(), content: content.into() };
        assert_eq!(messages[1..], [tool("1", "found"), tool("2", NO_ANSWER), user("Hello?")]);
        assert!(history.answer("2", "late".into()));
        assert!(!history.answer("3", "of nothing".into()));
    }

    #[test]
    fn the_oldest_turns_are_left_out_and_never_half_a_tool_call() {
        let mut history = History::default();
        history.calls(vec![call("1")], false);
        history.answer("1", "x".repeat(20_000));
        for n in 0..40 {
            history.caller(&format!("{n} {}", "word ".repeat(200)), false);
        }
        let messages = said(&history);
        assert!(history.is_shortened() && messages.len() < 20, "{}", messages.len());
        assert!(messages.iter().all(|message| matches!(message, Message::User { .. })));
        assert!(matches!(messages.last(), Some(Message::User { content }) if content.starts_with("39 ")));
    }
}
