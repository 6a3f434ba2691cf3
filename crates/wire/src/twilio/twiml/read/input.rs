//! Verbs that take something from the caller: keys, or words on a tape.

use std::str::FromStr;
use std::time::Duration;

use super::xml::Element;
use super::{Instruction, Reader, TwimlError, text};
use crate::twilio::twiml::{Verb, Webhook};

/// Keys of a telephone.
const KEYS: &str = "1234567890*#";

/// Collect keys (Twilio: voice/twiml/gather). Speech is read and has no further type here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// What to request with the keys; the document's own URL if none was named, which is the empty relative one.
    pub action: Webhook,
    /// Whether keys are listened for.
    pub keys: bool,
    /// Whether words are.
    pub speech: bool,
    /// After the prompts, and after each key, so long without one ends it.
    pub timeout: Duration,
    /// The key that ends it, and is not one of the keys; none if no key does.
    pub finish_on: Option<char>,
    /// So many keys end it.
    pub digits_max: Option<usize>,
    /// Whether the action is requested when no key was pressed; otherwise the next verb follows.
    pub action_on_empty: bool,
    /// What is said meanwhile: `Say`, `Play` and `Pause`. A key stops it.
    pub prompts: Vec<Verb>,
}

/// Record the caller, as a voicemail does (Twilio: voice/twiml/record).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What to request with the recording; the document's own URL if none was named, which is the empty relative one.
    pub action: Webhook,
    /// So much silence ends it.
    pub timeout: Duration,
    /// Each of these keys ends it.
    pub finish_on: String,
    /// So long at most.
    pub length_max: Duration,
    /// Whether silence at both ends is cut off.
    pub trimmed: bool,
    /// Where its life is reported.
    pub status_callback: Option<Webhook>,
    /// Which part of it.
    pub status_events: Vec<RecordingEvent>,
}

/// A moment in the life of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingEvent {
    /// It has begun.
    InProgress,
    /// It can be fetched.
    Completed,
    /// There is nothing on it.
    Absent,
}

impl RecordingEvent {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Absent => "absent",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::InProgress, Self::Completed, Self::Absent].into_iter().find(|event| event.as_str() == word)
    }
}

impl Reader {
    pub(super) fn gather(&mut self, element: &Element) -> Result<(), TwimlError> {
        let mut prompts = Vec::new();
        for child in element.children() {
            if !matches!(child.name.as_str(), "Say" | "Play" | "Pause") {
                self.warn(format!("unknown element {} in Gather", child.name));
                continue;
            }
            let before = self.document.instructions.len();
            self.verb(child)?;
            for instruction in self.document.instructions.split_off(before) {
                if let Instruction::Verb(verb) = instruction {
                    prompts.push(verb);
                } else {
                    self.warn(format!("{} of this kind in Gather is not simulated", child.name));
                }
            }
        }
        let input =
            self.words(element, "input", "dtmf", |word| matches!(word, "dtmf" | "speech").then(|| word.to_owned()));
        let finish_on = self.read_or_warn(element, "finishOnKey", |value| match value.chars().next() {
            None => Some(None),
            Some(key) => (value.len() == 1 && KEYS.contains(key)).then_some(Some(key)),
        });
        let gather = Gather {
            action: self.own_webhook(element),
            keys: input.iter().any(|word| word == "dtmf"),
            speech: input.iter().any(|word| word == "speech"),
            timeout: self.seconds(element, "timeout").unwrap_or(Duration::from_secs(5)),
            finish_on: finish_on.unwrap_or(Some('#')),
            digits_max: self
                .read_or_warn(element, "numDigits", |value| usize::from_str(value).ok().filter(|max| *max > 0)),
            action_on_empty: self.flag(element, "actionOnEmptyResult", false),
            prompts,
        };
        self.document.instructions.push(Instruction::Gather(gather));
        Ok(())
    }

    pub(super) fn record(&mut self, element: &Element) {
        let keys = |value: &str| value.chars().all(|key| KEYS.contains(key)).then(|| value.to_owned());
        let trim = |value: &str| match value {
            "trim-silence" => Some(true),
            "do-not-trim" => Some(false),
            _ => None,
        };
        let record = Record {
            action: self.own_webhook(element),
            timeout: self.seconds(element, "timeout").unwrap_or(Duration::from_secs(5)),
            finish_on: self.read_or_warn(element, "finishOnKey", keys).unwrap_or_else(|| KEYS.to_owned()),
            length_max: self.seconds(element, "maxLength").unwrap_or(Duration::from_secs(3_600)),
            trimmed: self.read_or_warn(element, "trim", trim).unwrap_or(true),
            status_callback: self.webhook(element, "recordingStatusCallback", "recordingStatusCallbackMethod"),
            status_events: self.words(element, "recordingStatusCallbackEvent", "completed", RecordingEvent::parse),
        };
        self.document.instructions.push(Instruction::Record(record));
    }

    /// The action, or the document's own URL.
    fn own_webhook(&mut self, element: &Element) -> Webhook {
        Webhook { url: text(element, "action").unwrap_or_default(), method: self.method(element, "method") }
    }

    fn flag(&mut self, element: &Element, name: &str, default: bool) -> bool {
        self.read_or_warn(element, name, |value| bool::from_str(value).ok()).unwrap_or(default)
    }

    /// Words separated by spaces.
    fn words<T>(&mut self, element: &Element, name: &str, default: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let value = text(element, name).unwrap_or_else(|| default.to_owned());
        let mut words = Vec::new();
        for word in value.split_whitespace() {
            match read(word) {
                Some(word) => words.push(word),
                None => self.warn(format!("{name} cannot be {word:?} on {}", element.name)),
            }
        }
        words
    }
}
