//! Deleting a call with all that belongs to it.

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use call::CallId;

use crate::error::{StoreError, failure};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::store::{Store, attributes, pause};
use crate::update::CHANGE_ATTEMPTS_MAX;

/// DynamoDB takes so many deletions in a batch.
const BATCH_MAX: usize = 25;

/// S3 takes so many deletions in a request.
const OBJECTS_MAX: usize = 1_000;

impl Store {
    /// Deletes a call: record, journal, recording, and the way to it by its Twilio id. Deleting what is gone is
    /// harmless. The record goes last, so that a deletion that was broken off can be found and repeated.
    pub async fn erase_call(&self, id: CallId) -> Result<(), StoreError> {
        self.erase_objects(id).await?;
        // Also of a call that has expired: its item may still be there.
        let record = keys::call(id);
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let stored = request.set_key(Some(attributes(&record))).send().await.map_err(|error| failure(&error))?;
        let sid = stored.item.map(Item).and_then(|item| item.text_of("twilio_sid").ok()?.parse().ok());

        let mut parts: Vec<Key> = self.keys_of(id).await?.into_iter().filter(|key| *key != record).collect();
        parts.extend(sid.map(keys::sid));
        for batch in parts.chunks(BATCH_MAX) {
            self.delete_batch(batch).await?;
        }
        self.delete_batch(&[record]).await
    }

    async fn erase_objects(&self, id: CallId) -> Result<(), StoreError> {
        let objects = self.objects(id).await?;
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
