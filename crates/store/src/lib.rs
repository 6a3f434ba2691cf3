//! Calls, journal, agents, nodes and work in DynamoDB; recordings in S3.
//!
//! There is one [`Store`], whoever answers: AWS, or the emulators that the `embedded` crate starts on loopback. What is
//! promised: an operation may be repeated, by its caller or by the client underneath, and the record comes out the
//! same; a call's status only moves forward; of several writers of one decision exactly one wins, and the others learn
//! what was decided. Every operation is one conditional write or one transaction.
//!
//! `keys` begins with the table of access patterns. Each noun has a file; `record` holds what the API shows of a
//! call. Left to others: what a request means (`functions`), what is worth writing down (`media-node`), and keeping
//! what cannot be written while the store is away: [`StoreError::is_retryable`] tells that from what never can.

mod access;
mod agent;
mod allowance;
mod analysis;
mod bulk;
mod clock;
mod config;
mod counters;
mod cursor;
mod dial;
mod epoch;
mod erase;
mod error;
pub mod fault;
mod idempotency;
mod item;
mod journal;
mod keys;
mod latency;
mod list;
mod node;
mod number;
mod open;
mod record;
mod recording;
mod retain;
pub mod shuffle;
mod status;
mod store;
mod table;
#[cfg(test)]
mod testing;
mod transfer;
mod update;
mod upload;
mod words;
mod work;

pub use access::{Access, AccessKind};
pub use agent::AgentVersion;
pub use allowance::{Allowance, Every, Healed};
pub use analysis::{Analysis, Correction, Judgement};
pub use clock::{Clock, Moment};
pub use config::{Config, StaticCredentials};
pub use counters::{Counts, DayCounts, Dimension, LENGTH_CLASSES_S};
pub use dial::{Adopted, MayDial};
pub use epoch::{Claim, Move};
pub use erase::Erasure;
pub use error::StoreError;
pub use idempotency::Idempotency;
pub use journal::{JournalPage, Position};
pub use latency::{DayWaits, Waited, Waits};
pub use list::{CallPage, Lead, ListQuery, Reads};
pub use node::{Node, Watch};
pub use number::NumberErasure;
pub use open::{CallScript, NewCall, Opened, Placed};
pub use record::{
    CallRecord, Chat, Dial, Direction, Figures, Intent, Joined, Marks, Outcome, Recorded, RecordingState, Source,
    Status, Transfer,
};
pub use recording::{ByteRange, RecordingBody, RecordingFile, Segment};
pub use status::StatusFact;
pub use store::Store;
pub use table::INDEXES;
pub use upload::RecordingUpload;
pub use words::search_words;
pub use work::{Leased, Occasion, WorkItem, WorkKind};
