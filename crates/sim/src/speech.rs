//! Recorded speech, and an ear for it.
//!
//! The simulated caller and the simulated agents speak from a [`bank`] of recordings. The simulated engines listen
//! with a [`recogniser`]: it compares the audio that really arrived with what a caller can say, so that a transcript
//! is proof that sound went through, in order and undamaged. What an engine answers is decided by a small
//! [`assistant`]. [`alignment()`] is the strict form for tests: which frames arrived, how often, in which order.
//!
//! All of it is pure: no clock, no socket; the same input gives the same result. The recordings were made by
//! `speech/make.sh` from `speech/utterances.toml`: flite speaks English (`rms` calls, `slt` answers), espeak-ng
//! Spanish and German, and sox sets levels and rates.

pub mod alignment;
pub mod assistant;
mod babble;
pub mod bank;
mod interpolation;
mod matcher;
mod phrases;
pub mod recogniser;
mod recordings;
mod signal;
mod understanding;

pub use alignment::{Alignment, alignment};
pub use assistant::{Assistant, Heard, Reply, Speaker, ToolCall};
pub use bank::{Source, Speech, Spoken, UTTERANCES, Utterance, Who, Word, speak, speak_as, utterance};
pub use recogniser::{Event, Match, Outcome, Recogniser, Turn};
