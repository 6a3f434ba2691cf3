//! The simulated phone: Twilio's end of one Media Stream, with a caller's mouth and ear on it, in virtual time.
//!
//! A [`Phone`] is told the time and what the server sent, and asked what Twilio would send and when next. It speaks
//! continuously (every 20 ms a frame, speech or silence), plays what it receives at exactly real time, returns marks,
//! obeys `clear`, and remembers byte by byte what was [`Heard`]. A [`Caller`] moves its mouth by a script; a
//! [`DelayLine`] stands for the network between it and the server. [`crate::twilio`] puts the same phone behind a real
//! WebSocket.
//!
//! **What is a failure**, listed in [`Phone::violations`] with Twilio's numbers: a binary message (31950); text that is
//! not a JSON object, an event a server may not send, a missing, additional or repeated key, a value of the wrong type,
//! another stream's identifier, audio that is not base64 (31951); more than ten minutes of audio queued (31931). Twilio
//! shows each number once per stream; here every occurrence is counted. A message at fault has no other effect.
//!
//! **What is not a failure**: audio in pieces of any size, and as early as the server likes; `clear` with nothing
//! queued; marks with equal names; messages that cross a `stop` on the way; a server that sends nothing, or closes at any
//! moment (what it had queued is then not heard). Gaps and late words are not failures of protocol: they are in
//! [`Heard`], for the test to judge.
//!
//! **Outside the simulation**: codecs other than mu-law, packets that arrive out of order, echo of the agent in the
//! caller's microphone, one-way streams, and what Twilio does about a socket that hangs (nothing is published).
//!
//! Every undocumented habit is a switch in [`Unknowns`]. The same seed and the same inputs give the same bytes.
//! Sources: Twilio, voice/media-streams/websocket-messages; api/errors.

mod caller;
mod config;
mod departure;
mod heard;
mod leaving;
mod net;
mod playout;
mod samples;
mod sent;
mod violation;
mod voice;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fastrand::Rng;
use wire::twilio::stream::phone::Phone as Writer;
use wire::twilio::stream::server::{Violation as Fault, parse_strict};
use wire::twilio::stream::{Inbound, Outbound, parse};

pub use self::caller::{Act, Caller, CallerScript, Cue, Performed, Step};
pub use self::config::{Bunching, Keep, Line, Pacing, PhoneConfig, RandomStalls, Stall, Unknowns};
pub use self::heard::{Arrival, ClearRecord, Gap, Heard, MarkEnd, MarkRecord, Stretch};
pub use self::net::{DelayLine, DelaySettings};
pub use self::sent::{Fate, SentFrame};
pub use self::violation::{BUFFER_FULL, Violation};

use self::departure::{Departure, Departures};
use self::playout::{Echo, Playout, Refused};
use self::samples::{FRAME_BYTES, count, duration_of, samples_between};
use self::sent::Sent;
use self::violation::Violations;
use self::voice::Voice;

/// Twilio's end of one stream.
#[derive(Debug)]
pub struct Phone {
    config: PhoneConfig,
    writer: Writer,
    phase: Phase,
    started: Option<Instant>,
    departures: Departures,
    next_frame: Departure,
    chunk: u64,
    voice: Voice,
    playout: Option<Playout>,
    echoes: VecDeque<Echo>,
    keys: VecDeque<(Instant, char)>,
    next_ping: Option<Instant>,
    heard: Heard,
    sent: Sent,
    violations: Violations,
    ended: Option<StreamEnd>,
}

/// What leaves Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneOut {
    /// A text message.
    Text(String),
    /// A WebSocket ping, if [`Unknowns::ping_every`] says so.
    Ping,
    /// The socket is closed; without a code it is just dropped.
    Close {
        /// The close code.
        code: Option<u16>,
    },
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// Twilio stopped it at this moment: the caller hung up, or the call was redirected.
    Stopped(Instant),
    /// The server closed the socket at this moment, with this code, or vanished.
    ServerClosed(Instant, Option<u16>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Connecting(Instant),
    Starting(Instant),
    Flowing { started: Instant, stop: Option<Instant> },
    Closing(Instant),
    Ended,
}

impl Phone {
    /// A phone whose socket is not open yet. The seed decides about jitter, loss and noise.
    pub fn new(config: PhoneConfig, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let voice = Voice::new(config.line, rng.fork());
        let mut departures = Departures::new(config.pacing.clone(), rng.fork());
        let next_frame = departures.next();
        Self {
            writer: Writer::new(config.stream_sid, config.account_sid, config.call_sid),
            phase: Phase::New,
            started: None,
            departures,
            next_frame,
            chunk: 0,
            voice,
            playout: None,
            echoes: VecDeque::new(),
            keys: VecDeque::new(),
            next_ping: None,
            heard: Heard::new(config.keep),
            sent: Sent::new(config.keep),
            violations: Violations::default(),
            ended: None,
            config,
        }
    }

    /// The socket is open: `connected` and `start` are due, and the line is live from now on. Only the first call
    /// counts.
    pub fn started(&mut self, now: Instant) {
        if self.phase == Phase::New {
            self.phase = Phase::Connecting(now);
            self.started = Some(now);
            self.playout = Some(Playout::new(now));
            self.next_ping = self.config.unknowns.ping_every.map(|every| now + every);
        }
    }

    /// A text message from the server.
    pub fn receive(&mut self, now: Instant, text: &str) {
        self.advance(now);
        if !self.takes_messages() {
            return;
        }
        match parse_strict(text, &self.config.stream_sid) {
            Ok(message) => self.obey(now, message),
            Err(fault) => self.violations.add(now, fault.code(), fault.to_string()),
        }
    }

    /// A binary message from the server, which Twilio cannot decode.
    pub fn receive_binary(&mut self, now: Instant) {
        self.advance(now);
        if self.takes_messages() {
            self.violations.add(now, Fault::Binary.code(), Fault::Binary.to_string());
        }
    }

    /// The next thing that leaves by now.
    pub fn poll(&mut self, now: Instant) -> Option<PhoneOut> {
        self.advance(now);
        loop {
            let (at, due) = self.next()?;
            if at > now {
                return None;
            }
            if let Some(out) = self.perform(at, due) {
                return Some(out);
            }
        }
    }

    /// When to poll again; nothing before the start and after the end.
    pub fn next_due(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    /// The caller speaks, from `at` or from the first frame that has not left yet. Returns when the last sample is said.
    pub fn say(&mut self, at: Instant, audio: &[u8]) -> Instant {
        let origin = self.started_at().unwrap_or(at);
        let start = samples_between(origin, at).max(u64::from(self.next_frame.frame) * FRAME_BYTES);
        self.voice.say(start, audio);
        origin + duration_of(start + count(audio.len()))
    }

    /// The caller presses a key. Keys are given in the order of their times.
    pub fn dtmf(&mut self, at: Instant, digit: char) {
        if self.config.unknowns.tone_in_audio {
            let origin = self.started_at().unwrap_or(at);
            self.voice.tone(samples_between(origin, at).max(u64::from(self.next_frame.frame) * FRAME_BYTES), digit);
        }
        self.keys.push_back((at, digit));
    }

    /// The caller hangs up: `stop` is due, then the close. What was queued is not heard.
    pub fn hang_up(&mut self, now: Instant) {
        self.stop(now);
    }

    /// Twilio stops the stream for any reason of its own: a hang-up, or a redirect of the call by REST.
    pub fn stop(&mut self, now: Instant) {
        self.advance(now);
        match self.phase {
            // Twilio stopped before it introduced itself: there is nothing to say but goodbye.
            Phase::Connecting(_) | Phase::Starting(_) => {
                self.phase = Phase::Closing(now);
                self.ended = Some(StreamEnd::Stopped(now));
            }
            Phase::Flowing { started, stop: None } => {
                self.phase = Phase::Flowing { started, stop: Some(now) };
                self.ended = Some(StreamEnd::Stopped(now));
            }
            Phase::New | Phase::Flowing { stop: Some(_), .. } | Phase::Closing(_) | Phase::Ended => {}
        }
    }

    /// The server closed the socket, or it broke. No `stop` is sent then.
    pub fn server_closed(&mut self, now: Instant, code: Option<u16>) {
        self.advance(now);
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.ended.get_or_insert(StreamEnd::ServerClosed(now, code));
        }
    }

    /// The socket could not take a message that was polled, and Twilio drops it (31930). Says whether it was audio.
    pub fn refused(&mut self, text: &str) -> bool {
        let Ok(Inbound::Media(media)) = parse(text) else {
            return false;
        };
        self.sent.dropped_under_congestion(media.chunk);
        true
    }

    /// What reached the ear so far. Call [`Phone::poll`] first to have it up to date.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Every frame of the caller's side, in order.
    pub fn sent(&self) -> &[SentFrame] {
        self.sent.frames()
    }

    /// How many frames were handed to the socket.
    pub fn frames_delivered(&self) -> u64 {
        self.sent.delivered()
    }

    /// What the server did wrong, in order; at most the first 200 with their texts.
    pub fn violations(&self) -> &[Violation] {
        self.violations.list()
    }

    /// How often the server did one thing wrong.
    pub fn violation_count(&self, code: u16) -> u64 {
        self.violations.count(code)
    }

    /// Audio that is queued and not yet heard.
    pub fn queued(&self) -> Duration {
        self.playout.as_ref().map_or(Duration::ZERO, Playout::queued)
    }

    /// When the stream started.
    pub fn started_at(&self) -> Option<Instant> {
        self.started
    }

    /// How the stream ended, once it has.
    pub fn ended(&self) -> Option<StreamEnd> {
        self.ended
    }

    /// What this phone was told at its start.
    pub fn config(&self) -> &PhoneConfig {
        &self.config
    }

    fn takes_messages(&self) -> bool {
        match self.phase {
            Phase::Connecting(_) | Phase::Starting(_) | Phase::Flowing { stop: None, .. } => true,
            Phase::New | Phase::Flowing { stop: Some(_), .. } | Phase::Closing(_) | Phase::Ended => false,
        }
    }

    fn advance(&mut self, now: Instant) {
        if let Some(playout) = &mut self.playout
            && self.ended.is_none()
        {
            playout.advance(now, &mut self.heard, &mut self.echoes);
        }
    }

    fn obey(&mut self, now: Instant, message: Outbound) {
        let Some(playout) = &mut self.playout else {
            return;
        };
        let refused = match message {
            Outbound::Media { payload } => {
                let arrival = Arrival { at: now, sounds_at: playout.next_sample_at(now), bytes: payload.len() };
                let queued = playout.audio(now, payload);
                if queued.is_ok() {
                    self.heard.arrived(arrival);
                }
                queued
            }
            Outbound::Mark { name } => playout.mark(now, name, &mut self.heard, &mut self.echoes),
            Outbound::Clear => {
                let tail = self.config.unknowns.tail_after_clear;
                playout.clear(now, tail, &mut self.heard, &mut self.echoes);
                Ok(())
            }
        };
        match refused {
            Ok(()) => {}
            Err(Refused::Audio) => {
                self.violations.add(now, BUFFER_FULL, "with audio beyond ten minutes of queue".into());
            }
            Err(Refused::Mark) => self.violations.add(now, BUFFER_FULL, "with a mark beyond thousands".into()),
        }
    }
}

#[cfg(test)]
mod tests;
