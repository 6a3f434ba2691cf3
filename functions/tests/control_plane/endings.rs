//! How calls end, when nobody says so: the worker asks Twilio's REST interface about what is overdue, and the record is as
//! complete as if every callback had come.

use std::time::Duration;

use call::journal::{EndReason, EndedBy, NextStep};
use http::Method;
use serde_json::{Value, json};
use wire::twilio::StreamSid;

use crate::world::{CALLER, World, about, id_of, with};

/// All calls that may last half an hour are overdue by then.
const LONG_AFTER: Duration = Duration::from_secs(2 * 3_600);

/// Three moments of the day on which the worlds begin, at ten o'clock.
const ANSWERED: &str = "2026-11-20T10:00:35.000Z";
const ENDED: &str = "2026-11-20T10:02:10.000Z";
const ENDED_AT_TWILIO: &str = "Fri, 20 Nov 2026 10:02:10 +0000";

/// What happened to a call before everybody fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// It was dialled.
    Dialled,
    /// It came in.
    CameIn,
    /// It came in, and its stream began at a node, which died.
    NodeDied,
    /// It came in, and its node wrote that the agent says goodbye.
    AgentHungUp,
}

/// A call of which nothing more was heard, and of which Twilio knows this when it is asked; nothing, if it is null.
async fn asked_for(before: Before, mut at_twilio: Value) -> (World, String) {
    let world = World::new().await;
    let id = match before {
        Before::Dialled => id_of(&world.place("k", json!({ "to": CALLER })).await.json()),
        Before::CameIn | Before::NodeDied | Before::AgentHungUp => {
            world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
            world.call_of(1).await.id
        }
    };
    if matches!(before, Before::NodeDied | Before::AgentHungUp) {
        world.pass(Duration::from_secs(36)).await;
        world.store.claim_stream(id, 1, "node-0", StreamSid::from_number(1)).await.unwrap();
    }
    if before == Before::AgentHungUp {
        let step = NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye };
        world.store.put_next_step(id, 1, &step).await.unwrap();
    }
    let mut known = Vec::new();
    if !at_twilio.is_null() {
        at_twilio["sid"] = json!(world.store.call(id).await.unwrap().twilio_sid.unwrap().to_string());
        known.push(at_twilio);
    }
    world.twilio.memory(|memory| memory.calls = known);
    world.pass(LONG_AFTER).await;
    world.worker.catch_up(5).await.unwrap();
    (world, format!("/v1/calls/{id}"))
}

#[tokio::test]
async fn every_end_that_nobody_reported_is_complete_in_the_record() {
    let over = |status: &str| json!({ "status": status, "end_time": ENDED_AT_TWILIO });
    let talked = json!({ "status": "completed", "duration": "95", "end_time": ENDED_AT_TWILIO });
    let unanswered = |status, by, why| {
        (over(status), [json!(status.replace('-', "_")), Value::Null, json!(ENDED), Value::Null, json!(by), json!(why)])
    };
    let answered = |by, why| {
        (talked.clone(), [json!("completed"), json!(ANSWERED), json!(ENDED), json!(95), json!(by), json!(why)])
    };
    for (before, (at_twilio, expected)) in [
        (Before::Dialled, answered("caller", "hung_up")),
        (Before::Dialled, unanswered("busy", "system", "busy")),
        (Before::Dialled, unanswered("no-answer", "system", "no_answer")),
        (Before::Dialled, unanswered("failed", "system", "error")),
        (Before::Dialled, unanswered("canceled", "operator", "canceled")),
        (Before::CameIn, answered("caller", "hung_up")),
        (Before::CameIn, unanswered("no-answer", "caller", "canceled")),
        (Before::CameIn, unanswered("canceled", "caller", "canceled")),
        (Before::NodeDied, answered("caller", "hung_up")),
        (Before::AgentHungUp, answered("agent", "said_goodbye")),
    ] {
        let (world, path) = asked_for(before, at_twilio.clone()).await;
        let figures = async || {
            let call = world.api("vic", Method::GET, &path, None).await.json();
            ["status", "answered_at", "ended_at", "duration_s", "ended_by", "end_reason"].map(|name| call[name].clone())
        };
        assert_eq!(figures().await, expected, "{before:?}, {at_twilio}");
        assert_eq!(world.store.dead_work().await.unwrap(), []);
        // A callback that comes at last says nothing new.
        let id = path.trim_start_matches("/v1/calls/");
        let status = at_twilio["status"].as_str().unwrap();
        let (sid, direction) = if before == Before::Dialled { (9_001, "outbound-api") } else { (1, "inbound") };
        let mut late = vec![("Timestamp", ENDED_AT_TWILIO)];
        late.extend((status == "completed").then_some(("CallDuration", "95")));
        let late = with(about(sid, direction, status), &late);
        assert_eq!(world.twilio(&format!("/twilio/status?call={id}"), &late).await.status, 204);
        assert_eq!(figures().await, expected, "{before:?}, {at_twilio}, and a late callback");
    }
}

#[tokio::test]
async fn a_call_that_twilio_has_forgotten_is_closed_all_the_same() {
    for (before, status, by, why) in [
        (Before::Dialled, "failed", "system", "error"),
        (Before::NodeDied, "completed", "caller", "hung_up"),
        (Before::AgentHungUp, "completed", "agent", "said_goodbye"),
    ] {
        let (world, path) = asked_for(before, Value::Null).await;
        let call = world.api("vic", Method::GET, &path, None).await.json();
        assert_eq!((&call["status"], &call["ended_by"]), (&json!(status), &json!(by)), "{call}");
        assert_eq!(call["end_reason"], why, "{call}");
        assert!(call["ended_at"].is_string(), "{call}");
    }
}
