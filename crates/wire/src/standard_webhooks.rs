//! Requests that we send to the user's own services, signed as Standard Webhooks (standardwebhooks.com) says: whoever
//! receives them checks them with a library that exists for their language.
//!
//! The signature covers the message's id, the time and the body. The id is the same when a message is sent again, so that
//! who has acted on it once need not act on it twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::signed::{Secret, SecretError};

/// The header that names the message.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of sending, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How a secret begins that stands in Base64 (Standard Webhooks: signature scheme).
const SECRET_PREFIX: &str = "whsec_";

/// Reads a secret: `whsec_` and Base64, or any other text as it stands.
///
/// # Errors
///
/// It is too short to be one, or its Base64 cannot be read.
pub fn secret(text: &str) -> Result<Secret, SecretError> {
    match text.trim().strip_prefix(SECRET_PREFIX) {
        Some(encoded) => Secret::new(STANDARD.decode(encoded).map_err(|_| SecretError)?),
        None => Secret::new(text.trim()),
    }
}

/// The value of [`SIGNATURE_HEADER`] for a message that is sent at `now` (Unix seconds).
#[must_use]
pub fn sign(secret: &Secret, id: &str, now: u64, body: &[u8]) -> String {
    use hmac::Mac as _;
    let now = now.to_string();
    let mac = secret.mac(&[id.as_bytes(), b".", now.as_bytes(), b".", body]);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with another implementation of HMAC.
    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        let plain = secret("a secret for the tools of tests").unwrap();
        let signature = sign(&plain, "call_1.1.7", 1_700_000_000, br#"{"tool":"find"}"#);
        assert_eq!(signature, "v1,wInNK7KGgSxXcJsqfYVUgBBWMUqRvzNfmieAeZ5OkEY=");
        let encoded = secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3").unwrap();
        assert_eq!(sign(&encoded, "x", 1, b""), "v1,zJpE99h9g66VTWcR3Ou4//5Mi1SIdlYJ89rIiJTNZAk=");
    }

    #[test]
    fn a_secret_that_is_none_is_refused() {
        for wrong in ["", "short", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all!"] {
            assert!(secret(wrong).is_err(), "{wrong}");
        }
    }
}
