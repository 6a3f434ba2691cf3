//! The shapes of Twilio's messages as JSON, in which everything may be missing.
//!
//! What must be there, and what a field is called when it is wrong, is decided by the reader one level up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Text that borrows from the message even inside an `Option`, where a bare `Cow` would always be copied.
#[derive(Default, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// All events in one shape, so that a message is scanned once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) event: Option<Text<'a>>,
    pub(super) sequence_number: Option<Counter>,
    #[serde(borrow)]
    pub(super) stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) protocol: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) version: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) media: Option<MediaBody<'a>>,
    #[serde(borrow)]
    pub(super) mark: Option<MarkBody<'a>>,
    #[serde(borrow)]
    pub(super) dtmf: Option<DtmfBody<'a>>,
    #[serde(borrow)]
    pub(super) start: Option<StartBody<'a>>,
    #[serde(borrow)]
    pub(super) stop: Option<StopBody<'a>>,
}

#[derive(Deserialize)]
pub(super) struct MediaBody<'a> {
    #[serde(borrow)]
    pub(super) track: Option<Text<'a>>,
    pub(super) chunk: Option<Counter>,
    pub(super) timestamp: Option<Counter>,
    #[serde(borrow)]
    pub(super) payload: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct MarkBody<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct DtmfBody<'a> {
    #[serde(borrow)]
    pub(super) digit: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartBody<'a> {
    #[serde(borrow)]
    pub(super) stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) account_sid: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) call_sid: Option<Text<'a>>,
    pub(super) tracks: Option<Vec<String>>,
    pub(super) custom_parameters: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    pub(super) media_format: Option<FormatBody<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FormatBody<'a> {
    #[serde(borrow)]
    pub(super) encoding: Option<Text<'a>>,
    pub(super) sample_rate: Option<Counter>,
    pub(super) channels: Option<Counter>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StopBody<'a> {
    #[serde(borrow)]
    pub(super) account_sid: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) call_sid: Option<Text<'a>>,
}

/// A number that Twilio documents as a string of digits, and that may one day be a number: the number, or the fact that there was none; which field it stood in is known one level up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counter {
    Number(u64),
    Other,
}

impl<'de> Deserialize<'de> for Counter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CounterVisitor)
    }
}

struct CounterVisitor;

impl Visitor<'_> for CounterVisitor {
    type Value = Counter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, as a string or as itself")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Counter, E> {
        Ok(text.parse().map_or(Counter::Other, Counter::Number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Counter, E> {
        Ok(Counter::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Counter, E> {
        Ok(u64::try_from(number).map_or(Counter::Other, Counter::Number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Counter, E> {
        Ok(Counter::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Counter, E> {
        Ok(Counter::Other)
    }
}
