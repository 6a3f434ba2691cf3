//! Opening and dialling.

use std::time::Duration;

use store::{
    Adopted, Allowance, Dial, Direction, Idempotency, MayDial, Placed, Recorded, RecordingState, Status, StoreError,
};

use crate::world::{World, sid};

#[tokio::test]
async fn twilio_may_ask_twice_and_gets_the_same_call_epoch_and_node() {
    let world = World::new().await;
    let (sid, first) = (sid(), world.new_call());
    let opened = world.store.open_inbound(&first, sid).await.unwrap();
    assert!(opened.fresh);
    let mut second = world.new_call();
    second.node = Some("node-b".into());
    let again = world.store.open_inbound(&second, sid).await.unwrap();
    assert!(!again.fresh);
    assert_eq!(again.call, opened.call);
    assert_eq!((again.call.epoch, again.call.node()), (1, Some("node-a")));
    assert!(matches!(world.store.call(second.id).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn an_opened_call_reads_back_with_all_it_runs_on() {
    let world = World::new().await;
    let (call, sid) = world.inbound().await;
    assert_eq!(world.store.call(call.id).await.unwrap(), call);
    assert_eq!(world.store.call_by_sid(sid).await.unwrap(), call);
    assert_eq!(world.store.call_script(call.id).await.unwrap(), world.new_call().script);
    assert_eq!((call.direction, call.status), (Direction::Inbound, Status::Ringing));
    assert_eq!((call.agent.as_str(), call.agent_version), ("receptionist", 3));
    assert_eq!(call.recording, Some(RecordingState::Pending));
    let json = serde_json::to_value(&call).unwrap();
    assert_eq!(json["created_at"], "2026-11-21T12:00:00.000Z");
    assert_eq!(json["twilio_sid"], sid.to_string());
    assert_eq!(json["ended_by"], serde_json::Value::Null);
    assert_eq!(json.get("marks"), None);
}

#[tokio::test]
async fn an_odd_caller_is_kept() {
    let world = World::new().await;
    for from in ["anonymous", "client:ann", "sip:ann@example.com", ""] {
        let mut new = world.new_call();
        new.from = from.into();
        let call = world.store.open_inbound(&new, sid()).await.unwrap().call;
        assert_eq!(world.store.call(call.id).await.unwrap().phone, from);
    }
}

fn once(user: &str, body: &str) -> Idempotency {
    Idempotency { user: user.into(), key: "key-1".into(), body_sha256: body.into() }
}

#[tokio::test]
async fn the_same_key_is_the_same_call_for_a_day() {
    let world = World::new().await;
    let place = async |user: &str, body: &str| {
        let new = world.new_call();
        world.store.open_outbound(&new, Some(&once(user, body))).await.unwrap()
    };
    let Placed::New(first) = place("ann", "body").await else { panic!("not new") };
    assert_eq!((first.status, first.marks.dial), (Status::Queued, Some(Dial::Opened)));
    assert_eq!(place("ann", "body").await, Placed::Same(first.clone()));
    assert_eq!(place("ann", "other").await, Placed::DifferentBody);
    assert!(matches!(place("bob", "body").await, Placed::New(_)), "another user's key is another key");
    world.clock.advance(Duration::from_secs(24 * 3_600 - 1));
    assert_eq!(place("ann", "body").await, Placed::Same(first));
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(place("ann", "other").await, Placed::New(_)));
}

#[tokio::test]
async fn of_many_that_want_to_dial_one_may() {
    let world = World::new().await;
    let call = world.outbound().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = world.store.clone();
        tasks.spawn(async move { store.mark_dialing(call.id, &Allowance::UNBOUNDED).await.unwrap() });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, MayDial::Yes(_))).count(), 1);
    assert_eq!(world.store.call(call.id).await.unwrap().marks.dial, Some(Dial::Dialing));
}

#[tokio::test]
async fn a_dialled_call_is_never_dialled_again() {
    let world = World::new().await;
    let (call, sid) = (world.outbound().await, sid());
    assert!(matches!(world.store.mark_dialing(call.id, &Allowance::UNBOUNDED).await.unwrap(), MayDial::Yes(_)));
    assert!(matches!(world.store.adopt_sid(call.id, sid).await.unwrap(), Adopted::Yes(_)));
    assert!(matches!(world.store.adopt_sid(call.id, sid).await.unwrap(), Adopted::Yes(_)));
    assert!(matches!(world.store.mark_dialing(call.id, &Allowance::UNBOUNDED).await.unwrap(), MayDial::No(_)));
    assert_eq!(world.store.mark_failed(call.id, "too late").await.unwrap(), Recorded::Stale);
    let read = world.store.call_by_sid(sid).await.unwrap();
    assert_eq!((read.id, read.marks.dial), (call.id, Some(Dial::Dialed)));
}

#[tokio::test]
async fn a_call_keeps_its_twilio_id_and_an_id_its_call() {
    let world = World::new().await;
    let (a, b, first, second) = (world.outbound().await, world.outbound().await, sid(), sid());
    world.store.adopt_sid(a.id, first).await.unwrap();
    assert!(matches!(world.store.adopt_sid(a.id, second).await.unwrap(), Adopted::Other(call) if call.id == a.id));
    assert!(matches!(world.store.adopt_sid(b.id, first).await.unwrap(), Adopted::Other(call) if call.id == b.id));
    assert_eq!(world.store.call(b.id).await.unwrap().twilio_sid, None);
    assert!(matches!(world.store.call_by_sid(second).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_callback_that_overtakes_the_answer_counts_as_dialled() {
    let world = World::new().await;
    let (call, sid) = (world.outbound().await, sid());
    world.store.mark_dialing(call.id, &Allowance::UNBOUNDED).await.unwrap();
    // The process died with Twilio's answer; the callback brings the id.
    world.store.adopt_sid(call.id, sid).await.unwrap();
    assert_eq!(world.store.call(call.id).await.unwrap().marks.dial, Some(Dial::Dialed));
}

#[tokio::test]
async fn a_call_that_cannot_be_placed_failed() {
    let world = World::new().await;
    let call = world.outbound().await;
    world.store.mark_dialing(call.id, &Allowance::UNBOUNDED).await.unwrap();
    assert_eq!(world.store.mark_failed(call.id, "21211: invalid number").await.unwrap(), Recorded::Applied);
    assert_eq!(world.store.mark_failed(call.id, "again").await.unwrap(), Recorded::Stale);
    let read = world.store.call(call.id).await.unwrap();
    assert_eq!((read.status, read.marks.failure.as_deref()), (Status::Failed, Some("21211: invalid number")));
    assert_eq!(serde_json::to_value(&read).unwrap()["end_reason"], "error");
    assert!(matches!(world.store.mark_dialing(call.id, &Allowance::UNBOUNDED).await.unwrap(), MayDial::No(_)));
}

#[tokio::test]
async fn what_has_expired_is_gone_though_nobody_deleted_it() {
    let world = World::new().await;
    let (call, sid) = world.inbound().await;
    world.clock.advance(Duration::from_secs(365 * 24 * 3_600 - 1));
    assert!(world.store.call(call.id).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(world.store.call(call.id).await, Err(StoreError::NotFound(_))));
    assert!(matches!(world.store.call_by_sid(sid).await, Err(StoreError::NotFound(_))));
    assert!(matches!(world.store.call_script(call.id).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn tables_are_made_once_and_checked() {
    let world = World::new().await;
    world.store.create_if_absent().await.unwrap();
    world.store.check().await.unwrap();
}
