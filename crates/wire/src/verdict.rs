//! What a vendor's refusal says about the next try.
//!
//! Shared by the dialects that answer a handshake or a request with an HTTP status. A vendor's own codes are read in its
//! module; what follows for a call is decided in the `call` crate.

/// Whether, and when, it makes sense to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Asking again changes nothing until a person acts: the key, the account or the request itself is wrong.
    Refused,
    /// Too much at once, or the quota is used up for now: another vendor first, this one later.
    OverLimit,
    /// The vendor's own trouble, or the way's: one more try is worth it.
    Retry,
}

impl Verdict {
    /// By the status alone, where a vendor says no more. A status that is no refusal at all is taken for trouble.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            // 498 is Groq's: its flexible tier is full. (Groq: API error codes)
            429 | 498 => Self::OverLimit,
            408 | 409 | 499 => Self::Retry,
            400..=497 => Self::Refused,
            _ => Self::Retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_not_tried_again_and_a_full_house_is_tried_later() {
        for status in [400, 401, 402, 403, 404, 410, 413, 422] {
            assert_eq!(Verdict::of_status(status), Verdict::Refused, "{status}");
        }
        for status in [429, 498] {
            assert_eq!(Verdict::of_status(status), Verdict::OverLimit, "{status}");
        }
        for status in [408, 409, 500, 502, 503, 101, 0] {
            assert_eq!(Verdict::of_status(status), Verdict::Retry, "{status}");
        }
    }
}
