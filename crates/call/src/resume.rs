//! What a call's journal says to whoever goes on with it: another node, another engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::history;
use crate::journal::{Entry, Kind, Speaker, Turn};
use crate::setup::ChatRef;

/// A conversation so far, as heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// The turns, in order. All heard ones, and those that were filled in from an engine's history.
    pub history: Vec<Turn>,
    /// The numbers of those that were filled in.
    pub from_memory: BTreeSet<u32>,
    /// The vendor's conversation that can be resumed.
    pub chat: Option<ChatRef>,
    /// Whether the caller has heard the agent at all.
    pub greeted: bool,
    /// Whether the caller has heard the disclosure to its end.
    pub disclosed: bool,
    /// What a person has put in the place of the agent's instructions.
    pub instructions: Option<String>,
    /// When the call's first stream started, Unix milliseconds.
    pub started_at_ms: Option<u64>,
}

impl Conversation {
    /// Reads a journal. The order of the entries does not matter, repeated ones do no harm.
    #[must_use]
    pub fn read<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut sorted: BTreeMap<(u32, u64), &Entry> = BTreeMap::new();
        for entry in entries {
            sorted.insert((entry.epoch, entry.seq), entry);
        }
        let mut this = Self::default();
        let mut turns: BTreeMap<u32, Turn> = BTreeMap::new();
        let mut filled = Vec::new();
        for entry in sorted.into_values() {
            // No stream has epoch 0: a turn in it was not heard by a node.
            if entry.epoch == 0
                && let Kind::Turn(turn) = &entry.kind
            {
                filled.push(turn.clone());
                continue;
            }
            this.take(entry, &mut turns);
        }
        this.greeted =
            turns.values().any(|turn| turn.speaker == Speaker::Agent && turn.engine.is_some() && turn.heard_ms > 0);
        (this.history, this.from_memory) = history::merge(turns, filled);
        this
    }

    /// Milliseconds from the start of the first stream to `now_ms`.
    #[must_use]
    pub fn offset_ms(&self, now_ms: u64) -> u64 {
        self.started_at_ms.map_or(0, |started| now_ms.saturating_sub(started))
    }

    fn take(&mut self, entry: &Entry, turns: &mut BTreeMap<u32, Turn>) {
        // A kind that says nothing about the conversation needs no arm: a new kind is reviewed here when it is added.
        match &entry.kind {
            Kind::StreamStarted { .. } => {
                self.started_at_ms.get_or_insert(entry.at_ms);
            }
            Kind::EngineReady { engine, chat_group, .. } => {
                self.chat = chat_group.clone().map(|group| ChatRef { engine: *engine, group });
            }
            Kind::DisclosureHeard { .. } => self.disclosed = true,
            Kind::Instructed { instructions } => self.instructions = Some(instructions.clone()),
            Kind::Turn(turn) => {
                turns.insert(turn.n, turn.clone());
            }
            // The node died while this was said: nobody knows what of it was heard, so it counts as unheard.
            Kind::Speaking { n, text } => {
                let at_ms = self.offset_ms(entry.at_ms);
                let turn = turns.entry(*n).or_insert_with(|| Turn {
                    n: *n,
                    speaker: Speaker::Agent,
                    text: String::new(),
                    heard_text: String::new(),
                    approximate: true,
                    start_ms: at_ms,
                    end_ms: at_ms,
                    heard_ms: 0,
                    interrupted: true,
                    engine: self.chat.as_ref().map(|chat| chat.engine),
                    expressions: Vec::new(),
                });
                if !turn.text.is_empty() {
                    turn.text.push(' ');
                }
                turn.text.push_str(text);
            }
            Kind::Prepared { .. }
            | Kind::EngineDialled { .. }
            | Kind::EngineRefused { .. }
            | Kind::EngineLost { .. }
            | Kind::EngineResumed { .. }
            | Kind::EngineError { .. }
            | Kind::FirstSound { .. }
            | Kind::Interrupted { .. }
            | Kind::LinePlayed { .. }
            | Kind::LanguageChanged { .. }
            | Kind::Dtmf { .. }
            | Kind::ToolCalled { .. }
            | Kind::ToolAnswered { .. }
            | Kind::BookingRecorded { .. }
            | Kind::Commanded { .. }
            | Kind::NextStep { .. }
            | Kind::Measured(_)
            | Kind::StreamEnded { .. }
            | Kind::Gap { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::EngineKind;

    fn entry(epoch: u32, seq: u64, kind: Kind) -> Entry {
        Entry { epoch, seq, at_ms: 1_000 * seq, kind }
    }

    fn turn(n: u32, speaker: Speaker, text: &str) -> Kind {
        Kind::Turn(Turn {
            n,
            speaker,
            text: text.into(),
            heard_text: text.into(),
            approximate: false,
            start_ms: 0,
            end_ms: 1,
            heard_ms: 1,
            interrupted: false,
            engine: Some(EngineKind::Hume),
            expressions: Vec::new(),
        })
    }

    #[test]
    fn a_journal_reads_the_same_in_any_order_and_twice() {
        let entries = vec![
            entry(1, 1, Kind::StreamStarted { stream_sid: "MZ".into() }),
            entry(1, 2, Kind::Speaking { n: 1, text: "Hello.".into() }),
            entry(1, 3, turn(1, Speaker::Agent, "Hello.")),
            entry(1, 4, turn(2, Speaker::Caller, "I need an appointment.")),
            entry(1, 5, Kind::Speaking { n: 3, text: "We have Tuesday".into() }),
        ];
        let read = Conversation::read(&entries);
        assert_eq!(read.history.iter().map(|turn| turn.n).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((read.history[0].text.as_str(), read.history[2].heard_text.as_str()), ("Hello.", ""));
        assert!(read.greeted && !read.disclosed);
        assert_eq!(read.offset_ms(9_000), 8_000);
        let backwards = Conversation::read(entries.iter().rev().chain(&entries));
        assert_eq!(backwards, read);
    }
}
