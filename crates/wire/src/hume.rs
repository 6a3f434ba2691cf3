//! Hume EVI, the speech-to-speech engine: its chat socket, its webhooks and its chat history.
//!
//! Both ends of the conversation use these types. Our client writes [`client`] messages and reads [`server`] messages;
//! the simulated EVI reads the former and writes the latter. What arrives from a server is read leniently: an unknown
//! `type` becomes [`server::ServerMessage::Unknown`], unknown fields are ignored, and `null` counts as absent. What
//! arrives from a client is read strictly, with the error code that EVI would answer.
//!
//! Left to others: when a message is sent, what follows from it, and everything about sockets, clocks and retries.

pub mod client;
pub mod connect;
pub mod error;
pub mod rest;
pub mod scores;
pub mod server;
pub mod session;
pub mod tool;
pub mod webhook;

/// The header that carries the API key: on the socket's handshake and on every REST request. (Hume: "Getting your API
/// keys")
pub const API_KEY_HEADER: &str = "X-Hume-Api-Key";

/// The largest message worth accepting from EVI, in bytes. A sentence of 2.3 s at 24 kHz was seen to take 149 kB; an
/// older Hume SDK allowed 2^24 bytes, and a limit below that would cut a long sentence at 48 kHz.
pub const MAX_SERVER_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The longest one chat socket may live, whatever the configuration says. (Hume: "Timeouts")
pub const MAX_CHAT_DURATION: std::time::Duration = std::time::Duration::from_secs(1800);
