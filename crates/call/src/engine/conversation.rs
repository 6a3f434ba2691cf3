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
