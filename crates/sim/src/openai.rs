//! `OpenAI` Realtime, simulated: the generally available dialect over a WebSocket, strict where the vendor is strict.
//!
//! [`OpenAi`] is the model of one account in virtual time: handshakes and sessions. It opens no socket and reads no
//! clock; the same seed and the same inputs give the same conversation, byte for byte. [`server`] puts it behind real
//! sockets.
//!
//! It understands the caller from the audio it receives and nothing else, and answers as a small booking assistant. Its
//! clock for the caller is the audio: without silence that arrives as audio, no turn ever ends. Where the vendor
//! promises no order of events, seeds choose one. It keeps a [`Record`] of what each session brought.
//!
//! **What can fail**, by script or by seed ([`crate::evi::fault`], shared with EVI): a handshake refused, slow or
//! unanswered; the socket dropped, closed or fallen silent at a chosen moment; oversized messages; frames that are no
//! JSON, binary, or of an unknown type; audio of a cancelled response; responses that fail, or stay incomplete;
//! transcriptions that fail; sessions that end at their age.
//!
//! **What does not fail**: audio is never damaged, and within one response never out of order.
//!
//! **What lies outside**: the network (it belongs to whoever moves the frames); A-law; responses outside of the
//! conversation; what semantic turn detection really listens for; `threshold`, noise reduction and `speed`, which are
//! accepted and shown but change nothing; audio put in as an item; MCP; costs; what a real model would say.

mod clock;
mod config;
mod conversation;
mod ending;
mod listening;
mod record;
mod response;
pub mod server;
mod session;
mod speaking;

pub use crate::evi::{Accepted, Ended, Frame, Out, Refused, SessionId, fault};
pub use config::{OpenAiConfig, Outcome};
pub use record::{Record, Said};

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fault::{FaultCounts, Faults, HandshakeFault, Mishap};
use session::{House, Session};
use wire::openai::connect::model_in_query;

/// Where sessions are opened.
const PATH: &str = "/v1/realtime";

/// Ended sessions whose record is kept; the oldest go.
const MOST_ENDED: usize = 256;

/// One account of a simulated `OpenAI`.
pub struct OpenAi {
    config: OpenAiConfig,
    faults: Faults,
    counts: FaultCounts,
    rng: fastrand::Rng,
    attempts: u32,
    origin: Option<Instant>,
    sessions: BTreeMap<SessionId, Session>,
}

impl OpenAi {
    /// An account without sessions.
    #[must_use]
    pub fn new(config: OpenAiConfig, faults: Faults, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { config, faults, counts: FaultCounts::new(), rng, attempts: 0, origin: None, sessions: BTreeMap::new() }
    }

    /// Answers a handshake. `path_and_query` is as in the request line; `bearer` is the token of the `Authorization`
    /// header.
    ///
    /// # Errors
    /// If it is refused or never answered.
    pub fn connect(&mut self, now: Instant, path_and_query: &str, bearer: Option<&str>) -> Result<Accepted, Refused> {
        self.origin.get_or_insert(now);
        self.attempts += 1;
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let fate = self.faults.fate(self.attempts, false, &mut self.rng);
        let rng = self.rng.fork();
        let mut after = Duration::ZERO;
        if let Some(fault) = fate.handshake {
            *self.counts.entry(fault.name()).or_default() += 1;
            match fault {
                HandshakeFault::Refuse(status) | HandshakeFault::RefuseResume(status) => {
                    return Err(Refused::Status(status));
                }
                HandshakeFault::Silence => return Err(Refused::Silence),
                HandshakeFault::Slow(delay) => after = delay,
            }
        }
        if path != PATH {
            return Err(Refused::Status(404));
        }
        if !self.admits(bearer) {
            return Err(Refused::Status(401));
        }
        let model = model_in_query(query).ok_or(Refused::Status(400))?;
        if !self.config.models.is_empty() && !self.config.models.contains(&model) {
            return Err(Refused::Status(self.config.unknown_model_status));
        }
        let id = SessionId(u64::from(self.attempts));
        let (mut house, _) = self.house(now);
        let session = Session::open(&mut house, now + after, model, fate.midway, rng);
        self.sessions.insert(id, session);
        self.forget_the_oldest();
        Ok(Accepted { session: id, after })
    }

    /// Takes a message from a client.
    pub fn receive(&mut self, now: Instant, session: SessionId, frame: &Frame) {
        let (mut house, sessions) = self.house(now);
        if let Some(session) = sessions.get_mut(&session) {
            session.receive(&mut house, now, frame);
        }
    }

    /// The client closed its socket, or vanished.
    pub fn disconnect(&mut self, now: Instant, session: SessionId) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.abandoned(now);
        }
    }

    /// The next thing that happens on this socket, if anything does by now. To be called until there is nothing.
    pub fn poll(&mut self, now: Instant, session: SessionId) -> Option<Out> {
        let (mut house, sessions) = self.house(now);
        sessions.get_mut(&session)?.poll(&mut house, now)
    }

    /// When to poll this socket again, if nothing is received before.
    pub fn next_due(&mut self, session: SessionId) -> Option<Instant> {
        let now = self.origin?;
        let (house, sessions) = self.house(now);
        sessions.get(&session)?.next_due(&house)
    }

    /// What a session brought and said; kept for a while after its end.
    #[must_use]
    pub fn record(&self, session: SessionId) -> Option<&Record> {
        self.sessions.get(&session).map(|session| &session.record)
    }

    /// All records, in the order of the handshakes.
    pub fn records(&self) -> impl Iterator<Item = (SessionId, &Record)> {
        self.sessions.iter().map(|(id, session)| (*id, &session.record))
    }

    /// How often each fault took effect.
    #[must_use]
    pub fn fault_counts(&self) -> &FaultCounts {
        &self.counts
    }

    /// Handshakes so far, refused ones included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Changes what goes wrong. Concerns connections that are yet to come.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Suffers this now, on this socket.
    pub fn strike(&mut self, now: Instant, session: SessionId, mishap: &Mishap) {
        let (mut house, sessions) = self.house(now);
        if let Some(session) = sessions.get_mut(&session) {
            session.suffer(&mut house, now, mishap);
        }
    }

    pub(crate) fn admits(&self, bearer: Option<&str>) -> bool {
        bearer.is_some_and(|key| {
            let known = self.config.api_keys.iter().any(|known| known == key);
            known || (self.config.api_keys.is_empty() && !key.is_empty())
        })
    }

    pub(crate) fn config(&self) -> &OpenAiConfig {
        &self.config
    }

    fn house(&mut self, now: Instant) -> (House<'_>, &mut BTreeMap<SessionId, Session>) {
        let origin = *self.origin.get_or_insert(now);
        (House { config: &self.config, counts: &mut self.counts, origin }, &mut self.sessions)
    }

    fn forget_the_oldest(&mut self) {
        let ended: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| session.closed).map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(MOST_ENDED)) {
            self.sessions.remove(id);
        }
    }
}
