//! A reply, gathered from its chunks.
//!
//! Words can be spoken as they come; a tool call is whole only at the end, because its arguments come in pieces. Each has
//! a largest size, because what a model writes is not ours to trust.

use std::collections::BTreeMap;

use super::request::{CalledFunction, FunctionKind, Message, ToolCall};
use super::stream::{ChatChunk, FinishReason, Usage};

/// The longest reply that is kept: no telephone call waits for a longer one to be said.
pub const CONTENT_BYTES_MAX: usize = 128 * 1024;

/// The longest arguments of a tool call.
pub const ARGUMENTS_BYTES_MAX: usize = 64 * 1024;

/// The most tools that one reply may call.
pub const TOOL_CALLS_MAX: usize = 32;

/// A reply as far as it has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The words.
    pub content: String,
    /// Why it ended, once it has.
    pub finish: Option<FinishReason>,
    /// What it used, once that is known.
    pub usage: Option<Usage>,
    /// Why it broke off.
    pub error: Option<String>,
    /// The vendor's id of the request.
    pub request_id: Option<String>,
    calls: BTreeMap<u32, ToolCall>,
}

/// A reply that is larger than anything sensible. It shall be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the model's reply is too large")]
pub struct TooMuch;

impl Reply {
    /// Adds what is new.
    ///
    /// # Errors
    /// The reply has become too large; what was there before is kept.
    pub fn add(&mut self, chunk: &ChatChunk) -> Result<(), TooMuch> {
        if let Some(told) = &chunk.x_groq {
            self.usage = told.usage.or(self.usage);
            self.error = told.error.clone().or_else(|| self.error.take());
            self.request_id = told.id.clone().or_else(|| self.request_id.take());
        }
        self.usage = self.usage.or(chunk.usage);
        let Some(choice) = chunk.choices.iter().find(|choice| choice.index == 0) else { return Ok(()) };
        self.finish = choice.finish_reason.or(self.finish);
        let words = choice.delta.content.as_deref().unwrap_or_default();
        if self.content.len() + words.len() > CONTENT_BYTES_MAX {
            return Err(TooMuch);
        }
        self.content.push_str(words);
        for piece in &choice.delta.tool_calls {
            if !self.calls.contains_key(&piece.index) && self.calls.len() >= TOOL_CALLS_MAX {
                return Err(TooMuch);
            }
            let call = self.calls.entry(piece.index).or_default();
            let CalledFunction { name, arguments } = &mut call.function;
            if let Some(id) = &piece.id {
                call.id.clone_from(id);
            }
            let Some(more) = &piece.function else { continue };
            // A name comes whole: repeated, it is the same one.
            if let Some(told) = more.name.as_ref().filter(|told| !told.is_empty()) {
                name.clone_from(told);
            }
            let more = more.arguments.as_deref().unwrap_or_default();
            if arguments.len() + more.len() > ARGUMENTS_BYTES_MAX {
                return Err(TooMuch);
            }
            arguments.push_str(more);
        }
        Ok(())
    }

    /// The tool calls, in their order, as they stand in the next request. One without a name is left out: there is
    /// nothing to run. One without an id gets one from its place. Arguments that are empty are those of a function that
    /// takes none.
    #[must_use]
    pub fn tool_calls(&self) -> Vec<ToolCall> {
        let named = self.calls.iter().filter(|(_, call)| !call.function.name.is_empty());
        named
            .map(|(index, call)| {
                let id = if call.id.is_empty() { format!("call_{index}") } else { call.id.clone() };
                let arguments = call.function.arguments.as_str();
                let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
                let function = CalledFunction { name: call.function.name.clone(), arguments: arguments.to_owned() };
                ToolCall { id, kind: FunctionKind::Function, function }
            })
            .collect()
    }

    /// The reply as it stands in the next request.
    #[must_use]
    pub fn message(&self) -> Message {
        let content = (!self.content.is_empty()).then(|| self.content.clone());
        let tool_calls = self.tool_calls();
        let content = if tool_calls.is_empty() { Some(content.unwrap_or_default()) } else { content };
        Message::Assistant { content, tool_calls }
    }
}
