//! Deepgram Flux, the recogniser that also tells when a turn is over: its `/v2/listen` socket.
//!
//! Both ends use these types. Our client sends audio as binary frames and [`client`] messages as text, and reads
//! [`server`] messages; the simulated recogniser does the opposite. What a server says is read leniently: an unknown
//! `type` becomes [`server::ServerMessage::Unknown`], unknown fields are ignored, a field of unexpected shape that no
//! call depends on is left out. What a client says, its query included, is read strictly.
//!
//! Flux has no keep-alive message: audio itself keeps the socket open, so gaps are filled with silence (mu-law `0xFF`).
//! The older `/v1/listen` (Nova) is not spoken here; it knows silence, not turns.

pub mod client;
pub mod connect;
pub mod error;
pub mod server;

/// The vendor strongly recommends audio in pieces of this length. (Deepgram: "Flux quickstart")
pub const FRAME_DURATION: std::time::Duration = std::time::Duration::from_millis(80);

/// [`FRAME_DURATION`] of telephone audio: mu-law at 8 kHz. An empty frame closes the stream, and is never sent.
/// (Deepgram: "Troubleshooting WebSocket, NET, and DATA errors")
pub const FRAME_BYTES: usize = 640;

/// While audio arrives, an `Update` is due this often unless something else is said. (Deepgram: "Flux state machine")
pub const UPDATE_INTERVAL: std::time::Duration = std::time::Duration::from_millis(250);
