//! One turn of EVI's: the steps it will take, and the sentence being sent.
//!
//! A turn is a list of steps with the time at which the next one is due. Sound is made only when its sentence is due,
//! and takes a fraction of its own length to send. What was not sent when the caller interrupts is simply dropped: the
//! rest of the list.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wire::hume::error::ErrorCode;
use wire::hume::rest::ChatStatus;
use wire::hume::server::AudioOutput;

use super::config::{EviConfig, FinalChunk};
use super::fault::Mishap;
use super::wav;

/// A message grown to more than one mebibyte: Base64 makes four bytes of three.
const HUGE_PADDING: usize = 900_000;

/// What EVI does next within a turn.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Calls a tool and waits for the answer.
    CallTool { name: String, arguments: String },
    /// Announces a sentence and makes its sound.
    Say(Line),
    /// Sends a piece of the sentence that was announced last.
    Chunk(Chunk),
    /// Reports how that sentence sounded.
    Prosody { id: String },
    /// Suffers a fault that belongs exactly here.
    Suffer(Mishap),
    /// Says that the turn is complete.
    End,
    /// Ends the chat.
    Close { error: Option<ErrorCode>, code: u16, status: ChatStatus },
}

/// A sentence to say.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// It comes from an `assistant_input`.
    pub(crate) from_text: bool,
    /// It bridges the time until the real answer.
    pub(crate) quick: bool,
}

/// A piece of a sentence's sound.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) id: String,
    pub(crate) index: u64,
    pub(crate) file: Sound,
    pub(crate) last: bool,
    /// How long it plays.
    pub(crate) plays: Duration,
}

/// Sound that is not yet a file.
#[derive(Debug, Clone)]
pub(crate) struct Sound {
    pub(crate) samples: Vec<i16>,
    pub(crate) rate: u32,
    pub(crate) layout: wav::WavLayout,
}

/// A turn in progress.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) steps: VecDeque<Step>,
    /// When the first of the steps is due.
    pub(crate) due: Instant,
    /// Whether anything of it has been sent.
    pub(crate) begun: bool,
    /// The tool call that is waited for, and until when.
    pub(crate) tool: Option<AwaitedTool>,
}

/// A tool call without an answer yet.
#[derive(Debug, Clone)]
pub(crate) struct AwaitedTool {
    pub(crate) call_id: String,
    pub(crate) until: Option<Instant>,
}

impl Turn {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>, due: Instant) -> Self {
        Self { steps: steps.into_iter().collect(), due, begun: false, tool: None }
    }

    /// Sentences with an end.
    pub(crate) fn of(lines: impl IntoIterator<Item = Line>, due: Instant) -> Self {
        let mut steps: Vec<Step> = lines.into_iter().map(Step::Say).collect();
        steps.push(Step::End);
        Self::new(steps, due)
    }

    /// When something has to be done for it.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match &self.tool {
            Some(awaited) => awaited.until,
            None => (!self.steps.is_empty()).then_some(self.due),
        }
    }

    /// Puts steps before those that remain.
    pub(crate) fn next(&mut self, steps: impl IntoIterator<Item = Step, IntoIter: DoubleEndedIterator>) {
        for step in steps.into_iter().rev() {
            self.steps.push_front(step);
        }
    }

    /// The chunk that would come next, for a fault that sends it although the turn was interrupted.
    pub(crate) fn upcoming_chunk(&self) -> Option<Chunk> {
        self.steps.iter().find_map(|step| match step {
            Step::Chunk(chunk) => Some(chunk.clone()),
            Step::CallTool { .. }
            | Step::Say(_)
            | Step::Prosody { .. }
            | Step::Suffer(_)
            | Step::End
            | Step::Close { .. } => None,
        })
    }
}

/// Rate and layout of the chunks, taken in turns.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rotation {
    count: usize,
}

impl Rotation {
    fn next(&mut self, config: &EviConfig) -> (u32, wav::WavLayout) {
        let at = self.count;
        self.count += 1;
        let rate = config.output_rates.get(at % config.output_rates.len().max(1)).copied().unwrap_or(48_000);
        let layout = config.wav_layouts.get(at % config.wav_layouts.len().max(1)).copied();
        (rate, layout.unwrap_or(wav::WavLayout::Plain))
    }

    /// Cuts a sentence into chunks, and puts a fault where it belongs.
    pub(crate) fn steps(
        &mut self,
        config: &EviConfig,
        id: &str,
        text: &str,
        cuts: &[(Duration, Mishap)],
    ) -> (Duration, Vec<Step>) {
        let whole = crate::speech::speak(text, 48_000).duration();
        let pieces = config.chunks_per_sentence.max(1);
        let mut borders: Vec<(Duration, Option<Mishap>)> =
            (1..=pieces).map(|piece| (whole * piece / pieces, None)).collect();
        for (at, mishap) in cuts {
            borders.push(((*at).min(whole), Some(mishap.clone())));
        }
        borders.sort_by_key(|(at, mishap)| (*at, mishap.is_none()));
        let mut steps = Vec::new();
        let (mut from, mut index) = (Duration::ZERO, 0);
        for (to, mishap) in borders {
            if to > from {
                let (rate, layout) = self.next(config);
                let samples = part(text, rate, from, to);
                let last = to == whole;
                let file = Sound { samples, rate, layout };
                steps.push(Step::Chunk(Chunk { id: id.to_owned(), index, file, last, plays: to - from }));
                (from, index) = (to, index + 1);
            }
            steps.extend(mishap.map(Step::Suffer));
        }
        (whole, steps)
    }
}

/// The samples of a text between two moments. Each rate is converted from the same recording, so that a chunk at
/// another rate continues the one before it.
fn part(text: &str, rate: u32, from: Duration, to: Duration) -> Vec<i16> {
    let spoken = crate::speech::speak(text, rate).samples;
    let index = |at: Duration| {
        usize::try_from(at.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(usize::MAX).min(spoken.len())
    };
    spoken[index(from)..index(to).max(index(from))].to_vec()
}

impl Chunk {
    /// The message that carries it.
    pub(crate) fn message(&self, config: &EviConfig, huge: bool) -> AudioOutput<'static> {
        let Sound { samples, rate, layout } = &self.file;
        // Padding stands behind the samples, which needs their true size in the header.
        let layout = if huge { wav::WavLayout::Plain } else { *layout };
        let file = wav::file(samples, *rate, layout, if huge { HUGE_PADDING } else { 0 });
        AudioOutput {
            id: self.id.clone(),
            index: self.index,
            data: STANDARD.encode(file).into(),
            is_final_chunk: match config.final_chunk {
                FinalChunk::Absent => None,
                FinalChunk::AlwaysFalse => Some(false),
                FinalChunk::Truthful => Some(self.last),
            },
            custom_session_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(steps: &[Step]) -> Vec<&Chunk> {
        steps.iter().filter_map(|step| if let Step::Chunk(chunk) = step { Some(chunk) } else { None }).collect()
    }

    #[test]
    fn chunks_together_are_the_sentence_whatever_their_number() {
        let config = EviConfig { chunks_per_sentence: 3, ..EviConfig::default() };
        let (whole, steps) = Rotation::default().steps(&config, "a", "Good morning.", &[]);
        let samples: Vec<i16> = chunks(&steps).iter().flat_map(|chunk| chunk.file.samples.clone()).collect();
        assert_eq!(samples, crate::speech::speak("Good morning.", 48_000).samples);
        assert_eq!(chunks(&steps).iter().map(|chunk| chunk.plays).sum::<Duration>(), whole);
        assert_eq!(
            chunks(&steps).iter().map(|chunk| (chunk.index, chunk.last)).collect::<Vec<_>>(),
            [(0, false), (1, false), (2, true)]
        );
    }

    #[test]
    fn a_fault_cuts_the_sound_exactly_where_it_happens() {
        let config = EviConfig { chunks_per_sentence: 2, output_rates: vec![24_000], ..EviConfig::default() };
        let at = Duration::from_millis(200);
        let (_, steps) = Rotation::default().steps(&config, "a", "Good morning.", &[(at, Mishap::Drop)]);
        assert!(matches!(&steps[0], Step::Chunk(chunk) if chunk.file.samples.len() == 4_800));
        assert!(matches!(&steps[1], Step::Suffer(Mishap::Drop)));
        assert_eq!(chunks(&steps).len(), 3);
    }

    #[test]
    fn rates_and_layouts_take_turns() {
        let config = EviConfig {
            chunks_per_sentence: 4,
            output_rates: vec![24_000, 48_000],
            wav_layouts: vec![wav::WavLayout::Plain, wav::WavLayout::List],
            ..EviConfig::default()
        };
        let (_, steps) = Rotation::default().steps(&config, "a", "Good morning.", &[]);
        let rates: Vec<u32> = chunks(&steps).iter().map(|chunk| chunk.file.rate).collect();
        assert_eq!(rates, [24_000, 48_000, 24_000, 48_000]);
    }

    #[test]
    fn a_huge_message_holds_the_same_sound() {
        let config = EviConfig::default();
        let (_, steps) = Rotation::default().steps(&config, "a", "Good morning.", &[]);
        let chunk = chunks(&steps)[0];
        let huge = chunk.message(&config, true);
        assert!(huge.data.len() > 1 << 20);
        let file = STANDARD.decode(huge.data.as_bytes()).unwrap();
        assert_eq!(call::audio::wav::read(&file).unwrap().samples, chunk.file.samples);
    }
}
