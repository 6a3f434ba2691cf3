//! The comfort tone: what the caller hears when there is nothing to say yet.
//!
//! Two soft notes every few seconds over a breath of noise. The noise says that the line is alive, the notes that
//! someone is at work. Quiet enough that a caller who speaks over it is not disturbed, and below the level at which
//! an engine would take an echo of it for speech.

use super::{FRAME_BYTES, Frame, mulaw};
use fastrand::Rng;
use std::f32::consts::TAU;

const RATE: f32 = 8_000.0;

/// One round: two notes, then a pause.
const PERIOD_SAMPLES: u32 = 4 * 8_000;
const NOTE_SAMPLES: u32 = 2_400;
/// The second note begins while the first fades.
const NOTE_STARTS: [u32; 2] = [0, 1_800];
/// A fourth upward, in the middle of the telephone band: heard on any handset, and not a signalling tone.
const NOTE_HERTZ: [f32; 2] = [440.0, 587.33];
/// About -32 dBFS at its loudest.
const NOTE_AMPLITUDE: f32 = 900.0;
/// About -60 dBFS after the low-pass.
const NOISE_AMPLITUDE: f32 = 70.0;

/// An endless stream of frames; the same seed gives the same sound.
#[derive(Debug, Clone)]
pub struct ComfortTone {
    rng: Rng,
    position: u32,
    noise: f32,
}

impl ComfortTone {
    /// Begins with the first note.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), position: 0, noise: 0.0 }
    }

    /// The next 20 ms.
    pub fn frame(&mut self) -> Frame {
        let mut frame = [mulaw::SILENCE; FRAME_BYTES];
        for code in &mut frame {
            *code = mulaw::encode(self.sample());
        }
        frame
    }

    fn sample(&mut self) -> i16 {
        // One pole takes the hiss out of the noise.
        let white = (self.rng.f32() * 2.0 - 1.0) * NOISE_AMPLITUDE;
        self.noise += 0.35 * (white - self.noise);
        let notes: f32 =
            NOTE_STARTS.iter().zip(NOTE_HERTZ).map(|(&start, hertz)| note(self.position, start, hertz)).sum();
        self.position = (self.position + 1) % PERIOD_SAMPLES;
        to_sample(notes + self.noise)
    }
}

impl Iterator for ComfortTone {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        Some(self.frame())
    }
}

/// A note under a raised cosine, so that it neither clicks on nor off.
fn note(position: u32, start: u32, hertz: f32) -> f32 {
    let Some(since) = position.checked_sub(start).filter(|&since| since < NOTE_SAMPLES) else { return 0.0 };
    let envelope = 0.5 - 0.5 * (TAU * since as f32 / NOTE_SAMPLES as f32).cos();
    NOTE_AMPLITUDE * envelope * (TAU * hertz * since as f32 / RATE).sin()
}

#[expect(clippy::cast_possible_truncation, reason = "the amplitudes above keep the sum within 2,000")]
fn to_sample(value: f32) -> i16 {
    value.round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sound() {
        let some: Vec<Frame> = ComfortTone::new(7).take(300).collect();
        assert_eq!(some, ComfortTone::new(7).take(300).collect::<Vec<_>>());
        assert_ne!(some, ComfortTone::new(8).take(300).collect::<Vec<_>>());
    }

    #[test]
    fn it_is_never_digital_silence_and_never_loud() {
        for frame in ComfortTone::new(1).take(1_000) {
            let level = mulaw::level_dbfs(&frame);
            assert!((-75.0..-25.0).contains(&level), "{level}");
        }
    }

    #[test]
    fn notes_come_every_four_seconds_with_quiet_between() {
        let levels: Vec<f32> = ComfortTone::new(1).take(400).map(|frame| mulaw::level_dbfs(&frame)).collect();
        for round in [0, 200] {
            assert!(levels[round + 7] > -40.0, "{}", levels[round + 7]);
            assert!(levels[round + 40..round + 200].iter().all(|&level| level < mulaw::SILENCE_DBFS));
        }
    }

    #[test]
    fn it_does_not_click() {
        let samples: Vec<i16> = mulaw::decoded(&ComfortTone::new(3).take(400).collect::<Vec<_>>().concat());
        let steepest = samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap();
        // A 587 Hz sine of this amplitude moves by at most 415 a sample; the rest is noise and rounding.
        assert!(steepest < 560, "{steepest}");
    }
}
