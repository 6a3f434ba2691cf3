//! Deleting a call with all that belongs to it: because a person asked, or because its time is over.
//!
//! A person's wish is carried out in two steps. First a *tombstone* takes the record's place, in one transaction with the
//! work of erasing: from then on every reading and every change meets [`StoreError::Erased`], no list has the call, and
//! neither the number nor the ways to the call (by Twilio's id, by the request that placed it) exist any more. Then the
//! worker removes the words, the audio and all else, and does so again later, because a node may be writing at this
//! moment. Whoever writes a part of a call looks for the tombstone after writing, and takes its part back: of an erasure
//! and a writing that cross, one sees the other.
//!
//! The tombstone holds no personal data, and stays until the call would have expired. Later nothing of the call is
//! written at all. Who had access to the call stays on record beside it.

use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use call::CallId;

use crate::access::{Access, AccessKind};
use crate::error::{Refusal, StoreError, failure};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::store::{Condition, Store, Write, attributes, pause};
use crate::update::{CHANGE_ATTEMPTS_MAX, StoredCall};
use crate::work::{WorkItem, WorkKind};

/// The attribute that makes a record a tombstone.
pub(crate) const ERASED_AT: &str = "erased_at";

/// DynamoDB takes so many deletions in a batch.
const BATCH_MAX: usize = 25;

/// S3 takes so many deletions in a request.
const OBJECTS_MAX: usize = 1_000;

/// What belongs to a call is removed at once and again after so long: a node that spools writes when the store is back,
/// and one that dies between writing and looking for the tombstone leaves what it wrote.
const AGAIN_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(600), Duration::from_secs(24 * 3_600)];

/// How far a call's life is, for those who write parts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// There is no record of it.
    Unknown,
    /// It is not over.
    UnderWay,
    /// It is over, and may be read.
    Over,
    /// It was erased.
    Erased,
}

/// What became of the wish to erase a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// It is erased: nobody can read it any more, and the worker removes its parts.
    Begun,
    /// It was erased before.
    Repeated,
    /// It is not over yet, and nothing was changed.
    UnderWay,
}

impl Store {
    /// Erases a call that is over, for a person of this name.
    pub async fn erase_call(&self, id: CallId, who: &str) -> Result<Erasure, StoreError> {
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let stored = match self.stored_call(id).await {
                Ok(stored) => stored,
                Err(StoreError::Erased(_)) => return Ok(Erasure::Repeated),
                Err(error) => return Err(error),
            };
            if !stored.call.status.is_final() {
                return Ok(Erasure::UnderWay);
            }
            let now = self.now();
            let tombstone = Item::new(&keys::call(id))
                .text(ERASED_AT, now.to_string())
                .number("rev", stored.revision + 1)
                .expiring(self.expiry_of(id));
            let unchanged = Condition::new("#rev = :rev").naming("#rev", "rev").number(":rev", stored.revision);
            let mut changes = vec![self.writing(Write { item: tombstone, condition: unchanged })];
            changes.extend(self.uncounting(&stored.call));
            if let Some(sid) = stored.call.twilio_sid {
                changes.push(self.deleting(&keys::sid(sid), Condition::default()));
            }
            if let Some(asked_with) = stored.call.marks.asked_with {
                changes.push(self.deleting(&Key::new(asked_with, "IDEM"), Condition::default()));
            }
            let access = Access { at: now, who: who.to_owned(), what: AccessKind::Erased, calls: None };
            changes.push(self.writing(Write::always(self.access_item(id, &access)?)));
            for delay in AGAIN_AFTER {
                let work = WorkItem::new(id, WorkKind::Erase, now.after(delay));
                changes.push(self.writing(Write::always(work.encode()?)));
            }
            match self.transact(changes).await {
                Ok(()) => return Ok(Erasure::Begun),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Removes all that belongs to a call but its record or tombstone and who had access to it. Removing what is gone
    /// is harmless.
    pub async fn remove_parts(&self, id: CallId) -> Result<(), StoreError> {
        self.erase_objects(id).await?;
        self.forget_words(id).await?;
        self.forget_latency(id).await?;
        let record = keys::call(id).sk;
        let is_part = |key: &Key| key.sk != record && !key.sk.starts_with(keys::ACCESS);
        let mut parts: Vec<Key> = self.keys_of(id).await?.into_iter().filter(is_part).collect();
        // Dead work may hold words of an error.
        parts.extend(self.dead_work_of(id).await?);
        self.delete_all(&parts).await
    }

    /// Deletes a call whose time is over. The record goes last, so that a deletion that was broken off can be found and
    /// repeated; a tombstone stays.
    pub async fn expire_call(&self, id: CallId) -> Result<(), StoreError> {
        self.remove_parts(id).await?;
        // Also of a call that has expired: its item may still be there.
        let record = keys::call(id);
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let stored = request.set_key(Some(attributes(&record))).send().await.map_err(|error| failure(&error))?;
        let Some(item) = stored.item.map(Item).filter(|item| !item.0.contains_key(ERASED_AT)) else { return Ok(()) };
        let sid = item.text_of("twilio_sid").ok().and_then(|sid| sid.parse().ok());
        let ways: Vec<Key> = sid.map(keys::sid).into_iter().collect();
        self.delete_all(&ways).await?;
        self.delete_record(id).await
    }

    /// Deletes the call itself, and takes it out of the counters.
    async fn delete_record(&self, id: CallId) -> Result<(), StoreError> {
        let record = keys::call(id);
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
            let answer = request.set_key(Some(attributes(&record))).send().await.map_err(|error| failure(&error))?;
            let Some(item) = answer.item.map(Item) else { return Ok(()) };
            // What cannot be read can still be deleted.
            let Ok(stored) = StoredCall::read(item) else { return self.delete_all(&[record]).await };
            let unchanged = Condition::new("#rev = :rev").naming("#rev", "rev").number(":rev", stored.revision);
            let mut changes = vec![self.deleting(&record, unchanged)];
            changes.extend(self.uncounting(&stored.call));
            match self.transact(changes).await {
                Ok(()) => return Ok(()),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// How far a call's life is.
    pub(crate) async fn life(&self, id: CallId) -> Result<Life, StoreError> {
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let request = request.projection_expression("erased_at, deadline").set_key(Some(attributes(&keys::call(id))));
        let answer = request.send().await.map_err(|error| failure(&error))?;
        Ok(match answer.item.map(Item) {
            None => Life::Unknown,
            Some(item) if item.0.contains_key(ERASED_AT) => Life::Erased,
            // Only a call that is under way has one.
            Some(item) if item.0.contains_key("deadline") => Life::UnderWay,
            Some(_) => Life::Over,
        })
    }

    pub(crate) async fn erase_objects(&self, id: CallId) -> Result<(), StoreError> {
        // A listing has a bound.
        loop {
            let objects = self.objects(id).await?;
            if objects.is_empty() {
                return Ok(());
            }
            self.delete_objects(&objects).await?;
        }
    }

    async fn delete_objects(&self, objects: &[(String, u64)]) -> Result<(), StoreError> {
        for batch in objects.chunks(OBJECTS_MAX) {
            let mut delete = Delete::builder().quiet(true);
            for (key, _) in batch {
                let object = ObjectIdentifier::builder().key(key).build().expect("invariant: the key is set");
                delete = delete.objects(object);
            }
            let delete = delete.build().expect("invariant: a batch of a chunk is not empty");
            let request = self.s3.delete_objects().bucket(&self.bucket).delete(delete);
            let answer = request.send().await.map_err(|error| failure(&error))?;
            if let Some(error) = answer.errors().first() {
                let code = error.code().unwrap_or("unknown").to_owned();
                return Err(StoreError::Unavailable(format!("an object was not deleted: {code}")));
            }
        }
        Ok(())
    }

    async fn keys_of(&self, id: CallId) -> Result<Vec<Key>, StoreError> {
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let query = self.dynamodb.query().table_name(&self.table).consistent_read(true);
            let values = Item::default().text(":pk", keys::call_partition(id));
            let query = query.key_condition_expression("pk = :pk").projection_expression("pk, sk");
            let query = query.set_expression_attribute_values(Some(values.0)).set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| failure(&error))?;
            for item in answer.items.unwrap_or_default().into_iter().map(Item) {
                found.push(Key::new(item.text_of("pk")?, item.text_of("sk")?));
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// Deletes items, whether they are there or not.
    pub(crate) async fn delete_all(&self, keys: &[Key]) -> Result<(), StoreError> {
        for batch in keys.chunks(BATCH_MAX) {
            self.delete_batch(batch).await?;
        }
        Ok(())
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<(), StoreError> {
        let deletion = |key| DeleteRequest::builder().set_key(Some(attributes(key))).build();
        let mut left: Vec<WriteRequest> = keys
            .iter()
            .map(deletion)
            .map(|delete| WriteRequest::builder().delete_request(delete.expect("invariant: the key is set")).build())
            .collect();
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let request = self.dynamodb.batch_write_item().request_items(&self.table, left);
            let answer = request.send().await.map_err(|error| failure(&error))?;
            // What DynamoDB had no room for comes back, and it is asked again.
            left = answer.unprocessed_items.and_then(|mut tables| tables.remove(&self.table)).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            pause(attempt).await;
        }
        Err(StoreError::Throttled)
    }
}
