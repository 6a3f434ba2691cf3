//! Reading the call log, and steering calls.

use std::time::Duration;

use bytes::Bytes;
use call::journal::{Entry, Kind, Speaker, Turn};
use http::Method;
use serde_json::json;
use store::{RecordingState, StatusFact};
use wire::twilio::StreamSid;

use crate::outcomes::{BOOKING, call_with};
use crate::world::{Plan, World, about, api_request};

const RECORDED: &str = "default = true\nengines = [\"hume\"]\ninstructions = \"Be kind.\"\ndisclosure = \"I am an AI.\"\nrecording = true\n";

#[tokio::test]
async fn lists_are_paged_and_filtered_and_name_what_they_do_not_know() {
    let world = World::new().await;
    for sid in 1..=5 {
        world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
        world.pass(Duration::from_secs(1)).await;
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
        ("/v1/calls?q=%21", "q"),
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
    world.pass(Duration::from_secs(60)).await;
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
    let etag = whole.header("etag").to_owned();
    let going_on = async |tag: &str| {
        let mut request = api_request("vic", Method::GET, &path, None);
        request.headers_mut().insert("range", "bytes=100-199".parse().unwrap());
        request.headers_mut().insert("if-range", tag.parse().unwrap());
        world.send(request).await
    };
    assert_eq!(going_on(&etag).await.status, 206);
    let fresh = going_on("\"another\"").await;
    assert_eq!((fresh.status.as_u16(), fresh.body.len()), (200, total), "another file by now: all of it");

    // A segment that comes after the joining is joined as well.
    world.store.put_segment(call.id, 1, 1, Bytes::from(vec![0x55; 16_000])).await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    world.worker.catch_up(5).await.unwrap();
    let longer = world.api("vic", Method::GET, &path, None).await;
    assert_eq!(longer.body.len(), 58 + 160_000 + 16_000, "a segment has its place, however short the one before");
    assert_ne!(longer.header("etag"), etag);
    assert_eq!(going_on(&etag).await.status, 200, "not the rest of another file");
    let total = longer.body.len();
    let rounds = world.worker.catch_up(5).await.unwrap();
    assert!(rounds.is_empty(), "nothing has changed since: {rounds:?}");

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

#[tokio::test]
async fn what_a_lambda_cannot_answer_is_fetched_from_where_it_is() {
    let world = World::with(Plan { agent: RECORDED, part_bytes_max: Some(1_000), ..Plan::default() }).await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    world.store.put_segment(call.id, 1, 0, Bytes::from(vec![0x55; 16_000])).await.unwrap();
    world.twilio("/twilio/status", &about(1, "inbound", "completed")).await;
    world.pass(Duration::from_secs(60)).await;
    world.worker.catch_up(5).await.unwrap();
    let path = format!("/v1/calls/{}/recording", call.id);
    let answer = world.api("vic", Method::GET, &path, None).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (307, 0));
    let fetched = reqwest::get(answer.header("location")).await.unwrap();
    assert_eq!(fetched.status(), 200);
    assert_eq!(fetched.bytes().await.unwrap().len(), 58 + 16_000);
    let mut request = api_request("vic", Method::GET, &path, None);
    request.headers_mut().insert("range", "bytes=0-".parse().unwrap());
    let part = world.send(request).await;
    assert_eq!((part.status.as_u16(), part.body.len()), (206, 1_000), "players ask on");
}

#[tokio::test]
async fn an_erased_call_is_gone_at_once_and_who_touched_it_is_known() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    let path = format!("/v1/calls/{}", call.id);
    assert_eq!(world.api("ada", Method::DELETE, &path, None).await.status, 409, "under way");
    world.twilio("/twilio/status", &about(1, "inbound", "completed")).await;
    for _ in 0..3 {
        assert_eq!(world.api("vic", Method::GET, &format!("{path}/transcript"), None).await.status, 200);
    }
    assert_eq!(world.api("olga", Method::DELETE, &path, None).await.status, 403);
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.api("ada", Method::DELETE, &path, None).await.status, 202);
    for part in ["", "/transcript", "/journal", "/recording", "/waveform"] {
        assert_eq!(world.api("vic", Method::GET, &format!("{path}{part}"), None).await.status, 410, "{part}");
    }
    assert_eq!(world.api("ada", Method::DELETE, &path, None).await.status, 410);
    // Late callbacks are taken, and change nothing.
    assert_eq!(
        world.twilio(&format!("/twilio/status?call={}", call.id), &about(1, "inbound", "completed")).await.status,
        204
    );
    assert!(world.calls().await.is_empty());
    assert_eq!(world.api("vic", Method::GET, &format!("{path}/access"), None).await.status, 403);
    let access = world.api("ada", Method::GET, &format!("{path}/access"), None).await.json();
    let seen: Vec<_> = access["access"].as_array().unwrap().iter().map(|a| (&a["who"], &a["what"])).collect();
    assert_eq!(seen, [(&json!("vic"), &json!("transcript")), (&json!("ada"), &json!("erased"))]);
}

#[tokio::test]
async fn what_is_held_about_a_number_is_exported_and_erased() {
    let world = World::new().await;
    for sid in 1..=12 {
        world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
        world.twilio("/twilio/status", &about(sid, "inbound", "completed")).await;
    }
    let path = "/v1/numbers/%2B12025550123";
    assert_eq!(world.api("olga", Method::GET, path, None).await.status, 403);
    assert_eq!(world.api("ada", Method::GET, "/v1/numbers/anonymous", None).await.status, 400);
    let page = world.api("ada", Method::GET, path, None).await.json();
    assert_eq!((&page["number"], page["calls"].as_array().unwrap().len()), (&json!("+12025550123"), 10));
    assert_eq!(page["calls"][0]["items"]["CALL"]["phone"], "+12025550123");
    assert!(page["calls"][0]["items"]["SCRIPT"].is_object());
    world.pass(Duration::from_secs(1)).await;
    let rest = format!("{path}?cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = world.api("ada", Method::GET, &rest, None).await.json();
    assert_eq!((rest["calls"].as_array().unwrap().len(), &rest["next_cursor"]), (2, &json!(null)));

    world.pass(Duration::from_secs(1)).await;
    let erased = world.api("ada", Method::DELETE, path, None).await;
    assert_eq!((erased.status.as_u16(), &erased.json()["erased"]), (202, &json!(12)), "{}", erased.text());
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.api("ada", Method::GET, path, None).await.json()["calls"], json!([]));
    let log = world.api("ada", Method::GET, "/v1/access?month=2026-11", None).await.json();
    let what: Vec<_> = log["access"].as_array().unwrap().iter().map(|a| (&a["what"], &a["calls"])).collect();
    let (exported, erased) = (json!("exported"), json!("erased"));
    let (ten, two, twelve, none) = (json!(10), json!(2), json!(12), json!(0));
    assert_eq!(what, [(&exported, &ten), (&exported, &two), (&erased, &twelve), (&exported, &none)]);
    assert_eq!(world.api("ada", Method::GET, "/v1/access?month=soon", None).await.status, 400);
}

#[tokio::test]
async fn what_has_expired_is_in_no_answer_at_once_and_the_worker_removes_it() {
    let world = World::new().await;
    let id = call_with(&world, &BOOKING).await;
    world.store.put_segment(id, 1, 1, Bytes::from_static(b"sound")).await.unwrap();
    world.worker.catch_up(5).await.unwrap();
    let paths = ["", "/transcript", "/journal", "/recording", "/waveform"].map(|part| format!("/v1/calls/{id}{part}"));
    assert_eq!(world.api("vic", Method::GET, &paths[1], None).await.status, 200);
    world.pass(Duration::from_secs(365 * 24 * 3_600)).await;
    for path in &paths {
        assert_eq!(world.api("ada", Method::GET, path, None).await.status, 404, "{path}");
    }
    assert!(world.calls().await.is_empty());
    for list in ["/v1/calls?phone=%2B12025550123", "/v1/calls?status=completed", "/v1/numbers/%2B12025550123"] {
        let calls = world.api("ada", Method::GET, list, None).await.json();
        assert_eq!(calls["calls"], json!([]), "{list}");
    }
    assert_eq!(world.store.segments(id).await.unwrap().len(), 1, "nobody has removed anything yet");
    world.worker.catch_up(10).await.unwrap();
    assert_eq!(world.store.segments(id).await.unwrap(), [], "the worker removes what is over");
    assert_eq!(world.store.dead_work().await.unwrap(), []);
}
