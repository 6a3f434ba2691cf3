//! Letting a call be found by what was said in it, and its waits be counted: what is made of a journal once it is whole.

use std::collections::BTreeSet;

use call::CallId;
use call::journal::Speaker;
use call::latency::Latency;
use call::resume::Conversation;
use store::{StoreError, search_words};

use super::{Step, WorkError, Worker};
use crate::connect::journal;

impl Worker {
    /// Writes postings for the words of a call, as heard, and counts how long its caller waited. Doing it again adds what has come to light since.
    pub(super) async fn index(&self, id: CallId) -> Result<Step, WorkError> {
        match self.store.call(id).await {
            Ok(_) => {}
            Err(StoreError::NotFound(_) | StoreError::Erased(_)) => return Ok(Step::Done),
            Err(error) => return Err(error.into()),
        }
        let entries = journal(&self.store, id).await?;
        let mut words = BTreeSet::new();
        for turn in Conversation::read(&entries).history {
            words.extend(search_words(match turn.speaker {
                Speaker::Caller => &turn.text,
                Speaker::Agent => &turn.heard_text,
            }));
        }
        self.store.index_words(id, &words).await?;
        match self.store.count_latency(id, &Latency::read(&entries)).await {
            // Erased meanwhile.
            Err(StoreError::NotFound(_) | StoreError::Erased(_)) => return Ok(Step::Done),
            counted => counted?,
        }
        Ok(Step::Done)
    }
}
