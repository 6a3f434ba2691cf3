//! Time measured in samples: 8000 a second, one mu-law byte each, 125 microseconds apart.

use std::time::{Duration, Instant};

/// Bytes of one 20 ms frame.
pub(super) const FRAME_BYTES: u64 = 160;

/// The length of one frame.
pub(super) const FRAME: Duration = Duration::from_millis(20);

const NANOS_PER_SAMPLE: u64 = 125_000;

/// How long this many samples sound.
pub(super) fn duration_of(samples: u64) -> Duration {
    Duration::from_nanos(samples.saturating_mul(NANOS_PER_SAMPLE))
}

/// Whole samples within a time.
pub(super) fn samples_in(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / u128::from(NANOS_PER_SAMPLE)).unwrap_or(u64::MAX)
}

/// Samples that cover a time, the last one perhaps in part.
pub(super) fn samples_covering(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(u128::from(NANOS_PER_SAMPLE))).unwrap_or(u64::MAX)
}

/// Whole samples from one moment to a later one; none if it is not later.
pub(super) fn samples_between(from: Instant, until: Instant) -> u64 {
    samples_in(until.saturating_duration_since(from))
}

/// A count of bytes in memory as a count of samples.
pub(super) fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("invariant: a buffer's length fits 64 bits")
}

/// A count of samples that is known to lie within a buffer.
pub(super) fn index(samples: u64) -> usize {
    usize::try_from(samples).expect("invariant: at most the length of a buffer")
}
