//! Audio: what was said arrives at the engine, what the engine says is heard, and the recording has both.

use std::time::Duration;

use call::agent::EngineKind;
use call::audio::mulaw;
use call::audio::wav::{self, Encoding};
use call::journal::{Entry, Kind, Speaker};
use serde_json::json;
use sim::evi::EviConfig;
use sim::speech::{speak, utterance};
use sim::twilio::{CallRecord, Callee, RequestAnswer};
use whole_calls::ear::Reference;
use whole_calls::judge::PhoneSide;
use whole_calls::people::{BOOKING, says};
use whole_calls::{House, NUMBER, Options, judge};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_through_evi_is_heard_understood_recorded_and_written_down() {
    let machine = crate::alone().await;
    let evi = EviConfig { chunks_per_sentence: 3, ..EviConfig::default() };
    let house = House::start(Options { evi: Some((evi, sim::evi::fault::Faults::none())), ..Options::default() })
        .await
        .unwrap();
    let sid = house.call_in(NUMBER, says(&BOOKING));
    let twilio = house.ended(sid, PATIENCE).await.unwrap();
    let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
    let record = house.final_record(&id, PATIENCE).await.unwrap();
    let journal = house.journal(&id, 1).await.unwrap();
    drop(machine);

    nothing_was_held_against_us(&house, &twilio);
    let fields =
        ["direction", "status", "ended_by", "end_reason", "engine", "agent", "from", "to", "epoch", "simulated"];
    let found: Vec<_> = fields.iter().map(|field| record[field].clone()).collect();
    let wanted = json!([
        "inbound",
        "completed",
        "agent",
        "said_goodbye",
        "hume",
        "receptionist",
        "+12025550188",
        NUMBER,
        1,
        true
    ]);
    assert_eq!(json!(found), wanted, "{record:#}");
    assert_eq!(record["engines_tried"], json!(["hume"]));
    judge::is_complete(&journal, "booking");

    let chats = house.chats_of(&journal);
    assert_eq!(chats.len(), 1);
    let phone = PhoneSide::of(&twilio.streams[0]);
    let frames = judge::frames(&judge::sent_by(&phone), &judge::mulaw_of_linear16(&chats[0].audio));
    assert!(frames.is_perfect() && frames.sent > 200, "{frames:?}");

    let spoken: Vec<&str> = BOOKING.iter().map(|id| utterance(id).unwrap().text).collect();
    let turns = house.transcript(&id).await.unwrap();
    assert_eq!(judge::words_of(&turns, Speaker::Caller), spoken);
    let agent_said = judge::words_of(&turns, Speaker::Agent).join(" ");
    let texts: Vec<&str> = chats[0].said.iter().map(|said| said.text.as_str()).collect();
    assert_eq!(agent_said, texts.join(" "));
    assert!(
        turns.iter().all(|turn| !turn.interrupted && (turn.speaker == Speaker::Caller || turn.heard_text == turn.text))
    );
    the_tool_was_used(&journal, "record_booking", "Alex Morgan");
    let disclosed = judge::find(&journal, |entry| match &entry.kind {
        Kind::DisclosureHeard { text, end_ms } => Some((text.clone(), *end_ms)),
        _ => None,
    });
    let (disclosure, disclosed_ms) = disclosed.unwrap();
    assert!(disclosure.contains("recorded"));

    is_the_engines_voice(&phone, &texts, 48_000);
    the_recording_has_both_voices(&house, &id, &twilio, disclosed_ms).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openais_voice_and_evis_at_24_khz_reach_the_ear_whole() {
    let _machine = crate::alone().await;
    let evi = EviConfig { output_rates: vec![24_000], chunks_per_sentence: 4, ..EviConfig::default() };
    let house = House::start(Options { evi: Some((evi, sim::evi::fault::Faults::none())), ..Options::default() })
        .await
        .unwrap();
    let script = says(&["caller-hours", "caller-robot", "caller-thanks-bye"]);
    let mut ids = Vec::new();
    for (to, engine) in [("+12025550131", "openai"), ("+12025550132", "hume")] {
        house.twilio.set_callee(to, Callee::answers(Duration::from_millis(200), script.clone()));
        let body = json!({"to": to, "agent": "quick", "engine": engine});
        let placed = house.place(engine, &body).await.unwrap();
        assert_eq!(placed.status, 202, "{}", placed.json());
        ids.push(placed.json()["id"].as_str().unwrap().to_owned());
    }
    for (id, engine) in ids.iter().zip([EngineKind::OpenAi, EngineKind::Hume]) {
        let record = house.final_record(id, PATIENCE).await.unwrap();
        assert_eq!(record["engine"], engine.as_str(), "{record:#}");
        assert_eq!((&record["status"], &record["ended_by"]), (&json!("completed"), &json!("agent")), "{record:#}");
        let journal = house.journal(id, 1).await.unwrap();
        judge::is_complete(&journal, engine.as_str());
        let sid = record["twilio_sid"].as_str().unwrap().parse().unwrap();
        let twilio = house.twilio.call(sid).unwrap();
        nothing_was_held_against_us(&house, &twilio);
        let phone = PhoneSide::of(&twilio.streams[0]);
        let sent = judge::sent_by(&phone);
        match engine {
            EngineKind::Hume => {
                let chats = house.chats_of(&journal);
                let frames = judge::frames(&sent, &judge::mulaw_of_linear16(&chats[0].audio));
                assert!(frames.is_perfect() && frames.sent > 100, "{frames:?}");
                let texts: Vec<&str> = chats[0].said.iter().map(|said| said.text.as_str()).collect();
                is_the_engines_voice(&phone, &texts, 24_000);
            }
            EngineKind::OpenAi => {
                let sessions = house.sessions_of(&journal);
                // Mu-law both ways: nothing is converted, so everything is the same to the byte.
                assert!(judge::frames(&sent, &sessions[0].audio).is_perfect());
                let heard = phone.heard.timeline(phone.started);
                assert!(sessions[0].said.len() >= 3);
                for said in &sessions[0].said {
                    let voice = mulaw::encoded(&speak(&said.text, 8_000).samples);
                    assert!(heard.windows(voice.len()).any(|part| part == voice), "{:?} is not heard whole", said.text);
                }
            }
            EngineKind::Cascade => panic!("no call was placed with it"),
        }
    }
}

/// Every sentence is heard once, in order, undamaged and without a gap inside.
fn is_the_engines_voice(phone: &PhoneSide, sentences: &[&str], rate: u32) {
    let started = phone.started;
    let heard = phone.heard.timeline(started);
    let gaps: Vec<usize> = phone
        .heard
        .gaps(Duration::from_secs(600))
        .iter()
        .map(|gap| usize::try_from((gap.at - started).as_micros() / 125).unwrap())
        .collect();
    assert!(sentences.len() >= 3);
    let mut from = 0;
    for sentence in sentences {
        let found = Reference::of(sentence, rate).find_in(&heard, from).unwrap();
        let inside: Vec<_> =
            gaps.iter().filter(|gap| (found.at + 80..found.end.saturating_sub(80)).contains(gap)).collect();
        assert!(inside.is_empty(), "{sentence:?} at {found:?} has gaps at {inside:?}");
        assert!(found.is_the_same_voice(), "{sentence:?}: {found:?}, gaps at {gaps:?}");
        from = found.end.saturating_sub(80);
    }
}

/// Webhooks were believed and answered, and the phone has nothing to complain about.
fn nothing_was_held_against_us(house: &House, twilio: &CallRecord) {
    for request in &twilio.requests {
        assert!(matches!(request.answer, RequestAnswer::Status(200..300)), "{request:?}");
    }
    assert_eq!(house.counters.snapshot().forged, 0);
    assert!(twilio.notices.is_empty(), "{:?}", twilio.notices);
    for stream in &twilio.streams {
        assert!(stream.phone().violations().is_empty(), "{:?}", stream.phone().violations());
    }
}

fn the_tool_was_used(journal: &[Entry], tool: &str, words: &str) {
    let called = judge::find(journal, |entry| match &entry.kind {
        Kind::ToolCalled { id, name, arguments } if name == tool => Some((id.clone(), arguments.clone())),
        _ => None,
    });
    let (called, arguments) = called.unwrap();
    assert!(arguments.contains(words), "{arguments}");
    let answered = judge::find(journal, |entry| match &entry.kind {
        Kind::ToolAnswered { id, ok, .. } if *id == called => Some(*ok),
        _ => None,
    });
    assert_eq!(answered, Some(true));
}

/// The recording is joined some seconds after the call, and has both sides where they were.
async fn the_recording_has_both_voices(house: &House, id: &str, twilio: &CallRecord, disclosed_ms: u64) {
    house.record_when(id, Duration::from_secs(60), |record| record["recording"] == "ready").await.unwrap();
    let path = format!("/v1/calls/{id}/recording");
    let whole = house.get(&path, &[]).await.unwrap();
    assert_eq!(
        (whole.status, whole.header("content-type"), whole.header("accept-ranges")),
        (200, "audio/wav", "bytes")
    );
    let layout = wav::layout(&whole.body).unwrap();
    assert_eq!((layout.encoding, layout.rate, layout.channels), (Encoding::MuLaw, 8_000, 2));
    let (left, right): (Vec<u8>, Vec<u8>) =
        whole.body[layout.data].as_chunks::<2>().0.iter().map(|[caller, agent]| (*caller, *agent)).unzip();

    let phone = PhoneSide::of(&twilio.streams[0]);
    let after: Vec<u8> = phone
        .sent
        .iter()
        .filter(|frame| frame.was_delivered() && frame.timestamp.as_millis() > u128::from(disclosed_ms) + 200)
        .flat_map(|frame| frame.audio)
        .collect();
    let caller = judge::frames(&after, &left);
    assert!(caller.is_perfect() && caller.sent > 200, "{caller:?}");
    // Each of the caller's frames lies where its timestamp says.
    for frame in phone.sent.iter().filter(|frame| frame.speech && !frame.is_silent()).step_by(25) {
        let at = usize::try_from(frame.timestamp.as_millis()).unwrap() * 8;
        assert_eq!(left.get(at..at + 160), Some(frame.audio.as_slice()), "the frame at {:?}", frame.timestamp);
    }
    let heard = phone.heard.timeline(phone.started);
    let agent = judge::frames(&heard[..heard.len() / 160 * 160], &right);
    assert!(agent.lost.is_empty() && agent.in_order == agent.sent, "{agent:?}");
    // And the agent's within a tenth of a second of when it was heard: the node knows that by marks.
    let loud = |track: &[u8]| track.iter().position(|&code| mulaw::decode(code).unsigned_abs() > 1_000).unwrap();
    assert!(loud(&heard).abs_diff(loud(&right)) < 800, "{} {}", loud(&heard), loud(&right));

    let part = house.get(&path, &[("range", "bytes=100-299")]).await.unwrap();
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[100..300]));
    assert_eq!(part.header("content-range"), format!("bytes 100-299/{}", whole.body.len()));
    let tail = house.get(&path, &[("range", "bytes=-10")]).await.unwrap();
    assert_eq!((tail.status, tail.body.as_slice()), (206, &whole.body[whole.body.len() - 10..]));
    let beyond = house.get(&path, &[("range", "bytes=99999999-")]).await.unwrap();
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, format!("bytes */{}", whole.body.len()).as_str())
    );
}
