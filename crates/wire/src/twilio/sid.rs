//! Twilio's identifiers: two letters that name the kind, then 32 hexadecimal digits.
//!
//! They are parsed once, at the edge, into types that cannot be swapped by accident. They are `Copy`: a frame carries
//! its stream's identifier without an allocation. Letters are kept in the case they came in.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Every identifier has this length, in bytes.
pub const SID_BYTES: usize = 34;

/// Why a string is not an identifier of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SidError {
    /// Not 34 bytes long.
    #[error("not {SID_BYTES} characters long")]
    Length,
    /// It does not start with the two letters of its kind.
    #[error("not starting with {0}")]
    Prefix(&'static str),
    /// Something other than a hexadecimal digit after the first two letters.
    #[error("not hexadecimal after its first two letters")]
    Digits,
}

macro_rules! sid {
    ($(#[$documentation:meta])* $name:ident, $prefix:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; SID_BYTES]);

        impl $name {
            /// The two letters in front.
            pub const PREFIX: &'static str = $prefix;

            /// Reads one, or says why it is none.
            pub fn parse(text: &str) -> Result<Self, SidError> {
                parse(text, $prefix).map(Self)
            }

            /// Makes one out of a number, for simulators and tests: randomness is the caller's.
            pub fn from_number(number: u128) -> Self {
                Self(mint($prefix, number))
            }

            /// The identifier as Twilio writes it.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).expect("invariant: parsed and minted identifiers are ASCII")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = SidError;

            fn from_str(text: &str) -> Result<Self, SidError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

sid!(
    /// One leg of a call.
    CallSid,
    "CA"
);
sid!(
    /// An account or subaccount.
    AccountSid,
    "AC"
);
sid!(
    /// One media stream of a call.
    StreamSid,
    "MZ"
);
sid!(
    /// A telephone number that an account owns.
    PhoneNumberSid,
    "PN"
);

fn parse(text: &str, prefix: &'static str) -> Result<[u8; SID_BYTES], SidError> {
    let bytes: [u8; SID_BYTES] = text.as_bytes().try_into().map_err(|_| SidError::Length)?;
    if !bytes.starts_with(prefix.as_bytes()) {
        return Err(SidError::Prefix(prefix));
    }
    if !bytes[prefix.len()..].iter().all(u8::is_ascii_hexdigit) {
        return Err(SidError::Digits);
    }
    Ok(bytes)
}

fn mint(prefix: &str, number: u128) -> [u8; SID_BYTES] {
    format!("{prefix}{number:032x}").into_bytes().try_into().expect("invariant: two letters and 32 padded digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_survives_text_and_json_in_its_own_case() {
        let text = "CA0123456789abcdefABCDEF0123456789";
        let sid = CallSid::parse(text).unwrap();
        assert_eq!(sid.to_string(), text);
        let json = serde_json::to_string(&sid).unwrap();
        assert_eq!(serde_json::from_str::<CallSid>(&json).unwrap(), sid);
    }

    #[test]
    fn what_is_not_an_identifier_is_refused_with_its_reason() {
        assert_eq!(CallSid::parse("CA12"), Err(SidError::Length));
        assert_eq!(CallSid::parse("MZ00000000000000000000000000000001"), Err(SidError::Prefix("CA")));
        assert_eq!(CallSid::parse("CA0000000000000000000000000000000g"), Err(SidError::Digits));
        assert_eq!(CallSid::parse("CAé000000000000000000000000000000"), Err(SidError::Digits));
        assert!(serde_json::from_str::<StreamSid>("\"MZ\"").is_err());
    }

    #[test]
    fn a_minted_identifier_is_a_valid_one() {
        let sid = StreamSid::from_number(u128::MAX);
        assert_eq!(StreamSid::parse(sid.as_str()), Ok(sid));
        assert_eq!(AccountSid::from_number(1).as_str(), "AC00000000000000000000000000000001");
    }
}
