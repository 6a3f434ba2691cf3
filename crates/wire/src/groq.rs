//! Groq's chat completions, streamed, with tools: one request over HTTP for each reply.
//!
//! Both ends use these types. Our client writes a [`request`], reads the answer's bytes with [`sse`], its events as
//! [`stream`] events, and gathers them into a [`reply`]; the simulated model does the opposite. What the server says is
//! read leniently; a request is read strictly, with the error that the server would answer.
//!
//! To stop a reply is to drop the connection. Retrying, and what a call does meanwhile, is left to others.

pub mod connect;
pub mod error;
pub mod reply;
pub mod request;
pub mod sse;
pub mod stream;
