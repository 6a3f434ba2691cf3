//! TwiML: the answer to a voice webhook, as types that write themselves.
//!
//! The writer promises a document that starts at byte 0 with its declaration, in which no text can break out of its
//! element, and that holds no character XML 1.0 forbids. It knows the verbs this product speaks and nothing else.
//! [`read`] is the other end, for the simulated Twilio.
//!
//! URLs should be absolute: TwiML that was given by REST has no document to be relative to (Twilio: api/errors/15004).

pub mod read;
mod write;

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::pii::Pii;

/// The largest document Twilio takes from a webhook, in bytes (Twilio: api/errors/11750).
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// The longest document Twilio takes as the REST parameter `Twiml`, in characters (Twilio: api/errors/32018).
pub const PARAMETER_CHARS_MAX: usize = 4_000;

/// A document: verbs that are carried out in order. At its end the call is hung up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// What to do, in order.
    pub verbs: Vec<Verb>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Hand the call's audio to a WebSocket, until that ends.
    Connect(Connect),
    /// Speak.
    Say(Say),
    /// Play a file.
    Play {
        /// Where it is.
        url: String,
    },
    /// Wait in silence.
    Pause {
        /// How long, in whole seconds; a part of a second counts as one.
        length: Duration,
    },
    /// Go on with another document.
    Redirect(Webhook),
    /// Call someone and connect the two.
    Dial(Dial),
    /// End the call.
    Hangup,
    /// Do not answer; only as the first verb.
    Reject(RejectReason),
}

/// A URL that Twilio shall request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where.
    pub url: String,
    /// How.
    pub method: Method,
}

/// How a webhook is requested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// The keys are in the query.
    Get,
    /// The keys are in the body; Twilio's default, and ours.
    #[default]
    Post,
}

/// A two-way media stream, and where to go on when it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// What to request when the stream ended; without it the next verb follows.
    pub action: Option<Webhook>,
    /// The stream.
    pub stream: Stream,
}

/// Where a media stream goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Stream {
    /// A `wss` URL without a query: Twilio drops queries.
    pub url: String,
    /// A name that is unique within the call.
    pub name: Option<String>,
    /// Where the stream's start, end and errors are reported.
    pub status_callback: Option<Webhook>,
    /// Pairs that come back in the stream's `start` message. They may be secrets and are not printed.
    pub parameters: Vec<(String, String)>,
}

/// Words to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// The words.
    pub text: String,
    /// Whose voice.
    pub voice: Option<String>,
    /// In which language, such as `en-US`.
    pub language: Option<String>,
}

/// A party to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// E.164.
    pub number: Pii<String>,
    /// The number shown to the party: one that we own, or the caller's.
    pub caller_id: Option<Pii<String>>,
    /// What to request when the party is gone; without it the next verb follows.
    pub action: Option<Webhook>,
    /// How long it rings, in whole seconds; 30 s by default.
    pub timeout: Option<Duration>,
    /// How long the two may talk, in whole seconds; four hours by default (Twilio: voice/twiml/dial).
    pub time_limit: Option<Duration>,
}

/// What the caller of a rejected call hears.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RejectReason {
    /// That the number is not in service.
    #[default]
    Rejected,
    /// A busy tone.
    Busy,
}

/// A document that Twilio would refuse for its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("document of {size} where {max} are allowed ({code})")]
pub struct TooLarge {
    /// Its size, in the unit of the limit.
    pub size: usize,
    /// The limit.
    pub max: usize,
    /// Twilio's number for it.
    pub code: u32,
}

/// Checks a document that answers a webhook.
pub fn check_size(document: &str) -> Result<(), TooLarge> {
    limit(document.len(), DOCUMENT_BYTES_MAX, 11750)
}

/// Checks a document that is given by REST, where less is allowed.
pub fn check_parameter_size(document: &str) -> Result<(), TooLarge> {
    limit(document.chars().count(), PARAMETER_CHARS_MAX, 32018)
}

fn limit(size: usize, max: usize, code: u32) -> Result<(), TooLarge> {
    if size > max { Err(TooLarge { size, max, code }) } else { Ok(()) }
}

impl Response {
    /// A document that does nothing, so that the call ends.
    pub fn new() -> Self {
        Self::default()
    }

    /// This document with one more verb.
    #[must_use]
    pub fn then(mut self, verb: Verb) -> Self {
        self.verbs.push(verb);
        self
    }
}

impl<const N: usize> From<[Verb; N]> for Response {
    fn from(verbs: [Verb; N]) -> Self {
        Self { verbs: verbs.into() }
    }
}

impl Webhook {
    /// A URL that is requested by `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self { url: url.into(), method: Method::Post }
    }

    /// A URL that is requested by `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self { url: url.into(), method: Method::Get }
    }
}

impl Method {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            _ => None,
        }
    }
}

impl Say {
    /// Words in Twilio's default voice and language.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), voice: None, language: None }
    }
}

impl RejectReason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Busy => "busy",
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.parameters.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Stream")
            .field("url", &self.url)
            .field("name", &self.name)
            .field("status_callback", &self.status_callback)
            .field("parameters", &names)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_exactly_the_limit_passes() {
        assert_eq!(check_size(&"x".repeat(DOCUMENT_BYTES_MAX)), Ok(()));
        let error = check_size(&"x".repeat(DOCUMENT_BYTES_MAX + 1)).unwrap_err();
        assert_eq!((error.code, error.size), (11750, DOCUMENT_BYTES_MAX + 1));
        assert_eq!(check_parameter_size(&"é".repeat(PARAMETER_CHARS_MAX)), Ok(()));
        assert_eq!(check_parameter_size(&"é".repeat(PARAMETER_CHARS_MAX + 1)).unwrap_err().code, 32018);
    }

    #[test]
    fn parameters_and_numbers_do_not_print() {
        let response = Response::from([
            Verb::Connect(Connect {
                action: None,
                stream: Stream {
                    url: "wss://example.com/s".into(),
                    name: None,
                    status_callback: None,
                    parameters: vec![("token".into(), "opaque-value".into())],
                },
            }),
            Verb::Dial(Dial {
                number: "+12025550123".into(),
                caller_id: None,
                action: None,
                timeout: None,
                time_limit: None,
            }),
        ]);
        let printed = format!("{response:?}");
        assert!(printed.contains("token"));
        assert!(!printed.contains("opaque-value") && !printed.contains("2025550123"), "{printed}");
    }
}
