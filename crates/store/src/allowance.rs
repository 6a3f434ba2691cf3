//! How many placed calls may be under way, and how fast they may follow one another: counted in the store, by all
//! processes together.
//!
//! A call takes its place in the transaction that lets it be dialled, and leaves it in the transaction that makes it
//! final. So the count is exact however many processes place calls, and whichever of them dies: a place is never taken
//! without the call being marked, nor given back twice. What can leak is a place whose call never becomes final because
//! its record is gone, and a count that a person has edited. [`Store::heal_allowance`] finds both: it asks for the calls
//! whose time is over, and counts the places anew.
//!
//! The pace is one moment, from which the next call is due (the generic cell rate algorithm). It is compared with the
//! clock of who asks: a process whose clock is ahead can be early by that much, and no more often.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use call::CallId;

use crate::clock::Moment;
use crate::error::{Refusal, StoreError, failure};
use crate::item::Item;
use crate::keys;
use crate::store::{Condition, Store, Write, pause};
use crate::update::CHANGE_ATTEMPTS_MAX;

/// A place is looked at again so long after its call should have ended: Twilio's report of an end may be late.
const LOOKED_AT_AFTER: Duration = Duration::from_secs(600);

/// So many places are looked at in one visit of the worker.
const HEALED_MAX: usize = 100;

/// How much may be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So many placed calls may be under way.
    pub calls_max: u32,
    /// How fast calls follow one another; none for as fast as they come.
    pub pace: Option<Every>,
    /// How often one number is called; none for as often as anybody likes.
    pub per_number: Option<Every>,
}

/// A rate: so many at once, and then one in each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// How many at once.
    pub burst: u32,
    /// After how long there may be another one.
    pub interval: Duration,
}

/// What was found wrong with the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// Places that were taken by calls which are over or gone.
    pub swept: usize,
    /// Whether the count differed from the places.
    pub recounted: bool,
}

/// Why a call may not be dialled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// As many calls as are allowed are under way.
    Full,
    /// They follow one another too fast.
    Pace(Duration),
    /// This number was called too often.
    Number(Duration),
}

/// The item that counts.
struct Count {
    calls: u64,
    /// Raised with each change: who has read an older one must read again.
    changes: u64,
    due_ms: u64,
}

impl Allowance {
    /// Everything may be placed at once. For tests.
    pub const UNBOUNDED: Self = Self { calls_max: u32::MAX, pace: None, per_number: None };
}

impl Every {
    /// `count` at once and so many again within each `time`.
    #[must_use]
    pub fn of(count: u32, burst: u32, time: Duration) -> Self {
        Self { burst: burst.max(1), interval: time / count.max(1) }
    }

    /// When the one after this one is due, or how long to wait for this one.
    fn after(self, due_ms: u64, now: Moment) -> Result<u64, Duration> {
        let interval = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX).max(1);
        let due = due_ms.max(now.as_ms());
        let ahead = due - now.as_ms();
        let may_be_ahead = interval.saturating_mul(u64::from(self.burst.saturating_sub(1)));
        if ahead > may_be_ahead {
            return Err(Duration::from_millis(ahead - may_be_ahead));
        }
        Ok(due.saturating_add(interval))
    }
}

impl Store {
    /// How many placed calls are under way.
    pub async fn placed_calls(&self) -> Result<u32, StoreError> {
        Ok(u32::try_from(self.placed_count().await?.map_or(0, |count| count.calls)).unwrap_or(u32::MAX))
    }

    /// What takes a place for a call, to be written with the mark that it is being dialled; or why it has to wait.
    pub(crate) async fn entering(
        &self,
        (id, to, ends_by): (CallId, &str, Moment),
        allowed: &Allowance,
    ) -> Result<Result<Vec<TransactWriteItem>, Held>, StoreError> {
        let now = self.now();
        let count = self.placed_count().await?;
        let (calls, due_ms) = count.as_ref().map_or((0, 0), |count| (count.calls, count.due_ms));
        if calls >= u64::from(allowed.calls_max) {
            return Ok(Err(Held::Full));
        }
        let due_ms = match allowed.pace.map(|pace| pace.after(due_ms, now)) {
            None => due_ms,
            Some(Ok(due_ms)) => due_ms,
            Some(Err(wait)) => return Ok(Err(Held::Pace(wait))),
        };
        let mut changes = Vec::new();
        if let Some(every) = allowed.per_number {
            match self.called(to, every, now).await? {
                Ok(change) => changes.push(change),
                Err(wait) => return Ok(Err(Held::Number(wait))),
            }
        }
        let as_read = match &count {
            Some(count) => Condition::new("changes = :read").number(":read", count.changes),
            None => Condition::new("attribute_not_exists(pk)"),
        };
        let as_read = as_read.number(":one", 1).number(":due", due_ms).number(":v", 1);
        let change = "SET due_ms = :due, v = :v ADD calls :one, changes :one";
        changes.push(self.updating(&keys::placed_count(), change, as_read));
        let place = Item::new(&keys::placed_call(id)).text("call", id.to_string());
        let place = place.number("until_ms", ends_by.after(LOOKED_AT_AFTER).as_ms());
        changes.push(self.writing(Write::fresh(place)));
        Ok(Ok(changes))
    }

    async fn called(
        &self,
        to: &str,
        every: Every,
        now: Moment,
    ) -> Result<Result<TransactWriteItem, Duration>, StoreError> {
        let key = keys::called(to);
        let before = self.read_item(&key).await?.map(|item| item.number_of("due_ms")).transpose()?;
        let due_ms = match every.after(before.unwrap_or(0), now) {
            Ok(due_ms) => due_ms,
            Err(wait) => return Ok(Err(wait)),
        };
        let item = Item::new(&key).number("due_ms", due_ms).expiring(Moment::from_ms(due_ms));
        let as_read = match before {
            Some(before) => Condition::new("due_ms = :read").number(":read", before),
            // What has expired may not have been deleted yet.
            None => Condition::new("attribute_not_exists(pk) OR due_ms <= :now").number(":now", now.as_ms() + 1_000),
        };
        Ok(Ok(self.writing(Write { item, condition: as_read })))
    }

    /// What gives a call's place back: first the place, whose condition is that it is there, then the count.
    pub(crate) fn leaving(&self, id: CallId) -> [TransactWriteItem; 2] {
        let is_there = Condition::new("attribute_exists(pk)");
        let change = Condition::default().minus(":minus", 1).number(":one", 1);
        [
            self.deleting(&keys::placed_call(id), is_there),
            self.updating(&keys::placed_count(), "ADD calls :minus, changes :one", change),
        ]
    }

    /// Gives back the places of calls that are over or gone, and counts the places anew. Harmless at any time, and to do
    /// by several at once: a count is only corrected if nothing was changed since the places were read.
    pub async fn heal_allowance(&self) -> Result<Healed, StoreError> {
        let mut healed = Healed::default();
        let now = self.now();
        for item in self.places().await?.into_iter().take(HEALED_MAX) {
            if item.number_of("until_ms")? > now.as_ms() {
                continue;
            }
            let id: CallId =
                item.text_of("call")?.parse().map_err(|error| StoreError::corrupt("the place of a call", error))?;
            match self.call(id).await {
                Ok(call) if !call.status.is_final() => continue,
                Ok(_) | Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
            match self.transact(self.leaving(id).into()).await {
                Ok(()) => healed.swept += 1,
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => {}
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        healed.recounted = self.recount().await?;
        Ok(healed)
    }

    async fn recount(&self) -> Result<bool, StoreError> {
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let Some(count) = self.placed_count().await? else { return Ok(false) };
            let places = u64::try_from(self.places().await?.len()).unwrap_or(u64::MAX);
            if places == count.calls {
                return Ok(false);
            }
            // Both were read in two requests; whatever happened between them has raised the number of changes.
            let as_read = Condition::new("changes = :read").number(":read", count.changes);
            let as_read = as_read.number(":calls", places).number(":one", 1);
            let change = self.updating(&keys::placed_count(), "SET calls = :calls ADD changes :one", as_read);
            match self.transact(vec![change]).await {
                Ok(()) => return Ok(true),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        // So much is being placed that it never stood still: the next visit will see.
        Ok(false)
    }

    async fn placed_count(&self) -> Result<Option<Count>, StoreError> {
        let Some(item) = self.read_item(&keys::placed_count()).await? else { return Ok(None) };
        // Below zero only if somebody has edited it; then there is nobody.
        let calls = item.number_of("calls").unwrap_or(0);
        Ok(Some(Count { calls, changes: item.number_of("changes")?, due_ms: item.number_of("due_ms").unwrap_or(0) }))
    }

    /// All places that are taken: a consistent reading.
    async fn places(&self) -> Result<Vec<Item>, StoreError> {
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let query = self.dynamodb.query().table_name(&self.table).consistent_read(true);
            let values = Item::default().text(":pk", keys::PLACED).text(":call", keys::PLACED_CALL);
            let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :call)");
            let query = query.set_expression_attribute_values(Some(values.0)).set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| failure(&error))?;
            items.extend(answer.items.unwrap_or_default().into_iter().map(Item));
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_allows_its_burst_and_then_one_in_each_interval() {
        let every = Every::of(2, 3, Duration::from_secs(1));
        let (mut due, start) = (0, Moment::from_ms(1_000_000));
        for _ in 0..3 {
            due = every.after(due, start).unwrap();
        }
        assert_eq!(every.after(due, start), Err(Duration::from_millis(500)));
        let later = start.after(Duration::from_millis(500));
        let due = every.after(due, later).unwrap();
        assert_eq!(every.after(due, later), Err(Duration::from_millis(500)));
        // What was not used for a while is not saved up beyond the burst.
        let (mut due, later) = (due, start.after(Duration::from_secs(3_600)));
        for _ in 0..3 {
            due = every.after(due, later).unwrap();
        }
        assert!(every.after(due, later).is_err());
    }

    #[tokio::test]
    async fn a_count_that_is_wrong_is_counted_anew() {
        let embedded = embedded::Embedded::in_memory().unwrap();
        let secret_key = embedded.secret_key.expose().to_owned();
        let keys = crate::StaticCredentials { access_key: embedded.access_key.clone(), secret_key };
        let config = crate::Config::new("counted", "counted").local(&embedded.dynamodb_url, &embedded.s3_url, keys);
        let store = Store::connect(config).await;
        store.create_if_absent().await.unwrap();
        assert_eq!(store.heal_allowance().await.unwrap(), Healed::default());
        let wrong = Item::new(&keys::placed_count()).number("calls", 7).number("changes", 9).number("due_ms", 0);
        store.put(Write::always(wrong)).await.unwrap();
        assert_eq!(store.placed_calls().await.unwrap(), 7);
        assert_eq!(store.heal_allowance().await.unwrap(), Healed { swept: 0, recounted: true });
        assert_eq!(store.placed_calls().await.unwrap(), 0);
        assert_eq!(store.heal_allowance().await.unwrap(), Healed::default());
    }
}
