//! Cartesia's streaming speech, simulated: contexts over one WebSocket, strict where the vendor is strict.
//!
//! [`Cartesia`] is the model of one account in virtual time; [`start`] puts it behind real sockets. It speaks from the
//! bank of recordings, in any raw format but A-law; a text that nobody recorded, or that lost its spaces on the way,
//! becomes babble of the right length. Audio comes in pieces of odd sizes, faster than it is heard, with the times of
//! its words between them.
//!
//! **What can fail** ([`crate::evi::fault`], shared with the other engines; a *sentence* is a piece of text that is
//! spoken at once): a handshake refused, slow or unanswered; the socket dropped, closed or fallen silent at a chosen
//! moment or sample; frames that are no JSON, binary, or of an unknown type; audio messages larger than 1 MiB; audio
//! that comes after its context was cancelled; a context that fails.
//!
//! **What lies outside**: phonemes; speed, volume, feeling and pronunciation, which are accepted and change nothing;
//! several languages in one voice: the language is that of the recording.

mod config;
mod context;
mod socket;

pub use config::{CartesiaConfig, LateInput, Record, Spoken};

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wire::cartesia::connect::{ERRORS_HAVE_CODES_SINCE, REQUEST_ID_HEADER, SOCKET_PATH, version};
use wire::cartesia::error::{ErrorCode, Fault};

pub use crate::evi::{Accepted, Ended, Frame, Out, SessionId, fault};
use crate::line::server::{Handle, Handshake, Model, Refusal};
use crate::line::{MOST_ENDED, admits, uuid};
use fault::{FaultCounts, Faults, HandshakeFault, Mishap};
use socket::Socket;

/// One account of a simulated Cartesia.
pub struct Cartesia {
    config: CartesiaConfig,
    faults: Faults,
    counts: FaultCounts,
    rng: fastrand::Rng,
    attempts: u32,
    sockets: BTreeMap<SessionId, Socket>,
}

/// Starts one on a free port of this machine; the URL is what `CARTESIA_BASE_URL` is set to.
///
/// # Errors
/// If no port can be had.
pub async fn start(config: CartesiaConfig, faults: Faults, seed: u64) -> std::io::Result<Handle<Cartesia>> {
    crate::line::server::start(Cartesia::new(config, faults, seed)).await
}

impl Cartesia {
    /// An account without sockets.
    #[must_use]
    pub fn new(config: CartesiaConfig, faults: Faults, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { config, faults, counts: FaultCounts::new(), rng, attempts: 0, sockets: BTreeMap::new() }
    }

    /// What each socket brought and said, in the order of the handshakes; kept for a while after its end.
    pub fn records(&self) -> impl Iterator<Item = (SessionId, &Record)> {
        self.sockets.iter().map(|(id, socket)| (*id, &socket.record))
    }

    /// How a socket ended, if it has.
    #[must_use]
    pub fn ended(&self, session: SessionId) -> Option<Ended> {
        self.sockets.get(&session)?.line.ended.map(|(_, how)| how)
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

    /// Suffers this now, on every open socket.
    pub fn strike(&mut self, now: Instant, mishap: &Mishap) {
        for socket in self.sockets.values_mut() {
            socket.suffer(&mut self.counts, now, mishap);
        }
    }

    fn refusal(&mut self, status: u16, code: ErrorCode, title: &str, message: &str) -> Refusal {
        let request_id = uuid(&mut self.rng);
        let fault = Fault {
            done: None,
            request_id: Some(request_id.clone()),
            ..Fault::new(None, status, code, title, message)
        };
        let body = serde_json::to_string(&fault).expect("invariant: strings and numbers can always be written as JSON");
        Refusal::Answered { status, headers: vec![(REQUEST_ID_HEADER, request_id)], body }
    }

    fn refused(&mut self, status: u16) -> Refusal {
        match status {
            429 => self.refusal(
                429,
                ErrorCode::ConcurrencyLimited,
                "Too many requests",
                "the concurrency limit is reached",
            ),
            404 => self.refusal(404, ErrorCode::ModelNotFound, "Not found", "there is nothing here"),
            _ => self.refusal(status, ErrorCode::InvalidRequest, "Refused", "the request is refused"),
        }
    }
}

impl Model for Cartesia {
    const PATH: &'static str = SOCKET_PATH;

    fn connect(&mut self, now: Instant, handshake: Handshake<'_>) -> Result<Accepted, Refusal> {
        self.attempts += 1;
        let (path, query) = handshake.path_and_query.split_once('?').unwrap_or((handshake.path_and_query, ""));
        let fate = self.faults.fate(self.attempts, false, &mut self.rng);
        let rng = self.rng.fork();
        let mut after = Duration::ZERO;
        if let Some(fault) = fate.handshake {
            *self.counts.entry(fault.name()).or_default() += 1;
            match fault {
                HandshakeFault::Refuse(status) | HandshakeFault::RefuseResume(status) => {
                    return Err(self.refused(status));
                }
                HandshakeFault::Silence => return Err(Refusal::Silence),
                HandshakeFault::Slow(delay) => after = delay,
            }
        }
        if path != SOCKET_PATH {
            return Err(self.refused(404));
        }
        if !admits(&self.config.api_keys, handshake.authorization.and_then(|value| value.strip_prefix("Bearer "))) {
            return Err(self.refused(401));
        }
        let Some(version) = version(query, handshake.version) else {
            return Err(self.refusal(400, ErrorCode::InvalidRequest, "Invalid version", "a version is a date"));
        };
        let open = self.sockets.values().filter(|socket| !socket.line.is_over()).count();
        if open >= self.config.concurrency * 10 {
            return Err(self.refused(429));
        }
        let session = SessionId(u64::from(self.attempts));
        let old_errors = version.as_str() < ERRORS_HAVE_CODES_SINCE;
        self.sockets.insert(session, Socket::open(now + after, version, old_errors, fate.midway, rng));
        let ended: Vec<SessionId> =
            self.sockets.iter().filter(|(_, socket)| socket.line.is_over()).map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(MOST_ENDED)) {
            self.sockets.remove(id);
        }
        Ok(Accepted { session, after })
    }

    fn headers(&self, session: SessionId) -> Vec<(&'static str, String)> {
        let socket = self.sockets.get(&session);
        socket.map(|socket| (REQUEST_ID_HEADER, socket.record.request_id.clone())).into_iter().collect()
    }

    fn receive(&mut self, now: Instant, session: SessionId, frame: &Frame) {
        // The limit is the account's: contexts of all sockets count.
        let elsewhere: usize =
            self.sockets.iter().filter(|(id, _)| **id != session).map(|(_, socket)| socket.active()).sum();
        if let Some(socket) = self.sockets.get_mut(&session) {
            socket.receive(&self.config, &mut self.counts, now, frame, elsewhere);
        }
    }

    fn disconnect(&mut self, now: Instant, session: SessionId) {
        if let Some(socket) = self.sockets.get_mut(&session) {
            socket.abandoned(now);
        }
    }

    fn poll(&mut self, now: Instant, session: SessionId) -> Option<Out> {
        self.sockets.get_mut(&session)?.poll(&self.config, &mut self.counts, now)
    }

    fn next_due(&self, session: SessionId) -> Option<Instant> {
        let socket = self.sockets.get(&session)?;
        socket.line.next_due(socket.next_due(&self.config))
    }
}
