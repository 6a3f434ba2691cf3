//! The control plane: what Twilio, Hume, people and the clock ask of us, and what we answer.
//!
//! Each capability is a router over its own state, and a Lambda of about twenty lines wraps it; the program for one
//! machine mounts the same routers ([`all`]). No request holds anything that the next one needs: what lasts is in the
//! store, what happens now is at a media node, and the two never import each other's code.
//!
//! ```text
//! voice      /twilio/voice  /twilio/voice/next       opens calls, says what comes next
//! fallback   /twilio/voice/fallback                  one honest sentence; needs nothing
//! status     /twilio/status /twilio/stream /hume/…   what became of calls
//! api        /v1/…  /openapi.json                    people and their programs
//! dashboard  /  /assets/…                            people and their browsers, over the API
//! worker     (no route)                              what is to be done after a change
//! ```
//!
//! What every request needs stands at the door and cannot be forgotten: a handler gets a callback only as
//! [`door::Signed`], and the API's state only as [`door::Api`], and neither can be had in another way. A refusal is a
//! [`Problem`], becomes a status in one place, and is logged there, once.

pub mod agents;
mod analytics;
pub mod calls;
pub mod catalog;
pub mod config;
mod connect;
pub mod counters;
mod dashboard;
pub mod door;
mod export;
pub mod fallback;
mod filters;
pub mod guard;
mod held;
pub mod hume;
pub mod judge;
pub mod lambda;
mod latency;
pub mod live;
pub mod nodes;
pub mod openapi;
mod outcome;
mod parts;
pub mod place;
mod problem;
mod public_url;
pub mod routes;
mod sentence;
mod services;
mod session;
mod shown;
pub mod state;
pub mod status;
mod steer;
mod transcript;
pub mod voice;
pub mod wake;
pub mod webhook;
pub mod worker;

mod next;

pub use problem::Problem;
pub use public_url::{PublicUrl, PublicUrlError};
pub use routes::{All, all};
pub use services::{Service, ServiceState};
