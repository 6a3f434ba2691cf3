//! The person on the phone: a list of acts, each with a cue.
//!
//! A caller lives as long as the call, across streams: when one stream replaces another it goes on where it was. It
//! listens with the phone's ear ([`super::Heard`]), so it reacts to what sounded, not to what was sent.
//!
//! Between streams keys wait for whoever asks for them, and words are lost unless somebody listens in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Phone;
use super::heard::Heard;
use super::samples::{count, duration_of};

/// Samples that must have sounded before the agent counts as having spoken: a click is not an answer.
const SPEECH_SAMPLES: u64 = 200;

/// What the caller does, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallerScript {
    /// Acts with their cues. An act waits for the one before it.
    pub steps: Vec<Step>,
}

/// One act and its cue.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When.
    pub cue: Cue,
    /// What.
    pub act: Act,
}

/// When to act. "The last act" ends with its last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// This long after the caller came on the line.
    At(Duration),
    /// This long after the last act.
    After(Duration),
    /// The agent has spoken since the last act, and then was silent this long.
    AgentDone {
        /// How long a silence means that it is the caller's turn.
        silence: Duration,
        /// When the caller acts anyway, after the last act, though the agent never spoke or never stopped.
        patience: Option<Duration>,
    },
    /// The agent has been speaking this long without a pause of 400 ms: the caller talks over it.
    AgentSpeaking(Duration),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Say these mu-law bytes.
    Say(Vec<u8>),
    /// Press a key.
    Press(char),
    /// Hang up.
    HangUp,
}

impl CallerScript {
    /// Someone who listens and does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an act.
    pub fn then(mut self, cue: Cue, act: Act) -> Self {
        self.steps.push(Step { cue, act });
        self
    }

    /// Says something at a time after coming on the line.
    pub fn says_at(self, at: Duration, audio: impl Into<Vec<u8>>) -> Self {
        self.then(Cue::At(at), Act::Say(audio.into()))
    }

    /// Says something once the agent has spoken and has been silent for 700 ms; after 20 s in any case.
    pub fn answers(self, audio: impl Into<Vec<u8>>) -> Self {
        self.then(Cue::TURN, Act::Say(audio.into()))
    }

    /// Says something when the agent has been speaking this long.
    pub fn interrupts_after(self, speaking: Duration, audio: impl Into<Vec<u8>>) -> Self {
        self.then(Cue::AgentSpeaking(speaking), Act::Say(audio.into()))
    }

    /// Hangs up once the agent has spoken and has been silent for 700 ms; after 20 s in any case.
    pub fn hangs_up_after_goodbye(self) -> Self {
        self.then(Cue::TURN, Act::HangUp)
    }

    /// Hangs up at a time after coming on the line, if all acts before it are done.
    pub fn hangs_up_at(self, at: Duration) -> Self {
        self.then(Cue::At(at), Act::HangUp)
    }
}

impl Cue {
    /// The usual manners: 700 ms of silence after the agent spoke, and never more than 20 s of waiting.
    pub const TURN: Self =
        Self::AgentDone { silence: Duration::from_millis(700), patience: Some(Duration::from_secs(20)) };
}

/// What a caller did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Performed {
    /// Which step of the script.
    pub step: usize,
    /// When it began.
    pub from: Instant,
    /// When it ended.
    pub until: Instant,
    /// Whether there was a stream to do it on.
    pub on_stream: bool,
}

/// A script being performed.
#[derive(Debug)]
pub struct Caller {
    script: CallerScript,
    next: usize,
    came_on: Option<Instant>,
    last_act: Option<Instant>,
    /// Speech counted by the ear when the last act ended; empty until then.
    ear_then: Option<u64>,
    performed: Vec<Performed>,
    /// Keys pressed between streams.
    keys: VecDeque<char>,
    /// Words said since somebody began to listen in; nothing if nobody does.
    words: Option<Vec<(Instant, Vec<u8>)>>,
    hung_up: bool,
}

impl Caller {
    /// A caller at the start of a script.
    pub fn new(script: CallerScript) -> Self {
        Self {
            script,
            next: 0,
            came_on: None,
            last_act: None,
            ear_then: None,
            performed: Vec::new(),
            keys: VecDeque::new(),
            words: None,
            hung_up: false,
        }
    }

    /// Acts if it is time to, on the stream there is, and says whether the caller has hung up: then end the call
    /// ([`Phone::hang_up`] is left to whoever drives both). Call it after each [`Phone::poll`]; every 20 ms is enough.
    pub fn step(&mut self, now: Instant, mut phone: Option<&mut Phone>) -> bool {
        self.came_on.get_or_insert(now);
        while !self.hung_up {
            let Some(step) = self.script.steps.get(self.next) else {
                break;
            };
            if !self.is_time(now, step.cue, phone.as_deref()) {
                break;
            }
            if let (Act::Say(audio), Some(words)) = (&step.act, &mut self.words) {
                words.push((now, audio.clone()));
            }
            let until = match (&step.act, phone.as_deref_mut()) {
                (Act::Say(audio), Some(phone)) => phone.say(now, audio),
                (Act::Say(audio), None) if self.words.is_some() => now + duration_of(count(audio.len())),
                (Act::Press(digit), Some(phone)) => {
                    phone.dtmf(now, *digit);
                    now
                }
                (Act::HangUp, _) => {
                    self.hung_up = true;
                    now
                }
                (Act::Press(digit), None) => {
                    self.keys.push_back(*digit);
                    now
                }
                (Act::Say(_), None) => now,
            };
            self.performed.push(Performed { step: self.next, from: now, until, on_stream: phone.is_some() });
            self.next += 1;
            self.last_act = Some(until);
            self.ear_then = None;
        }
        self.remember_ear(now, phone.as_deref().map(Phone::heard));
        self.hung_up
    }

    /// When to step again at the latest, if that can be known without the phone.
    pub fn next_due(&self) -> Option<Instant> {
        let came_on = self.came_on?;
        let last = self.last_act.unwrap_or(came_on);
        match self.script.steps.get(self.next)?.cue {
            Cue::At(at) => Some(came_on + at),
            Cue::After(pause) => Some(last + pause),
            Cue::AgentDone { patience, .. } => patience.map(|patience| last + patience),
            Cue::AgentSpeaking(_) => None,
        }
    }

    /// The next key that was pressed while there was no stream.
    pub fn take_key(&mut self) -> Option<char> {
        self.keys.pop_front()
    }

    /// Forgets such keys: they were pressed before anybody asked.
    pub fn forget_keys(&mut self) {
        self.keys.clear();
    }

    /// From here on the caller's words are kept for [`Caller::take_words`], or no longer.
    pub fn listen_in(&mut self, listening: bool) {
        self.words = listening.then(|| self.words.take().unwrap_or_default());
    }

    /// What was said since this was last asked, and from when on. Words take their time also without a stream then.
    pub fn take_words(&mut self) -> Vec<(Instant, Vec<u8>)> {
        self.words.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What was done so far.
    pub fn performed(&self) -> &[Performed] {
        &self.performed
    }

    /// Whether every step is done.
    pub fn is_finished(&self) -> bool {
        self.next >= self.script.steps.len()
    }

    fn is_time(&self, now: Instant, cue: Cue, phone: Option<&Phone>) -> bool {
        let came_on = self.came_on.unwrap_or(now);
        let last = self.last_act.unwrap_or(came_on);
        let heard = phone.map(Phone::heard);
        match cue {
            Cue::At(at) => now >= (came_on + at).max(last),
            Cue::After(pause) => now >= last + pause,
            Cue::AgentDone { silence, patience } => {
                let silent = now >= last
                    && heard.is_some_and(|heard| {
                        self.has_answered(heard)
                            && heard.loud_until().is_some_and(|until| now >= until.max(last) + silence)
                    });
                silent || patience.is_some_and(|patience| now >= last + patience)
            }
            Cue::AgentSpeaking(long_enough) => {
                now >= last
                    && heard.is_some_and(|heard| match (heard.loud_since(), heard.loud_until()) {
                        (Some(since), Some(until)) => {
                            // Still speaking: the latest sound is no older than a pause within speech.
                            let fresh = now.saturating_duration_since(until) < Duration::from_millis(200);
                            fresh && now.saturating_duration_since(since.max(last)) >= long_enough
                        }
                        (None, _) | (_, None) => false,
                    })
            }
        }
    }

    fn has_answered(&self, heard: &Heard) -> bool {
        // A new stream has a new ear, which counts from nothing again.
        let then = self.ear_then.map_or(0, |then| if then > heard.loud_samples() { 0 } else { then });
        self.ear_then.is_some() && heard.loud_samples() >= then + SPEECH_SAMPLES
    }

    fn remember_ear(&mut self, now: Instant, heard: Option<&Heard>) {
        if self.ear_then.is_none()
            && self.last_act.is_none_or(|last| now >= last)
            && let Some(heard) = heard
        {
            self.ear_then = Some(if self.last_act.is_none() { 0 } else { heard.loud_samples() });
        }
    }
}
