//! Changing a call: read it, decide, write it if nobody else has meanwhile, else decide again.
//!
//! Each write raises the item's revision and is conditional on the one that was read. So every rule about calls is plain
//! code over a [`CallRecord`], and still of several writers each sees what the one before has done. A write whose answer
//! was lost is found on the next reading; where it matters who has written, the decision leaves a nonce.

use call::CallId;
use serde::Deserialize;

use crate::clock::Moment;
use crate::erase::ERASED_AT;
use crate::error::{Refusal, StoreError};
use crate::item::{Attributes, Item};
use crate::keys;
use crate::record::{CallRecord, Dial, Marks};
use crate::store::{Condition, Store, Write, pause};
use crate::work::WorkItem;

/// A decision is taken so often anew. Few write one call at the same time: its node, some callbacks, the worker.
pub(crate) const CHANGE_ATTEMPTS_MAX: u32 = 12;

/// After so long in `opened` or `dialing` a call is overdue.
pub(crate) const DIALING_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// What to do about a call.
pub(crate) enum Change<T> {
    /// Nothing; this is the answer.
    Keep(T),
    /// Write it as it is now, and this work with it; then this is the answer.
    Write(T, Vec<WorkItem>),
}

/// A call as it was read: decoded, and as stored.
pub(crate) struct StoredCall {
    pub(crate) call: CallRecord,
    pub(crate) revision: u64,
    stored: Attributes,
}

#[derive(Deserialize)]
struct MarksField {
    marks: Marks,
}

impl StoredCall {
    pub(crate) fn read(item: Item) -> Result<Self, StoreError> {
        Ok(Self { call: decode(&item)?, revision: item.number_of("rev")?, stored: item.0 })
    }
}

/// The call of an item.
pub(crate) fn decode(item: &Item) -> Result<CallRecord, StoreError> {
    let mut call: CallRecord = item.read()?;
    call.marks = item.read::<MarksField>()?.marks;
    say_ending(&mut call);
    Ok(call)
}

/// The record says who ended the call and why, once it is over.
fn say_ending(call: &mut CallRecord) {
    if !call.status.is_final() {
        return;
    }
    if let Some((by, why)) = call.marks.ending.or_else(|| crate::status::likely_ending(call)) {
        (call.ended_by, call.end_reason) = (Some(by), Some(why));
    }
}

impl Store {
    /// Reads a call, to change it.
    pub(crate) async fn stored_call(&self, id: CallId) -> Result<StoredCall, StoreError> {
        let item = self.read_item(&keys::call(id)).await?;
        // What was written under a longer retention is gone under a shorter one at once.
        let Some(item) = item.filter(|_| self.expiry_of(id) > self.now()) else {
            return Err(StoreError::NotFound(id.to_string()));
        };
        if item.0.contains_key(ERASED_AT) {
            return Err(StoreError::Erased(id.to_string()));
        }
        StoredCall::read(item)
    }

    /// Changes a call by a decision that may have to be taken several times.
    pub(crate) async fn change_call<T>(
        &self,
        id: CallId,
        mut decide: impl FnMut(&mut CallRecord) -> Change<T>,
    ) -> Result<T, StoreError> {
        let mut place_is_gone = false;
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let mut stored = self.stored_call(id).await?;
            let (answer, work) = match decide(&mut stored.call) {
                Change::Keep(answer) => return Ok(answer),
                Change::Write(answer, work) => (answer, work),
            };
            // A placed call that is over makes room for another, in the same transaction.
            let leaves = stored.call.status.is_final() && std::mem::take(&mut stored.call.marks.holds_place);
            say_ending(&mut stored.call);
            let counting = self.counting(&mut stored.call);
            let write = self.rewriting(stored)?;
            let mut changes = Vec::new();
            if leaves && !place_is_gone {
                changes.extend(self.leaving(id));
            }
            for item in &work {
                changes.push(self.writing(Write::always(item.encode()?)));
            }
            changes.extend(counting);
            let written = if changes.is_empty() {
                self.put(write).await
            } else {
                changes.insert(0, self.writing(write));
                self.transact(changes).await
            };
            match written {
                Ok(()) => return Ok(answer),
                // The call itself is as it was read, and its place is gone: somebody has swept it away.
                Err(Refusal::Condition(failed)) if leaves && failed == [1] => place_is_gone = true,
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// A changed call's write, conditional on the revision that was read.
    pub(crate) fn rewriting(&self, stored: StoredCall) -> Result<Write, StoreError> {
        let item = self.encode(&stored.call, Item(stored.stored))?.number("rev", stored.revision + 1);
        let condition = Condition::new("#rev = :rev").naming("#rev", "rev").number(":rev", stored.revision);
        Ok(Write { item, condition })
    }

    /// A new call's write.
    pub(crate) fn first_writing(&self, call: &CallRecord) -> Result<Write, StoreError> {
        Ok(Write::fresh(self.encode(call, Item::new(&keys::call(call.id)))?.number("rev", 1)))
    }

    fn encode(&self, call: &CallRecord, onto: Item) -> Result<Item, StoreError> {
        let live = !call.status.is_final();
        let phone = Some(call.phone.clone()).filter(|phone| !phone.is_empty());
        let outcome_month = call.outcome.map(|outcome| keys::outcome_month(outcome, call.created_at));
        let item = onto
            .fields(call)?
            .fields(&serde_json::json!({ "marks": call.marks }))?
            .text("month", keys::month(call.created_at))
            .text("started", keys::started(call.created_at, call.id))
            .maybe_text("phone_key", phone)
            .maybe_text("outcome_month", outcome_month)
            .maybe_text("live", live.then(|| keys::live(call.node())))
            .maybe_text("deadline", live.then(|| deadline(call).to_string()))
            .expiring(self.expiry_of(call.id));
        Ok(item)
    }
}

/// When the call counts as overdue.
fn deadline(call: &CallRecord) -> Moment {
    match call.marks.dial {
        Some(Dial::Opened) => call.created_at.after(DIALING_MAX),
        Some(Dial::Dialing) => call.marks.dialing_at.unwrap_or(call.created_at).after(DIALING_MAX),
        Some(Dial::Dialed | Dial::Failed) | None => call.marks.ends_by,
    }
}
