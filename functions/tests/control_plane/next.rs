//! What comes after a stream: the four rules, and repeats of each.

use std::time::Duration;

use call::agent::EngineKind;
use call::journal::{EndReason, EndedBy, Entry, Kind, NextStep, Speaker, Turn};
use store::{CallRecord, Status};
use wire::twilio::StreamSid;

use crate::world::{Answer, CALLER, Plan, World, about, with};

/// A call in conversation, on one of two nodes.
async fn talking() -> (World, CallRecord) {
    let world = World::with(Plan { nodes: 2, ..Plan::default() }).await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    claim(&world, &call, 1).await;
    let call = world.call_of(1).await;
    (world, call)
}

async fn claim(world: &World, call: &CallRecord, epoch: u32) {
    let node = world.store.call(call.id).await.unwrap().node().unwrap().to_owned();
    world.store.claim_stream(call.id, epoch, &node, StreamSid::from_number(epoch.into())).await.unwrap();
}

async fn ended(world: &World, call: &CallRecord, epoch: u32) -> Answer {
    let path = format!("/twilio/voice/next?call={}&epoch={epoch}", call.id);
    world.twilio(&path, &about(1, "inbound", "in-progress")).await
}

fn goodbye() -> NextStep {
    NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye }
}

#[tokio::test]
async fn a_call_that_is_not_in_progress_gets_nothing() {
    let (world, call) = talking().await;
    let prepared: usize = world.nodes.iter().map(|node| node.memory(|memory| memory.prepared.len())).sum();
    let path = format!("/twilio/voice/next?call={}&epoch=1", call.id);
    for _ in 0..2 {
        let answer = world.twilio(&path, &about(1, "inbound", "completed")).await;
        assert!(answer.twiml().ends_with("<Response/>"));
    }
    let now: usize = world.nodes.iter().map(|node| node.memory(|memory| memory.prepared.len())).sum();
    assert_eq!(now, prepared);
    assert_eq!(world.call_of(1).await.status, Status::Completed);
    assert_eq!(world.call_of(1).await.epoch, 1);
}

#[tokio::test]
async fn a_written_step_is_said_and_said_again() {
    let (world, call) = talking().await;
    let sorry =
        NextStep::Apologise { text: "Lo siento & adiós".into(), language: "es".into(), reason: EndReason::NoEngine };
    world.store.put_next_step(call.id, 1, &sorry).await.unwrap();
    let answer = ended(&world, &call, 1).await;
    insta::assert_snapshot!(answer.twiml(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Response>
    <Say language="es-ES">Lo siento &amp; adiós</Say>
    <Hangup/>
    </Response>
    "#);
    assert_eq!(ended(&world, &call, 1).await.twiml(), answer.twiml());
    assert_eq!(world.nodes.iter().map(|node| node.memory(|memory| memory.asked_next)).sum::<usize>(), 0);
}

#[tokio::test]
async fn a_step_that_only_the_node_has_is_asked_for_and_kept() {
    let (world, call) = talking().await;
    let node = world.nodes.iter().find(|node| Some(node.name.as_str()) == call.node()).unwrap();
    node.keeps(1, goodbye());
    let answer = ended(&world, &call, 1).await;
    assert!(answer.twiml().contains("<Hangup/>"));
    assert_eq!(world.store.next_step(call.id, 1).await.unwrap(), Some(goodbye()));
    node.memory(|memory| memory.refuses = true);
    assert_eq!(ended(&world, &call, 1).await.twiml(), answer.twiml());
    assert_eq!(node.memory(|memory| memory.asked_next), 1);
}

#[tokio::test]
async fn a_stream_that_nobody_meant_to_end_goes_on_elsewhere_with_what_was_said() {
    let (world, call) = talking().await;
    let turn = |n, speaker, heard: &str| {
        Kind::Turn(Turn {
            n,
            speaker,
            text: "We have Tuesday or Thursday.".into(),
            heard_text: heard.into(),
            approximate: false,
            start_ms: 0,
            end_ms: 500,
            heard_ms: 500,
            interrupted: true,
            engine: Some(EngineKind::Hume),
            expressions: Vec::new(),
        })
    };
    let kinds = [
        Kind::StreamStarted { stream_sid: "MZ1".into() },
        Kind::EngineReady {
            engine: EngineKind::Hume,
            resumed: false,
            chat_group: Some("g-1".into()),
            chat: None,
            took_ms: 5,
        },
        Kind::DisclosureHeard { text: "An AI speaks.".into(), end_ms: 100 },
        turn(1, Speaker::Agent, "We have Tuesday"),
    ];
    let now = world.store.now().as_ms();
    let entries: Vec<Entry> = (1..).zip(kinds).map(|(seq, kind)| Entry { epoch: 1, seq, at_ms: now, kind }).collect();
    world.store.append_journal(call.id, &entries).await.unwrap();
    world.pass(Duration::from_secs(4)).await;

    let answer = ended(&world, &call, 1).await;
    let other = world.nodes.iter().find(|node| Some(node.name.as_str()) != call.node()).unwrap();
    assert!(answer.twiml().contains(&format!("/media-stream/{}", other.name)), "{}", answer.twiml());
    assert!(answer.twiml().contains("epoch=2"));
    let prepared = other.memory(|memory| memory.prepared.last().cloned()).unwrap().setup;
    assert_eq!((prepared.epoch, prepared.offset_ms, prepared.greeted, prepared.disclosed), (2, 4_000, true, true));
    assert_eq!(prepared.chat.map(|chat| chat.group), Some("g-1".to_owned()));
    assert_eq!(prepared.history[0].heard_text, "We have Tuesday");
    // A repeat gets the answer that was given, also when it comes at the same time.
    let (a, b) = tokio::join!(ended(&world, &call, 1), ended(&world, &call, 1));
    assert!(a.twiml() == answer.twiml() && b.twiml() == answer.twiml());
    assert_eq!(world.call_of(1).await.epoch, 2);
}

#[tokio::test]
async fn simultaneous_ends_make_one_epoch() {
    let (world, call) = talking().await;
    let (a, b, c) = tokio::join!(ended(&world, &call, 1), ended(&world, &call, 1), ended(&world, &call, 1));
    assert!(a.twiml() == b.twiml() && b.twiml() == c.twiml());
    assert_eq!(world.call_of(1).await.epoch, 2);
}

#[tokio::test]
async fn a_dead_node_is_not_waited_for() {
    let (world, call) = talking().await;
    for node in &world.nodes {
        node.memory(|memory| memory.hangs = Some(node.name.as_str()) == call.node());
    }
    let began = std::time::Instant::now();
    let answer = ended(&world, &call, 1).await;
    assert!(answer.twiml().contains("epoch=2") && began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn too_many_epochs_in_a_minute_end_in_an_apology_that_stays() {
    let (world, call) = talking().await;
    for epoch in 1..=2 {
        assert!(ended(&world, &call, epoch).await.twiml().contains(&format!("epoch={}", epoch + 1)));
        claim(&world, &call, epoch + 1).await;
    }
    let answer = ended(&world, &call, 3).await;
    assert!(answer.twiml().contains("keeps breaking") && answer.twiml().contains("<Hangup/>"), "{}", answer.twiml());
    assert_eq!(ended(&world, &call, 3).await.twiml(), answer.twiml());
    assert_eq!(world.call_of(1).await.epoch, 3);
}

#[tokio::test]
async fn continue_is_a_new_epoch() {
    let (world, call) = talking().await;
    world.store.put_next_step(call.id, 1, &NextStep::Continue).await.unwrap();
    assert!(ended(&world, &call, 1).await.twiml().contains("epoch=2"));
}

#[tokio::test]
async fn a_transfer_dials_and_its_result_is_recorded_once() {
    let (world, call) = talking().await;
    world.store.put_next_step(call.id, 1, &NextStep::Transfer { to: "+12025550111".into() }).await.unwrap();
    let answer = ended(&world, &call, 1).await;
    insta::assert_snapshot!(answer.twiml(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Response>
    <Dial action="https://voice.example.com/twilio/voice/next?call=call_ID&amp;epoch=1&amp;after=dial&amp;limit=1800#ct=2000&amp;rt=5000&amp;rc=2&amp;rp=ct,rt,5xx" timeout="30" timeLimit="1800">
    <Number>+12025550111</Number>
    </Dial>
    </Response>
    "#);
    let mut form = about(1, "inbound", "in-progress");
    form.push("DialCallStatus", "no-answer");
    let path = format!("/twilio/voice/next?call={}&epoch=1&after=dial", call.id);
    for _ in 0..2 {
        assert!(world.twilio(&path, &form).await.twiml().contains("nobody could be reached"));
    }
    let transfer = world.call_of(1).await.transfer.unwrap();
    assert_eq!((transfer.epoch, transfer.status.as_str(), transfer.duration_s), (1, "no-answer", 0));
    let journal = world.store.read_journal(call.id, None, 10).await.unwrap().entries;
    assert_eq!(journal, [], "whoever reads on from the last entry would never see it there");
}

#[tokio::test]
async fn a_stream_of_another_call_is_nobodys() {
    let (world, call) = talking().await;
    let path = format!("/twilio/voice/next?call={}&epoch=1", call.id);
    let answer = world.twilio(&path, &about(2, "inbound", "in-progress")).await;
    assert!(answer.twiml().contains("sorry") && !answer.twiml().contains(CALLER));
    assert_eq!(world.call_of(1).await.epoch, 1);
}

/// A call that was transferred, from the beginning on.
async fn transferred() -> (World, CallRecord) {
    let (world, call) = talking().await;
    world.store.put_next_step(call.id, 1, &NextStep::Transfer { to: "+12025550111".into() }).await.unwrap();
    assert!(ended(&world, &call, 1).await.twiml().contains("<Dial"));
    (world, call)
}

#[tokio::test]
async fn a_transfer_that_is_over_is_never_dialled_again() {
    for keys in [&[("DialCallStatus", "completed"), ("DialCallDuration", "60")][..], &[("DialCallStatus", "busy")], &[]]
    {
        let (world, call) = transferred().await;
        let path = format!("/twilio/voice/next?call={}&epoch=1&after=dial&limit=1800", call.id);
        let form = with(about(1, "inbound", "in-progress"), keys);
        // The store hiccups: the caller hears the answer all the same, and in time.
        world.faults.set_delay(Duration::from_secs(3));
        let began = std::time::Instant::now();
        let answer = world.twilio(&path, &form).await.twiml();
        assert!(!answer.contains("<Dial") && answer.contains("<Hangup/>"), "{keys:?}: {answer}");
        assert!(began.elapsed() < Duration::from_secs(5));
        world.faults.set_delay(Duration::ZERO);
        world.faults.set_rate(1.0);
        let answer = world.twilio(&path, &form).await.twiml();
        assert!(!answer.contains("<Dial") && answer.contains("<Hangup/>"), "{keys:?}: {answer}");
        world.faults.set_rate(0.0);
        // And if that answer fails, Twilio is not sent back to where it would be dialled.
        let failed =
            with(about(1, "inbound", "in-progress"), &[("ErrorUrl", &format!("https://voice.example.com{path}"))]);
        let fallback = format!("/twilio/voice/fallback?call={}", call.id);
        let answer = world.twilio(&fallback, &failed).await.twiml();
        assert!(!answer.contains("Redirect") && answer.contains("<Hangup/>"), "{answer}");
        // Once it is written that the transfer is over, no way leads to another.
        world.twilio(&path, &form).await;
        assert!(!ended(&world, &call, 1).await.twiml().contains("<Dial"));
        let again = format!("/twilio/voice?call={}&again=1", call.id);
        assert!(!world.twilio(&again, &about(1, "inbound", "in-progress")).await.twiml().contains("<Dial"));
    }
}

#[tokio::test]
async fn a_transfer_has_what_is_left_of_the_longest_call() {
    let (world, call) = talking().await;
    world.store.put_next_step(call.id, 1, &NextStep::Transfer { to: "+12025550111".into() }).await.unwrap();
    world.pass(Duration::from_secs(20 * 60)).await;
    let answer = ended(&world, &call, 1).await;
    assert!(
        answer.twiml().contains("timeLimit=\"600\"") && answer.twiml().contains("limit=600#"),
        "{}",
        answer.twiml()
    );
    let ends_by = world.call_of(1).await.marks.ends_by;
    assert!(ends_by.since(world.store.now()) >= Duration::from_secs(630) && ends_by >= call.marks.ends_by);
    // A cut is said to the caller and to the journal.
    world.pass(Duration::from_secs(600)).await;
    let path = format!("/twilio/voice/next?call={}&epoch=1&after=dial&limit=600", call.id);
    let form =
        with(about(1, "inbound", "in-progress"), &[("DialCallStatus", "completed"), ("DialCallDuration", "600")]);
    assert!(world.twilio(&path, &form).await.twiml().contains("as long as it may"));
    let transfer = world.store.call(call.id).await.unwrap().transfer.unwrap();
    assert_eq!((transfer.status.as_str(), transfer.duration_s), ("cut-off", 600));

    let (world, call) = talking().await;
    world.store.put_next_step(call.id, 1, &NextStep::Transfer { to: "+12025550111".into() }).await.unwrap();
    world.pass(Duration::from_secs(30 * 60 - 5)).await;
    let answer = ended(&world, &call, 1).await.twiml();
    assert!(!answer.contains("<Dial") && answer.contains("as long as it may"), "{answer}");
}

#[tokio::test]
async fn a_node_that_was_too_slow_to_say_what_it_meant_is_asked_again() {
    let (world, call) = talking().await;
    let node = world.nodes.iter().find(|node| Some(node.name.as_str()) == call.node()).unwrap();
    node.memory(|memory| memory.hangs = true);
    assert!(ended(&world, &call, 1).await.twiml().contains("epoch=2"));
    node.memory(|memory| memory.hangs = false);
    node.keeps(1, goodbye());
    assert!(
        ended(&world, &call, 1).await.twiml().contains("<Hangup/>"),
        "the answer before was lost, and this is better"
    );
    // But a stream that is up is left alone.
    claim(&world, &call, 2).await;
    assert!(ended(&world, &call, 1).await.twiml().contains("epoch=2"));
}

#[tokio::test]
async fn whom_we_have_called_is_not_spoken_to_as_a_caller() {
    let world = World::with(Plan { nodes: 0, ..Plan::default() }).await;
    let answer = world.place("k1", serde_json::json!({ "to": CALLER })).await;
    let id = crate::world::id_of(&answer.json());
    let path = format!("/twilio/voice?call={id}");
    let answer = world.twilio(&path, &about(9_001, "outbound-api", "in-progress")).await.twiml();
    assert!(answer.contains("cannot go on with this call") && !answer.contains("your call"), "{answer}");
}
