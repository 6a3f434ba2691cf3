//! Calls that we place: once each, and with an end that says how they ended.

use std::time::Duration;

use serde_json::{Value, json};
use sim::evi::Record;
use sim::phone::{Act, CallerScript, Cue};
use sim::twilio::{Callee, Pickup};
use whole_calls::people::{asks_for_the_hours, hangs_up_into_speech, say, says};
use whole_calls::{House, NUMBER, Options, QUICK_NUMBER, judge};

const SOON: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(60);

fn id_of(placed: &whole_calls::Answer) -> String {
    placed.json()["id"].as_str().unwrap_or_else(|| panic!("{}: {}", placed.status, placed.json())).to_owned()
}

fn dials(house: &House, to: &str) -> usize {
    house.twilio.calls().iter().filter(|call| call.to == to).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_double_click_is_one_call_and_bad_requests_are_none() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    let to = "+12025550151";
    house.twilio.set_callee(to, Callee::answers(SOON, says(&["caller-thanks-bye"])));
    let body = json!({"to": to, "agent": "quick"});
    let (one, two, three) =
        tokio::join!(house.place("click", &body), house.place("click", &body), house.place("click", &body));
    let answers = [one.unwrap(), two.unwrap(), three.unwrap()];
    assert!(answers.iter().all(|answer| answer.status == 202), "{answers:?}");
    assert!(answers.iter().all(|answer| id_of(answer) == id_of(&answers[0])));
    let other = house.place("click", &json!({"to": to, "agent": "survey"})).await.unwrap();
    assert_eq!((other.status, other.header("content-type")), (422, "application/problem+json"), "{}", other.json());
    for (body, status) in [
        (json!({"to": "555-0123"}), 400),
        (json!({"to": "+1202555"}), 400),
        (json!({"to": "+442079460123"}), 403),
        (json!({"to": to, "agent": "nobody"}), 400),
        (json!({"to": to, "unknown": 1}), 400),
    ] {
        let refused = house.place("bad", &body).await.unwrap();
        assert_eq!(refused.status, status, "{body}: {}", refused.json());
    }
    let record = house.final_record(&id_of(&answers[0]), PATIENCE).await.unwrap();
    assert_eq!((&record["status"], &record["end_reason"]), (&json!("completed"), &json!("said_goodbye")), "{record:#}");
    // After the end as well, the key belongs to this call.
    let again = house.place("click", &body).await.unwrap();
    assert_eq!((again.status, id_of(&again)), (202, id_of(&answers[0])));
    assert_eq!((dials(&house, to), house.twilio.calls().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_nobody_takes_say_why_and_a_person_can_end_any() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    let silent = CallerScript::new();
    let cases = [
        ("+12025550161", Callee::other(SOON, Pickup::Busy), ["busy", "system", "busy"]),
        ("+12025550162", Callee::other(SOON, Pickup::Fails(404)), ["failed", "system", "error"]),
        ("+12025550163", Callee::other(SOON, Pickup::NeverAnswers), ["no_answer", "system", "no_answer"]),
        (
            "+12025550164",
            Callee::answers(Duration::from_secs(30), silent.clone()),
            ["canceled", "operator", "canceled"],
        ),
        ("+12025550165", Callee::answers(SOON, silent), ["completed", "operator", "hung_up"]),
    ];
    let mut ids = Vec::new();
    for (to, callee, _) in &cases {
        house.twilio.set_callee(to, callee.clone());
        ids.push(id_of(&house.place(to, &json!({"to": to, "agent": "quick"})).await.unwrap()));
    }
    house.record_when(&ids[3], PATIENCE, |record| record["status"] == "ringing").await.unwrap();
    house
        .entry_when(&ids[4], PATIENCE, |entry| matches!(entry.kind, call::journal::Kind::Speaking { .. }).then_some(()))
        .await
        .unwrap();
    for id in &ids[3..] {
        let answer = house.post(&format!("/v1/calls/{id}/hangup"), &json!({})).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.json());
    }
    for (id, (to, _, wanted)) in ids.iter().zip(&cases) {
        let record = house.final_record(id, Duration::from_secs(90)).await.unwrap();
        let found = [&record["status"], &record["ended_by"], &record["end_reason"]];
        assert_eq!(found.map(|field| field.as_str().unwrap_or("null")), *wanted, "{to}: {record:#}");
        assert_eq!(dials(&house, to), 1);
        let again = house.post(&format!("/v1/calls/{id}/hangup"), &json!({})).await.unwrap();
        assert_eq!(again.status, 409, "{}", again.json());
    }
    judge::is_complete(&house.journal(&ids[4], 1).await.unwrap(), "ended by a person");
}

/// Eight callers hang up: while it rings, in the greeting, in mid-turn, at moments that a seed chose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_hang_up_at_any_moment() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    let mut rng = fastrand::Rng::with_seed(11);
    let mut callers = vec![
        (QUICK_NUMBER, hangs_up_into_speech(Duration::from_millis(300))),
        (
            NUMBER,
            CallerScript::new()
                .answers(say("caller-hours"))
                .then(Cue::AgentSpeaking(Duration::from_millis(900)), Act::HangUp),
        ),
        // In the middle of their own words.
        (
            QUICK_NUMBER,
            CallerScript::new().then(Cue::At(SOON), Act::Press('1')).hangs_up_at(Duration::from_millis(900)),
        ),
    ];
    for _ in 0..5 {
        callers.push((QUICK_NUMBER, CallerScript::new().hangs_up_at(Duration::from_millis(rng.u64(5..4_000)))));
    }
    let sids: Vec<_> = callers.into_iter().map(|(number, script)| house.call_in(number, script)).collect();
    for sid in sids {
        let twilio = house.ended(sid, PATIENCE).await.unwrap();
        let Some(hung_up) = twilio.performed.last().map(|performed| performed.from) else { panic!("{twilio:#?}") };
        if twilio.requests.is_empty() {
            continue;
        }
        let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
        let record = house.final_record(&id, PATIENCE).await.unwrap();
        assert_eq!(record["ended_by"], "caller", "{record:#}");
        // A stream that ends while it is being set up may never have reached the call: there is nothing to write down.
        if twilio.streams.iter().all(|stream| stream.phone().frames_delivered() < 25) {
            continue;
        }
        let journal = house.journal(&id, 1).await.unwrap();
        judge::is_complete(&journal, "hung up");
        assert_eq!((&record["status"], &record["end_reason"]), (&json!("completed"), &json!("hung_up")), "{record:#}");
        for chat in house.chats_of(&journal) {
            engine_is_gone(&chat, hung_up);
        }
    }
    // The last caller's node may still be closing the engine, which may take a second.
    house.is_quiet(Duration::from_secs(10)).await.unwrap();
}

fn engine_is_gone(chat: &Record, hung_up: std::time::Instant) {
    let (at, how) = chat.ended.unwrap_or_else(|| panic!("the engine is still there"));
    let after = at.saturating_duration_since(hung_up);
    assert!(after <= Duration::from_secs(1), "the engine was closed {after:?} after the caller hung up: {how:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbound_call_from_an_odd_number_is_taken_and_kept_as_it_is() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    let mut sids = Vec::new();
    for from in ["anonymous", "client:alice", "sip:bob@example.com", "+266696687"] {
        sids.push((from, house.twilio.place_inbound(from, QUICK_NUMBER, asks_for_the_hours()).unwrap()));
    }
    for (from, sid) in sids {
        house.ended(sid, PATIENCE).await.unwrap();
        let record: Value = house.record_of(sid).await.unwrap();
        let record = house.final_record(record["id"].as_str().unwrap(), PATIENCE).await.unwrap();
        assert_eq!(
            (&record["from"], &record["phone"], &record["end_reason"]),
            (&json!(from), &json!(from), &json!("said_goodbye")),
            "{record:#}"
        );
    }
}
