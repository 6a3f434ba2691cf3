//! Webhooks: signed, sent again, and never to where only we could reach.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::outcomes::{BOOKING, call_with};
use crate::world::{Plan, WEBHOOK_KEY, World, about};

/// A receiver that checks each signature as Standard Webhooks says, and answers as it is told.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
}

impl Receiver {
    async fn start(answers: &[u16]) -> (Self, String) {
        let receiver = Self::default();
        *receiver.answers.lock().unwrap() = answers.iter().map(|code| StatusCode::from_u16(*code).unwrap()).collect();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/calls", listener.local_addr().unwrap());
        let app = Router::new()
            .fallback(async |State(receiver): State<Self>, headers: HeaderMap, body: Bytes| {
                receiver.take(&headers, &body)
            })
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, url)
    }

    fn take(&self, headers: &HeaderMap, body: &[u8]) -> (StatusCode, HeaderMap) {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_KEY).unwrap();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
        self.got.lock().unwrap().push((id, serde_json::from_slice(body).unwrap()));
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(StatusCode::NO_CONTENT);
        let mut headers = HeaderMap::new();
        headers.insert("location", "http://127.0.0.1:9/".parse().unwrap());
        (answer, headers)
    }

    fn got(&self) -> Vec<(String, Value)> {
        self.got.lock().unwrap().clone()
    }
}

async fn world(url: String, allow_private: bool) -> World {
    World::with(Plan { webhook: Some((url, allow_private)), ..Plan::default() }).await
}

#[tokio::test]
async fn what_becomes_of_a_call_is_told_signed_and_once() {
    let (receiver, url) = Receiver::start(&[]).await;
    let world = world(url, true).await;
    for _ in 0..2 {
        world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
        world.worker.catch_up(5).await.unwrap();
    }
    for _ in 0..2 {
        world.twilio("/twilio/status", &about(1, "inbound", "completed")).await;
        world.worker.catch_up(5).await.unwrap();
    }
    let id = world.call_of(1).await.id.to_string();
    let ulid = id.trim_start_matches("call_");
    let got = receiver.got();
    let ids: Vec<_> = got.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids, [format!("evt_started_{ulid}"), format!("evt_ended_{ulid}")]);
    let body = &got[1].1;
    assert_eq!((&body["type"], &body["id"]), (&json!("call.ended"), &json!(ids[1])));
    assert_eq!((&body["data"]["id"], &body["data"]["status"]), (&json!(id), &json!("completed")));
    assert_eq!(body["timestamp"], body["data"]["ended_at"]);
}

#[tokio::test]
async fn a_receiver_that_fails_is_asked_again_with_the_same_event_and_redirects_lead_nowhere() {
    let (receiver, url) = Receiver::start(&[500, 302, 200]).await;
    let world = world(url, true).await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    for tries in 1..=3 {
        world.worker.catch_up(5).await.unwrap();
        assert_eq!(receiver.got().len(), tries);
        let at_once = world.worker.catch_up(5).await.unwrap();
        assert!(at_once.is_empty(), "not before its time: {at_once:?}");
        world.pass(Duration::from_secs(60)).await;
    }
    world.worker.catch_up(5).await.unwrap();
    let got = receiver.got();
    assert_eq!(got.len(), 3, "taken is taken");
    assert!(got.iter().all(|(id, body)| (id, body) == (&got[0].0, &got[0].1)), "{got:?}");
}

#[tokio::test]
async fn an_address_that_only_we_could_reach_is_refused_and_the_work_can_be_tried_again() {
    let (receiver, url) = Receiver::start(&[]).await;
    let port = url.split(':').next_back().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "169.254.169.254"] {
        let world = world(format!("http://{host}:{port}"), false).await;
        world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
        let tries = if host == "localhost" { 10 } else { 1 };
        for _ in 0..tries {
            let round = world.worker.catch_up(5).await.unwrap();
            assert!(round.failed >= 1, "{host}: {round:?}");
            world.pass(Duration::from_secs(3_600)).await;
        }
        if tries == 10 {
            let dead = world.api("vic", Method::GET, "/v1/work", None).await.json();
            let dead = dead["dead"].as_array().unwrap();
            let dead = dead.iter().find(|item| item["kind"] == "tell_started").unwrap();
            assert!(dead["last_error"].as_str().unwrap().contains("private"), "{dead}");
            let path = format!("/v1/work/{}/retry", dead["id"].as_str().unwrap());
            assert_eq!(world.api("ada", Method::POST, &path, None).await.status, 200);
            assert!(world.worker.catch_up(5).await.unwrap().failed >= 1, "tried again");
        }
    }
    assert!(receiver.got().is_empty());
}

#[tokio::test]
async fn each_judgement_and_each_correction_is_an_event_of_its_own_over_all_its_tries() {
    // Started and ended are taken, the first two judgements are not at first.
    let (receiver, url) = Receiver::start(&[200, 200, 500, 500]).await;
    let world = world(url, true).await;
    let id = call_with(&world, &BOOKING).await;
    world.worker.catch_up(5).await.unwrap();
    world.pass(Duration::from_secs(6)).await;
    world.worker.catch_up(5).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    let again = world.api("olga", Method::POST, &format!("/v1/calls/{id}/analyze"), None).await;
    assert_eq!(again.status, 202);
    world.worker.catch_up(5).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    let correction = json!({ "outcome": "no", "note": "a test" });
    world.api("olga", Method::PUT, &format!("/v1/calls/{id}/outcome"), Some(correction)).await;
    for _ in 0..4 {
        world.worker.catch_up(5).await.unwrap();
        world.pass(Duration::from_secs(60)).await;
    }
    let ulid = id.to_string().trim_start_matches("call_").to_owned();
    let got = receiver.got();
    let tries = |number: u32| -> Vec<Value> {
        let event = format!("evt_analyzed_{ulid}_{number}");
        got.iter().filter(|(id, _)| *id == event).map(|(_, body)| body.clone()).collect()
    };
    let (first, second, third) = (tries(1), tries(2), tries(3));
    assert_eq!((first.len(), second.len(), third.len()), (2, 2, 1), "{got:?}");
    assert_eq!(got.len(), 2 + 5, "and nothing else was told");
    for tries in [&first, &second, &third] {
        assert!(tries.iter().all(|body| body["timestamp"] == tries[0]["timestamp"]), "{tries:?}");
        assert!(tries.iter().all(|body| body["type"] == "call.analyzed" && body["id"] == tries[0]["id"]), "{tries:?}");
    }
    assert!(first[0]["timestamp"].as_str() < second[0]["timestamp"].as_str());
    assert_eq!((&first[0]["data"]["outcome"], &first[0]["data"]["analysis"]["revision"]), (&json!("yes"), &json!(1)));
    // An event that is told late tells of the call as it is then.
    assert_eq!((&first[1]["data"]["outcome"], &first[1]["data"]["analysis"]["revision"]), (&json!("no"), &json!(3)));
    assert_eq!(third[0]["data"]["analysis"]["correction"]["by"], "olga");
    assert_eq!(third[0]["data"]["analysis"]["judgement"]["outcome"], "yes");
}
