//! What can go wrong at the simulated Gemini.

use std::collections::VecDeque;
use std::time::Duration;

use wire::gemini::response::{BlockReason, FinishReason};

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429.
    Limited {
        /// How long it wants to be left alone, if it says so.
        delay: Option<Duration>,
        /// Whether the quota of the whole day is used up.
        of_the_day: bool,
    },
    /// A status of its own fault, such as 503.
    Failing(u16),
    /// The question is refused.
    Blocked(BlockReason),
    /// The model stops for this reason: cut off in the middle, or withheld.
    Stopped(FinishReason),
    /// The model writes this instead.
    Says(String),
    /// An answer without any candidate.
    NoCandidate,
    /// An answer that is not JSON.
    NotJson,
    /// An answer that takes so long.
    Late(Duration),
}

/// What goes wrong, request by request.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    next: VecDeque<Option<Fault>>,
    then: Option<Fault>,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These go wrong, one a request; then nothing does.
    #[must_use]
    pub fn scripted(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { next: faults.into_iter().map(Some).collect(), then: None }
    }

    /// This goes wrong, always.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { next: VecDeque::new(), then: Some(fault) }
    }

    pub(crate) fn next(&mut self) -> Option<Fault> {
        self.next.pop_front().unwrap_or_else(|| self.then.clone())
    }
}
