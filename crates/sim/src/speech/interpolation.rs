//! Whole recordings from one sample rate to another, up or down.
//!
//! A windowed sinc over 24 input samples (or output samples, when going down) on either side: better than the voices
//! need, and simple because a recording is all there at once. Live audio has `call::audio::resample` instead.

use std::f32::consts::PI;

/// Zero crossings on either side of the middle.
const CROSSINGS: f32 = 24.0;

/// The pass band's share of what the lower rate can carry.
const PASS: f32 = 0.94;

/// The samples at another rate, about as long; untouched if the rates are the same.
pub(super) fn resampled(samples: Vec<i16>, from: u32, to: u32) -> Vec<i16> {
    if from == to || from == 0 || to == 0 {
        return samples;
    }
    let common = greatest_common_divisor(from, to);
    let (step, phases) = ((from / common) as usize, (to / common) as usize);
    // Cycles a sample of the input at which the filter closes.
    let cutoff = PASS * 0.5 * (to as f32 / from as f32).min(1.0);
    let reach = CROSSINGS / (2.0 * cutoff);
    let half = whole(reach) + 1;
    let filters: Vec<Vec<f32>> =
        (0..phases).map(|phase| filter(phase as f32 / phases as f32, half, cutoff, reach)).collect();
    let mut padded = vec![0.0; half];
    padded.extend(samples.iter().map(|&sample| f32::from(sample)));
    padded.resize(padded.len() + half + 1, 0.0);
    let length = (samples.len() * phases).div_ceil(step);
    (0..length)
        .map(|n| {
            let window = &padded[n * step / phases..];
            let sum: f32 = filters[n * step % phases].iter().zip(window).map(|(weight, sample)| weight * sample).sum();
            to_sample(sum)
        })
        .collect()
}

/// Weights of the `2 * half` samples around a moment `behind` samples after the middle one.
fn filter(behind: f32, half: usize, cutoff: f32, reach: f32) -> Vec<f32> {
    let mut weights: Vec<f32> = (0..=2 * half)
        .map(|tap| {
            let distance = tap as f32 - half as f32 - behind;
            if distance.abs() >= reach {
                return 0.0;
            }
            let window = 0.5 + 0.5 * (PI * distance / reach).cos();
            let angle = 2.0 * PI * cutoff * distance;
            window * if angle == 0.0 { 1.0 } else { angle.sin() / angle }
        })
        .collect();
    let sum: f32 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= sum;
    }
    weights
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of the type")]
fn to_sample(value: f32) -> i16 {
    value.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a filter's reach is a small positive number"
)]
fn whole(value: f32) -> usize {
    value.ceil() as usize
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, hertz: f32) -> Vec<i16> {
        (0..rate / 4).map(|n| to_sample(10_000.0 * (2.0 * PI * hertz * n as f32 / rate as f32).sin())).collect()
    }

    #[test]
    fn a_sine_stays_the_same_sine() {
        for (from, to) in [(8_000, 24_000), (8_000, 48_000), (16_000, 24_000), (16_000, 8_000), (16_000, 22_050)] {
            let ours = resampled(sine(from, 1_000.0), from, to);
            let exact = sine(to, 1_000.0);
            let middle = to as usize / 20..to as usize / 5;
            let worst = ours[middle.clone()].iter().zip(&exact[middle]).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(worst < 60, "{from} -> {to}: {worst}");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_taken_out() {
        let output = resampled(sine(16_000, 5_500.0), 16_000, 8_000);
        let loudest = output[400..1_600].iter().map(|value| value.unsigned_abs()).max().unwrap();
        assert!(loudest < 40, "{loudest}");
    }

    #[test]
    fn the_same_rate_changes_nothing() {
        assert_eq!(resampled(vec![1, 2, 3], 8_000, 8_000), [1, 2, 3]);
        assert!(resampled(Vec::new(), 8_000, 24_000).is_empty());
    }
}
