//! The clients against services that misbehave, on ports of their own.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod gemini;
mod hume;
mod service;
mod twilio;
