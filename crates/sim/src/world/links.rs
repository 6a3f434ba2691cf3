//! The links of the call to the simulated engines: handshakes, frames and closes over delayed lines.

use std::collections::BTreeMap;
use std::time::Instant;

use call::agent::EngineKind;
use call::journal::LinkCause;
use call::{LinkEvent, LinkId, LinkRequest};

use crate::evi::{Evi, Frame, Out, Refused, SessionId};
use crate::openai::OpenAi;
use crate::phone::{DelayLine, DelaySettings};

/// What arrives at the node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Arrived {
    Opened,
    Refused(LinkCause),
    Text(String),
    Binary,
    Lost(Option<u16>),
}

impl Arrived {
    pub(super) fn as_input(&self) -> LinkEvent<'_> {
        match self {
            Self::Opened => LinkEvent::Opened,
            Self::Refused(why) => LinkEvent::Refused(why.clone()),
            Self::Text(text) => LinkEvent::Text(text),
            Self::Binary => LinkEvent::Binary,
            Self::Lost(code) => LinkEvent::Lost(*code),
        }
    }
}

enum Up {
    Handshake(LinkRequest),
    Text(String),
    Close,
}

struct Link {
    kind: EngineKind,
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
        let kind = match request {
            LinkRequest::Hume(_) => EngineKind::Hume,
            LinkRequest::OpenAi => EngineKind::OpenAi,
            LinkRequest::Deepgram(_) | LinkRequest::Groq(_) | LinkRequest::Cartesia => EngineKind::Cascade,
        };
        let mut up = DelayLine::new(self.ways.0.clone(), self.rng.u64(..));
        up.push(now, Up::Handshake(request));
        let down = DelayLine::new(self.ways.1.clone(), self.rng.u64(..));
        self.links.insert(link, Link { kind, up, down, session: None, opens_at: None, gone: false, closed: false });
    }

    pub(super) fn send(&mut self, now: Instant, link: LinkId, text: String) {
        if let Some(link) = self.links.get_mut(&link).filter(|link| !link.closed) {
            link.up.push(now, Up::Text(text));
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
        self.links.get(&link).map(|link| link.kind)
    }

    /// The node is gone: the engines see their connections break.
    pub(super) fn cut_all(&mut self, now: Instant, evi: &mut Evi, openai: &mut OpenAi) {
        for link in self.links.values_mut() {
            if let Some(session) = link.session.filter(|_| !link.gone) {
                match link.kind {
                    EngineKind::Hume => evi.disconnect(now, session),
                    EngineKind::OpenAi => openai.disconnect(now, session),
                    EngineKind::Cascade => {}
                }
            }
        }
        self.links.clear();
    }

    /// Whether a link was left open by the call.
    pub(super) fn any_open(&self) -> bool {
        self.links.values().any(|link| !link.closed)
    }

    pub(super) fn next_due(&self, evi: &mut Evi, openai: &mut OpenAi) -> Option<Instant> {
        let mut due = Vec::new();
        for link in self.links.values() {
            due.extend([link.up.next_due(), link.down.next_due(), link.opens_at].into_iter().flatten());
            if let Some(session) = link.session.filter(|_| !link.gone && link.opens_at.is_none()) {
                due.extend(match link.kind {
                    EngineKind::Hume => evi.next_due(session),
                    EngineKind::OpenAi => openai.next_due(session),
                    EngineKind::Cascade => None,
                });
            }
        }
        due.into_iter().min()
    }

    /// Lets everything happen that is due, and returns what arrived at the node.
    pub(super) fn turn(&mut self, now: Instant, evi: &mut Evi, openai: &mut OpenAi) -> Vec<(LinkId, Arrived)> {
        let mut arrived = Vec::new();
        for (id, link) in &mut self.links {
            while let Some(up) = link.up.pop(now) {
                link.engine_gets(now, up, evi, openai);
            }
            if link.opens_at.is_some_and(|at| at <= now) {
                link.opens_at = None;
                link.down.push(now, Arrived::Opened);
            }
            link.engine_sends(now, evi, openai);
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
    fn engine_gets(&mut self, now: Instant, up: Up, evi: &mut Evi, openai: &mut OpenAi) {
        match (up, self.session) {
            (Up::Handshake(request), _) => {
                let answer = match &request {
                    LinkRequest::Hume(connect) => evi.connect(now, &connect.path_and_query(), Some("key")),
                    LinkRequest::OpenAi => openai.connect(now, "/v1/realtime?model=gpt-realtime-2.1", Some("key")),
                    // These vendors have no account in this world.
                    LinkRequest::Deepgram(_) | LinkRequest::Groq(_) | LinkRequest::Cartesia => {
                        Err(Refused::Status(404))
                    }
                };
                match answer {
                    Ok(accepted) => {
                        self.session = Some(accepted.session);
                        self.opens_at = Some(now + accepted.after);
                    }
                    Err(Refused::Status(status)) => {
                        self.gone = true;
                        self.down.push(now, Arrived::Refused(LinkCause::Status { status }));
                    }
                    Err(Refused::Silence) => {}
                }
            }
            (Up::Text(text), Some(session)) if !self.gone => match self.kind {
                EngineKind::Hume => evi.receive(now, session, Frame::Text(text)),
                EngineKind::OpenAi => openai.receive(now, session, &Frame::Text(text)),
                EngineKind::Cascade => {}
            },
            (Up::Close, session) => {
                if let Some(session) = session.filter(|_| !self.gone) {
                    match self.kind {
                        EngineKind::Hume => evi.disconnect(now, session),
                        EngineKind::OpenAi => openai.disconnect(now, session),
                        EngineKind::Cascade => {}
                    }
                }
                self.gone = true;
            }
            (Up::Text(_), _) => {}
        }
    }

    fn engine_sends(&mut self, now: Instant, evi: &mut Evi, openai: &mut OpenAi) {
        let Some(session) = self.session.filter(|_| self.opens_at.is_none()) else { return };
        while !self.gone {
            let out = match self.kind {
                EngineKind::Hume => evi.poll(now, session),
                EngineKind::OpenAi => openai.poll(now, session),
                EngineKind::Cascade => None,
            };
            let Some(out) = out else { return };
            self.down.push(
                now,
                match out {
                    Out::Text(text) => Arrived::Text(text),
                    Out::Binary(_) => Arrived::Binary,
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
