use super::super::wav;
use super::*;
use audioadapter_buffers::direct::InterleavedSlice;
use proptest::prelude::*;
use rubato::{Fft, FixedSync, Resampler as _};
use std::f64::consts::TAU;

/// 1.6 s of synthetic speech at EVI's rate.
const VOICE: &[u8] = include_bytes!("../../../tests/audio/voice-48k.wav");

const ENGINE_RATES: [u32; 8] = [11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

fn resampled(rate: u32, input: &[i16]) -> Vec<i16> {
    let mut resampler = Resampler::new(rate).unwrap();
    let mut output = Vec::new();
    resampler.push(input, &mut output);
    resampler.flush(&mut output);
    output
}

#[expect(clippy::cast_possible_truncation, reason = "16,000 at most")]
fn sine(rate: u32, hertz: f64, samples: usize) -> Vec<i16> {
    (0..samples).map(|n| (16_000.0 * (TAU * hertz * n as f64 / f64::from(rate)).sin()).round() as i16).collect()
}

fn rms(samples: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = samples.into_iter().fold((0.0, 0.0), |(sum, count), value| (sum + value * value, count + 1.0));
    (sum / count).sqrt()
}

/// What a sine of this frequency loses, in decibels, whatever frequency it comes out at.
fn response_db(rate: u32, hertz: f64) -> f64 {
    let output = resampled(rate, &sine(rate, hertz, rate as usize / 2));
    let steady = &output[400..output.len() - 400];
    20.0 * (rms(steady.iter().map(|&value| f64::from(value))) * 2.0_f64.sqrt() / 16_000.0).log10()
}

#[test]
fn telephone_speech_passes_unchanged() {
    for rate in ENGINE_RATES {
        for hertz in [60.0, 303.0, 997.0, 1_730.0, 2_500.0, 3_011.0, 3_200.0, 3_390.0] {
            let db = response_db(rate, hertz);
            assert!(db.abs() <= 0.1, "{rate} Hz: {db:.3} dB at {hertz} Hz");
        }
    }
}

#[test]
fn what_would_fold_back_is_60_db_down() {
    for rate in ENGINE_RATES {
        let highest = f64::from(rate) / 2.0 - 10.0;
        let mut hertz = 4_600.0;
        while hertz < highest {
            let db = response_db(rate, hertz);
            assert!(db <= -60.0, "{rate} Hz: {db:.1} dB at {hertz} Hz");
            hertz += 331.0;
        }
    }
}

#[test]
fn the_delay_is_within_3_ms_and_nothing_at_the_phones_own_rate() {
    for rate in ENGINE_RATES {
        let delay = Resampler::new(rate).unwrap().delay();
        assert!(delay <= Duration::from_millis(3) && delay >= Duration::from_millis(2), "{rate}: {delay:?}");
    }
    assert_eq!(Resampler::new(8_000).unwrap().delay(), Duration::ZERO);
}

#[test]
fn output_is_missing_by_the_delay_only_until_it_is_flushed() {
    for rate in ENGINE_RATES {
        let mut resampler = Resampler::new(rate).unwrap();
        let mut output = Vec::new();
        resampler.push(&vec![500; rate as usize], &mut output);
        let missing = Duration::from_secs_f64((8_000 - output.len()) as f64 / 8_000.0);
        assert!(missing <= resampler.delay() + Duration::from_micros(125), "{rate}: {missing:?}");
        resampler.flush(&mut output);
        assert_eq!(output.len(), 8_000, "{rate}");
    }
}

#[test]
fn sound_keeps_its_moment() {
    for rate in ENGINE_RATES {
        let mut input = vec![0; rate as usize / 10];
        // A click at exactly 50 ms.
        input[rate as usize / 20] = 20_000;
        let output = resampled(rate, &input);
        let loudest = (0..output.len()).max_by_key(|&n| output[n]).unwrap();
        assert!(loudest.abs_diff(400) <= 1, "{rate}: {loudest}");
    }
}

#[test]
fn a_constant_stays_constant_in_every_phase() {
    for rate in ENGINE_RATES {
        let output = resampled(rate, &vec![12_345; rate as usize / 10]);
        assert!(output[40..760].iter().all(|&value| value == 12_345), "{rate}");
    }
}

#[test]
fn full_scale_input_is_limited_and_never_wraps() {
    for rate in ENGINE_RATES {
        // Every sign pattern that a phase could like least: its own weights' signs.
        let filter = Filter::new(rate);
        for phase in (0..filter.phases).step_by(filter.phases.div_ceil(8)) {
            let weights = filter.weights(phase);
            let worst: Vec<i16> = weights.iter().map(|&weight| if weight < 0 { i16::MIN } else { i16::MAX }).collect();
            assert_eq!(weighted(weights, &worst), i16::MAX, "{rate}");
            let worst: Vec<i16> = weights.iter().map(|&weight| if weight < 0 { i16::MAX } else { i16::MIN }).collect();
            assert_eq!(weighted(weights, &worst), i16::MIN, "{rate}");
        }
    }
}

#[test]
fn the_weights_of_no_phase_can_overflow_the_sum() {
    for rate in RATES.filter(|rate| rate % 1_000 == 0 || rate % 11_025 == 0) {
        let filter = Filter::new(rate);
        for phase in 0..filter.phases {
            let absolute: i32 = filter.weights(phase).iter().map(|&weight| i32::from(weight).abs()).sum();
            assert!(absolute < 4 * ONE, "{rate}, phase {phase}: {absolute}");
        }
    }
}

#[test]
fn the_phones_own_rate_passes_through_untouched() {
    let input: Vec<i16> = (0..1_000).map(|n| (n * 31 % 30_011) as i16).collect();
    assert_eq!(resampled(8_000, &input), input);
}

#[test]
fn rates_that_no_engine_uses_are_refused() {
    for rate in [0, 1, 7_975, 8_001, 22_051, 192_025, u32::MAX] {
        assert_eq!(Resampler::new(rate).unwrap_err(), UnsupportedRate(rate));
    }
    assert!(Resampler::new(192_000).is_ok());
    assert!(Resampler::new(8_025).is_ok());
}

#[test]
fn a_flushed_resampler_begins_anew() {
    let voice = wav::read(VOICE).unwrap();
    let mut resampler = Resampler::new(voice.rate).unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    resampler.push(&voice.samples, &mut first);
    resampler.flush(&mut first);
    resampler.push(&voice.samples, &mut second);
    resampler.flush(&mut second);
    assert_eq!(first, second);
    let mut nothing = Vec::new();
    resampler.flush(&mut nothing);
    assert!(nothing.is_empty());
}

/// The measure: speech resampled in pieces differs from the same speech resampled offline, in one go, by an
/// unrelated implementation (FFT, 140 dB stop band), by less than 1/50 of its level. What differs is the slope
/// between 3.4 and 4 kHz, where the two filters fall at different places.
#[test]
fn streamed_speech_equals_offline_speech() {
    let voice = wav::read(VOICE).unwrap();
    let mut resampler = Resampler::new(voice.rate).unwrap();
    let mut streamed = Vec::new();
    for piece in voice.samples.chunks(997) {
        resampler.push(piece, &mut streamed);
    }
    resampler.flush(&mut streamed);

    let input: Vec<f64> = voice.samples.iter().map(|&sample| f64::from(sample)).collect();
    let mut fft =
        Fft::<f64>::new_custom(48_000, 8_000, 4_800, 1, 1, rubato::WindowFunction::BlackmanHarris2, FixedSync::Both)
            .unwrap();
    let adapter = InterleavedSlice::new(&input, 1, input.len()).unwrap();
    let offline = fft.process_all(&adapter, input.len(), None).unwrap().take_data();

    let shared = streamed.len().min(offline.len());
    assert!(streamed.len().abs_diff(offline.len()) <= 1);
    let level = rms(offline[..shared].iter().copied());
    let difference = rms(streamed.iter().zip(&offline).map(|(&ours, theirs)| f64::from(ours) - theirs));
    let db = 20.0 * (difference / level).log10();
    assert!(db < -34.0, "{db:.1} dB");
}

proptest! {
    #[test]
    fn any_split_of_the_input_gives_the_same_output(
        rate in prop::sample::select(vec![8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 8_025]),
        cuts in prop::collection::vec(0_usize..900, 1..40),
        start in 0_usize..40_000,
    ) {
        let voice = wav::read(VOICE).unwrap().samples;
        let input = &voice[start..start + 20_000];
        let whole = resampled(rate, input);
        let mut resampler = Resampler::new(rate).unwrap();
        let mut output = Vec::new();
        let mut rest = input;
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            resampler.push(piece, &mut output);
            rest = after;
        }
        resampler.push(rest, &mut output);
        resampler.flush(&mut output);
        prop_assert_eq!(output, whole);
    }
}
