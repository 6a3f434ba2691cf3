//! What Twilio would hold against the server, with Twilio's own numbers.

use std::collections::BTreeMap;
use std::time::Instant;

/// Texts kept of each stream's violations; beyond it they are only counted, so that a flood cannot fill memory.
const DETAILS_MAX: usize = 200;

/// The queue is longer than ten minutes and further audio is discarded (Twilio: api/errors/31931).
pub const BUFFER_FULL: u16 = 31931;

/// One thing the server did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Instant,
    /// Twilio's number: 31950, 31951 or 31931.
    pub code: u16,
    /// Whether Twilio would show it: it raises each number once per stream.
    pub raised: bool,
    /// What was wrong; a fragment that reads after "the server sent a message".
    pub detail: String,
}

/// All that one stream's server did wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Violations {
    list: Vec<Violation>,
    counts: BTreeMap<u16, u64>,
}

impl Violations {
    pub(super) fn add(&mut self, at: Instant, code: u16, detail: String) {
        let seen = self.counts.entry(code).or_default();
        *seen += 1;
        if self.list.len() < DETAILS_MAX || *seen == 1 {
            self.list.push(Violation { at, code, raised: *seen == 1, detail });
        }
    }

    pub(super) fn list(&self) -> &[Violation] {
        &self.list
    }

    pub(super) fn count(&self, code: u16) -> u64 {
        self.counts.get(&code).copied().unwrap_or(0)
    }
}
