//! Reading TwiML as Twilio would, for the simulated Twilio: into the verbs the writer knows and a few more that the
//! simulation carries out, with Twilio's numbers for what is wrong.
//!
//! What cannot be parsed is refused whole (12100). An unknown element or attribute is a warning and is skipped (12200).
//! A verb that Twilio knows and nobody here carries out comes back as [`Instruction::Unsupported`], by name. Attributes that
//! Twilio knows and our types do not hold are accepted without effect, as is markup inside spoken text.
//!
//! Not checked here: whether URLs answer, and whether numbers exist.

mod input;
mod one_way;
mod schema;
mod xml;

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

pub use self::input::{Gather, Record, RecordingEvent};
pub use self::one_way::{OneWay, Track};

use self::schema::{Kind, attributes_of, kind_of_noun, kind_of_verb};
use self::xml::Element;
use super::{Connect, Dial, Method, RejectReason, Say, Stream, Verb, Webhook, check_size};
use crate::pii::Pii;

/// A document as Twilio understood it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// What to do, in order.
    pub instructions: Vec<Instruction>,
    /// What Twilio would report and then go on.
    pub warnings: Vec<Warning>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// A verb that we write.
    Verb(Verb),
    /// Collect keys.
    Gather(Gather),
    /// Record the caller.
    Record(Record),
    /// Begin a stream that listens, and go on.
    Start(OneWay),
    /// End it.
    Stop {
        /// The name that the stream was given.
        name: String,
    },
    /// A verb, or a noun inside one, that Twilio knows and nobody here carries out: `Enqueue`, `Connect/ConversationRelay`.
    Unsupported(String),
}

/// Something Twilio reports and skips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Twilio's number: 12200.
    pub code: u32,
    /// What it is about.
    pub detail: String,
}

/// Why Twilio would not carry a document out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {detail}")]
pub struct TwimlError {
    /// Twilio's number.
    pub code: u32,
    /// What is wrong.
    pub detail: String,
}

/// Whether streams may go to this machine without encryption, which only a simulation may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// `ws://` is allowed to `localhost`, `127.0.0.0/8` and `[::1]`.
    Allowed,
    /// Only `wss://`, as at Twilio.
    Refused,
}

/// Reads a document.
pub fn read(document: &str, loopback: Loopback) -> Result<Document, TwimlError> {
    check_size(document).map_err(|error| fault(error.code, error.to_string()))?;
    let root = xml::parse(document).map_err(|detail| fault(12100, detail))?;
    if root.name != "Response" {
        return Err(fault(12100, format!("{} where Response is wanted", root.name)));
    }
    let mut reader = Reader { loopback, document: Document::default() };
    reader.check_attributes(&root, "Response");
    if root.has_text() {
        reader.warn("text between verbs");
    }
    for element in root.children() {
        reader.verb(element)?;
    }
    Ok(reader.document)
}

fn fault(code: u32, detail: impl Into<String>) -> TwimlError {
    TwimlError { code, detail: detail.into() }
}

struct Reader {
    loopback: Loopback,
    document: Document,
}

impl Reader {
    fn verb(&mut self, element: &Element) -> Result<(), TwimlError> {
        let name = element.name.as_str();
        match kind_of_verb(name) {
            Kind::Unknown => {
                self.warn(format!("unknown element {name}"));
                return Ok(());
            }
            Kind::Unsupported => {
                self.document.instructions.push(Instruction::Unsupported(name.to_owned()));
                return Ok(());
            }
            Kind::Supported => self.check_attributes(element, name),
        }
        let verb = match name {
            "Connect" => return self.connect(element),
            "Dial" => {
                self.dial(element);
                return Ok(());
            }
            "Gather" => return self.gather(element),
            "Record" => {
                self.record(element);
                return Ok(());
            }
            "Start" => return self.start(element),
            "Stop" => {
                self.stop(element);
                return Ok(());
            }
            "Say" => Verb::Say(Say {
                text: element.all_text(),
                voice: text(element, "voice"),
                language: text(element, "language"),
            }),
            "Play" if text(element, "digits").is_some() => {
                self.document.instructions.push(Instruction::Unsupported("Play digits".into()));
                return Ok(());
            }
            "Play" => Verb::Play { url: element.all_text().trim().to_owned() },
            "Pause" => Verb::Pause { length: self.seconds(element, "length").unwrap_or(Duration::from_secs(1)) },
            "Redirect" => Verb::Redirect(Webhook {
                url: element.all_text().trim().to_owned(),
                method: self.method(element, "method"),
            }),
            "Reject" => Verb::Reject(self.reject_reason(element)),
            _ => Verb::Hangup,
        };
        self.document.instructions.push(Instruction::Verb(verb));
        Ok(())
    }

    fn connect(&mut self, element: &Element) -> Result<(), TwimlError> {
        let Some(noun) = self.noun(element, "Connect") else {
            return Ok(());
        };
        if let Some(track) = text(noun, "track").filter(|track| track != "inbound_track") {
            return Err(fault(31941, format!("track {track:?} on a two-way stream")));
        }
        let connect = Connect { action: self.webhook(element, "action", "method"), stream: self.stream(noun)? };
        self.document.instructions.push(Instruction::Verb(Verb::Connect(connect)));
        Ok(())
    }

    fn stream(&mut self, element: &Element) -> Result<Stream, TwimlError> {
        let mut parameters = Vec::new();
        for child in element.children() {
            if child.name != "Parameter" {
                self.warn(format!("unknown element {} in Stream", child.name));
                continue;
            }
            self.check_attributes(child, "Parameter");
            match (text(child, "name"), text(child, "value")) {
                (Some(name), Some(value)) => parameters.push((name, value)),
                _ => self.warn("Parameter without a name or a value"),
            }
        }
        Ok(Stream {
            url: stream_url(&text(element, "url").unwrap_or_default(), self.loopback)?,
            name: text(element, "name"),
            status_callback: self.webhook(element, "statusCallback", "statusCallbackMethod"),
            parameters,
        })
    }

    fn dial(&mut self, element: &Element) {
        // The number stands in a noun, or bare.
        let number = if element.children().next().is_some() {
            let Some(noun) = self.noun(element, "Dial") else {
                return;
            };
            noun.all_text()
        } else {
            element.all_text()
        };
        let dial = Dial {
            number: Pii::new(number.trim().to_owned()),
            caller_id: text(element, "callerId").map(Pii::new),
            action: self.webhook(element, "action", "method"),
            timeout: self.seconds(element, "timeout"),
            time_limit: self.seconds(element, "timeLimit"),
        };
        self.document.instructions.push(Instruction::Verb(Verb::Dial(dial)));
    }

    /// The one noun inside a verb, if it is one that we write. Otherwise what is there has been noted.
    fn noun<'e>(&mut self, element: &'e Element, verb: &str) -> Option<&'e Element> {
        let mut found = None;
        for child in element.children() {
            match kind_of_noun(verb, &child.name) {
                Kind::Unknown => self.warn(format!("unknown element {} in {verb}", child.name)),
                Kind::Supported if found.is_none() => {
                    self.check_attributes(child, &child.name);
                    found = Some(child);
                }
                Kind::Supported | Kind::Unsupported => {
                    let name = format!("{verb}/{}", child.name);
                    self.document.instructions.push(Instruction::Unsupported(name));
                    return None;
                }
            }
        }
        if found.is_none() {
            self.warn(format!("{verb} with nothing inside"));
        }
        found
    }

    fn check_attributes(&mut self, element: &Element, schema: &str) {
        for (name, _) in &element.attributes {
            if !attributes_of(schema).contains(&name.as_str()) {
                self.warn(format!("unknown attribute {name} on {schema}"));
            }
        }
    }

    fn webhook(&mut self, element: &Element, url: &str, method: &str) -> Option<Webhook> {
        let method = self.method(element, method);
        text(element, url).map(|url| Webhook { url, method })
    }

    fn method(&mut self, element: &Element, name: &str) -> Method {
        self.read_or_warn(element, name, Method::parse).unwrap_or_default()
    }

    fn seconds(&mut self, element: &Element, name: &str) -> Option<Duration> {
        self.read_or_warn(element, name, |value| u64::from_str(value).ok().map(Duration::from_secs))
    }

    fn reject_reason(&mut self, element: &Element) -> RejectReason {
        let read = |value: &str| match value {
            "rejected" => Some(RejectReason::Rejected),
            "busy" => Some(RejectReason::Busy),
            _ => None,
        };
        self.read_or_warn(element, "reason", read).unwrap_or_default()
    }

    fn read_or_warn<T>(&mut self, element: &Element, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = text(element, name)?;
        let read = read(&value);
        if read.is_none() {
            self.warn(format!("{name} cannot be {value:?} on {}", element.name));
        }
        read
    }

    fn warn(&mut self, detail: impl Into<String>) {
        self.document.warnings.push(Warning { code: 12200, detail: detail.into() });
    }
}

fn text(element: &Element, attribute: &str) -> Option<String> {
    element.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.clone())
}

/// The URL that would be dialled: checked, and without its query (Twilio: voice/twiml/stream).
fn stream_url(url: &str, loopback: Loopback) -> Result<String, TwimlError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(fault(31923, format!("{url:?} is not an absolute URL")));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains(|character: char| character.is_whitespace() || character == '@') {
        return Err(fault(31923, format!("{url:?} has no usable host")));
    }
    match scheme {
        "wss" => {}
        "ws" if loopback == Loopback::Allowed && is_loopback(authority) => {}
        _ => return Err(fault(31922, format!("scheme {scheme:?} where wss is wanted"))),
    }
    Ok(url.split(['?', '#']).next().unwrap_or_default().to_owned())
}

fn is_loopback(authority: &str) -> bool {
    if authority == "[::1]" || authority.starts_with("[::1]:") {
        return true;
    }
    let host = authority.split(':').next().unwrap_or_default();
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
