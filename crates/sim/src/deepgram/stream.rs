//! One stream: what arrives on its socket, and when what of it is processed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::deepgram::client::{ClientMessage, Configure, Thresholds, Unacceptable};
use wire::deepgram::connect::{EOT_TIMEOUT_MS_DEFAULT, Encoding, Listen, Model, Threshold};
use wire::deepgram::error::ErrorCode;
use wire::deepgram::server::{ConfigureFailure, ConfigureSuccess, Connected, FatalError, ServerMessage};

use super::config::{DeepgramConfig, Record, note};
use super::fault::{FaultCounts, Mishap, Moment};
use super::turn::{Listener, Said};
use crate::evi::{Frame, Out};
use crate::line::{Line, Special};

/// Audio is processed in pieces of this length.
const STEP: Duration = Duration::from_millis(20);

/// Audio that waits to be processed, in samples at 8 kHz: two minutes. What comes beyond is a client without measure.
const MOST_PENDING: usize = 120 * 8_000;

/// One stream.
pub(crate) struct Stream {
    pub(crate) line: Line,
    pub(crate) record: Record,
    model: Model,
    connected: bool,
    sequence_id: u64,
    listener: Listener,
    /// Samples at 8 kHz that are not processed yet.
    pending: VecDeque<i16>,
    /// Half a sample of linear16.
    odd_byte: Option<u8>,
    /// When the next piece may be processed.
    free_at: Instant,
    /// Messages that are on their way.
    waiting: VecDeque<(Instant, Said)>,
    last_frame: Instant,
    turns: u32,
}

impl Stream {
    pub(crate) fn open(opened: Instant, listen: Listen, fate: Vec<(Moment, Mishap)>, request_id: String) -> Self {
        let thresholds = Thresholds {
            eager_eot_threshold: listen.thresholds.eager_eot_threshold,
            eot_threshold: Some(listen.thresholds.eot_threshold.unwrap_or_default()),
            eot_timeout_ms: Some(listen.thresholds.eot_timeout_ms.unwrap_or(EOT_TIMEOUT_MS_DEFAULT)),
        };
        Self {
            line: Line::open(opened, fate),
            model: listen.model,
            listener: Listener::new(thresholds),
            record: Record { request_id, listen, thresholds, ..Record::default() },
            connected: false,
            sequence_id: 0,
            pending: VecDeque::new(),
            odd_byte: None,
            free_at: opened,
            waiting: VecDeque::new(),
            last_frame: opened,
            turns: 0,
        }
    }

    pub(crate) fn receive(&mut self, config: &DeepgramConfig, counts: &mut FaultCounts, now: Instant, frame: &Frame) {
        self.catch_up(config, counts, now);
        if self.line.is_over() {
            return;
        }
        self.last_frame = now;
        match frame {
            // An empty frame closes the stream. (Deepgram: "Troubleshooting WebSocket, NET, and DATA errors")
            Frame::Binary(bytes) if bytes.is_empty() => self.finish(config, now),
            Frame::Binary(bytes) => self.audio(config, now, bytes),
            Frame::Text(text) => match ClientMessage::parse(text, self.model, self.record.thresholds) {
                Ok(ClientMessage::Configure(change)) => self.configure(change),
                Ok(ClientMessage::ForceEndTurn {}) => {
                    self.record.forced += 1;
                    let said = self.listener.force_end();
                    self.deliver(now + config.latency, said);
                }
                Ok(ClientMessage::CloseStream {}) => {
                    self.record.closed_properly = true;
                    self.finish(config, now);
                }
                Err(Unacceptable { failed_change: true, code, description }) => {
                    note(&mut self.record.errors, description.clone());
                    let (request_id, sequence_id) = self.head();
                    let (code, description) = (Some(code.as_str().to_owned()), Some(description));
                    self.send(&ServerMessage::ConfigureFailure(ConfigureFailure {
                        request_id,
                        sequence_id,
                        code,
                        description,
                    }));
                }
                Err(Unacceptable { failed_change: false, code, description }) => {
                    note(&mut self.record.errors, description.clone());
                    self.fail(config, now, code, description);
                }
            },
        }
    }

    fn audio(&mut self, config: &DeepgramConfig, now: Instant, bytes: &[u8]) {
        self.record.audio_bytes += bytes.len() as u64;
        if !self.connected {
            self.record.early_bytes += bytes.len() as u64;
        }
        let room = config.keep_audio.saturating_sub(self.record.audio.len());
        self.record.audio.extend(bytes.iter().take(room));
        if self.pending.is_empty() {
            self.free_at = self.free_at.max(now);
        }
        let samples: Vec<i16> = match self.record.listen.encoding {
            Some(Encoding::Linear16) => {
                let all: Vec<u8> = self.odd_byte.take().into_iter().chain(bytes.iter().copied()).collect();
                let pairs = all.chunks_exact(2);
                self.odd_byte = pairs.remainder().first().copied();
                pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
            }
            _ => call::audio::mulaw::decoded(bytes),
        };
        // The ear listens at 8 kHz; of twice as many samples it takes every other one.
        let step = if self.record.listen.sample_rate == Some(16_000) { 2 } else { 1 };
        self.pending.extend(samples.into_iter().step_by(step));
        if self.pending.len() > MOST_PENDING {
            self.fail(config, now, ErrorCode::InternalServerError, "too much audio at once".to_owned());
        }
    }

    fn configure(&mut self, change: Configure) {
        let thresholds = self.record.thresholds.changed_by(change.thresholds.unwrap_or_default());
        self.record.thresholds = thresholds;
        self.listener.set_thresholds(thresholds);
        let listen = &mut self.record.listen;
        if let Some(terms) = &change.keyterms {
            listen.keyterms.clone_from(terms);
        }
        if let Some(hints) = &change.language_hints {
            listen.language_hints.clone_from(hints);
        }
        listen.numerals = change.numerals.or(listen.numerals);
        let keyterms = listen.keyterms.clone();
        let language_hints = (self.model == Model::Multi).then(|| listen.language_hints.clone());
        let numerals = listen.numerals;
        note(&mut self.record.changes, change);
        let (request_id, sequence_id) = self.head();
        self.send(&ServerMessage::ConfigureSuccess(ConfigureSuccess {
            request_id,
            sequence_id,
            thresholds,
            keyterms,
            language_hints,
            numerals,
        }));
    }

    /// No more audio comes: what is left is heard at once, and the socket closes without a code. (Deepgram: "Flux close
    /// stream")
    fn finish(&mut self, config: &DeepgramConfig, now: Instant) {
        let rest: Vec<i16> = self.pending.drain(..).collect();
        let mut said = self.listener.hear(config, &rest);
        said.extend(self.listener.last_update());
        // A stream that is being closed ends no turn.
        said.retain(|said| matches!(said, Said::Turn(info) if info.event == wire::deepgram::server::TurnEvent::Update));
        self.deliver(now, said);
        self.release(config, now + config.latency);
        self.line.close(now, 1005, "");
    }

    fn fail(&mut self, config: &DeepgramConfig, now: Instant, code: ErrorCode, description: String) {
        let (_, sequence_id) = self.head();
        self.send(&ServerMessage::Error(FatalError { sequence_id, code: code.as_str().to_owned(), description }));
        self.line.close(now, config.error_close, "");
    }

    pub(crate) fn suffer(&mut self, config: &DeepgramConfig, counts: &mut FaultCounts, now: Instant, mishap: &Mishap) {
        match self.line.suffer(counts, now, mishap) {
            Some(Special::Failed) => {
                self.fail(config, now, ErrorCode::InternalServerError, "an internal error occurred".to_owned());
            }
            // This dialect has no audio of its own.
            Some(Special::Huge | Special::Late(_)) | None => {}
        }
    }

    pub(crate) fn poll(&mut self, config: &DeepgramConfig, counts: &mut FaultCounts, now: Instant) -> Option<Out> {
        self.catch_up(config, counts, now);
        self.line.next(now)
    }

    /// When something of this stream's own is due.
    pub(crate) fn next_due(&self, config: &DeepgramConfig) -> Option<Instant> {
        let piece = (self.pending.len() >= piece_samples()).then_some(self.free_at);
        let greeting = (!self.connected).then_some(self.line.opened + config.connected_delay);
        let message = self.waiting.front().map(|(due, _)| *due);
        let idle = Some(self.last_frame + config.idle_max);
        [piece, greeting, message, idle].into_iter().flatten().min()
    }

    /// Does what was due, in the order in which it was due, at the time at which it was due.
    fn catch_up(&mut self, config: &DeepgramConfig, counts: &mut FaultCounts, now: Instant) {
        while !self.line.is_over() {
            let own = self.next_due(config);
            let fault = self.line.next_fault();
            let Some(due) = [own, fault].into_iter().flatten().min().filter(|due| *due <= now) else { return };
            if let Some(mishap) = self.line.take_fault(due) {
                self.suffer(config, counts, due, &mishap);
            } else if !self.connected && self.line.opened + config.connected_delay <= due {
                self.connected = true;
                let (request_id, sequence_id) = self.head();
                self.send(&ServerMessage::Connected(Connected { request_id, sequence_id }));
            } else if self.waiting.front().is_some_and(|(at, _)| *at <= due) {
                self.release(config, due);
            } else if self.pending.len() >= piece_samples() && self.free_at <= due {
                let samples: Vec<i16> = self.pending.drain(..piece_samples()).collect();
                self.free_at += STEP * 100 / config.speed_percent.max(1);
                let said = self.listener.hear(config, &samples);
                let heard = self.listener.position();
                self.line.reached(due, |moment| matches!(moment, Moment::Heard(after) if *after <= heard));
                self.deliver(due + config.latency, said);
            } else {
                // Nothing came for too long. (Deepgram: NET-0001)
                self.line.close(due, 1011, "NET-0001");
            }
        }
    }

    fn deliver(&mut self, at: Instant, said: Vec<Said>) {
        self.waiting.extend(said.into_iter().map(|said| (at, said)));
    }

    /// Sends what has been on its way long enough.
    fn release(&mut self, config: &DeepgramConfig, now: Instant) {
        while let Some((_, said)) = self.waiting.pop_front_if(|(due, _)| *due <= now) {
            match said {
                Said::Started => {
                    self.turns += 1;
                    let turn = self.turns;
                    self.line.reached(now, |moment| matches!(moment, Moment::Sentence { nth, .. } if *nth == turn));
                }
                Said::Turn(mut info) => {
                    (info.request_id, info.sequence_id) = self.head();
                    if self.model == Model::Multi {
                        let hints = &self.record.listen.language_hints;
                        info.languages_hinted = (!hints.is_empty()).then(|| hints.clone());
                    } else {
                        info.languages = None;
                    }
                    if !config.word_times {
                        info.words.iter_mut().for_each(|word| (word.start, word.end) = (None, None));
                    }
                    self.send(&ServerMessage::TurnInfo(*info));
                }
                Said::Ended(text) => {
                    note(&mut self.record.heard, text);
                    let turn = u32::try_from(self.record.heard.len()).unwrap_or(u32::MAX);
                    self.line.reached(now, |moment| matches!(moment, Moment::CallerTurn(nth) if *nth == turn));
                }
            }
        }
    }

    fn head(&mut self) -> (String, u64) {
        let sequence_id = self.sequence_id;
        self.sequence_id += 1;
        (self.record.request_id.clone(), sequence_id)
    }

    fn send(&mut self, message: &ServerMessage) {
        self.line.push(message.to_json());
    }
}

fn piece_samples() -> usize {
    usize::try_from(STEP.as_millis()).unwrap_or(20) * 8
}

/// How sure it is after this much silence.
pub(crate) fn confidence(config: &DeepgramConfig, silence: Duration) -> Threshold {
    let share = silence.as_secs_f64() / config.certain_after.as_secs_f64().max(0.001);
    Threshold::from_f64(share.min(1.0)).unwrap_or_default()
}
