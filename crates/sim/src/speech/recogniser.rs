//! The simulated engines' ear: speech in, turns and words out.
//!
//! Listens to one stream of 8 kHz samples. Loudness tells where speech begins and when a turn has ended; the matcher
//! then tells which of the caller's recordings were in it. A turn in which nothing is recognised is reported as such:
//! the engine heard somebody, and must say so.
//!
//! Cheap by design: loudness is one multiplication a sample, and words are looked for once a turn.

use super::matcher;
use call::audio::mulaw;
use std::time::Duration;

pub use super::matcher::Match;

/// The stream's rate in hertz.
pub const RATE: u32 = 8_000;

/// Loudness is judged every 10 ms.
pub(super) const HOP: usize = 80;

/// Speech has begun after this many loud hops in a row: a click is not speech.
const ONSET_HOPS: usize = 3;

/// Sound from before the onset that belongs to the turn: soft consonants are quieter than the threshold.
const LEAD_IN: usize = 12 * HOP;

/// A turn ends at the latest after this much sound, whatever is still being said: 30 s.
const TURN_SAMPLES_MAX: usize = 30 * RATE as usize;

/// What the ear noticed. Times count from the stream's first sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody began to speak.
    SpeechStarted {
        /// When.
        at: Duration,
    },
    /// The turn is over: there was silence for long enough, or the turn became too long.
    TurnEnded(Turn),
}

/// One turn of the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// When speech began.
    pub start: Duration,
    /// When the last speech was heard; the silence after it does not count.
    pub end: Duration,
    /// What was said.
    pub outcome: Outcome,
}

/// What was understood of a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The recordings that were heard, in order; never empty.
    Recognised(Vec<Match>),
    /// Speech or noise that is no recording.
    Unrecognised {
        /// The best match that was not good enough, for tests and logs.
        nearest: Option<Match>,
    },
}

impl Turn {
    /// The words, if any were recognised.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Recognised(matches) => {
                Some(matches.iter().map(|found| found.utterance.text).collect::<Vec<_>>().join(" "))
            }
            Outcome::Unrecognised { .. } => None,
        }
    }
}

/// Listens to one stream.
#[derive(Debug, Clone)]
pub struct Recogniser {
    end_of_turn: usize,
    /// Samples before `buffer`.
    before: u64,
    /// The turn so far, or a little sound that may become one's beginning; its tail may be less than a hop.
    buffer: Vec<i16>,
    /// Samples of `buffer` whose loudness is known.
    judged: usize,
    noise: NoiseFloor,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Quiet {
        loud_hops: usize,
    },
    /// `start` and `end` are offsets into the buffer.
    Speaking {
        start: usize,
        end: usize,
    },
}

impl Recogniser {
    /// An ear that takes a turn for ended after this much silence.
    #[must_use]
    pub fn new(end_of_turn_silence: Duration) -> Self {
        let mut recogniser = Self {
            end_of_turn: 0,
            before: 0,
            buffer: Vec::new(),
            judged: 0,
            noise: NoiseFloor::new(),
            state: State::Quiet { loud_hops: 0 },
        };
        recogniser.set_end_of_turn_silence(end_of_turn_silence);
        recogniser
    }

    /// Changes the silence that ends a turn, also within one.
    pub fn set_end_of_turn_silence(&mut self, silence: Duration) {
        let samples = usize::try_from(silence.as_millis() * u128::from(RATE) / 1_000).unwrap_or(TURN_SAMPLES_MAX);
        self.end_of_turn = samples.clamp(HOP, TURN_SAMPLES_MAX);
    }

    /// Listens to more linear samples.
    pub fn push(&mut self, samples: &[i16]) -> Vec<Event> {
        self.buffer.extend_from_slice(samples);
        self.listen()
    }

    /// Listens to more mu-law.
    pub fn push_mulaw(&mut self, codes: &[u8]) -> Vec<Event> {
        mulaw::decode_into(codes, &mut self.buffer);
        self.listen()
    }

    /// Ends a turn at once, if one is going on: the stream is over, or the client says so.
    pub fn finish(&mut self) -> Option<Turn> {
        match self.state {
            State::Quiet { .. } => None,
            State::Speaking { start, end } => Some(self.end_turn(start, end)),
        }
    }

    /// How much sound has been heard so far.
    #[must_use]
    pub fn position(&self) -> Duration {
        time(self.before + self.buffer.len() as u64)
    }

    /// For how long the caller has been speaking, from the beginning of the speech to its last sound; `None` between
    /// turns. Engines take speech for an interruption only when it has lasted for a while.
    #[must_use]
    pub fn speaking_for(&self) -> Option<Duration> {
        match self.state {
            State::Quiet { .. } => None,
            State::Speaking { start, end } => Some(time((end - start) as u64)),
        }
    }

    fn listen(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.judged + HOP <= self.buffer.len() {
            let hop = &self.buffer[self.judged..self.judged + HOP];
            let loud = self.noise.is_loud(level_db(hop), matches!(self.state, State::Quiet { .. }));
            self.judged += HOP;
            events.extend(self.judge(loud));
        }
        if let State::Quiet { .. } = self.state {
            self.forget(self.judged.saturating_sub(LEAD_IN + ONSET_HOPS * HOP));
        }
        events
    }

    /// Takes in the loudness of the hop that ends at `judged`.
    fn judge(&mut self, loud: bool) -> Option<Event> {
        match self.state {
            State::Quiet { .. } if !loud => {
                self.state = State::Quiet { loud_hops: 0 };
                None
            }
            State::Quiet { loud_hops } if loud_hops + 1 < ONSET_HOPS => {
                self.state = State::Quiet { loud_hops: loud_hops + 1 };
                None
            }
            State::Quiet { .. } => {
                let onset = self.judged - ONSET_HOPS * HOP;
                self.forget(onset.saturating_sub(LEAD_IN));
                let start = onset.min(LEAD_IN);
                self.state = State::Speaking { start, end: self.judged };
                Some(Event::SpeechStarted { at: time(self.before + start as u64) })
            }
            State::Speaking { start, end } => {
                let end = if loud { self.judged } else { end };
                self.state = State::Speaking { start, end };
                let over = self.judged - end >= self.end_of_turn || self.judged >= TURN_SAMPLES_MAX;
                over.then(|| Event::TurnEnded(self.end_turn(start, end)))
            }
        }
    }

    fn end_turn(&mut self, start: usize, end: usize) -> Turn {
        let (matches, nearest) = matcher::matches(&self.buffer[..self.judged]);
        let turn = Turn {
            start: time(self.before + start as u64),
            end: time(self.before + end as u64),
            outcome: if matches.is_empty() { Outcome::Unrecognised { nearest } } else { Outcome::Recognised(matches) },
        };
        self.state = State::Quiet { loud_hops: 0 };
        self.forget(self.judged);
        turn
    }

    fn forget(&mut self, samples: usize) {
        self.buffer.drain(..samples);
        self.judged -= samples;
        self.before += samples as u64;
    }
}

/// What is loud is judged against the line's own noise.
#[derive(Debug, Clone)]
struct NoiseFloor {
    level_db: f32,
}

impl NoiseFloor {
    /// Below this nothing is speech.
    const LOUD_DB: f32 = -44.0;
    /// Speech stands out of the noise by this much.
    const ABOVE_DB: f32 = 10.0;

    fn new() -> Self {
        Self { level_db: -75.0 }
    }

    /// The floor is learnt while nobody speaks.
    fn is_loud(&mut self, level_db: f32, learn: bool) -> bool {
        let loud = level_db > Self::LOUD_DB.max(self.level_db + Self::ABOVE_DB);
        if learn && !loud {
            self.level_db += 0.05 * (level_db.clamp(-75.0, -35.0) - self.level_db);
        }
        loud
    }
}

/// Decibels below full scale.
pub(super) fn level_db(samples: &[i16]) -> f32 {
    let sum: i64 = samples.iter().map(|&sample| i64::from(i32::from(sample) * i32::from(sample))).sum();
    10.0 * ((sum as f32 / samples.len().max(1) as f32 + 1e-3) / (32_768.0 * 32_768.0)).log10()
}

fn time(samples: u64) -> Duration {
    Duration::from_micros(samples * 125)
}

#[cfg(test)]
mod tests;
