//! Removing what a shortened retention has made too old.
//!
//! Each call carries the day of its removal, from when it was written. Where the retention is shortened later, reading
//! stops at once (it asks the retention of today); the removal is done here, oldest months first, until nothing is left,
//! and is noted, so that it is not done again. A lengthened retention holds for calls that are opened from then on: the
//! table removes the others on the day that they carry.

use call::CallId;

use crate::clock::Moment;
use crate::error::{Refusal, StoreError, failure};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::list::before_month;
use crate::store::{Store, Write};

/// So far back is looked for calls, in months: three years.
const MONTHS_BACK: usize = 36;

impl Store {
    /// Removes up to so many calls that are older than the retention, and says how many it were. Fewer than that: it is
    /// done.
    pub async fn remove_older(&self, max: usize) -> Result<usize, StoreError> {
        let noted = Key::new("RETENTION", "RETENTION");
        let days = self.retention.as_secs() / (24 * 3_600);
        // A table that has never been noted is new.
        let known = self.read_item(&noted).await?.map(|item| item.number_of("days")).transpose()?;
        if known == Some(days) {
            return Ok(0);
        }
        let months = if known.is_some_and(|known| known > days) { MONTHS_BACK } else { 0 };
        let oldest = self.now().before(self.retention);
        let (mut removed, mut month) = (0, Some(oldest));
        for _ in 0..months {
            let Some(at) = month else { break };
            while removed < max {
                let found = self.started_before(at, &oldest.to_string(), max - removed).await?;
                if found.is_empty() {
                    break;
                }
                for id in found {
                    self.expire_call(id).await?;
                    removed += 1;
                }
            }
            month = before_month(at);
        }
        if removed < max {
            match self.put(Write::always(Item::new(&noted).number("days", days))).await {
                Ok(()) | Err(Refusal::Condition(_)) => {}
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Some of a month's calls that were opened before a moment.
    async fn started_before(&self, month: Moment, before: &str, limit: usize) -> Result<Vec<CallId>, StoreError> {
        let values = Item::default().text(":month", keys::month(month)).text(":before", before);
        let query = self.dynamodb.query().table_name(&self.table).index_name("time");
        let query = query.key_condition_expression("#month = :month AND started < :before");
        let query = query.expression_attribute_names("#month", "month").limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = query.set_expression_attribute_values(Some(values.0)).send().await;
        let items = answer.map_err(|error| failure(&error))?.items.unwrap_or_default().into_iter().map(Item);
        Ok(items.filter_map(|item| keys::parse_started(item.text_of("started").ok()?)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::clock::Moment;
    use crate::error::StoreError;
    use crate::record::{Source, Status};
    use crate::status::StatusFact;
    use crate::testing::World;

    const NOW: Moment = Moment::from_ms(1_795_262_400_000);
    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[tokio::test]
    async fn a_shortened_retention_hides_at_once_and_removes_soon() {
        let world = World::new(1, NOW, DAY * 365).await;
        let mut ids = Vec::new();
        for days in [1, 20, 40, 100, 200] {
            let at = NOW.before(DAY * days);
            let id = world.open(at, u128::from(days), "front", "+12025550123").await;
            let over =
                StatusFact { status: Status::Busy, at, source: Source::Callback, duration_s: None, sip_code: None };
            world.store.record_status(id, over).await.unwrap();
            ids.push(id);
        }
        assert_eq!(world.store.remove_older(2).await.unwrap(), 0);
        let shorter = world.again(DAY * 30).await;
        assert!(matches!(shorter.call(ids[2]).await, Err(StoreError::NotFound(_))));
        assert!(world.store.call(ids[2]).await.is_ok(), "it is only hidden");
        assert_eq!(shorter.remove_older(2).await.unwrap(), 2);
        assert_eq!(shorter.remove_older(2).await.unwrap(), 1);
        assert_eq!(shorter.remove_older(2).await.unwrap(), 0);
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(world.store.call(*id).await.is_ok(), n < 2, "{n}");
        }
    }
}
