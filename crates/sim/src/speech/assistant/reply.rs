//! What goes into the assistant and what comes out.

use serde_json::Value;

/// What reached the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Words, recognised or typed.
    Said(&'a str),
    /// Somebody spoke, and no words were recognised.
    Unrecognised,
    /// Nobody has spoken for a long time.
    Silence,
    /// The line was gone for a moment, and the assistant is asked to go on by itself.
    LineGone,
}

/// Who said a part of an earlier conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// The assistant, or another engine in its place.
    Agent,
}

/// What to say, and then to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// Sentences, each recorded; spoken in order.
    pub sentences: Vec<&'static str>,
    /// A tool to call after the sentences.
    pub tool: Option<ToolCall>,
}

impl Reply {
    /// The sentences as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.sentences.join(" ")
    }
}

/// A tool call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// `record_booking` or `hang_up`.
    pub name: &'static str,
    /// A JSON object: for `record_booking` `what`, `when`, `name`; for `hang_up` `reason`.
    pub arguments: Value,
}
