//! What reached the call machine, in order and owned, so that the same call can be had again without the world around it.
//!
//! For measurements: a machine that is given a tape does all the work of the call, and nothing else is on the clock.

use std::time::{Duration, Instant};

use call::journal::LinkCause;
use call::{Call, Command, Input, LinkEvent, LinkId, Output, PhoneEvent, Setup};
use wire::twilio::stream::Outbound;

/// One epoch of a call, as its machine met it.
#[derive(Clone, Debug)]
pub struct Tape {
    setup: Setup,
    wall_ms: u64,
    seed: u64,
    inputs: Vec<(Duration, Kept)>,
}

/// An input that owns what it carries.
#[derive(Clone, Debug)]
enum Kept {
    Started(String),
    Media { timestamp_ms: u64, payload: Vec<u8> },
    Dtmf(String),
    Mark(String),
    Phone(Bare),
    Link(LinkId, KeptLink),
    Command(Command),
    Tool { id: String, answer: Result<String, String> },
    Wake,
}

/// What the phone says without more.
#[derive(Clone, Copy, Debug)]
enum Bare {
    Stopped,
    Lost,
    Malformed,
    Unknown,
}

#[derive(Clone, Debug)]
enum KeptLink {
    Opened,
    Refused(LinkCause),
    Text(String),
    Binary,
    Body(Vec<u8>),
    Rejected { status: u16, retry_after: Option<Duration>, body: Vec<u8> },
    Ended,
    Lost(Option<u16>),
}

/// What was on the wires while a tape was replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages to the engine, its requests among them.
    pub up_messages: u64,
    /// Their bytes, without the framing of HTTP and WebSocket.
    pub up_bytes: u64,
    /// Messages from the engine; of an answer over HTTP, its pieces.
    pub down_messages: u64,
    /// Their bytes.
    pub down_bytes: u64,
    /// Frames of 20 ms that the caller was sent.
    pub frames: u64,
}

impl Tape {
    pub(super) fn begin(setup: Setup, wall_ms: u64, seed: u64) -> Self {
        Self { setup, wall_ms, seed, inputs: Vec::new() }
    }

    pub(super) fn keep(&mut self, after: Duration, input: &Input<'_>) {
        self.inputs.push((after, Kept::of(input)));
    }

    /// How long the call lasted, from its preparation to its last input.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.inputs.last().map_or(Duration::ZERO, |(after, _)| *after)
    }

    /// The call once more, by a fresh machine, as fast as it goes. `now` is any instant.
    pub fn replay(&self, now: Instant) -> Traffic {
        let mut traffic = Traffic::default();
        let mut call = Call::new(now, self.wall_ms, self.setup.clone(), self.seed);
        traffic.drain(&mut call);
        for (after, input) in &self.inputs {
            traffic.note_down(input);
            call.handle(now + *after, input.as_input());
            traffic.drain(&mut call);
        }
        traffic
    }
}

impl Traffic {
    fn drain(&mut self, call: &mut Call) {
        loop {
            match call.poll() {
                Output::Wait(_) | Output::Finished => return,
                Output::Send { text, .. } => self.note_up(text.len()),
                Output::SendBinary { bytes, .. } => self.note_up(bytes.len()),
                Output::Open { request: call::LinkRequest::Groq(body), .. } => self.note_up(body.len()),
                Output::Phone(Outbound::Media { .. }) => self.frames += 1,
                Output::Phone(_)
                | Output::ClosePhone
                | Output::Open { .. }
                | Output::Close { .. }
                | Output::Tool(_)
                | Output::Journal(_)
                | Output::Record(_)
                | Output::NextStep(_) => {}
            }
        }
    }

    fn note_up(&mut self, bytes: usize) {
        self.up_messages += 1;
        self.up_bytes += bytes as u64;
    }

    fn note_down(&mut self, input: &Kept) {
        let bytes = match input {
            Kept::Link(_, KeptLink::Text(text)) => text.len(),
            Kept::Link(_, KeptLink::Body(body) | KeptLink::Rejected { body, .. }) => body.len(),
            Kept::Link(
                _,
                KeptLink::Binary | KeptLink::Opened | KeptLink::Refused(_) | KeptLink::Ended | KeptLink::Lost(_),
            )
            | Kept::Started(_)
            | Kept::Media { .. }
            | Kept::Dtmf(_)
            | Kept::Mark(_)
            | Kept::Phone(_)
            | Kept::Command(_)
            | Kept::Tool { .. }
            | Kept::Wake => return,
        };
        self.down_messages += 1;
        self.down_bytes += bytes as u64;
    }
}

impl Kept {
    fn of(input: &Input<'_>) -> Self {
        match input {
            Input::Phone(PhoneEvent::Started { stream_sid }) => Self::Started((*stream_sid).to_owned()),
            Input::Phone(PhoneEvent::Media { timestamp_ms, payload }) => {
                Self::Media { timestamp_ms: *timestamp_ms, payload: payload.to_vec() }
            }
            Input::Phone(PhoneEvent::Dtmf { digit }) => Self::Dtmf((*digit).to_owned()),
            Input::Phone(PhoneEvent::Mark { name }) => Self::Mark((*name).to_owned()),
            Input::Phone(PhoneEvent::Stopped) => Self::Phone(Bare::Stopped),
            Input::Phone(PhoneEvent::Lost) => Self::Phone(Bare::Lost),
            Input::Phone(PhoneEvent::Malformed) => Self::Phone(Bare::Malformed),
            Input::Phone(PhoneEvent::Unknown) => Self::Phone(Bare::Unknown),
            Input::Link(link, event) => Self::Link(*link, KeptLink::of(event)),
            Input::Command(command) => Self::Command(command.clone()),
            Input::Tool { id, answer } => {
                let answer = answer.map(str::to_owned).map_err(str::to_owned);
                Self::Tool { id: (*id).to_owned(), answer }
            }
            Input::Wake => Self::Wake,
        }
    }

    fn as_input(&self) -> Input<'_> {
        match self {
            Self::Started(stream_sid) => Input::Phone(PhoneEvent::Started { stream_sid }),
            Self::Media { timestamp_ms, payload } => {
                Input::Phone(PhoneEvent::Media { timestamp_ms: *timestamp_ms, payload })
            }
            Self::Dtmf(digit) => Input::Phone(PhoneEvent::Dtmf { digit }),
            Self::Mark(name) => Input::Phone(PhoneEvent::Mark { name }),
            Self::Phone(bare) => Input::Phone(match bare {
                Bare::Stopped => PhoneEvent::Stopped,
                Bare::Lost => PhoneEvent::Lost,
                Bare::Malformed => PhoneEvent::Malformed,
                Bare::Unknown => PhoneEvent::Unknown,
            }),
            Self::Link(link, event) => Input::Link(*link, event.as_event()),
            Self::Command(command) => Input::Command(command.clone()),
            Self::Tool { id, answer } => {
                Input::Tool { id, answer: answer.as_ref().map(String::as_str).map_err(String::as_str) }
            }
            Self::Wake => Input::Wake,
        }
    }
}

impl KeptLink {
    fn of(event: &LinkEvent<'_>) -> Self {
        match event {
            LinkEvent::Opened => Self::Opened,
            LinkEvent::Refused(why) => Self::Refused(why.clone()),
            LinkEvent::Text(text) => Self::Text((*text).to_owned()),
            LinkEvent::Binary => Self::Binary,
            LinkEvent::Body(bytes) => Self::Body(bytes.to_vec()),
            LinkEvent::Rejected { status, retry_after, body } => {
                Self::Rejected { status: *status, retry_after: *retry_after, body: body.to_vec() }
            }
            LinkEvent::Ended => Self::Ended,
            LinkEvent::Lost(code) => Self::Lost(*code),
        }
    }

    fn as_event(&self) -> LinkEvent<'_> {
        match self {
            Self::Opened => LinkEvent::Opened,
            Self::Refused(why) => LinkEvent::Refused(why.clone()),
            Self::Text(text) => LinkEvent::Text(text),
            Self::Binary => LinkEvent::Binary,
            Self::Body(bytes) => LinkEvent::Body(bytes),
            Self::Rejected { status, retry_after, body } => {
                LinkEvent::Rejected { status: *status, retry_after: *retry_after, body }
            }
            Self::Ended => LinkEvent::Ended,
            Self::Lost(code) => LinkEvent::Lost(*code),
        }
    }
}
