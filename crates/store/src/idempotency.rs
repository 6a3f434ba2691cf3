//! The key by which a repeated request is recognised.

use std::time::Duration;

use call::CallId;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::error::StoreError;
use crate::item::Item;
use crate::keys;
use crate::open::Placed;
use crate::store::{Condition, Store, Write};

/// How long a key is remembered, by timestamp, whatever the table's time-to-live has not deleted yet.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// By whom and with what a request was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The user: the name of the token.
    pub user: String,
    /// The value of `Idempotency-Key`, at most 255 characters.
    pub key: String,
    /// SHA-256 of the request's body, in any fixed spelling.
    pub body_sha256: String,
}

/// What is remembered of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) call: CallId,
    pub(crate) body_sha256: String,
}

impl Idempotency {
    /// The write that remembers the request, unless the same key is remembered already.
    pub(crate) fn remembering(&self, call: CallId, now: Moment) -> Write {
        let item = Item::new(&keys::idempotency(&self.user, &self.key))
            .text("call", call.to_string())
            .text("body_sha256", &self.body_sha256)
            .number("until_ms", now.after(REMEMBERED).as_ms())
            .expiring(now.after(REMEMBERED));
        let condition = Condition::new("attribute_not_exists(pk) OR until_ms <= :now").number(":now", now.as_ms());
        Write { item, condition }
    }
}

impl Store {
    /// The call that this very request has opened before, if it has; `DifferentBody` if its key was used for another.
    pub async fn placed_by(&self, once: &Idempotency) -> Result<Option<Placed>, StoreError> {
        let Some(before) = self.remembered(once).await? else { return Ok(None) };
        if before.body_sha256 != once.body_sha256 {
            return Ok(Some(Placed::DifferentBody));
        }
        self.call(before.call).await.map(|call| Some(Placed::Same(call)))
    }

    /// What is remembered of a request, if it still is.
    pub(crate) async fn remembered(&self, once: &Idempotency) -> Result<Option<Remembered>, StoreError> {
        let Some(item) = self.read_item(&keys::idempotency(&once.user, &once.key)).await? else { return Ok(None) };
        if item.number_of("until_ms")? <= self.now().as_ms() {
            return Ok(None);
        }
        item.read().map(Some)
    }
}
