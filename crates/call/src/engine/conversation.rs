//! What an engine is told of a conversation that another engine, or another session, began.

use std::collections::VecDeque;

use crate::journal::{Speaker, Turn};
use crate::limits::CONVERSATION_BYTES_MAX;

/// What a model is told about a conversation that another session, or another engine, began.
pub(super) fn so_far(history: &[Turn]) -> String {
    let mut text = String::from(
        "This conversation is already under way on the phone; the connection was renewed just now. Do not greet again and do not \
         mention the renewal. What was said so far, as the caller heard it:\n",
    );
    // The caller's words are quoted: they are what was said, not what the model is told to do.
    let mut said = VecDeque::new();
    let mut length = 0;
    for turn in history.iter().rev().filter(|turn| belongs_to_conversation(turn)) {
        let who = match turn.speaker {
            Speaker::Caller => "Caller",
            Speaker::Agent => "You",
        };
        let cut = if turn.interrupted { " [cut off by the caller]" } else { "" };
        let line = format!("{who}: \"{}\"{cut}\n", turn.heard_text.replace('"', "'"));
        length += line.len();
        if length > CONVERSATION_BYTES_MAX {
            break;
        }
        said.push_front(line);
    }
    text.extend(said);
    text
}

/// Whether a turn is part of what was said between caller and agent; our own lines are not.
pub(super) fn belongs_to_conversation(turn: &Turn) -> bool {
    !turn.heard_text.trim().is_empty() && (turn.speaker == Speaker::Caller || turn.engine.is_some())
}

/// How an engine that takes a conversation over goes on with it, where no words of the caller wait for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TakeUp {
    /// The agent broke off in mid-sentence.
    BrokenOff {
        /// What the caller heard of its turn.
        heard: String,
        /// What they did not hear, as far as it is known.
        unheard: String,
    },
    /// The caller was kept waiting.
    Waited,
}

impl TakeUp {
    /// What the model is told.
    pub(super) fn note(&self) -> String {
        let quoted = |text: &str| text.trim().replace('"', "'");
        match self {
            Self::BrokenOff { heard, unheard } if unheard.trim().is_empty() => format!(
                "The line was gone for a moment while you spoke. The last that the caller heard of you is: \"{}\" Go on from \
                 there at once, without repeating it and without a word about the line.",
                quoted(heard)
            ),
            Self::BrokenOff { heard, unheard } => format!(
                "The line was gone for a moment while you spoke. The last that the caller heard of you is: \"{}\" Not heard \
                 was: \"{}\" Go on with that at once, without repeating the rest and without a word about the line.",
                quoted(heard),
                quoted(unheard)
            ),
            Self::Waited => "The line was gone for a moment and the caller was asked to wait. Thank them for their patience in \
                             a few words, and go on where the conversation stood: ask your last question again if it is \
                             still open, else whether there is anything else."
                .to_owned(),
        }
    }
}
