//! Figures over many calls, kept up to date instead of recounted.
//!
//! When a call is over, it is added to the counters of its day in the very transaction that closes it, and the call keeps
//! what it was counted as. Whatever changes it later (a corrected outcome, a better duration) moves the difference between
//! that and what it counts as now, again in the same transaction; its erasure takes it all away. So the counters equal a
//! recount of the calls at any time, whatever came twice, late or never, and whoever crashed.
//!
//! A day is one of the configured time zone, fixed when the call is counted. Each day has a few items: all its calls, and
//! the same by hour, agent and engine; each of them several, so that calls that end together do not wait for one item.
//! What expires is taken away by the worker; should DynamoDB's own deletion be faster,
//! the difference stays until that day has expired as a whole.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use call::CallId;
use call::agent::EngineKind;
use call::journal::{EndReason, EndedBy};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Moment;
use crate::error::{StoreError, failure};
use crate::item::{EXPIRES_AT, Item, VERSION};
use crate::keys;
use crate::record::{CallRecord, Direction, Outcome};
use crate::store::{Store, attributes};

/// Answered calls are sorted by length into classes that end at so many seconds; the last class is open.
pub const LENGTH_CLASSES_S: [u32; 7] = [10, 30, 60, 120, 300, 600, 1_800];

/// The family of counters that calls are in.
const CALLS: &str = "calls";

/// What a call was counted as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    day: Date,
    hour: i8,
    agent: String,
    engine: Option<EngineKind>,
    direction: Direction,
    answered: bool,
    duration_s: Option<u32>,
    ended_by: Option<EndedBy>,
    end_reason: Option<EndReason>,
    outcome: Option<Outcome>,
}

/// Whose figures they are, within a day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// All calls.
    All,
    /// Those that began in this hour, 0 to 23.
    Hour(u8),
    /// Those of this agent.
    Agent(String),
    /// Those in which this engine spoke last, by its name; `none` where none did.
    Engine(String),
}

/// Numbers by name. What is zero is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, i64>);

/// The figures of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCounts {
    /// The day.
    pub day: Date,
    /// Whose.
    pub dimension: Dimension,
    /// The figures: `calls`, `inbound`, `outbound`, `answered`, `talked_s`, `outcome_…`, `end_…`, `by_…`, and
    /// `lasted_<seconds>` for the classes of [`LENGTH_CLASSES_S`], `lasted_more` beyond.
    pub counts: Counts,
}

impl Counts {
    /// The number of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        u64::try_from(self.0.get(name).copied().unwrap_or(0)).unwrap_or(0)
    }

    /// All whose names begin so, by the rest of their names.
    pub fn beginning(&self, prefix: &str) -> impl Iterator<Item = (&str, u64)> {
        let named = self.0.iter().filter_map(move |(name, number)| Some((name.strip_prefix(prefix)?, *number)));
        named.filter_map(|(name, number)| Some((name, u64::try_from(number).ok()?)))
    }

    /// Adds all numbers of another.
    pub fn add(&mut self, other: &Self) {
        for (name, number) in &other.0 {
            self.change(name, *number);
        }
    }

    /// Changes a number.
    pub(crate) fn change(&mut self, name: &str, by: i64) {
        let number = self.0.entry(name.to_owned()).or_default();
        *number += by;
        if *number == 0 {
            self.0.remove(name);
        }
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        for (name, number) in &other.0 {
            self.change(name, -number);
        }
    }

    /// The numbers of an item: all that are not the item's own.
    pub(crate) fn read(item: &Item) -> Self {
        let numbers = item.0.iter().filter(|(name, _)| !matches!(name.as_str(), EXPIRES_AT | "v"));
        let numbers = numbers.filter_map(|(name, value)| Some((name.clone(), value.as_n().ok()?.parse().ok()?)));
        Self(numbers.filter(|(_, number)| *number != 0).collect())
    }
}

impl Dimension {
    fn of(counted: &Counted) -> [Self; 4] {
        let engine = counted.engine.map_or("none", EngineKind::as_str);
        [
            Self::All,
            Self::Hour(u8::try_from(counted.hour).unwrap_or(0)),
            Self::Agent(counted.agent.clone()),
            Self::Engine(engine.to_owned()),
        ]
    }

    fn to_sort(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Hour(hour) => format!("hour#{hour:02}"),
            Self::Agent(name) => format!("agent#{name}"),
            Self::Engine(name) => format!("engine#{name}"),
        }
    }

    fn from_sort(text: &str) -> Option<Self> {
        match text.split_once('#') {
            None => (text == "all").then_some(Self::All),
            Some(("hour", hour)) => hour.parse().ok().map(Self::Hour),
            Some(("agent", name)) => Some(Self::Agent(name.to_owned())),
            Some(("engine", name)) => Some(Self::Engine(name.to_owned())),
            Some(_) => None,
        }
    }
}

impl Counted {
    /// What a call counts as; none before its end. Its day stays what it was.
    fn of(call: &CallRecord, store: &Store) -> Option<Self> {
        if !call.status.is_final() {
            return None;
        }
        let (day, hour) = match &call.marks.counted {
            Some(before) => (before.day, before.hour),
            None => store.day_and_hour(call.created_at),
        };
        Some(Self {
            day,
            hour,
            agent: call.agent.clone(),
            engine: call.engine,
            direction: call.direction,
            answered: call.answered_at.is_some(),
            duration_s: call.duration_s,
            ended_by: call.ended_by,
            end_reason: call.end_reason,
            outcome: call.outcome,
        })
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        counts.change("calls", 1);
        counts.change(&name(&self.direction), 1);
        if self.answered {
            counts.change("answered", 1);
        }
        if let Some(seconds) = self.duration_s {
            counts.change("talked_s", i64::from(seconds));
            let class = LENGTH_CLASSES_S.iter().find(|class| seconds < **class);
            counts.change(&class.map_or("lasted_more".to_owned(), |class| format!("lasted_{class}")), 1);
        }
        for (family, value) in [
            ("outcome", self.outcome.as_ref().map(name)),
            ("end", self.end_reason.as_ref().map(name)),
            ("by", self.ended_by.as_ref().map(name)),
        ] {
            if let Some(value) = value {
                counts.change(&format!("{family}_{value}"), 1);
            }
        }
        counts
    }
}

/// A word of the API, as it stands in JSON.
fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        Ok(_) | Err(_) => "other".to_owned(),
    }
}

impl Store {
    /// Counts a changed call, or counts it anew: what is to be written in the transaction that writes the call. Nothing
    /// if nothing counts that has changed.
    pub(crate) fn counting(&self, call: &mut CallRecord) -> Vec<TransactWriteItem> {
        let now = Counted::of(call, self);
        if now == call.marks.counted {
            return Vec::new();
        }
        let before = std::mem::replace(&mut call.marks.counted, now);
        self.moving(call.id, before.as_ref(), call.marks.counted.as_ref())
    }

    /// Takes a call out of the counters: what is to be written in the transaction that deletes the call.
    pub(crate) fn uncounting(&self, call: &CallRecord) -> Vec<TransactWriteItem> {
        self.moving(call.id, call.marks.counted.as_ref(), None)
    }

    fn moving(&self, id: CallId, from: Option<&Counted>, to: Option<&Counted>) -> Vec<TransactWriteItem> {
        let mut changes: BTreeMap<(Date, Dimension), Counts> = BTreeMap::new();
        for (counted, is_new) in [(from, false), (to, true)] {
            let Some(counted) = counted else { continue };
            let counts = counted.counts();
            for dimension in Dimension::of(counted) {
                let change = changes.entry((counted.day, dimension)).or_default();
                if is_new { change.add(&counts) } else { change.subtract(&counts) }
            }
        }
        let changed = changes.into_iter().filter(|(_, counts)| !counts.0.is_empty());
        changed.map(|((day, dimension), counts)| self.adding(id, (CALLS, day, &dimension.to_sort()), &counts)).collect()
    }

    /// Adds a call's numbers to a counter (its family, day and dimension), as part of a transaction.
    pub(crate) fn adding(
        &self,
        id: CallId,
        (family, day, dimension): (&str, Date, &str),
        counts: &Counts,
    ) -> TransactWriteItem {
        let expiry = self.end_of(day).after(self.retention);
        let (mut adds, mut update) = (Vec::new(), Update::builder().table_name(&self.table));
        let mut values = Item::default().number(":expiry", expiry.as_s_rounded_up()).number(":version", VERSION);
        for (n, (name, number)) in counts.0.iter().enumerate() {
            adds.push(format!("#n{n} :n{n}"));
            update = update.expression_attribute_names(format!("#n{n}"), name);
            values = values.signed(&format!(":n{n}"), *number);
        }
        let expression = format!("SET {EXPIRES_AT} = :expiry, v = :version ADD {}", adds.join(", "));
        let update = update
            .set_key(Some(attributes(&keys::counter(family, day, dimension, keys::counter_shard(id)))))
            .update_expression(expression)
            .set_expression_attribute_values(Some(values.0))
            .build()
            .expect("invariant: table, key and expression are set");
        TransactWriteItem::builder().update(update).build()
    }

    /// The figures of the calls that are over, of the days from `first` to `last`, both included, in order. Days whose
    /// calls have all expired have none.
    pub async fn call_counts(&self, first: Date, last: Date) -> Result<Vec<DayCounts>, StoreError> {
        let mut found = Vec::new();
        for (day, dimension, counts) in self.counters(CALLS, first, last).await? {
            if let Some(dimension) = Dimension::from_sort(&dimension) {
                found.push(DayCounts { day, dimension, counts });
            }
        }
        Ok(found)
    }

    /// The counters of a family, by day and dimension.
    pub(crate) async fn counters(
        &self,
        family: &str,
        first: Date,
        last: Date,
    ) -> Result<Vec<(Date, String, Counts)>, StoreError> {
        let now = self.now();
        let (oldest, _) = self.day_and_hour(now.before(self.retention));
        let first = first.max(oldest);
        let (mut found, mut month): (BTreeMap<(Date, String), Counts>, _) = (BTreeMap::new(), first.first_of_month());
        while month <= last {
            let mut start = None;
            loop {
                let values = Item::default()
                    .text(":pk", keys::counter_partition(month))
                    .text(":from", keys::counter_sort(family, first.max(month), ""))
                    .text(":to", keys::counter_sort(family, last.min(month.last_of_month()), "~"));
                let query = self.dynamodb.query().table_name(&self.table).consistent_read(true);
                let query = query.key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to");
                let query = query.set_expression_attribute_values(Some(values.0)).set_exclusive_start_key(start);
                let answer = query.send().await.map_err(|error| failure(&error))?;
                for item in answer.items.unwrap_or_default().into_iter().map(Item) {
                    let Some((day, dimension)) = keys::parse_counter(family, item.text_of("sk")?) else { continue };
                    if !item.has_expired(now) {
                        found.entry((day, dimension.to_owned())).or_default().add(&Counts::read(&item));
                    }
                }
                start = answer.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
            let Ok(next) = month.last_of_month().tomorrow() else { break };
            month = next;
        }
        found.retain(|_, counts| !counts.0.is_empty());
        Ok(found.into_iter().map(|((day, dimension), counts)| (day, dimension, counts)).collect())
    }

    /// The day of a moment in the configured time zone, and its hour.
    pub(crate) fn day_and_hour(&self, at: Moment) -> (Date, i8) {
        let timestamp = jiff::Timestamp::from_millisecond(i64::try_from(at.as_ms()).unwrap_or(i64::MAX));
        let local = timestamp.unwrap_or(jiff::Timestamp::MAX).to_zoned(self.time_zone.clone());
        (local.date(), local.hour())
    }

    /// The day of a moment in the configured time zone.
    #[must_use]
    pub fn day_of(&self, at: Moment) -> Date {
        self.day_and_hour(at).0
    }

    /// The last moment of a day.
    fn end_of(&self, day: Date) -> Moment {
        let next = day.tomorrow().and_then(|day| day.to_zoned(self.time_zone.clone()));
        next.map_or(Moment::from_ms(u64::MAX), |next| {
            Moment::from_ms(u64::try_from(next.timestamp().as_millisecond()).unwrap_or(0))
        })
    }
}

#[cfg(test)]
mod tests;
