//! Bytes to types and back, for every vendor dialect this product speaks.
//!
//! Reading is lenient: unknown keys and values are kept or ignored, never an error, because vendors add them at any
//! time. Writing is strict: exactly the documented keys, because Twilio reports an extra key as a fault. Where a
//! simulator stands in for a vendor, it uses the strict readers that live beside the lenient ones.
//!
//! Nothing here opens a socket, reads a clock or draws randomness, and no input makes anything here panic. What a
//! message *means* for a call is decided in the `call` crate.

mod base_url;
mod faithful;
mod lenient;
mod parse_error;
mod secret_header;
mod verdict;

pub mod cartesia;
pub mod deepgram;
pub mod groq;
pub mod hume;
pub mod openai;
pub mod pii;
pub mod signed;
pub mod standard_webhooks;
pub mod token;
pub mod twilio;

pub use base_url::BaseUrlError;
pub use parse_error::ParseError;
pub use secret_header::SecretHeader;
pub use verdict::Verdict;
