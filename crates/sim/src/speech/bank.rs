//! The bank of recordings, and speaking from it.
//!
//! Every sentence that a simulated party is expected to say is recorded. Any other text becomes [`babble`], sound of
//! the right length without words, and is labelled so: a call with an unforeseen greeting still has audio to bridge,
//! and nobody mistakes it for a recording.
//!
//! [`babble`]: Source::Babble

use super::{babble, interpolation};
use call::audio::{mulaw, wav};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use super::recordings::UTTERANCES;

/// Silence between two sentences.
const PAUSE: Duration = Duration::from_millis(180);

/// Rates whose recordings are kept once converted: the phone's, and the two that EVI has been seen to use. At most
/// 100 recordings of about 2 s each: 16 MB.
const KEPT_RATES: [u32; 3] = [8_000, 24_000, 48_000];

/// Whose voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// The person on the phone; recorded at 8 kHz.
    Caller,
    /// The engine's voice; recorded at 16 kHz.
    Agent,
}

/// One recording.
#[derive(Debug, PartialEq, Eq)]
pub struct Utterance {
    /// Its name, as in `utterances.toml`.
    pub id: &'static str,
    /// Whose voice it is.
    pub who: Who,
    /// `en`, `es` or `de`.
    pub language: &'static str,
    /// What is said.
    pub text: &'static str,
    /// A whole WAV file: mu-law, one channel.
    pub wav: &'static [u8],
}

impl Utterance {
    /// Its sound at `rate` hertz. At 8 kHz a caller's recording is exactly what its mu-law decodes to.
    #[must_use]
    pub fn pcm(&'static self, rate: u32) -> Arc<[i16]> {
        type Kept = BTreeMap<(&'static str, u32), Arc<[i16]>>;
        static KEPT: Mutex<Kept> = Mutex::new(BTreeMap::new());

        if !KEPT_RATES.contains(&rate) {
            return self.converted(rate);
        }
        // A panic elsewhere cannot leave a map of finished recordings half written.
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).get(&(self.id, rate)).cloned();
        if let Some(samples) = kept {
            return samples;
        }
        let samples = self.converted(rate);
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).insert((self.id, rate), Arc::clone(&samples));
        samples
    }

    /// Its sound as a phone sends it: mu-law at 8 kHz.
    #[must_use]
    pub fn mulaw(&'static self) -> Vec<u8> {
        mulaw::encoded(&self.pcm(8_000))
    }

    /// How long it takes.
    #[must_use]
    pub fn duration(&'static self) -> Duration {
        let layout = wav::layout(self.wav).expect("invariant: a test reads every recording");
        duration(layout.data.len(), layout.rate)
    }

    fn converted(&self, rate: u32) -> Arc<[i16]> {
        let recorded = wav::read(self.wav).expect("invariant: a test reads every recording");
        interpolation::resampled(recorded.samples, recorded.rate, rate).into()
    }
}

/// The recording with this id.
#[must_use]
pub fn utterance(id: &str) -> Option<&'static Utterance> {
    UTTERANCES.iter().find(|utterance| utterance.id == id)
}

/// The recording of this text in this voice; case, punctuation and spacing do not matter.
#[must_use]
pub fn recording_of(who: Who, text: &str) -> Option<&'static Utterance> {
    let wanted = normalised(text);
    UTTERANCES.iter().find(|utterance| utterance.who == who && normalised(utterance.text) == wanted)
}

/// Letters and digits of `text` in lower case, words divided by single spaces.
#[must_use]
pub fn normalised(text: &str) -> String {
    let mut words = String::new();
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            words.extend(letter.to_lowercase());
        } else if (letter.is_whitespace() || letter == '-') && !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
    }
    words.truncate(words.trim_end().len());
    words
}

/// Text turned into sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    /// Samples a second.
    pub rate: u32,
    /// The sound, with a pause between sentences.
    pub samples: Vec<i16>,
    /// Its sentences, in order.
    pub sentences: Vec<Spoken>,
}

/// One sentence within a [`Speech`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The sentence.
    pub text: String,
    /// Recorded, or babble.
    pub source: Source,
    /// Where it begins, from the beginning of the speech.
    pub start: Duration,
    /// Where it ends.
    pub end: Duration,
    /// Its words; times are shares of the sentence by the words' lengths.
    pub words: Vec<Word>,
}

/// Where a sentence's sound comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A recording of exactly this sentence.
    Recorded(&'static str),
    /// Sound without words, about as long as the sentence would take.
    Babble,
}

/// A word and when it is said, from the beginning of the speech.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As written, with its punctuation.
    pub text: String,
    /// Its beginning.
    pub start: Duration,
    /// Its end.
    pub end: Duration,
}

/// Speaks any text with the agent's voice.
#[must_use]
pub fn speak(text: &str, rate: u32) -> Speech {
    speak_as(Who::Agent, text, rate)
}

/// Speaks any text. A text that is recorded as a whole is played as a whole; else it goes sentence by sentence.
#[must_use]
pub fn speak_as(who: Who, text: &str, rate: u32) -> Speech {
    let mut speech = Speech { rate, samples: Vec::new(), sentences: Vec::new() };
    if let Some(whole) = recording_of(who, text) {
        speech.append(text.trim(), Source::Recorded(whole.id), &whole.pcm(rate));
        return speech;
    }
    for sentence in sentences(text) {
        if !speech.samples.is_empty() {
            let pause = samples_in(PAUSE, rate);
            speech.samples.resize(speech.samples.len() + pause, 0);
        }
        match recording_of(who, sentence) {
            Some(recording) => speech.append(sentence, Source::Recorded(recording.id), &recording.pcm(rate)),
            None => speech.append(sentence, Source::Babble, &babble::babble(who, sentence, rate)),
        }
    }
    speech
}

impl Speech {
    fn append(&mut self, text: &str, source: Source, samples: &[i16]) {
        let start = duration(self.samples.len(), self.rate);
        self.samples.extend_from_slice(samples);
        let end = duration(self.samples.len(), self.rate);
        let words = word_times(text, start, end);
        self.sentences.push(Spoken { text: text.to_owned(), source, start, end, words });
    }

    /// How long the whole takes.
    #[must_use]
    pub fn duration(&self) -> Duration {
        duration(self.samples.len(), self.rate)
    }
}

/// The sentences of a text: each ends with its full stop, question or exclamation mark. What has no letters is none.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut letters = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((at, letter)) = letters.next() {
            let closes = matches!(letter, '.' | '?' | '!' | '…');
            if closes && letters.peek().is_none_or(|(_, next)| next.is_whitespace()) {
                end = at + letter.len_utf8();
                break;
            }
        }
        let (sentence, after) = rest.split_at(end);
        rest = after;
        Some(sentence.trim())
    })
    .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
}

fn word_times(text: &str, start: Duration, end: Duration) -> Vec<Word> {
    let length = |word: &str| u32::try_from(word.chars().count() + 1).unwrap_or(u32::MAX);
    let total: u32 = text.split_whitespace().map(length).fold(0, u32::saturating_add).max(1);
    let mut before = 0_u32;
    text.split_whitespace()
        .map(|word| {
            let from = start + (end - start).mul_f64(f64::from(before) / f64::from(total));
            before = before.saturating_add(length(word));
            let to = start + (end - start).mul_f64(f64::from(before) / f64::from(total));
            Word { text: word.to_owned(), start: from, end: to }
        })
        .collect()
}

fn duration(samples: usize, rate: u32) -> Duration {
    Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(rate.max(1)))
}

fn samples_in(length: Duration, rate: u32) -> usize {
    usize::try_from(length.as_millis() * u128::from(rate) / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_recording_is_mulaw_at_its_voices_rate_and_begins_without_delay() {
        for utterance in UTTERANCES {
            let layout = wav::layout(utterance.wav).unwrap();
            let rate = match utterance.who {
                Who::Caller => 8_000,
                Who::Agent => 16_000,
            };
            assert_eq!((layout.encoding, layout.rate, layout.channels), (wav::Encoding::MuLaw, rate, 1));
            let seconds = utterance.duration().as_secs_f64();
            assert!((0.3..4.0).contains(&seconds), "{}: {seconds}", utterance.id);
            let level = mulaw::level_dbfs(&utterance.wav[layout.data.clone()]);
            assert!((-26.0..-10.0).contains(&level), "{}: {level}", utterance.id);
            let first = &utterance.wav[layout.data][..rate as usize / 10];
            assert!(!mulaw::is_silent(first), "{}", utterance.id);
        }
    }

    #[test]
    fn all_recordings_together_stay_small() {
        let bytes: usize = UTTERANCES.iter().map(|utterance| utterance.wav.len()).sum();
        assert!(bytes < 3_000_000, "{bytes}");
    }

    #[test]
    fn the_list_is_what_the_texts_say() {
        let written = include_str!("../../speech/utterances.toml");
        for utterance in UTTERANCES {
            let line = format!("[\"{}\", \"{}\"],", utterance.id, utterance.text);
            assert!(written.contains(&line), "{line}");
        }
        assert_eq!(written.lines().filter(|line| line.starts_with("    [\"")).count(), UTTERANCES.len());
    }

    #[test]
    fn ids_and_texts_are_unique_in_each_voice() {
        let ids: BTreeSet<_> = UTTERANCES.iter().map(|utterance| utterance.id).collect();
        let texts: BTreeSet<_> =
            UTTERANCES.iter().map(|utterance| (utterance.who, normalised(utterance.text))).collect();
        assert_eq!((ids.len(), texts.len()), (UTTERANCES.len(), UTTERANCES.len()));
    }

    #[test]
    fn a_callers_recording_goes_through_the_phone_byte_for_byte() {
        let hello = utterance("caller-hello").unwrap();
        let layout = wav::layout(hello.wav).unwrap();
        // Negative zero is the one code that linear samples cannot keep.
        let recorded: Vec<u8> =
            hello.wav[layout.data].iter().map(|&code| if code == 0x7F { mulaw::SILENCE } else { code }).collect();
        assert_eq!(hello.mulaw(), recorded);
    }

    #[test]
    fn a_recording_is_as_long_at_every_rate() {
        let help = utterance("agent-help").unwrap();
        for rate in [8_000, 16_000, 22_050, 24_000, 44_100, 48_000] {
            let difference = duration(help.pcm(rate).len(), rate).abs_diff(help.duration());
            assert!(difference < Duration::from_millis(1), "{rate}: {difference:?}");
        }
    }

    #[test]
    fn texts_are_found_whatever_their_case_and_punctuation() {
        assert_eq!(recording_of(Who::Caller, "i'd like to book an appointment").unwrap().id, "caller-book");
        assert_eq!(recording_of(Who::Caller, "  WAIT wait - not tuesday! ").unwrap().id, "caller-not-tuesday");
        assert_eq!(recording_of(Who::Agent, "I'd like to book an appointment."), None);
        assert_eq!(recording_of(Who::Agent, ""), None);
    }

    #[test]
    fn known_sentences_are_played_and_unknown_ones_are_babble() {
        let speech = speak("How can I help you today? We sell 3.5 inch nails. Goodbye.", 24_000);
        let sources: Vec<_> = speech.sentences.iter().map(|sentence| sentence.source).collect();
        assert_eq!(sources, [Source::Recorded("agent-help"), Source::Babble, Source::Recorded("agent-goodbye")]);
        assert_eq!(speech.sentences[1].text, "We sell 3.5 inch nails.");
        let seconds = (speech.sentences[1].end - speech.sentences[1].start).as_secs_f64();
        assert!((seconds - 23.0 / 14.0).abs() < 0.3, "{seconds}");
        assert_eq!(speech, speak("How can I help you today? We sell 3.5 inch nails. Goodbye.", 24_000));
    }

    #[test]
    fn words_follow_each_other_and_fill_their_sentence() {
        let speech = speak("Hello there. How can I help you today?", 8_000);
        for sentence in &speech.sentences {
            assert_eq!(
                sentence.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "),
                sentence.text
            );
            assert_eq!(sentence.words[0].start, sentence.start);
            assert!(sentence.words.last().unwrap().end.abs_diff(sentence.end) < Duration::from_micros(1));
            assert!(sentence.words.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].start < pair[0].end));
        }
        assert!(speech.sentences[0].end + PAUSE == speech.sentences[1].start);
    }

    #[test]
    fn a_text_without_words_makes_no_sound() {
        for text in ["", "  ", "...", "?! – "] {
            assert!(speak(text, 8_000).samples.is_empty(), "{text:?}");
        }
    }
}
