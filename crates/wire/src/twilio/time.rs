//! The two ways Twilio writes a moment: RFC 2822 in call callbacks and REST bodies, ISO 8601 in stream callbacks.
//!
//! Reading never fails loudly: a time that cannot be read is no time, and the caller of these functions keeps the text
//! or goes without.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Reads the form `Sun, 25 Mar 2018 09:53:19 +0000`.
pub fn parse_rfc2822(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// Writes the form `Sun, 25 Mar 2018 09:53:19 +0000`, always in UTC and with the offset spelled the way Twilio does.
pub fn format_rfc2822(moment: Timestamp) -> String {
    moment.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// Reads ISO 8601 with an offset or `Z`.
pub fn parse_iso8601(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// An optional moment inside a REST body: RFC 2822 text or null. For `#[serde(with = …)]`.
pub mod rfc2822_or_null {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;

    /// Writes the text, or null.
    pub fn serialize<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match moment {
            Some(moment) => serializer.serialize_some(&super::format_rfc2822(*moment)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the text; null and what cannot be read are both no moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(value.as_str().and_then(super::parse_rfc2822))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_times_survive_a_round_trip_in_twilios_spelling() {
        let text = "Sun, 25 Mar 2018 09:53:19 +0000";
        let moment = parse_rfc2822(text).unwrap();
        assert_eq!(moment.to_string(), "2018-03-25T09:53:19Z");
        assert_eq!(format_rfc2822(moment), text);
    }

    #[test]
    fn stream_times_are_read_and_nonsense_is_no_time() {
        assert_eq!(parse_iso8601("2026-05-01T10:00:00.123Z").unwrap().as_millisecond() % 1000, 123);
        assert_eq!(parse_iso8601("yesterday"), None);
        assert_eq!(parse_rfc2822(""), None);
    }
}
