//! What is to be done after a call was changed: written with the change, claimed by lease, done at least once.

use std::time::Duration;

use call::CallId;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::error::StoreError;
use crate::store::Store;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// Judge the conversation.
    Analyse,
    /// Tell the user's webhook that the call is over.
    SendWebhook,
    /// Ask Twilio what became of the call.
    Reconcile,
    /// Join the recording's segments into one file.
    JoinRecording,
    /// Delete the call because a person asked for it.
    Erase,
    /// Delete the call because its time is over.
    Expire,
}

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// Unique: made of what, for which call, and why.
    pub id: String,
    /// What.
    pub kind: WorkKind,
    /// For which call.
    pub call: CallId,
    /// When it is to be done.
    pub due: Moment,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// A piece of work that is ours until the lease ends. Every step must be harmless when repeated: a worker may die, or be
/// slower than its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The work.
    pub item: WorkItem,
    /// When the lease ends.
    pub until: Moment,
}

impl WorkItem {
    /// After so many vain tries an item is dead: listed, and retried only when a person says so.
    pub const ATTEMPTS_MAX: u32 = 10;
}

impl Store {
    /// Adds work for a call.
    pub async fn add_work(&self, call: CallId, kind: WorkKind, due: Moment) -> Result<(), StoreError> {
        todo!()
    }

    /// Claims up to `limit` items that are due, for so long.
    pub async fn claim_work(&self, limit: usize, lease: Duration) -> Result<Vec<Leased>, StoreError> {
        todo!()
    }

    /// The work is done.
    pub async fn complete_work(&self, done: &Leased) -> Result<(), StoreError> {
        todo!()
    }

    /// The work failed: it becomes due again later, each time after twice as long, or is dead after the last attempt.
    /// Returns the item as it is now, none if it is no longer ours.
    pub async fn fail_work(&self, failed: &Leased, why: &str) -> Result<Option<WorkItem>, StoreError> {
        todo!()
    }

    /// The work is not ready to be done: it becomes due again after `delay`, which is no failure.
    pub async fn postpone_work(&self, leased: &Leased, delay: Duration) -> Result<(), StoreError> {
        todo!()
    }

    /// The dead items, oldest first, at most 1,000.
    pub async fn dead_work(&self) -> Result<Vec<WorkItem>, StoreError> {
        todo!()
    }

    /// Makes a dead item due now.
    pub async fn retry_work(&self, id: &str) -> Result<WorkItem, StoreError> {
        todo!()
    }
}
