//! Calls that come in, and callbacks about them.

use std::time::Duration;

use store::Status;
use wire::signed::Secrets;
use wire::token::StreamToken;
use wire::twilio::{CallSid, StreamSid};

use crate::world::{ACCOUNT, Plan, SECRET, World, about};

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
