//! The caller's audio as EVI takes it: bytes in a declared format, made into 8 kHz samples for the recogniser.
//!
//! EVI's clock for the caller is the audio itself: a time is how much has been received, whatever the wall says. A wrong
//! declaration is not refused by the service; what comes of it is distorted speech, or a failed transcription where the
//! bytes cannot be speech at all. The one case worth telling apart is mu-law sent as linear16: it is the classic
//! mistake behind a telephone, and sounds like loud noise.

use std::time::Duration;

use wire::hume::session::AudioConfiguration;

/// The recogniser's rate.
const EAR_RATE: u32 = 8_000;

/// Audio longer than this in one message is a file, not a stream.
const FILE_FROM: Duration = Duration::from_secs(10);

/// Samples that are looked at together for the suspicion of mu-law: half a second at 8 kHz.
const WINDOW: usize = 4_000;

/// The input side of one chat.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input {
    format: Option<AudioConfiguration>,
    /// Bytes that do not yet make a frame of all channels.
    rest: Vec<u8>,
    /// Samples received at the declared rate, in the format's own count.
    taken: u64,
    /// Time received in earlier formats.
    before: Duration,
    /// Sum and number of samples that make the next one at 8 kHz.
    sum: i64,
    count: i64,
    /// Position between two samples at 8 kHz, in units of the declared rate.
    phase: u32,
    suspicion: Suspicion,
}

/// Why audio cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// No format was declared.
    NoSettings,
    /// The declared format is none that speech has.
    Implausible,
    /// It is mu-law.
    MuLaw,
    /// It is a whole file.
    File,
}

impl Input {
    /// Declares the format. The same one again changes nothing.
    pub(crate) fn declare(&mut self, format: &AudioConfiguration) {
        if self.format.as_ref() != Some(format) {
            *self = Self { before: self.position(), format: Some(format.clone()), ..Self::default() };
        }
    }

    /// How much audio has been received.
    pub(crate) fn position(&self) -> Duration {
        let rate = self.format.as_ref().map_or(EAR_RATE, |format| format.sample_rate.max(1));
        self.before + Duration::from_nanos(self.taken.saturating_mul(1_000_000_000) / u64::from(rate))
    }

    /// Takes bytes, and gives what they make at 8 kHz.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<i16>, Unusable> {
        let Some(format) = &self.format else {
            return Err(Unusable::NoSettings);
        };
        let (rate, channels) = (format.sample_rate, usize::from(format.channels));
        if !(4_000..=96_000).contains(&rate) || !(1..=2).contains(&channels) {
            return Err(Unusable::Implausible);
        }
        let frame_bytes = channels * 2;
        if bytes.len() as u128 > FILE_FROM.as_millis() * u128::from(rate) * frame_bytes as u128 / 1_000 {
            return Err(Unusable::File);
        }
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() - self.rest.len() % frame_bytes;
        let frames: Vec<u8> = self.rest.drain(..whole).collect();
        let mut heard = Vec::with_capacity(frames.len() / frame_bytes);
        for frame in frames.chunks_exact(frame_bytes) {
            let sum: i64 = frame.chunks_exact(2).map(|pair| i64::from(i16::from_le_bytes([pair[0], pair[1]]))).sum();
            let sample = sum / channels as i64;
            self.taken += 1;
            if self.suspicion.confirmed_by(sample) {
                return Err(Unusable::MuLaw);
            }
            self.sum += sample;
            self.count += 1;
            self.phase += EAR_RATE;
            while self.phase >= rate {
                self.phase -= rate;
                let mean = if self.count > 0 { self.sum / self.count } else { sample };
                // A mean of 16-bit samples has 16 bits.
                heard.push(i16::try_from(mean).unwrap_or_default());
                (self.sum, self.count) = (0, 0);
            }
        }
        Ok(heard)
    }
}

/// Watches for mu-law read as linear16. Speech is smooth: neighbours are alike, and its level leaves headroom. Two mu-law
/// codes read as one sample jump by half the range each time, and mu-law silence is an endless row of -1.
#[derive(Debug, Clone, Copy, Default)]
struct Suspicion {
    seen: usize,
    previous: i64,
    magnitude: i64,
    change: i64,
    minus_ones: usize,
}

impl Suspicion {
    fn confirmed_by(&mut self, sample: i64) -> bool {
        self.magnitude += sample.abs();
        self.change += (sample - self.previous).abs();
        self.minus_ones += usize::from(sample == -1);
        self.previous = sample;
        self.seen += 1;
        if self.seen < WINDOW {
            return false;
        }
        // Recorded speech stays below a mean of 5,300; read wrongly, the same recordings are above 11,000 and change
        // from sample to sample by more than 0.4 of their level.
        let loud = self.magnitude > 9_000 * WINDOW as i64;
        let rough = self.change * 100 > self.magnitude * 38;
        let confirmed = (loud && rough) || self.minus_ones == WINDOW;
        *self = Self { previous: sample, ..Self::default() };
        confirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(rate: u32, channels: u16) -> Input {
        let mut input = Input::default();
        input.declare(&AudioConfiguration { sample_rate: rate, channels, ..AudioConfiguration::telephone() });
        input
    }

    fn bytes(samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
        samples.into_iter().flat_map(i16::to_le_bytes).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "a sine of amplitude 8000 fits")]
    fn tone(rate: u32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| (8_000.0 * (n as f64 * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin()) as i16)
            .collect()
    }

    #[test]
    fn telephone_audio_passes_unchanged_however_it_is_cut() {
        let samples = tone(8_000, 500);
        let mut input = input(8_000, 1);
        let heard: Vec<i16> = bytes(samples.clone()).chunks(33).flat_map(|part| input.take(part).unwrap()).collect();
        assert_eq!(heard, samples);
        assert_eq!(input.position(), Duration::from_micros(62_500));
    }

    #[test]
    fn other_rates_and_stereo_become_8_khz_mono() {
        let mut high = input(48_000, 1);
        assert_eq!(high.take(&bytes(tone(48_000, 4_800))).unwrap().len(), 800);
        let mut odd = input(44_100, 1);
        assert_eq!(odd.take(&bytes(tone(44_100, 44_100))).unwrap().len(), 8_000);
        let mut stereo = input(8_000, 2);
        assert_eq!(stereo.take(&bytes([100, 300, -10, 10])).unwrap(), [200, 0]);
    }

    #[test]
    fn mu_law_sent_as_linear_is_noticed_within_a_second_of_speech_or_silence() {
        let caller = crate::speech::UTTERANCES.iter().filter(|utterance| utterance.who == crate::speech::Who::Caller);
        for utterance in caller.filter(|utterance| utterance.duration() > Duration::from_millis(1_100)) {
            assert_eq!(input(8_000, 1).take(&utterance.mulaw()), Err(Unusable::MuLaw), "{}", utterance.id);
        }
        assert_eq!(input(8_000, 1).take(&[0xFF; 8_000]), Err(Unusable::MuLaw));
    }

    #[test]
    fn real_speech_loud_tones_and_silence_are_not_suspected() {
        let loud: Vec<i16> = tone(8_000, 20_000).iter().map(|sample| sample * 4).collect();
        assert!(input(8_000, 1).take(&bytes(loud)).is_ok());
        assert!(input(8_000, 1).take(&[0; 16_000]).is_ok());
        for utterance in crate::speech::UTTERANCES {
            assert!(input(8_000, 1).take(&bytes(utterance.pcm(8_000).iter().copied())).is_ok(), "{}", utterance.id);
        }
    }

    #[test]
    fn undeclared_implausible_and_whole_files_are_unusable() {
        assert_eq!(Input::default().take(&[0; 320]), Err(Unusable::NoSettings));
        assert_eq!(input(80, 1).take(&[0; 2]), Err(Unusable::Implausible));
        assert_eq!(input(8_000, 0).take(&[0; 2]), Err(Unusable::Implausible));
        assert_eq!(input(8_000, 1).take(&vec![0; 161_000]), Err(Unusable::File));
    }
}
