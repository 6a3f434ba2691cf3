//! Who read, exported, corrected or erased what: on record beside the call, and longer than the call.
//!
//! Nothing here says anything about the caller. Reading is noted once for each person, part of a call and hour: a player
//! asks for a recording in dozens of parts.

use call::CallId;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::error::{Refusal, StoreError, failure};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::store::{Store, Write, nonce};

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessKind {
    /// Read the transcript, or the journal, which has the same words.
    Transcript,
    /// Followed the call while it was under way, by its journal.
    Live,
    /// Listened to the recording.
    Recording,
    /// Exported it.
    Exported,
    /// Corrected the outcome.
    Corrected,
    /// Erased it.
    Erased,
}

impl AccessKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transcript => "transcript",
            Self::Live => "live",
            Self::Recording => "recording",
            Self::Exported => "exported",
            Self::Corrected => "corrected",
            Self::Erased => "erased",
        }
    }

    /// Whether doing it often within an hour is noted once.
    const fn is_reading(self) -> bool {
        match self {
            Self::Transcript | Self::Live | Self::Recording => true,
            Self::Exported | Self::Corrected | Self::Erased => false,
        }
    }
}

/// Somebody did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// When; of reading, when first within the hour.
    pub at: Moment,
    /// The name of the token.
    pub who: String,
    /// What.
    pub what: AccessKind,
    /// To how many calls, where it was not one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
}

impl Store {
    /// Notes that somebody did something to a call. To be awaited before anything is handed out.
    pub async fn note_access(&self, id: CallId, who: &str, what: AccessKind) -> Result<(), StoreError> {
        let access = Access { at: self.now(), who: who.to_owned(), what, calls: None };
        match self.put(Write::fresh(self.access_item(id, &access)?)).await {
            // It is noted already.
            Ok(()) | Err(Refusal::Condition(_)) => Ok(()),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    /// Who did what to a call, oldest first. Also of a call that is gone.
    pub async fn accesses(&self, id: CallId) -> Result<Vec<Access>, StoreError> {
        self.accesses_in(&keys::call_partition(id), keys::ACCESS).await
    }

    /// Notes that somebody did something to many calls at once.
    pub async fn note_sweep(&self, who: &str, what: AccessKind, calls: u64) -> Result<(), StoreError> {
        let now = self.now();
        let key = Key::new(keys::access_month(&now.month()), format!("{now}#{}", nonce()));
        let access = Access { at: now, who: who.to_owned(), what, calls: Some(calls) };
        let item = Item::new(&key).fields(&access)?.expiring(now.after(self.retention));
        self.put(Write::always(item)).await.map_err(Refusal::unconditional)
    }

    /// Who did what to many calls at once within a UTC month (`2026-11`), oldest first.
    pub async fn sweeps(&self, month: &str) -> Result<Vec<Access>, StoreError> {
        self.accesses_in(&keys::access_month(month), "").await
    }

    pub(crate) fn access_item(&self, id: CallId, access: &Access) -> Result<Item, StoreError> {
        let slot = if access.what.is_reading() { access.at.hour() } else { access.at };
        let key = keys::access(id, slot, access.what.as_str(), &access.who);
        Ok(Item::new(&key).fields(access)?.expiring(access.at.after(self.retention)))
    }

    async fn accesses_in(&self, partition: &str, prefix: &str) -> Result<Vec<Access>, StoreError> {
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let mut values = Item::default().text(":pk", partition);
            let mut condition = "pk = :pk";
            if !prefix.is_empty() {
                values = values.text(":prefix", prefix);
                condition = "pk = :pk AND begins_with(sk, :prefix)";
            }
            let query = self.dynamodb.query().table_name(&self.table).consistent_read(true);
            let query = query.key_condition_expression(condition).set_expression_attribute_values(Some(values.0));
            let answer = query.set_exclusive_start_key(start).send().await.map_err(|error| failure(&error))?;
            let items = answer.items.unwrap_or_default().into_iter().map(Item);
            let lasting = items.filter(|item| !item.has_expired(self.now()));
            found.extend(lasting.filter_map(|item| self.readable(item.read::<Access>())));
            start = answer.last_evaluated_key;
            if start.is_none() {
                found.sort_by_key(|access| access.at);
                return Ok(found);
            }
        }
    }
}
