//! The caller's side of the line: speech and key tones laid over silence, sample by sample.

use std::f32::consts::TAU;

use call::audio::mulaw;
use fastrand::Rng;

use super::config::Line;
use super::samples::{FRAME_BYTES, count, index};

/// Samples of a key tone: 100 ms, longer than any detector's minimum.
const TONE_SAMPLES: u16 = 800;

/// What the caller will say, positioned in samples since the stream began.
#[derive(Debug)]
pub(super) struct Voice {
    line: Line,
    noise: Rng,
    utterances: Vec<Utterance>,
}

#[derive(Debug)]
struct Utterance {
    start: u64,
    audio: Vec<u8>,
}

impl Utterance {
    fn end(&self) -> u64 {
        self.start + count(self.audio.len())
    }
}

impl Voice {
    pub(super) fn new(line: Line, noise: Rng) -> Self {
        Self { line, noise, utterances: Vec::new() }
    }

    /// Lays speech over the line; where utterances overlap, the later call to this wins.
    pub(super) fn say(&mut self, start: u64, audio: &[u8]) {
        self.utterances.push(Utterance { start, audio: audio.to_vec() });
    }

    /// Lays the two tones of a key over the line (ITU-T Q.23). An unknown key is silent.
    pub(super) fn tone(&mut self, start: u64, digit: char) {
        if let Some((low, high)) = frequencies(digit) {
            let audio: Vec<u8> = (0..TONE_SAMPLES)
                .map(|sample| {
                    let time = f32::from(sample) / 8000.0;
                    let wave = (TAU * low * time).sin() + (TAU * high * time).sin();
                    mulaw::encode(amplitude(wave * 4000.0))
                })
                .collect();
            self.say(start, &audio);
        }
    }

    /// The frame that begins at a sample, and whether any of it is speech. Frames are rendered in order.
    pub(super) fn frame(&mut self, start: u64) -> ([u8; 160], bool) {
        let mut frame = [mulaw::SILENCE; 160];
        if self.line == Line::Noisy {
            for code in &mut frame {
                // 0xFF and 0x7F are plus and minus zero; codes just below are the smallest steps.
                *code = if self.noise.bool() { 0xFF } else { 0x7F } - self.noise.u8(0..3);
            }
        }
        let end = start + FRAME_BYTES;
        let mut speech = false;
        for utterance in self.utterances.iter().filter(|utterance| utterance.start < end && utterance.end() > start) {
            let from = utterance.start.max(start);
            let until = utterance.end().min(end);
            frame[index(from - start)..index(until - start)]
                .copy_from_slice(&utterance.audio[index(from - utterance.start)..index(until - utterance.start)]);
            speech = true;
        }
        self.utterances.retain(|utterance| utterance.end() > end);
        (frame, speech)
    }
}

fn frequencies(digit: char) -> Option<(f32, f32)> {
    let rows = ["123A", "456B", "789C", "*0#D"];
    let (row, column) = rows.iter().enumerate().find_map(|(row, keys)| keys.find(digit).map(|column| (row, column)))?;
    Some(([697.0, 770.0, 852.0, 941.0][row], [1209.0, 1336.0, 1477.0, 1633.0][column]))
}

#[expect(clippy::cast_possible_truncation, reason = "two sines of 4000 each stay within 16 bits")]
fn amplitude(wave: f32) -> i16 {
    wave as i16
}
