//! A strict ear: is what the phone heard the engine's voice, and nothing else?
//!
//! The reference is made offline: the sentence as the engine speaks it, at the engine's rate, converted in one piece by
//! an unrelated resampler (FFT, whole input at once) and coded once as mu-law. It is found in what was heard by its
//! loudness, then to a fraction of a sample, and compared frame by frame (20 ms) below 3.3 kHz, where both filters are
//! flat; above that they fall differently and telephone speech ends.
//!
//! **The measure** is the segmental signal-to-noise ratio over the frames in which there is voice, each bounded to 40 dB.
//! Two codings of the same sound differ by 30 to 40 dB. [`MEAN_DB_MIN`] is for the sentence, and [`WORST_DB_MIN`] for its
//! worst frame, pauses included: one resampler that begins anew at a chunk border, one lost or doubled sample, one hundredth of a wrong
//! rate each fall below, and the tests at the end of this file show it.

use audioadapter_buffers::direct::InterleavedSlice;
use call::audio::mulaw;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};
use sim::speech::speak;

/// A sentence is the engine's if its frames are on average this like.
pub const MEAN_DB_MIN: f64 = 30.0;

/// And if none of its frames is less like than this.
pub const WORST_DB_MIN: f64 = 20.0;

const FRAME: usize = 160;

/// Frames quieter than this (of 32,768) have no voice that could be compared.
const VOICE_RMS_MIN: f64 = 250.0;

/// Samples in a step of the loudness by which a sentence is found: 2 ms.
const STEP: usize = 16;

/// Samples around that place at which it is then looked for.
const FINE: usize = 6 * STEP;

/// How like two sounds are.
#[derive(Clone, Copy, Debug)]
pub struct Likeness {
    /// Where the sentence begins in what was heard, in samples.
    pub at: usize,
    /// Where it ends.
    pub end: usize,
    /// The mean over the frames with voice.
    pub mean_db: f64,
    /// The worst of all frames, pauses included.
    pub worst_db: f64,
    /// How many there are.
    pub frames: usize,
}

impl Likeness {
    /// Whether it is the same voice, undamaged.
    #[must_use]
    pub fn is_the_same_voice(&self) -> bool {
        self.frames >= 10 && self.mean_db >= MEAN_DB_MIN && self.worst_db >= WORST_DB_MIN
    }
}

/// A sentence as it should be heard, once for each part of a sample that it may begin at: sentences of one turn follow
/// each other at the engine's rate, not at the phone's.
#[derive(Clone, Debug)]
pub struct Reference(Vec<Vec<f64>>);

impl Reference {
    /// What the simulated engines say, at `rate` hertz.
    #[must_use]
    pub fn of(sentence: &str, rate: u32) -> Self {
        let samples = speak(sentence, rate).samples;
        let phases = usize::try_from(rate / 8_000).unwrap_or(1).max(1);
        Self(
            (0..phases)
                .map(|phase| band(&coded(&offline(&[vec![0; phase], samples.clone()].concat(), rate))))
                .collect(),
        )
    }

    /// Finds the sentence in what was heard (mu-law), from a place on, and compares.
    #[must_use]
    pub fn find_in(&self, heard: &[u8], from: usize) -> Option<Likeness> {
        let heard: Vec<f64> = heard.get(from..)?.iter().map(|&code| f64::from(mulaw::decode(code))).collect();
        let coarse = loudest_match(&loudness(self.0.first()?), &loudness(&heard))? * STEP;
        let heard = band(&heard);
        let (mut best, mut best_correlation) = (None, f64::MIN);
        for reference in &self.0 {
            for at in coarse.saturating_sub(FINE)..=coarse + FINE {
                let Some(part) = heard.get(at..).filter(|part| part.len() >= reference.len().min(6_000)) else {
                    continue;
                };
                let correlation = correlation(reference, part);
                if correlation > best_correlation {
                    (best, best_correlation) = (Some((reference, at)), correlation);
                }
            }
        }
        let (reference, at) = best?;
        let likeness = compared(reference, heard.get(at..)?);
        Some(Likeness { at: from + at, end: from + at + reference.len(), ..likeness })
    }
}

/// The whole of a sound at 8 kHz, by the FFT resampler.
fn offline(samples: &[i16], rate: u32) -> Vec<f64> {
    let input: Vec<f64> = samples.iter().map(|&sample| f64::from(sample)).collect();
    if rate == 8_000 || input.is_empty() {
        return input;
    }
    let from = usize::try_from(rate).unwrap_or(usize::MAX);
    let mut fft =
        Fft::<f64>::new_custom(from, 8_000, from / 10, 1, 1, WindowFunction::BlackmanHarris2, FixedSync::Both)
            .expect("invariant: every rate of an engine can be converted");
    let adapter = InterleavedSlice::new(&input, 1, input.len()).expect("invariant: one channel of this length");
    fft.process_all(&adapter, input.len(), None).expect("invariant: a whole input can be converted").take_data()
}

/// What mu-law leaves of it.
fn coded(samples: &[f64]) -> Vec<f64> {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
    let linear = samples.iter().map(|sample| sample.round().clamp(-32_768.0, 32_767.0) as i16);
    linear.map(|sample| f64::from(mulaw::decode(mulaw::encode(sample)))).collect()
}

/// What of it lies below 3.3 kHz: a windowed sinc of 12 ms, so that what is compared is flat in both.
fn band(samples: &[f64]) -> Vec<f64> {
    const HALF: usize = 48;
    let cutoff = 3_300.0 / 8_000.0;
    let taps: Vec<f64> = (0..=2 * HALF)
        .map(|tap| {
            let x = tap as f64 - HALF as f64;
            let sinc = if x == 0.0 {
                2.0 * cutoff
            } else {
                (2.0 * std::f64::consts::PI * cutoff * x).sin() / (std::f64::consts::PI * x)
            };
            let phase = std::f64::consts::PI * tap as f64 / HALF as f64;
            sinc * (0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos())
        })
        .collect();
    let padded = [vec![0.0; HALF], samples.to_vec(), vec![0.0; HALF]].concat();
    padded.windows(taps.len()).map(|window| window.iter().zip(&taps).map(|(sample, tap)| sample * tap).sum()).collect()
}

fn loudness(samples: &[f64]) -> Vec<f64> {
    samples.chunks(STEP).map(|step| step.iter().map(|sample| sample.abs()).sum::<f64>()).collect()
}

/// The place at which the pattern of loudness fits best.
fn loudest_match(pattern: &[f64], within: &[f64]) -> Option<usize> {
    // The beginning of a sentence is enough to find it, and the rest is compared afterwards.
    let pattern = &pattern[..pattern.len().min(600)];
    let fits: Vec<f64> = within.windows(pattern.len().max(1)).map(|window| correlation(pattern, window)).collect();
    let best = fits.iter().copied().max_by(f64::total_cmp)?;
    // Said twice, it is looked for where it was said first.
    let first = fits.iter().position(|fit| *fit >= best - 0.03)?;
    let near = fits.iter().enumerate().skip(first).take(20);
    near.max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, _)| at)
}

/// From -1 to 1; of silence 0.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    if aa == 0.0 || bb == 0.0 { 0.0 } else { ab / (aa * bb).sqrt() }
}

fn compared(reference: &[f64], heard: &[f64]) -> Likeness {
    let mut ratios = Vec::new();
    let energy = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let count = reference.len() / FRAME;
    let faintest = FRAME as f64 * VOICE_RMS_MIN * VOICE_RMS_MIN;
    let mut worst_db = 40.0_f64;
    for (number, frame) in reference.chunks_exact(FRAME).enumerate() {
        // What lies before and after the sentence reaches into its first and last frame, by the filters' length.
        if number == 0 || number + 1 >= count {
            continue;
        }
        let ours = heard.get(number * FRAME..(number + 1) * FRAME).unwrap_or_default();
        let ours = ours.iter().copied().chain(std::iter::repeat(0.0));
        let noise = energy(&mut frame.iter().zip(ours).map(|(theirs, ours)| theirs - ours));
        let signal = energy(&mut frame.iter().copied());
        let ratio = (10.0 * (signal.max(faintest) / noise.max(1.0)).log10()).clamp(-10.0, 40.0);
        // A click in a pause is a click: there the noise is measured against the faintest voice.
        worst_db = worst_db.min(ratio);
        if signal >= faintest {
            ratios.push(ratio);
        }
    }
    let frames = ratios.len();
    let mean_db = ratios.iter().sum::<f64>() / frames.max(1) as f64;
    Likeness { at: 0, end: 0, mean_db, worst_db, frames }
}

#[cfg(test)]
mod tests {
    use call::audio::resample::Resampler;

    use super::*;

    const SENTENCE: &str = "I have Tuesday at ten, or Thursday at three.";

    /// The sentence as a bridge would hand it to the phone, in chunks; `anew` begins a resampler at each chunk.
    fn bridged(rate: u32, chunk: usize, anew: bool) -> Vec<u8> {
        let mut resampler = Resampler::new(rate).unwrap();
        let mut linear = vec![0; 3_333];
        for piece in speak(SENTENCE, rate).samples.chunks(chunk) {
            resampler.push(piece, &mut linear);
            if anew {
                resampler.flush(&mut linear);
            }
        }
        resampler.flush(&mut linear);
        linear.extend([0; 4_000]);
        mulaw::encoded(&linear)
    }

    fn likeness(rate: u32, heard: &[u8]) -> Likeness {
        Reference::of(SENTENCE, rate).find_in(heard, 0).unwrap()
    }

    #[test]
    fn a_clean_bridge_is_the_same_voice() {
        for rate in [24_000, 48_000] {
            let found = likeness(rate, &bridged(rate, 7_001, false));
            assert!(found.is_the_same_voice(), "{rate}: {found:?}");
            assert_eq!(found.at, 3_333);
        }
    }

    #[test]
    fn a_click_at_a_chunk_border_is_heard() {
        let found = likeness(48_000, &bridged(48_000, 7_001, true));
        assert!(!found.is_the_same_voice(), "{found:?}");
        // A single spike as well, as loud as the voice.
        let mut heard = bridged(48_000, 7_001, false);
        heard[12_345] = mulaw::encode(9_000);
        assert!(!likeness(48_000, &heard).is_the_same_voice(), "{:?}", likeness(48_000, &heard));
    }

    #[test]
    fn a_wrong_rate_is_heard() {
        let mut resampler = Resampler::new(48_000).unwrap();
        let mut linear = vec![0; 500];
        // 1 % too slow: what was 47,525 Hz is read as 48,000 Hz.
        resampler.push(&speak(SENTENCE, 48_475).samples, &mut linear);
        resampler.flush(&mut linear);
        assert!(!likeness(48_000, &mulaw::encoded(&linear)).is_the_same_voice());
    }

    #[test]
    fn a_lost_and_a_doubled_frame_are_heard() {
        let clean = bridged(24_000, 5_000, false);
        let mut lost = clean.clone();
        lost.drain(16_000..16_160);
        assert!(!likeness(24_000, &lost).is_the_same_voice());
        let mut doubled = clean.clone();
        doubled.splice(16_000..16_000, clean[15_840..16_000].to_vec());
        assert!(!likeness(24_000, &doubled).is_the_same_voice());
        let mut one_sample = clean;
        one_sample.remove(16_000);
        assert!(!likeness(24_000, &one_sample).is_the_same_voice());
    }

    #[test]
    fn another_sentence_is_not_the_same_voice() {
        let found = Reference::of("What name shall I put it under?", 48_000).find_in(&bridged(48_000, 7_001, false), 0);
        assert!(found.is_none_or(|found| !found.is_the_same_voice()));
    }
}
