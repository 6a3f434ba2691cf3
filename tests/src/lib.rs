//! Whole calls: everything real but the vendors, in one process, on loopback sockets.
//!
//! A [`House`] is one installation: the embedded store, the control plane with its worker, media nodes each on a runtime
//! of its own (so that one can be killed in mid-call), a balancer in front of them, and simulated vendors: Twilio with
//! people on the phone, EVI, OpenAI Realtime, and the cascade's three. Nothing is reached past its socket: calls come in by signed webhooks and
//! are placed by the HTTP API, and what became of them is read there, with a token.
//!
//! What is judged: what the phone said against what the engine received ([`judge`]), what the phone heard against the
//! engine's voice converted offline ([`ear`]), and the record, journal, transcript and recording against both. Calls run
//! in real time.
//!
//! **Outside**: TLS, AWS itself, Lambda, machines that are slower than real time.

mod api;
mod balancer;
mod building;
mod cascade;
pub mod ear;
mod house;
pub mod judge;
mod media;
pub mod mortal;
pub mod people;
mod reading;

pub use api::Answer;
pub use building::API_TOKEN;
pub use cascade::{Cascade, CascadeOptions};
pub use house::{House, NUMBER, Options, QUICK_NUMBER, RECORDED_NUMBER};
