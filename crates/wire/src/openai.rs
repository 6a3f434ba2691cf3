//! `OpenAI` Realtime (the generally available dialect) over a WebSocket, as far as a phone call needs it.
//!
//! Both ends use these types. Our client writes [`client`] messages and reads [`server`] messages; the simulated
//! engine reads the former and writes the latter. Server messages are read leniently: an unknown `type` becomes
//! [`server::ServerEvent::Unknown`], unknown fields are ignored, a field of unexpected shape that no call depends on is
//! left out. Client messages are read strictly, with the `error` that the vendor's server would send.
//!
//! The beta dialect (`OpenAI-Beta: realtime=v1`, `response.audio.delta`) is not spoken here, and neither is GPT-Live.

mod audio;
pub mod client;
pub mod connect;
pub mod effective;
pub mod error;
pub mod item;
pub mod response;
pub mod server;
pub mod session;
mod strict;

pub use crate::base_url::BaseUrlError;

/// The most audio one `input_audio_buffer.append` may carry, in bytes. (`OpenAI`: Realtime client events,
/// `input_audio_buffer.append`)
pub const MAX_APPEND_BYTES: usize = 15 * 1024 * 1024;

/// The longest a session may live; the socket is then closed with code 1001.
pub const MAX_SESSION_DURATION: std::time::Duration = std::time::Duration::from_secs(3600);
