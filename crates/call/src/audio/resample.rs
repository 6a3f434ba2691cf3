//! From an engine's sample rate to the phone's 8 kHz, piece by piece.
//!
//! A polyphase filter: for each output sample, the input around its moment is weighted with a low-pass (a sinc under
//! a Kaiser window). The response is flat to 3.4 kHz, where telephone speech ends, and at least 60 dB down from
//! 4.6 kHz; what lies between 4 and 4.6 kHz folds to above 3.4 kHz. The filter looks [`Resampler::delay`] ahead,
//! 2.9 ms, and that is all the delay there is: output sample *n* is the input at *n*/8000 s, exactly.
//!
//! Why our own: the measured alternatives either delay by 10 ms and more, or let through what folds back, or lose the
//! band above 3 kHz. Samples stay 16-bit integers and sums are integers, so every split of the same input gives the
//! same output, on every machine.
//!
//! One `Resampler` serves one turn: its state runs through all chunks of the turn, so chunk borders are not heard.

use super::PHONE_RATE;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use thiserror::Error;

/// The sample rates that can be converted, in hertz.
pub const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Rates must be a multiple of this. Every rate in use is, and it bounds a filter to 320 phases.
pub const RATE_STEP: u32 = 25;

/// Half the filter's length. Longer is steeper; this much is what the delay budget of 3 ms leaves.
const HALF_LENGTH: f64 = 0.0029;

/// Where the response is half: the middle of the fall from 3.4 kHz, which reaches -60 dB near 4.06 kHz.
const CUTOFF: f64 = 3_730.0;

/// The Kaiser window's shape, for 65 dB.
const BETA: f64 = 6.2;

/// Fixed point of the weights. The absolute weights of a phase add up to a little more than 2.0, so with 14 bits an
/// `i32` holds the sum of products with any 16-bit input; rounding them leaves a floor near -70 dB.
const ONE: i32 = 1 << 14;

/// A sample rate that cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("resample from {0} Hz: a multiple of 25 Hz from 8000 to 192000 is needed")]
pub struct UnsupportedRate(pub u32);

/// Converts one stream of samples to 8 kHz.
#[derive(Debug, Clone)]
pub struct Resampler {
    rate: u32,
    /// `None` at 8 kHz: nothing is to be done.
    filter: Option<Arc<Filter>>,
    /// Input from the oldest sample that the next output needs. Shorter than a filter between two calls.
    window: Vec<i16>,
    /// The next output's phase: how far it lies behind the sample at the window's middle, in steps of 1/phases.
    phase: usize,
    /// Samples that are still owed: the output is as long as the input, to the nearest sample upward.
    owed: Owed,
}

#[derive(Debug, Clone, Copy, Default)]
struct Owed {
    input: u64,
    output: u64,
}

impl Resampler {
    /// A resampler at the beginning of a stream. Cheap for usual rates: their filters are made once a process
    /// (16 kHz 0.02 ms, 48 kHz 0.05 ms, 22.05 kHz 2 ms) and shared by all calls.
    ///
    /// # Errors
    /// If the rate is out of range or no multiple of 25 Hz.
    pub fn new(rate: u32) -> Result<Self, UnsupportedRate> {
        if !RATES.contains(&rate) || !rate.is_multiple_of(RATE_STEP) {
            return Err(UnsupportedRate(rate));
        }
        let filter = (rate != PHONE_RATE).then(|| Filter::shared(rate));
        let mut resampler = Self { rate, filter, window: Vec::new(), phase: 0, owed: Owed::default() };
        resampler.reset();
        Ok(resampler)
    }

    /// The input's rate in hertz.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// How far the filter looks ahead: an output sample appears when this much more input has arrived.
    #[must_use]
    pub fn delay(&self) -> Duration {
        match &self.filter {
            None => Duration::ZERO,
            Some(filter) => Duration::from_secs_f64(filter.half() as f64 / f64::from(self.rate)),
        }
    }

    /// Takes a piece of any length and appends all output that it completes.
    pub fn push(&mut self, input: &[i16], output: &mut Vec<i16>) {
        let Some(filter) = self.filter.clone() else {
            output.extend_from_slice(input);
            return;
        };
        self.owed.input += input.len() as u64;
        self.window.extend_from_slice(input);
        self.run(&filter, output);
    }

    /// Appends what the filter still holds, and begins anew. Over a whole stream, the output is as long as the input.
    pub fn flush(&mut self, output: &mut Vec<i16>) {
        let Some(filter) = self.filter.clone() else { return };
        let total = (self.owed.input * u64::from(PHONE_RATE)).div_ceil(u64::from(self.rate));
        let missing = usize::try_from(total - self.owed.output).unwrap_or(0);
        let end = output.len() + missing;
        self.window.extend(std::iter::repeat_n(0, filter.taps + filter.advance));
        self.run(&filter, output);
        output.truncate(end);
        self.reset();
    }

    /// Forgets the stream: the next input is a beginning.
    pub fn reset(&mut self) {
        self.phase = 0;
        self.owed = Owed::default();
        self.window.clear();
        if let Some(filter) = &self.filter {
            // Before the beginning was silence.
            self.window.resize(filter.half() - 1, 0);
        }
    }

    fn run(&mut self, filter: &Filter, output: &mut Vec<i16>) {
        let mut start = 0;
        while let Some(window) = self.window.get(start..start + filter.taps) {
            output.push(weighted(filter.weights(self.phase), window));
            self.owed.output += 1;
            self.phase += filter.phase_step;
            start += filter.advance;
            if self.phase >= filter.phases {
                self.phase -= filter.phases;
                start += 1;
            }
        }
        // A step is a 46th of the filter's length, so the next window begins within what is here.
        self.window.drain(..start);
    }
}

/// The weights for one input rate.
#[derive(Debug)]
struct Filter {
    /// How many different positions an output can have between two inputs.
    phases: usize,
    /// Weights a phase; even.
    taps: usize,
    /// Whole input samples from one output to the next, and the part that is left, in phases.
    advance: usize,
    phase_step: usize,
    weights: Vec<i16>,
}

impl Filter {
    /// The filter of a usual rate is made once; that of any other belongs to the resampler that asked.
    fn shared(rate: u32) -> Arc<Self> {
        static USUAL: [(u32, OnceLock<Arc<Filter>>); 6] = [
            (16_000, OnceLock::new()),
            (22_050, OnceLock::new()),
            (24_000, OnceLock::new()),
            (32_000, OnceLock::new()),
            (44_100, OnceLock::new()),
            (48_000, OnceLock::new()),
        ];
        match USUAL.iter().find(|(usual, _)| *usual == rate) {
            Some((_, filter)) => Arc::clone(filter.get_or_init(|| Arc::new(Self::new(rate)))),
            None => Arc::new(Self::new(rate)),
        }
    }

    fn new(rate: u32) -> Self {
        let common = greatest_common_divisor(rate, PHONE_RATE);
        let phases = (PHONE_RATE / common) as usize;
        let step = (rate / common) as usize;
        let half = half_taps(rate);
        let taps = 2 * half;
        let mut weights = Vec::with_capacity(phases * taps);
        let mut exact = vec![0.0; taps];
        for phase in 0..phases {
            let behind = phase as f64 / phases as f64;
            for (tap, weight) in exact.iter_mut().enumerate() {
                let distance = (tap as f64 - (half - 1) as f64 - behind) / f64::from(rate);
                *weight = low_pass(distance) / f64::from(rate);
            }
            weights.extend(fixed_point(&exact));
        }
        Self { phases, taps, advance: step / phases, phase_step: step % phases, weights }
    }

    fn half(&self) -> usize {
        self.taps / 2
    }

    fn weights(&self, phase: usize) -> &[i16] {
        &self.weights[phase * self.taps..][..self.taps]
    }
}

/// Samples on either side of an output's moment. Rounded down, so that the delay stays within its budget; an even
/// number, so that sums run in pairs.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 192,000 × 0.0029 = 556, positive")]
fn half_taps(rate: u32) -> usize {
    (f64::from(rate) * HALF_LENGTH) as usize & !1
}

fn weighted(weights: &[i16], window: &[i16]) -> i16 {
    // Products and sums of 16-bit integers in 32 bits: compilers turn this loop into multiply-add instructions.
    let sum: i32 = weights
        .iter()
        .zip(window)
        .map(|(&weight, &sample)| i32::from(weight) * i32::from(sample))
        .fold(0, i32::wrapping_add);
    let rounded = sum.saturating_add(ONE / 2) >> ONE.trailing_zeros();
    i16::try_from(rounded).unwrap_or(if rounded < 0 { i16::MIN } else { i16::MAX })
}

/// The low-pass's impulse response at `distance` seconds from its middle.
fn low_pass(distance: f64) -> f64 {
    let position = distance / HALF_LENGTH;
    if position.abs() >= 1.0 {
        return 0.0;
    }
    let window = bessel_i0(BETA * (1.0 - position * position).sqrt()) / bessel_i0(BETA);
    let angle = 2.0 * std::f64::consts::PI * CUTOFF * distance;
    let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
    2.0 * CUTOFF * sinc * window
}

/// Rounds weights so that they add up to exactly one: a constant input stays constant in every phase, else the
/// phases' differences would be heard as a whistle.
fn fixed_point(exact: &[f64]) -> Vec<i16> {
    let sum: f64 = exact.iter().sum();
    let mut rounded: Vec<i16> = exact.iter().map(|weight| to_weight(weight / sum * f64::from(ONE))).collect();
    let missing = ONE - rounded.iter().map(|&weight| i32::from(weight)).sum::<i32>();
    // Spread over the middle, one step each: no single weight is off by more than its rounding.
    let count = usize::try_from(missing.unsigned_abs()).unwrap_or(0).min(rounded.len());
    let first = (rounded.len() - count) / 2;
    for weight in &mut rounded[first..first + count] {
        *weight += if missing < 0 { -1 } else { 1 };
    }
    rounded
}

#[expect(clippy::cast_possible_truncation, reason = "a weight is at most the share of one sample: below 0.95 × 2^14")]
fn to_weight(value: f64) -> i16 {
    value.round() as i16
}

/// The modified Bessel function of the first kind and order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-12 {
        term *= quarter / (n * n);
        sum += term;
        n += 1.0;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests;
