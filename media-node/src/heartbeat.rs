//! Says that the node lives, and how much room it has: every two seconds, and at once when that changes for good.

use std::sync::Arc;

use store::Node as Peer;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::node::Inner;

/// Says so until the node stops.
pub(crate) async fn beat(node: Arc<Inner>) {
    let mut every = interval(Peer::HEARTBEAT);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = node.changed.notified() => {}
            () = node.stop.cancelled() => return,
        }
        say(&node).await;
    }
}

/// Says it once. A store that does not answer before the next beat is not waited for.
pub(crate) async fn say(node: &Inner) {
    let sessions = node.sessions.all().len();
    let now = node.store.now();
    let peer = Peer {
        name: node.config.node.clone(),
        address: node.config.address.clone(),
        ready: !node.sessions.is_draining(),
        sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        capacity: node.config.capacity,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: node.started_at,
        seen_at: now,
    };
    match timeout(Peer::HEARTBEAT, node.store.heartbeat(&peer)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "failed to tell the store that this node lives"),
        Err(_) => tracing::warn!("failed to tell the store in time that this node lives"),
    }
}
