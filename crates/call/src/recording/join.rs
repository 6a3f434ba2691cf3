//! The pieces of a call's epochs as one file, and its waveform.

use serde::{Deserialize, Serialize};

use super::{MOMENT_BYTES, SEGMENT_BYTES, bytes_of};
use crate::audio::PHONE_RATE;
use crate::audio::mulaw::{self, SILENCE};
use crate::audio::wav::{Encoding, Header};

/// The longest file, in milliseconds: ten epochs of calls that Twilio ends after four hours. What lies beyond is left
/// out, because only a broken clock gets there.
const FILE_MS_MAX: u64 = 5 * 3_600_000;

/// Peaks of a waveform that a page can draw; longer calls get coarser ones.
const PEAKS_MAX: u64 = 30_000;

/// The grains a waveform may have, in milliseconds.
const STEPS_MS: [u32; 3] = [20, 50, 100];

/// The recorded segments of one epoch.
#[derive(Clone, Debug)]
pub struct Epoch<'a> {
    /// Milliseconds from the start of the call's first stream to the start of this one's.
    pub offset_ms: u64,
    /// Number and interleaved audio of each segment, in any order. A missing one is silence.
    pub segments: Vec<(u32, &'a [u8])>,
}

/// One call, to be listened to and looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// A stereo mu-law WAV file.
    pub wav: Vec<u8>,
    /// How loud it is.
    pub waveform: Waveform,
}

/// How loud both voices are: for each step the highest level, 0 for silence to 255 for the loudest possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waveform {
    /// The length of a step, in milliseconds.
    pub step_ms: u32,
    /// The caller's peaks.
    pub caller: Vec<u8>,
    /// The agent's peaks.
    pub agent: Vec<u8>,
}

/// Joins all epochs. Where two of them overlap, because an offset was taken by a wall clock, the later one is heard.
#[must_use]
pub fn join(epochs: &[Epoch<'_>]) -> Joined {
    let mut placed: Vec<(usize, &[u8])> = Vec::new();
    for epoch in epochs {
        let start = bytes_of(epoch.offset_ms.min(FILE_MS_MAX));
        for &(n, audio) in &epoch.segments {
            let at = (n as usize).saturating_mul(SEGMENT_BYTES).saturating_add(start);
            let whole = &audio[..audio.len().min(SEGMENT_BYTES) / MOMENT_BYTES * MOMENT_BYTES];
            if at.saturating_add(whole.len()) <= bytes_of(FILE_MS_MAX) {
                placed.push((at, whole));
            }
        }
    }
    let length = placed.iter().map(|(at, audio)| at + audio.len()).max().unwrap_or(0);
    let header = Header { encoding: Encoding::MuLaw, rate: PHONE_RATE, channels: 2 };
    let mut wav = header.with_data(length as u64);
    let head = wav.len();
    wav.resize(head + length, SILENCE);
    for (at, audio) in placed {
        wav[head + at..head + at + audio.len()].copy_from_slice(audio);
    }
    let waveform = waveform(&wav[head..]);
    Joined { wav, waveform }
}

fn waveform(stereo: &[u8]) -> Waveform {
    let ms = (stereo.len() / bytes_of(1)) as u64;
    let coarsest = STEPS_MS[STEPS_MS.len() - 1];
    let step_ms = STEPS_MS.into_iter().find(|&step| ms / u64::from(step) <= PEAKS_MAX).unwrap_or(coarsest);
    let mut waveform = Waveform { step_ms, caller: Vec::new(), agent: Vec::new() };
    for step in stereo.chunks(bytes_of(u64::from(step_ms))) {
        waveform.caller.push(peak(step.iter().step_by(MOMENT_BYTES)));
        waveform.agent.push(peak(step.iter().skip(1).step_by(MOMENT_BYTES)));
    }
    waveform
}

fn peak<'a>(codes: impl Iterator<Item = &'a u8>) -> u8 {
    let loudest = codes.map(|&code| mulaw::decode(code).unsigned_abs()).max().unwrap_or(0);
    u8::try_from(loudest >> 7).unwrap_or(u8::MAX)
}
