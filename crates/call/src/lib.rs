//! One phone call as a state machine.
//!
//! [`Call`] takes what happened and the current time ([`Input`]), and says what is to be done ([`Output`]), one thing
//! at a time and in order. It opens no socket, reads no clock, awaits nothing. Everything that is a *rule* of a phone
//! call lives here: when audio is sent and what of it was heard, what an interruption cuts off, when an engine is
//! dialled again, when the caller hears a bundled line, when the call ends and what happens next.
//!
//! Around it stands a shell (the media node, or a simulated world in tests) that opens what it is told to open, sends
//! what it is told to send, and decides nothing.
//!
//! ```text
//!            Input                                     Output
//!   phone events   ──┐                           ┌──> messages to the phone
//!   link events    ──┤   handle(now, input)      ├──> open, send, close a link
//!   commands, wake ──┴──>     Call     ──poll()──┼──> journal entries, recorded audio
//!   tool answers                                 ├──> the next step
//!                                                └──> Wait(deadline) | Finished
//! ```

pub mod agent;
pub mod audio;
pub mod breaker;
mod engine;
pub mod history;
pub mod id;
pub mod io;
pub mod journal;
pub mod latency;
pub mod limits;
mod machine;
pub mod outcome;
mod playout;
pub mod prepare;
mod recent;
pub mod recording;
pub mod resume;
pub mod setup;
mod timer;
mod turn;
mod upward;
mod words;

pub use id::CallId;
pub use io::{Command, Input, LinkEvent, LinkId, LinkRequest, Output, PhoneEvent, Recorded, ToolRequest};
pub use machine::Call;
pub use setup::{ChatRef, Setup};
