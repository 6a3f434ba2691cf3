//! The running media nodes. Whether one lives is told by its heartbeats, watched by who wants to know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
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

    /// How far a node's clock may be off. A node whose clock differs more could neither be believed when it says that it
    /// lives, nor would it believe the control plane's signed requests, whose window is as wide.
    pub const CLOCK_OFF_MAX: Duration = wire::signed::WINDOW;

    /// How far its clock is from ours, if further than it may be and it was heard of since: ahead, or (which looks the
    /// same as having been silent for that long) behind.
    #[must_use]
    pub fn is_ahead_of(&self, now: Moment) -> bool {
        self.seen_at.since(now) > Self::CLOCK_OFF_MAX
    }

    /// Whether it may live, for who sees it for the first time: its clock may be off by as much as is allowed.
    #[must_use]
    pub fn may_be_alive(&self, now: Moment) -> bool {
        !self.is_ahead_of(now) && now.since(self.seen_at) < Self::SILENCE_MAX + Self::CLOCK_OFF_MAX
    }

    /// Whether it takes another call, if it lives.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.ready && self.sessions < self.capacity
    }
}

/// Which nodes live, as one reader sees it. Clones share what was seen.
///
/// A node's heartbeat carries the time of the node's own clock. Two machines' clocks are not compared where that can be
/// helped: who reads the list again sees that a heartbeat has changed, and measures by its own clock for how long one
/// has not. Only who sees a node for the first time (a fresh Lambda) must compare, and allows for
/// [`CLOCK_OFF_MAX`](Node::CLOCK_OFF_MAX): it may ask a node that died within the last half minute, and hears nothing. A
/// node whose clock is further off is not taken for alive by anybody, and the log says why.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<BTreeMap<String, Seen>>>);

/// The last heartbeat that was seen, and when it was seen first, by the reader's clock.
#[derive(Clone, Copy, Debug)]
struct Seen {
    beat: Moment,
    at: Moment,
}

impl Watch {
    /// Of the nodes just read, those that live.
    #[must_use]
    pub fn living(&self, nodes: Vec<Node>, now: Moment) -> Vec<Node> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|name, _| nodes.iter().any(|node| node.name == *name));
        nodes.into_iter().filter(|node| Self::lives(&mut seen, node, now)).collect()
    }

    fn lives(seen: &mut BTreeMap<String, Seen>, node: &Node, now: Moment) -> bool {
        let before = seen.get(&node.name).copied();
        let last = before.filter(|seen| seen.beat == node.seen_at).unwrap_or(Seen { beat: node.seen_at, at: now });
        seen.insert(node.name.clone(), last);
        if node.is_ahead_of(now) {
            let off_s = node.seen_at.since(now).as_secs();
            tracing::warn!(node = node.name, off_s, "a node is not used: its clock is ahead by more than 30 s");
            return false;
        }
        // It beats, and says that it did so long ago: it is not dead, its clock is wrong.
        let beats = before.is_some_and(|seen| seen.beat != node.seen_at && now.since(seen.at) < Node::SILENCE_MAX);
        if beats && !node.may_be_alive(now) {
            let off_s = now.since(node.seen_at).as_secs();
            tracing::warn!(node = node.name, off_s, "a node is not used: its clock is behind by more than 30 s");
        }
        node.may_be_alive(now) && now.since(last.at) < Node::SILENCE_MAX
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node(seen_at: Moment) -> Node {
        Node {
            name: "a".to_owned(),
            address: String::new(),
            ready: true,
            sessions: 0,
            capacity: 1,
            version: String::new(),
            started_at: seen_at,
            seen_at,
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_node_whose_clock_is_off_a_little_lives_as_long_as_it_beats_and_dies_when_it_stops() {
        let noon = Moment::from_ms(1_795_262_400_000);
        // Its clock is behind by 20 s, ahead by 20 s, or right: it makes no difference.
        for of in [noon.before(s(20)), noon.after(s(20)), noon] {
            let watch = Watch::default();
            for tick in 0..10 {
                let (beat, now) = (of.after(s(2 * tick)), noon.after(s(2 * tick)));
                assert_eq!(watch.living(vec![node(beat)], now).len(), 1, "{of} {tick}");
            }
            let last = node(of.after(s(18)));
            assert_eq!(watch.living(vec![last.clone()], noon.after(s(23))).len(), 1);
            assert_eq!(watch.living(vec![last.clone()], noon.after(s(24))).len(), 0, "{of}: silent for 6 s");
            // Back again.
            assert_eq!(watch.living(vec![node(of.after(s(30)))], noon.after(s(30))).len(), 1);
        }
    }

    #[test]
    fn a_node_whose_clock_is_off_too_far_is_not_taken_for_alive_by_anybody() {
        let noon = Moment::from_ms(1_795_262_400_000);
        for of in [noon.before(s(60)), noon.after(s(31))] {
            let watch = Watch::default();
            for tick in 0..5 {
                let living = watch.living(vec![node(of.after(s(2 * tick)))], noon.after(s(2 * tick)));
                assert!(living.is_empty(), "{of} {tick}");
            }
        }
    }

    #[test]
    fn who_looks_after_a_long_time_is_not_fooled_by_a_last_beat_of_long_ago() {
        let noon = Moment::from_ms(1_795_262_400_000);
        let watch = Watch::default();
        assert_eq!(watch.living(vec![node(noon)], noon).len(), 1);
        assert!(watch.living(vec![node(noon.after(s(2)))], noon.after(s(3_000))).is_empty());
    }
}
