//! Deleting a call with all that belongs to it.

use call::CallId;

use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Deletes a call: record, journal, recording, and the way to it by its Twilio id. Deleting what is gone is
    /// harmless.
    pub async fn erase_call(&self, id: CallId) -> Result<(), StoreError> {
        todo!()
    }
}
