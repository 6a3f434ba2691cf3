//! The REST services we call.
//!
//! [`Twilio`] places, changes and finds calls; [`Hume`] says whether its key is good and
//! what it remembers; [`Gemini`] judges transcripts. Bodies and their meaning are in
//! `wire`; here are addresses, credentials, deadlines and when to try again.
//!
//! Promises, for all of them: an answer or an error within a bounded time ([`transport`]); a request that is not safe
//! to repeat is sent once; redirects are not followed, because a credential must not travel to another host; plain HTTP
//! goes to this machine only; no error, log line or `Debug` shows a credential or an address.

mod base_url;
mod gemini;
mod hume;
pub mod transport;
mod twilio;

pub use base_url::{BaseUrl, BaseUrlError};
pub use gemini::{Gemini, GeminiError};
pub use hume::{ChatHistory, Hume, HumeAccess};
pub use transport::{NoAnswer, SetupError};
pub use twilio::{Account, ClientError, Credentials, Listing, Placed, Twilio};
