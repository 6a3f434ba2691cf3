//! What Twilio accepts on a stream, to the letter, for the simulated Twilio.
//!
//! Twilio tolerates nothing beyond the documented keys: a missing key, an additional one or another stream's
//! identifier is reported as 31951, a message it cannot even decode as 31950 (Twilio: api/errors/31950 and 31951).
//! Keys written twice are taken as additional ones. Which code bad base64 earns is not documented; here it is 31951,
//! since the message itself could be decoded.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use thiserror::Error as ThisError;

use super::Outbound;
use crate::twilio::sid::StreamSid;

/// A message that Twilio would report.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Violation {
    /// A binary frame. The socket sees this, not [`parse_strict`].
    #[error("a binary frame")]
    Binary,
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// A documented key is absent.
    #[error("without {0}")]
    Missing(&'static str),
    /// A key that is not documented for this event, or a key for the second time.
    #[error("with an extra field {0:?}")]
    Extra(String),
    /// A value that is not a string, or not an object, where one is documented.
    #[error("with a {0} of the wrong type")]
    Type(&'static str),
    /// An event that a server may not send.
    #[error("an unknown event {0:?}")]
    UnknownEvent(String),
    /// Another stream, or none.
    #[error("for another stream: {0:?}")]
    WrongStream(String),
    /// Audio that is not base64.
    #[error("with audio that is not base64")]
    BadBase64,
}

impl Violation {
    /// Twilio's number for it. Each is a warning that Twilio raises once per stream.
    pub fn code(&self) -> u16 {
        match self {
            Self::Binary => 31950,
            Self::NotJson
            | Self::Missing(_)
            | Self::Extra(_)
            | Self::Type(_)
            | Self::UnknownEvent(_)
            | Self::WrongStream(_)
            | Self::BadBase64 => 31951,
        }
    }
}

/// Reads a message from a server, or says what Twilio would hold against it.
pub fn parse_strict(text: &str, stream_sid: &StreamSid) -> Result<Outbound, Violation> {
    let Ok(Value::Object(mut message)) = serde_json::from_str(text) else {
        return Err(Violation::NotJson);
    };
    let event = message.text("event")?;
    let sent = message.text("streamSid");
    let outbound = match &*event {
        "media" => {
            let payload = message.only("media", "payload", "media.payload")?;
            let payload = STANDARD.decode(payload).map_err(|_| Violation::BadBase64)?;
            Outbound::Media { payload: payload.into() }
        }
        "mark" => Outbound::Mark { name: message.only("mark", "name", "mark.name")? },
        "clear" => Outbound::Clear,
        _ => return Err(Violation::UnknownEvent(event)),
    };
    let sent = sent?;
    if sent != stream_sid.as_str() {
        return Err(Violation::WrongStream(sent));
    }
    message.finish("")?;
    Ok(outbound)
}

/// JSON with every key kept, even one that is written twice; only strings and objects matter here.
enum Value {
    Text(String),
    Object(Object),
    Other,
}

struct Object(Vec<(String, Value)>);

impl Object {
    fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    fn text(&mut self, key: &'static str) -> Result<String, Violation> {
        match self.take(key) {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Object(_) | Value::Other) => Err(Violation::Type(key)),
            None => Err(Violation::Missing(key)),
        }
    }

    /// The one string inside the one object that an event has.
    fn only(&mut self, outer: &'static str, inner: &'static str, path: &'static str) -> Result<String, Violation> {
        let mut object = match self.take(outer) {
            Some(Value::Object(object)) => object,
            Some(Value::Text(_) | Value::Other) => return Err(Violation::Type(outer)),
            None => return Err(Violation::Missing(outer)),
        };
        let text = match object.take(inner) {
            Some(Value::Text(text)) => text,
            Some(Value::Object(_) | Value::Other) => return Err(Violation::Type(path)),
            None => return Err(Violation::Missing(path)),
        };
        object.finish(outer)?;
        Ok(text)
    }

    fn finish(self, path: &str) -> Result<(), Violation> {
        let Some((name, _)) = self.0.into_iter().next() else {
            return Ok(());
        };
        Err(Violation::Extra(if path.is_empty() { name } else { format!("{path}.{name}") }))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Value::Object(Object(pairs)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "MZ00000000000000000000000000000001";

    fn strict(template: &str) -> Result<Outbound, Violation> {
        parse_strict(&template.replace("SID", SID), &StreamSid::from_number(1))
    }

    #[test]
    fn the_three_documented_messages_are_accepted() {
        assert_eq!(
            strict(r#"{"event":"media","streamSid":"SID","media":{"payload":"/38A"}}"#),
            Ok(Outbound::Media { payload: vec![0xff, 0x7f, 0].into() })
        );
        assert_eq!(
            strict(r#"{"mark":{"name":"a"},"streamSid":"SID","event":"mark"}"#),
            Ok(Outbound::Mark { name: "a".into() })
        );
        assert_eq!(strict(r#"{"event":"clear","streamSid":"SID"}"#), Ok(Outbound::Clear));
    }

    #[test]
    fn anything_else_is_named_and_numbered() {
        for (message, violation) in [
            ("[1]", Violation::NotJson),
            ("{", Violation::NotJson),
            (r#"{"streamSid":"SID"}"#, Violation::Missing("event")),
            (r#"{"event":"clear"}"#, Violation::Missing("streamSid")),
            (r#"{"event":"clear","streamSid":7}"#, Violation::Type("streamSid")),
            (r#"{"event":"clear","streamSid":"MZ2"}"#, Violation::WrongStream("MZ2".into())),
            (r#"{"event":"stop","streamSid":"SID"}"#, Violation::UnknownEvent("stop".into())),
            (r#"{"event":"clear","streamSid":"SID","x":[1,{}]}"#, Violation::Extra("x".into())),
            (r#"{"event":"clear","streamSid":"SID","event":"clear"}"#, Violation::Extra("event".into())),
            (r#"{"event":"clear","streamSid":"SID","mark":{"name":"a"}}"#, Violation::Extra("mark".into())),
            (r#"{"event":"media","streamSid":"SID"}"#, Violation::Missing("media")),
            (r#"{"event":"media","streamSid":"SID","media":{}}"#, Violation::Missing("media.payload")),
            (r#"{"event":"media","streamSid":"SID","media":"/38A"}"#, Violation::Type("media")),
            (r#"{"event":"media","streamSid":"SID","media":{"payload":"/38"}}"#, Violation::BadBase64),
            (
                r#"{"event":"media","streamSid":"SID","media":{"payload":"/38A","track":"outbound"}}"#,
                Violation::Extra("media.track".into()),
            ),
            (r#"{"event":"mark","streamSid":"SID","mark":{"name":1}}"#, Violation::Type("mark.name")),
        ] {
            let read = strict(message);
            assert_eq!(read, Err(violation), "{message}");
            assert_eq!(read.unwrap_err().code(), 31951);
        }
        assert_eq!(Violation::Binary.code(), 31950);
    }
}
