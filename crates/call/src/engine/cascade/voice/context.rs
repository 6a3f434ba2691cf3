//! One context of Cartesia's: what it was given to say, and how far its audio has come.

use std::time::{Duration, Instant};

use wire::cartesia::server::WordTimes;

use crate::limits::{CARTESIA_CONTEXT_IDLE_MAX, CASCADE_VOICE_WITHIN, WORDS_MAX};
use crate::playout::samples;
use crate::turn::WordEnd;
use crate::words;

#[derive(Debug)]
pub(super) struct Context {
    pub(super) id: String,
    pub(super) text: String,
    /// Where the search for the next word begins.
    pub(super) aligned: usize,
    pub(super) words: Vec<WordEnd>,
    /// Samples of audio.
    pub(super) audio: u64,
    pub(super) begun_at: Instant,
    /// When the last of it came.
    pub(super) moved_at: Instant,
    /// Whether it was told that no more text comes.
    pub(super) closed: bool,
}

impl Context {
    /// What of its text has become audio.
    pub(super) fn spoken(&self) -> &str {
        let known = self.words.iter().filter(|word| samples(word.at) <= self.audio).map(|word| word.text_to).max();
        match known {
            Some(to) => self.text.get(..to).unwrap_or(&self.text),
            // Without times, by the pace at which people speak.
            None => words::heard_part(&self.text, self.audio, words::spoken_samples(&self.text)),
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        if self.audio == 0 {
            return Some(self.begun_at + CASCADE_VOICE_WITHIN);
        }
        self.closed.then(|| self.moved_at + CASCADE_VOICE_WITHIN)
    }

    /// When nothing more may be added to it: the vendor is about to end it.
    pub(super) fn goes_stale(&self) -> Option<Instant> {
        (!self.closed && self.audio > 0).then(|| self.moved_at + CARTESIA_CONTEXT_IDLE_MAX)
    }

    /// Finds words in the text, in their order. One that is written otherwise than it is spoken is passed over.
    pub(super) fn align(&mut self, times: &WordTimes) -> Vec<WordEnd> {
        let mut found = Vec::new();
        for word in times.iter() {
            if self.words.len() >= WORDS_MAX {
                break;
            }
            let Some(text_to) = words::find_word(&self.text, self.aligned, word.word) else { continue };
            self.aligned = text_to;
            let end = WordEnd { text_to, at: Duration::from_secs_f64(word.end.min(100_000.0)) };
            self.words.push(end);
            found.push(end);
        }
        found
    }
}
