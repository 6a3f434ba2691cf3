//! One response of the model: the steps it will take, and what of it exists so far.
//!
//! Steps are made when the response begins, its sound included, and each is due when the one before it has been sent.
//! Whatever ends a response early, the same closing events follow, built from what exists by then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use call::audio::mulaw;
use wire::openai::item::{ContentKind, ContentPart, FunctionCall, Item, ItemStatus, Message, Role};
use wire::openai::response::{ResponseStatus, StatusReason};
use wire::openai::session::AudioFormat;

use crate::evi::fault::Mishap;

/// What a response does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Created,
    RateLimits,
    /// Begins a spoken or written message.
    OpenMessage {
        text: String,
        whole_ms: u64,
    },
    /// More of its words.
    Words(String),
    /// More of its sound.
    Sound {
        bytes: Vec<u8>,
        plays: Duration,
    },
    /// A sentence's sound begins here.
    Sentence(u32),
    /// A fault that belongs exactly here.
    Suffer(Mishap),
    /// Begins a function call.
    OpenCall {
        name: String,
    },
    /// More of its arguments.
    Arguments(String),
    /// Completes the message or call that is open.
    Close,
    /// Ends the response.
    Finish(ResponseStatus, Option<StatusReason>),
}

/// A response in progress.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) id: String,
    /// Whether `response.created` was sent.
    pub(crate) created: bool,
    pub(crate) written: bool,
    pub(crate) format: AudioFormat,
    pub(crate) steps: VecDeque<Step>,
    pub(crate) due: Instant,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) metadata: Option<std::collections::BTreeMap<String, String>>,
}

/// A message or call within a response.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) item_id: String,
    pub(crate) closed: bool,
    pub(crate) kind: PieceKind,
}

#[derive(Debug, Clone)]
pub(crate) enum PieceKind {
    /// A message: the words and the bytes of sound sent so far.
    Message { words: String, bytes: usize, written: bool },
    /// A call: the arguments sent so far.
    Call { call_id: String, name: String, arguments: String },
}

impl Piece {
    /// The item as it stands.
    pub(crate) fn item(&self, status: ItemStatus) -> Item {
        let (id, object, status) = (Some(self.item_id.clone()), Some("realtime.item".to_owned()), Some(status));
        match &self.kind {
            PieceKind::Message { words, written, .. } => {
                let part = if *written {
                    ContentPart::text(ContentKind::OutputText, words.clone())
                } else {
                    ContentPart::audio(ContentKind::OutputAudio, Some(words.clone()))
                };
                Item::Message(Message { id, object, status, role: Role::Assistant, content: vec![part] })
            }
            PieceKind::Call { call_id, name, arguments } => Item::FunctionCall(FunctionCall {
                id,
                object,
                status,
                call_id: Some(call_id.clone()),
                name: name.clone(),
                arguments: arguments.clone(),
            }),
        }
    }

    /// The item as it is when it begins: without content.
    pub(crate) fn empty_item(&self) -> Item {
        match self.item(ItemStatus::InProgress) {
            Item::Message(message) => Item::Message(Message { content: Vec::new(), ..message }),
            other @ (Item::FunctionCall(_)
            | Item::FunctionCallOutput(_)
            | Item::ItemReference { .. }
            | Item::Other(_)) => other,
        }
    }
}

/// What is said, cut into steps.
pub(crate) struct Delivery<'a> {
    pub(crate) text: &'a str,
    pub(crate) written: bool,
    pub(crate) format: AudioFormat,
    /// Bytes of a delta.
    pub(crate) sizes: std::ops::Range<usize>,
    /// No more sound than this; the words stop with it.
    pub(crate) most: Option<Duration>,
}

impl Delivery<'_> {
    /// The steps, and whether the limit cut them. `sentence` gives, for each sentence, its number on the connection and
    /// the faults within its sound.
    pub(crate) fn steps(
        &self,
        rng: &mut fastrand::Rng,
        mut sentence: impl FnMut() -> (u32, Vec<(Duration, Mishap)>),
    ) -> (Vec<Step>, bool) {
        let words: Vec<String> = self.text.split_inclusive(' ').map(str::to_owned).collect();
        if self.written {
            let mut steps = vec![Step::OpenMessage { text: self.text.to_owned(), whole_ms: 0 }];
            steps.extend(words.into_iter().map(Step::Words));
            steps.push(Step::Close);
            return (steps, false);
        }
        let speech = crate::speech::speak(self.text, rate(self.format));
        let sound = encoded(&speech.samples, self.format);
        let whole = speech.duration();
        let offset = |at: Duration| bytes_in(at.min(whole), self.format).min(sound.len());
        let end = self.most.map_or(sound.len(), offset);
        let mut marks: Vec<(usize, Step)> = Vec::new();
        for spoken in &speech.sentences {
            let (number, faults) = sentence();
            marks.push((offset(spoken.start), Step::Sentence(number)));
            marks.extend(
                faults
                    .into_iter()
                    .map(|(at, mishap)| (offset(spoken.start + at).min(offset(spoken.end)), Step::Suffer(mishap))),
            );
        }
        marks.retain(|(at, _)| *at <= end);
        marks.sort_by_key(|(at, _)| *at);
        let mut steps = vec![Step::OpenMessage { text: self.text.to_owned(), whole_ms: millis(whole) }];
        let count = if sound.is_empty() { words.len() } else { words.len() * end / sound.len() };
        let mut words = words.into_iter().take(count).peekable();
        let mut from = 0;
        let mut marks = marks.into_iter().peekable();
        loop {
            while let Some((_, mark)) = marks.next_if(|(at, _)| *at <= from) {
                steps.push(mark);
            }
            // The words run ahead of the sound, or behind it, by a little.
            while words.peek().is_some() && rng.u8(0..3) > 0 {
                steps.extend(words.next().map(Step::Words));
            }
            if from >= end {
                break;
            }
            let size = self.size(rng);
            let to = (from + size).min(end).min(marks.peek().map_or(usize::MAX, |(at, _)| *at));
            steps.push(Step::Sound { bytes: sound[from..to].to_vec(), plays: plays(to - from, self.format) });
            from = to;
        }
        steps.extend(words.map(Step::Words));
        steps.push(Step::Close);
        (steps, end < sound.len())
    }

    /// An odd number of bytes of mu-law, a whole number of samples otherwise.
    fn size(&self, rng: &mut fastrand::Rng) -> usize {
        let size = rng.usize(self.sizes.start..self.sizes.end.max(self.sizes.start + 1));
        match self.format {
            AudioFormat::Pcmu | AudioFormat::Pcma => size | 1,
            AudioFormat::Pcm { .. } => (size & !1).max(2),
        }
    }
}

/// Samples a second.
pub(crate) fn rate(format: AudioFormat) -> u32 {
    match format {
        AudioFormat::Pcmu | AudioFormat::Pcma => 8_000,
        AudioFormat::Pcm { .. } => 24_000,
    }
}

fn bytes_a_second(format: AudioFormat) -> u64 {
    match format {
        AudioFormat::Pcmu | AudioFormat::Pcma => 8_000,
        AudioFormat::Pcm { .. } => 48_000,
    }
}

/// How long so many bytes play.
pub(crate) fn plays(bytes: usize, format: AudioFormat) -> Duration {
    Duration::from_nanos(bytes as u64 * 1_000_000_000 / bytes_a_second(format))
}

fn bytes_in(time: Duration, format: AudioFormat) -> usize {
    let bytes = time.as_nanos() * u128::from(bytes_a_second(format)) / 1_000_000_000;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    match format {
        AudioFormat::Pcmu | AudioFormat::Pcma => bytes,
        AudioFormat::Pcm { .. } => bytes & !1,
    }
}

fn encoded(samples: &[i16], format: AudioFormat) -> Vec<u8> {
    match format {
        AudioFormat::Pcmu | AudioFormat::Pcma => mulaw::encoded(samples),
        AudioFormat::Pcm { .. } => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(text: &str) -> Delivery<'_> {
        Delivery { text, written: false, format: AudioFormat::Pcmu, sizes: 100..900, most: None }
    }

    fn sound(steps: &[Step]) -> Vec<u8> {
        steps
            .iter()
            .filter_map(|step| if let Step::Sound { bytes, .. } = step { Some(bytes.clone()) } else { None })
            .flatten()
            .collect()
    }

    fn words(steps: &[Step]) -> String {
        steps
            .iter()
            .filter_map(|step| if let Step::Words(words) = step { Some(words.as_str()) } else { None })
            .collect()
    }

    #[test]
    fn deltas_together_are_the_speech_and_its_words_in_any_interleaving() {
        let expected = mulaw::encoded(&crate::speech::speak("Good morning. How are you?", 8_000).samples);
        for seed in 0..20 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (steps, cut) = delivery("Good morning. How are you?").steps(&mut rng, || (1, Vec::new()));
            assert!(!cut);
            assert_eq!(sound(&steps), expected);
            assert_eq!(words(&steps), "Good morning. How are you?");
        }
    }

    #[test]
    fn a_fault_stands_at_its_place_in_its_own_sentence() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut number = 0;
        let (steps, _) = delivery("Good morning. How are you?").steps(&mut rng, || {
            number += 1;
            (number, if number == 2 { vec![(Duration::from_millis(100), Mishap::Drop)] } else { Vec::new() })
        });
        let start = crate::speech::speak("Good morning. How are you?", 8_000).sentences[1].start;
        let at = steps.iter().position(|step| matches!(step, Step::Suffer(_))).unwrap();
        let expected = bytes_in(start + Duration::from_millis(100), AudioFormat::Pcmu);
        assert_eq!(sound(&steps[..at]).len(), expected);
    }

    #[test]
    fn a_limit_cuts_sound_and_words_alike() {
        let mut rng = fastrand::Rng::with_seed(1);
        let limited = Delivery {
            most: Some(Duration::from_millis(500)),
            ..delivery("Good morning. How are you doing on this day?")
        };
        let (steps, cut) = limited.steps(&mut rng, || (1, Vec::new()));
        assert!(cut);
        assert_eq!(sound(&steps).len(), 4_000);
        assert!(words(&steps).len() < "Good morning. How are you doing on this day?".len());
    }
}
