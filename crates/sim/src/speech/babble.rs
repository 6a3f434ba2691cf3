//! Sound without words, for texts that nobody recorded.
//!
//! Syllables of a buzzing voice through two moving formants: plainly not a recording, yet it has the rhythm, level
//! and pauses of speech, so that turn-taking, playout and levels behave as with a real voice.

use super::bank::Who;
use fastrand::Rng;
use std::f32::consts::TAU;

/// How fast the babble "reads", in characters of text a second.
const CHARACTERS_PER_SECOND: u64 = 14;

/// Longer texts babble no longer than this: an engine's longest turn.
const SECONDS_MAX: u64 = 60;

/// The share of a syllable that sounds; the rest is a short gap.
const VOICED_SHARE: f32 = 0.78;

/// About -20 dBFS.
const AMPLITUDE: f32 = 2_600.0;

/// Vowels as pairs of formants, in hertz.
const VOWELS: [(f32, f32); 5] = [(700.0, 1_200.0), (500.0, 1_800.0), (320.0, 2_200.0), (480.0, 900.0), (330.0, 800.0)];

/// Babble of the length of `text`, the same for the same text.
pub(super) fn babble(who: Who, text: &str, rate: u32) -> Vec<i16> {
    let mut rng = Rng::with_seed(seed(text));
    let characters = text.chars().count() as u64;
    let samples = (characters * u64::from(rate) / CHARACTERS_PER_SECOND).min(SECONDS_MAX * u64::from(rate));
    let pitch = match who {
        Who::Caller => 115.0,
        Who::Agent => 205.0,
    };
    let mut sound = Vec::new();
    let mut left = samples;
    while left > 0 {
        // Syllables of 160 to 260 ms.
        let length = (u64::from(rate) * rng.u64(160..260) / 1_000).min(left);
        let vowel = VOWELS[rng.usize(..VOWELS.len())];
        syllable(length, pitch * (0.9 + 0.2 * rng.f32()), vowel, rate as f32, &mut sound);
        left -= length;
    }
    sound
}

fn syllable(samples: u64, pitch: f32, (first, second): (f32, f32), rate: f32, sound: &mut Vec<i16>) {
    let voiced = samples as f32 * VOICED_SHARE;
    let period = rate / pitch;
    sound.extend((0..samples).map(|n| {
        let n = n as f32;
        if n >= voiced {
            return 0;
        }
        let envelope = (TAU * 0.5 * n / voiced).sin();
        // Each pulse of the voice rings in both formants and fades.
        let since = n % period / rate;
        let ring = (TAU * first * since).sin() * (-since * 260.0).exp()
            + 0.6 * (TAU * second * since).sin() * (-since * 420.0).exp();
        to_sample(AMPLITUDE * 2.4 * envelope * ring)
    }));
}

/// FNV-1a: the same on every machine and in every version.
fn seed(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

#[expect(clippy::cast_possible_truncation, reason = "at most 2.4 × 1.6 times the amplitude")]
fn to_sample(value: f32) -> i16 {
    value.round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use call::audio::mulaw;

    #[test]
    fn it_is_as_loud_as_speech_and_as_long_as_the_text_takes() {
        for rate in [8_000, 24_000, 48_000] {
            let sound = babble(Who::Agent, &"words ".repeat(7), rate);
            assert_eq!(sound.len(), rate as usize * 3);
            let level = mulaw::level_dbfs(&mulaw::encoded(&sound));
            assert!((-28.0..-14.0).contains(&level), "{level}");
        }
    }

    #[test]
    fn texts_sound_different_and_each_always_the_same() {
        assert_eq!(babble(Who::Agent, "one two", 8_000), babble(Who::Agent, "one two", 8_000));
        assert_ne!(babble(Who::Agent, "one two", 8_000), babble(Who::Agent, "two one", 8_000));
        assert!(babble(Who::Agent, "", 8_000).is_empty());
    }
}
