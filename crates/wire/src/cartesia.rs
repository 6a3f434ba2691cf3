//! Cartesia's streaming speech: text goes up, audio and the times of its words come down, over one WebSocket.
//!
//! Both ends use these types. Our client writes [`client`] messages and reads [`server`] messages; the simulated voice
//! does the opposite. What a server says is read leniently: an unknown `type` becomes
//! [`server::ServerMessage::Unknown`], unknown fields are ignored, and both shapes of an error are understood. What a
//! client says is read strictly.
//!
//! Speech is made in *contexts*: the inputs of one context are one utterance, spoken in order, their texts joined as
//! they are, spaces included. One context is one turn of the agent. A context whose text ends with `continue: false` ends
//! by itself; one that is left open expires a second after its last audio.

pub mod client;
pub mod connect;
pub mod error;
pub mod server;

/// A context that got no more text expires this long after the last of its audio was sent. (Cartesia: "Contexts")
pub const CONTEXT_EXPIRY: std::time::Duration = std::time::Duration::from_secs(1);

/// A socket over which nothing is said is closed after this long; there is no message that keeps it open. (Cartesia:
/// "Concurrency limits and timeouts")
pub const SOCKET_IDLE_MAX: std::time::Duration = std::time::Duration::from_secs(300);

/// The longest that text may wait for more of it, in milliseconds; without a choice it waits up to 3000. 0 means to
/// speak what there is. (Cartesia: "Buffering")
pub const BUFFER_DELAY_MS_MAX: u32 = 5000;

/// How long text waits for more of it when nothing was chosen, in milliseconds.
pub const BUFFER_DELAY_MS_DEFAULT: u32 = 3000;
