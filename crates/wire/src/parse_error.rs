//! What is said of a server's message that could not be read.

/// A server message that could not be read. It does not repeat the message, which may hold what somebody said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or not an object with a `type`.
    #[error("not a JSON object with a type")]
    NotAMessage,
    /// A known event with a field missing or of the wrong type.
    #[error("malformed {kind} near column {column}")]
    Malformed {
        /// The event's `type`.
        kind: String,
        /// Where reading stopped, in bytes from the start of the line; 0 if not known.
        column: usize,
    },
}
