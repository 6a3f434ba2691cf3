//! A call's journal, in batches that may be written again.

use call::CallId;
use call::journal::Entry;

use crate::error::StoreError;
use crate::store::Store;

/// A place in a journal: the entry with this epoch and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The epoch.
    pub epoch: u32,
    /// The sequence number within it.
    pub seq: u64,
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
    pub async fn append_journal(&self, id: CallId, entries: &[Entry]) -> Result<(), StoreError> {
        todo!()
    }

    /// Reads up to `limit` entries (at most 1,000) after a position, or from the beginning.
    pub async fn read_journal(
        &self,
        id: CallId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<JournalPage, StoreError> {
        todo!()
    }
}
