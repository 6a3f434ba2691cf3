//! Sound as numbers: everything between an engine's voice and the phone's 20 ms frames.
//!
//! The phone speaks one format, G.711 mu-law at 8 kHz in 160-byte frames. Engines speak others: WAV files of any
//! rate, bare linear samples. These modules convert ([`wav`], [`resample`], [`mulaw`]), cut into frames
//! ([`Framer`]), and hold the two sounds we make ourselves: the bundled [`lines`] and the comfort [`tone`].
//!
//! Promises: what goes in comes out once, in order, at the same pace; no state is lost between chunks, so chunk
//! borders cannot be heard; bad input is an error with a reason. When to play, and to whom, is left to the machine.

mod framer;
pub mod lines;
pub mod mulaw;
pub mod resample;
pub mod tone;
pub mod wav;

pub use framer::Framer;

use std::time::Duration;

/// The phone's sample rate in hertz (Twilio: voice/media-streams/websocket-messages, `mediaFormat.sampleRate`).
pub const PHONE_RATE: u32 = 8_000;

/// Bytes of mu-law in one frame: one byte a sample, 20 ms.
pub const FRAME_BYTES: usize = 160;

/// How long one frame plays.
pub const FRAME_DURATION: Duration = Duration::from_millis(20);

/// One 20 ms frame of mu-law at 8 kHz, as it goes to the phone.
pub type Frame = [u8; FRAME_BYTES];

/// A frame in which nothing is heard.
pub const SILENT_FRAME: Frame = [mulaw::SILENCE; FRAME_BYTES];

/// How long `samples` samples (or bytes of mu-law) at the phone's rate play.
#[must_use]
pub fn phone_duration(samples: usize) -> Duration {
    Duration::from_micros(samples as u64 * 125)
}
