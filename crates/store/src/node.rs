//! The running media nodes. Whether one lives is told by its last heartbeat.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::error::StoreError;
use crate::store::Store;

/// A media node, as it last said of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, as in the stream's address.
    pub name: String,
    /// Where peers and the control plane reach it, such as `http://10.0.0.7:8080`.
    pub address: String,
    /// Whether it takes new calls; a draining one does not.
    pub ready: bool,
    /// Its calls now.
    pub sessions: u32,
    /// The calls it can take.
    pub capacity: u32,
    /// The version of the program.
    pub version: String,
    /// When it started.
    pub started_at: Moment,
    /// When it last said so. Set by the store.
    pub seen_at: Moment,
}

impl Node {
    /// How often a node says that it lives.
    pub const HEARTBEAT: Duration = Duration::from_secs(2);

    /// How long it may be silent: three heartbeats.
    pub const SILENCE_MAX: Duration = Duration::from_secs(6);

    /// Whether it has been heard of lately.
    #[must_use]
    pub fn is_alive(&self, now: Moment) -> bool {
        now.since(self.seen_at) < Self::SILENCE_MAX
    }

    /// Whether it can take another call.
    #[must_use]
    pub fn has_room(&self, now: Moment) -> bool {
        self.ready && self.is_alive(now) && self.sessions < self.capacity
    }
}

impl Store {
    /// Registers a node, or says that it still lives.
    pub async fn heartbeat(&self, node: &Node) -> Result<(), StoreError> {
        todo!()
    }

    /// All nodes heard of in the last month, by name, alive or not.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        todo!()
    }

    /// Forgets a node that ended in order.
    pub async fn forget_node(&self, name: &str) -> Result<(), StoreError> {
        todo!()
    }
}
