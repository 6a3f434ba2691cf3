//! Media Streams: the WebSocket messages between Twilio and the media node, both ways.
//!
//! [`parse`] reads what Twilio sends, leniently and mostly without allocating: text is borrowed from the message, and a
//! frame's audio is decoded into a buffer that the caller reuses. [`Outbound`] writes what we send, with exactly the
//! documented keys, because an extra key is a fault to Twilio (error 31951). [`server`] and [`phone`] are the other
//! ends of both, for the simulated Twilio.
//!
//! Left to others: the bound on a message's size (the socket refuses larger ones before they get here), and pacing,
//! marks and order, which are rules of a call. Source: Twilio, voice/media-streams/websocket-messages.

mod outbound;
pub mod phone;
pub mod server;
mod shape;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use thiserror::Error;

pub use self::outbound::Outbound;
use self::shape::{Counter, DtmfBody, MarkBody, MediaBody, Message, StartBody, Text};
use super::sid::{AccountSid, CallSid, StreamSid};
use crate::pii::Pii;

/// Samples per second of all audio on a stream, in mu-law bytes.
pub const SAMPLE_RATE_HZ: u32 = 8_000;

/// Bytes of one 20 ms frame.
pub const FRAME_BYTES: usize = 160;

/// A message from Twilio.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound<'a> {
    /// The first message.
    Connected {
        /// `Call`.
        protocol: Cow<'a, str>,
        /// `1.0.0`.
        version: Cow<'a, str>,
    },
    /// The second message, once: what the stream belongs to.
    Start(Start),
    /// Audio.
    Media(Media<'a>),
    /// A key was pressed.
    Dtmf(Dtmf<'a>),
    /// A mark of ours came back.
    Mark(Mark<'a>),
    /// The stream ended, or the call.
    Stop(Stop),
    /// An event this version does not know; to be counted and ignored.
    Unknown {
        /// Its name.
        event: Cow<'a, str>,
    },
}

/// What a stream belongs to.
#[derive(Clone, PartialEq)]
pub struct Start {
    /// Position in the stream's messages, from 1; 0 if the message did not say.
    pub sequence_number: u64,
    /// The stream.
    pub stream_sid: StreamSid,
    /// The account that owns the call.
    pub account_sid: AccountSid,
    /// The call's leg.
    pub call_sid: CallSid,
    /// `inbound`, and `outbound` too on some one-way streams.
    pub tracks: Vec<String>,
    /// The `<Parameter>`s of the TwiML. They may be secrets and are not printed.
    pub custom_parameters: BTreeMap<String, String>,
    /// How audio is written, if the message says so.
    pub media_format: Option<MediaFormat>,
}

/// How audio is written. Documented as always mu-law, 8000 Hz, one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFormat {
    /// `audio/x-mulaw`.
    pub encoding: String,
    /// Samples per second.
    pub sample_rate_hz: u64,
    /// 1.
    pub channels: u64,
}

impl MediaFormat {
    /// Whether this is the format that all our audio code takes for granted.
    pub fn is_telephone(&self) -> bool {
        self.encoding == "audio/x-mulaw" && self.sample_rate_hz == u64::from(SAMPLE_RATE_HZ) && self.channels == 1
    }
}

/// Some audio, normally 20 ms.
#[derive(Clone, PartialEq)]
pub struct Media<'a> {
    /// Position in the stream's messages; 0 if the message did not say.
    pub sequence_number: u64,
    /// The stream, if the message said so.
    pub stream_sid: Option<StreamSid>,
    /// Whose voice this is.
    pub track: Track<'a>,
    /// Position in the track's audio messages, from 1; 0 if the message did not say.
    pub chunk: u64,
    /// Milliseconds since the stream started. The only position of audio to trust: chunks may have been dropped.
    pub timestamp_ms: u64,
    /// Base64 of mu-law bytes.
    pub payload: Cow<'a, str>,
}

/// Direction of audio, seen from Twilio. Spelled with and without `_track` on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Track<'a> {
    /// From the caller.
    Inbound,
    /// To the caller.
    Outbound,
    /// A direction this version does not know.
    Other(Cow<'a, str>),
}

/// A key that was pressed; no duration is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dtmf<'a> {
    /// Position in the stream's messages; 0 if the message did not say.
    pub sequence_number: u64,
    /// The stream, if the message said so.
    pub stream_sid: Option<StreamSid>,
    /// `0`-`9`, `*`, `#`, perhaps `A`-`D`. People key in card numbers, so it does not print.
    pub digit: Pii<Cow<'a, str>>,
}

/// A mark of ours that came back: everything before it was played, or was cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark<'a> {
    /// Position in the stream's messages; 0 if the message did not say.
    pub sequence_number: u64,
    /// The stream, if the message said so.
    pub stream_sid: Option<StreamSid>,
    /// The name we gave.
    pub name: Cow<'a, str>,
}

/// The end of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Position in the stream's messages; 0 if the message did not say.
    pub sequence_number: u64,
    /// The stream, if the message said so.
    pub stream_sid: Option<StreamSid>,
    /// The account, if the message said so.
    pub account_sid: Option<AccountSid>,
    /// The call's leg, if the message said so.
    pub call_sid: Option<CallSid>,
}

/// Why a message from Twilio could not be read. Each is counted, and the call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Not JSON.
    #[error("not JSON")]
    NotJson,
    /// JSON, but a value of another type than documented, or a key twice.
    #[error("not of the documented shape")]
    Shape,
    /// No `event`.
    #[error("without an event")]
    NoEvent,
    /// Something that the event means nothing without.
    #[error("without {0}")]
    Missing(&'static str),
    /// Not a whole number of at least zero.
    #[error("with a {0} that is not a number")]
    NotANumber(&'static str),
    /// Not an identifier of its kind.
    #[error("with a {0} that is not an identifier")]
    BadSid(&'static str),
    /// Audio that is not base64.
    #[error("with audio that is not base64")]
    BadBase64,
}

/// Reads one message. Unknown keys are ignored, numbers may be strings or numbers, unknown events are reported as such.
pub fn parse(text: &str) -> Result<Inbound<'_>, ParseError> {
    let message: Message<'_> = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) if error.is_data() => return unknown_or(text, ParseError::Shape),
        Err(_) => return Err(ParseError::NotJson),
    };
    let Some(Text(event)) = message.event else {
        return Err(ParseError::NoEvent);
    };
    let sequence_number = optional_number(message.sequence_number, "sequenceNumber")?;
    let stream_sid = sid(message.stream_sid, "streamSid", StreamSid::parse)?;
    match &*event {
        "media" => media(message.media, sequence_number, stream_sid),
        "mark" => mark(message.mark, sequence_number, stream_sid),
        "dtmf" => dtmf(message.dtmf, sequence_number, stream_sid),
        "connected" => Ok(Inbound::Connected {
            protocol: message.protocol.unwrap_or_default().0,
            version: message.version.unwrap_or_default().0,
        }),
        "start" => start(message.start, sequence_number, stream_sid),
        "stop" => {
            let body = message.stop.unwrap_or_default();
            Ok(Inbound::Stop(Stop {
                sequence_number,
                stream_sid,
                account_sid: sid(body.account_sid, "stop.accountSid", AccountSid::parse)?,
                call_sid: sid(body.call_sid, "stop.callSid", CallSid::parse)?,
            }))
        }
        _ => Ok(Inbound::Unknown { event }),
    }
}

impl Media<'_> {
    /// Appends the audio, as mu-law bytes, and says how many there were. On an error nothing is appended.
    pub fn decode(&self, out: &mut Vec<u8>) -> Result<usize, ParseError> {
        let before = out.len();
        match LENIENT_BASE64.decode_vec(self.payload.as_bytes(), out) {
            Ok(()) => Ok(out.len() - before),
            Err(_) => {
                out.truncate(before);
                Err(ParseError::BadBase64)
            }
        }
    }
}

impl fmt::Debug for Media<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media")
            .field("sequence_number", &self.sequence_number)
            .field("stream_sid", &self.stream_sid)
            .field("track", &self.track)
            .field("chunk", &self.chunk)
            .field("timestamp_ms", &self.timestamp_ms)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("sequence_number", &self.sequence_number)
            .field("stream_sid", &self.stream_sid)
            .field("account_sid", &self.account_sid)
            .field("call_sid", &self.call_sid)
            .field("tracks", &self.tracks)
            .field("custom_parameters", &self.custom_parameters.keys())
            .field("media_format", &self.media_format)
            .finish()
    }
}

fn media<'a>(
    body: Option<MediaBody<'a>>,
    sequence_number: u64,
    stream_sid: Option<StreamSid>,
) -> Result<Inbound<'a>, ParseError> {
    let body = body.ok_or(ParseError::Missing("media"))?;
    let timestamp = body.timestamp.ok_or(ParseError::Missing("media.timestamp"))?;
    let Text(payload) = body.payload.ok_or(ParseError::Missing("media.payload"))?;
    Ok(Inbound::Media(Media {
        sequence_number,
        stream_sid,
        track: match body.track {
            None => Track::Inbound,
            Some(Text(track)) => match &*track {
                "inbound" | "inbound_track" => Track::Inbound,
                "outbound" | "outbound_track" => Track::Outbound,
                _ => Track::Other(track),
            },
        },
        chunk: optional_number(body.chunk, "media.chunk")?,
        timestamp_ms: number(timestamp, "media.timestamp")?,
        payload,
    }))
}

fn mark<'a>(
    body: Option<MarkBody<'a>>,
    sequence_number: u64,
    stream_sid: Option<StreamSid>,
) -> Result<Inbound<'a>, ParseError> {
    let body = body.ok_or(ParseError::Missing("mark"))?;
    let Text(name) = body.name.ok_or(ParseError::Missing("mark.name"))?;
    Ok(Inbound::Mark(Mark { sequence_number, stream_sid, name }))
}

fn dtmf<'a>(
    body: Option<DtmfBody<'a>>,
    sequence_number: u64,
    stream_sid: Option<StreamSid>,
) -> Result<Inbound<'a>, ParseError> {
    let body = body.ok_or(ParseError::Missing("dtmf"))?;
    let Text(digit) = body.digit.ok_or(ParseError::Missing("dtmf.digit"))?;
    Ok(Inbound::Dtmf(Dtmf { sequence_number, stream_sid, digit: Pii::new(digit) }))
}

fn start<'a>(
    body: Option<StartBody<'a>>,
    sequence_number: u64,
    outer_sid: Option<StreamSid>,
) -> Result<Inbound<'a>, ParseError> {
    let body = body.ok_or(ParseError::Missing("start"))?;
    let inner_sid = sid(body.stream_sid, "start.streamSid", StreamSid::parse)?;
    let media_format = match body.media_format {
        None => None,
        Some(format) => Some(MediaFormat {
            encoding: format.encoding.unwrap_or_default().0.into_owned(),
            sample_rate_hz: optional_number(format.sample_rate, "start.mediaFormat.sampleRate")?,
            channels: optional_number(format.channels, "start.mediaFormat.channels")?,
        }),
    };
    Ok(Inbound::Start(Start {
        sequence_number,
        stream_sid: inner_sid.or(outer_sid).ok_or(ParseError::Missing("streamSid"))?,
        account_sid: sid(body.account_sid, "start.accountSid", AccountSid::parse)?
            .ok_or(ParseError::Missing("start.accountSid"))?,
        call_sid: sid(body.call_sid, "start.callSid", CallSid::parse)?.ok_or(ParseError::Missing("start.callSid"))?,
        tracks: body.tracks.unwrap_or_default(),
        custom_parameters: body.custom_parameters.unwrap_or_default(),
        media_format,
    }))
}

/// An event that we do not know may use our keys in its own way; that is no fault of it.
fn unknown_or(text: &str, otherwise: ParseError) -> Result<Inbound<'_>, ParseError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        event: Option<Text<'a>>,
    }
    let known = ["connected", "start", "media", "dtmf", "mark", "stop"];
    match serde_json::from_str::<Event<'_>>(text) {
        Ok(Event { event: Some(Text(event)) }) if !known.contains(&&*event) => Ok(Inbound::Unknown { event }),
        Ok(_) | Err(_) => Err(otherwise),
    }
}

fn number(counter: Counter, field: &'static str) -> Result<u64, ParseError> {
    match counter {
        Counter::Number(number) => Ok(number),
        Counter::Other => Err(ParseError::NotANumber(field)),
    }
}

fn optional_number(counter: Option<Counter>, field: &'static str) -> Result<u64, ParseError> {
    counter.map_or(Ok(0), |counter| number(counter, field))
}

fn sid<T, E>(
    text: Option<Text<'_>>,
    field: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, ParseError> {
    text.map(|Text(text)| parse(&text).map_err(|_| ParseError::BadSid(field))).transpose()
}

/// Padding is not needed to know what was meant.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests;
