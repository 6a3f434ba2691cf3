//! Phone, engines and REST services, simulated: strict where the vendors are strict.
//!
//! Each simulator has two halves. The *model* is pure: messages and the current time go in, messages and the next
//! deadline come out, so that whole calls run in virtual time, by seed. The *server* puts the same model behind real
//! sockets, for `cargo run` and for the vendors' own SDKs. What a vendor does not document is a switch, never a habit
//! that our own code could come to lean on.

pub mod cartesia;
pub mod deepgram;
pub mod evi;
pub mod gemini;
pub mod groq;
pub mod line;
pub mod openai;
pub mod phone;
pub mod speech;
pub mod twilio;
pub mod world;
