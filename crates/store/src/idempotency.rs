//! The key by which a repeated request is recognised.

use std::time::Duration;

/// How long a key is remembered, by timestamp, whatever the table's time-to-live has not deleted yet.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// By whom and with what a request was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The user: the name of the token.
    pub user: String,
    /// The value of `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of the request's body, in any fixed spelling.
    pub body_sha256: String,
}
