//! Did a call lead to a booking: asked of a simulated Gemini that reads, fails, blocks and makes things up.

use std::time::Duration;

use call::CallId;
use call::journal::{Entry, Kind, Speaker, Turn};
use call::outcome::Outcome;
use clients::Gemini;
use functions::judge::Judge;
use functions::worker::Worker;
use http::Method;
use serde_json::json;
use sim::gemini::{Fault, Faults, GeminiConfig, server};
use store::{Analysis, Source, StatusFact};
use wire::gemini::response::{BlockReason, FinishReason};

use crate::world::{World, about};

pub(crate) const BOOKING: [(Speaker, &str); 3] = [
    (Speaker::Agent, "How can I help you today?"),
    (Speaker::Caller, "My name is Alex Morgan. Tuesday at ten, please."),
    (Speaker::Agent, "You are booked for Tuesday at ten."),
];

/// A call in which this was said, and which is over.
pub(crate) async fn call_with(world: &World, said: &[(Speaker, &str)]) -> CallId {
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let id = world.call_of(1).await.id;
    let at_ms = world.store.now().as_ms();
    let turn = |(n, (speaker, text)): (u32, &(Speaker, &str))| Turn {
        n,
        speaker: *speaker,
        text: (*text).to_owned(),
        heard_text: (*text).to_owned(),
        approximate: false,
        start_ms: u64::from(n) * 1_000,
        end_ms: u64::from(n) * 1_000 + 900,
        heard_ms: 900,
        interrupted: false,
        engine: None,
        expressions: Vec::new(),
    };
    let turns = (1..).zip(said).map(turn);
    let entries: Vec<Entry> =
        turns.map(|turn| Entry { epoch: 1, seq: u64::from(turn.n), at_ms, kind: Kind::Turn(turn) }).collect();
    world.store.append_journal(id, &entries).await.unwrap();
    let fact = StatusFact {
        status: store::Status::Completed,
        at: world.store.now(),
        source: Source::Callback,
        duration_s: Some(9),
        sip_code: None,
    };
    world.store.record_status(id, fact).await.unwrap();
    id
}

/// The simulated Gemini, and a worker that asks it.
async fn judged_by_gemini(world: &World, faults: Faults) -> (server::Handle, Worker) {
    let config = GeminiConfig { api_keys: vec!["key".to_owned()], ..GeminiConfig::default() };
    let service = server::start(config, faults).await.unwrap();
    let model = Gemini::MODEL.parse().unwrap();
    let gemini = Gemini::new(service.url.parse().unwrap(), "key".to_owned().into(), model).unwrap();
    let gemini = gemini.with_timeout(Duration::from_millis(1_500));
    (service, world.worker.clone().judged_by(Judge::Gemini(gemini)))
}

async fn analysis(world: &World, id: CallId) -> Analysis {
    world.store.analysis(id).await.unwrap().unwrap_or_default()
}

#[tokio::test]
async fn a_call_with_words_is_judged_when_it_is_over() {
    let world = World::new().await;
    let id = call_with(&world, &BOOKING).await;
    let (service, worker) = judged_by_gemini(&world, Faults::none()).await;
    world.pass(Duration::from_secs(6)).await;
    worker.catch_up(5).await.unwrap();
    worker.catch_up(5).await.unwrap();
    let path = format!("/v1/calls/{id}");
    let call = world.api("vic", Method::GET, &path, None).await.json();
    assert_eq!(call["outcome"], "yes");
    let judgement = &call["analysis"]["judgement"];
    assert_eq!(judgement["evidence"], "You are booked for Tuesday at ten.");
    assert_eq!((&judgement["evidence_found"], &judgement["evidence_turn"]), (&json!(true), &json!(3)));
    assert_eq!((&judgement["fields"]["name"], &judgement["model"]), (&json!("Alex Morgan"), &json!(Gemini::MODEL)));
    let listed = world.api("vic", Method::GET, "/v1/calls?outcome=yes", None).await.json();
    assert_eq!(listed["calls"].as_array().unwrap().len(), 1);
    let asked = service.asked();
    assert_eq!(asked.len(), 1);
    let text = asked[0].body["contents"][0]["parts"][0]["text"].as_str().unwrap();
    assert!(BOOKING.iter().all(|(_, words)| text.contains(words)), "the whole transcript: {text}");
}

#[tokio::test]
async fn without_a_key_a_rule_judges_and_says_so_and_silence_is_not_judged() {
    let world = World::new().await;
    let id = call_with(&world, &BOOKING).await;
    world.pass(Duration::from_secs(6)).await;
    world.worker.catch_up(5).await.unwrap();
    let judgement = analysis(&world, id).await.judgement.unwrap();
    assert_eq!((judgement.verdict.outcome, judgement.model.as_str()), (Outcome::Yes, "local-rule"));

    let silent = World::new().await;
    let id = call_with(&silent, &[(Speaker::Caller, " ")]).await;
    silent.pass(Duration::from_secs(6)).await;
    silent.worker.catch_up(5).await.unwrap();
    assert_eq!(silent.store.analysis(id).await.unwrap(), None);
    let again = silent.api("olga", Method::POST, &format!("/v1/calls/{id}/analyze"), None).await;
    assert_eq!(again.status, 409);
}

#[tokio::test]
async fn what_fails_is_asked_again_later_and_then_succeeds() {
    let world = World::new().await;
    let id = call_with(&world, &BOOKING).await;
    let faults = Faults::scripted([
        Fault::Limited { delay: Some(Duration::from_secs(600)), of_the_day: false },
        Fault::Stopped(FinishReason::MaxTokens),
        Fault::Late(Duration::from_secs(60)),
        Fault::Says("It went very well!".to_owned()),
    ]);
    let (service, worker) = judged_by_gemini(&world, faults).await;
    world.pass(Duration::from_secs(6)).await;
    worker.catch_up(5).await.unwrap();
    world.pass(Duration::from_secs(590)).await;
    worker.catch_up(5).await.unwrap();
    assert_eq!(service.asked().len(), 1, "it wanted to be left alone for ten minutes");
    world.pass(Duration::from_secs(20)).await;
    for _ in 0..4 {
        worker.catch_up(5).await.unwrap();
        assert_eq!(world.store.call(id).await.unwrap().outcome.is_some(), service.asked().len() == 5);
        world.pass(Duration::from_secs(300)).await;
    }
    assert_eq!(analysis(&world, id).await.judgement.unwrap().verdict.outcome, Outcome::Yes);
    let room = |n: usize| service.asked()[n].body["generationConfig"]["maxOutputTokens"].as_u64().unwrap();
    assert!(room(2) > room(1), "an answer that was cut off is given more room");
}

#[tokio::test]
async fn no_verdict_is_unclear_with_its_reason_and_never_a_guess() {
    for (fault, reason) in [
        (Fault::Blocked(BlockReason::ProhibitedContent), "blocked (PROHIBITED_CONTENT)"),
        (Fault::Stopped(FinishReason::Safety), "withheld (SAFETY)"),
        (Fault::NoCandidate, "empty"),
        (Fault::NotJson, "cannot be read"),
        (Fault::Says(r#"{"outcome":"probably","confidence":1}"#.to_owned()), "no verdict"),
        (Fault::Failing(503), "HTTP 503 UNAVAILABLE"),
    ] {
        let world = World::new().await;
        let id = call_with(&world, &BOOKING).await;
        let (service, worker) = judged_by_gemini(&world, Faults::always(fault)).await;
        for _ in 0..8 {
            world.pass(Duration::from_secs(600)).await;
            worker.catch_up(3).await.unwrap();
        }
        let judgement = analysis(&world, id).await.judgement.unwrap();
        assert_eq!((judgement.verdict.outcome, judgement.verdict.confidence), (Outcome::Unclear, 0.0));
        assert!(judgement.verdict.reason.contains(reason), "{}", judgement.verdict.reason);
        assert_eq!(service.asked().len(), 6, "{reason}");
        assert!(world.store.dead_work().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_judge_who_has_no_answer_the_second_time_takes_no_verdict_away() {
    let world = World::new().await;
    let id = call_with(&world, &BOOKING).await;
    world.pass(Duration::from_secs(6)).await;
    world.worker.catch_up(3).await.unwrap();
    let before = analysis(&world, id).await;
    assert_eq!(before.judgement.as_ref().unwrap().verdict.outcome, Outcome::Yes);
    let (service, worker) = judged_by_gemini(&world, Faults::always(Fault::Failing(503))).await;
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.api("olga", Method::POST, &format!("/v1/calls/{id}/analyze"), None).await.status, 202);
    for _ in 0..8 {
        world.pass(Duration::from_secs(600)).await;
        worker.catch_up(3).await.unwrap();
    }
    assert_eq!(service.asked().len(), 6);
    assert_eq!(analysis(&world, id).await, before);
    assert!(world.store.dead_work().await.unwrap().is_empty());
}

#[tokio::test]
async fn invented_evidence_is_flagged() {
    let world = World::new().await;
    let id = call_with(&world, &BOOKING).await;
    let lie = r#"{"evidence":"I confirm a table for six.","evidence_turn":2,"outcome":"yes","confidence":1,"reason":"Sure.","fields":{}}"#;
    let (_service, worker) = judged_by_gemini(&world, Faults::always(Fault::Says(lie.to_owned()))).await;
    world.pass(Duration::from_secs(6)).await;
    worker.catch_up(3).await.unwrap();
    let verdict = analysis(&world, id).await.judgement.unwrap().verdict;
    assert_eq!((verdict.evidence_found, verdict.evidence_turn), (false, None));
    assert_eq!(verdict.evidence.as_deref(), Some("I confirm a table for six."));
}

#[tokio::test]
async fn a_person_corrects_and_the_judge_looks_again() {
    let world = World::new().await;
    let id = call_with(&world, &BOOKING).await;
    let outcome = format!("/v1/calls/{id}/outcome");
    let body = json!({ "outcome": "no", "note": " It was a test. " });
    assert_eq!(world.api("vic", Method::PUT, &outcome, Some(body.clone())).await.status, 403);
    let corrected = world.api("olga", Method::PUT, &outcome, Some(body)).await.json();
    assert_eq!((&corrected["outcome"], &corrected["analysis"]["judgement"]), (&json!("no"), &json!(null)));
    for wrong in [json!({ "outcome": "maybe" }), json!({}), json!({ "outcome": "no", "why": "x" })] {
        assert_eq!(world.api("olga", Method::PUT, &outcome, Some(wrong)).await.status, 400);
    }
    let analyze = format!("/v1/calls/{id}/analyze");
    assert_eq!(world.api("vic", Method::POST, &analyze, None).await.status, 403);
    assert_eq!(world.api("olga", Method::POST, &analyze, None).await.status, 202);
    world.worker.catch_up(3).await.unwrap();
    let call = world.api("vic", Method::GET, &format!("/v1/calls/{id}"), None).await.json();
    assert_eq!(call["outcome"], "no", "the person's word stays in force");
    assert_eq!(call["analysis"]["judgement"]["outcome"], "yes");
    let correction = &call["analysis"]["correction"];
    assert_eq!((&correction["by"], &correction["note"]), (&json!("olga"), &json!("It was a test.")));
    assert_eq!(correction["at"], "2026-11-20T10:00:00.000Z");
    let unknown = "/v1/calls/call_01KAFGXWR00000000000000000/outcome";
    assert_eq!(world.api("olga", Method::PUT, unknown, Some(json!({ "outcome": "no" }))).await.status, 404);
    world.twilio("/twilio/voice", &about(2, "inbound", "ringing")).await;
    let live = world.call_of(2).await.id;
    let too_early = world.api("olga", Method::POST, &format!("/v1/calls/{live}/analyze"), None).await;
    assert_eq!(too_early.status, 409);
}
