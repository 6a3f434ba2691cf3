//! Streams within a call.

use std::time::Duration;

use call::journal::{EndReason, EndedBy, NextStep};
use store::{Claim, Move, Recorded, Status};
use wire::twilio::StreamSid;

use crate::world::{World, fact};

fn stream(number: u128) -> StreamSid {
    StreamSid::from_number(number)
}

#[tokio::test]
async fn a_repeat_hears_where_the_call_went() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let Move::Moved(moved) = world.store.next_epoch(call.id, 1, "node-b").await.unwrap() else { panic!("not moved") };
    assert_eq!((moved.epoch, moved.node()), (2, Some("node-b")));
    world.clock.advance(Duration::from_secs(60));
    world.store.next_epoch(call.id, 2, "node-c").await.unwrap();
    for node in ["node-b", "node-d"] {
        let Move::Repeat { epoch, node, call } = world.store.next_epoch(call.id, 1, node).await.unwrap() else {
            panic!("no repeat")
        };
        assert_eq!((epoch, node.as_str(), call.epoch), (2, "node-b", 3));
    }
}

#[tokio::test]
async fn of_many_that_move_a_call_one_does() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = world.store.clone();
        tasks.spawn(async move { store.next_epoch(call.id, 1, &format!("node-{n}")).await.unwrap() });
    }
    let moves = tasks.join_all().await;
    let moved: Vec<_> =
        moves.iter().filter_map(|m| if let Move::Moved(call) = m { call.node() } else { None }).collect();
    assert_eq!(moved.len(), 1);
    for other in &moves {
        if let Move::Repeat { epoch, node, .. } = other {
            assert_eq!((*epoch, node.as_str()), (2, moved[0]));
        }
    }
    assert_eq!(world.store.call(call.id).await.unwrap().epoch, 2);
}

#[tokio::test]
async fn three_epochs_a_minute_and_ten_a_call() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let go = async |from| world.store.next_epoch(call.id, from, "node-a").await.unwrap();
    assert!(matches!(go(1).await, Move::Moved(_)));
    assert!(matches!(go(2).await, Move::Moved(_)));
    assert_eq!(go(3).await, Move::TooMany, "the fourth within a minute");

    let (call, _) = world.inbound().await;
    for from in 1..10 {
        world.clock.advance(Duration::from_secs(30));
        let moved = world.store.next_epoch(call.id, from, "node-a").await.unwrap();
        assert!(matches!(moved, Move::Moved(_)), "{from}: {moved:?}");
    }
    world.clock.advance(Duration::from_secs(3_600 / 4));
    assert_eq!(world.store.next_epoch(call.id, 10, "node-a").await.unwrap(), Move::TooMany);
    // A repeat hears the same, whatever time it is; and the record says why the call ended.
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.store.next_epoch(call.id, 10, "node-a").await.unwrap(), Move::TooMany);
    world.store.record_status(call.id, fact(Status::Completed, 9)).await.unwrap();
    let call = world.store.call(call.id).await.unwrap();
    assert_eq!((call.ended_by, call.end_reason), (Some(EndedBy::System), Some(EndReason::Limit)));
}

#[tokio::test]
async fn a_step_that_is_written_is_not_overrun() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let step = NextStep::Transfer { to: "+12025550199".into() };
    assert_eq!(world.store.next_step(call.id, 1).await.unwrap(), None);
    assert_eq!(world.store.put_next_step(call.id, 1, &step).await.unwrap(), Recorded::Applied);
    assert_eq!(world.store.put_next_step(call.id, 1, &step).await.unwrap(), Recorded::Stale);
    assert_eq!(world.store.next_step(call.id, 1).await.unwrap(), Some(step.clone()));
    assert_eq!(world.store.next_epoch(call.id, 1, "node-b").await.unwrap(), Move::Decided(step));
}

#[tokio::test]
async fn a_node_that_hands_over_lets_the_call_go_on() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    world.store.put_next_step(call.id, 1, &NextStep::Continue).await.unwrap();
    assert!(matches!(world.store.next_epoch(call.id, 1, "node-b").await.unwrap(), Move::Moved(_)));
    // The old node's late word is about a stream that is history.
    let late = NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye };
    assert_eq!(world.store.put_next_step(call.id, 1, &late).await.unwrap(), Recorded::Stale);
    assert_eq!(world.store.call(call.id).await.unwrap().marks.ending, None);
}

#[tokio::test]
async fn a_call_that_is_over_goes_nowhere() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    world.store.record_status(call.id, fact(Status::Completed, 9)).await.unwrap();
    assert_eq!(world.store.next_epoch(call.id, 1, "node-b").await.unwrap(), Move::Over);
    assert_eq!(world.store.claim_stream(call.id, 1, "node-a", stream(1)).await.unwrap(), Claim::Lost);
}

#[tokio::test]
async fn one_stream_wins_an_epoch_and_may_say_so_again() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = world.store.clone();
        tasks.spawn(async move { (n, store.claim_stream(call.id, 1, "node-b", stream(n)).await.unwrap()) });
    }
    let claims = tasks.join_all().await;
    let winners: Vec<_> = claims.iter().filter(|(_, claim)| *claim == Claim::Won).map(|(n, _)| *n).collect();
    assert_eq!(winners.len(), 1);
    let again = world.store.claim_stream(call.id, 1, "node-b", stream(winners[0])).await.unwrap();
    assert_eq!(again, Claim::Won);
    let call = world.store.call(call.id).await.unwrap();
    assert_eq!(
        (call.status, call.node(), call.answered_at),
        (Status::InProgress, Some("node-b"), Some(call.created_at))
    );
}

#[tokio::test]
async fn a_stream_of_an_epoch_that_is_history_or_to_come_loses() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    world.store.next_epoch(call.id, 1, "node-b").await.unwrap();
    for epoch in [0, 1, 3] {
        let claim = world.store.claim_stream(call.id, epoch, "node-a", stream(1)).await.unwrap();
        assert_eq!(claim, Claim::Lost, "epoch {epoch}");
    }
}
