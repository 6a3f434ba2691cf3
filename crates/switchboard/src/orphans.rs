//! Calls that a killed process left behind.
//!
//! The simulated telephone network lives and dies with this process. A call of an earlier one that was never closed is
//! over, although nobody will ever report it: it is closed here. Real calls go on without us; Twilio reports them, and
//! the worker asks about those it does not report.

use call::journal::{EndReason, EndedBy};
use store::{ListQuery, Source, Status, StatusFact, Store, StoreError};

/// So many of the newest calls are looked at: far more than one machine has at once.
const LOOKED_AT_MAX: usize = 200;

/// Closes what was left open. Says how many there were.
pub(crate) async fn close(store: &Store) -> Result<usize, StoreError> {
    let query = ListQuery { limit: LOOKED_AT_MAX, ..ListQuery::default() };
    let page = store.list_calls(&query, |call| call.simulated && !call.status.is_final()).await?;
    for call in &page.calls {
        store.record_ending(call.id, EndedBy::System, EndReason::Error).await?;
        // Nobody knows when it ended; that it has, is known now.
        let status = if call.answered_at.is_some() { Status::Completed } else { Status::Failed };
        let fact = StatusFact { status, at: store.now(), source: Source::Ourselves, duration_s: None, sip_code: None };
        store.record_status(call.id, fact).await?;
    }
    Ok(page.calls.len())
}
