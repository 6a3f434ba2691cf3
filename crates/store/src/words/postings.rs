//! Writing postings, and taking them away.
//!
//! What was written is kept with the call, so that all of it can be found again when the call is erased. Each transaction
//! of postings also checks that the call is still there: of an erased call nothing can be written, however late the worker
//! comes.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem};
use call::CallId;

use crate::clock::Moment;
use crate::error::{Refusal, StoreError};
use crate::item::Item;
use crate::keys;
use crate::store::{Condition, Store, Write, attributes, pause};
use crate::update::CHANGE_ATTEMPTS_MAX;

/// A transaction takes so many changes; one of them is the check.
const CHANGES_MAX: usize = 100;

/// A call's words are found up to so many different ones; a day's talk has fewer.
const WORDS_MAX: usize = 5_000;

impl Store {
    /// Lets a call be found by these words, and by those that it was indexed with before. Of a call that is gone nothing
    /// is written.
    pub async fn index_words(&self, id: CallId, words: &BTreeSet<String>) -> Result<(), StoreError> {
        let mut known = self.indexed_words(id).await?;
        let fresh: Vec<&String> =
            words.iter().filter(|word| !known.contains(*word)).take(WORDS_MAX.saturating_sub(known.len())).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let expiry = self.expiry_of(id);
        known.extend(fresh.iter().map(|word| (*word).clone()));
        // First what must be found again, then what it leads to. A worker that dies in between repeats both.
        let list = known.into_iter().collect::<Vec<_>>().join(" ");
        let planned = Item::new(&keys::words(id)).text("planned", list).expiring(expiry);
        let written = match self.written_words(id).await? {
            Some(written) => planned.text("written", written),
            None => planned,
        };
        let mut changes = vec![vec![written.clone()]];
        let posting =
            |word: &String| Item::new(&keys::posting(word, Moment::from_ms(id.opened_at_ms()), id)).expiring(expiry);
        let postings: Vec<Item> = fresh.into_iter().map(posting).collect();
        changes.extend(postings.chunks(CHANGES_MAX - 1).map(<[Item]>::to_vec));
        let list = written.text_of("planned")?.to_owned();
        changes.push(vec![written.text("written", list)]);
        for items in changes {
            if !self.write_while_there(id, items).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes all postings of a call away. Called before the list of them is deleted with the rest of the call, and after
    /// nobody can write more: the call is gone, or marked as erased.
    pub(crate) async fn forget_words(&self, id: CallId) -> Result<(), StoreError> {
        let Some(item) = self.stored_words(id).await? else { return Ok(()) };
        let at = Moment::from_ms(id.opened_at_ms());
        let postings: Vec<_> = item.text_of("planned")?.split(' ').map(|word| keys::posting(word, at, id)).collect();
        self.delete_all(&postings).await
    }

    /// The words whose postings have all been written.
    async fn indexed_words(&self, id: CallId) -> Result<BTreeSet<String>, StoreError> {
        let written = self.written_words(id).await?.unwrap_or_default();
        Ok(written.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    async fn written_words(&self, id: CallId) -> Result<Option<String>, StoreError> {
        let item = self.stored_words(id).await?;
        Ok(item.and_then(|item| item.text_of("written").ok().map(str::to_owned)))
    }

    /// The list of a call's words, expired or not.
    async fn stored_words(&self, id: CallId) -> Result<Option<Item>, StoreError> {
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.set_key(Some(attributes(&keys::words(id)))).send().await;
        Ok(answer.map_err(|error| crate::error::failure(&error))?.item.map(Item))
    }

    /// Writes items while the call is there. Whether it is.
    async fn write_while_there(&self, id: CallId, items: Vec<Item>) -> Result<bool, StoreError> {
        let mut changes = vec![self.while_there(id)];
        changes.extend(items.into_iter().map(|item| self.writing(Write::always(item))));
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

    /// Lets a transaction pass only while the call is there.
    pub(crate) fn while_there(&self, id: CallId) -> TransactWriteItem {
        let Condition { expression, names, values } =
            Condition::new("attribute_exists(pk) AND attribute_not_exists(erased_at)");
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(attributes(&keys::call(id))))
            .set_condition_expression(expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .build()
            .expect("invariant: table, key and condition are set");
        TransactWriteItem::builder().condition_check(check).build()
    }
}
