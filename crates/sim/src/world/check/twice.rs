//! Nothing is said twice, whatever broke while it was being said.

use call::journal::{Kind, Speaker, Turn};

use crate::world::World;

/// Shorter sentences are said again by people, too.
const WORDS_MIN: usize = 4;

pub(super) fn mistakes(world: &World, mistakes: &mut Vec<String>) {
    let mut last: Option<&Turn> = None;
    // Who talks over a disclosure hears it again, and rather once too often.
    let mut talked_over = false;
    // What was asked and not answered yet: who asks twice may be answered twice.
    let mut asked = 0u32;
    for entry in &world.journal {
        match &entry.kind {
            Kind::Turn(turn) if turn.speaker == Speaker::Caller => asked += 1,
            Kind::Turn(turn) if turn.engine.is_some() => {
                within(turn, mistakes);
                let disclosure = turn.text.trim() == world.setup.script.disclosure.trim();
                let again = |before: &&Turn| asked == 0 && repeats(before, turn) && !(disclosure && talked_over);
                if let Some(before) = last.filter(again) {
                    mistakes.push(format!("{:?} was said twice, though nobody had said anything", before.text));
                }
                talked_over |= turn.interrupted && world.setup.script.disclosure.starts_with(turn.heard_text.trim());
                // What was not heard to its end is no answer yet.
                if turn.heard_text == turn.text && !turn.interrupted {
                    asked = asked.saturating_sub(1);
                }
                last = Some(turn);
            }
            // The next engine is asked again what this one took with it.
            Kind::Dtmf { .. } | Kind::Commanded { .. } | Kind::ToolAnswered { .. } | Kind::EngineLost { .. } => {
                asked += 1
            }
            // What the stream before has heard may have been lost with its node.
            Kind::StreamStarted { .. } => last = None,
            _ => {}
        }
    }
}

/// What was heard to its end is not said again as a part of what follows.
fn repeats(before: &Turn, turn: &Turn) -> bool {
    let said = before.text.trim();
    !before.interrupted && before.heard_text == before.text && is_long(said) && turn.heard_text.contains(said)
}

fn within(turn: &Turn, mistakes: &mut Vec<String>) {
    let sentences: Vec<&str> = turn.heard_text.split_inclusive(['.', '?', '!']).map(str::trim).collect();
    for (index, sentence) in sentences.iter().enumerate().filter(|(_, sentence)| is_long(sentence)) {
        if sentences[..index].contains(sentence) {
            mistakes.push(format!("{sentence:?} was said twice in one turn"));
        }
    }
}

fn is_long(text: &str) -> bool {
    text.split_whitespace().count() >= WORDS_MIN
}
