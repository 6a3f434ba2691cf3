//! A call's journal, in batches that may be written again.
//!
//! A batch is one item, named by its first entry, so that writing it again changes nothing. Entries never change; two
//! batches that overlap (written again with other borders) agree, and reading takes each entry once.

use call::CallId;
use call::journal::{Entry, Kind};

use crate::erase::Life;
use crate::error::{Refusal, StoreError, failure};
use crate::item::Item;
use crate::keys;
use crate::recording::slot_after;
use crate::status::JOURNAL_SETTLES;
use crate::store::{Condition, Store, Write, pause};
use crate::update::CHANGE_ATTEMPTS_MAX;
use crate::work::WorkKind;

/// The largest batch, in bytes of JSON: DynamoDB's price counts kilobytes, and a batch is read whole.
const BATCH_BYTES_MAX: usize = 32 * 1_024;

/// The most entries of a batch. It also bounds how far back the batch of an entry can begin, so that reading on from an
/// entry is one query.
const BATCH_ENTRIES_MAX: usize = 64;

/// The largest single entry: an item of DynamoDB holds 400 KB with its keys.
const ENTRY_BYTES_MAX: usize = 300 * 1_024;

/// The longest page of a journal.
const PAGE_ENTRIES_MAX: usize = 1_000;

/// A place in a journal: the entry with this epoch and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The epoch.
    pub epoch: u32,
    /// The sequence number within it.
    pub seq: u64,
}

impl Position {
    /// The place of an entry.
    #[must_use]
    pub const fn of(entry: &Entry) -> Self {
        Self { epoch: entry.epoch, seq: entry.seq }
    }
}

/// A part of a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalPage {
    /// In order, each entry once.
    pub entries: Vec<Entry>,
    /// Whether more follow.
    pub more: bool,
}

impl Store {
    /// Writes entries. They are divided into batches; writing the same again, also divided otherwise, is harmless. The
    /// entries are written in order, so that after a failure a beginning of them is there.
    ///
    /// An error that is retryable means: keep the entries and write them again. Any other will stay. Entries of a call
    /// that was erased or has expired are taken, and are not kept. What comes after the call's end (from a spool, or from
    /// the engine's own history) is looked at by the worker once more, so that its words are found too.
    pub async fn append_journal(&self, id: CallId, entries: &[Entry]) -> Result<(), StoreError> {
        if self.expiry_of(id) <= self.now() {
            return Ok(());
        }
        let batches = batches(entries)?;
        let written: Vec<_> = batches.iter().map(|batch| keys::journal(id, batch.first)).collect();
        for batch in batches {
            let item = Item::new(&keys::journal(id, batch.first))
                .text("entries", batch.json)
                .number("last", batch.last)
                .expiring(self.expiry_of(id));
            self.put_batch(item, batch.last).await?;
        }
        if written.is_empty() {
            return Ok(());
        }
        // Asked after writing, not before: of an erasure or an end between the two one of us sees the other.
        match self.life(id).await? {
            Life::Unknown | Life::UnderWay => Ok(()),
            Life::Over => self.look_again(id, entries).await,
            Life::Erased => self.delete_all(&written).await,
        }
    }

    /// Words that came after the call's end are found, and judged, if the judge has looked before they came.
    async fn look_again(&self, id: CallId, entries: &[Entry]) -> Result<(), StoreError> {
        let now = self.now();
        self.add_work(id, WorkKind::Index, slot_after(now)).await?;
        let is_said = |entry: &Entry| entry.epoch > 0 && matches!(entry.kind, Kind::Turn(_));
        if !entries.iter().any(is_said) {
            return Ok(());
        }
        match self.call(id).await {
            Ok(call) if call.ended_at.is_some_and(|ended| ended.after(JOURNAL_SETTLES) > now) => Ok(()),
            Ok(_) => self.add_work(id, WorkKind::Analyse, slot_after(now)).await,
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn put_batch(&self, item: Item, last: u64) -> Result<(), StoreError> {
        // A batch that begins with the same entry and goes further holds all of this one.
        let condition = Condition::new("attribute_not_exists(pk) OR #last < :last").naming("#last", "last");
        let write = Write { item, condition: condition.number(":last", last) };
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            match self.put(write.clone()).await {
                Ok(()) | Err(Refusal::Condition(_)) => return Ok(()),
                Err(Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Reads up to `limit` entries (at most 1,000) after a position, or from the beginning.
    pub async fn read_journal(
        &self,
        id: CallId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<JournalPage, StoreError> {
        let limit = limit.clamp(1, PAGE_ENTRIES_MAX);
        let mut page = JournalPage { entries: Vec::new(), more: false };
        let mut read_to = after.unwrap_or(Position { epoch: 0, seq: 0 });
        let back = Position { seq: read_to.seq.saturating_sub(BATCH_ENTRIES_MAX as u64), ..read_to };
        let mut start = None;
        loop {
            let query = self.dynamodb.query().table_name(&self.table).consistent_read(true);
            let query = query.key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to");
            let values = Item::default()
                .text(":pk", keys::call_partition(id))
                .text(":from", keys::journal_sort(back))
                .text(":to", keys::JOURNAL_END);
            let query = query.set_expression_attribute_values(Some(values.0)).set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| failure(&error))?;
            for item in answer.items.unwrap_or_default().into_iter().map(Item) {
                if item.has_expired(self.now()) {
                    continue;
                }
                for entry in decode(&item)? {
                    if Position::of(&entry) <= read_to {
                        continue;
                    }
                    if page.entries.len() == limit {
                        page.more = true;
                        return Ok(page);
                    }
                    read_to = Position::of(&entry);
                    page.entries.push(entry);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(page);
            }
        }
    }
}

fn decode(item: &Item) -> Result<Vec<Entry>, StoreError> {
    let what = || format!("{} / {}", item.text_of("pk").unwrap_or("?"), item.text_of("sk").unwrap_or("?"));
    serde_json::from_str(item.text_of("entries")?).map_err(|error| StoreError::corrupt(what(), error))
}

/// Entries that are written as one item.
struct Batch {
    first: Position,
    last: u64,
    json: String,
}

/// Divides entries into batches of one epoch each, sorted, each entry once.
fn batches(entries: &[Entry]) -> Result<Vec<Batch>, StoreError> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| Position::of(entry));
    sorted.dedup_by_key(|entry| Position::of(entry));

    let mut batches: Vec<Batch> = Vec::new();
    for entry in sorted {
        let json = serde_json::to_string(entry).map_err(|error| StoreError::corrupt("a journal entry", error))?;
        if json.len() > ENTRY_BYTES_MAX {
            return Err(StoreError::TooLarge(format!("entry {}.{} of the journal", entry.epoch, entry.seq)));
        }
        match batches.last_mut().filter(|batch| batch.has_room_for(entry, &json)) {
            Some(batch) => {
                batch.json.pop();
                batch.json += ",";
                batch.json += &json;
                batch.json += "]";
                batch.last = entry.seq;
            }
            None => batches.push(Batch { first: Position::of(entry), last: entry.seq, json: format!("[{json}]") }),
        }
    }
    Ok(batches)
}

impl Batch {
    fn has_room_for(&self, entry: &Entry, json: &str) -> bool {
        self.first.epoch == entry.epoch
            && entry.seq - self.first.seq < BATCH_ENTRIES_MAX as u64
            && self.json.len() + 1 + json.len() <= BATCH_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use call::journal::Kind;

    use super::*;

    fn entry(epoch: u32, seq: u64, chars: usize) -> Entry {
        Entry { epoch, seq, at_ms: 1, kind: Kind::Commanded { command: "x".repeat(chars) } }
    }

    #[test]
    fn batches_are_bounded_in_bytes_and_entries_and_lose_nothing() {
        let entries: Vec<_> = (1..=200).map(|seq| entry(1, seq, if seq > 100 { 2_000 } else { 10 })).collect();
        let batches = batches(&entries).unwrap();
        let read: Vec<Entry> =
            batches.iter().flat_map(|b| serde_json::from_str::<Vec<Entry>>(&b.json).unwrap()).collect();
        assert_eq!(read, entries);
        assert!(batches.len() > 6);
        assert!(batches.iter().all(|b| b.json.len() <= BATCH_BYTES_MAX && b.last - b.first.seq < 64));
    }

    #[test]
    fn epochs_do_not_share_a_batch_and_order_is_restored() {
        let batches = batches(&[entry(2, 1, 1), entry(1, 2, 1), entry(1, 1, 1), entry(1, 2, 1)]).unwrap();
        let places: Vec<_> = batches.iter().map(|b| (b.first.epoch, b.first.seq, b.last)).collect();
        assert_eq!(places, [(1, 1, 2), (2, 1, 1)]);
    }

    #[test]
    fn an_entry_that_no_item_can_hold_is_refused_for_good() {
        let error = batches(&[entry(1, 1, ENTRY_BYTES_MAX)]).err().unwrap();
        assert!(matches!(error, StoreError::TooLarge(_)) && !error.is_retryable());
    }
}
