//! Walking the leading index of a list backward in time.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use call::CallId;

use super::joined::Joined;
use super::{CLOCKS_DIFFER, EXAMINED_MAX, Lead, ListQuery, Reads, before_month};
use crate::clock::Moment;
use crate::cursor::Cursor;
use crate::error::{StoreError, failure};
use crate::item::Item;
use crate::keys;
use crate::record::CallRecord;
use crate::store::Store;
use crate::update::decode;

/// One query asks for at most so many entries.
pub(super) const QUERY_MAX: usize = 200;

/// A month without an entry costs a request, too: it counts as so many entries.
const EMPTY_MONTH: usize = 20;

/// A walk from the newest call that is left to the oldest.
pub(super) struct Walk<'s> {
    reader: Reader<'s>,
    lead: &'s Lead,
    from: Moment,
    /// No sort key beyond this is left.
    up_to: String,
    /// The latest moment of the month that is being walked; none at the end.
    month: Option<Moment>,
    /// Entries to ask for next. Twice as many after each query that did not yield enough.
    chunk: usize,
    place: Option<Cursor>,
    /// The postings of the month that is being walked.
    joined: Option<Joined>,
}

/// What asks, and what it has cost.
pub(super) struct Reader<'s> {
    pub(super) store: &'s Store,
    pub(super) reads: Reads,
    pub(super) examined: usize,
}

/// A part of a partition, newest first.
pub(super) struct Entries {
    pub(super) items: Vec<Item>,
    /// Whether older ones may follow.
    pub(super) more: bool,
}

/// A partition of an index, or of the table itself.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) index: Option<&'static str>,
    pub(super) key: &'static str,
    pub(super) sort: &'static str,
    pub(super) value: String,
}

impl<'s> Walk<'s> {
    pub(super) fn new(store: &'s Store, query: &'s ListQuery<'_>, cursor: Option<Cursor>) -> Self {
        let now = store.now();
        let oldest = now.before(store.retention);
        let from = query.from.map_or(oldest, |from| from.max(oldest));
        let latest = now.after(CLOCKS_DIFFER);
        let until = query.until.map_or(latest, |until| until.min(latest));
        let last = Moment::from_ms(until.as_ms().saturating_sub(1));
        let (up_to, newest) = match cursor {
            Some(cursor) => (cursor.up_to().min(until.to_string()), last.min(cursor.at())),
            None => (until.to_string(), last),
        };
        let month = (from < until && newest >= from).then_some(newest);
        let reader = Reader { store, reads: Reads::default(), examined: 0 };
        Self { reader, lead: &query.lead, from, up_to, month, chunk: 0, place: cursor, joined: None }
    }

    pub(super) fn examined(&self) -> usize {
        self.reader.examined
    }

    pub(super) fn reads(&self) -> Reads {
        self.reader.reads
    }

    /// How far the walk has come.
    pub(super) fn place(&self) -> Option<Cursor> {
        self.place
    }

    /// The next calls, perhaps none of them; about as many as are wanted. None at the end.
    pub(super) async fn next(&mut self, wanted: usize) -> Result<Option<Vec<CallRecord>>, StoreError> {
        let Some(month) = self.month else { return Ok(None) };
        let left = EXAMINED_MAX.saturating_sub(self.reader.examined).max(1);
        let limit = wanted.max(self.chunk).min(QUERY_MAX).min(left);
        let lead = self.lead;
        let partition = match lead {
            Lead::Words(words) => {
                let from = self.from.to_string();
                let joined = self.joined.get_or_insert_with(|| Joined::new(words, month));
                let found = joined.next(&mut self.reader, &from, &mut self.up_to, &mut self.place, limit).await?;
                if found.ended {
                    self.leave_month(month, found.ids.is_empty());
                }
                return self.reader.calls(&found.ids).await.map(Some);
            }
            Lead::Phone(number) => {
                Partition { index: Some("phone"), key: "phone_key", sort: "started", value: number.clone() }
            }
            Lead::Outcome(outcome) => {
                let value = keys::outcome_month(*outcome, month);
                Partition { index: Some("outcome"), key: "outcome_month", sort: "started", value }
            }
            Lead::Time => Partition { index: Some("time"), key: "month", sort: "started", value: keys::month(month) },
        };
        let entries = self.reader.query(&partition, &self.from.to_string(), &self.up_to, limit).await?;
        if entries.items.len() == limit {
            self.chunk = limit.saturating_mul(2);
        }
        let now = self.reader.store.now();
        let mut calls = Vec::with_capacity(entries.items.len());
        for item in &entries.items {
            if let Some(id) = keys::parse_started(item.text_of("started")?) {
                self.pass(Cursor::behind(id));
            }
            if !item.has_expired(now) {
                calls.extend(self.reader.store.readable(decode(item)));
            }
        }
        if !entries.more {
            let is_empty = entries.items.is_empty();
            match self.lead {
                Lead::Phone(_) => self.month = None,
                Lead::Time | Lead::Outcome(_) | Lead::Words(_) => self.leave_month(month, is_empty),
            }
        }
        Ok(Some(calls))
    }

    fn pass(&mut self, place: Cursor) {
        self.up_to = place.up_to();
        self.place = Some(place);
    }

    /// Goes on with the month before.
    fn leave_month(&mut self, month: Moment, was_empty: bool) {
        if was_empty {
            self.reader.examined += EMPTY_MONTH;
        }
        self.joined = None;
        self.month = before_month(month).filter(|before| *before >= self.from);
        if let Some(before) = self.month {
            // Not a call's place, but the beginning of the month that is done.
            self.pass(Cursor::before(CallId::new(before.after(Duration::from_millis(1)).as_ms(), 0)));
        }
    }
}

impl Reader<'_> {
    /// The newest entries of a partition from `from` up to `up_to`.
    pub(super) async fn query(
        &mut self,
        partition: &Partition,
        from: &str,
        up_to: &str,
        limit: usize,
    ) -> Result<Entries, StoreError> {
        if up_to < from {
            return Ok(Entries { items: Vec::new(), more: false });
        }
        let values = Item::default().text(":partition", &partition.value).text(":from", from).text(":to", up_to);
        let request = self.store.dynamodb.query().table_name(&self.store.table);
        let answer = request
            .set_index_name(partition.index.map(str::to_owned))
            .key_condition_expression("#partition = :partition AND #sort BETWEEN :from AND :to")
            .expression_attribute_names("#partition", partition.key)
            .expression_attribute_names("#sort", partition.sort)
            .set_expression_attribute_values(Some(values.0))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(1))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let more = answer.last_evaluated_key.is_some();
        self.count(answer.items().len(), answer.consumed_capacity.and_then(|capacity| capacity.capacity_units));
        Ok(Entries { items: answer.items.unwrap_or_default().into_iter().map(Item).collect(), more })
    }

    pub(super) fn count(&mut self, items: usize, units: Option<f64>) {
        self.examined += items;
        self.reads.requests += 1;
        self.reads.items += items;
        self.reads.units += units.unwrap_or(0.0);
    }
}
