//! Twilio's dialect: webhooks, TwiML, request signatures, Media Streams and the REST bodies we use.
//!
//! Both sides of each conversation live here, since the simulated Twilio must read what we write and write what we
//! read. What Twilio sends is read leniently; what we send is written strictly and can be checked strictly
//! ([`stream::server`], [`twiml::read`]).
//!
//! Left to others: HTTP and WebSockets (`functions`, `media-node`, `clients`), what a mark or a status means for a
//! call (`call`), and what the simulated Twilio does next (`sim`).

pub mod form;
pub mod overrides;
pub mod rest;
pub mod sid;
pub mod signature;
pub mod stream;
pub mod time;
pub mod twiml;

pub use form::Form;
pub use overrides::ConnectionOverrides;
pub use sid::{AccountSid, CallSid, PhoneNumberSid, SidError, StreamSid};
