//! Nodes that die, go down in order, or are not the one a stream was for.

use std::time::Duration;

use call::CallId;
use call::journal::{Entry, Kind, NextStep, Speaker};
use serde_json::json;
use sim::phone::{Act, CallerScript, Cue};
use sim::speech::utterance;
use sim::twilio::Twilio;
use whole_calls::judge::PhoneSide;
use whole_calls::people::{asks_for_the_hours, say};
use whole_calls::{House, Options, QUICK_NUMBER, judge};
use wire::twilio::sid::CallSid;

const PATIENCE: Duration = Duration::from_secs(90);

/// Someone who waits patiently, also through a change of nodes.
fn patient_caller() -> CallerScript {
    let turn = Cue::AgentDone { silence: Duration::from_millis(1_500), patience: Some(Duration::from_secs(9)) };
    let say = |id| Act::Say(say(id));
    CallerScript::new()
        .then(turn, say("caller-book"))
        .then(turn, say("caller-tuesday"))
        .then(turn, say("caller-name-alex"))
        .then(turn, say("caller-right"))
        .then(turn, say("caller-that-is-all"))
}

/// Waits until the caller has done so much and the agent speaks again.
async fn agent_answers_after(twilio: &Twilio, sid: CallSid, loud_samples: u64) {
    let speaks = |twilio: &Twilio| {
        twilio.call(sid).filter(|call| {
            call.streams.first().is_some_and(|stream| stream.phone().heard().loud_samples() > loud_samples)
        })
    };
    twilio.until(Duration::from_secs(30), speaks).await.unwrap();
}

async fn node_of(house: &House, id: &str) -> String {
    let id: CallId = id.parse().unwrap();
    house.open_store().await.call(id).await.unwrap().node().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_in_mid_call_costs_a_pause_and_nothing_else() {
    let _machine = crate::beside_others().await;
    let mut house = House::start(Options { nodes: 2, ..Options::default() }).await.unwrap();
    let sid = house.call_in(QUICK_NUMBER, patient_caller());
    agent_answers_after(&house.twilio, sid, 12_000).await;
    let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
    house.entry_when(&id, PATIENCE, |entry| turn_of(entry, Speaker::Caller)).await.unwrap();
    // What was written a quarter of a second ago is in the store.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let killed = node_of(&house, &id).await;
    house.kill_node(&killed);

    let twilio = house.ended(sid, PATIENCE).await.unwrap();
    let record = house.final_record(&id, PATIENCE).await.unwrap();
    assert_eq!(
        (&record["status"], &record["ended_by"], &record["epoch"]),
        (&json!("completed"), &json!("agent"), &json!(2)),
        "{record:#}"
    );
    assert_ne!(node_of(&house, &id).await, killed);
    assert_eq!(twilio.streams.len(), 2, "{:#?}", twilio.streams);
    let died = twilio.streams[0].ended.unwrap();
    let second = PhoneSide::of(&twilio.streams[1]);
    let sounded = twilio.streams[1].connected.unwrap() + (second.heard.first_at().unwrap() - second.started);
    let pause = sounded.saturating_sub(died);
    assert!(pause <= Duration::from_secs(2), "a pause of {pause:?} after the socket's death");

    let journal = house.journal(&id, 2).await.unwrap();
    for epoch in [1, 2] {
        let numbers: Vec<u64> = journal.iter().filter(|entry| entry.epoch == epoch).map(|entry| entry.seq).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "epoch {epoch}");
    }
    assert!(matches!(journal.last().unwrap().kind, Kind::StreamEnded { .. }));
    let turns = house.transcript(&id).await.unwrap();
    let spoken: Vec<&str> = ["caller-book", "caller-tuesday", "caller-name-alex", "caller-right", "caller-that-is-all"]
        .map(|id| utterance(id).unwrap().text)
        .to_vec();
    assert_eq!(judge::words_of(&turns, Speaker::Caller), spoken, "{}", judge::outline(&journal));
    let numbers: Vec<u32> = turns.iter().map(|turn| turn.n).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert!(turns.windows(2).all(|pair| pair[0].start_ms <= pair[1].start_ms), "{turns:#?}");
    // It went on: the greeting was not said again.
    let greetings =
        judge::words_of(&turns, Speaker::Agent).iter().filter(|text| text.contains("How can I help")).count();
    assert_eq!(greetings, 1, "{turns:#?}");
    let booked = judge::find(&journal, |entry| {
        matches!(&entry.kind, Kind::ToolCalled { name, .. } if name == "record_booking").then_some(())
    });
    assert!(booked.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_drains_hands_its_call_over_between_turns() {
    let _machine = crate::beside_others().await;
    let options = Options { nodes: 2, drain_within: Duration::from_secs(1), ..Options::default() };
    let house = House::start(options).await.unwrap();
    let sid = house.call_in(QUICK_NUMBER, patient_caller());
    agent_answers_after(&house.twilio, sid, 12_000).await;
    let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
    house.entry_when(&id, PATIENCE, |entry| turn_of(entry, Speaker::Caller)).await.unwrap();
    let drained = node_of(&house, &id).await;
    house.drain_node(&drained).await;

    let twilio = house.ended(sid, PATIENCE).await.unwrap();
    let record = house.final_record(&id, PATIENCE).await.unwrap();
    assert_eq!(
        (&record["status"], &record["ended_by"], &record["epoch"]),
        (&json!("completed"), &json!("agent"), &json!(2)),
        "{record:#}"
    );
    assert_ne!(node_of(&house, &id).await, drained);
    let (first, second) = (&twilio.streams[0], &twilio.streams[1]);
    let pause = second.connected.unwrap().saturating_sub(first.ended.unwrap());
    assert!(pause <= Duration::from_secs(2), "{pause:?}");
    let journal = house.journal(&id, 2).await.unwrap();
    judge::is_complete(&journal, "handed over");
    let steps: Vec<&NextStep> = journal
        .iter()
        .filter_map(|entry| match &entry.kind {
            Kind::NextStep { next } if entry.epoch == 1 => Some(next),
            _ => None,
        })
        .collect();
    assert_eq!(steps, [&NextStep::Continue]);
    let turns = house.transcript(&id).await.unwrap();
    // Between turns: nobody was cut off.
    assert!(turns.iter().all(|turn| !turn.interrupted), "{turns:#?}");
    assert_eq!(judge::words_of(&turns, Speaker::Caller).len(), 5, "{}", judge::outline(&journal));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_comes_to_the_wrong_node_is_passed_through() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options { nodes: 2, ..Options::default() }).await.unwrap();
    house.confuse_balancer(true);
    let sid = house.call_in(QUICK_NUMBER, asks_for_the_hours());
    let twilio = house.ended(sid, PATIENCE).await.unwrap();
    let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
    let record = house.final_record(&id, PATIENCE).await.unwrap();
    assert_eq!((&record["end_reason"], &record["epoch"]), (&json!("said_goodbye"), &json!(1)), "{record:#}");
    let journal = house.journal(&id, 1).await.unwrap();
    judge::is_complete(&journal, "spliced");
    let phone = PhoneSide::of(&twilio.streams[0]);
    let frames = judge::frames(&judge::sent_by(&phone), &judge::mulaw_of_linear16(&house.chats_of(&journal)[0].audio));
    assert!(frames.is_perfect() && frames.sent > 50, "{frames:?}");
    let mut spliced = 0.0;
    for node in ["node-a", "node-b"] {
        spliced += house.figure(node, "switchboard_streams_spliced_total").await.unwrap();
    }
    assert!((spliced - 1.0).abs() < 0.1, "{spliced}");
}

fn turn_of(entry: &Entry, speaker: Speaker) -> Option<()> {
    matches!(&entry.kind, Kind::Turn(turn) if turn.speaker == speaker).then_some(())
}
