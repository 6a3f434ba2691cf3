//! A header that carries a key. It does not print.

use std::fmt;

/// A header of a handshake or a request that carries a key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeader {
    /// Its name, in small letters.
    pub name: &'static str,
    value: String,
}

impl SecretHeader {
    pub(crate) fn new(name: &'static str, value: String) -> Self {
        Self { name, value }
    }

    /// `Authorization` with this scheme.
    pub(crate) fn authorization(scheme: &str, key: &str) -> Self {
        Self::new("authorization", format!("{scheme} {key}"))
    }

    /// What it says, for the one place that sends it.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [redacted]", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_print() {
        let header = SecretHeader::authorization("Bearer", "the-key");
        assert_eq!(header.value(), "Bearer the-key");
        assert_eq!(format!("{header:?}"), "authorization: [redacted]");
    }
}
