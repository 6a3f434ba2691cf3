//! The program as people start it: the built binary, over its own sockets, with everything simulated.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod calls;
mod harness;
mod refusals;
mod twilio;
