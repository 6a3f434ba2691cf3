//! Streams that only listen: `<Start><Stream>` begins one beside what the call does, `<Stop><Stream>` ends it.

use super::xml::Element;
use super::{Instruction, Reader, TwimlError, Warning, fault, text};
use crate::twilio::twiml::Stream;

/// A stream that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneWay {
    /// Where it goes.
    pub stream: Stream,
    /// What it listens to.
    pub tracks: Vec<Track>,
}

/// One side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// What the caller says.
    Inbound,
    /// What the caller hears.
    Outbound,
}

impl Track {
    /// The word in a stream's messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl Reader {
    pub(super) fn start(&mut self, element: &Element) -> Result<(), TwimlError> {
        let Some(noun) = self.background_noun(element, "Start") else {
            return Ok(());
        };
        let tracks = match text(noun, "track").as_deref() {
            None | Some("inbound_track") => vec![Track::Inbound],
            Some("outbound_track") => vec![Track::Outbound],
            Some("both_tracks") => vec![Track::Inbound, Track::Outbound],
            Some(other) => return Err(fault(31941, format!("track {other:?} on a one-way stream"))),
        };
        let stream = self.stream(noun)?;
        self.document.instructions.push(Instruction::Start(OneWay { stream, tracks }));
        Ok(())
    }

    pub(super) fn stop(&mut self, element: &Element) {
        let Some(noun) = self.background_noun(element, "Stop") else {
            return;
        };
        match text(noun, "name") {
            Some(name) => self.document.instructions.push(Instruction::Stop { name }),
            None => self.warn("Stop of a Stream without a name"),
        }
    }

    /// The one noun inside (Twilio: api/errors/14300 for what does not belong there).
    fn background_noun<'e>(&mut self, element: &'e Element, verb: &str) -> Option<&'e Element> {
        let children = element.children().map(|child| child.name.as_str());
        let stray: Vec<&str> =
            children.filter(|name| !matches!(*name, "Stream" | "Siprec" | "Transcription" | "Recording")).collect();
        if let Some(name) = stray.first() {
            self.document.warnings.push(Warning { code: 14300, detail: format!("{name} inside {verb}") });
            return None;
        }
        self.noun(element, verb)
    }
}
