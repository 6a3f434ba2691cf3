//! Requests from the control plane to a node, signed with `STREAM_SECRET`.
//!
//! The signature covers the method, the path with its query, the body's SHA-256 and the time. Checking promises:
//! comparison in constant time, a window of 30 seconds around now, several secrets for the time of a rotation, nothing
//! secret under `Debug`. It covers no header and no host name: two nodes that share a secret are told apart by the node's
//! name in the path.
//!
//! Left to others: a request may be repeated within the window, so what it asks for must be safe to ask twice.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The header that carries the signature.
pub const HEADER: &str = "x-switchboard-signature";

/// How far the clocks of control plane and node may be apart, travel included.
pub const WINDOW: Duration = Duration::from_secs(30);

/// The fewest bytes of a secret: 128 bits, which nobody guesses.
pub const SECRET_BYTES_MIN: usize = 16;

/// What is signed begins with this, so that no signature is ever taken for a token, or for a later version.
const PURPOSE: &[u8] = b"switchboard request 1\n";

/// A key for signatures and tokens. It does not print.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

/// The secret could be guessed, or there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a secret has at least {SECRET_BYTES_MIN} bytes")]
pub struct SecretError;

impl Secret {
    /// Takes a key of at least [`SECRET_BYTES_MIN`] bytes.
    ///
    /// # Errors
    ///
    /// It is shorter.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        let bytes = bytes.as_ref();
        if bytes.len() < SECRET_BYTES_MIN { Err(SecretError) } else { Ok(Self(bytes.into())) }
    }

    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("invariant: HMAC takes keys of any length");
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// The secrets in use: the first one signs, any of them is accepted, so that a secret can be changed while calls go on.
#[derive(Clone, Debug)]
pub struct Secrets {
    current: Secret,
    former: Vec<Secret>,
}

impl Secrets {
    /// One secret that signs, and those that are still accepted.
    #[must_use]
    pub const fn new(current: Secret, former: Vec<Secret>) -> Self {
        Self { current, former }
    }

    /// Reads a list as in `STREAM_SECRET`: separated by commas, the one that signs first. Blanks around a secret do not
    /// belong to it.
    ///
    /// # Errors
    ///
    /// One of them is too short, or the list is empty.
    pub fn parse(list: &str) -> Result<Self, SecretError> {
        let mut secrets = list.split(',').map(str::trim).map(Secret::new);
        let current = secrets.next().unwrap_or(Err(SecretError))?;
        Ok(Self { current, former: secrets.collect::<Result<_, _>>()? })
    }

    pub(crate) fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.current.mac(parts).finalize().into_bytes().into()
    }

    /// Whether one of the secrets made this code. In constant time for each of them.
    pub(crate) fn made(&self, code: &[u8], parts: &[&[u8]]) -> bool {
        std::iter::once(&self.current).chain(&self.former).any(|secret| secret.mac(parts).verify_slice(code).is_ok())
    }
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self::new(secret, Vec::new())
    }
}

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The method, in capitals.
    pub method: &'r str,
    /// The path with its query, as it stands in the request line.
    pub path: &'r str,
    /// The body; empty for none.
    pub body: &'r [u8],
}

/// Why a request is not taken for the control plane's. The answer is 403 for all of them; the kind is for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignedError {
    /// The header cannot be read.
    #[error("unreadable signature")]
    Malformed,
    /// No secret fits, or it is for another request.
    #[error("signature of someone else, or for another request")]
    Forged,
    /// Made too long ago, or by a clock too far ahead.
    #[error("signed more than {} seconds away from now", WINDOW.as_secs())]
    Stale,
}

/// The header's value for a request that is sent at `now` (Unix seconds).
#[must_use]
pub fn sign(secrets: &Secrets, request: Request<'_>, now: u64) -> String {
    format!("t={now},v1={}", hex(&secrets.sign(&signed(request, now).parts())))
}

/// Checks the header's value of a request that came at `now` (Unix seconds).
///
/// # Errors
///
/// The request is not the control plane's, or not of now.
pub fn verify(secrets: &Secrets, request: Request<'_>, value: &str, now: u64) -> Result<(), SignedError> {
    let (at, code) = read(value).ok_or(SignedError::Malformed)?;
    if !secrets.made(&code, &signed(request, at).parts()) {
        return Err(SignedError::Forged);
    }
    if at.abs_diff(now) > WINDOW.as_secs() { Err(SignedError::Stale) } else { Ok(()) }
}

struct Signed<'r> {
    request: Request<'r>,
    at: String,
    body_hash: String,
}

impl Signed<'_> {
    /// A line each; a method or a path with a line end in it cannot be sent, and the times and hashes have none.
    fn parts(&self) -> [&[u8]; 8] {
        let (request, line) = (&self.request, b"\n".as_slice());
        let (method, path) = (request.method.as_bytes(), request.path.as_bytes());
        [PURPOSE, method, line, path, line, self.at.as_bytes(), line, self.body_hash.as_bytes()]
    }
}

fn signed(request: Request<'_>, at: u64) -> Signed<'_> {
    Signed { request, at: at.to_string(), body_hash: hex(&Sha256::digest(request.body)) }
}

fn read(value: &str) -> Option<(u64, [u8; 32])> {
    let (at, code) = value.strip_prefix("t=")?.split_once(",v1=")?;
    let seconds: u64 = at.parse().ok()?;
    // One spelling only: `+7` and `07` are numbers, but nothing that we write.
    (seconds.to_string() == at).then_some((seconds, unhex(code)?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_763_700_000;
    const REQUEST: Request<'static> =
        Request { method: "POST", path: "/nodes/a/calls/call_1/prepare?x=1", body: b"{\"epoch\":1}" };

    fn secrets(text: &str) -> Secrets {
        Secrets::parse(text).unwrap()
    }

    #[test]
    fn a_request_is_accepted_within_the_window_only() {
        let (secrets, value) = (secrets("0123456789abcdef"), sign(&secrets("0123456789abcdef"), REQUEST, NOW));
        for now in [NOW - 30, NOW, NOW + 30] {
            assert_eq!(verify(&secrets, REQUEST, &value, now), Ok(()));
        }
        for now in [0, NOW - 31, NOW + 31, u64::MAX] {
            assert_eq!(verify(&secrets, REQUEST, &value, now), Err(SignedError::Stale));
        }
    }

    #[test]
    fn a_signature_is_good_for_one_request() {
        let secrets = secrets("0123456789abcdef");
        let value = sign(&secrets, REQUEST, NOW);
        for other in [
            Request { method: "GET", ..REQUEST },
            Request { path: "/nodes/b/calls/call_1/prepare?x=1", ..REQUEST },
            Request { path: "/nodes/a/calls/call_1/prepare", ..REQUEST },
            Request { body: b"", ..REQUEST },
        ] {
            assert_eq!(verify(&secrets, other, &value, NOW), Err(SignedError::Forged), "{other:?}");
        }
    }

    #[test]
    fn a_secret_can_be_changed_without_a_break() {
        let (old, both) = (secrets("the-old-secret-16"), secrets("the-new-secret-16, the-old-secret-16"));
        let new = secrets("the-new-secret-16");
        assert_eq!(verify(&both, REQUEST, &sign(&old, REQUEST, NOW), NOW), Ok(()));
        assert_eq!(verify(&new, REQUEST, &sign(&both, REQUEST, NOW), NOW), Ok(()));
        assert_eq!(verify(&new, REQUEST, &sign(&old, REQUEST, NOW), NOW), Err(SignedError::Forged));
    }

    #[test]
    fn the_form_of_a_signature_stays_as_it_is() {
        // Computed by a second implementation: nodes and control planes of different releases must agree.
        assert_eq!(
            sign(&secrets("0123456789abcdef"), REQUEST, NOW),
            "t=1763700000,v1=414345f644862f5501138f489f9fbcdb8bc89ae3c6e3a9a96e48028a43bdd877"
        );
    }

    #[test]
    fn secrets_are_long_enough_and_do_not_print() {
        for short in ["", "123456789012345", "0123456789abcdef,", ",0123456789abcdef"] {
            assert!(Secrets::parse(short).is_err(), "{short}");
        }
        let printed = format!("{:?}", secrets("0123456789abcdef,fedcba9876543210"));
        assert!(!printed.contains("0123") && !printed.contains("fedc"), "{printed}");
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_never_accepted(at in 0_usize..80, byte in 0x20_u8..0x7f) {
            let secrets = secrets("0123456789abcdef");
            let value = sign(&secrets, REQUEST, NOW);
            let mut changed = value.into_bytes();
            let at = at % changed.len();
            prop_assume!(changed[at] != byte);
            changed[at] = byte;
            prop_assert!(verify(&secrets, REQUEST, std::str::from_utf8(&changed).unwrap(), NOW).is_err());
        }

        #[test]
        fn a_changed_body_is_never_accepted(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let secrets = secrets("0123456789abcdef");
            let value = sign(&secrets, REQUEST, NOW);
            prop_assume!(body != REQUEST.body);
            let other = Request { body: &body, ..REQUEST };
            prop_assert_eq!(verify(&secrets, other, &value, NOW), Err(SignedError::Forged));
        }

        #[test]
        fn any_header_is_read_without_panic(value in "(t=)?[0-9+]{0,25}(,v1=)?\\PC{0,70}") {
            prop_assert!(verify(&secrets("0123456789abcdef"), REQUEST, &value, NOW).is_err());
        }
    }
}
