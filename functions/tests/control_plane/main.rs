//! The control plane as the world meets it: through its routers, on an emulated store, with a node and a Twilio of a few
//! lines each that remember what they were asked and misbehave when told to.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod agents;
mod dashboard;
mod door;
mod endings;
mod finding;
mod histories;
mod log;
mod next;
mod outcomes;
mod placing;
mod reading;
mod services;
mod telling;
mod voice;
mod worker;
mod world;
