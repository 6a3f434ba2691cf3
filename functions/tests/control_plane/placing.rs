//! Placing calls: once, whatever happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use functions::place::{Boundaries, Boundary};
use serde_json::json;
use store::{Dial, ListQuery, Status};
use tower::ServiceExt as _;

use crate::world::{CALLER, OURS, Plan, World, about, id_of, place_request};

#[tokio::test]
async fn a_call_is_placed_with_everything_twilio_needs_to_find_us() {
    let world = World::new().await;
    let answer = world.place("k1", json!({ "to": CALLER })).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let call = answer.json();
    assert_eq!((call["status"].as_str(), call["direction"].as_str()), (Some("queued"), Some("outbound")));
    assert_eq!(call["agent"], "front");
    let form = world.twilio.memory(|memory| memory.created[0].clone());
    let id = id_of(&call).to_string();
    let text: String =
        form.pairs().map(|(name, value)| format!("{name}={}\n", value.replace(&id, "call_ID"))).collect();
    insta::assert_snapshot!(text, @r"
    To=+12025550123
    From=+12025550100
    Url=https://voice.example.com/twilio/voice?call=call_ID#ct=2000&rt=5000&rc=2&rp=ct,rt,5xx
    Method=POST
    FallbackUrl=https://voice.example.com/twilio/voice/fallback?call=call_ID#ct=2000&rt=5000&rc=2&rp=ct,rt,5xx
    FallbackMethod=POST
    StatusCallback=https://voice.example.com/twilio/status?call=call_ID#rc=5&rp=all
    StatusCallbackMethod=POST
    StatusCallbackEvent=initiated
    StatusCallbackEvent=ringing
    StatusCallbackEvent=answered
    StatusCallbackEvent=completed
    Timeout=55
    TimeLimit=1860
    ");
    // Answered: the same way as an inbound call from here on.
    let answer = world.twilio(&format!("/twilio/voice?call={id}"), &about(9_001, "outbound-api", "in-progress")).await;
    assert!(answer.twiml().contains("<Connect"));
    assert_eq!(OURS, form.get("From").unwrap());
}

#[tokio::test]
async fn a_double_click_and_a_retry_are_one_call_and_another_body_is_refused() {
    let world = World::new().await;
    let (a, b) = tokio::join!(world.place("k1", json!({ "to": CALLER })), world.place("k1", json!({ "to": CALLER })));
    let c = world.place("k1", json!({ "to": CALLER })).await;
    assert_eq!(id_of(&a.json()), id_of(&b.json()));
    assert_eq!(id_of(&a.json()), id_of(&c.json()));
    let other = world.place("k1", json!({ "to": CALLER, "greeting": "Hi." })).await;
    assert_eq!(other.status, 422);
    assert_eq!(other.header("content-type"), "application/problem+json");
    assert_eq!(world.twilio.memory(|memory| memory.created.len()), 1);
    assert_eq!(world.calls().await.len(), 1);
}

#[tokio::test]
async fn a_crash_at_any_boundary_never_rings_twice_and_loses_no_call() {
    for boundary in Boundary::ALL {
        let left = Arc::new(AtomicU8::new(1));
        let dies = left.clone();
        let boundaries = Boundaries::watched_by(move |at| {
            if at == boundary && dies.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                panic!("the process dies at {at:?}");
            }
        });
        let world = World::with(Plan { boundaries, ..Plan::default() }).await;
        let request = world.app.clone().oneshot(place_request("k1", json!({ "to": CALLER })));
        assert!(tokio::spawn(request).await.is_err(), "{boundary:?}");
        assert_eq!(left.load(Ordering::SeqCst), 0);
        // The same request again, and then the worker's visit.
        let again = world.place("k1", json!({ "to": CALLER })).await;
        assert_eq!(again.status, 202, "{boundary:?}: {}", again.text());
        world.pass(Duration::from_secs(61)).await;
        world.worker.catch_up(10).await.unwrap();
        let created = world.twilio.memory(|memory| memory.created.len());
        let call = world.store.call(id_of(&again.json())).await.unwrap();
        assert_eq!(world.calls().await.len(), 1, "{boundary:?}");
        match boundary {
            // Nobody knew whether Twilio was asked, and it was not: failed, and never dialled.
            Boundary::Dialing => {
                assert_eq!((created, call.status, call.marks.dial), (0, Status::Failed, Some(Dial::Failed)))
            }
            Boundary::Opened | Boundary::Asked | Boundary::Dialed => {
                assert_eq!((created, call.marks.dial), (1, Some(Dial::Dialed)), "{boundary:?}");
                assert!(call.twilio_sid.is_some() && call.status == Status::Queued, "{boundary:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_call_for_a_callback_or_the_worker() {
    let world = World::new().await;
    world.twilio.memory(|memory| memory.loses_answers = true);
    let answer = world.place("k1", json!({ "to": CALLER })).await;
    assert_eq!(answer.status, 202);
    let id = id_of(&answer.json());
    assert_eq!(world.store.call(id).await.unwrap().marks.dial, Some(Dial::Dialing));
    assert_eq!(world.place("k1", json!({ "to": CALLER })).await.json()["twilio_sid"], json!(null));
    // A callback that names the call brings its id.
    let path = format!("/twilio/status?call={id}");
    assert_eq!(world.twilio(&path, &about(9_001, "outbound-api", "ringing")).await.status, 204);
    let call = world.store.call(id).await.unwrap();
    assert_eq!((call.marks.dial, call.status), (Some(Dial::Dialed), Status::Ringing));
    assert_eq!(world.twilio.memory(|memory| memory.created.len()), 1);
}

#[tokio::test]
async fn a_refusal_of_twilio_is_a_clear_problem_and_a_failed_call() {
    let world = World::new().await;
    for (n, (code, status)) in
        [(21_211, 400), (21_215, 403), (20_003, 502), (20_429, 429), (99_999, 502)].into_iter().enumerate()
    {
        world.twilio.memory(|memory| memory.refuses = Some(code));
        let answer = world.place(&format!("k{n}"), json!({ "to": CALLER })).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.json()["type"], "urn:switchboard:problem:twilio-refuses");
    }
    assert!(world.calls().await.iter().all(|call| call["status"] == "failed"));
}

#[tokio::test]
async fn bad_requests_are_told_all_that_is_wrong_and_nothing_is_written() {
    let world = World::new().await;
    let body = json!({ "to": "2025550123", "agent": "nobody", "engine": "siri", "from": "anonymous" });
    let answer = world.place("k1", body).await;
    assert_eq!(answer.status, 400);
    let names: Vec<String> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["to", "from", "engine", "agent"]);
    assert!(answer.text().contains("did you mean +12025550123?"));
    for (body, expected) in [
        (json!({ "to": CALLER, "variables": { "name": "x" } }), 400),
        (json!({ "to": CALLER, "too": 1 }), 400),
        (json!({ "to": "+19005550123" }), 403),
        (json!({ "to": "+442079460123" }), 403),
        (json!({ "to": "+88161234567" }), 403),
    ] {
        let answer = world.place("k2", body.clone()).await;
        assert_eq!(answer.status, expected, "{body}: {}", answer.text());
    }
    let no_key = crate::world::api_request("olga", http::Method::POST, "/v1/calls", Some(json!({ "to": CALLER })));
    let answer = world.send(no_key).await;
    assert_eq!((answer.status.as_u16(), answer.json()["errors"][0]["name"].clone()), (400, json!("Idempotency-Key")));
    assert!(world.calls().await.is_empty());
    assert_eq!(world.twilio.memory(|memory| memory.created.len()), 0);
}

#[tokio::test]
async fn live_calls_are_bounded_and_calls_follow_one_another() {
    let world = World::with(Plan { calls_max: 1, ..Plan::default() }).await;
    assert_eq!(world.place("k1", json!({ "to": CALLER })).await.status, 202);
    let answer = world.place("k2", json!({ "to": CALLER })).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "10"));

    // What was placed is placed: the same request hears of its call, at the limit too.
    let again = world.place("k1", json!({ "to": CALLER })).await;
    assert_eq!(again.status, 202);
    assert_eq!(world.twilio.memory(|memory| memory.created.len()), 1);
    // The end of a call makes room at once.
    let path = format!("/twilio/status?call={}", id_of(&again.json()));
    world.twilio(&path, &about(9_001, "outbound-api", "no-answer")).await;
    assert_eq!(world.place("k2", json!({ "to": CALLER })).await.status, 202);

    let world = World::with(Plan { calls_per_second: 1, ..Plan::default() }).await;
    assert_eq!(world.place("k1", json!({ "to": CALLER })).await.status, 202);
    let (clock, store) = (world.clock.clone(), world.store.clone());
    let second = world.place("k2", json!({ "to": CALLER }));
    let passes = async {
        // The second one waits for its turn, by the clock.
        while store.list_calls(&ListQuery { limit: 9, ..ListQuery::default() }, |_| true).await.unwrap().calls.len() < 2
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        clock.advance(Duration::from_secs(1));
    };
    let (second, ()) = tokio::join!(second, passes);
    assert_eq!(second.status, 202);
    // Who would wait for too long is sent away, and counts for nothing.
    let third = world.place("k3", json!({ "to": CALLER })).await;
    assert_eq!((third.status.as_u16(), third.header("retry-after")), (429, "1"));
    assert_eq!(world.store.placed_calls().await.unwrap(), 2);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.place("k3", json!({ "to": CALLER })).await.status, 202);
    assert_eq!(world.twilio.memory(|memory| memory.created.len()), 3);
}

#[tokio::test]
async fn one_number_is_called_so_often_and_no_more() {
    let world = World::new().await;
    for n in 0..30 {
        assert_eq!(world.place(&format!("k{n}"), json!({ "to": CALLER })).await.status, 202, "{n}");
    }
    let answer = world.place("k30", json!({ "to": CALLER })).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "60"));
    assert_eq!(world.place("other", json!({ "to": "+12025550177" })).await.status, 202);
}

#[tokio::test]
async fn a_hang_up_that_twilio_refuses_was_not_ours() {
    let world = World::new().await;
    for (knows, expected) in [(false, "caller"), (true, "operator")] {
        let sid = if knows { 2 } else { 1 };
        world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
        world.twilio("/twilio/status", &about(sid, "inbound", "in-progress")).await;
        let call = world.call_of(sid).await;
        if knows {
            let known = json!({ "sid": call.twilio_sid, "status": "in-progress" });
            world.twilio.memory(|memory| memory.calls.push(known));
        }
        let path = format!("/v1/calls/{}/hangup", call.id);
        let status = world.api("olga", http::Method::POST, &path, None).await.status;
        assert_eq!(status, if knows { 202 } else { 503 });
        world.twilio("/twilio/status", &about(sid, "inbound", "completed")).await;
        let call = world.api("vic", http::Method::GET, &format!("/v1/calls/{}", call.id), None).await.json();
        assert_eq!(call["ended_by"], expected, "{call}");
    }
}
