//! The journal's way into the store, beside the audio and never before it.
//!
//! Each call has a writer with a task of its own: entries are collected for 250 ms and appended. When the store does not
//! answer, they go to a file in the spool, in order; when it answers again, or at the next start of the node, the file is
//! stored and deleted. Writing an entry twice is harmless, so after every doubt it is written again. A killed process
//! loses what was said in the last 250 ms, or second if the store was just going away.
//!
//! What a call's record takes from its journal (engines, next step) is written here too, with the entries that say it:
//! so it comes late when they come late, and is not forgotten.
//!
//! One file in the spool never keeps the others waiting: what can never be stored is set aside for a person to look at,
//! and what could not be stored this time comes last the next time.
//!
//! Two nodes may have been prepared for one epoch; only the one whose stream it is may write. So a writer *holds* its
//! entries until it is told that the stream is its own.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use call::CallId;
use call::agent::EngineKind;
use call::journal::{Entry, Kind, NextStep};
use store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::figures::Figures;
use crate::live::Live;
use crate::spool::Spool;

/// Entries wait so long for company.
const BATCH_WITHIN: Duration = Duration::from_millis(250);

/// Entries that are written at once: as many as the store puts into one item.
const BATCH_ENTRIES_MAX: usize = 64;

/// Entries that may wait for a call's task. A call writes a few a second, and the task leaves the store for the disk
/// after [`STORE_WITHIN`]: only a disk that hangs gets here.
const QUEUED_MAX: usize = 4_096;

/// Entries of a stream that is not known to be ours. A prepared call writes its few dials.
const HELD_MAX: usize = 1_024;

/// The store has this long to take a batch; then the disk gets it.
const STORE_WITHIN: Duration = Duration::from_secs(1);

/// The store has this long for a file of them.
const REPLAY_WITHIN: Duration = Duration::from_secs(20);

/// How often a store that was away is tried again, at first and at most.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// After so many files in a row that could not be stored it is the store that is away, and asking on is no use.
const FAILURES_IN_A_ROW_MAX: u32 = 3;

/// All journals of a node.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) store: Store,
    pub(crate) spool: Spool,
    pub(crate) boot: String,
    pub(crate) figures: Arc<Figures>,
    pub(crate) live: Arc<Live>,
}

/// The store did not take it, or not in time.
#[derive(Debug, thiserror::Error)]
enum NotStored {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store did not answer in time")]
    Late,
    #[error("the spool cannot be read: {0}")]
    Spool(#[from] io::Error),
}

/// One call's pen.
#[derive(Debug)]
pub(crate) struct Writer {
    call: CallId,
    journal: Arc<Journal>,
    entries: mpsc::Sender<Entry>,
    /// What is held back; none once the stream is known to be ours.
    held: Option<Vec<Entry>>,
}

impl Writer {
    /// Writes an entry down, now or when [`release`](Self::release) is called. Never waits.
    pub(crate) fn write(&mut self, entry: Entry) {
        match &mut self.held {
            Some(held) if held.len() < HELD_MAX => held.push(entry),
            Some(_) => self.journal.lost(self.call, 1, "too many entries before the stream"),
            None => self.send(entry),
        }
    }

    /// The stream is ours: what was held back is written.
    pub(crate) fn release(&mut self) {
        for entry in self.held.take().into_iter().flatten() {
            self.send(entry);
        }
    }

    fn send(&self, entry: Entry) {
        self.journal.live.publish(self.call, &entry);
        if self.entries.try_send(entry).is_err() {
            self.journal.lost(self.call, 1, "the writer does not keep up");
        }
    }
}

impl Journal {
    /// A pen for one epoch of a call. Its task, among `tasks`, ends after the pen was dropped and all is stored or kept.
    pub(crate) fn open(self: &Arc<Self>, call: CallId, epoch: u32, tasks: &TaskTracker) -> Writer {
        let (entries, queue) = mpsc::channel(QUEUED_MAX);
        let name = format!("{call}.{epoch}.{}.jsonl", self.boot);
        tasks.spawn(Arc::clone(self).write(call, name, queue));
        Writer { call, journal: Arc::clone(self), entries, held: Some(Vec::new()) }
    }

    /// Stores what is in the spool, again and again until told to stop: the files of calls that are over.
    pub(crate) async fn replay(self: Arc<Self>, stop: CancellationToken) {
        let mut pause = RETRY_FIRST;
        let mut failures = BTreeMap::new();
        loop {
            pause = match self.replay_once(&mut failures).await {
                Ok(()) => RETRY_FIRST,
                Err(error) => {
                    tracing::warn!(%error, spool.bytes = self.spool.bytes(), "failed to store what is in the journal's spool");
                    (pause * 2).min(RETRY_MAX)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Stores every file that is nobody's. `failures` are those of the files that are still there.
    async fn replay_once(&self, failures: &mut BTreeMap<String, u32>) -> Result<(), NotStored> {
        let mut names = self.spool.orphans().await?;
        failures.retain(|name, _| names.contains(name));
        names.sort_by_key(|name| failures.get(name).copied().unwrap_or(0));
        let (mut outcome, mut in_a_row) = (Ok(()), 0);
        for name in names {
            match self.replay_file(&name).await {
                Ok(()) => {
                    in_a_row = 0;
                    tracing::info!(spool.file = name, "a journal that had waited on disk was dealt with");
                }
                Err(error) => {
                    in_a_row += 1;
                    *failures.entry(name).or_default() += 1;
                    outcome = Err(error);
                    if in_a_row == FAILURES_IN_A_ROW_MAX {
                        break;
                    }
                }
            }
        }
        outcome
    }

    /// Stores a file and deletes it, or sets it aside.
    async fn replay_file(&self, name: &str) -> Result<(), NotStored> {
        let content = match self.spool.read(name).await {
            Ok(content) => content,
            Err(error) if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::PermissionDenied) => {
                return self.put_aside(name, &error.to_string()).await;
            }
            Err(error) => return Err(error.into()),
        };
        let Some(call) = name.split('.').next().and_then(|call| call.parse::<CallId>().ok()) else {
            return self.put_aside(name, "its name is not a journal's").await;
        };
        let Lines { entries, unreadable, torn } = read_lines(&content);
        match timeout(REPLAY_WITHIN, self.store(call, &entries)).await.map_err(|_| NotStored::Late)? {
            Ok(()) => {}
            Err(error) if is_about_content(&error) => return self.put_aside(name, &error.to_string()).await,
            Err(error) => return Err(error.into()),
        }
        if unreadable > 0 {
            return self.put_aside(name, "some of its lines cannot be read; the others are stored").await;
        }
        // The last line of a killed process may be cut off: its entry is lost, and known to be.
        if torn {
            self.lost(call, 1, "the last line in the spool is cut off");
        }
        self.spool.remove(name).await?;
        Ok(())
    }

    async fn put_aside(&self, name: &str, why: &str) -> Result<(), NotStored> {
        self.spool.put_aside(name).await?;
        tracing::error!(spool.file = name, why, "a file in the journal's spool cannot be stored; it is kept as `.bad`");
        Ok(())
    }

    async fn write(self: Arc<Self>, call: CallId, name: String, mut queue: mpsc::Receiver<Entry>) {
        let mut spooled = false;
        let mut retry_at = Instant::now();
        loop {
            let (batch, open) = next_batch(&mut queue, spooled.then_some(retry_at)).await;
            // What follows a spooled entry goes to the same file, so that order is kept.
            let to_disk = !batch.is_empty() && (spooled || !self.store_soon(call, &batch).await);
            if to_disk && self.keep(call, &name, &batch).await && !spooled {
                (spooled, retry_at) = (true, Instant::now() + RETRY_FIRST);
            }
            if spooled && (!open || Instant::now() >= retry_at) {
                match self.replay_file(&name).await {
                    Ok(()) => spooled = false,
                    Err(error) => {
                        tracing::debug!(call.id = %call, %error, "failed to store the call's spooled journal")
                    }
                }
                retry_at = Instant::now() + RETRY_FIRST;
            }
            if !open {
                break;
            }
        }
        self.spool.disown(&name);
    }

    /// Whether the store took the entries within [`STORE_WITHIN`].
    async fn store_soon(&self, call: CallId, batch: &[Entry]) -> bool {
        match timeout(STORE_WITHIN, self.store(call, batch)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(call.id = %call, %error, "failed to store the journal; it goes to disk");
                false
            }
            Err(_) => {
                tracing::warn!(call.id = %call, "failed to store the journal in time; it goes to disk");
                false
            }
        }
    }

    /// Whether the disk took the entries.
    async fn keep(&self, call: CallId, name: &str, batch: &[Entry]) -> bool {
        let mut lines = Vec::new();
        for entry in batch {
            if serde_json::to_writer(&mut lines, entry).is_ok() {
                lines.push(b'\n');
            }
        }
        match self.spool.append(name, &lines).await {
            Ok(()) => {
                self.figures.journal_spooled.add(batch.len() as u64);
                true
            }
            Err(error) => {
                self.lost(call, batch.len(), &error.to_string());
                false
            }
        }
    }

    fn lost(&self, call: CallId, count: usize, why: &str) {
        self.figures.journal_dropped.add(count as u64);
        tracing::error!(call.id = %call, count, why, "journal entries are lost");
    }

    /// Stores entries, and what the call's record takes from them.
    async fn store(&self, call: CallId, entries: &[Entry]) -> Result<(), StoreError> {
        match self.store.append_journal(call, entries).await {
            Err(StoreError::TooLarge(_)) => self.store_one_by_one(call, entries).await?,
            other => other?,
        }
        for fact in facts(entries) {
            let recorded = match fact {
                Fact::Engines { speaking, tried } => self.store.record_engines(call, speaking, &tried).await,
                Fact::Next { epoch, step } => self.store.put_next_step(call, epoch, &step).await,
            };
            match recorded {
                Err(error) if error.is_retryable() => return Err(error),
                // A call that is not in the store has no record to keep up to date.
                Err(error) => tracing::debug!(call.id = %call, %error, "failed to bring the call's record up to date"),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// One entry is too large for ever; the others are not lost with it.
    async fn store_one_by_one(&self, call: CallId, entries: &[Entry]) -> Result<(), StoreError> {
        for entry in entries {
            match self.store.append_journal(call, std::slice::from_ref(entry)).await {
                Err(StoreError::TooLarge(what)) => self.lost(call, 1, &what),
                other => other?,
            }
        }
        Ok(())
    }
}

/// The next entries, and whether more may follow. With `until`, there may be none.
async fn next_batch(queue: &mut mpsc::Receiver<Entry>, until: Option<Instant>) -> (Vec<Entry>, bool) {
    let first = match until {
        None => queue.recv().await,
        Some(until) => match timeout_at(until, queue.recv()).await {
            Ok(first) => first,
            Err(_) => return (Vec::new(), true),
        },
    };
    let Some(first) = first else { return (Vec::new(), false) };
    let mut batch = vec![first];
    let until = Instant::now() + BATCH_WITHIN;
    while batch.len() < BATCH_ENTRIES_MAX {
        match timeout_at(until, queue.recv()).await {
            Ok(Some(entry)) => batch.push(entry),
            Ok(None) => return (batch, false),
            Err(_) => break,
        }
    }
    (batch, true)
}

/// Whether it is this content that the store does not take, and never will. A refusal is not: it is about credentials or
/// a missing table, and would be the same for any other file.
pub(crate) const fn is_about_content(error: &StoreError) -> bool {
    match error {
        StoreError::NotFound(_)
        | StoreError::Erased(_)
        | StoreError::Corrupt { .. }
        | StoreError::TooLarge(_)
        | StoreError::BadCursor => true,
        StoreError::Throttled | StoreError::Unavailable(_) | StoreError::Conflict | StoreError::Refused { .. } => false,
    }
}

/// What a file in the spool holds.
#[derive(Debug, PartialEq)]
struct Lines {
    entries: Vec<Entry>,
    /// Whole lines that are no entries.
    unreadable: usize,
    /// Whether the last line has no end and is no entry.
    torn: bool,
}

fn read_lines(content: &[u8]) -> Lines {
    let mut lines = Lines { entries: Vec::new(), unreadable: 0, torn: false };
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(entry) => lines.entries.push(entry),
            Err(_) if !line.ends_with(b"\n") => lines.torn = true,
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(_) => lines.unreadable += 1,
        }
    }
    lines
}

/// Something that the call's record takes from its journal.
#[derive(Debug, PartialEq)]
enum Fact {
    Engines { speaking: Option<EngineKind>, tried: Vec<EngineKind> },
    Next { epoch: u32, step: NextStep },
}

fn facts(entries: &[Entry]) -> Vec<Fact> {
    let (mut speaking, mut tried, mut facts) = (None, Vec::new(), Vec::new());
    for entry in entries {
        if let Kind::EngineDialled { engine, .. } = &entry.kind
            && !tried.contains(engine)
        {
            tried.push(*engine);
        } else if let Kind::EngineReady { engine, .. } = &entry.kind {
            speaking = Some(*engine);
        } else if let Kind::NextStep { next } = &entry.kind {
            facts.push(Fact::Next { epoch: entry.epoch, step: next.clone() });
        }
    }
    if speaking.is_some() || !tried.is_empty() {
        facts.insert(0, Fact::Engines { speaking, tried });
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, kind: Kind) -> Entry {
        Entry { epoch: 1, seq, at_ms: 1, kind }
    }

    #[test]
    fn the_record_learns_its_engines_and_its_end_from_the_journal() {
        let ready = |engine| Kind::EngineReady { engine, resumed: false, chat_group: None, chat: None, took_ms: 1 };
        let entries = [
            entry(1, Kind::EngineDialled { engine: EngineKind::Hume, attempt: 1 }),
            entry(2, Kind::EngineDialled { engine: EngineKind::OpenAi, attempt: 1 }),
            entry(3, Kind::EngineDialled { engine: EngineKind::OpenAi, attempt: 2 }),
            entry(4, ready(EngineKind::OpenAi)),
            entry(5, Kind::NextStep { next: NextStep::Continue }),
        ];
        let engines =
            Fact::Engines { speaking: Some(EngineKind::OpenAi), tried: vec![EngineKind::Hume, EngineKind::OpenAi] };
        assert_eq!(facts(&entries), [engines, Fact::Next { epoch: 1, step: NextStep::Continue }]);
        assert_eq!(facts(&entries[4..]).len(), 1);
    }

    #[test]
    fn a_cut_off_last_line_costs_one_entry() {
        let mut content = Vec::new();
        for seq in 1..=3 {
            serde_json::to_writer(&mut content, &entry(seq, Kind::Dtmf { digit: "1".to_owned() })).unwrap();
            content.push(b'\n');
        }
        content.truncate(content.len() - 5);
        let lines = read_lines(&content);
        assert_eq!((lines.entries.len(), lines.unreadable, lines.torn), (2, 0, true));
        content.extend_from_slice(b"\nnonsense\n\n");
        let lines = read_lines(&content);
        assert_eq!((lines.entries.len(), lines.unreadable, lines.torn), (2, 2, false));
    }

    #[tokio::test]
    async fn entries_wait_for_company_but_not_for_long() {
        let (sender, mut queue) = mpsc::channel(200);
        for seq in 1..=100 {
            sender.send(entry(seq, Kind::Dtmf { digit: "1".to_owned() })).await.unwrap();
        }
        let (batch, open) = next_batch(&mut queue, None).await;
        assert_eq!((batch.len(), open), (BATCH_ENTRIES_MAX, true));
        let (batch, open) = next_batch(&mut queue, None).await;
        assert_eq!((batch.len(), open), (100 - BATCH_ENTRIES_MAX, true));
        assert_eq!(next_batch(&mut queue, Some(Instant::now())).await, (vec![], true));
        drop(sender);
        assert_eq!(next_batch(&mut queue, None).await, (vec![], false));
    }
}
