//! What must be true of the cascade beyond what is true of every engine.

use call::agent::EngineKind;
use call::journal::{Kind, LinkCause, Speaker, Turn};
use wire::groq::request::Message;

use crate::world::World;

pub(super) fn mistakes(world: &World, mistakes: &mut Vec<String>) {
    nothing_is_refused(world, mistakes);
    no_turn_is_answered_before_its_end(world, mistakes);
    the_model_knows_what_was_heard(world, mistakes);
    contexts_are_ended(world, mistakes);
    nobody_speaks_on(world, mistakes);
    one_link_is_not_the_engine(world, mistakes);
}

fn turns(world: &World) -> impl Iterator<Item = &Turn> {
    world.journal.iter().filter_map(|entry| match &entry.kind {
        Kind::Turn(turn) if turn.engine == Some(EngineKind::Cascade) => Some(turn),
        _ => None,
    })
}

fn nothing_is_refused(world: &World, mistakes: &mut Vec<String>) {
    for (_, record) in world.cascade.deepgram.records() {
        mistakes.extend(record.errors.iter().map(|error| format!("Deepgram refused a message of ours: {error}")));
        if record.early_bytes > 0 {
            mistakes.push(format!("{} bytes were sent before Deepgram was ready", record.early_bytes));
        }
    }
    let dies = count(world, "failed turn") > 0;
    for (_, record) in world.cascade.cartesia.records() {
        // A context that died is news to us for the length of the way.
        let ours =
            |error: &&String| !(dies && (error.contains("the voice failed") || error.contains("Context closed")));
        let refused = record.errors.iter().filter(ours);
        mistakes.extend(refused.map(|error| format!("Cartesia refused a message of ours: {error}")));
    }
    let invalid = world.journal.iter().filter_map(|entry| match &entry.kind {
        Kind::EngineError { engine: EngineKind::Cascade, code, message }
            if code == "invalid_request" && !message.contains("the voice failed") =>
        {
            Some(message)
        }
        _ => None,
    });
    mistakes.extend(invalid.map(|message| format!("Groq refused a request of ours: {message}")));
}

/// Each turn that Deepgram ended is a turn once, and nothing else is one.
fn no_turn_is_answered_before_its_end(world: &World, mistakes: &mut Vec<String>) {
    let streams: Vec<_> = world.cascade.deepgram.records().collect();
    let [(_, record)] = streams.as_slice() else { return };
    let mut heard = record.heard.clone();
    for turn in turns(world).filter(|turn| turn.speaker == Speaker::Caller && !turn.text.is_empty()) {
        match heard.iter().position(|text| *text == turn.text) {
            Some(index) => drop(heard.remove(index)),
            None => mistakes.push(format!("{:?} was taken for a turn, and was none", turn.text)),
        }
    }
}

/// Of a turn that was cut off the model is told what was heard, and no more.
fn the_model_knows_what_was_heard(world: &World, mistakes: &mut Vec<String>) {
    let cut: Vec<&Turn> = turns(world)
        .filter(|turn| turn.speaker == Speaker::Agent && turn.interrupted && turn.heard_text.trim() != turn.text.trim())
        .collect();
    let whole: Vec<&Turn> = turns(world)
        .filter(|turn| turn.speaker == Speaker::Agent && turn.heard_text.trim() == turn.text.trim())
        .collect();
    // An answer may have been said again, and then been heard whole.
    let cut = cut.into_iter().filter(|turn| !whole.iter().any(|other| other.text.contains(turn.text.trim())));
    for turn in cut {
        let told = world.cascade.groq.records().any(|(_, record)| {
            // Who is asked to go on with a sentence is told it while it is being said, and may yet be cut off.
            let goes_on = matches!(record.request.messages.last(), Some(Message::System { .. }));
            // And an answer that was begun early may have been begun again.
            !goes_on && record.done && record.request.messages.iter().any(|message| {
                matches!(message, Message::Assistant { content: Some(said), .. } if said.contains(turn.text.trim()))
            })
        });
        if told {
            mistakes.push(format!("the model was told {:?}, of which {:?} was heard", turn.text, turn.heard_text));
        }
        if turn.approximate && !turn.heard_text.is_empty() {
            mistakes.push(format!("{:?} is a guess, although the words' times are known", turn.heard_text));
        }
    }
}

/// A context is ended or cancelled by us, and not left to expire.
fn contexts_are_ended(world: &World, mistakes: &mut Vec<String>) {
    for (_, record) in world.cascade.cartesia.records() {
        for context in record.expired.iter().filter(|context| !record.cancelled.contains(context)) {
            mistakes.push(format!("context {context} was left to expire"));
        }
    }
}

/// What is not wanted any more is cancelled, and not only thrown away when it comes.
fn nobody_speaks_on(world: &World, mistakes: &mut Vec<String>) {
    let alone = world.evi.records().count() + world.openai.records().count() == 0;
    let cancelled: usize = world.cascade.cartesia.records().map(|(_, record)| record.cancelled.len()).sum();
    let late = world.journal.iter().map(|entry| match &entry.kind {
        Kind::Measured(measured) => measured.late_audio_ms,
        _ => 0,
    });
    let late: u64 = late.sum();
    if alone && late > 0 && cancelled == 0 && count(world, "failed turn") == 0 {
        mistakes.push(format!("{late} ms of audio came of what nobody wanted any more, and nobody had cancelled it"));
    }
}

/// How often this fault took effect at any of the three vendors.
fn count(world: &World, name: &str) -> u32 {
    let cascade = &world.cascade;
    [cascade.deepgram.fault_counts(), cascade.groq.fault_counts(), cascade.cartesia.fault_counts()]
        .into_iter()
        .filter_map(|counts| counts.get(name))
        .sum()
}

/// One link that breaks once does not lose the engine.
fn one_link_is_not_the_engine(world: &World, mistakes: &mut Vec<String>) {
    let count = |name| count(world, name);
    let links_lost = count("drop") + count("close") + count("failed turn");
    let worse = ["stall", "pause", "refused handshake", "unanswered handshake", "slow handshake"].map(count);
    let answered = world.journal.iter().all(|entry| {
        !matches!(&entry.kind, Kind::EngineError { code, .. } if code == "429" || code == "rate_limit_exceeded")
    });
    let lost = world.journal.iter().find_map(|entry| match &entry.kind {
        Kind::EngineLost { engine: EngineKind::Cascade, why } if *why != LinkCause::RolledOver => Some(why),
        _ => None,
    });
    if let Some(why) = lost.filter(|why| !matches!(why, LinkCause::Status { .. }))
        && links_lost <= 1
        && worse.iter().sum::<u32>() == 0
        && answered
    {
        mistakes.push(format!("one link was lost, and with it the engine: {why:?}"));
    }
}
