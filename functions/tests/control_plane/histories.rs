//! A transcript with a hole, filled from what the simulated EVI remembers.

use std::time::{Duration, Instant};

use call::CallId;
use call::agent::EngineKind;
use call::journal::{Entry, Kind, StreamEnd};
use clients::Hume;
use http::Method;
use serde_json::{Value, json};
use sim::evi::fault::Faults;
use sim::evi::{EviConfig, Frame, Out, server};
use store::{Source, StatusFact};

use crate::world::{World, about};

/// A simulated EVI that held a conversation, now, and the id of its group.
async fn remembering_evi(world: &World) -> (server::Handle, String) {
    let starts_at_unix_ms = i64::try_from(world.store.now().as_ms()).unwrap();
    let config = EviConfig { api_keys: vec!["key".to_owned()], starts_at_unix_ms, ..EviConfig::default() };
    let evi = server::start(config, Faults::none(), 1).await.unwrap();
    let group = evi.with_model(|model| {
        let mut now = Instant::now();
        let session = model.connect(now, "/v0/evi/chat", Some("key")).unwrap().session;
        let mut group = None;
        let said = ["I'd like to book an appointment.", "Tuesday at ten, please."];
        let settings = json!({ "type": "session_settings", "audio": { "encoding": "linear16", "sample_rate": 8000, "channels": 1 } });
        let said = said.map(|text| json!({ "type": "user_input", "text": text }));
        for message in std::iter::once(settings).chain(said) {
            model.receive(now, session, Frame::Text(message.to_string()));
            for _ in 0..300 {
                now += Duration::from_millis(20);
                while let Some(out) = model.poll(now, session) {
                    let Out::Text(text) = out else { continue };
                    let message: Value = serde_json::from_str(&text).unwrap();
                    group = group.or_else(|| message["chat_group_id"].as_str().map(str::to_owned));
                }
            }
        }
        model.disconnect(now, session);
        group.unwrap()
    });
    (evi, group)
}

/// A call whose node wrote that it had begun, and perhaps that it had ended, and nothing in between.
async fn call_with_a_hole(world: &World, group: &str, ended: bool) -> CallId {
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let id = world.call_of(1).await.id;
    let at_ms = world.store.now().as_ms();
    let ready = Kind::EngineReady {
        engine: EngineKind::Hume,
        resumed: false,
        chat_group: Some(group.to_owned()),
        chat: None,
        took_ms: 1,
    };
    let mut kinds = vec![Kind::StreamStarted { stream_sid: "MZ1".into() }, ready];
    kinds.extend(ended.then_some(Kind::StreamEnded { why: StreamEnd::Stopped }));
    let entries = (1..).zip(kinds).map(|(seq, kind)| Entry { epoch: 1, seq, at_ms, kind });
    world.store.append_journal(id, &entries.collect::<Vec<_>>()).await.unwrap();
    world.store.record_engines(id, Some(EngineKind::Hume), &[EngineKind::Hume]).await.unwrap();
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

async fn transcript(world: &World, id: CallId) -> Vec<Value> {
    let answer = world.api("vic", Method::GET, &format!("/v1/calls/{id}/transcript"), None).await.json();
    answer["turns"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_words_of_a_node_that_died_come_from_the_engines_history_and_are_judged() {
    let world = World::new().await;
    let (evi, group) = remembering_evi(&world).await;
    let id = call_with_a_hole(&world, &group, false).await;
    let hume = Hume::new(evi.url.parse().unwrap(), "key".to_owned().into()).unwrap();
    let worker = world.worker.clone().remembering(Some(hume));
    for _ in 0..3 {
        world.pass(Duration::from_secs(25)).await;
        worker.catch_up(5).await.unwrap();
    }
    let turns = transcript(&world, id).await;
    let said: Vec<&str> =
        turns.iter().filter(|turn| turn["speaker"] == "caller").filter_map(|turn| turn["text"].as_str()).collect();
    assert_eq!(said, ["I'd like to book an appointment.", "Tuesday at ten, please."]);
    assert!(turns.iter().any(|turn| turn["speaker"] == "agent"), "{turns:?}");
    assert!(turns.iter().all(|turn| turn["source"] == "engine_history" && turn["approximate"] == true), "{turns:?}");
    assert!(turns.iter().map(|turn| turn["start_ms"].as_u64()).is_sorted());
    assert!(world.store.analysis(id).await.unwrap().is_some(), "what was filled in is judged");
    world.pass(Duration::from_secs(60)).await;
    worker.catch_up(5).await.unwrap();
    let found = world.api("vic", Method::GET, "/v1/calls?q=tuesday%20appointments", None).await.json();
    assert_eq!(found["calls"][0]["id"], json!(id), "what was filled in is found");
    // Once more is the same.
    world.store.add_work(id, store::WorkKind::FillTranscript, world.store.now()).await.unwrap();
    worker.catch_up(5).await.unwrap();
    assert_eq!(transcript(&world, id).await, turns);
}

#[tokio::test]
async fn a_whole_transcript_is_left_alone_and_a_service_that_is_gone_is_no_failure() {
    let world = World::new().await;
    let (evi, group) = remembering_evi(&world).await;
    let id = call_with_a_hole(&world, &group, true).await;
    let hume = Hume::new(evi.url.parse().unwrap(), "key".to_owned().into()).unwrap();
    world.pass(Duration::from_secs(25)).await;
    world.worker.clone().remembering(Some(hume.clone())).catch_up(5).await.unwrap();
    assert!(transcript(&world, id).await.is_empty(), "the stream has an end, so nothing is missing");

    let world = World::new().await;
    call_with_a_hole(&world, "00000000-0000-4000-8000-000000000000", false).await;
    world.pass(Duration::from_secs(25)).await;
    let round = world.worker.clone().remembering(Some(hume)).catch_up(5).await.unwrap();
    assert_eq!(round.failed, 0, "{round:?}");
}

#[tokio::test]
async fn a_chat_that_only_hume_reported_fills_the_transcript_and_is_gone_on_with() {
    let world = World::new().await;
    let (evi, group) = remembering_evi(&world).await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let id = world.call_of(1).await.id;
    let at_ms = world.store.now().as_ms();
    let started = Entry { epoch: 1, seq: 1, at_ms, kind: Kind::StreamStarted { stream_sid: "MZ1".into() } };
    world.store.append_journal(id, &[started]).await.unwrap();
    let report = store::Chat::new(EngineKind::Hume, group.clone(), "c-1".to_owned());
    world.store.record_chat(id, &report).await.unwrap();
    // The node died before it wrote that it had an engine: the next one goes on with the chat that is reported.
    world.store.claim_stream(id, 1, "node-0", wire::twilio::StreamSid::from_number(1)).await.unwrap();
    world.twilio(&format!("/twilio/voice/next?call={id}&epoch=1"), &about(1, "inbound", "in-progress")).await;
    let prepared = world.nodes[0].memory(|memory| memory.prepared.last().unwrap().setup.clone());
    let chat = prepared.chat.map(|chat| (chat.engine, chat.group));
    assert_eq!((prepared.epoch, chat), (2, Some((EngineKind::Hume, group))));

    let fact = StatusFact {
        status: store::Status::Completed,
        source: Source::Callback,
        at: world.store.now(),
        duration_s: Some(9),
        sip_code: None,
    };
    world.store.record_status(id, fact).await.unwrap();
    world.store.add_work(id, store::WorkKind::FillTranscript, world.store.now()).await.unwrap();
    let hume = Hume::new(evi.url.parse().unwrap(), "key".to_owned().into()).unwrap();
    world.worker.clone().remembering(Some(hume)).catch_up(5).await.unwrap();
    assert!(!transcript(&world, id).await.is_empty());
}
