//! How much one token, and one telephone number, may ask of us.
//!
//! Kept in this process's memory: on one machine that is exact; of several Lambda instances each allows as much. That
//! bounds what a loop or a flood can do to one instance; what bounds the bill is the allowance of placed calls, which the
//! store counts for all of them.
//!
//! Of webhooks only the opening of a call is limited, by the caller's number. What Twilio reports about a call that is
//! open is always taken: refused, it would break the call instead of the flood. A caller who withholds their number has
//! none to be limited by; all of them together are not one caller.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::counters::Counters;
use crate::problem::Problem;

/// So many keys are kept; above it, those that have not been seen for a while are forgotten.
const KEYS_MAX: usize = 10_000;

/// How much is allowed. The first is a burst, the second what is allowed again each minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Of one token. A dashboard asks for a few things each second; a program that lists calls for more.
    pub per_token: (u32, u32),
    /// Calls that one telephone number may open, or that callers may be transferred to. A company may show one number for
    /// all its telephones.
    pub per_number: (u32, u32),
    /// How often one number may be called: at once, and then each **hour**. Counted in the store.
    pub per_called: (u32, u32),
    /// Of all requests together that no token can be found for.
    pub unknown: (u32, u32),
}

impl Default for Quotas {
    fn default() -> Self {
        Self { per_token: (200, 1_200), per_number: (60, 120), per_called: (30, 60), unknown: (30, 60) }
    }
}

/// Counts requests by token and by number. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Limits {
    tokens: Arc<DefaultKeyedRateLimiter<String>>,
    numbers: Arc<DefaultKeyedRateLimiter<String>>,
    unknown: Arc<DefaultKeyedRateLimiter<String>>,
    counters: Counters,
}

impl Limits {
    /// Nothing asked for yet.
    #[must_use]
    pub fn new(quotas: Quotas, counters: Counters) -> Self {
        let limiter = |(burst, per_minute): (u32, u32)| {
            let positive = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_minute(positive(per_minute)).allow_burst(positive(burst));
            Arc::new(RateLimiter::keyed(quota))
        };
        Self {
            tokens: limiter(quotas.per_token),
            numbers: limiter(quotas.per_number),
            unknown: limiter(quotas.unknown),
            counters,
        }
    }

    /// One request of a token.
    pub(crate) fn token(&self, name: &str) -> Result<(), Problem> {
        self.check(&self.tokens, name, "of this token")
    }

    /// One request about a telephone number.
    pub(crate) fn number(&self, number: &str) -> Result<(), Problem> {
        self.check(&self.numbers, number, "about this number")
    }

    /// One call that a caller opens.
    pub(crate) fn caller(&self, from: &str) -> Result<(), Problem> {
        if is_withheld(from) { Ok(()) } else { self.number(from) }
    }

    /// One request without a valid token.
    pub(crate) fn stranger(&self) -> Result<(), Problem> {
        self.check(&self.unknown, "", "without a valid token")
    }

    fn check(&self, limiter: &DefaultKeyedRateLimiter<String>, key: &str, whose: &str) -> Result<(), Problem> {
        if limiter.len() > KEYS_MAX {
            limiter.retain_recent();
        }
        let Err(until) = limiter.check_key(&key.to_owned()) else { return Ok(()) };
        self.counters.limited();
        let wait = until.wait_time_from(DefaultClock::default().now()).max(Duration::from_secs(1));
        Err(Problem::too_many(format!("there were too many requests {whose}; slow down"), wait))
    }
}

/// Whether what stands for a caller's number is a word, or one that a carrier spelled on the keys of a telephone.
fn is_withheld(from: &str) -> bool {
    const WORDS: [&str; 6] = ["ANONYMOUS", "RESTRICTED", "UNKNOWN", "UNAVAILABLE", "BLOCKED", "PRIVATE"];
    if from.contains(':') {
        return false;
    }
    let Some(digits) = from.strip_prefix('+') else { return true };
    WORDS.iter().any(|word| word.bytes().map(key).eq(digits.bytes()))
}

/// The key on which a capital letter stands (ITU-T E.161).
const fn key(letter: u8) -> u8 {
    match letter {
        b'A'..=b'C' => b'2',
        b'D'..=b'F' => b'3',
        b'G'..=b'I' => b'4',
        b'J'..=b'L' => b'5',
        b'M'..=b'O' => b'6',
        b'P'..=b'S' => b'7',
        b'T'..=b'V' => b'8',
        _ => b'9',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_allowance_and_hears_when_to_come_back() {
        let counters = Counters::default();
        let quotas = Quotas { per_token: (2, 1), per_number: (1, 1), per_called: (1, 1), unknown: (1, 1) };
        let limits = Limits::new(quotas, counters.clone());
        assert!(limits.token("a").is_ok() && limits.token("a").is_ok() && limits.token("b").is_ok());
        let response = limits.token("a").unwrap_err().render(None);
        assert_eq!(response.status(), 429);
        let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert!(limits.number("a").is_ok());
        assert_eq!(counters.snapshot().limited, 1);
    }

    #[test]
    fn callers_who_withhold_their_number_are_not_one_caller() {
        let quotas = Quotas { per_number: (1, 1), ..Quotas::default() };
        let limits = Limits::new(quotas, Counters::default());
        for from in ["anonymous", "restricted", "", "+266696687", "+7378742833", "+86282452253"] {
            assert!(limits.caller(from).is_ok() && limits.caller(from).is_ok(), "{from}");
        }
        for from in ["+12025550123", "sip:ann@example.com", "client:ann"] {
            assert!(limits.caller(from).is_ok() && limits.caller(from).is_err(), "{from}");
        }
    }
}
