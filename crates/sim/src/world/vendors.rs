//! All vendors of a world, behind one face: who is dialled, what they get, what they send.

use std::time::Instant;

use call::LinkRequest;
use call::agent::EngineKind;

use crate::cartesia::{Cartesia, CartesiaConfig};
use crate::deepgram::{Deepgram, DeepgramConfig};
use crate::evi::fault::Faults;
use crate::evi::{Accepted, Evi, Frame, Out, Refused, SessionId};
use crate::groq::{Groq, GroqConfig};
use crate::line::server::{Handshake, Model as _, Refusal};
use crate::openai::OpenAi;

/// How much audio a stream's record keeps: more than any call here lasts.
const KEPT_BYTES: usize = 8_000 * 180;

/// The accounts at the vendors of the cascade.
pub struct Cascade {
    /// Who hears.
    pub deepgram: Deepgram,
    /// Who answers.
    pub groq: Groq,
    /// Who speaks.
    pub cartesia: Cartesia,
}

impl Cascade {
    /// Three vendors with whom nothing goes wrong.
    #[must_use]
    pub fn well(seed: u64) -> Self {
        Self::with([Faults::none(), Faults::none(), Faults::none()], GroqConfig::default(), seed)
    }

    /// Three vendors with these faults, in the order in which a call meets them.
    #[must_use]
    pub fn with([hears, answers, speaks]: [Faults; 3], groq: GroqConfig, seed: u64) -> Self {
        let deepgram = DeepgramConfig { keep_audio: KEPT_BYTES, ..DeepgramConfig::default() };
        Self {
            deepgram: Deepgram::new(deepgram, hears, seed),
            groq: Groq::new(groq, answers, seed),
            cartesia: Cartesia::new(CartesiaConfig::default(), speaks, seed),
        }
    }
}

/// Whom a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    Evi,
    OpenAi,
    Deepgram,
    Groq,
    Cartesia,
}

impl Vendor {
    pub(super) fn of(request: &LinkRequest) -> Self {
        match request {
            LinkRequest::Hume(_) => Self::Evi,
            LinkRequest::OpenAi => Self::OpenAi,
            LinkRequest::Deepgram(_) => Self::Deepgram,
            LinkRequest::Groq(_) => Self::Groq,
            LinkRequest::Cartesia => Self::Cartesia,
        }
    }

    pub(super) fn engine(self) -> EngineKind {
        match self {
            Self::Evi => EngineKind::Hume,
            Self::OpenAi => EngineKind::OpenAi,
            Self::Deepgram | Self::Groq | Self::Cartesia => EngineKind::Cascade,
        }
    }
}

pub(super) struct Vendors<'w> {
    pub(super) evi: &'w mut Evi,
    pub(super) openai: &'w mut OpenAi,
    pub(super) cascade: &'w mut Cascade,
}

impl Vendors<'_> {
    pub(super) fn connect(&mut self, now: Instant, request: &LinkRequest) -> Result<Accepted, Refusal> {
        let handshake = |path_and_query, authorization| Handshake {
            path_and_query,
            authorization: Some(authorization),
            version: Some(wire::cartesia::connect::VERSION),
        };
        match request {
            LinkRequest::Hume(connect) => {
                self.evi.connect(now, &connect.path_and_query(), Some("key")).map_err(refusal)
            }
            LinkRequest::OpenAi => {
                let path = "/v1/realtime?model=gpt-realtime-2.1";
                self.openai.connect(now, path, Some("key")).map_err(refusal)
            }
            LinkRequest::Deepgram(listen) => {
                self.cascade.deepgram.connect(now, handshake(&listen.path_and_query(), "Token key"))
            }
            LinkRequest::Groq(body) => {
                let path = wire::groq::connect::CHAT_PATH;
                self.cascade.groq.request(now, path, Some("Bearer key"), body.as_bytes())
            }
            LinkRequest::Cartesia => {
                self.cascade.cartesia.connect(now, handshake(wire::cartesia::connect::SOCKET_PATH, "Bearer key"))
            }
        }
    }

    pub(super) fn receive(&mut self, now: Instant, vendor: Vendor, session: SessionId, frame: Frame) {
        match vendor {
            Vendor::Evi => self.evi.receive(now, session, frame),
            Vendor::OpenAi => self.openai.receive(now, session, &frame),
            Vendor::Deepgram => self.cascade.deepgram.receive(now, session, &frame),
            Vendor::Cartesia => self.cascade.cartesia.receive(now, session, &frame),
            // A request is all that is sent to it.
            Vendor::Groq => {}
        }
    }

    pub(super) fn disconnect(&mut self, now: Instant, vendor: Vendor, session: SessionId) {
        match vendor {
            Vendor::Evi => self.evi.disconnect(now, session),
            Vendor::OpenAi => self.openai.disconnect(now, session),
            Vendor::Deepgram => self.cascade.deepgram.disconnect(now, session),
            Vendor::Groq => self.cascade.groq.disconnect(now, session),
            Vendor::Cartesia => self.cascade.cartesia.disconnect(now, session),
        }
    }

    pub(super) fn poll(&mut self, now: Instant, vendor: Vendor, session: SessionId) -> Option<Out> {
        match vendor {
            Vendor::Evi => self.evi.poll(now, session),
            Vendor::OpenAi => self.openai.poll(now, session),
            Vendor::Deepgram => self.cascade.deepgram.poll(now, session),
            Vendor::Groq => self.cascade.groq.poll(now, session),
            Vendor::Cartesia => self.cascade.cartesia.poll(now, session),
        }
    }

    pub(super) fn next_due(&mut self, vendor: Vendor, session: SessionId) -> Option<Instant> {
        match vendor {
            Vendor::Evi => self.evi.next_due(session),
            Vendor::OpenAi => self.openai.next_due(session),
            Vendor::Deepgram => self.cascade.deepgram.next_due(session),
            Vendor::Groq => self.cascade.groq.next_due(session),
            Vendor::Cartesia => self.cascade.cartesia.next_due(session),
        }
    }
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Status(status) => Refusal::Answered { status, headers: Vec::new(), body: String::new() },
        Refused::Silence => Refusal::Silence,
    }
}
