//! Filling what a transcript lacks with what Hume remembers of the chats.
//!
//! What to fill in is decided in [`call::history`]; here it is fetched and written down, in epoch 0 of the journal, whose
//! numbers are the same however often this runs. A service that is gone, as EVI is announced to be, has nothing to give,
//! which is no failure.

use std::collections::BTreeSet;

use call::CallId;
use call::agent::EngineKind;
use call::history::{Remembered, fill, is_incomplete};
use call::journal::{Entry, Expression, Kind, Speaker};
use clients::{ChatHistory, HumeAccess};
use store::{Chat, WorkKind};
use wire::hume::rest::{ChatEvent, EventKind};

use super::{Step, WorkError, Worker};
use crate::connect::journal;

/// The number of the first filled turn. Nothing else stands in epoch 0.
const FIRST_SEQ: u64 = 1;

/// As many of a caller's expressions are kept as the call machine keeps.
const EXPRESSIONS_KEPT: usize = 3;

impl Worker {
    pub(super) async fn fill_transcript(&self, id: CallId) -> Result<Step, WorkError> {
        let Some(hume) = &self.hume else { return Ok(Step::Done) };
        let call = match self.store.call(id).await {
            Ok(call) => call,
            Err(error) if error.is_gone() => return Ok(Step::Done),
            Err(error) => return Err(error.into()),
        };
        let entries = journal(&self.store, id).await?;
        if !is_incomplete(&entries, EngineKind::Hume) {
            return Ok(Step::Done);
        }
        let mut remembered = Vec::new();
        for history in histories(&entries, &call.marks.chats) {
            match hume.events(&history).await {
                Ok(events) => remembered.extend(events.iter().filter_map(understood)),
                Err(access @ (HumeAccess::Gone | HumeAccess::Forbidden)) => {
                    tracing::info!(call.id = %id, %access, "Hume remembers nothing of a call");
                }
                Err(access) => return Err(WorkError::History(access)),
            }
        }
        let turns = fill(&entries, &remembered, EngineKind::Hume);
        let known: BTreeSet<u32> = entries.iter().filter_map(heard_number).collect();
        let new = turns.iter().any(|turn| !known.contains(&turn.n));
        let at_ms = self.store.now().as_ms();
        let numbered = (FIRST_SEQ..).zip(turns);
        let filled: Vec<Entry> =
            numbered.map(|(seq, turn)| Entry { epoch: 0, seq, at_ms, kind: Kind::Turn(turn) }).collect();
        if filled.is_empty() {
            return Ok(Step::Done);
        }
        self.store.append_journal(id, &filled).await?;
        tracing::info!(call.id = %id, turns = filled.len(), "a transcript is filled in from Hume's history");
        if new {
            // The judge has not read these words.
            self.store.add_work(id, WorkKind::Analyse, self.store.now()).await?;
        }
        Ok(Step::Done)
    }
}

/// The conversations of a call at Hume: by their groups, which hold all of their sessions; by session where no group is
/// known.
fn histories(entries: &[Entry], reported: &[Chat]) -> BTreeSet<ChatHistory> {
    let reported = reported.iter().filter(|chat| chat.engine == EngineKind::Hume);
    let mut histories: BTreeSet<_> = reported.map(|chat| ChatHistory::Group(chat.group.clone())).collect();
    for entry in entries {
        if let Kind::EngineReady { engine: EngineKind::Hume, chat_group, chat, .. } = &entry.kind {
            let group = chat_group.clone().map(ChatHistory::Group);
            histories.extend(group.or_else(|| chat.clone().map(ChatHistory::Chat)));
        }
    }
    histories
}

/// The number of a turn that a node wrote down.
fn heard_number(entry: &Entry) -> Option<u32> {
    let Kind::Turn(turn) = &entry.kind else { return None };
    (entry.epoch > 0).then_some(turn.n)
}

fn understood(event: &ChatEvent) -> Option<Remembered> {
    if !event.is_speech() {
        return None;
    }
    let speaker = if event.kind == EventKind::UserMessage { Speaker::Caller } else { Speaker::Agent };
    let scores = event.scores().filter(|_| speaker == Speaker::Caller).unwrap_or_default();
    let expressions = scores.top(EXPRESSIONS_KEPT);
    Some(Remembered {
        speaker,
        text: event.message_text.clone()?,
        at_ms: u64::try_from(event.timestamp.0).ok()?,
        expressions: expressions.into_iter().map(|(name, score)| Expression { name: name.to_owned(), score }).collect(),
    })
}
