//! What is counted at the door. Counts are of this process; they carry no names and no numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of what was turned away. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    forged: AtomicU64,
    unauthorised: AtomicU64,
    limited: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Webhooks without a signature, or with a wrong one.
    pub forged: u64,
    /// Requests without a token, with a wrong one, or with one whose role does not allow it.
    pub unauthorised: u64,
    /// Requests above a limit.
    pub limited: u64,
}

impl Counters {
    /// The counts now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Snapshot {
            forged: read(&self.0.forged),
            unauthorised: read(&self.0.unauthorised),
            limited: read(&self.0.limited),
        }
    }

    pub(crate) fn forged(&self) {
        self.0.forged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unauthorised(&self) {
        self.0.unauthorised.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn limited(&self) {
        self.0.limited.fetch_add(1, Ordering::Relaxed);
    }
}
