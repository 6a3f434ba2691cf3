//! Deepgram Flux: the caller's audio up, the caller's turns down.
//!
//! The audio goes up as the phone's own mu-law, in pieces of 80 ms (Deepgram: "Flux quickstart"), and only after
//! `Connected`. The stream's clock begins anew on each connection, so every connection remembers where in the caller's
//! audio it began. When one is lost in the middle of a turn, the words so far are kept, the audio that was not yet
//! understood is sent again, at most two seconds of it: the server takes audio little faster than real time. A socket that
//! says nothing while audio flows is as good as lost: an update is due each quarter of a second. In the middle of the
//! caller's speech that is noticed after one second, else after two.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::deepgram::connect::{Listen, Model, Threshold};
use wire::deepgram::server::{ServerMessage, TurnEvent, TurnInfo};
use wire::deepgram::{FRAME_BYTES, error};

use super::line::{Fate, Line};
use crate::agent::Script;
use crate::audio::mulaw;
use crate::engine::Outbox;
use crate::io::LinkRequest;
use crate::journal::LinkCause;
use crate::limits::{
    CASCADE_BACKLOG_MAX, CASCADE_DEAF_AFTER, CASCADE_DEAF_IN_SPEECH_AFTER, CASCADE_REST_OF_TURN_WITHIN, SAMPLES_PER_MS,
    SPEECH_ABOVE_DBFS, SPEECH_MIN,
};
use crate::playout::samples;

/// What was heard of the caller.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    /// The stream is ready for audio.
    Connected {
        /// The vendor's id of it.
        stream: String,
    },
    /// Words, so far.
    Words(String),
    /// The turn may be over.
    MaybeOver(String),
    /// It was not.
    GoesOn,
    /// It is over.
    Turn {
        /// What was said.
        text: String,
        /// When, in milliseconds of the audio that was given to us.
        span_ms: (u64, u64),
    },
    /// The language that was spoken.
    Language(String),
    /// Something went wrong and the stream goes on.
    Trouble {
        /// The vendor's code.
        code: String,
        /// The vendor's words.
        message: String,
    },
    /// The stream is over.
    Failed {
        /// Why.
        why: LinkCause,
    },
    /// A message that could not be read.
    Malformed,
    /// A message that came later than this program.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Ears {
    pub(super) line: Line,
    listen: Listen,
    connected: bool,
    /// Audio that does not fill a piece yet.
    piece: Vec<u8>,
    /// Pieces that were sent, or wait to be, newest last, and where the first of them begins in the caller's audio.
    recent: VecDeque<Bytes>,
    recent_from: u64,
    /// How many of them wait.
    unsent: usize,
    /// Bytes given to us.
    given: u64,
    /// Where in the caller's audio this connection began.
    base: u64,
    /// How far it has understood.
    understood: u64,
    /// Bytes sent since it last said something, how many of them with a voice in them, and when that was.
    sent_since: u64,
    voiced_since: u64,
    said_at: Option<Instant>,
    /// Words of this turn that an earlier connection heard, and where they began.
    before: Option<(String, u64)>,
    /// When those words are all there was.
    rest_by: Option<Instant>,
    /// The words of the turn so far.
    words: String,
    language: Option<String>,
}

impl Ears {
    pub(super) fn new(script: &Script) -> Self {
        Self {
            line: Line::new(),
            listen: listen(script),
            connected: false,
            piece: Vec::with_capacity(FRAME_BYTES),
            recent: VecDeque::new(),
            recent_from: 0,
            unsent: 0,
            given: 0,
            base: 0,
            understood: 0,
            sent_since: 0,
            voiced_since: 0,
            said_at: None,
            before: None,
            rest_by: None,
            words: String::new(),
            language: None,
        }
    }

    pub(super) fn dial(&mut self, port: u32, within: Duration, outbox: &mut Outbox<'_>) {
        self.connected = false;
        self.line.dial(port, LinkRequest::Deepgram(Box::new(self.listen.clone())), within, outbox);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether the caller is in the middle of a turn.
    pub(super) fn in_turn(&self) -> bool {
        !self.words.is_empty() || self.before.is_some()
    }

    /// Takes audio of the caller.
    pub(super) fn hear(&mut self, mulaw: &[u8], outbox: &mut Outbox<'_>) {
        self.given += mulaw.len() as u64;
        let mut rest = mulaw;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at((FRAME_BYTES - self.piece.len()).min(rest.len()));
            self.piece.extend_from_slice(head);
            rest = tail;
            if self.piece.len() == FRAME_BYTES {
                let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(FRAME_BYTES));
                self.recent.push_back(Bytes::from(piece));
                self.unsent += 1;
            }
        }
        self.forget_the_oldest();
        self.send(outbox);
    }

    fn forget_the_oldest(&mut self) {
        let kept_max = usize::try_from(samples(CASCADE_BACKLOG_MAX)).unwrap_or(usize::MAX) / FRAME_BYTES;
        while self.recent.len() > kept_max {
            self.recent_from += self.recent.pop_front().map_or(0, |piece| piece.len() as u64);
            self.unsent = self.unsent.min(self.recent.len());
        }
    }

    fn send(&mut self, outbox: &mut Outbox<'_>) {
        let Some(port) = self.line.open_port().filter(|_| self.connected) else { return };
        let sent = self.recent.len() - self.unsent;
        for piece in self.recent.iter().skip(sent) {
            self.sent_since += piece.len() as u64;
            if mulaw::level_dbfs(piece) > SPEECH_ABOVE_DBFS {
                self.voiced_since += piece.len() as u64;
            }
            outbox.binary(port, piece.clone());
        }
        self.unsent = 0;
    }

    /// A message came.
    pub(super) fn receive(&mut self, text: &str, outbox: &mut Outbox<'_>, mut each: impl FnMut(Heard)) {
        let Ok(message) = ServerMessage::parse(text) else { return each(Heard::Malformed) };
        (self.sent_since, self.voiced_since) = (0, 0);
        self.said_at = Some(outbox.now);
        match message {
            ServerMessage::Connected(connected) => {
                self.connected = true;
                self.line.opened();
                self.begin(outbox);
                each(Heard::Connected { stream: connected.request_id });
            }
            ServerMessage::TurnInfo(info) => self.turn_info(info, each),
            ServerMessage::Warning(warning) => {
                each(Heard::Trouble { code: warning.code, message: warning.description });
            }
            ServerMessage::Error(fatal) => each(Heard::Failed { why: LinkCause::Failed { code: fatal.code } }),
            ServerMessage::ConfigureSuccess(_) | ServerMessage::ConfigureFailure(_) => {}
            ServerMessage::Unknown(_) => each(Heard::Unknown),
        }
    }

    /// A connection begins where the one before had stopped to understand, or with what waits.
    fn begin(&mut self, outbox: &mut Outbox<'_>) {
        let mut position = self.recent_from;
        let waiting = self.recent.iter().filter(|piece| {
            position += piece.len() as u64;
            position > self.understood
        });
        self.unsent = waiting.count();
        let known: usize = self.recent.iter().take(self.recent.len() - self.unsent).map(Bytes::len).sum();
        self.base = self.recent_from + known as u64;
        if self.before.is_some() {
            self.rest_by = Some(outbox.now + CASCADE_REST_OF_TURN_WITHIN);
        }
        self.send(outbox);
    }

    fn turn_info(&mut self, info: TurnInfo, mut each: impl FnMut(Heard)) {
        // Only a stream that understands is a stream that is back.
        self.line.steady();
        let at = |seconds: f64| self.base + position(seconds);
        let (start, end) = (at(info.audio_window_start), at(info.audio_window_end));
        // The window goes on until the turn was known to be over; the caller was silent before.
        let spoke_from = info.words.first().and_then(|word| word.start).map_or(start, at);
        let spoke_to = info.words.last().and_then(|word| word.end).map_or(end, at).min(end);
        self.understood = self.understood.max(end).min(self.given);
        let text = self.with_earlier(info.transcript.trim());
        if !info.transcript.trim().is_empty() {
            self.rest_by = None;
        }
        let language = info.languages.and_then(|languages| languages.into_iter().next());
        if let Some(language) = language.filter(|language| self.language.as_ref() != Some(language)) {
            self.language = Some(language.clone());
            each(Heard::Language(language));
        }
        if !text.is_empty() {
            self.words.clone_from(&text);
            each(Heard::Words(text.clone()));
        }
        match info.event {
            TurnEvent::EagerEndOfTurn if !text.is_empty() => each(Heard::MaybeOver(text)),
            TurnEvent::TurnResumed => each(Heard::GoesOn),
            TurnEvent::EndOfTurn => {
                // A new connection may end a turn of noise while the words of the lost one still wait for their rest.
                let from = self.before.take().map_or(spoke_from, |(_, from)| from);
                self.turn_over(text, (from, spoke_to), each);
            }
            TurnEvent::EagerEndOfTurn | TurnEvent::Update | TurnEvent::StartOfTurn | TurnEvent::Other => {}
        }
    }

    fn turn_over(&mut self, text: String, (from, to): (u64, u64), mut each: impl FnMut(Heard)) {
        self.words.clear();
        self.rest_by = None;
        self.before = None;
        each(Heard::Turn { text, span_ms: (from / SAMPLES_PER_MS, to.max(from) / SAMPLES_PER_MS) });
    }

    fn with_earlier(&self, transcript: &str) -> String {
        match &self.before {
            Some((before, _)) if transcript.is_empty() => before.clone(),
            Some((before, _)) => format!("{before} {transcript}"),
            None => transcript.to_owned(),
        }
    }

    /// The connection is gone. What it heard of a turn that was not over is kept: its last update counts as final
    /// (Deepgram: "Flux: Close stream").
    pub(super) fn lost(&mut self, why: LinkCause, outbox: &mut Outbox<'_>) -> Fate {
        self.connected = false;
        (self.sent_since, self.voiced_since) = (0, 0);
        if !self.words.is_empty() {
            let from = self.before.take().map_or(self.base, |(_, from)| from);
            self.before = Some((std::mem::take(&mut self.words), from));
        }
        let hopeless = match &why {
            LinkCause::Status { status } => {
                !matches!(error::of_handshake(*status), wire::Verdict::Retry | wire::Verdict::OverLimit)
            }
            LinkCause::Closed { code } => !error::is_worth_redialling(*code),
            LinkCause::Dns | LinkCause::Tls => true,
            LinkCause::Timeout
            | LinkCause::Unreachable
            | LinkCause::Stalled
            | LinkCause::Failed { .. }
            | LinkCause::RolledOver => false,
        };
        self.line.lost(why, hopeless, outbox)
    }

    /// Whether the socket says nothing although audio flows.
    pub(super) fn is_deaf(&self, now: Instant) -> bool {
        let spoken = self.in_turn() || self.voiced_since >= samples(SPEECH_MIN);
        let patience = if spoken { CASCADE_DEAF_IN_SPEECH_AFTER } else { CASCADE_DEAF_AFTER };
        let silent = self.said_at.is_some_and(|at| now > at + patience);
        self.connected && silent && self.sent_since >= samples(patience) / 2
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        [self.line.next_due(), self.rest_by].into_iter().flatten().min()
    }

    /// The rest of a turn did not come: what a lost connection heard of it was all.
    pub(super) fn rest_overdue(&mut self, now: Instant, each: impl FnMut(Heard)) {
        if self.rest_by.is_some_and(|by| by <= now)
            && let Some((text, from)) = self.before.take()
        {
            let to = self.understood;
            self.turn_over(text, (from, to), each);
        }
    }
}

/// The place in the audio that a connection calls so many seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a call's length in samples fits")]
fn position(seconds: f64) -> u64 {
    (seconds.clamp(0.0, 1e6) * 8_000.0) as u64
}

fn listen(script: &Script) -> Listen {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let mut languages: Vec<String> = Vec::new();
    for language in std::iter::once(&script.language).chain(&script.languages).map(|tag| primary(tag)) {
        if !languages.contains(&language) {
            languages.push(language);
        }
    }
    let english = languages == ["en"];
    let mut listen = Listen::telephone(if english { Model::English } else { Model::Multi });
    if !english {
        listen.language_hints = languages;
    }
    let cascade = &script.cascade;
    listen.thresholds.eot_threshold = Threshold::from_f64(f64::from(cascade.end_of_turn));
    listen.thresholds.eager_eot_threshold =
        Threshold::from_f64(f64::from(cascade.early_answer)).filter(|_| cascade.early_answer > 0.0);
    listen.thresholds.eot_timeout_ms = Some(cascade.end_of_turn_ms_max);
    listen
}
