//! What is to be done after a call was changed: written with the change, claimed by lease, done at least once.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use call::CallId;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::error::{Refusal, StoreError, failure, refusal};
use crate::item::{Attributes, Item};
use crate::keys::{self, Key, WORK_SHARDS};
use crate::store::{Condition, Store, Write, attributes, nonce, pause};
use crate::update::CHANGE_ATTEMPTS_MAX;

/// The first pause after a failure. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(15);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// So many digits in a row may be a telephone number.
const NUMBER_DIGITS_MIN: usize = 7;

/// The longest error that is kept with an item.
const ERROR_CHARS_MAX: usize = 500;

/// One look at a partition passes at most so many items that others have claimed, or that cannot be read.
const PASSED_MAX: usize = 1_000;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// Judge the conversation.
    Analyse,
    /// Let the call be found by its words, and count how long its caller waited.
    Index,
    /// Tell the user's webhook that the call has begun.
    TellStarted,
    /// Tell the user's webhook that the call is over.
    TellEnded,
    /// Tell the user's webhook what the call's outcome is.
    TellAnalyzed,
    /// Ask Twilio what became of the call.
    Reconcile,
    /// Join the recording's segments into one file.
    JoinRecording,
    /// Fill the transcript's holes with what the engine remembers.
    FillTranscript,
    /// Delete the call because a person asked for it.
    Erase,
    /// Delete the call because its time is over.
    Expire,
    /// Erase all calls with a number. The call's id of this work is that of the order, and no call's.
    EraseNumber,
}

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkItem {
    /// What and for which call, as in `reconcile.call_…`.
    pub id: String,
    /// What.
    pub kind: WorkKind,
    /// For which call.
    pub call: CallId,
    /// When it is to be done.
    pub due: Moment,
    /// How often it was begun and not done. It is counted before the work begins, so that work that kills its worker
    /// dies as well.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// Of work that may be there several times for one call: which time this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occasion: Option<Occasion>,
}

/// One of several times that the same thing happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occasion {
    /// Which, from 1.
    pub number: u32,
    /// When.
    pub at: Moment,
}

/// A piece of work that is ours until the lease ends. Every step must be harmless when repeated: a worker may die, or be
/// slower than its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The work.
    pub item: WorkItem,
    /// When the lease ends.
    pub until: Moment,
    /// Whose it is.
    token: String,
}

impl WorkItem {
    /// After so many vain tries an item is dead: listed, and retried only when a person says so.
    pub const ATTEMPTS_MAX: u32 = 10;

    /// Work that was not tried yet.
    pub(crate) fn new(call: CallId, kind: WorkKind, due: Moment) -> Self {
        let id = format!("{}.{call}", kind.as_str());
        Self { id, kind, call, due, attempts: 0, last_error: None, occasion: None }
    }

    /// Work of its own for each occasion.
    pub(crate) fn on(self, occasion: Occasion) -> Self {
        Self { id: format!("{}.{}", self.id, occasion.number), occasion: Some(occasion), ..self }
    }

    /// As an item among those that are due.
    pub(crate) fn encode(&self) -> Result<Item, StoreError> {
        Item::new(&keys::work(self.due, &self.id)).fields(self)
    }

    /// How long to wait after the attempts that were made.
    fn pause(&self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << self.attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
    }
}

impl WorkKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Analyse,
        Self::Index,
        Self::TellStarted,
        Self::TellEnded,
        Self::TellAnalyzed,
        Self::Reconcile,
        Self::JoinRecording,
        Self::FillTranscript,
        Self::Erase,
        Self::Expire,
        Self::EraseNumber,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Analyse => "analyse",
            Self::Index => "index",
            Self::TellStarted => "tell_started",
            Self::TellEnded => "tell_ended",
            Self::TellAnalyzed => "tell_analyzed",
            Self::Reconcile => "reconcile",
            Self::JoinRecording => "join_recording",
            Self::FillTranscript => "fill_transcript",
            Self::Erase => "erase",
            Self::Expire => "expire",
            Self::EraseNumber => "erase_number",
        }
    }
}

impl Leased {
    fn key(&self) -> Key {
        keys::work(self.item.due, &self.item.id)
    }

    fn ours(&self) -> Condition {
        Condition::new("lease_by = :token").text(":token", &self.token)
    }
}

impl Store {
    /// Adds work for a call.
    pub async fn add_work(&self, call: CallId, kind: WorkKind, due: Moment) -> Result<(), StoreError> {
        let item = WorkItem::new(call, kind, due).encode()?;
        match self.put(Write::fresh(item)).await {
            // It is there already, perhaps claimed.
            Ok(()) | Err(Refusal::Condition(_)) => Ok(()),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    /// The work of telling the user's webhook, if there is one: to be written with the change that it tells of.
    pub(crate) fn telling(&self, call: CallId, what: WorkKind) -> Option<WorkItem> {
        self.webhooks.then(|| WorkItem::new(call, what, self.now()))
    }

    /// Claims up to `limit` items that are due, for so long. An item whose last claim ended without a word (its worker
    /// died, perhaps of it) is claimed alone: it must not take others with it. What cannot be read is passed over and
    /// [counted](Self::unreadable).
    pub async fn claim_work(&self, limit: usize, lease: Duration) -> Result<Vec<Leased>, StoreError> {
        let mut claimed = Vec::new();
        // Not always the same partition first: several workers get out of each other's way.
        let first = fastrand::u32(0..WORK_SHARDS);
        for shard in (0..WORK_SHARDS).map(|n| (first + n) % WORK_SHARDS) {
            if self.claim_in(shard, limit, lease, &mut claimed).await? == Room::None {
                break;
            }
        }
        claimed.sort_by_key(|leased| leased.item.due);
        Ok(claimed)
    }

    async fn claim_in(
        &self,
        shard: u32,
        limit: usize,
        lease: Duration,
        claimed: &mut Vec<Leased>,
    ) -> Result<Room, StoreError> {
        let (mut start, mut passed) = (None, 0);
        loop {
            let now = self.now();
            let (items, next) = self.due_work(shard, now, start).await?;
            for item in items {
                if claimed.len() >= limit {
                    return Ok(Room::None);
                }
                passed += 1;
                let leased_until = item.number_of("lease_until_ms").ok();
                let suspect = leased_until.is_some();
                if leased_until.is_some_and(|until| until > now.as_ms()) || suspect && !claimed.is_empty() {
                    continue;
                }
                let Some(item) = self.readable(item.read::<WorkItem>()) else { continue };
                if item.attempts >= WorkItem::ATTEMPTS_MAX {
                    self.bury(item, now).await?;
                    continue;
                }
                if let Some(leased) = self.claim(item, now, lease).await? {
                    claimed.push(leased);
                    if suspect {
                        return Ok(Room::None);
                    }
                }
            }
            start = next;
            if start.is_none() || passed >= PASSED_MAX {
                return Ok(Room::Left);
            }
        }
    }

    /// Work that was begun so often and never ended, well or badly, is dead.
    async fn bury(&self, mut item: WorkItem, now: Moment) -> Result<(), StoreError> {
        let key = keys::work(item.due, &item.id);
        item.last_error = Some("each time it was begun its worker ended before it".to_owned());
        tracing::error!(work = item.id, "work that no worker survived is dead: a person must look at it");
        let unclaimed = Condition::new("lease_until_ms <= :now").number(":now", now.as_ms());
        let dead = Item::new(&Key::new(keys::DEAD_WORK, &item.id)).fields(&item)?;
        let changes = vec![self.deleting(&key, unclaimed), self.writing(Write::always(dead))];
        self.change_work(changes).await.map(drop)
    }

    async fn due_work(
        &self,
        shard: u32,
        now: Moment,
        start: Option<Attributes>,
    ) -> Result<(Vec<Item>, Option<Attributes>), StoreError> {
        let values = Item::default().text(":pk", keys::work_partition(shard)).text(":due", keys::work_due_end(now));
        let query = self.dynamodb.query().table_name(&self.table).consistent_read(true).limit(25);
        let query = query.key_condition_expression("pk = :pk AND sk <= :due");
        let query = query.set_expression_attribute_values(Some(values.0)).set_exclusive_start_key(start);
        let answer = query.send().await.map_err(|error| failure(&error))?;
        Ok((answer.items.unwrap_or_default().into_iter().map(Item).collect(), answer.last_evaluated_key))
    }

    async fn claim(&self, mut item: WorkItem, now: Moment, lease: Duration) -> Result<Option<Leased>, StoreError> {
        item.attempts += 1;
        let leased = Leased { until: now.after(lease), token: nonce(), item };
        let values = Item::default()
            .text(":token", &leased.token)
            .number(":until", leased.until.as_ms())
            .number(":attempts", u64::from(leased.item.attempts))
            .number(":now", now.as_ms());
        let request = self.dynamodb.update_item().table_name(&self.table).set_key(Some(attributes(&leased.key())));
        let request = request
            .update_expression("SET lease_by = :token, lease_until_ms = :until, attempts = :attempts")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(lease_until_ms) OR lease_until_ms <= :now \
                 OR lease_by = :token)",
            )
            .set_expression_attribute_values(Some(values.0));
        match request.send().await.map_err(|error| refusal(&error)) {
            Ok(_) => Ok(Some(leased)),
            // Another worker was faster, or is writing it at this moment.
            Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => Ok(None),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    /// The work is done.
    pub async fn complete_work(&self, done: &Leased) -> Result<(), StoreError> {
        self.change_work(vec![self.deleting(&done.key(), done.ours())]).await.map(drop)
    }

    /// The work failed: it becomes due again later, each time after twice as long, or is dead after the last attempt.
    /// Returns the item as it is now, none if it is no longer ours.
    pub async fn fail_work(&self, failed: &Leased, why: &str) -> Result<Option<WorkItem>, StoreError> {
        self.fail_work_until(failed, why, Duration::ZERO).await
    }

    /// The same, for work that makes no sense again before `pause_min`: a service has said when to come back.
    pub async fn fail_work_until(
        &self,
        failed: &Leased,
        why: &str,
        pause_min: Duration,
    ) -> Result<Option<WorkItem>, StoreError> {
        let mut item = failed.item.clone();
        item.last_error = Some(without_numbers(why).chars().take(ERROR_CHARS_MAX).collect());
        let write = if item.attempts >= WorkItem::ATTEMPTS_MAX {
            Item::new(&Key::new(keys::DEAD_WORK, &item.id)).fields(&item)?
        } else {
            item.due = self.now().after(item.pause().max(pause_min)).max(after(failed.item.due));
            item.encode()?
        };
        let changes = vec![self.deleting(&failed.key(), failed.ours()), self.writing(Write::always(write))];
        Ok(self.change_work(changes).await?.then_some(item))
    }

    /// The work is not ready to be done: it becomes due again after `delay`, which is no failure.
    pub async fn postpone_work(&self, leased: &Leased, delay: Duration) -> Result<(), StoreError> {
        let due = self.now().after(delay).max(after(leased.item.due));
        let attempts = leased.item.attempts.saturating_sub(1);
        let later = WorkItem { due, attempts, ..leased.item.clone() }.encode()?;
        let changes = vec![self.deleting(&leased.key(), leased.ours()), self.writing(Write::always(later))];
        self.change_work(changes).await.map(drop)
    }

    /// The dead items, oldest first, at most 1,000.
    pub async fn dead_work(&self) -> Result<Vec<WorkItem>, StoreError> {
        let items = self.partition(keys::DEAD_WORK).await?;
        let mut dead: Vec<WorkItem> = items.iter().filter_map(|item| self.readable(item.read())).collect();
        dead.sort_by_key(|item| item.due);
        Ok(dead)
    }

    /// The keys of a call's dead work, and of some that is not there.
    pub(crate) async fn dead_work_of(&self, call: CallId) -> Result<Vec<Key>, StoreError> {
        let ids = WorkKind::ALL.map(|kind| format!("{}.{call}", kind.as_str()));
        // Only this work is there several times.
        let values = Item::default().text(":pk", keys::DEAD_WORK);
        let values = values.text(":id", format!("{}.{call}.", WorkKind::TellAnalyzed.as_str()));
        let query = self.dynamodb.query().table_name(&self.table).consistent_read(true);
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :id)").projection_expression("sk");
        let answer = query.set_expression_attribute_values(Some(values.0)).send().await;
        let items = answer.map_err(|error| failure(&error))?.items.unwrap_or_default();
        let several = items.into_iter().filter_map(|item| Item(item).text_of("sk").ok().map(str::to_owned));
        Ok(ids.into_iter().chain(several).map(|id| Key::new(keys::DEAD_WORK, id)).collect())
    }

    /// Makes a dead item due now.
    pub async fn retry_work(&self, id: &str) -> Result<WorkItem, StoreError> {
        let missing = || StoreError::NotFound(format!("the dead work {id}"));
        let key = Key::new(keys::DEAD_WORK, id);
        let dead: WorkItem = self.read_item(&key).await?.ok_or_else(missing)?.read()?;
        let item = WorkItem { attempts: 0, due: self.now(), ..dead };
        let still_dead = Condition::new("attribute_exists(pk)");
        let changes = vec![self.deleting(&key, still_dead), self.writing(Write::always(item.encode()?))];
        if self.change_work(changes).await? { Ok(item) } else { Err(missing()) }
    }

    /// Whether the changes were made; not if the first condition does not hold any more.
    async fn change_work(&self, changes: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            match self.transact(changes.clone()).await {
                Ok(()) => return Ok(true),
                Err(Refusal::Condition(_)) => return Ok(false),
                Err(Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}

/// Whether more may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Left,
    None,
}

/// An error outlives the call that it is about, and a vendor's words may repeat a telephone number: what may be one is
/// left out.
fn without_numbers(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() < NUMBER_DIGITS_MIN {
            clean.push_str(&digits);
        } else {
            clean.push('\u{2026}');
        }
        digits.clear();
        clean.push(c);
    }
    clean.pop();
    clean
}

/// The next moment: an item that moves must not meet itself.
fn after(due: Moment) -> Moment {
    due.after(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let mut item = WorkItem::new(CallId::new(1, 1), WorkKind::Analyse, Moment::from_ms(0));
        let mut pauses = Vec::new();
        for attempts in 1..=10 {
            item.attempts = attempts;
            pauses.push(item.pause().as_secs());
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }

    #[test]
    fn an_error_repeats_no_telephone_number() {
        let said = without_numbers("code 21211: the 'To' number +12025550123 is not valid (400)");
        assert_eq!(said, "code 21211: the 'To' number +\u{2026} is not valid (400)");
        assert_eq!(without_numbers("12025550123"), "\u{2026}");
        assert_eq!(without_numbers(""), "");
    }

    #[test]
    fn names_are_those_of_the_json() {
        for kind in [
            WorkKind::Analyse,
            WorkKind::TellEnded,
            WorkKind::JoinRecording,
            WorkKind::FillTranscript,
            WorkKind::EraseNumber,
        ] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
    }
}
