//! The bodies of Twilio's REST interface that we use: placing, changing, reading and listing calls, and the numbers an
//! account owns.
//!
//! Requests are forms with keys in `PascalCase`, answers are JSON in `snake_case` whose numbers are often strings
//! (Twilio: usage/api). Every type serves both ends: our client writes requests and reads answers, the simulated Twilio
//! does the opposite. Answers are read leniently: what is absent, null or of an odd form is no value.
//!
//! Left to others: addresses, credentials, paging through a list, and when to try again (`clients`).

mod call;
mod error;
mod lenient;
mod number;
mod request;

pub use self::call::{CallPage, CallResource};
pub use self::error::{RestError, code};
pub use self::number::{IncomingPhoneNumber, IncomingPhoneNumberPage, UpdateIncomingPhoneNumber};
pub use self::request::{Answer, CallChange, CallEvent, CreateCall, ListCalls, UpdateCall};

/// The version in every path.
pub const API_VERSION: &str = "2010-04-01";
