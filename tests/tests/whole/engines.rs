//! Engines that refuse, drop and are gone; and a store that is away.

use std::time::Duration;

use call::audio::mulaw;
use call::journal::{Kind, LinkCause, Speaker};
use serde_json::json;
use sim::evi::EviConfig;
use sim::evi::fault::{Fault, Faults, HandshakeFault, Mishap, Moment};
use sim::openai::OpenAiConfig;
use sim::phone::{Act, CallerScript, Cue};
use whole_calls::judge::PhoneSide;
use whole_calls::people::{asks_for_the_hours, say, says};
use whole_calls::{House, Options, QUICK_NUMBER, RECORDED_NUMBER, judge};

const PATIENCE: Duration = Duration::from_secs(90);

fn evi_that(script: impl IntoIterator<Item = sim::evi::fault::Scripted>) -> (EviConfig, Faults) {
    (EviConfig::default(), Faults::scripted(script))
}

/// The longest time without a sound at the ear, in the given part of the call.
fn longest_silence(phone: &PhoneSide, from: Duration, until: Duration) -> Duration {
    let heard = phone.heard.timeline(phone.started);
    let sample = |at: Duration| usize::try_from(at.as_millis()).unwrap() * 8;
    let part = heard.get(sample(from)..sample(until).min(heard.len())).unwrap_or_default();
    let (mut longest, mut current) = (0_u64, 0_u64);
    for &code in part {
        current = if mulaw::decode(code).unsigned_abs() > 60 { 0 } else { current + 1 };
        longest = longest.max(current);
    }
    Duration::from_micros(longest * 125)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_refuses_gives_way_at_once_and_is_left_alone() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options {
        evi: Some(evi_that([Fault::Handshake(HandshakeFault::Refuse(401)).always()])),
        ..Options::default()
    })
    .await
    .unwrap();
    for round in 0..2 {
        let sid = house.call_in(QUICK_NUMBER, asks_for_the_hours());
        let twilio = house.ended(sid, PATIENCE).await.unwrap();
        let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
        let record = house.final_record(&id, PATIENCE).await.unwrap();
        assert_eq!(
            (&record["engine"], &record["end_reason"]),
            (&json!("openai"), &json!("said_goodbye")),
            "{record:#}"
        );
        let tried = if round == 0 { json!(["hume", "openai"]) } else { json!(["openai"]) };
        assert_eq!(record["engines_tried"], tried);
        let journal = house.journal(&id, 1).await.unwrap();
        judge::is_complete(&journal, "refused");
        let refused = judge::find(&journal, |entry| match &entry.kind {
            Kind::EngineRefused { why, .. } => Some(why.clone()),
            _ => None,
        });
        assert_eq!(refused, (round == 0).then_some(LinkCause::Status { status: 401 }));
        let turns = house.transcript(&id).await.unwrap();
        assert_eq!(judge::words_of(&turns, Speaker::Agent)[0], "How can I help you today?");
        let phone = PhoneSide::of(&twilio.streams[0]);
        let greeted = phone.heard.loud_samples() > 8_000;
        assert!(greeted, "the next engine's greeting is heard");
        assert_eq!(house.evi().with_model(|evi| evi.attempts()), 1, "the engine that refused is left alone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_drops_in_mid_sentence_goes_on_in_the_same_chat_group() {
    let _machine = crate::beside_others().await;
    // The first chat breaks half a second into its answer; the second is a second and a half late to answer.
    let drop = Fault::midway(Moment::Spoken { nth: 2, audio: Duration::from_millis(500) }, Mishap::Drop).on(1);
    let slow = Fault::Handshake(HandshakeFault::Slow(Duration::from_millis(1_700))).on(2);
    let house = House::start(Options { evi: Some(evi_that([drop, slow])), ..Options::default() }).await.unwrap();
    let patient = Cue::AgentDone { silence: Duration::from_secs(3), patience: Some(Duration::from_secs(12)) };
    let script = CallerScript::new()
        .answers(say("caller-hours"))
        .then(patient, Act::Say(say("caller-repeat")))
        .answers(say("caller-thanks-bye"));
    let sid = house.call_in(QUICK_NUMBER, script);
    let twilio = house.ended(sid, PATIENCE).await.unwrap();
    let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
    let record = house.final_record(&id, PATIENCE).await.unwrap();
    assert_eq!((&record["status"], &record["end_reason"]), (&json!("completed"), &json!("said_goodbye")), "{record:#}");
    assert_eq!((&record["epoch"], &record["engines_tried"]), (&json!(1), &json!(["hume"])));
    let journal = house.journal(&id, 1).await.unwrap();
    judge::is_complete(&journal, "dropped");

    let chats = house.chats_of(&journal);
    assert_eq!(chats.len(), 2, "{}", judge::outline(&journal));
    assert!(chats[1].resumed && chats[0].chat_group_id == chats[1].chat_group_id);
    let mut story = journal.iter().filter_map(|entry| match &entry.kind {
        Kind::EngineLost { why, .. } => Some(format!("lost {why:?}")),
        Kind::LinePlayed { line } => Some(format!("line {line}")),
        Kind::EngineReady { resumed: true, .. } => Some("ready".to_owned()),
        Kind::EngineResumed { engine, .. } => Some(format!("resumed {engine}")),
        _ => None,
    });
    assert_eq!(story.next().as_deref(), Some("lost Closed { code: None }"), "{}", judge::outline(&journal));
    let rest: Vec<String> = story.collect();
    assert_eq!(rest.first().map(String::as_str), Some("line hold"), "{}", judge::outline(&journal));
    assert!(rest.iter().any(|step| step == "resumed hume"), "{rest:?}");

    let start_ms =
        judge::find(&journal, |entry| matches!(entry.kind, Kind::StreamStarted { .. }).then_some(entry.at_ms)).unwrap();
    let lost_ms =
        judge::find(&journal, |entry| matches!(entry.kind, Kind::EngineLost { .. }).then_some(entry.at_ms)).unwrap();
    let lost = Duration::from_millis(lost_ms - start_ms);
    let phone = PhoneSide::of(&twilio.streams[0]);
    let silence = longest_silence(&phone, lost, lost + Duration::from_secs(3));
    assert!(silence <= Duration::from_millis(1_550), "{silence:?} of silence after the engine was lost at {lost:?}");
    let turns = house.transcript(&id).await.unwrap();
    let cut = turns.iter().find(|turn| turn.text.starts_with("We are open")).unwrap();
    assert!(cut.heard_text.len() < cut.text.len() && (300..800).contains(&cut.heard_ms), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_no_engine_left_the_caller_hears_an_apology_and_a_clean_end() {
    let _machine = crate::beside_others().await;
    let openai = Faults::scripted([Fault::Handshake(HandshakeFault::Refuse(403)).always()]);
    let never = House::start(Options {
        evi: Some(evi_that([Fault::Handshake(HandshakeFault::Refuse(410)).always()])),
        openai: Some((OpenAiConfig::default(), openai)),
        ..Options::default()
    });
    // Here the only engine is lost after the greeting, and refuses from then on.
    let midway = House::start(Options {
        evi: Some(evi_that([
            Fault::midway(Moment::CallerTurn(1), Mishap::Drop).on(1),
            Fault::Handshake(HandshakeFault::Refuse(410)).on(2),
            Fault::Handshake(HandshakeFault::Refuse(410)).on(3),
            Fault::Handshake(HandshakeFault::Refuse(410)).on(4),
        ])),
        openai: None,
        ..Options::default()
    });
    let (never, midway) = tokio::join!(never, midway);
    for house in [never.unwrap(), midway.unwrap()] {
        let sid = house.call_in(QUICK_NUMBER, CallerScript::new().answers(say("caller-hours")));
        let twilio = house.ended(sid, PATIENCE).await.unwrap();
        assert_eq!(twilio.said.len(), 1, "{twilio:#?}");
        let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
        let record = house.final_record(&id, PATIENCE).await.unwrap();
        let found = [&record["status"], &record["ended_by"], &record["end_reason"]];
        assert_eq!(found, [&json!("completed"), &json!("system"), &json!("no_engine")], "{record:#}");
        judge::is_complete(&house.journal(&id, 1).await.unwrap(), "no engine");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_in_mid_call_costs_the_record_nothing() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    let sid = house.call_in(
        RECORDED_NUMBER,
        says(&["caller-book", "caller-tuesday", "caller-name-alex", "caller-right", "caller-thanks-bye"]),
    );
    let is_speaking = |twilio: &sim::twilio::Twilio| {
        twilio
            .call(sid)
            .filter(|call| call.streams.first().is_some_and(|stream| stream.phone().heard().loud_samples() > 4_000))
    };
    house.twilio.until(Duration::from_secs(20), is_speaking).await.unwrap();
    house.faults.set_rate(1.0);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(!house.twilio.call(sid).unwrap().status.is_final(), "the call goes on without a store");
    house.faults.set_rate(0.0);

    let twilio = house.ended(sid, PATIENCE).await.unwrap();
    let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
    let record = house.final_record(&id, PATIENCE).await.unwrap();
    assert_eq!((&record["status"], &record["end_reason"]), (&json!("completed"), &json!("said_goodbye")), "{record:#}");
    let journal = house.journal(&id, 1).await.unwrap();
    judge::is_complete(&journal, "store away");
    assert!(!journal.iter().any(|entry| matches!(entry.kind, Kind::Gap { .. })), "{}", judge::outline(&journal));
    let turns = house.transcript(&id).await.unwrap();
    assert_eq!(judge::words_of(&turns, Speaker::Caller).len(), 5, "{turns:#?}");
    let underruns = house.figure("node-a", "switchboard_playout_underruns_total").await.unwrap();
    assert!(underruns < 1.0, "the caller hears nothing of it");
    let dropped = house.figure("node-a", "switchboard_journal_dropped_total").await.unwrap();
    assert!(dropped < 1.0);
    house.record_when(&id, Duration::from_secs(60), |record| record["recording"] == "ready").await.unwrap();
    let whole = house.get(&format!("/v1/calls/{id}/recording"), &[]).await.unwrap();
    let layout = call::audio::wav::layout(&whole.body).unwrap();
    let left: Vec<u8> = whole.body[layout.data].iter().copied().step_by(2).collect();
    let phone = PhoneSide::of(&twilio.streams[0]);
    let spoken: Vec<u8> =
        phone.sent.iter().filter(|frame| frame.speech && frame.was_delivered()).flat_map(|frame| frame.audio).collect();
    let frames = judge::frames(&spoken, &left);
    assert!(frames.is_perfect(), "{frames:?}");
}
