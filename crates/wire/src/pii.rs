//! Values that must not reach a log: telephone numbers, spoken words, pressed digits.
//!
//! [`Pii`] prints as `[redacted]` under `Debug` and has no `Display` at all, so that a log line or a URL made from one
//! by accident does not compile. It promises nothing about storage: serialised, it is the bare value.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// A value about a person, readable through dereference and printed redacted.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Marks a value as personal.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Gives the value up, for a place that is allowed to hold it.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Pii<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> From<T> for Pii<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl From<&str> for Pii<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_personal_value_prints_redacted_and_stays_readable() {
        let number: Pii<String> = "+12025550123".into();
        assert_eq!(format!("{number:?}"), "[redacted]");
        assert_eq!(format!("{:?}", Some(number.clone())), "Some([redacted])");
        assert_eq!(number.as_str(), "+12025550123");
        assert_eq!(serde_json::to_string(&number).unwrap(), "\"+12025550123\"");
    }
}
