//! The agent's turns: sentences laid over positions in the played audio, closed at what was heard.

use std::collections::VecDeque;
use std::time::Duration;

use crate::agent::EngineKind;
use crate::journal::{Speaker, Turn};
use crate::limits::{SAMPLES_PER_MS, SENTENCES_MAX, WORDS_MAX};
use crate::playout::samples;
use crate::words;

/// What a sentence is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// That this is an AI and that the call is recorded. It is not cut off.
    Disclosure,
    /// The first words.
    Greeting,
    /// Whatever the engine says by itself, or was asked to say.
    Reply,
    /// One of our bundled lines.
    Line,
}

/// Where a word of a sentence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WordEnd {
    /// In the text, in bytes.
    pub(crate) text_to: usize,
    /// In the sentence's audio.
    pub(crate) at: Duration,
}

/// What was heard of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeardPart<'a> {
    /// The words.
    pub(crate) text: &'a str,
    /// Whether they are known, or guessed from how much of the audio was heard.
    pub(crate) exact: bool,
}

/// A sentence of the agent and where its audio lies.
#[derive(Clone, Debug)]
pub(crate) struct Sentence {
    /// The engine's id: audio and text of a sentence share it.
    pub(crate) id: String,
    /// What is said.
    pub(crate) text: String,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Position of its first sample; none until audio came.
    from: Option<u64>,
    /// Samples so far.
    len: u64,
    /// When its words end, as far as the engine tells.
    words: Vec<WordEnd>,
}

impl Sentence {
    /// Samples of this sentence that lie before `heard`.
    #[must_use]
    pub(crate) fn heard(&self, heard: u64) -> u64 {
        self.from.map_or(0, |from| heard.saturating_sub(from).min(self.len))
    }

    /// Samples of audio that came for it.
    #[must_use]
    pub(crate) fn samples(&self) -> u64 {
        self.len
    }

    /// What of its text was heard. `all_sent`: its audio is complete.
    fn heard_part(&self, heard: u64, whole: u64, all_sent: bool) -> HeardPart<'_> {
        let part = self.heard(heard);
        if self.from.is_none() {
            // A sentence whose audio never came was not heard, unless the turn ended well without any.
            return HeardPart { text: "", exact: true };
        }
        if self.words.is_empty() || all_sent && part >= self.len {
            let text = words::heard_part(&self.text, part, whole);
            return HeardPart { text, exact: text.is_empty() || text.len() == self.text.len() };
        }
        let heard_words = self.words.iter().take_while(|word| samples(word.at) <= part);
        let to = heard_words.map(|word| word.text_to).max().unwrap_or(0);
        HeardPart { text: self.text.get(..to).unwrap_or(&self.text), exact: true }
    }

    /// The position behind its last sample.
    #[must_use]
    pub(crate) fn end(&self) -> Option<u64> {
        self.from.map(|from| from + self.len)
    }
}

/// One turn of the agent, from its first sentence to the last sample heard.
#[derive(Clone, Debug)]
pub(crate) struct AgentTurn {
    /// Its number within the call.
    pub(crate) n: u32,
    /// Who speaks; none for our own lines.
    pub(crate) engine: Option<EngineKind>,
    /// In the order of their audio.
    pub(crate) sentences: Vec<Sentence>,
    /// Whether the engine has sent all of it, or will send no more of it.
    pub(crate) complete: bool,
    /// Whether the engine was lost in the middle of it: the last sentence is longer than its audio.
    pub(crate) broken_off: bool,
    /// When its first sound came from the engine, in milliseconds of the call.
    pub(crate) arrived_ms: Option<u64>,
    /// When its first frame is played, in milliseconds of the call.
    pub(crate) start_ms: Option<u64>,
}

/// That a turn begins to be played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstSound {
    /// The turn.
    pub(crate) n: u32,
    /// When its first sound came from the engine, in milliseconds of the call.
    pub(crate) arrived_ms: u64,
    /// When it is played.
    pub(crate) played_ms: u64,
}

impl AgentTurn {
    /// The position behind its last sample; none if no audio came.
    #[must_use]
    pub(crate) fn end(&self) -> Option<u64> {
        self.sentences.iter().filter_map(Sentence::end).max()
    }

    fn start(&self) -> Option<u64> {
        self.sentences.iter().filter_map(|sentence| sentence.from).min()
    }

    /// Whether this turn tells the caller whom they speak with and that the call is recorded.
    #[must_use]
    pub(crate) fn is_disclosure(&self) -> bool {
        self.sentences.iter().any(|sentence| sentence.purpose == Purpose::Disclosure)
    }

    /// What was heard of each sentence, with everything up to `heard` played. `cut`: more of it would have come.
    pub(crate) fn heard_parts(&self, heard: u64, cut: bool) -> Vec<HeardPart<'_>> {
        let last_sounding = self.sentences.iter().rposition(|sentence| sentence.from.is_some());
        let parts = self.sentences.iter().enumerate().map(|(index, sentence)| {
            let last = Some(index) == last_sounding;
            let whole = if self.broken_off && last {
                sentence.len.max(words::spoken_samples(&sentence.text))
            } else {
                sentence.len
            };
            let all_sent = !last || self.complete && !self.broken_off || !cut && !self.broken_off;
            sentence.heard_part(heard, whole, all_sent)
        });
        parts.collect()
    }

    /// The record of this turn when the caller has heard up to `heard`, at `now_ms` of the call.
    #[must_use]
    pub(crate) fn record(&self, heard: u64, now_ms: u64, interrupted: bool) -> Turn {
        let mut text = String::new();
        let mut heard_text = String::new();
        let mut heard_samples = 0;
        let mut approximate = false;
        for (sentence, part) in self.sentences.iter().zip(self.heard_parts(heard, interrupted)) {
            approximate |= !part.exact;
            heard_samples += sentence.heard(heard);
            join(&mut text, &sentence.text);
            join(&mut heard_text, part.text);
        }
        let start_ms = self.start_ms.unwrap_or(now_ms);
        Turn {
            n: self.n,
            speaker: Speaker::Agent,
            text,
            heard_text,
            approximate,
            start_ms,
            end_ms: now_ms.max(start_ms),
            heard_ms: heard_samples / SAMPLES_PER_MS,
            interrupted,
            engine: self.engine,
            expressions: Vec::new(),
        }
    }
}

fn join(text: &mut String, more: &str) {
    let more = more.trim();
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

/// The agent's turns that are not over yet, oldest first: the first is being heard, the last may still be arriving.
#[derive(Debug, Default)]
pub(crate) struct AgentTurns {
    open: VecDeque<AgentTurn>,
}

impl AgentTurns {
    /// Whether no turn is open.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the engine has sent all of every open turn.
    #[must_use]
    pub(crate) fn all_complete(&self) -> bool {
        self.open.iter().all(|turn| turn.complete)
    }

    /// The turn the engine is still sending, if there is one.
    #[must_use]
    pub(crate) fn arriving(&mut self) -> Option<&mut AgentTurn> {
        self.open.back_mut().filter(|turn| !turn.complete)
    }

    /// Opens a turn.
    pub(crate) fn open(&mut self, n: u32, engine: Option<EngineKind>) {
        self.open.push_back(AgentTurn {
            n,
            engine,
            sentences: Vec::new(),
            complete: false,
            broken_off: false,
            arrived_ms: None,
            start_ms: None,
        });
    }

    /// The text of a sentence of the arriving turn. Returns whether the sentence is new.
    pub(crate) fn text(&mut self, id: &str, text: &str, append: bool, purpose: Purpose) -> bool {
        let Some(turn) = self.arriving() else { return false };
        if let Some(sentence) = turn.sentences.iter_mut().find(|sentence| sentence.id == id) {
            if append {
                sentence.text.push_str(text);
            } else {
                text.clone_into(&mut sentence.text);
            }
            return false;
        }
        if turn.sentences.len() < SENTENCES_MAX {
            turn.sentences.push(Sentence {
                id: id.to_owned(),
                text: text.to_owned(),
                purpose,
                from: None,
                len: 0,
                words: Vec::new(),
            });
        }
        true
    }

    /// When words of a sentence of the arriving turn end.
    pub(crate) fn word_ends(&mut self, id: &str, words: &[WordEnd]) {
        let Some(turn) = self.arriving() else { return };
        if let Some(sentence) = turn.sentences.iter_mut().find(|sentence| sentence.id == id) {
            let room = WORDS_MAX.saturating_sub(sentence.words.len()).min(words.len());
            sentence.words.extend_from_slice(&words[..room]);
        }
    }

    /// Audio of a sentence of the arriving turn: `samples` of it from `position` on.
    pub(crate) fn audio(&mut self, id: &str, position: u64, samples: u64, purpose: Purpose) {
        if !self.arriving().is_some_and(|turn| turn.sentences.iter().any(|sentence| sentence.id == id)) {
            self.text(id, "", false, purpose);
        }
        let Some(turn) = self.arriving() else { return };
        if let Some(sentence) = turn.sentences.iter_mut().find(|sentence| sentence.id == id) {
            sentence.from.get_or_insert(position);
            sentence.len += samples;
        }
    }

    /// The engine has sent all of the arriving turn. A turn without a word or a sound is forgotten.
    pub(crate) fn complete(&mut self) {
        if let Some(turn) = self.arriving() {
            turn.complete = true;
            if turn.sentences.is_empty() {
                self.open.pop_back();
            }
        }
    }

    /// The engine was lost: what came of the arriving turn is all there will be.
    pub(crate) fn break_off(&mut self) {
        self.cut_short();
        self.complete();
    }

    /// Audio of the arriving turn was dropped: its last sentence is longer than what will be heard.
    pub(crate) fn cut_short(&mut self) {
        if let Some(turn) = self.arriving() {
            turn.broken_off = true;
        }
    }

    /// What a sentence of the arriving turn is for.
    #[must_use]
    pub(crate) fn purpose_of(&mut self, id: &str) -> Option<Purpose> {
        self.arriving()?.sentences.iter().find(|sentence| sentence.id == id).map(|sentence| sentence.purpose)
    }

    /// Notes that a sound of the arriving turn came from the engine.
    pub(crate) fn note_arrival(&mut self, now_ms: u64) {
        if let Some(turn) = self.arriving() {
            turn.arrived_ms.get_or_insert(now_ms);
        }
    }

    /// Notes when turns begin to be heard, and tells which do. `call_ms` tells the call's time of a position.
    pub(crate) fn note_starts(&mut self, sent: u64, call_ms: impl Fn(u64) -> u64) -> Vec<FirstSound> {
        let mut begun = Vec::new();
        for turn in &mut self.open {
            if turn.start_ms.is_none()
                && let Some(start) = turn.start().filter(|start| *start < sent)
            {
                let played_ms = call_ms(start);
                turn.start_ms = Some(played_ms);
                begun.push(FirstSound { n: turn.n, arrived_ms: turn.arrived_ms.unwrap_or(played_ms), played_ms });
            }
        }
        begun
    }

    /// Takes the oldest turn if all of it has been sent by the engine and heard by the caller.
    pub(crate) fn take_heard(&mut self, heard: u64) -> Option<AgentTurn> {
        let turn = self.open.front()?;
        (turn.complete && turn.end().is_none_or(|end| end <= heard)).then(|| self.open.pop_front())?
    }

    /// The record of an open turn as it will be when all up to `end` was heard.
    #[must_use]
    pub(crate) fn record_of(&self, n: u32, end: u64) -> Option<Turn> {
        self.open.iter().find(|turn| turn.n == n).map(|turn| turn.record(end, 0, false))
    }

    /// Whether nothing is open but lines of our own.
    #[must_use]
    pub(crate) fn are_lines(&self) -> bool {
        !self.open.is_empty() && self.open.iter().all(|turn| turn.engine.is_none())
    }

    /// Takes all turns: they were cut off.
    pub(crate) fn take_all(&mut self) -> VecDeque<AgentTurn> {
        std::mem::take(&mut self.open)
    }

    /// Takes the turns of which nothing lies before `position`.
    pub(crate) fn take_beyond(&mut self, position: u64) -> VecDeque<AgentTurn> {
        let keep = self.open.iter().take_while(|turn| turn.start().is_some_and(|start| start < position)).count();
        self.open.split_off(keep)
    }

    /// The position behind the last sample of a sentence that must not be cut off, if it is not heard yet.
    #[must_use]
    pub(crate) fn protected_until(&self, heard: u64) -> Option<u64> {
        self.open
            .iter()
            .flat_map(|turn| &turn.sentences)
            .filter(|sentence| sentence.purpose == Purpose::Disclosure)
            .filter_map(Sentence::end)
            .filter(|end| *end > heard)
            .max()
    }
}
