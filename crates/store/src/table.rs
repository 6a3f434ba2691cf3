//! The table and the bucket: made here on one machine, by the template at AWS.

use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Makes the table, its indexes and its time-to-live setting, and the bucket, where they are missing. Only for one
    /// machine and tests: at AWS the template makes them, and the program has no permission to.
    pub async fn create_if_absent(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Whether table and bucket answer, for the doctor.
    pub async fn check(&self) -> Result<(), StoreError> {
        todo!()
    }
}
