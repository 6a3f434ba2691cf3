//! Filling the holes of a transcript with what the engine remembers.
//!
//! What a node heard always wins. The engine's own history knows what was generated, not what reached the ear, so it is
//! asked only about times of which our journal knows nothing: a node that died left its stream without an end, and what
//! was said from its last entry until the next stream is missing. Words that were heard are never taken in twice, and a
//! turn of the caller that was heard without its expressions is given them.
//!
//! A filled turn stands in the journal in epoch 0, which no stream writes; that is how its source stays known.

use std::collections::BTreeMap;

use crate::agent::EngineKind;
use crate::journal::{Entry, Expression, Kind, Speaker, Turn};
use crate::words::normal;

/// The engine's clock is not ours, and it dates a sentence by when it was made, not when it was heard.
const CLOCKS_DIFFER_MS: u64 = 30_000;

/// A node writes its journal so often: what it heard last before it died is missing.
const LAST_BATCH_MS: u64 = 500;

/// How long a letter takes to be said, for want of better knowledge.
const LETTER_MS: u64 = 60;

/// Sentences of the agent this close together are one turn.
const SAME_TURN_MS: u64 = 5_000;

/// More turns than this are not filled in: a conversation of four hours has fewer.
const FILLED_MAX: usize = 2_000;

/// Something that the engine remembers was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// Who said it.
    pub speaker: Speaker,
    /// The words.
    pub text: String,
    /// When, by the engine's clock, Unix milliseconds.
    pub at_ms: u64,
    /// How it sounded, strongest first.
    pub expressions: Vec<Expression>,
}

/// A time of which the journal knows nothing, from one moment to another, Unix milliseconds.
type Hole = (u64, u64);

/// Whether an engine's history could add anything to a journal.
#[must_use]
pub fn is_incomplete(entries: &[Entry], engine: EngineKind) -> bool {
    let unfelt = |turn: &&Turn| lacks_expressions(turn, engine);
    !holes(entries).is_empty() || heard(entries).values().any(|turn| unfelt(&turn))
}

/// The turns that the journal lacks, and heard turns that are given their expressions (with the number they have). The
/// same for the same journal and history, whatever was filled in before.
#[must_use]
pub fn fill(entries: &[Entry], remembered: &[Remembered], engine: EngineKind) -> Vec<Turn> {
    let turns = heard(entries);
    let started_ms = started_at_ms(entries).or_else(|| remembered.first().map(|first| first.at_ms)).unwrap_or_default();
    let holes = holes(entries);
    let mut sorted: Vec<&Remembered> = remembered.iter().filter(|said| !normal(&said.text).is_empty()).collect();
    sorted.sort_by_key(|said| said.at_ms);

    let mut filled: Vec<Turn> = Vec::new();
    for turn in turns.values().filter(|turn| lacks_expressions(turn, engine)) {
        let same = |said: &&&Remembered| {
            said.speaker == turn.speaker
                && !said.expressions.is_empty()
                && normal(&said.text) == normal(&turn.text)
                && is_near(turn, said.at_ms.saturating_sub(started_ms))
        };
        if let Some(said) = sorted.iter().find(same) {
            filled.push(Turn { expressions: said.expressions.clone(), ..turn.clone() });
        }
    }
    let mut next = turns.keys().next_back().map_or(1, |n| n + 1);
    let mut missing: Vec<Turn> = Vec::new();
    for said in sorted {
        let in_hole = holes.iter().any(|(from, to)| (from.saturating_sub(LAST_BATCH_MS)..*to).contains(&said.at_ms));
        let start_ms = said.at_ms.saturating_sub(started_ms);
        if !in_hole || turns.values().any(|turn| holds(turn, said.speaker, &said.text, start_ms)) {
            continue;
        }
        let lasts_ms = LETTER_MS.saturating_mul(u64::try_from(said.text.chars().count()).unwrap_or(0));
        if let Some(last) = missing.last_mut()
            && (last.speaker, said.speaker) == (Speaker::Agent, Speaker::Agent)
            && start_ms <= last.end_ms.saturating_add(SAME_TURN_MS)
        {
            last.text = format!("{} {}", last.text, said.text);
            last.heard_text.clone_from(&last.text);
            last.end_ms = last.end_ms.max(start_ms).saturating_add(lasts_ms);
            last.heard_ms = last.end_ms - last.start_ms;
            continue;
        }
        if missing.len() == FILLED_MAX {
            break;
        }
        missing.push(Turn {
            n: next,
            speaker: said.speaker,
            text: said.text.clone(),
            heard_text: said.text.clone(),
            // Nobody was there who could say what of it was heard, and when exactly.
            approximate: true,
            start_ms,
            end_ms: start_ms.saturating_add(lasts_ms),
            heard_ms: lasts_ms,
            interrupted: false,
            engine: Some(engine),
            expressions: said.expressions.clone(),
        });
        next += 1;
    }
    filled.append(&mut missing);
    filled
}

/// Puts what was filled in among what was heard. Gives the conversation in order, and the numbers of the turns that are
/// the engine's memory.
pub(crate) fn merge(heard: BTreeMap<u32, Turn>, filled: Vec<Turn>) -> (Vec<Turn>, std::collections::BTreeSet<u32>) {
    let mut from_memory = std::collections::BTreeSet::new();
    let mut turns: Vec<Turn> = heard.into_values().collect();
    for new in filled {
        let twin = turns
            .iter_mut()
            .find(|turn| turn.speaker == new.speaker && normal(&turn.text) == normal(&new.text) && turn.n == new.n);
        if let Some(twin) = twin {
            if twin.expressions.is_empty() {
                twin.expressions = new.expressions;
            }
            continue;
        }
        // Heard after all: a node wrote it down late.
        if turns.iter().any(|turn| turn.n == new.n || holds(turn, new.speaker, &new.text, new.start_ms)) {
            continue;
        }
        from_memory.insert(new.n);
        let at = turns.iter().position(|turn| turn.start_ms > new.start_ms).unwrap_or(turns.len());
        turns.insert(at, new);
    }
    (turns, from_memory)
}

/// Whether these words are in this turn.
fn holds(turn: &Turn, speaker: Speaker, text: &str, start_ms: u64) -> bool {
    turn.speaker == speaker
        && is_near(turn, start_ms)
        && format!(" {} ", normal(&turn.text)).contains(&format!(" {} ", normal(text)))
}

fn is_near(turn: &Turn, at_ms: u64) -> bool {
    let from = turn.start_ms.saturating_sub(CLOCKS_DIFFER_MS);
    (from..=turn.end_ms.saturating_add(CLOCKS_DIFFER_MS)).contains(&at_ms)
}

fn lacks_expressions(turn: &Turn, engine: EngineKind) -> bool {
    turn.speaker == Speaker::Caller && turn.engine == Some(engine) && turn.expressions.is_empty()
}

/// The turns that were heard, by number; in a turn of which only sentences were begun, those.
fn heard(entries: &[Entry]) -> BTreeMap<u32, Turn> {
    let streams: Vec<&Entry> = entries.iter().filter(|entry| entry.epoch > 0).collect();
    let conversation = crate::resume::Conversation::read(streams);
    conversation.history.into_iter().map(|turn| (turn.n, turn)).collect()
}

fn started_at_ms(entries: &[Entry]) -> Option<u64> {
    let starts = entries.iter().filter(|entry| matches!(entry.kind, Kind::StreamStarted { .. }));
    starts.map(|entry| entry.at_ms).min()
}

/// From the last entry of each stream that has no end to the first entry of the next one.
fn holes(entries: &[Entry]) -> Vec<Hole> {
    let mut epochs: BTreeMap<u32, (u64, u64, bool)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.epoch > 0) {
        let ended = matches!(entry.kind, Kind::StreamEnded { .. });
        let (first, last, over) = epochs.entry(entry.epoch).or_insert((entry.at_ms, entry.at_ms, ended));
        *first = (*first).min(entry.at_ms);
        *last = (*last).max(entry.at_ms);
        *over |= ended;
    }
    if epochs.is_empty() {
        return vec![(0, u64::MAX)];
    }
    let epochs: Vec<_> = epochs.into_values().collect();
    let next = epochs.iter().skip(1).map(|(first, ..)| *first).chain([u64::MAX]);
    let pairs = epochs.iter().zip(next);
    pairs.filter(|((.., over), _)| !over).map(|((_, last, _), next)| (*last, next)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::StreamEnd;
    use crate::resume::Conversation;

    const START: u64 = 1_790_000_000_000;

    fn turn(n: u32, speaker: Speaker, start_ms: u64, text: &str) -> Turn {
        Turn {
            n,
            speaker,
            text: text.into(),
            heard_text: text.into(),
            approximate: false,
            start_ms,
            end_ms: start_ms + 1_000,
            heard_ms: 1_000,
            interrupted: false,
            engine: Some(EngineKind::Hume),
            expressions: vec![Expression { name: "Calmness".into(), score: 0.5 }],
        }
    }

    fn entry(epoch: u32, seq: u64, after_ms: u64, kind: Kind) -> Entry {
        Entry { epoch, seq, at_ms: START + after_ms, kind }
    }

    fn stream(epoch: u32, after_ms: u64) -> Entry {
        entry(epoch, 1, after_ms, Kind::StreamStarted { stream_sid: "MZ".into() })
    }

    fn said(speaker: Speaker, after_ms: u64, text: &str) -> Remembered {
        let expressions = match speaker {
            Speaker::Caller => vec![Expression { name: "Interest".into(), score: 0.7 }],
            Speaker::Agent => Vec::new(),
        };
        Remembered { speaker, text: text.into(), at_ms: START + after_ms, expressions }
    }

    /// A node that died after two turns, and another that went on.
    fn died() -> Vec<Entry> {
        vec![
            stream(1, 0),
            entry(1, 2, 1_200, Kind::Turn(turn(1, Speaker::Agent, 0, "Hello. How can I help?"))),
            entry(1, 3, 4_000, Kind::Turn(turn(2, Speaker::Caller, 2_000, "A check-up, please."))),
            stream(2, 20_000),
            entry(2, 2, 22_000, Kind::Turn(turn(3, Speaker::Agent, 20_500, "As I said, Tuesday at ten."))),
            entry(2, 3, 23_000, Kind::StreamEnded { why: StreamEnd::Stopped }),
        ]
    }

    fn memory() -> Vec<Remembered> {
        vec![
            said(Speaker::Agent, 100, "Hello."),
            said(Speaker::Agent, 300, "How can I help?"),
            said(Speaker::Caller, 3_900, "a check-up please"),
            said(Speaker::Agent, 5_000, "I have Tuesday at ten."),
            said(Speaker::Agent, 5_900, "Which one would you like?"),
            said(Speaker::Caller, 12_000, "Tuesday."),
            said(Speaker::Agent, 24_000, "Never heard: the caller had hung up."),
        ]
    }

    #[test]
    fn only_what_was_said_while_nobody_wrote_is_filled_in() {
        let filled = fill(&died(), &memory(), EngineKind::Hume);
        let told: Vec<_> = filled.iter().map(|turn| (turn.n, turn.start_ms, turn.text.as_str())).collect();
        assert_eq!(told, [(4, 5_000, "I have Tuesday at ten. Which one would you like?"), (5, 12_000, "Tuesday.")]);
        assert!(filled.iter().all(|turn| turn.approximate && turn.engine == Some(EngineKind::Hume)));
        assert_eq!(filled[1].expressions[0].name, "Interest");
    }

    #[test]
    fn a_journal_with_an_end_has_no_holes() {
        let whole: Vec<Entry> = died().into_iter().filter(|entry| entry.epoch == 2).collect();
        assert!(!is_incomplete(&whole, EngineKind::Hume));
        assert!(fill(&whole, &memory(), EngineKind::Hume).is_empty());
        assert!(is_incomplete(&died(), EngineKind::Hume) && is_incomplete(&[], EngineKind::Hume));
        assert_eq!(fill(&[], &memory(), EngineKind::Hume).len(), 5, "of a call without a journal all is filled in");
    }

    #[test]
    fn a_turn_heard_without_expressions_is_given_them_and_nothing_else_of_it_changes() {
        let mut entries = died();
        let Kind::Turn(heard) = &mut entries[2].kind else { unreachable!() };
        heard.expressions.clear();
        let filled = fill(&entries, &memory()[..3], EngineKind::Hume);
        assert_eq!((filled.len(), filled[0].n, filled[0].text.as_str()), (1, 2, "A check-up, please."));
        entries.push(entry(0, 1, 60_000, Kind::Turn(filled[0].clone())));
        let read = Conversation::read(&entries);
        assert_eq!(read.history[1].expressions[0].name, "Interest");
        assert!(read.from_memory.is_empty(), "it was heard");
    }

    #[test]
    fn what_is_filled_in_stands_in_its_place_is_marked_and_yields_to_what_was_heard() {
        let mut entries = died();
        let filled = fill(&entries, &memory(), EngineKind::Hume);
        for (seq, turn) in (1..).zip(&filled) {
            entries.push(entry(0, seq, 60_000, Kind::Turn(turn.clone())));
        }
        let read = Conversation::read(&entries);
        let order: Vec<u32> = read.history.iter().map(|turn| turn.n).collect();
        assert_eq!(order, [1, 2, 4, 5, 3]);
        assert_eq!(read.from_memory, [4, 5].into());
        assert_eq!(fill(&entries, &memory(), EngineKind::Hume), filled, "again is the same");
        // The dead node's spool is found after all.
        entries.push(entry(
            1,
            4,
            6_500,
            Kind::Turn(turn(6, Speaker::Agent, 5_000, "I have Tuesday at ten. Which one would you like?")),
        ));
        let read = Conversation::read(&entries);
        assert_eq!(read.from_memory, [5].into());
        assert_eq!(read.history.iter().filter(|turn| turn.text.starts_with("I have Tuesday")).count(), 1);
    }
}
