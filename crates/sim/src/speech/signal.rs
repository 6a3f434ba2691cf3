//! Correlation of sampled sound, fast enough to be tried at many places.
//!
//! The energy of any stretch is a difference of two sums that are kept, so a correlation costs one multiplication a
//! sample.

/// Sound, and the energy of all that comes before each sample.
pub(super) struct Signal {
    pub(super) samples: Vec<f32>,
    energy_before: Vec<f64>,
}

impl Signal {
    pub(super) fn new(samples: Vec<f32>) -> Self {
        let mut energy_before = Vec::with_capacity(samples.len() + 1);
        let mut sum = 0.0;
        energy_before.push(sum);
        energy_before.extend(samples.iter().map(|&sample| {
            sum += f64::from(sample) * f64::from(sample);
            sum
        }));
        Self { samples, energy_before }
    }

    /// Its normalised correlation with a part of a recording, `lag` samples away from where the part lies in that.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a ratio")]
    pub(super) fn correlation(&self, part: &Part<'_>, lag: isize) -> f32 {
        let length = part.samples.len();
        let Some(from) = part.at.checked_add_signed(lag) else { return 0.0 };
        let Some(samples) = self.samples.get(from..from + length) else { return 0.0 };
        let energy = (self.energy_before[from + length] - self.energy_before[from]) as f32;
        // One unit of energy a sample keeps silence from correlating with anything.
        product(part.samples, samples) / ((part.energy + 1.0) * (energy + length as f32)).sqrt()
    }
}

/// A part of a recording.
pub(super) struct Part<'a> {
    at: usize,
    samples: &'a [f32],
    energy: f32,
}

impl<'a> Part<'a> {
    /// The `length` samples from `at`, which must be there.
    pub(super) fn new(recording: &'a [f32], at: usize, length: usize) -> Self {
        let samples = &recording[at..at + length];
        Self { at, samples, energy: energy(samples) }
    }
}

/// The sum of products, in eight lanes that a processor can run side by side. All parts are multiples of eight long.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        lanes[0] += a[0] * b[0];
        lanes[1] += a[1] * b[1];
        lanes[2] += a[2] * b[2];
        lanes[3] += a[3] * b[3];
        lanes[4] += a[4] * b[4];
        lanes[5] += a[5] * b[5];
        lanes[6] += a[6] * b[6];
        lanes[7] += a[7] * b[7];
    }
    lanes.iter().sum()
}

/// The sound's lower half at half the rate: enough to find where a voice lies, for a quarter of the work.
pub(super) fn halved(samples: &[f32]) -> Vec<f32> {
    let mut before = 0.0;
    samples
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&[middle, after]| {
            let smooth = (before + 2.0 * middle + after) / 4.0;
            before = after;
            smooth
        })
        .collect()
}

/// The sum of squares.
pub(super) fn energy(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(length: usize) -> Vec<f32> {
        let mut rng = fastrand::Rng::with_seed(5);
        (0..length).map(|_| f32::from(rng.i16(-9_000..9_000))).collect()
    }

    #[test]
    fn sound_correlates_with_itself_whatever_its_level_and_with_nothing_else() {
        let recording = sound(1_600);
        let heard: Vec<f32> = std::iter::repeat_n(0.0, 77).chain(recording.iter().map(|sample| 0.3 * sample)).collect();
        let signal = Signal::new(heard);
        let part = Part::new(&recording, 320, 160);
        assert!(signal.correlation(&part, 77) > 0.999);
        for lag in [-320, 0, 76, 78, 400] {
            assert!(signal.correlation(&part, lag).abs() < 0.4, "{lag}");
        }
    }

    #[test]
    fn what_is_not_there_and_silence_correlate_with_nothing() {
        let recording = sound(320);
        let part = Part::new(&recording, 0, 160);
        let silence = Signal::new(vec![0.0; 1_000]);
        for lag in [-1, 0, 500, 841, isize::MAX] {
            assert!(silence.correlation(&part, lag).abs() < 1e-6, "{lag}");
        }
    }

    #[test]
    fn half_the_rate_keeps_what_is_low_and_loses_what_is_high() {
        let low: Vec<f32> = (0..800).map(|n| (n as f32 * 0.2).sin()).collect();
        let high: Vec<f32> = (0..800).map(|n| (n as f32 * 3.0).sin()).collect();
        assert!(energy(&halved(&low)) > 0.45 * energy(&low));
        assert!(energy(&halved(&high)) < 0.01 * energy(&high));
    }
}
