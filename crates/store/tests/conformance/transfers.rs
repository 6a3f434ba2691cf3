//! Transfers, prepared nodes, and requests that were made before.

use std::time::Duration;

use store::{Idempotency, Placed, Recorded, Status, Transfer};
use wire::twilio::StreamSid;

use crate::world::{NOON, World, fact};

#[tokio::test]
async fn a_transfer_moves_the_end_later_and_ends_once() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let later = call.marks.ends_by.after(Duration::from_secs(60));
    assert_eq!(world.store.begin_transfer(call.id, later).await.unwrap(), Recorded::Applied);
    assert_eq!(world.store.begin_transfer(call.id, call.marks.ends_by).await.unwrap(), Recorded::Stale);
    assert_eq!(world.store.call(call.id).await.unwrap().marks.ends_by, later);
    let ended = |status: &str| Transfer { epoch: 1, status: status.into(), duration_s: 7, at: NOON };
    assert_eq!(world.store.end_transfer(call.id, &ended("completed")).await.unwrap(), Recorded::Applied);
    assert_eq!(world.store.end_transfer(call.id, &ended("busy")).await.unwrap(), Recorded::Stale);
    assert_eq!(world.store.call(call.id).await.unwrap().transfer.unwrap().status, "completed");
    let call = world.store.call(call.id).await.unwrap();
    assert_eq!(call.marks.transfers_ended.into_iter().collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn the_node_that_is_prepared_is_the_calls_until_a_stream_decides() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    assert_eq!(world.store.record_prepared(call.id, 1, "node-b").await.unwrap(), Recorded::Applied);
    assert_eq!(world.store.record_prepared(call.id, 1, "node-b").await.unwrap(), Recorded::Stale);
    assert_eq!(world.store.record_prepared(call.id, 2, "node-c").await.unwrap(), Recorded::Stale, "no such epoch yet");
    assert_eq!(world.store.call(call.id).await.unwrap().node(), Some("node-b"));
    world.store.claim_stream(call.id, 1, "node-b", StreamSid::from_number(1)).await.unwrap();
    assert_eq!(world.store.record_prepared(call.id, 1, "node-c").await.unwrap(), Recorded::Stale);
    let (over, _) = world.inbound().await;
    world.store.record_status(over.id, fact(Status::Completed, 1)).await.unwrap();
    assert_eq!(world.store.record_prepared(over.id, 1, "node-c").await.unwrap(), Recorded::Stale);
}

#[tokio::test]
async fn a_request_that_was_made_before_is_recognised_without_opening_anything() {
    let world = World::new().await;
    let once = |body: &str| Idempotency { user: "ann".into(), key: "k".into(), body_sha256: body.into() };
    assert_eq!(world.store.placed_by(&once("a")).await.unwrap(), None);
    let Placed::New(call) = world.store.open_outbound(&world.new_call(), Some(&once("a"))).await.unwrap() else {
        panic!("not new")
    };
    assert_eq!(world.store.placed_by(&once("a")).await.unwrap(), Some(Placed::Same(call)));
    assert_eq!(world.store.placed_by(&once("b")).await.unwrap(), Some(Placed::DifferentBody));
    world.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(world.store.placed_by(&once("a")).await.unwrap(), None);
}
