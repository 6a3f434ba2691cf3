//! Reading the call log, and steering calls.

use bytes::Bytes;
use call::journal::{Entry, Kind, Speaker, Turn};
use http::Method;
use serde_json::json;
use store::{RecordingState, StatusFact};
use wire::twilio::StreamSid;

use crate::world::{Plan, World, about, api_request};

const RECORDED: &str = "default = true\nengines = [\"hume\"]\ninstructions = \"Be kind.\"\ndisclosure = \"I am an AI.\"\nrecording = true\n";

#[tokio::test]
async fn lists_are_paged_and_filtered_and_name_what_they_do_not_know() {
    let world = World::new().await;
    for sid in 1..=5 {
        world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
        world.pass(std::time::Duration::from_secs(1)).await;
    }
    world.twilio("/twilio/status", &about(2, "inbound", "no-answer")).await;
    let page = world.api("vic", Method::GET, "/v1/calls?limit=3", None).await.json();
    assert_eq!(page["calls"].as_array().unwrap().len(), 3);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.api("vic", Method::GET, &format!("/v1/calls?limit=3&cursor={cursor}"), None).await.json();
    assert_eq!((rest["calls"].as_array().unwrap().len(), &rest["next_cursor"]), (2, &json!(null)));
    let filtered = world.api("vic", Method::GET, "/v1/calls?status=no_answer&direction=inbound", None).await.json();
    assert_eq!(filtered["calls"].as_array().unwrap().len(), 1);
    let days = world.api("vic", Method::GET, "/v1/calls?from=2026-11-21", None).await.json();
    assert_eq!(days["calls"], json!([]));
    for (path, name) in [
        ("/v1/calls?colour=red", "colour"),
        ("/v1/calls?limit=0", "limit"),
        ("/v1/calls?q=hello", "q"),
        ("/v1/calls?cursor=abc", "cursor"),
    ] {
        let answer = world.api("vic", Method::GET, path, None).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(name), "{}", answer.text());
    }
    let other = world.api("vic", Method::GET, &format!("/v1/calls?status=busy&cursor={cursor}"), None).await;
    assert_eq!(other.status, 400);
}

#[tokio::test]
async fn a_transcript_comes_in_three_forms_and_a_journal_in_parts() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    let turn = Turn {
        n: 1,
        speaker: Speaker::Agent,
        text: "Hello.".into(),
        heard_text: "Hello.".into(),
        approximate: false,
        start_ms: 40,
        end_ms: 900,
        heard_ms: 860,
        interrupted: false,
        engine: None,
        expressions: Vec::new(),
    };
    let at_ms = world.store.now().as_ms();
    let entries = [
        Entry { epoch: 1, seq: 1, at_ms, kind: Kind::StreamStarted { stream_sid: "MZ1".into() } },
        Entry { epoch: 1, seq: 2, at_ms, kind: Kind::Turn(turn) },
    ];
    world.store.append_journal(call.id, &entries).await.unwrap();
    let path = format!("/v1/calls/{}", call.id);
    let get = async |part: &str| world.api("vic", Method::GET, &format!("{path}{part}"), None).await;
    assert_eq!(get("/transcript").await.json()["turns"][0]["heard_text"], "Hello.");
    assert_eq!(get("/transcript?format=txt").await.text(), "[00:00] Agent: Hello.\n");
    let mut request = api_request("vic", Method::GET, &format!("{path}/transcript"), None);
    request.headers_mut().insert("accept", "text/vtt".parse().unwrap());
    assert!(world.send(request).await.text().starts_with("WEBVTT\n"));
    assert_eq!(get("/transcript?format=pdf").await.status, 400);

    let journal = get("/journal?limit=1").await.json();
    assert_eq!((&journal["next_after"], &journal["more"]), (&json!("1.1"), &json!(true)));
    assert_eq!(journal["entries"][0]["at"], "2026-11-20T10:00:00.000Z");
    let rest = get("/journal?after=1.1").await.json();
    assert_eq!((rest["entries"][0]["kind"].as_str(), &rest["more"]), (Some("turn"), &json!(false)));
    assert_eq!(get("/journal?after=2").await.status, 400);
    assert_eq!(get("/recording").await.status, 404);
    assert_eq!(world.api("vic", Method::GET, "/v1/calls/call_1", None).await.status, 404);
}

#[tokio::test]
async fn a_recording_is_joined_by_the_worker_and_served_in_ranges() {
    let world = World::with(Plan { agent: RECORDED, ..Plan::default() }).await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    let path = format!("/v1/calls/{}/recording", call.id);
    let pending = world.api("vic", Method::GET, &path, None).await;
    assert_eq!((pending.status.as_u16(), pending.header("retry-after")), (404, "5"));
    let at_ms = world.store.now().as_ms();
    let start = Entry { epoch: 1, seq: 1, at_ms, kind: Kind::StreamStarted { stream_sid: "MZ1".into() } };
    world.store.append_journal(call.id, &[start]).await.unwrap();
    world.store.put_segment(call.id, 1, 0, Bytes::from(vec![0x55; 16_000])).await.unwrap();
    let fact = StatusFact {
        status: store::Status::Completed,
        source: store::Source::Callback,
        at: world.store.now(),
        duration_s: Some(1),
        sip_code: None,
    };
    world.store.record_status(call.id, fact).await.unwrap();
    world.pass(std::time::Duration::from_secs(60)).await;
    world.worker.catch_up(5).await.unwrap();
    assert_eq!(world.call_of(1).await.recording, Some(RecordingState::Ready));

    let whole = world.api("vic", Method::GET, &path, None).await;
    assert_eq!((whole.status.as_u16(), whole.header("content-type")), (200, "audio/wav"));
    assert!(whole.body.starts_with(b"RIFF") && whole.body.len() > 16_000);
    let total = whole.body.len();
    let ranged = async |range: &str| {
        let mut request = api_request("vic", Method::GET, &path, None);
        request.headers_mut().insert("range", range.parse().unwrap());
        world.send(request).await
    };
    let part = ranged("bytes=100-199").await;
    assert_eq!((part.status.as_u16(), part.body.as_slice()), (206, &whole.body[100..200]));
    assert_eq!(part.header("content-range"), format!("bytes 100-199/{total}"));
    assert_eq!(ranged("bytes=-10").await.body, whole.body[total - 10..]);
    let beyond = ranged(&format!("bytes={total}-")).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, format!("bytes */{total}").as_str()));
    let head = world.api("vic", Method::HEAD, &path, None).await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length"), head.body.len()),
        (200, total.to_string().as_str(), 0)
    );
    let waveform = world.api("vic", Method::GET, &path.replace("recording", "waveform"), None).await.json();
    assert_eq!(waveform["step_ms"], 20);
}

#[tokio::test]
async fn a_call_is_steered_through_its_node_and_ended_without_it() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    let path = format!("/v1/calls/{}", call.id);
    let post = async |part: &str, body| world.api("olga", Method::POST, &format!("{path}{part}"), body).await;
    assert_eq!(post("/say", Some(json!({ "text": "Hello." }))).await.status, 409);
    world.store.claim_stream(call.id, 1, "node-0", StreamSid::from_number(1)).await.unwrap();
    assert_eq!(post("/say", Some(json!({ "text": "Hello." }))).await.status, 202);
    assert_eq!(post("/say", Some(json!({ "text": " " }))).await.status, 400);
    assert_eq!(post("/instructions", Some(json!({ "instructions": "Be brief." }))).await.status, 202);
    assert_eq!(post("/transfer", Some(json!({ "to": "+12025550111" }))).await.status, 202);
    assert_eq!(post("/transfer", Some(json!({ "to": "+19005550123" }))).await.status, 403);
    assert_eq!(post("/hangup", None).await.status, 202);
    let commands = world.nodes[0].memory(|memory| memory.commands.clone());
    let names: Vec<&str> = commands.iter().map(|command| command["command"].as_str().unwrap()).collect();
    assert_eq!(names, ["say", "instruct", "transfer", "hang_up"]);
    assert_eq!(commands[3]["by"], "operator");

    world.nodes[0].memory(|memory| memory.refuses = true);
    assert_eq!(post("/say", Some(json!({ "text": "Hello." }))).await.status, 503);
    let sid = call.twilio_sid.unwrap().to_string();
    world.twilio.memory(|memory| memory.calls.push(json!({ "sid": sid, "status": "completed" })));
    assert_eq!(post("/hangup", None).await.status, 202);
    let (asked, form) = world.twilio.memory(|memory| memory.updated[0].clone());
    assert_eq!((asked, form.get("Status")), (sid, Some("completed")));
}
