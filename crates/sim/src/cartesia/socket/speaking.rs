//! Text becomes speech: audio in chunks of odd sizes, and the times of its words.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::cartesia::server::{Chunk, ServerMessage, Timestamps, WordTimes};

use super::{Event, Socket};
use crate::cartesia::config::{CartesiaConfig, Spoken, note};
use crate::cartesia::context::encoded;
use crate::evi::fault::Mishap;
use crate::speech::{Source, speak};

/// Silence between two pieces of one context.
const PAUSE: Duration = Duration::from_millis(180);

/// So many words have their times told in one message.
const WORDS_A_MESSAGE: usize = 4;

impl Socket {
    /// Makes speech of these texts, after what the context says already.
    pub(super) fn speak(&mut self, config: &CartesiaConfig, now: Instant, id: &str, texts: Vec<String>) {
        for text in texts {
            let Some(context) = self.contexts.get_mut(id) else { return };
            let format = context.first.output_format;
            let mut speech = speak(&text, format.sample_rate);
            let pause = if context.length.is_zero() { Duration::ZERO } else { PAUSE };
            let silence = usize::try_from(pause.as_millis()).unwrap_or(0) * format.sample_rate as usize / 1_000;
            speech.samples.splice(0..0, std::iter::repeat_n(0, silence));
            let Some((width, bytes)) = encoded(format.encoding, &speech) else { return };
            let base = context.length + pause;
            let words = speech.sentences.iter().flat_map(|sentence| &sentence.words);
            let words: Vec<(String, f64, f64)> =
                words.map(|word| (word.text.clone(), seconds(base + word.start), seconds(base + word.end))).collect();
            let recorded = speech.sentences.iter().all(|sentence| matches!(sentence.source, Source::Recorded(_)));
            let begins = (now + config.first_audio).max(context.sent_at.unwrap_or(now));
            let length = speech.duration();
            let told = config.word_times && context.first.add_timestamps == Some(true);
            let flush_id = (context.flushes > 0).then_some(context.flushes);
            context.length += length;
            context.sent_at = Some(begins + length / config.speed.max(1));
            let spoken = Spoken { context_id: id.to_owned(), text, recorded, length };
            note(&mut self.record.spoken, spoken);
            self.sentences += 1;
            let number = self.sentences;
            self.schedule(begins, Event::Sentence(number));
            let bytes_a_second = width * format.sample_rate as usize;
            let piece = Piece { id, begins, base: base.saturating_sub(pause), bytes_a_second, width, flush_id };
            self.send_piece(config, &piece, &bytes, if told { &words } else { &[] });
        }
    }

    /// Audio in chunks of odd sizes, the times of words before the chunk in which they begin, and faults at their sample.
    fn send_piece(&mut self, config: &CartesiaConfig, piece: &Piece<'_>, bytes: &[u8], words: &[(String, f64, f64)]) {
        let mut faults: VecDeque<(usize, Mishap)> = (self.line.within(self.sentences).into_iter())
            .map(|(audio, mishap)| (piece.bytes(audio).min(bytes.len()), mishap))
            .collect();
        let mut words = words.chunks(WORDS_A_MESSAGE).peekable();
        let mut at = 0;
        loop {
            let due = piece.begins + piece.time(at) / config.speed.max(1);
            while let Some((_, mishap)) = faults.pop_front_if(|(place, _)| *place <= at) {
                self.schedule(due, Event::Suffer(mishap));
            }
            if at >= bytes.len() {
                return;
            }
            let (least, most) = (config.chunk_bytes.start.max(1), config.chunk_bytes.end);
            let size = self.rng.usize(least..most.max(least + 1)).div_ceil(piece.width) * piece.width;
            let next_fault = faults.front().map_or(bytes.len(), |(place, _)| *place);
            let end = (at + size).min(bytes.len()).min(next_fault);
            let until = seconds(piece.base + piece.time(end));
            while let Some(group) = words.next_if(|group| group.first().is_some_and(|(_, start, _)| *start < until)) {
                let times = WordTimes {
                    words: group.iter().map(|(word, ..)| word.clone()).collect(),
                    start: group.iter().map(|(_, start, _)| *start).collect(),
                    end: group.iter().map(|(_, _, end)| *end).collect(),
                };
                let message = ServerMessage::Timestamps(Timestamps {
                    context_id: piece.id.to_owned(),
                    done: false,
                    status_code: 206,
                    flush_id: piece.flush_id,
                    word_timestamps: Some(times),
                });
                let (context, text) = (piece.id.to_owned(), message.to_json());
                self.schedule(due, Event::Message { context, text, audio: false });
            }
            let chunk = Chunk { step_time: 1.5, ..Chunk::new(piece.id, &bytes[at..end], piece.flush_id) };
            let (context, text) = (piece.id.to_owned(), ServerMessage::Chunk(chunk).to_json());
            self.schedule(due, Event::Message { context, text, audio: true });
            at = end;
        }
    }
}

/// A piece of speech on its way.
struct Piece<'p> {
    id: &'p str,
    begins: Instant,
    /// Where it begins in its context's audio.
    base: Duration,
    bytes_a_second: usize,
    width: usize,
    flush_id: Option<u64>,
}

impl Piece<'_> {
    fn time(&self, bytes: usize) -> Duration {
        Duration::from_nanos(bytes as u64 * 1_000_000_000 / (self.bytes_a_second.max(1) as u64))
    }

    fn bytes(&self, time: Duration) -> usize {
        let bytes = time.as_micros() * self.bytes_a_second as u128 / 1_000_000;
        usize::try_from(bytes).unwrap_or(usize::MAX) / self.width * self.width
    }
}

/// To milliseconds.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
