//! Wall-clock time as the store keeps it, and where it comes from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment of the wall clock, to the millisecond. Written and read as RFC 3339 with exactly three decimals, in UTC, so
/// that texts sort as moments do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// 9999-12-30T22:00:00Z, the latest moment that has a four-digit year in every time zone.
    const LATEST_MS: u64 = 253_402_207_200_000;

    /// From Unix milliseconds. What lies after the year 9999 becomes its end.
    #[must_use]
    pub const fn from_ms(unix_ms: u64) -> Self {
        Self(if unix_ms > Self::LATEST_MS { Self::LATEST_MS } else { unix_ms })
    }

    /// Unix milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Unix seconds, rounded up: DynamoDB's TTL counts in seconds and must not come early.
    #[must_use]
    pub const fn as_s_rounded_up(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    /// Later by `duration`.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self::from_ms(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Earlier by `duration`, but not before 1970.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The beginning of its hour.
    pub(crate) const fn hour(self) -> Self {
        Self(self.0 - self.0 % 3_600_000)
    }

    /// The UTC month, as in `2026-11`.
    pub(crate) fn month(self) -> String {
        self.to_string()[..7].to_owned()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        let timestamp = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{timestamp:.3}")
    }
}

impl std::str::FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let timestamp: jiff::Timestamp = text.parse()?;
        // Before 1970 there were no calls: the earliest moment stands for all of it.
        Ok(Self::from_ms(u64::try_from(timestamp.as_millisecond()).unwrap_or(0)))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the store takes the time from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that tests set, in Unix milliseconds.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands still until it is [advanced](Self::advance). For tests.
    #[must_use]
    pub fn manual(at: Moment) -> Self {
        Self::Manual(Arc::new(AtomicU64::new(at.as_ms())))
    }

    /// Moves a manual clock forward. The machine's clock does not listen.
    pub fn advance(&self, by: Duration) {
        match self {
            Self::System => {}
            Self::Manual(ms) => {
                ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
            }
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Moment {
        match self {
            Self::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                Moment(0).after(since_epoch)
            }
            Self::Manual(ms) => Moment::from_ms(ms.load(Ordering::SeqCst)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_three_decimals_and_sort_as_their_texts() {
        let (a, b) = (Moment::from_ms(1_700_000_000_000), Moment::from_ms(1_700_000_000_100));
        assert_eq!(a.to_string(), "2023-11-14T22:13:20.000Z");
        assert_eq!(b.to_string(), "2023-11-14T22:13:20.100Z");
        assert!(a.to_string() < b.to_string());
        assert_eq!(b.to_string().parse::<Moment>().unwrap(), b);
        assert_eq!(a.month(), "2023-11");
    }

    #[test]
    fn the_far_future_is_still_a_time() {
        let end = Moment::from_ms(u64::MAX);
        assert_eq!(end.to_string().parse::<Moment>().unwrap(), end);
        assert_eq!(end.after(Duration::MAX), end);
    }
}
