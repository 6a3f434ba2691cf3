//! The node over real sockets: a phone of a few lines on one side, an EVI of a few lines on the other, the embedded store
//! behind. What a call decides is tested with the machine; here it is what the shell promises.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod control;
mod evi;
mod log;
mod record;
mod stream;
mod support;
mod tools;
