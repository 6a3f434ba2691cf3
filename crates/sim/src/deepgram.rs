//! Deepgram Flux, simulated: `/v2/listen`, strict where the vendor is strict.
//!
//! [`Deepgram`] is the model of one project in virtual time. It opens no socket and reads no clock; the same seed and the
//! same inputs give the same messages, byte for byte. [`start`] puts it behind real sockets. It understands the caller
//! from the audio it receives and nothing else; its clock for turns is that audio. Words come while somebody still
//! speaks: as far as a recording was heard, and corrected when it was heard whole.
//!
//! How sure it is that a turn is over grows with the caller's silence, up to certainty after
//! [`DeepgramConfig::certain_after`]; the thresholds of the stream are held against that.
//!
//! **What can fail** ([`crate::evi::fault`], shared with the other engines): a handshake refused, slow or unanswered; the
//! socket dropped, closed or fallen silent at a chosen moment (a *sentence* is a turn of the caller here, counted from
//! its `StartOfTurn`); frames that are no JSON, binary, or of an unknown type; a fatal `Error` (the failed turn).
//!
//! **What lies outside**: encodings other than mu-law and linear16; key terms, redaction and numerals, which are accepted
//! and shown but change nothing; what a real model makes of noise.

mod config;
mod stream;
mod turn;

pub use config::{DeepgramConfig, Record};

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wire::deepgram::connect::{Encoding, LISTEN_PATH, Listen};
use wire::deepgram::error::{ERROR_HEADER, REQUEST_ID_HEADER, Refusal as Body};

pub use crate::evi::{Accepted, Ended, Frame, Out, SessionId, fault};
use crate::line::server::{Handle, Handshake, Model, Refusal};
use crate::line::{MOST_ENDED, admits, uuid};
use fault::{FaultCounts, Faults, HandshakeFault, Mishap};
use stream::Stream;

/// One project of a simulated Deepgram.
pub struct Deepgram {
    config: DeepgramConfig,
    faults: Faults,
    counts: FaultCounts,
    rng: fastrand::Rng,
    attempts: u32,
    streams: BTreeMap<SessionId, Stream>,
}

/// Starts one on a free port of this machine; the URL is what `DEEPGRAM_BASE_URL` is set to.
///
/// # Errors
/// If no port can be had.
pub async fn start(config: DeepgramConfig, faults: Faults, seed: u64) -> std::io::Result<Handle<Deepgram>> {
    crate::line::server::start(Deepgram::new(config, faults, seed)).await
}

impl Deepgram {
    /// A project without streams.
    #[must_use]
    pub fn new(config: DeepgramConfig, faults: Faults, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { config, faults, counts: FaultCounts::new(), rng, attempts: 0, streams: BTreeMap::new() }
    }

    /// What each stream brought, in the order of the handshakes; kept for a while after its end.
    pub fn records(&self) -> impl Iterator<Item = (SessionId, &Record)> {
        self.streams.iter().map(|(id, stream)| (*id, &stream.record))
    }

    /// How a stream ended, if it has.
    #[must_use]
    pub fn ended(&self, session: SessionId) -> Option<Ended> {
        self.streams.get(&session)?.line.ended.map(|(_, how)| how)
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
        for stream in self.streams.values_mut() {
            stream.suffer(&self.config, &mut self.counts, now, mishap);
        }
    }

    fn refusal(&mut self, status: u16, code: &str, message: &str) -> Refusal {
        let request_id = uuid(&mut self.rng);
        let body = Body { err_code: code.to_owned(), err_msg: message.to_owned(), request_id: request_id.clone() };
        let headers = vec![(REQUEST_ID_HEADER, request_id), (ERROR_HEADER, message.to_owned())];
        Refusal::Answered { status, headers, body: body.to_json() }
    }
}

impl Model for Deepgram {
    const PATH: &'static str = LISTEN_PATH;

    fn connect(&mut self, now: Instant, handshake: Handshake<'_>) -> Result<Accepted, Refusal> {
        self.attempts += 1;
        let (path, query) = handshake.path_and_query.split_once('?').unwrap_or((handshake.path_and_query, ""));
        let fate = self.faults.fate(self.attempts, false, &mut self.rng);
        let mut after = Duration::ZERO;
        if let Some(fault) = fate.handshake {
            *self.counts.entry(fault.name()).or_default() += 1;
            match fault {
                HandshakeFault::Refuse(status) | HandshakeFault::RefuseResume(status) => {
                    let (code, message) = reason(status);
                    return Err(self.refusal(status, code, message));
                }
                HandshakeFault::Silence => return Err(Refusal::Silence),
                HandshakeFault::Slow(delay) => after = delay,
            }
        }
        if path != LISTEN_PATH {
            return Err(self.refusal(404, "NOT_FOUND", "no such endpoint"));
        }
        let key = handshake.authorization.and_then(|value| {
            value
                .strip_prefix("Token ")
                .or_else(|| value.strip_prefix("token "))
                .or_else(|| value.strip_prefix("Bearer "))
        });
        if !admits(&self.config.api_keys, key) {
            let (code, message) = reason(401);
            return Err(self.refusal(401, code, message));
        }
        let listen = match Listen::from_query(query) {
            Ok(listen) => listen,
            Err(error) => return Err(self.refusal(400, "INVALID_QUERY_PARAMETER", &error.to_string())),
        };
        if !matches!(listen.encoding, Some(Encoding::Mulaw | Encoding::Linear16))
            || !matches!(listen.sample_rate, Some(8_000 | 16_000))
        {
            return Err(self.refusal(400, "INVALID_QUERY_PARAMETER", "this encoding is not simulated"));
        }
        if self.streams.values().filter(|stream| !stream.line.is_over()).count() >= self.config.streams_max {
            let (code, message) = reason(429);
            return Err(self.refusal(429, code, message));
        }
        let session = SessionId(u64::from(self.attempts));
        let stream = Stream::open(now + after, listen, fate.midway, uuid(&mut self.rng));
        self.streams.insert(session, stream);
        let ended = self.streams.iter().filter(|(_, stream)| stream.line.is_over()).map(|(id, _)| *id);
        let ended: Vec<SessionId> = ended.collect();
        for id in ended.iter().take(ended.len().saturating_sub(MOST_ENDED)) {
            self.streams.remove(id);
        }
        Ok(Accepted { session, after })
    }

    fn headers(&self, session: SessionId) -> Vec<(&'static str, String)> {
        let stream = self.streams.get(&session);
        stream.map(|stream| (REQUEST_ID_HEADER, stream.record.request_id.clone())).into_iter().collect()
    }

    fn receive(&mut self, now: Instant, session: SessionId, frame: &Frame) {
        if let Some(stream) = self.streams.get_mut(&session) {
            stream.receive(&self.config, &mut self.counts, now, frame);
        }
    }

    fn disconnect(&mut self, now: Instant, session: SessionId) {
        if let Some(stream) = self.streams.get_mut(&session) {
            stream.line.abandoned(now);
        }
    }

    fn poll(&mut self, now: Instant, session: SessionId) -> Option<Out> {
        self.streams.get_mut(&session)?.poll(&self.config, &mut self.counts, now)
    }

    fn next_due(&self, session: SessionId) -> Option<Instant> {
        let stream = self.streams.get(&session)?;
        stream.line.next_due(stream.next_due(&self.config))
    }
}

/// Code and message of a refusal with this status. (Deepgram: "Errors")
fn reason(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("INVALID_AUTH", "invalid credentials"),
        402 => ("ASR_PAYMENT_REQUIRED", "the project has not enough credits"),
        403 => ("INSUFFICIENT_PERMISSIONS", "the project has no access to the requested model"),
        429 => ("TOO_MANY_REQUESTS", "too many requests"),
        _ => ("Bad Request", "refused"),
    }
}
