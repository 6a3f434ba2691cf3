//! Whole calls over real sockets, with speech: the stories that must come out right.
//!
//! Calls run in real time; what takes long runs beside other things. Each test has a house of its own. What is measured
//! to the millisecond or to the sample is measured while nothing else runs ([`alone`]): a machine that is busy with other
//! calls is no fault of the call that is judged.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of entry")]

mod bad_days;
mod cascade;
mod doors;
mod engines;
mod first_words;
mod nodes;
mod placing;
mod switches;
mod voice;
mod webhooks;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Who may use the machine at the moment.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// Beside other tests.
async fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}

/// While no other test runs.
async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}
