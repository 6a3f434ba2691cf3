//! Lists of calls: newest first, live ones, overdue ones.

use crate::clock::Moment;
use crate::error::StoreError;
use crate::record::CallRecord;
use crate::store::Store;

/// Which calls to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery<'a> {
    /// Only calls opened at or after this moment.
    pub from: Option<Moment>,
    /// Only calls opened before this moment.
    pub until: Option<Moment>,
    /// Where the page before ended.
    pub cursor: Option<&'a str>,
    /// The longest page, 1 to 200.
    pub limit: usize,
    /// All other filters in one fixed spelling. A cursor is only good for the filters it was given out for.
    pub scope: &'a str,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallRecord>,
    /// Where the next page begins; none when there is none. A page may be short, even empty, and have one.
    pub next_cursor: Option<String>,
}

impl Store {
    /// Calls by time, newest first, that pass `filter`. Examines at most 1,000 entries.
    pub async fn list_calls(
        &self,
        query: &ListQuery<'_>,
        filter: impl Fn(&CallRecord) -> bool,
    ) -> Result<CallPage, StoreError> {
        todo!()
    }

    /// The calls that a node owns and that are not over, at most 1,000. Comes from an index: a call that ended or
    /// moved within the last second may still be among them.
    pub async fn live_calls(&self, node: &str) -> Result<Vec<CallRecord>, StoreError> {
        todo!()
    }

    /// The calls of all nodes, and of none, that should be over or dialled by now, at most 1,000.
    pub async fn overdue_calls(&self) -> Result<Vec<CallRecord>, StoreError> {
        todo!()
    }

    /// How many calls are not over, on all nodes and on none.
    pub async fn count_live_calls(&self) -> Result<usize, StoreError> {
        todo!()
    }
}
