//! Opening a stream: the address of the socket.
//!
//! The key goes into an `Authorization: Token` header, never into the address. Everything else about a stream is fixed by
//! the query; only thresholds, key terms, language hints and numerals can be changed later. (Deepgram: Flux API
//! reference, handshake)

use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::client::Thresholds;
use crate::SecretHeader;
use crate::base_url::{BaseUrl, BaseUrlError};

/// Where the vendor answers.
pub const DEFAULT_BASE_URL: &str = "https://api.deepgram.com";

/// The path of the socket below the base URL.
pub const LISTEN_PATH: &str = "/v2/listen";

/// The thresholds that end a turn. (Deepgram: "Flux configuration")
pub const EOT_RANGE: RangeInclusive<Threshold> = Threshold(500)..=Threshold(1000);

/// The thresholds that announce the end of a turn.
pub const EAGER_RANGE: RangeInclusive<Threshold> = Threshold(300)..=Threshold(900);

/// The silences that end a turn, in milliseconds.
pub const EOT_TIMEOUT_MS: RangeInclusive<u32> = 500..=60_000;

/// The silence that ends a turn when none was asked for, in milliseconds.
pub const EOT_TIMEOUT_MS_DEFAULT: u32 = 5000;

/// The longest label, in characters.
const TAG_CHARS_MAX: usize = 128;

/// More query parameters than this are not read: the documented ones, and as many key terms as their 500 tokens allow.
const MOST_PARAMETERS: usize = 600;

/// Everything but what RFC 3986 leaves unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A confidence between 0 and 1, in thousandths: what decides must compare exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u16);

impl Threshold {
    /// So many thousandths; more than 1000 count as 1000.
    #[must_use]
    pub const fn thousandths(thousandths: u16) -> Self {
        Self(if thousandths > 1000 { 1000 } else { thousandths })
    }

    /// As a number between 0 and 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// The nearest one; nothing outside 0 to 1.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    pub fn from_f64(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then(|| Self((value * 1000.0).round() as u16))
    }
}

impl Default for Threshold {
    /// What ends a turn when nothing else was asked for.
    fn default() -> Self {
        Self(700)
    }
}

impl fmt::Debug for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::from_f64(value).ok_or_else(|| serde::de::Error::custom("a threshold is between 0 and 1"))
    }
}

/// What recognises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Model {
    /// English.
    #[default]
    English,
    /// Several languages, told in each message.
    Multi,
}

impl Model {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::English => "flux-general-en",
            Self::Multi => "flux-general-multi",
        }
    }
}

/// How raw audio is written. Without one, the stream is a container (WAV, Ogg).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 16-bit little endian.
    Linear16,
    /// 32-bit floats.
    Linear32,
    /// The telephone's, in North America and Japan.
    Mulaw,
    /// The telephone's elsewhere.
    Alaw,
    /// Opus packets.
    Opus,
    /// Opus in Ogg.
    OggOpus,
}

impl Encoding {
    const ALL: [Self; 6] = [Self::Linear16, Self::Linear32, Self::Mulaw, Self::Alaw, Self::Opus, Self::OggOpus];

    fn as_str(self) -> &'static str {
        match self {
            Self::Linear16 => "linear16",
            Self::Linear32 => "linear32",
            Self::Mulaw => "mulaw",
            Self::Alaw => "alaw",
            Self::Opus => "opus",
            Self::OggOpus => "ogg-opus",
        }
    }
}

/// What is left out of the transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redact {
    /// Numbers.
    Numbers,
    /// More of them.
    AggressiveNumbers,
}

/// How a stream is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// What recognises.
    pub model: Model,
    /// How the audio is written; needed for raw audio, with the rate.
    pub encoding: Option<Encoding>,
    /// In Hz.
    pub sample_rate: Option<u32>,
    /// When a turn is over. Without an eager threshold there are no eager events.
    pub thresholds: Thresholds,
    /// Words to expect.
    pub keyterms: Vec<String>,
    /// Languages to expect; only with [`Model::Multi`].
    pub language_hints: Vec<String>,
    /// Whether numbers are written as digits.
    pub numerals: Option<bool>,
    /// Whether bad language is masked.
    pub profanity_filter: Option<bool>,
    /// What is left out of the transcript.
    pub redact: Option<Redact>,
    /// Labels for the account's own reports.
    pub tags: Vec<String>,
    /// Whether the audio is kept out of the vendor's training.
    pub mip_opt_out: Option<bool>,
}

/// The header that carries the key.
#[must_use]
pub fn authorization(key: &str) -> SecretHeader {
    SecretHeader::authorization("Token", key)
}

impl Listen {
    /// Telephone audio: mu-law at 8 kHz, as Twilio sends it.
    #[must_use]
    pub fn telephone(model: Model) -> Self {
        Self { model, encoding: Some(Encoding::Mulaw), sample_rate: Some(8000), ..Self::default() }
    }

    /// The whole address of the socket below this base URL.
    ///
    /// # Errors
    /// If the base URL cannot be used.
    pub fn url(&self, base_url: &str) -> Result<String, BaseUrlError> {
        let base = BaseUrl::parse(base_url)?;
        Ok(base.socket_origin() + base.path + &self.path_and_query())
    }

    /// The path and query; what is not set is left out.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let mut query = Query(format!("{LISTEN_PATH}?model={}", self.model.as_str()));
        query.text("encoding", self.encoding.map(Encoding::as_str));
        query.value("sample_rate", self.sample_rate);
        query.value("eot_threshold", self.thresholds.eot_threshold.map(Threshold::as_f64));
        query.value("eager_eot_threshold", self.thresholds.eager_eot_threshold.map(Threshold::as_f64));
        query.value("eot_timeout_ms", self.thresholds.eot_timeout_ms);
        for term in &self.keyterms {
            query.text("keyterm", Some(term));
        }
        for hint in &self.language_hints {
            query.text("language_hint", Some(hint));
        }
        query.value("numerals", self.numerals);
        query.value("profanity_filter", self.profanity_filter);
        query.text("redact", self.redact.map(redact));
        for tag in &self.tags {
            query.text("tag", Some(tag));
        }
        query.value("mip_opt_out", self.mip_opt_out);
        query.0
    }

    /// Reads the query of a handshake strictly, for the simulator.
    ///
    /// # Errors
    /// With the parameter that is missing, unknown or impossible.
    pub fn from_query(query: &str) -> Result<Self, QueryError> {
        let (mut listen, mut model) = (Self::default(), None);
        for (index, (name, value)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
            if index >= MOST_PARAMETERS {
                return Err(bad(&name, "comes after too many others"));
            }
            listen.read(&mut model, &name, &value)?;
        }
        listen.model = model.ok_or_else(|| bad("model", "is missing"))?;
        listen.check()?;
        Ok(listen)
    }

    fn read(&mut self, model: &mut Option<Model>, name: &str, value: &str) -> Result<(), QueryError> {
        match name {
            "model" => {
                let known = [Model::English, Model::Multi].into_iter().find(|model| model.as_str() == value);
                *model = Some(known.ok_or_else(|| bad(name, "must be flux-general-en or flux-general-multi"))?);
            }
            "encoding" => {
                let known = Encoding::ALL.into_iter().find(|encoding| encoding.as_str() == value);
                self.encoding = Some(known.ok_or_else(|| bad(name, "is none of the supported encodings"))?);
            }
            "sample_rate" => {
                let rate = value.parse().ok().filter(|rate| matches!(rate, 8000 | 16_000 | 24_000 | 44_100 | 48_000));
                self.sample_rate = Some(rate.ok_or_else(|| bad(name, "is none of the supported rates"))?);
            }
            "eot_threshold" => {
                self.thresholds.eot_threshold =
                    Some(threshold(name, value, &EOT_RANGE, "must be between 0.5 and 1.0")?);
            }
            "eager_eot_threshold" => {
                let threshold = threshold(name, value, &EAGER_RANGE, "must be between 0.3 and 0.9")?;
                self.thresholds.eager_eot_threshold = Some(threshold);
            }
            "eot_timeout_ms" => {
                let silence = value.parse().ok().filter(|silence| EOT_TIMEOUT_MS.contains(silence));
                let silence = silence.ok_or_else(|| bad(name, "must be between 500 and 60000"))?;
                self.thresholds.eot_timeout_ms = Some(silence);
            }
            "keyterm" => self.keyterms.push(present(name, value)?),
            "language_hint" => self.language_hints.push(present(name, value)?),
            "numerals" => self.numerals = Some(flag(name, value)?),
            "profanity_filter" => self.profanity_filter = Some(flag(name, value)?),
            "redact" => {
                self.redact = Some(match value {
                    "numbers" => Redact::Numbers,
                    "aggressive_numbers" => Redact::AggressiveNumbers,
                    _ => return Err(bad(name, "must be numbers or aggressive_numbers")),
                });
            }
            "tag" if value.chars().count() <= TAG_CHARS_MAX => self.tags.push(present(name, value)?),
            "tag" => return Err(bad(name, "is longer than 128 characters")),
            "mip_opt_out" => self.mip_opt_out = Some(flag(name, value)?),
            _ => return Err(bad(name, "does not exist")),
        }
        Ok(())
    }

    /// What no parameter alone tells.
    fn check(&self) -> Result<(), QueryError> {
        if self.encoding.is_some_and(|encoding| encoding != Encoding::OggOpus) && self.sample_rate.is_none() {
            return Err(bad("sample_rate", "is required with raw audio"));
        }
        if !self.language_hints.is_empty() && self.model != Model::Multi {
            return Err(bad("language_hint", "needs the model flux-general-multi"));
        }
        if self.thresholds.eager_eot_threshold > Some(self.thresholds.eot_threshold.unwrap_or_default()) {
            return Err(bad("eager_eot_threshold", "must not be above eot_threshold"));
        }
        Ok(())
    }
}

fn redact(redact: Redact) -> &'static str {
    match redact {
        Redact::Numbers => "numbers",
        Redact::AggressiveNumbers => "aggressive_numbers",
    }
}

/// A path and query under construction.
struct Query(String);

impl Query {
    fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            write!(self.0, "&{name}={}", utf8_percent_encode(value, RESERVED))
                .expect("writing to a string cannot fail");
        }
    }

    fn value<T: ToString>(&mut self, name: &str, value: Option<T>) {
        self.text(name, value.map(|value| value.to_string()).as_deref());
    }
}

/// A query parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query parameter {name} {problem}")]
pub struct QueryError {
    /// Its name, cut to 100 characters.
    pub name: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

fn bad(name: &str, problem: &'static str) -> QueryError {
    QueryError { name: name.chars().take(100).collect(), problem }
}

fn present(name: &str, value: &str) -> Result<String, QueryError> {
    if value.is_empty() { Err(bad(name, "must not be empty")) } else { Ok(value.to_owned()) }
}

fn flag(name: &str, value: &str) -> Result<bool, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad(name, "must be true or false")),
    }
}

fn threshold(
    name: &str,
    value: &str,
    range: &RangeInclusive<Threshold>,
    problem: &'static str,
) -> Result<Threshold, QueryError> {
    let threshold = value.parse().ok().and_then(Threshold::from_f64).filter(|threshold| range.contains(threshold));
    threshold.ok_or_else(|| bad(name, problem))
}
