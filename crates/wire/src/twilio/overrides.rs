//! Connection overrides: how long Twilio waits for a webhook and how often it tries again.
//!
//! They ride in the fragment of the webhook's URL (`#rc=5&rp=all`). The fragment never reaches the server and is not
//! part of what is signed (Twilio: usage/webhooks/webhooks-connection-overrides), which is why it is added at the last
//! moment, here, and why signing cuts it off. Without overrides Twilio tries a second time only if it could not connect.

use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// What the fragment of a webhook URL asks for. What is not set stays at Twilio's default and is not written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionOverrides {
    /// Time for TCP and TLS: 100 ms to 10 s, by default 5 s.
    pub connect_timeout: Option<Duration>,
    /// Time to the first byte, and between packets: 100 ms to 15 s, by default 15 s.
    pub read_timeout: Option<Duration>,
    /// Time over all attempts: 100 ms to 15 s, by default 15 s.
    pub total_time: Option<Duration>,
    /// Attempts after the first: 0 to 5, by default 1.
    pub retries: Option<u8>,
    /// Which failures are tried again; empty means Twilio's default, connect failures only.
    pub retry_on: Vec<RetryOn>,
    /// Where the request leaves Twilio, for example `dublin`; several are rotated through on retries.
    pub edges: Vec<String>,
    /// Whether the TLS handshake names the host.
    pub server_name_indication: Option<bool>,
}

/// A failure that is worth another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryOn {
    /// No connection.
    ConnectTimeout,
    /// A connection, but no answer in time.
    ReadTimeout,
    /// An answer of 400 to 499.
    ClientError,
    /// An answer of 500 to 599.
    ServerError,
    /// All of the others.
    All,
}

/// Why Twilio would refuse a fragment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OverrideError {
    /// A number that is none, or outside its range.
    #[error("connection override {key} out of its range: {value:?}")]
    Range {
        /// The key as written.
        key: String,
        /// The value as written.
        value: String,
    },
    /// A retry policy that does not exist (error 11243).
    #[error("unknown retry policy {0:?} (11243)")]
    Policy(String),
    /// A key that does not exist.
    #[error("unknown connection override {0:?}")]
    Key(String),
}

/// Ranges and attempts as Twilio documents them.
const CONNECT_MS_MAX: u64 = 10_000;
const READ_MS_MAX: u64 = 15_000;
const MS_MIN: u64 = 100;
const RETRIES_MAX: u8 = 5;

impl ConnectionOverrides {
    /// For URLs that answer TwiML: someone is listening, so fail and try again early.
    pub fn for_twiml() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(2)),
            read_timeout: Some(Duration::from_secs(5)),
            retries: Some(2),
            retry_on: vec![RetryOn::ConnectTimeout, RetryOn::ReadTimeout, RetryOn::ServerError],
            ..Self::default()
        }
    }

    /// For status callbacks: nobody waits, our handlers are idempotent, so try as often as Twilio will.
    pub fn for_callback() -> Self {
        Self { retries: Some(RETRIES_MAX), retry_on: vec![RetryOn::All], ..Self::default() }
    }

    /// The URL with these overrides as its fragment. An existing fragment is replaced, and values are brought into
    /// Twilio's ranges.
    pub fn apply(&self, url: &str) -> String {
        let fragment = self.fragment();
        let base = without_fragment(url);
        if fragment.is_empty() { base.to_owned() } else { format!("{base}#{fragment}") }
    }

    /// The fragment alone, without `#`; empty if nothing is set.
    pub fn fragment(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for (key, value, max) in [
            ("ct", self.connect_timeout, CONNECT_MS_MAX),
            ("rt", self.read_timeout, READ_MS_MAX),
            ("tt", self.total_time, READ_MS_MAX),
        ] {
            if let Some(value) = value {
                let ms = u64::try_from(value.as_millis()).unwrap_or(max).clamp(MS_MIN, max);
                parts.push(format!("{key}={ms}"));
            }
        }
        if let Some(retries) = self.retries {
            parts.push(format!("rc={}", retries.min(RETRIES_MAX)));
        }
        if !self.retry_on.is_empty() {
            let mut part = String::from("rp=");
            for (at, policy) in self.retry_on.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                write!(part, "{comma}{}", policy.as_str()).expect("invariant: writing to a String cannot fail");
            }
            parts.push(part);
        }
        if !self.edges.is_empty() {
            parts.push(format!("e={}", self.edges.join(",")));
        }
        if let Some(sni) = self.server_name_indication {
            parts.push(format!("sni={}", if sni { "y" } else { "n" }));
        }
        parts.join("&")
    }

    /// Reads a URL as Twilio does before requesting it: the URL to request, and the overrides.
    pub fn split(url: &str) -> Result<(&str, Self), OverrideError> {
        let Some((base, fragment)) = url.split_once('#') else {
            return Ok((url, Self::default()));
        };
        let mut overrides = Self::default();
        for pair in fragment.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // Commas arrive percent-encoded from some URL builders.
            let value = percent_decode_str(value).decode_utf8_lossy();
            overrides.set(key, &value)?;
        }
        Ok((base, overrides))
    }

    /// Whether the failure is one that these overrides try again on.
    pub fn retries_on(&self, failure: RetryOn) -> bool {
        if self.retry_on.is_empty() {
            return failure == RetryOn::ConnectTimeout;
        }
        self.retry_on.iter().any(|policy| *policy == failure || *policy == RetryOn::All)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), OverrideError> {
        let out_of_range = || OverrideError::Range { key: key.to_owned(), value: value.to_owned() };
        let duration = |max: u64| {
            let ms: u64 = value.parse().map_err(|_| out_of_range())?;
            if !(MS_MIN..=max).contains(&ms) {
                return Err(out_of_range());
            }
            Ok(Some(Duration::from_millis(ms)))
        };
        match key {
            "ct" => self.connect_timeout = duration(CONNECT_MS_MAX)?,
            "rt" => self.read_timeout = duration(READ_MS_MAX)?,
            "tt" => self.total_time = duration(READ_MS_MAX)?,
            "rc" => {
                let retries: u8 = value.parse().map_err(|_| out_of_range())?;
                if retries > RETRIES_MAX {
                    return Err(out_of_range());
                }
                self.retries = Some(retries);
            }
            "rp" => self.retry_on = value.split(',').map(RetryOn::parse).collect::<Result<_, _>>()?,
            "e" => self.edges = value.split(',').map(str::to_owned).collect(),
            "sni" => {
                self.server_name_indication = Some(match value {
                    "y" => true,
                    "n" => false,
                    _ => return Err(out_of_range()),
                });
            }
            _ => return Err(OverrideError::Key(key.to_owned())),
        }
        Ok(())
    }
}

impl RetryOn {
    /// The word in the fragment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectTimeout => "ct",
            Self::ReadTimeout => "rt",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::All => "all",
        }
    }

    fn parse(word: &str) -> Result<Self, OverrideError> {
        match word {
            "ct" => Ok(Self::ConnectTimeout),
            "rt" => Ok(Self::ReadTimeout),
            "4xx" => Ok(Self::ClientError),
            "5xx" => Ok(Self::ServerError),
            "all" => Ok(Self::All),
            _ => Err(OverrideError::Policy(word.to_owned())),
        }
    }
}

/// The URL up to its fragment: what is requested and signed.
pub fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(base, _)| base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recommended_overrides_read_as_documented() {
        let twiml = ConnectionOverrides::for_twiml().apply("https://example.com/twilio/voice?call=1");
        assert_eq!(twiml, "https://example.com/twilio/voice?call=1#ct=2000&rt=5000&rc=2&rp=ct,rt,5xx");
        let callback = ConnectionOverrides::for_callback().apply("https://example.com/twilio/status#old");
        assert_eq!(callback, "https://example.com/twilio/status#rc=5&rp=all");
    }

    #[test]
    fn a_fragment_is_read_back_and_cut_off() {
        let overrides = ConnectionOverrides {
            total_time: Some(Duration::from_millis(9_000)),
            edges: vec!["ashburn".into(), "dublin".into()],
            server_name_indication: Some(true),
            ..ConnectionOverrides::for_twiml()
        };
        let url = overrides.apply("https://example.com/a?b=c");
        assert_eq!(ConnectionOverrides::split(&url), Ok(("https://example.com/a?b=c", overrides)));
        assert_eq!(
            ConnectionOverrides::split("https://example.com/#rp=ct%2C5xx").map(|(_, read)| read.retry_on),
            Ok(vec![RetryOn::ConnectTimeout, RetryOn::ServerError])
        );
    }

    #[test]
    fn values_are_written_within_twilios_ranges_and_read_only_within_them() {
        let wild = ConnectionOverrides {
            connect_timeout: Some(Duration::from_secs(60)),
            read_timeout: Some(Duration::ZERO),
            retries: Some(200),
            ..ConnectionOverrides::default()
        };
        assert_eq!(wild.fragment(), "ct=10000&rt=100&rc=5");
        assert!(matches!(ConnectionOverrides::split("https://h/#rc=6"), Err(OverrideError::Range { .. })));
        assert!(matches!(ConnectionOverrides::split("https://h/#rp=often"), Err(OverrideError::Policy(_))));
        assert!(matches!(ConnectionOverrides::split("https://h/#x=1"), Err(OverrideError::Key(_))));
    }

    #[test]
    fn without_a_policy_only_a_failed_connection_is_tried_again() {
        let default = ConnectionOverrides::default();
        assert!(default.retries_on(RetryOn::ConnectTimeout));
        assert!(!default.retries_on(RetryOn::ServerError));
        assert!(ConnectionOverrides::for_callback().retries_on(RetryOn::ClientError));
    }
}
