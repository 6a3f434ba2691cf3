//! The calls in which several words were said: their postings walked side by side, each leaping to where the others are.

use std::collections::{BTreeSet, HashMap, VecDeque};

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use call::CallId;

use super::EXAMINED_MAX;
use super::walk::{Partition, Reader};
use crate::clock::Moment;
use crate::cursor::Cursor;
use crate::erase::ERASED_AT;
use crate::error::{StoreError, failure};
use crate::item::Item;
use crate::keys;
use crate::record::CallRecord;
use crate::store::{attributes, pause};
use crate::update::{CHANGE_ATTEMPTS_MAX, decode};

/// DynamoDB gives so many items at once by their keys.
const CALLS_MAX: usize = 100;

/// Several words are walked in steps of so many postings: a leap makes most of them useless.
const STEP: usize = 25;

/// The postings of all words in one month.
pub(super) struct Joined(Vec<Postings>);

/// The postings of one word in one month.
struct Postings {
    partition: Partition,
    /// Read and not passed yet, newest first.
    read: VecDeque<CallId>,
    /// Whether there may be more to read.
    more: bool,
}

/// What a step found.
pub(super) struct Found {
    /// Newest first.
    pub(super) ids: Vec<CallId>,
    /// Whether the month is done.
    pub(super) ended: bool,
}

impl Joined {
    pub(super) fn new(words: &BTreeSet<String>, month: Moment) -> Self {
        let postings = |word: &String| Postings {
            partition: Partition { index: None, key: "pk", sort: "sk", value: keys::word_month(word, month) },
            read: VecDeque::new(),
            more: true,
        };
        Self(words.iter().map(postings).collect())
    }

    /// Walks on, until as many calls are found as are wanted, the month is done, or no more may be examined. `up_to` and
    /// `place` move along.
    pub(super) async fn next(
        &mut self,
        reader: &mut Reader<'_>,
        from: &str,
        up_to: &mut String,
        place: &mut Option<Cursor>,
        wanted: usize,
    ) -> Result<Found, StoreError> {
        let mut ids = Vec::new();
        let wanted = wanted.min(CALLS_MAX);
        while ids.len() < wanted && reader.examined + ids.len() < EXAMINED_MAX {
            let Some(heads) = self.heads(reader, from, up_to, wanted).await? else {
                return Ok(Found { ids, ended: true });
            };
            let (newest, oldest) = heads;
            let reached = if newest == oldest {
                ids.push(oldest);
                Cursor::behind(oldest)
            } else {
                Cursor::before(oldest)
            };
            for postings in &mut self.0 {
                postings.pass(reached);
            }
            *up_to = reached.up_to();
            *place = Some(reached);
        }
        Ok(Found { ids, ended: false })
    }

    /// The newest and the oldest of the words' next postings; none when one of the words has no more.
    async fn heads(
        &mut self,
        reader: &mut Reader<'_>,
        from: &str,
        up_to: &str,
        wanted: usize,
    ) -> Result<Option<(CallId, CallId)>, StoreError> {
        let step = if self.0.len() == 1 { wanted } else { STEP };
        let mut heads: Option<(CallId, CallId)> = None;
        for postings in &mut self.0 {
            if postings.read.is_empty() && postings.more {
                postings.read_on(reader, from, up_to, step).await?;
            }
            let Some(head) = postings.read.front().copied() else { return Ok(None) };
            heads = Some(heads.map_or((head, head), |(newest, oldest)| (newest.max(head), oldest.min(head))));
        }
        Ok(heads)
    }
}

impl Postings {
    async fn read_on(
        &mut self,
        reader: &mut Reader<'_>,
        from: &str,
        up_to: &str,
        step: usize,
    ) -> Result<(), StoreError> {
        let limit = step.min(EXAMINED_MAX.saturating_sub(reader.examined)).max(1);
        let entries = reader.query(&self.partition, from, up_to, limit).await?;
        self.more = entries.more;
        for item in entries.items {
            self.read.extend(keys::parse_started(item.text_of("sk")?));
        }
        Ok(())
    }

    /// Drops what lies before a place.
    fn pass(&mut self, reached: Cursor) {
        while self.read.front().is_some_and(|id| *id > reached.id || (reached.included && *id == reached.id)) {
            self.read.pop_front();
        }
    }
}

impl Reader<'_> {
    /// These calls, in this order, without those that are gone.
    pub(super) async fn calls(&mut self, ids: &[CallId]) -> Result<Vec<CallRecord>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys = ids.iter().map(|id| attributes(&keys::call(*id))).collect();
        let mut left = Some(KeysAndAttributes::builder().set_keys(Some(keys)).build());
        let (mut found, now) = (HashMap::new(), self.store.now());
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let Some(wanted) = left.take() else { break };
            let wanted = wanted.map_err(|_| StoreError::Unavailable("the request could not be built".to_owned()))?;
            let request = self.store.dynamodb.batch_get_item().request_items(&self.store.table, wanted);
            let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = request.send().await.map_err(|error| failure(&error))?;
            let items = answer.responses.and_then(|mut tables| tables.remove(&self.store.table)).unwrap_or_default();
            let units = answer.consumed_capacity.iter().flatten().filter_map(|capacity| capacity.capacity_units).sum();
            self.count(items.len(), Some(units));
            for item in
                items.into_iter().map(Item).filter(|item| !item.has_expired(now) && !item.0.contains_key(ERASED_AT))
            {
                let Some(call) = self.store.readable(decode(&item)) else { continue };
                found.insert(call.id, call);
            }
            // What DynamoDB had no room for comes back, and it is asked again.
            left = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.store.table)).map(Ok);
            if left.is_none() {
                return Ok(ids.iter().filter_map(|id| found.remove(id)).collect());
            }
            pause(attempt).await;
        }
        Err(StoreError::Throttled)
    }
}
