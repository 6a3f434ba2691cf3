//! What was said on the wires of a call, word for word, for judges that know the vendors' dialects better than we do.

use call::agent::EngineKind;

/// One message, as it was sent or as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overheard {
    /// Where.
    pub wire: Wire,
    /// The text frame; for a handshake, its path and query.
    pub text: String,
}

/// Between whom, and in which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// From the phone to the call.
    FromPhone,
    /// From the call to the phone.
    ToPhone,
    /// A link being opened.
    Handshake(EngineKind),
    /// From the call to an engine.
    ToEngine(EngineKind),
    /// From an engine to the call.
    FromEngine(EngineKind),
}
