//! What we send on a stream: audio, marks, and the order to forget what was not played yet.
//!
//! Messages are written by template, in one pass into a buffer the caller reuses, with exactly the documented keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::twilio::sid::StreamSid;

/// A message to Twilio.
#[derive(Clone, PartialEq, Eq)]
pub enum Outbound {
    /// Audio to queue behind what was sent before.
    Media {
        /// Raw mu-law bytes at 8000 Hz, of any length, without a header.
        payload: Bytes,
    },
    /// A mark, which comes back when everything before it was played or cleared.
    Mark {
        /// Its name; unique within a stream, so that its return says which one it was.
        name: String,
    },
    /// Forget the audio that was not played yet, and return all marks.
    Clear,
}

impl Outbound {
    /// Appends the message to `out`.
    pub fn write(&self, stream_sid: &StreamSid, out: &mut String) {
        match self {
            Self::Media { payload } => {
                // Keys and punctuation come to about 80 bytes; one reservation keeps the frame to one allocation.
                out.reserve(96 + payload.len().div_ceil(3) * 4);
                out.push_str("{\"event\":\"media\",\"streamSid\":\"");
                out.push_str(stream_sid.as_str());
                out.push_str("\",\"media\":{\"payload\":\"");
                STANDARD.encode_string(payload, out);
                out.push_str("\"}}");
            }
            Self::Mark { name } => {
                out.push_str("{\"event\":\"mark\",\"streamSid\":\"");
                out.push_str(stream_sid.as_str());
                out.push_str("\",\"mark\":{\"name\":");
                write_json_string(name, out);
                out.push_str("}}");
            }
            Self::Clear => {
                out.push_str("{\"event\":\"clear\",\"streamSid\":\"");
                out.push_str(stream_sid.as_str());
                out.push_str("\"}");
            }
        }
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Media { payload } => f.debug_struct("Media").field("payload_bytes", &payload.len()).finish(),
            Self::Mark { name } => f.debug_struct("Mark").field("name", name).finish(),
            Self::Clear => f.write_str("Clear"),
        }
    }
}

/// Appends a string in quotes, escaped as JSON demands (RFC 8259, section 7).
pub(super) fn write_json_string(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => {
                let code = character as usize;
                out.push_str("\\u00");
                out.push(char::from(HEX[code >> 4]));
                out.push(char::from(HEX[code & 15]));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &Outbound) -> String {
        let mut out = String::new();
        message.write(&StreamSid::from_number(0xab), &mut out);
        out
    }

    #[test]
    fn messages_have_exactly_the_documented_keys() {
        assert_eq!(
            written(&Outbound::Media { payload: Bytes::from_static(&[0xff, 0x7f, 0x00]) }),
            r#"{"event":"media","streamSid":"MZ000000000000000000000000000000ab","media":{"payload":"/38A"}}"#
        );
        assert_eq!(
            written(&Outbound::Mark { name: "3:1".into() }),
            r#"{"event":"mark","streamSid":"MZ000000000000000000000000000000ab","mark":{"name":"3:1"}}"#
        );
        assert_eq!(written(&Outbound::Clear), r#"{"event":"clear","streamSid":"MZ000000000000000000000000000000ab"}"#);
    }

    #[test]
    fn a_mark_name_cannot_break_out_of_its_quotes() {
        let message = written(&Outbound::Mark { name: "\"},\"x\":\"\\\n\u{1}é".into() });
        let value: serde_json::Value = serde_json::from_str(&message).unwrap();
        assert_eq!(value["mark"]["name"], "\"},\"x\":\"\\\n\u{1}é");
        assert_eq!(value.as_object().unwrap().len(), 3);
    }

    #[test]
    fn audio_does_not_print() {
        let message = Outbound::Media { payload: Bytes::from_static(&[1; 160]) };
        assert_eq!(format!("{message:?}"), "Media { payload_bytes: 160 }");
    }

    #[test]
    fn a_message_is_appended_to_what_is_there() {
        let mut out = String::from("before");
        Outbound::Clear.write(&StreamSid::from_number(1), &mut out);
        assert!(out.starts_with("before{"));
    }
}
