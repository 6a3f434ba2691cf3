//! How long callers waited, over many calls: counts in classes whose borders are spaced by a factor.
//!
//! A percentile of a day cannot be had from percentiles of its calls, but it can from counts of classes. Four classes to
//! each doubling put it within 10 % of the truth. What a call adds is kept with it, written in the same transaction, so
//! that adding it again changes nothing and erasing the call takes it away.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::TransactWriteItem;
use call::CallId;
use call::agent::EngineKind;
use call::latency::{Latency, Part};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::counters::Counts;
use crate::error::{Refusal, StoreError, failure};
use crate::item::Item;
use crate::keys;
use crate::store::{Condition, Store, Write, attributes, nonce, pause};
use crate::update::CHANGE_ATTEMPTS_MAX;

/// The family of counters that waits are in.
const LATENCY: &str = "latency";

/// What is below is all one class: nobody hears it.
const LEAST_MS: f64 = 1.0;

/// Classes to a doubling.
const PER_DOUBLING: f64 = 4.0;

/// The class of all that is longer: over two minutes.
const CLASS_MAX: u32 = 68;

/// What a wait is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waited {
    /// For an answer, all of it.
    Total,
    /// For an answer, a part of it.
    For(Part),
    /// From the start of the stream for the first word.
    FirstWord,
}

impl Waited {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Total,
        Self::For(Part::PhoneUp),
        Self::For(Part::Engine),
        Self::For(Part::Node),
        Self::For(Part::PhoneDown),
        Self::FirstWord,
    ];

    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::For(part) => part.as_str(),
            Self::FirstWord => "first_word",
        }
    }
}

/// How often callers waited how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Waits(Counts);

impl Waits {
    /// Adds the waits of others.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0);
    }

    /// How many waits there were.
    #[must_use]
    pub fn count(&self, waited: Waited) -> u64 {
        self.classes(waited).values().sum()
    }

    /// What so many per thousand did not wait longer than, in milliseconds; none without a wait.
    #[must_use]
    pub fn per_mille(&self, waited: Waited, share: u64) -> Option<u64> {
        let classes = self.classes(waited);
        let total: u64 = classes.values().sum();
        let wanted = (total * share).div_ceil(1_000).max(1);
        let mut seen = 0;
        classes.into_iter().find_map(|(class, count)| {
            seen += count;
            (seen >= wanted).then(|| middle_ms(class))
        })
    }

    /// How many waited longer than this, as far as the classes tell.
    #[must_use]
    pub fn above(&self, waited: Waited, ms: u64) -> u64 {
        self.classes(waited).into_iter().filter(|(class, _)| middle_ms(*class) > ms).map(|(_, count)| count).sum()
    }

    fn count_one(&mut self, waited: Waited, ms: u64) {
        self.0.change(&format!("{}/{:02}", waited.as_str(), class(ms)), 1);
    }

    fn classes(&self, waited: Waited) -> BTreeMap<u32, u64> {
        let prefix = format!("{}/", waited.as_str());
        self.0.beginning(&prefix).filter_map(|(class, count)| Some((class.parse().ok()?, count))).collect()
    }

    /// A call's waits, by the engine that was waited for: a call that changed its engine is two engines' affair.
    fn of(latency: &Latency) -> BTreeMap<String, Self> {
        let mut waits: BTreeMap<String, Self> = BTreeMap::new();
        let name = |engine: Option<EngineKind>| engine.map_or("none", EngineKind::as_str).to_owned();
        if let Some(ms) = latency.first_word_ms {
            waits.entry(name(latency.first_engine)).or_default().count_one(Waited::FirstWord, ms);
        }
        for turn in &latency.turns {
            let waits = waits.entry(name(turn.engine)).or_default();
            waits.count_one(Waited::Total, turn.total_ms);
            for part in Part::ALL {
                waits.count_one(Waited::For(part), turn.part_ms(part));
            }
        }
        waits
    }
}

/// The waits of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayWaits {
    /// The day.
    pub day: Date,
    /// The engine that was waited for, `none` where none spoke; none for all of them.
    pub engine: Option<String>,
    /// The waits.
    pub waits: Waits,
}

/// What a call has added.
#[derive(Serialize, Deserialize)]
struct Added {
    day: Date,
    /// By engine.
    waits: BTreeMap<String, Waits>,
    /// Who wrote it: a newer one replaces exactly what it has read.
    nonce: String,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the class is bounded before it is cut")]
fn class(ms: u64) -> u32 {
    let ms = u32::try_from(ms).map_or(f64::from(u32::MAX), f64::from).max(LEAST_MS);
    ((ms / LEAST_MS).log2() * PER_DOUBLING).floor().clamp(0.0, f64::from(CLASS_MAX)) as u32
}

/// What stands for a class: its middle, by factors.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a class stands for a few minutes at most")]
fn middle_ms(class: u32) -> u64 {
    (LEAST_MS * 2_f64.powf((f64::from(class) + 0.5) / PER_DOUBLING)).round() as u64
}

impl Store {
    /// Adds a call's waits to its day's. Again, with others, replaces what it has added. Of a call that is gone nothing is
    /// added.
    pub async fn count_latency(&self, id: CallId, latency: &Latency) -> Result<(), StoreError> {
        let waits = Waits::of(latency);
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let call = self.call(id).await?;
            let before = self.added(id).await?;
            let day = before.as_ref().map_or_else(|| self.day_of(call.created_at), |before| before.day);
            let added = Added { day, waits: waits.clone(), nonce: nonce() };
            let is_same = |before: &Added| before.waits == added.waits;
            if before.as_ref().is_some_and(is_same) || (before.is_none() && waits.is_empty()) {
                return Ok(());
            }
            let item = Item::new(&keys::latency(id)).fields(&added)?.expiring(self.expiry_of(id));
            let condition = match &before {
                None => Condition::new("attribute_not_exists(pk)"),
                Some(before) => {
                    Condition::new("#nonce = :nonce").naming("#nonce", "nonce").text(":nonce", &before.nonce)
                }
            };
            let mut changes = vec![self.while_there(id), self.writing(Write { item, condition })];
            changes.extend(self.moving_waits(id, before.as_ref(), Some(&added)));
            match self.transact(changes).await {
                Ok(()) => return Ok(()),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Takes a call's waits away. Before the rest of it is deleted, and after nobody can add more.
    pub(crate) async fn forget_latency(&self, id: CallId) -> Result<(), StoreError> {
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let Some(added) = self.added(id).await? else { return Ok(()) };
            let ours = Condition::new("#nonce = :nonce").naming("#nonce", "nonce").text(":nonce", &added.nonce);
            let mut changes = vec![self.deleting(&keys::latency(id), ours)];
            changes.extend(self.moving_waits(id, Some(&added), None));
            match self.transact(changes).await {
                Ok(()) => return Ok(()),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// What a call has added, expired or not.
    async fn added(&self, id: CallId) -> Result<Option<Added>, StoreError> {
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.set_key(Some(attributes(&keys::latency(id)))).send().await;
        let item = answer.map_err(|error| failure(&error))?.item.map(Item);
        item.map(|item| item.read()).transpose()
    }

    fn moving_waits(&self, id: CallId, from: Option<&Added>, to: Option<&Added>) -> Vec<TransactWriteItem> {
        let mut changes: BTreeMap<(Date, String), Counts> = BTreeMap::new();
        for (added, is_new) in [(from, false), (to, true)] {
            let Some(added) = added else { continue };
            for (engine, Waits(counts)) in &added.waits {
                for dimension in ["all".to_owned(), format!("engine#{engine}")] {
                    let change = changes.entry((added.day, dimension)).or_default();
                    if is_new { change.add(counts) } else { change.subtract(counts) }
                }
            }
        }
        let changed = changes.into_iter().filter(|(_, counts)| *counts != Counts::default());
        changed.map(|((day, dimension), counts)| self.adding(id, (LATENCY, day, &dimension), &counts)).collect()
    }

    /// How long callers waited on the days from `first` to `last`, both included, in order.
    pub async fn latency(&self, first: Date, last: Date) -> Result<Vec<DayWaits>, StoreError> {
        let found = self.counters(LATENCY, first, last).await?;
        let days = found.into_iter().map(|(day, dimension, counts)| DayWaits {
            day,
            engine: dimension.strip_prefix("engine#").map(str::to_owned),
            waits: Waits(counts),
        });
        Ok(days.collect())
    }
}

#[cfg(test)]
mod tests {
    use call::latency::Wait;
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::record::{Source, Status};
    use crate::status::StatusFact;
    use crate::testing::World;

    const NOW: Moment = Moment::from_ms(1_772_452_800_000);

    fn waits(totals: impl IntoIterator<Item = u64>) -> Latency {
        let turn = |total_ms: u64| Wait {
            n: 1,
            engine: None,
            phone_up_ms: 20,
            engine_ms: total_ms.saturating_sub(40),
            node_ms: 0,
            phone_down_ms: 20,
            total_ms,
            without_phone: false,
        };
        Latency { first_word_ms: Some(35), first_engine: None, turns: totals.into_iter().map(turn).collect() }
    }

    #[test]
    fn percentiles_are_within_a_tenth_of_the_truth() {
        let truth: Vec<u64> = (1..=1_000).map(|n| 100 + n * 2).collect();
        let counted = Waits::of(&waits(truth.clone())).remove("none").unwrap();
        for (share, index) in [(500, 499), (950, 949), (990, 989)] {
            let (exact, found) = (truth[index], counted.per_mille(Waited::Total, share).unwrap());
            assert!(found.abs_diff(exact) * 10 <= exact, "{share}: {found} for {exact}");
        }
        assert_eq!(counted.count(Waited::Total), 1_000);
        assert!(counted.above(Waited::Total, 1_600).abs_diff(250) < 100);
        assert_eq!(counted.per_mille(Waited::For(Part::Node), 500), Some(middle_ms(0)));
        assert_eq!(Waits::default().per_mille(Waited::Total, 500), None);
        assert_eq!((class(0), class(u64::MAX)), (0, CLASS_MAX));
    }

    #[test]
    fn a_wait_is_counted_for_the_engine_that_was_waited_for() {
        let mut latency = waits([4_000, 600]);
        (latency.turns[0].engine, latency.turns[1].engine) = (Some(EngineKind::Hume), Some(EngineKind::OpenAi));
        latency.first_engine = Some(EngineKind::Hume);
        let counted = Waits::of(&latency);
        assert_eq!(counted.keys().collect::<Vec<_>>(), ["hume", "openai"]);
        let of = |engine: &str, waited| counted[engine].count(waited);
        assert_eq!((of("hume", Waited::FirstWord), of("openai", Waited::FirstWord)), (1, 0));
        assert_eq!((of("hume", Waited::Total), of("openai", Waited::Total)), (1, 1));
        assert!(counted["openai"].above(Waited::Total, 1_000) == 0 && counted["hume"].above(Waited::Total, 1_000) == 1);
    }

    #[tokio::test]
    async fn a_call_adds_its_waits_once_and_takes_them_with_it() {
        let world = World::new(3, NOW, Duration::from_secs(90 * 24 * 3_600)).await;
        let (store, day) = (&world.store, world.store.day_of(NOW));
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(world.open(NOW, n, "front", "+12025550123").await);
        }
        for id in &ids {
            let busy = StatusFact {
                status: Status::Busy,
                at: NOW,
                source: Source::Callback,
                duration_s: None,
                sip_code: None,
            };
            store.record_status(*id, busy).await.unwrap();
        }
        let (two, one) = (waits([500, 700]), waits([900]));
        world.faults.set_rate(0.2);
        for _ in 0..2 {
            for id in &ids {
                crate::testing::insist(|| store.count_latency(*id, &two)).await;
            }
        }
        crate::testing::insist(|| store.count_latency(ids[0], &one)).await;
        crate::testing::insist(|| store.erase_call(ids[1], "ada")).await;
        crate::testing::insist(|| store.remove_parts(ids[1])).await;
        world.faults.set_rate(0.0);
        assert!(matches!(store.count_latency(ids[1], &waits([1])).await, Err(StoreError::Erased(_))));
        let found = store.latency(day, day).await.unwrap();
        let of = |totals: &[u64]| Waits::of(&waits(totals.iter().copied())).remove("none").unwrap();
        let mut expected = of(&[500, 700]);
        expected.add(&of(&[900]));
        assert_eq!(found.iter().map(|day| day.engine.as_deref()).collect::<Vec<_>>(), [None, Some("none")]);
        assert!(found.iter().all(|day| day.waits == expected), "{found:?}");
        for id in [ids[0], ids[2]] {
            store.erase_call(id, "ada").await.unwrap();
            store.remove_parts(id).await.unwrap();
        }
        assert_eq!(store.latency(day, day).await.unwrap(), []);
    }
}
