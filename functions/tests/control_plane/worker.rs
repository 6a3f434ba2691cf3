//! The worker: each item once, and calls of which nobody has said what became of them.

use std::time::Duration;

use http::Method;
use serde_json::json;
use store::{Dial, Status};

use crate::world::{CALLER, World, about, id_of};

#[tokio::test]
async fn a_call_lost_in_dialling_is_found_in_twilios_list() {
    let world = World::new().await;
    world.twilio.memory(|memory| memory.loses_answers = true);
    let id = id_of(&world.place("k1", json!({ "to": CALLER })).await.json());
    world.twilio.memory(|memory| memory.calls[0]["status"] = json!("in-progress"));
    world.pass(Duration::from_secs(59)).await;
    world.worker.catch_up(5).await.unwrap();
    assert_eq!(world.store.call(id).await.unwrap().marks.dial, Some(Dial::Dialing));
    world.pass(Duration::from_secs(3)).await;
    world.worker.catch_up(5).await.unwrap();
    let call = world.store.call(id).await.unwrap();
    assert_eq!((call.marks.dial, call.status), (Some(Dial::Dialed), Status::InProgress));
    assert!(call.twilio_sid.is_some());
}

#[tokio::test]
async fn a_call_that_never_reached_twilio_fails() {
    let world = World::new().await;
    world.twilio.memory(|memory| memory.loses_requests = true);
    let id = id_of(&world.place("k1", json!({ "to": CALLER })).await.json());
    // An older call between the same numbers is not taken for it.
    world.twilio.memory(|memory| {
        memory.calls.push(json!({
            "sid": "CA00000000000000000000000000000077", "status": "completed", "to": CALLER,
            "date_created": "Fri, 20 Nov 2026 09:00:00 +0000",
        }));
    });
    world.pass(Duration::from_secs(61)).await;
    world.worker.catch_up(5).await.unwrap();
    let call = world.store.call(id).await.unwrap();
    assert_eq!((call.status, call.twilio_sid), (Status::Failed, None));
    assert!(call.marks.failure.unwrap().contains("does not know"));
}

#[tokio::test]
async fn an_overdue_call_is_asked_for_ended_and_closed() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    world.twilio("/twilio/status", &about(1, "inbound", "in-progress")).await;
    let sid = world.call_of(1).await.twilio_sid.unwrap().to_string();
    world.twilio.memory(|memory| memory.calls.push(json!({ "sid": sid, "status": "in-progress" })));
    world.pass(Duration::from_secs(40 * 60)).await;
    world.worker.catch_up(5).await.unwrap();
    assert_eq!(world.twilio.memory(|memory| memory.updated.len()), 1);
    world.twilio.memory(|memory| memory.calls[0] = json!({ "sid": sid, "status": "completed", "duration": "1800" }));
    world.pass(Duration::from_secs(61)).await;
    world.worker.catch_up(5).await.unwrap();
    let call = world.call_of(1).await;
    assert_eq!((call.status, call.duration_s), (Status::Completed, Some(1_800)));
    assert_eq!(call.end_reason, Some(call::journal::EndReason::Limit));
}

#[tokio::test]
async fn two_workers_never_have_one_item_and_failures_die_after_ten_tries() {
    let world = World::new().await;
    for sid in 1..=6 {
        world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
        world.twilio("/twilio/status", &about(sid, "inbound", "completed")).await;
        let id = world.call_of(sid).await.id;
        world.store.erase_call(id, "ada").await.unwrap();
    }
    let (a, b) = tokio::join!(world.worker.catch_up(5), world.worker.catch_up(5));
    let (a, b) = (a.unwrap(), b.unwrap());
    // Each call's erasure is done once; what this version does not do is put off, by whoever had it.
    assert!(a.done + b.done >= 6 && a.failed + b.failed == 0, "{a:?} {b:?}");
    assert!(world.calls().await.is_empty());

    world.twilio("/twilio/voice", &about(9, "inbound", "ringing")).await;
    world.twilio.memory(|memory| memory.calls.push(json!({ "sid": "unreadable" })));
    let id = world.call_of(9).await.id;
    let sid = world.call_of(9).await.twilio_sid.unwrap().to_string();
    // An answer without a status cannot be read.
    world.twilio.memory(|memory| memory.calls = vec![json!({ "sid": sid })]);
    for _ in 0..12 {
        world.pass(Duration::from_secs(2 * 3_600)).await;
        world.worker.catch_up(5).await.unwrap();
    }
    let dead = world.api("vic", Method::GET, "/v1/work", None).await.json();
    assert_eq!(dead["dead"][0]["id"], format!("reconcile.{id}"));
    assert_eq!(dead["dead"][0]["attempts"], 10);
    let path = format!("/v1/work/reconcile.{id}/retry");
    assert_eq!(world.api("olga", Method::POST, &path, None).await.status, 403);
    assert_eq!(world.api("ada", Method::POST, &path, None).await.status, 200);
}

#[tokio::test]
async fn of_two_lost_calls_to_one_number_neither_takes_the_others_place() {
    let world = World::new().await;
    world.twilio.memory(|memory| memory.loses_answers = true);
    let a = id_of(&world.place("k1", json!({ "to": CALLER })).await.json());
    let b = id_of(&world.place("k2", json!({ "to": CALLER })).await.json());
    world.pass(Duration::from_secs(61)).await;
    world.worker.catch_up(5).await.unwrap();
    for id in [a, b] {
        let call = world.store.call(id).await.unwrap();
        assert_eq!((call.marks.dial, call.twilio_sid), (Some(Dial::Dialing), None), "it cannot be told which is which");
    }
    // The second one at Twilio says by itself that it is the first one here.
    world.twilio(&format!("/twilio/status?call={a}"), &about(9_002, "outbound-api", "ringing")).await;
    world.pass(Duration::from_secs(61)).await;
    world.worker.catch_up(5).await.unwrap();
    let sids = [world.store.call(a).await.unwrap().twilio_sid, world.store.call(b).await.unwrap().twilio_sid];
    assert_eq!(
        sids,
        [Some(wire::twilio::CallSid::from_number(9_002)), Some(wire::twilio::CallSid::from_number(9_001))]
    );
}

#[tokio::test]
async fn two_lost_calls_that_nothing_tells_apart_are_given_up_in_the_end() {
    let world = World::new().await;
    world.twilio.memory(|memory| memory.loses_answers = true);
    let ids = [
        id_of(&world.place("k1", json!({ "to": CALLER })).await.json()),
        id_of(&world.place("k2", json!({ "to": CALLER })).await.json()),
    ];
    world.twilio.memory(|memory| memory.calls.iter_mut().for_each(|call| call["status"] = json!("no-answer")));
    for _ in 0..12 {
        world.pass(Duration::from_secs(61)).await;
        let round = world.worker.catch_up(5).await.unwrap();
        assert_eq!(round.failed, 0);
    }
    for id in ids {
        let call = world.store.call(id).await.unwrap();
        assert_eq!((call.status, call.twilio_sid), (Status::Failed, None));
        assert!(call.marks.failure.unwrap().contains("cannot be told"));
    }
    assert_eq!(world.store.placed_calls().await.unwrap(), 0);
}

#[tokio::test]
async fn a_list_without_end_is_no_failure_and_proves_nothing() {
    let world = World::new().await;
    world.twilio.memory(|memory| (memory.loses_requests, memory.endless) = (true, true));
    let id = id_of(&world.place("k1", json!({ "to": CALLER })).await.json());
    for _ in 0..3 {
        world.pass(Duration::from_secs(61)).await;
        assert_eq!(world.worker.catch_up(1).await.unwrap().failed, 0);
    }
    assert_eq!(world.store.call(id).await.unwrap().marks.dial, Some(Dial::Dialing));
    // What is older than ours need not be read.
    let older = json!({
        "sid": "CA00000000000000000000000000000077", "status": "completed", "to": CALLER,
        "date_created": "Fri, 20 Nov 2026 09:00:00 +0000",
    });
    world.twilio.memory(|memory| memory.calls.push(older));
    world.pass(Duration::from_secs(61)).await;
    world.worker.catch_up(1).await.unwrap();
    assert_eq!(world.store.call(id).await.unwrap().status, Status::Failed);
}
