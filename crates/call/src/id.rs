//! Names of things within Switchboard, parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

/// A call's own id: `call_` and a ULID, so that ids sort by the time at which the calls were opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(Ulid);

/// The text is not a call id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a call id is `call_` and 26 letters or digits, as in call_01HZX3V9K4Q8R2T6W0Y5B7D1FG")]
pub struct CallIdError;

impl CallId {
    const PREFIX: &str = "call_";

    /// A new id from the wall clock (Unix milliseconds) and 80 bits of randomness (the upper bits are ignored).
    #[must_use]
    pub const fn new(unix_ms: u64, random: u128) -> Self {
        Self(Ulid::from_parts(unix_ms, random))
    }

    /// When the call was opened, in Unix milliseconds.
    #[must_use]
    pub const fn opened_at_ms(&self) -> u64 {
        self.0.timestamp_ms()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CallId {
    type Err = CallIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ulid = text.strip_prefix(Self::PREFIX).ok_or(CallIdError)?;
        let id = Ulid::from_string(ulid).map_err(|_| CallIdError)?;
        // A ULID may be written in several ways (lower case, I for 1); only the canonical one is an id.
        if id.to_string() == ulid { Ok(Self(id)) } else { Err(CallIdError) }
    }
}

impl Serialize for CallId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_sort_by_time() {
        let (early, late) = (CallId::new(1_000, u128::MAX), CallId::new(2_000, 0));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(late.opened_at_ms(), 2_000);
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = CallId::new(1_700_000_000_000, 7).to_string();
        for wrong in ["", "call_", "call_123", &id[5..], &id.to_lowercase()] {
            assert_eq!(wrong.parse::<CallId>(), Err(CallIdError), "{wrong}");
        }
    }
}
