//! Turns: from sound to `StartOfTurn`, `Update`, `EagerEndOfTurn`, `TurnResumed` and `EndOfTurn`.
//!
//! (Deepgram: "Flux state machine") An eager event has words; a turn is resumed only after one; the words of `EndOfTurn`
//! are those of the eager event before it, or `TurnResumed` comes first.

use std::time::Duration;

use wire::deepgram::client::Thresholds;
use wire::deepgram::connect::Threshold;
use wire::deepgram::server::{Trigger, TurnEvent, TurnInfo, Word};

use super::config::DeepgramConfig;
use super::stream::confidence;
use crate::evi::mind::UNINTELLIGIBLE;
use crate::speech::{Event, Outcome, Recogniser, Turn};

/// Longer than any silence that is asked for: turns are ended here, not by the ear.
const EAR_PATIENCE: Duration = Duration::from_secs(70);

/// A pause within speech after which it is worth listening again to what was said.
const BREATH: Duration = Duration::from_millis(120);

/// What is to be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// A message; ids are put in when it is sent.
    Turn(Box<TurnInfo>),
    /// A turn has begun.
    Started,
    /// A turn has ended with these words.
    Ended(String),
}

/// Listens to one stream.
#[derive(Debug)]
pub(crate) struct Listener {
    ear: Recogniser,
    thresholds: Thresholds,
    state: State,
    turn_index: u64,
    /// When speech began that is not over yet.
    since: Option<Duration>,
    /// When the last message was due.
    told_at: Duration,
    /// What was understood so far, for how much speech.
    understood: Option<(Duration, Understood)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nobody speaks.
    Initial,
    /// Somebody does.
    Ongoing,
    /// An eager event was sent, with these words.
    AwaitingEnd(String),
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Understood {
    text: String,
    language: Option<&'static str>,
    confidence: f64,
}

impl Listener {
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Self {
            ear: Recogniser::new(EAR_PATIENCE),
            thresholds,
            state: State::Initial,
            turn_index: 0,
            since: None,
            told_at: Duration::ZERO,
            understood: None,
        }
    }

    pub(crate) fn set_thresholds(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
    }

    pub(crate) fn position(&self) -> Duration {
        self.ear.position()
    }

    /// Listens to more, in order, piece by piece.
    pub(crate) fn hear(&mut self, config: &DeepgramConfig, samples: &[i16]) -> Vec<Said> {
        let mut said = Vec::new();
        for piece in samples.chunks(160) {
            for event in self.ear.push(piece) {
                match event {
                    Event::SpeechStarted { at } => self.since = Some(at),
                    // The longest turn that the ear can hold.
                    Event::TurnEnded(turn) => self.end(&turn, Trigger::Timeout, &mut said),
                }
            }
            self.judge(config, &mut said);
        }
        said
    }

    /// The client says that the turn is over.
    pub(crate) fn force_end(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        if self.state != State::Initial
            && let Some(turn) = self.ear.finish()
        {
            self.end(&turn, Trigger::Manual, &mut said);
        }
        said
    }

    /// What is left of a turn when no more audio comes.
    pub(crate) fn last_update(&mut self) -> Option<Said> {
        (self.state != State::Initial).then(|| {
            let understood = self.understand();
            self.info(TurnEvent::Update, &understood, Threshold::thousandths(0))
        })
    }

    fn judge(&mut self, config: &DeepgramConfig, said: &mut Vec<Said>) {
        let position = self.ear.position();
        let (Some(since), Some(spoken)) = (self.since, self.ear.speaking_for()) else {
            return self.update(config, Threshold::thousandths(0), said);
        };
        let silence = position.saturating_sub(since + spoken);
        let sure = confidence(config, silence);
        let timeout = Duration::from_millis(u64::from(self.thresholds.eot_timeout_ms.unwrap_or(5_000)));
        let end_at = self.thresholds.eot_threshold.unwrap_or_default();
        match &self.state {
            State::Initial if spoken >= config.start_after => {
                self.state = State::Ongoing;
                said.push(Said::Started);
                let understood = self.understand();
                said.push(self.info(TurnEvent::StartOfTurn, &understood, sure));
            }
            // A click, or a cough: nobody said anything.
            State::Initial => {
                if silence >= config.certain_after {
                    self.ear.finish();
                    self.since = None;
                }
                return self.update(config, Threshold::thousandths(0), said);
            }
            State::AwaitingEnd(_) if silence.is_zero() => {
                self.state = State::Ongoing;
                let understood = self.understand();
                said.push(self.info(TurnEvent::TurnResumed, &understood, sure));
            }
            State::Ongoing | State::AwaitingEnd(_) => {}
        }
        // At 1.0 only silence or the client ends a turn.
        let natural = end_at < Threshold::thousandths(1000) && sure >= end_at;
        if natural || silence >= timeout {
            let trigger = if natural { Trigger::Model } else { Trigger::Timeout };
            if let Some(turn) = self.ear.finish() {
                self.end(&turn, trigger, said);
            }
            return;
        }
        if self.state == State::Ongoing && self.thresholds.eager_eot_threshold.is_some_and(|eager| sure >= eager) {
            let understood = self.understand();
            if !understood.text.is_empty() {
                self.state = State::AwaitingEnd(understood.text.clone());
                said.push(self.info(TurnEvent::EagerEndOfTurn, &understood, sure));
            }
        }
        self.update(config, sure, said);
    }

    /// An update is due every so often, unless something else was said.
    fn update(&mut self, config: &DeepgramConfig, sure: Threshold, said: &mut Vec<Said>) {
        if self.ear.position() < self.told_at + config.update_every {
            return;
        }
        let understood = match &self.state {
            State::Initial => Understood::default(),
            State::Ongoing | State::AwaitingEnd(_) => self.understand(),
        };
        said.push(self.info(TurnEvent::Update, &understood, sure));
    }

    fn end(&mut self, turn: &Turn, trigger: Trigger, said: &mut Vec<Said>) {
        let understood = whole(turn);
        if self.state == State::Initial {
            self.since = None;
            return;
        }
        if matches!(&self.state, State::AwaitingEnd(text) if *text != understood.text) {
            said.push(self.info(TurnEvent::TurnResumed, &understood, Threshold::thousandths(0)));
        }
        let sure = self.thresholds.eot_threshold.unwrap_or_default();
        let mut info = self.info(TurnEvent::EndOfTurn, &understood, sure);
        if let Said::Turn(info) = &mut info {
            info.trigger = Some(trigger);
        }
        said.push(info);
        said.push(Said::Ended(understood.text));
        self.state = State::Initial;
        self.turn_index += 1;
        (self.since, self.understood) = (None, None);
    }

    /// What was understood so far. To listen again is dear, so it is done when there is more to hear, or a pause.
    fn understand(&mut self) -> Understood {
        let spoken = self.ear.speaking_for().unwrap_or_default();
        let silence = self.since.map_or(Duration::ZERO, |since| self.ear.position().saturating_sub(since + spoken));
        if let Some((known, understood)) = &self.understood
            && (*known == spoken || (silence < BREATH && spoken < *known + BREATH))
        {
            return understood.clone();
        }
        let understood = match self.ear.clone().finish() {
            Some(turn) if silence < BREATH => so_far(&turn),
            Some(turn) => whole(&turn),
            None => Understood::default(),
        };
        self.understood = Some((spoken, understood.clone()));
        understood
    }

    fn info(&mut self, event: TurnEvent, understood: &Understood, sure: Threshold) -> Said {
        self.told_at = self.ear.position();
        let end = self.ear.position().as_secs_f64();
        let start = self.since.map_or(end, |since| since.as_secs_f64());
        let spoken = self.ear.speaking_for().map_or(end, |spoken| start + spoken.as_secs_f64()).min(end);
        let words: Vec<&str> = understood.text.split_whitespace().collect();
        let each = (spoken - start).max(0.0) / (words.len().max(1) as f64);
        let words = words.iter().enumerate().map(|(at, word)| Word {
            word: (*word).to_owned(),
            confidence: understood.confidence,
            start: Some(round(start + each * at as f64)),
            end: Some(round(start + each * (at + 1) as f64)),
        });
        Said::Turn(Box::new(TurnInfo {
            event,
            turn_index: self.turn_index,
            audio_window_start: round(start),
            audio_window_end: round(end),
            transcript: understood.text.clone(),
            words: words.collect(),
            end_of_turn_confidence: sure.as_f64(),
            languages: understood.language.map(|language| vec![language.to_owned()]),
            ..TurnInfo::default()
        }))
    }
}

/// What a turn said, now that it is over.
fn whole(turn: &Turn) -> Understood {
    match &turn.outcome {
        Outcome::Recognised(matches) => Understood {
            text: turn.text().unwrap_or_default(),
            language: matches.first().map(|found| found.utterance.language),
            confidence: matches.iter().map(|found| round(f64::from(found.score))).fold(1.0, f64::min),
        },
        Outcome::Unrecognised { .. } => Understood { text: UNINTELLIGIBLE.to_owned(), language: None, confidence: 0.1 },
    }
}

/// What a turn says so far, while somebody is still speaking: of a recording that was not heard whole, as many of its
/// words as that much of it holds.
fn so_far(turn: &Turn) -> Understood {
    match &turn.outcome {
        Outcome::Recognised(_) => whole(turn),
        Outcome::Unrecognised { nearest: Some(nearest) } if nearest.score >= 0.15 => {
            let words: Vec<&str> = nearest.utterance.text.split_whitespace().collect();
            let heard = share(words.len(), nearest.score);
            Understood {
                text: words[..heard].join(" "),
                language: Some(nearest.utterance.language),
                confidence: round(f64::from(nearest.score)),
            }
        }
        Outcome::Unrecognised { .. } => Understood::default(),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a few words")]
fn share(words: usize, score: f32) -> usize {
    ((words as f32 * score).ceil() as usize).min(words)
}

/// To milliseconds.
fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
