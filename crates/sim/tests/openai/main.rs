//! Stories about the simulated `OpenAI` Realtime, in virtual time: a rule each.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod faults;
mod line;
mod session;
mod talking;

use std::time::Duration;

/// What a caller who wants an appointment says.
const BOOK: &str = "caller-book";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
