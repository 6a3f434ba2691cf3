//! The media node: the long-running half of Switchboard, where a phone's audio meets an engine's.
//!
//! Each call is one task around one [`call::Call`]: one await, one clock (`bridge`). The rules are the machine's; what is
//! here opens what it is told to open, sends what it is told to send, and writes down what it is told to write down.
//!
//! ```text
//!   control plane ── signed requests ──> control ─┐
//!   Twilio ── media stream ──> stream ────────────┼──> sessions ──> bridge ──> engines (sockets to the vendors)
//!                 └─ of another node ──> splice   │                   ├──────> tools (the user's own services)
//!                                                 │                   ├──────> journal ──> store | spool
//!   dashboards ── live <── entries ───────────────┘                   └──────> recording ──> spool ──> store
//! ```
//!
//! Promises: a call never waits for the store or the disk; what cannot be stored is kept on disk and stored later; a
//! stream joins a call only with a fresh token of its own; every queue has a bound, and reaching it has an outcome. Phone
//! numbers and spoken words are never logged.
//!
//! Left to others: Twilio's REST API, TwiML and signatures of webhooks (`functions`), and everything that is a rule of a
//! phone call (`call`).

mod bridge;
pub mod config;
mod control;
mod engines;
mod figures;
mod heartbeat;
mod journal;
mod levels;
mod live;
mod node;
mod recording;
mod request;
mod room;
mod sessions;
mod socket;
mod splice;
mod spool;
mod status;
mod stream;
mod tools;

pub use config::{Config, ConfigError};
pub use engines::{CascadeAccess, Engines, HumeAccess, OpenAiAccess, VendorAccess};
pub use node::{Node, StartError};
pub use tools::ToolAccess;
