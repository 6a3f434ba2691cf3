//! Lists of calls: newest first, live ones, overdue ones.
//!
//! One index leads a list: the postings of the words that are looked for, else the other party's number, else the outcome,
//! else time. All other filters are applied to what it yields. What a page costs depends on how many entries it examines,
//! never on how many calls there are ([`Reads`]).

mod joined;
mod walk;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::Select;

use crate::clock::Moment;
use crate::cursor::Cursor;
use crate::error::{StoreError, failure};
use crate::item::Item;
use crate::keys;
use crate::record::{CallRecord, Outcome};
use crate::store::Store;
use crate::update::decode;

use walk::Walk;

/// A request examines at most so many entries, so that no filter makes it slow or expensive.
const EXAMINED_MAX: usize = 1_000;

/// The longest page of a list.
const PAGE_CALLS_MAX: usize = 200;

/// Clocks differ: a call may have been opened by one that is ahead of ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(24 * 3_600);

/// Which calls to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery<'a> {
    /// Only calls opened at or after this moment.
    pub from: Option<Moment>,
    /// Only calls opened before this moment.
    pub until: Option<Moment>,
    /// What is looked up; all that it yields is examined.
    pub lead: Lead,
    /// Where the page before ended.
    pub cursor: Option<&'a str>,
    /// The longest page, 1 to 200.
    pub limit: usize,
    /// All other filters in one fixed spelling. A cursor is only good for the filters it was given out for.
    pub scope: &'a str,
}

/// The index that leads a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lead {
    /// All calls.
    #[default]
    Time,
    /// The calls with this number.
    Phone(String),
    /// The calls with this outcome.
    Outcome(Outcome),
    /// The calls in which all of these words were said, as [`search_words`](crate::search_words) gives them.
    Words(BTreeSet<String>),
}

impl ListQuery<'_> {
    /// Where a page would begin that follows this call of the list.
    #[must_use]
    pub fn cursor_behind(&self, call: &CallRecord) -> String {
        Cursor::behind(call.id).encode(&self.filters())
    }

    fn filters(&self) -> String {
        format!("{:?} {:?} {:?} {}", self.lead, self.from, self.until, self.scope)
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallRecord>,
    /// Where the next page begins; none when there is none. A page may be short, even empty, and have one.
    pub next_cursor: Option<String>,
    /// What it cost.
    pub reads: Reads,
}

/// What was read to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reads {
    /// Requests to DynamoDB.
    pub requests: usize,
    /// Items it gave.
    pub items: usize,
    /// Read request units it counted.
    pub units: f64,
}

impl Store {
    /// Calls by time, newest first, that pass `filter`. Examines at most 1,000 entries.
    pub async fn list_calls(
        &self,
        query: &ListQuery<'_>,
        filter: impl Fn(&CallRecord) -> bool,
    ) -> Result<CallPage, StoreError> {
        let filters = query.filters();
        let cursor = query.cursor.map(|text| Cursor::decode(text, &filters)).transpose()?;
        let limit = query.limit.clamp(1, PAGE_CALLS_MAX);
        let mut walk = Walk::new(self, query, cursor);
        let mut page = CallPage { calls: Vec::new(), next_cursor: None, reads: Reads::default() };
        let mut last = None;
        let end = 'pages: loop {
            if walk.examined() >= EXAMINED_MAX {
                break walk.place();
            }
            // One more than the page takes tells whether another page follows.
            let Some(calls) = walk.next(limit + 1 - page.calls.len()).await? else { break None };
            for call in calls {
                if page.calls.len() == limit {
                    break 'pages last;
                }
                last = Some(Cursor::behind(call.id));
                if filter(&call) {
                    page.calls.push(call);
                }
            }
        };
        page.next_cursor = end.map(|cursor| cursor.encode(&filters));
        page.reads = walk.reads();
        Ok(page)
    }

    /// The calls that a node owns and that are not over, at most 1,000. Comes from an index: a call that ended or
    /// moved within the last second may still be among them.
    pub async fn live_calls(&self, node: &str) -> Result<Vec<CallRecord>, StoreError> {
        self.live(Some(node), None).await
    }

    /// The calls of all nodes, and of none, that should be over or dialled by now, at most 1,000.
    pub async fn overdue_calls(&self) -> Result<Vec<CallRecord>, StoreError> {
        let now = self.now();
        let mut overdue = self.live(None, Some(now)).await?;
        for node in self.nodes().await? {
            overdue.extend(self.live(Some(&node.name), Some(now)).await?);
        }
        overdue.truncate(EXAMINED_MAX);
        Ok(overdue)
    }

    /// The newest calls that are not over and pass `filter`, at most `limit`. Comes from an index, as
    /// [`live_calls`](Self::live_calls) does.
    pub async fn calls_under_way(
        &self,
        limit: usize,
        filter: impl Fn(&CallRecord) -> bool,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let mut calls = self.live(None, None).await?;
        for node in self.nodes().await? {
            calls.extend(self.live(Some(&node.name), None).await?);
        }
        calls.retain(filter);
        calls.sort_by_key(|call| std::cmp::Reverse(call.id));
        // One that moves from a node to another meanwhile may be found twice.
        calls.dedup_by_key(|call| call.id);
        calls.truncate(limit);
        Ok(calls)
    }

    /// How many calls are not over, on all nodes and on none.
    pub async fn count_live_calls(&self) -> Result<usize, StoreError> {
        let mut count = self.count_live(None).await?;
        for node in self.nodes().await? {
            count += self.count_live(Some(&node.name)).await?;
        }
        Ok(count)
    }

    pub(crate) async fn live(&self, node: Option<&str>, due: Option<Moment>) -> Result<Vec<CallRecord>, StoreError> {
        let (mut calls, mut start) = (Vec::new(), None);
        loop {
            let query = self.dynamodb.query().table_name(&self.table).index_name("live");
            let values = Item::default().text(":node", keys::live(node));
            let (condition, values) = match due {
                None => ("live = :node", values),
                Some(due) => ("live = :node AND deadline <= :due", values.text(":due", due.to_string())),
            };
            let query = query.key_condition_expression(condition).set_expression_attribute_values(Some(values.0));
            let answer = query.set_exclusive_start_key(start).send().await.map_err(|error| failure(&error))?;
            for item in answer.items.unwrap_or_default().into_iter().map(Item) {
                if !item.has_expired(self.now()) {
                    calls.extend(self.readable(decode(&item)));
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() || calls.len() >= EXAMINED_MAX {
                calls.truncate(EXAMINED_MAX);
                return Ok(calls);
            }
        }
    }

    async fn count_live(&self, node: Option<&str>) -> Result<usize, StoreError> {
        let (mut count, mut start) = (0, None);
        loop {
            let query = self.dynamodb.query().table_name(&self.table).index_name("live").select(Select::Count);
            let values = Item::default().text(":node", keys::live(node));
            let query = query.key_condition_expression("live = :node").set_expression_attribute_values(Some(values.0));
            let answer = query.set_exclusive_start_key(start).send().await.map_err(|error| failure(&error))?;
            count += usize::try_from(answer.count).unwrap_or(0);
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }
}

/// The last moment of the month before; none before 1970.
pub(crate) fn before_month(at: Moment) -> Option<Moment> {
    let first: Moment = format!("{}-01T00:00:00Z", at.month()).parse().ok()?;
    first.as_ms().checked_sub(1).map(Moment::from_ms)
}

#[cfg(test)]
mod tests;
