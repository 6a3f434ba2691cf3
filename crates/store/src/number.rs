//! All calls with one number: to be read, and to be erased.
//!
//! The calls are found by an index that may be a moment behind, and some may still be under way. So an order to erase
//! stands until a look that begins [`SETTLES`] after it finds nothing more. It holds the number, and goes last.

use std::time::Duration;

use call::CallId;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::erase::Erasure;
use crate::error::{Refusal, StoreError, failure};
use crate::item::{Attributes, Item};
use crate::keys;
use crate::list::{CallPage, Lead, ListQuery};
use crate::store::{Store, Write};
use crate::work::{WorkItem, WorkKind};

/// The index knows what was written so long ago.
const SETTLES: Duration = Duration::from_secs(60);

/// One query of the index reads so many calls.
const QUERY_MAX: usize = 50;

/// What one step of an order did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumberErasure {
    /// Calls that were erased.
    pub erased: u64,
    /// Calls that are under way and will be erased when they are over.
    pub under_way: u64,
    /// Whether there may be more calls.
    pub more: bool,
}

/// The order itself names the number, and goes with it, also when its work has died and nobody has looked. Longer than any
/// call, as many tries as there are, and a person's holiday.
const ORDER_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// An order to erase a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    number: String,
    who: String,
    /// Calls that were opened later are not meant.
    until: Moment,
}

impl Store {
    /// A page of the calls with a number, newest first.
    pub async fn calls_with(&self, number: &str, cursor: Option<&str>, limit: usize) -> Result<CallPage, StoreError> {
        let lead = Lead::Phone(number.to_owned());
        self.list_calls(&ListQuery { lead, cursor, limit, scope: "held", ..ListQuery::default() }, |_| true).await
    }

    /// Orders the erasure of all calls with a number that were opened until now, and does the first step of it. `order`
    /// is a fresh id.
    pub async fn erase_number(&self, order: CallId, number: &str, who: &str) -> Result<NumberErasure, StoreError> {
        let now = self.now();
        let item = Order { number: number.to_owned(), who: who.to_owned(), until: now };
        let stored = Item::new(&keys::number_erasure(order)).fields(&item)?.expiring(now.after(ORDER_KEPT));
        let work = [Duration::ZERO, SETTLES].map(|delay| WorkItem::new(order, WorkKind::EraseNumber, now.after(delay)));
        let mut changes = vec![self.writing(Write::always(stored))];
        for work in work {
            changes.push(self.writing(Write::always(work.encode()?)));
        }
        match self.transact(changes).await {
            Ok(()) => {}
            Err(Refusal::Condition(_)) => return Err(StoreError::Conflict),
            Err(Refusal::Failed(error)) => return Err(error),
        }
        self.erase_some(&item).await
    }

    /// Goes on with an order. None when all is done.
    pub async fn go_on_erasing(&self, order: CallId) -> Result<Option<NumberErasure>, StoreError> {
        let key = keys::number_erasure(order);
        let Some(item) = self.read_item(&key).await? else { return Ok(None) };
        let item: Order = item.read()?;
        let settled = self.now() >= item.until.after(SETTLES);
        let step = self.erase_some(&item).await?;
        if !settled || step != NumberErasure::default() {
            return Ok(Some(step));
        }
        // Of the number itself a digest may be left, by which it is not called too often.
        self.delete_all(&[keys::called(&item.number), key]).await?;
        Ok(None)
    }

    /// Erases the calls of one query.
    async fn erase_some(&self, order: &Order) -> Result<NumberErasure, StoreError> {
        let (mut step, mut start) = (NumberErasure::default(), None);
        loop {
            let (items, next) = self.query_number(&order.number, order.until, start, QUERY_MAX).await?;
            for item in items {
                // By its key: a record that cannot be read has to go as well.
                let Some(id) = item.text_of("pk")?.strip_prefix("CALL#").and_then(|id| id.parse().ok()) else {
                    continue;
                };
                match self.erase_call(id, &order.who).await {
                    Ok(Erasure::Begun) => step.erased += 1,
                    Ok(Erasure::UnderWay) => step.under_way += 1,
                    Ok(Erasure::Repeated) => {}
                    Err(error) if error.is_gone() => {}
                    Err(error) => return Err(error),
                }
            }
            start = next;
            step.more = start.is_some();
            // Those that are under way stay in the index; behind them there may be others.
            if step.erased > 0 || !step.more {
                return Ok(step);
            }
        }
    }

    async fn query_number(
        &self,
        number: &str,
        until: Moment,
        start: Option<Attributes>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<Attributes>), StoreError> {
        let values = Item::default().text(":number", number).text(":until", format!("{until}#~"));
        let query = self.dynamodb.query().table_name(&self.table).index_name("phone").scan_index_forward(false);
        let query = query
            .key_condition_expression("phone_key = :number AND started <= :until")
            .limit(i32::try_from(limit.min(QUERY_MAX)).unwrap_or(i32::MAX));
        let query = query.set_expression_attribute_values(Some(values.0)).set_exclusive_start_key(start);
        let answer = query.send().await.map_err(|error| failure(&error))?;
        let items = answer.items.unwrap_or_default().into_iter().map(Item);
        let now = self.now();
        Ok((items.filter(|item| !item.has_expired(now)).collect(), answer.last_evaluated_key))
    }

    /// Everything that is stored in the table under a call, by sort key, but for who had access to it: for a person who
    /// wants to know what is held about them.
    pub async fn held(&self, id: CallId) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        let (mut held, mut start) = (Vec::new(), None);
        loop {
            let values = Item::default().text(":pk", keys::call_partition(id));
            let query = self.dynamodb.query().table_name(&self.table).consistent_read(true);
            let query = query.key_condition_expression("pk = :pk").set_expression_attribute_values(Some(values.0));
            let answer = query.set_exclusive_start_key(start).send().await.map_err(|error| failure(&error))?;
            for item in answer.items.unwrap_or_default().into_iter().map(Item) {
                let name = item.text_of("sk")?.to_owned();
                if !item.has_expired(self.now()) && !name.starts_with(keys::ACCESS) {
                    held.push((name, item.as_json()?));
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(held);
            }
        }
    }
}
