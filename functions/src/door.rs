//! What every request passes before it is anybody's: who sent it, whether it is too much, what it is called in the log.
//!
//! | extractor | proves |
//! |---|---|
//! | [`Signed`] | Twilio sent it, to our public address |
//! | [`Api`] | a person or program with this role sent it, within the token's limit; the only way to the API's state |
//! | [`Content`] | the body is JSON of the right shape and size |
//! | [`Query`] | the query has only parameters that mean something here |

mod api;
mod body;
mod limits;
mod once;
mod outermost;
mod people;
mod signed;

pub use api::{Admin, Api, Operator, Viewer};
pub(crate) use api::{SESSION_COOKIE, bearer, unauthorised};
pub use body::{Content, Query, read_bytes};
pub use limits::{Limits, Quotas};
pub(crate) use once::Once;
pub use outermost::finish;
pub(crate) use people::SESSION_S;
pub use people::{ApiTokens, ApiTokensError, People, Person, Role, SessionKeys};
pub use signed::{Callback, Mention, Signed, Webhooks};
