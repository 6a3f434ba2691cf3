//! A WebSocket as a simulated engine sees it: what comes in, what goes out, how a handshake ends.
//!
//! Shared by both engines. The models speak only these words; who moves the bytes is the business of the servers, or of
//! a simulated network.

use std::time::Duration;

/// Names one connection of one simulated engine, in the order of their handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Binary(Vec<u8>),
}

/// What the engine does with its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Out {
    /// Sends a text frame.
    Text(String),
    /// Sends a binary frame; only ever a fault.
    Binary(Vec<u8>),
    /// Closes properly. Nothing follows.
    Close {
        /// The close code.
        code: u16,
        /// The reason's text.
        reason: String,
    },
    /// Is gone without a word: the client sees the connection break, 1006. Nothing follows.
    Drop,
}

/// A handshake that succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The new connection.
    pub session: SessionId,
    /// How long the answer takes; zero unless a fault says otherwise. Nothing may be sent to the client before. The
    /// session's own clock runs from then on.
    pub after: Duration,
}

/// A handshake that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Answered with this HTTP status.
    Status(u16),
    /// Never answered.
    Silence,
}

/// How a connection ended, as the engine knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The client closed or vanished.
    ByClient,
    /// The engine closed, with this code.
    Closed(u16),
    /// The engine vanished.
    Dropped,
}
