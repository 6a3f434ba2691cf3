//! The links of the call to the simulated engines: handshakes, frames, answers and closes over delayed lines.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use call::agent::EngineKind;
use call::journal::LinkCause;
use call::{LinkEvent, LinkId, LinkRequest};

use super::vendors::{Vendor, Vendors};
use crate::evi::{Frame, Out, SessionId};
use crate::line::server::Refusal;
use crate::phone::{DelayLine, DelaySettings};

/// What arrives at the node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Arrived {
    Opened,
    Refused(LinkCause),
    Rejected { status: u16, retry_after: Option<Duration>, body: String },
    Text(String),
    Binary,
    Body(String),
    Ended,
    Lost(Option<u16>),
}

impl Arrived {
    pub(super) fn as_input(&self) -> LinkEvent<'_> {
        match self {
            Self::Opened => LinkEvent::Opened,
            Self::Refused(why) => LinkEvent::Refused(why.clone()),
            Self::Rejected { status, retry_after, body } => {
                LinkEvent::Rejected { status: *status, retry_after: *retry_after, body: body.as_bytes() }
            }
            Self::Text(text) => LinkEvent::Text(text),
            Self::Binary => LinkEvent::Binary,
            Self::Body(text) => LinkEvent::Body(text.as_bytes()),
            Self::Ended => LinkEvent::Ended,
            Self::Lost(code) => LinkEvent::Lost(*code),
        }
    }
}

enum Up {
    Handshake(LinkRequest),
    Frame(Frame),
    Close,
}

struct Link {
    vendor: Vendor,
    up: DelayLine<Up>,
    down: DelayLine<Arrived>,
    session: Option<SessionId>,
    opens_at: Option<Instant>,
    /// Whether the engine's side is over.
    gone: bool,
    /// Whether the call has closed it.
    closed: bool,
}

pub(super) struct Links {
    ways: (DelaySettings, DelaySettings),
    rng: fastrand::Rng,
    links: BTreeMap<LinkId, Link>,
}

impl Links {
    pub(super) fn new(ways: (DelaySettings, DelaySettings), seed: u64) -> Self {
        Self { ways, rng: fastrand::Rng::with_seed(seed), links: BTreeMap::new() }
    }

    pub(super) fn open(&mut self, now: Instant, link: LinkId, request: LinkRequest) {
        let vendor = Vendor::of(&request);
        let mut up = DelayLine::new(self.ways.0.clone(), self.rng.u64(..));
        up.push(now, Up::Handshake(request));
        let down = DelayLine::new(self.ways.1.clone(), self.rng.u64(..));
        self.links.insert(link, Link { vendor, up, down, session: None, opens_at: None, gone: false, closed: false });
    }

    pub(super) fn send(&mut self, now: Instant, link: LinkId, text: String) {
        self.send_frame(now, link, Frame::Text(text));
    }

    pub(super) fn send_binary(&mut self, now: Instant, link: LinkId, bytes: Bytes) {
        self.send_frame(now, link, Frame::Binary(bytes.into()));
    }

    fn send_frame(&mut self, now: Instant, link: LinkId, frame: Frame) {
        if let Some(link) = self.links.get_mut(&link).filter(|link| !link.closed) {
            link.up.push(now, Up::Frame(frame));
        }
    }

    pub(super) fn close(&mut self, now: Instant, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.closed = true;
            link.up.push(now, Up::Close);
        }
    }

    /// Whose link this is.
    pub(super) fn engine(&self, link: LinkId) -> Option<EngineKind> {
        self.links.get(&link).map(|link| link.vendor.engine())
    }

    /// The node is gone: the engines see their connections break.
    pub(super) fn cut_all(&mut self, now: Instant, vendors: &mut Vendors<'_>) {
        for link in self.links.values_mut() {
            if let Some(session) = link.session.filter(|_| !link.gone) {
                vendors.disconnect(now, link.vendor, session);
            }
        }
        self.links.clear();
    }

    /// Whether a link was left open by the call.
    pub(super) fn any_open(&self) -> bool {
        self.links.values().any(|link| !link.closed)
    }

    pub(super) fn next_due(&self, vendors: &mut Vendors<'_>) -> Option<Instant> {
        let mut due = Vec::new();
        for link in self.links.values() {
            due.extend([link.up.next_due(), link.down.next_due(), link.opens_at].into_iter().flatten());
            if let Some(session) = link.session.filter(|_| !link.gone && link.opens_at.is_none()) {
                due.extend(vendors.next_due(link.vendor, session));
            }
        }
        due.into_iter().min()
    }

    /// Lets everything happen that is due, and returns what arrived at the node.
    pub(super) fn turn(&mut self, now: Instant, vendors: &mut Vendors<'_>) -> Vec<(LinkId, Arrived)> {
        let mut arrived = Vec::new();
        for (id, link) in &mut self.links {
            while let Some(up) = link.up.pop(now) {
                link.engine_gets(now, up, vendors);
            }
            if link.opens_at.is_some_and(|at| at <= now) {
                link.opens_at = None;
                link.down.push(now, Arrived::Opened);
            }
            link.engine_sends(now, vendors);
            while let Some(down) = link.down.pop(now) {
                if !link.closed {
                    arrived.push((*id, down));
                }
            }
        }
        self.links.retain(|_, link| !(link.closed && link.gone && link.up.is_empty()));
        arrived
    }
}

impl Link {
    fn engine_gets(&mut self, now: Instant, up: Up, vendors: &mut Vendors<'_>) {
        match (up, self.session) {
            (Up::Handshake(request), _) => match vendors.connect(now, &request) {
                Ok(accepted) => {
                    self.session = Some(accepted.session);
                    self.opens_at = Some(now + accepted.after);
                }
                Err(Refusal::Answered { status, headers, body }) => {
                    self.gone = true;
                    let rejected = match self.vendor {
                        Vendor::Groq => Arrived::Rejected { status, retry_after: retry_after(&headers), body },
                        Vendor::Evi | Vendor::OpenAi | Vendor::Deepgram | Vendor::Cartesia => {
                            Arrived::Refused(LinkCause::Status { status })
                        }
                    };
                    self.down.push(now, rejected);
                }
                Err(Refusal::Silence) => {}
            },
            (Up::Frame(frame), Some(session)) if !self.gone => vendors.receive(now, self.vendor, session, frame),
            (Up::Close, session) => {
                if let Some(session) = session.filter(|_| !self.gone) {
                    vendors.disconnect(now, self.vendor, session);
                }
                self.gone = true;
            }
            (Up::Frame(_), _) => {}
        }
    }

    fn engine_sends(&mut self, now: Instant, vendors: &mut Vendors<'_>) {
        let Some(session) = self.session.filter(|_| self.opens_at.is_none()) else { return };
        while !self.gone {
            let Some(out) = vendors.poll(now, self.vendor, session) else { return };
            let streamed = self.vendor == Vendor::Groq;
            self.down.push(
                now,
                match out {
                    Out::Text(text) if streamed => Arrived::Body(text),
                    Out::Text(text) => Arrived::Text(text),
                    Out::Binary(_) => Arrived::Binary,
                    Out::Close { .. } if streamed => {
                        self.gone = true;
                        Arrived::Ended
                    }
                    Out::Close { code, .. } => {
                        self.gone = true;
                        Arrived::Lost(Some(code))
                    }
                    Out::Drop => {
                        self.gone = true;
                        Arrived::Lost(None)
                    }
                },
            );
        }
    }
}

fn retry_after(headers: &[(&'static str, String)]) -> Option<Duration> {
    let (_, value) = headers.iter().find(|(name, _)| *name == wire::groq::error::RETRY_AFTER_HEADER)?;
    wire::groq::error::retry_after(value)
}
