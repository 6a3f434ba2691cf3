//! The running media nodes. Whether one lives is told by its last heartbeat.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::error::{Refusal, StoreError, failure};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::store::{Store, Write, attributes};

/// A node that was silent for so long is forgotten. Longer than any call, so that a dead node's calls are found.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The most items that are read of a small partition: nodes, agents, dead work. A person reads these lists.
const PARTITION_MAX: usize = 1_000;

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
        let now = self.now();
        let seen = Node { seen_at: now, ..node.clone() };
        let item = Item::new(&Key::new(keys::NODES, &node.name)).fields(&seen)?.expiring(now.after(FORGOTTEN_AFTER));
        self.put(Write::always(item)).await.map_err(Refusal::unconditional)
    }

    /// All nodes heard of in the last month, by name, alive or not.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.partition(keys::NODES).await?.iter().map(Item::read).collect()
    }

    /// All items of a small partition that have not expired, in order of their sort keys.
    pub(crate) async fn partition(&self, partition: &str) -> Result<Vec<Item>, StoreError> {
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let query = self.dynamodb.query().table_name(&self.table).consistent_read(true);
            let values = Item::default().text(":pk", partition);
            let query = query.key_condition_expression("pk = :pk").set_expression_attribute_values(Some(values.0));
            let answer = query.set_exclusive_start_key(start).send().await.map_err(|error| failure(&error))?;
            let found = answer.items.unwrap_or_default().into_iter().map(Item);
            items.extend(found.filter(|item| !item.has_expired(self.now())));
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() >= PARTITION_MAX {
                items.truncate(PARTITION_MAX);
                return Ok(items);
            }
        }
    }

    /// Forgets a node that ended in order.
    pub async fn forget_node(&self, name: &str) -> Result<(), StoreError> {
        let request = self.dynamodb.delete_item().table_name(&self.table);
        let key = attributes(&Key::new(keys::NODES, name));
        request.set_key(Some(key)).send().await.map(drop).map_err(|error| failure(&error))
    }
}
