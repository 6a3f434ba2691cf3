//! The store itself: two clients, the names of what they use, and the clock.

use crate::config::Config;
use crate::error::StoreError;

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store;

impl Store {
    /// Sets the clients up. Nothing is sent yet.
    pub async fn connect(config: Config) -> Result<Self, StoreError> {
        todo!()
    }

    /// The current time by the store's clock.
    #[must_use]
    pub fn now(&self) -> crate::Moment {
        todo!()
    }
}
