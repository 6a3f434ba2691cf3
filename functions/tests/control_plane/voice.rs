//! Calls that come in, and callbacks about them.

use std::time::Duration;

use call::journal::EndedBy;
use serde_json::json;
use store::Status;
use wire::signed::Secrets;
use wire::token::StreamToken;
use wire::twilio::{CallSid, StreamSid};

use crate::world::{ACCOUNT, Plan, SECRET, World, about, with};

#[tokio::test]
async fn an_inbound_call_is_opened_prepared_and_connected() {
    let world = World::new().await;
    let answer = world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    insta::assert_snapshot!(answer.twiml(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Response>
    <Connect action="https://voice.example.com/twilio/voice/next?call=call_ID&amp;epoch=1#ct=2000&amp;rt=5000&amp;rc=2&amp;rp=ct,rt,5xx">
    <Stream url="wss://voice.example.com/media-stream/node-0" statusCallback="https://voice.example.com/twilio/stream?call=call_ID#rc=5&amp;rp=all">
    <Parameter name="call" value="call_ID"/>
    <Parameter name="token" value="TOKEN"/>
    </Stream>
    </Connect>
    </Response>
    "#);
    let call = world.call_of(1).await;
    let token =
        StreamToken::verify(&Secrets::parse(SECRET).unwrap(), &answer.token(), world.store.now().as_ms() / 1_000);
    let token = token.unwrap();
    assert_eq!((token.call, token.epoch, token.node.as_str()), (call.id.to_string(), 1, "node-0"));
    let prepared = world.nodes[0].memory(|memory| memory.prepared.clone());
    assert_eq!(prepared.len(), 1);
    assert_eq!((prepared[0].setup.call, prepared[0].setup.epoch), (call.id, 1));
    assert_eq!((prepared[0].account_sid.as_str(), prepared[0].call_sid), (ACCOUNT, Some(CallSid::from_number(1))));
    assert!(prepared[0].setup.history.is_empty());
}

#[tokio::test]
async fn a_retry_gets_the_same_epoch_and_node_with_a_fresh_token() {
    let world = World::with(Plan { nodes: 3, ..Plan::default() }).await;
    let first = world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    for _ in 0..4 {
        world.pass(Duration::from_secs(1)).await;
        let again = world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
        assert_eq!(again.twiml(), first.twiml());
        assert_ne!(again.token(), first.token());
    }
    assert_eq!(world.call_of(1).await.id, call.id);
    assert_eq!(world.calls().await.len(), 1);
}

#[tokio::test]
async fn simultaneous_requests_open_one_call() {
    let world = World::with(Plan { nodes: 2, ..Plan::default() }).await;
    let form = about(1, "inbound", "ringing");
    let (a, b, c) = tokio::join!(
        world.twilio("/twilio/voice", &form),
        world.twilio("/twilio/voice", &form),
        world.twilio("/twilio/voice", &form),
    );
    assert!(a.twiml() == b.twiml() && b.twiml() == c.twiml());
    assert_eq!(world.calls().await.len(), 1);
}

#[tokio::test]
async fn a_node_that_refuses_or_hangs_is_passed_over() {
    let world = World::with(Plan { nodes: 3, ..Plan::default() }).await;
    world.nodes[0].memory(|memory| memory.refuses = true);
    world.nodes[1].memory(|memory| memory.hangs = true);
    let began = std::time::Instant::now();
    let answer = world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    assert!(answer.twiml().contains("/media-stream/node-2"));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn without_a_node_the_caller_hears_an_honest_sentence() {
    let world = World::with(Plan { nodes: 0, ..Plan::default() }).await;
    let answer = world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    insta::assert_snapshot!(answer.twiml(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Response>
    <Say language="en-US">I'm sorry, we cannot take your call right now. Please try again later. Goodbye.</Say>
    <Hangup/>
    </Response>
    "#);
    assert_eq!(world.calls().await.len(), 1);
}

#[tokio::test]
async fn a_number_without_an_agent_is_turned_away() {
    let plan = Plan { agent: "engines = [\"hume\"]\ninstructions = \"Be kind.\"\n", ..Plan::default() };
    let world = World::with(plan).await;
    let answer = world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    assert!(answer.twiml().contains("<Reject/>"));
}

#[tokio::test]
async fn a_request_after_the_stream_goes_on_with_the_call() {
    let world = World::with(Plan { nodes: 2, ..Plan::default() }).await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    let node = call.node().unwrap().to_owned();
    world.store.claim_stream(call.id, 1, &node, StreamSid::from_number(1)).await.unwrap();
    let answer = world.twilio("/twilio/voice?again=1", &about(1, "inbound", "in-progress")).await;
    assert!(answer.twiml().contains("epoch=2"), "{}", answer.twiml());
    assert_eq!(world.call_of(1).await.epoch, 2);
}

#[tokio::test]
async fn callbacks_in_any_order_and_number_make_the_same_record() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let mut completed = about(1, "inbound", "completed");
    completed.push("CallDuration", "42");
    completed.push("Timestamp", "Fri, 20 Nov 2026 10:01:00 +0000");
    for status in ["completed", "in-progress", "completed", "ringing", "busy"] {
        let form = if status == "completed" { completed.clone() } else { about(1, "inbound", status) };
        assert_eq!(world.twilio("/twilio/status", &form).await.status, 204);
    }
    let call = world.call_of(1).await;
    assert_eq!((call.status, call.duration_s), (Status::Completed, Some(42)));
    assert_eq!(call.ended_at.unwrap().to_string(), "2026-11-20T10:01:00.000Z");
    // The stream never came: the node is told that its prepared engine is not needed.
    assert_eq!(world.nodes[0].memory(|memory| memory.commands.len()), 1);
    // A call that is not ours, and a status that nobody knows yet.
    assert_eq!(world.twilio("/twilio/status", &about(7, "inbound", "completed")).await.status, 204);
    assert_eq!(world.twilio("/twilio/status", &about(1, "inbound", "later")).await.status, 204);
}

#[tokio::test]
async fn the_fallback_redirects_once_and_needs_nothing() {
    let world = World::with(Plan { nodes: 0, ..Plan::default() }).await;
    let mut form = about(1, "inbound", "ringing");
    form.push("ErrorCode", "11200");
    form.push("ErrorUrl", "https://voice.example.com/twilio/voice");
    let answer = world.twilio("/twilio/voice/fallback", &form).await;
    insta::assert_snapshot!(answer.twiml(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Response>
    <Say language="en-US">I'm sorry, one moment please.</Say>
    <Redirect>https://voice.example.com/twilio/voice?again=1#ct=2000&amp;rt=5000&amp;rc=2&amp;rp=ct,rt,5xx</Redirect>
    <Hangup/>
    </Response>
    "#);
    let mut again = about(1, "inbound", "in-progress");
    again.push("ErrorUrl", "https://voice.example.com/twilio/voice?again=1");
    let answer = world.twilio("/twilio/voice/fallback", &again).await;
    assert!(!answer.twiml().contains("Redirect") && answer.twiml().contains("Hangup"));
    assert!(world.calls().await.is_empty());
}

#[tokio::test]
async fn a_repeat_that_comes_when_the_stream_is_up_leaves_the_call_alone() {
    let world = World::with(Plan { nodes: 2, ..Plan::default() }).await;
    let first = world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    let node = call.node().unwrap().to_owned();
    world.store.claim_stream(call.id, 1, &node, StreamSid::from_number(1)).await.unwrap();
    let prepared =
        |world: &World| world.nodes.iter().map(|node| node.memory(|memory| memory.prepared.len())).sum::<usize>();
    let before = prepared(&world);
    for status in ["ringing", "in-progress"] {
        let answer = world.twilio("/twilio/voice", &about(1, "inbound", status)).await;
        assert_eq!(answer.twiml(), first.twiml(), "{status}");
    }
    assert_eq!((world.call_of(1).await.epoch, prepared(&world)), (1, before));
}

#[tokio::test]
async fn a_store_that_is_slow_is_not_waited_for() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    world.faults.set_delay(Duration::from_secs(3));
    let began = std::time::Instant::now();
    let next = format!("/twilio/voice/next?call={}&epoch=1", call.id);
    let (ringing, talking) = (about(2, "inbound", "ringing"), about(1, "inbound", "in-progress"));
    let (next_again, voice_again) = (format!("{next}&again=1"), "/twilio/voice?again=1");
    let (voice, next, voice_again, next_again) = tokio::join!(
        world.twilio("/twilio/voice", &ringing),
        world.twilio(&next, &talking),
        world.twilio(voice_again, &ringing),
        world.twilio(&next_again, &talking),
    );
    assert!(began.elapsed() < Duration::from_secs(6), "Twilio would have given up long ago");
    insta::assert_snapshot!(voice.twiml(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Response>
    <Say language="en-US">I'm sorry, one moment please.</Say>
    <Redirect>https://voice.example.com/twilio/voice?again=1#ct=2000&amp;rt=5000&amp;rc=2&amp;rp=ct,rt,5xx</Redirect>
    <Hangup/>
    </Response>
    "#);
    insta::assert_snapshot!(next.twiml(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Response>
    <Say language="en-US">I'm sorry, one moment please.</Say>
    <Redirect>https://voice.example.com/twilio/voice/next?call=call_ID&amp;epoch=1&amp;again=1#ct=2000&amp;rt=5000&amp;rc=2&amp;rp=ct,rt,5xx</Redirect>
    <Hangup/>
    </Response>
    "#);
    for answer in [voice_again, next_again] {
        let text = answer.twiml();
        assert!(text.contains("cannot take your call") && !text.contains("Redirect"), "{text}");
    }
    // Once the store is well again, so is the call.
    world.faults.set_delay(Duration::ZERO);
    world.heartbeat().await;
    assert!(
        world.twilio("/twilio/voice?again=1", &about(1, "inbound", "in-progress")).await.twiml().contains("epoch=1")
    );
}

#[tokio::test]
async fn a_node_that_may_have_been_prepared_in_vain_is_let_go_and_the_other_one_is_the_calls() {
    let world = World::with(Plan { nodes: 2, ..Plan::default() }).await;
    world.nodes[0].memory(|memory| memory.mumbles = true);
    for sid in 1..=6 {
        let answer = world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
        assert!(answer.twiml().contains("/media-stream/node-1"));
        assert_eq!(world.call_of(sid).await.node(), Some("node-1"), "who is prepared is who is told of the end");
    }
    let (prepared, let_go) = world.nodes[0].memory(|memory| (memory.prepared.len(), memory.commands.len()));
    assert!(prepared > 0 && prepared == let_go, "of {prepared} that may wait, {let_go} were let go");
    assert_eq!(world.nodes[1].memory(|memory| memory.commands.len()), 0);
}

#[tokio::test]
async fn an_end_that_nobody_reports_is_asked_for() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    world.store.claim_stream(call.id, 1, "node-0", StreamSid::from_number(1)).await.unwrap();
    let sid = call.twilio_sid.unwrap().to_string();
    world.twilio.memory(|memory| memory.calls = vec![json!({ "sid": sid, "status": "in-progress" })]);
    let mut stopped = wire::twilio::Form::new();
    let stream = StreamSid::from_number(1).to_string();
    for (name, value) in
        [("AccountSid", ACCOUNT), ("CallSid", &sid), ("StreamSid", &stream), ("StreamEvent", "stream-stopped")]
    {
        stopped.push(name, value);
    }
    let path = format!("/twilio/stream?call={}", call.id);
    assert_eq!(world.twilio(&path, &stopped).await.status, 204);
    // Somebody else may have taken over: then the call goes on.
    world.pass(Duration::from_secs(10)).await;
    world.worker.catch_up(5).await.unwrap();
    assert_eq!(world.call_of(1).await.status, Status::InProgress);
    let over =
        json!({ "sid": sid, "status": "completed", "duration": "42", "end_time": "Fri, 20 Nov 2026 10:00:45 +0000" });
    world.twilio.memory(|memory| memory.calls = vec![over]);
    world.pass(Duration::from_secs(60)).await;
    world.worker.catch_up(5).await.unwrap();
    let call = world.call_of(1).await;
    assert_eq!((call.status, call.duration_s), (Status::Completed, Some(42)));
    assert_eq!(call.ended_at.unwrap().to_string(), "2026-11-20T10:00:45.000Z");
    // The end of a stream that is history says nothing.
    world.twilio("/twilio/voice", &about(2, "inbound", "ringing")).await;
    let call = world.call_of(2).await;
    world.store.claim_stream(call.id, 1, "node-0", StreamSid::from_number(2)).await.unwrap();
    let other = CallSid::from_number(2).to_string();
    let mut history = wire::twilio::Form::new();
    for (name, value) in
        [("AccountSid", ACCOUNT), ("CallSid", &other), ("StreamSid", &stream), ("StreamEvent", "stream-stopped")]
    {
        history.push(name, value);
    }
    world.twilio(&format!("/twilio/stream?call={}", call.id), &history).await;
    assert_eq!(world.call_of(2).await.marks.doubted_at, None);
}

#[tokio::test]
async fn the_record_of_an_end_does_not_depend_on_who_says_it_first() {
    let world = World::new().await;
    let mut records = Vec::new();
    for (sid, order) in (1..).zip([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]) {
        world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
        let id = world.call_of(sid).await.id;
        let (callback, next) = (format!("/twilio/status?call={id}"), format!("/twilio/voice/next?call={id}&epoch=1"));
        let answered = [("Timestamp", "Fri, 20 Nov 2026 10:00:04 +0000")];
        let ended = [("Timestamp", "Fri, 20 Nov 2026 10:00:35 +0000"), ("CallDuration", "31")];
        for _ in 0..2 {
            for n in order {
                let answer = match n {
                    0 => world.twilio(&callback, &with(about(sid, "inbound", "in-progress"), &answered)).await,
                    1 => world.twilio(&callback, &with(about(sid, "inbound", "completed"), &ended)).await,
                    _ => world.twilio(&next, &about(sid, "inbound", "completed")).await,
                };
                assert!(answer.status.is_success());
            }
        }
        let call = world.call_of(sid).await;
        records.push((call.status, call.answered_at, call.ended_at, call.duration_s, call.ended_by, call.end_reason));
    }
    assert_eq!((records[0].3, records[0].4), (Some(31), Some(EndedBy::Caller)));
    assert!(records.iter().all(|record| *record == records[0]), "{records:#?}");
}
