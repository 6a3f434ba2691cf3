//! Lists of calls: newest first, live ones, overdue ones.

use aws_sdk_dynamodb::types::Select;

use crate::clock::Moment;
use crate::cursor::Cursor;
use crate::error::{StoreError, failure};
use crate::item::{Attributes, Item};
use crate::keys;
use crate::record::CallRecord;
use crate::store::Store;
use crate::update::decode;

/// A request examines at most so many entries, so that no filter makes it slow or expensive.
const EXAMINED_MAX: usize = 1_000;

/// The longest page of a list.
const PAGE_CALLS_MAX: usize = 200;

/// One query examines at most so many entries.
const QUERY_MAX: usize = 200;

/// Clocks differ: a call may have been opened by one that is ahead of ours.
const CLOCKS_DIFFER: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

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

impl ListQuery<'_> {
    fn filters(&self) -> String {
        format!("time {:?} {:?} {}", self.from, self.until, self.scope)
    }
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
        let filters = query.filters();
        let now = self.now();
        let oldest = now.before(self.retention);
        let from = query.from.map_or(oldest, |from| from.max(oldest));
        let mut until = query.until.map_or(now.after(CLOCKS_DIFFER), |until| until.min(now.after(CLOCKS_DIFFER)));
        let mut last = query.cursor.map(|text| Cursor::decode(text, &filters)).transpose()?;
        if let Some(cursor) = last {
            until = until.min(cursor.at.after(std::time::Duration::from_millis(1)));
        }
        let limit = query.limit.clamp(1, PAGE_CALLS_MAX);
        let mut page = CallPage { calls: Vec::new(), next_cursor: None };
        let mut examined = 0;
        // The month of the latest moment before `until`.
        let mut newest = Moment::from_ms(until.as_ms().saturating_sub(1));
        while from < until && newest >= from {
            let values = Item::default()
                .text(":partition", keys::month(newest))
                .text(":from", from.to_string())
                .text(":until", until.to_string());
            let mut start = last.filter(|cursor| cursor.at.month() == newest.month()).map(start_key);
            loop {
                let left = EXAMINED_MAX.saturating_sub(examined).min(QUERY_MAX);
                let answer = self
                    .dynamodb
                    .query()
                    .table_name(&self.table)
                    .index_name("time")
                    .key_condition_expression("#partition = :partition AND started BETWEEN :from AND :until")
                    .expression_attribute_names("#partition", "month")
                    .set_expression_attribute_values(Some(values.0.clone()))
                    .scan_index_forward(false)
                    .limit(i32::try_from(left.max(1)).unwrap_or(1))
                    .set_exclusive_start_key(start)
                    .send()
                    .await
                    .map_err(|error| failure(&error))?;
                // An empty month costs a request too.
                examined += answer.items().len().max(1);
                let items = answer.items.unwrap_or_default().into_iter().map(Item);
                for item in items.filter(|item| !item.has_expired(now)) {
                    let Some(call) = self.readable(decode(&item)) else { continue };
                    if page.calls.len() == limit {
                        page.next_cursor = last.map(|cursor| cursor.encode(&filters));
                        return Ok(page);
                    }
                    last = Some(Cursor { at: call.created_at, id: call.id });
                    if filter(&call) {
                        page.calls.push(call);
                    }
                }
                start = answer.last_evaluated_key;
                if start.is_none() {
                    break;
                }
                if examined >= EXAMINED_MAX {
                    page.next_cursor = last.map(|cursor| cursor.encode(&filters));
                    return Ok(page);
                }
            }
            if examined >= EXAMINED_MAX && last.is_some() {
                page.next_cursor = last.map(|cursor| cursor.encode(&filters));
                return Ok(page);
            }
            let Some(before) = before_month(newest) else { break };
            newest = before;
        }
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

fn start_key(cursor: Cursor) -> Attributes {
    let key = keys::call(cursor.id);
    let started = keys::started(cursor.at, cursor.id);
    Item::default()
        .text("pk", key.pk)
        .text("sk", key.sk)
        .text("month", keys::month(cursor.at))
        .text("started", started)
        .0
}

/// The last moment of the month before; none before 1970.
fn before_month(at: Moment) -> Option<Moment> {
    let first: Moment = format!("{}-01T00:00:00Z", at.month()).parse().ok()?;
    first.as_ms().checked_sub(1).map(Moment::from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_walked_backward_over_the_turn_of_the_year() {
        let at: Moment = "2026-01-31T23:59:59.999Z".parse().unwrap();
        let before = before_month(at).unwrap();
        assert_eq!(before.to_string(), "2025-12-31T23:59:59.999Z");
        assert_eq!(before_month(before).unwrap().month(), "2025-11");
        assert_eq!(before_month(Moment::from_ms(5)), None);
    }
}
