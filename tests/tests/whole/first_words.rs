//! The first word: how long after the stream's start, or after the engine's own time, it reaches the phone.
//!
//! Times are the phone's own. A machine that does other things at the same moment delays anything, so each promise is
//! for the best of three calls, one after the other.

use std::time::{Duration, Instant};

use serde_json::json;
use sim::evi::EviConfig;
use sim::evi::fault::Faults;
use sim::phone::CallerScript;
use sim::twilio::Callee;
use whole_calls::judge::PhoneSide;
use whole_calls::{House, Options};

const MODEL: Duration = Duration::from_millis(600);

/// Of one call: from the stream's start to the first message of audio, and to it from the engine's first audio.
struct FirstWord {
    from_start: Duration,
    from_engine: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_word_of_a_prepared_call_comes_within_20_ms_of_the_streams_start() {
    let _machine = crate::alone().await;
    let words = three_calls("eager", Duration::from_millis(2_500)).await;
    let best = words.iter().map(|word| word.from_start).min().unwrap();
    assert!(best <= Duration::from_millis(20), "{best:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_word_of_an_unprepared_call_comes_within_50_ms_of_the_engines_time() {
    let _machine = crate::alone().await;
    let words = three_calls("quick", Duration::from_millis(100)).await;
    let from_engine = words.iter().map(|word| word.from_engine).min().unwrap();
    assert!(from_engine <= Duration::from_millis(50), "{from_engine:?} after the engine spoke");
    let from_start = words.iter().map(|word| word.from_start).min().unwrap();
    assert!(from_start <= MODEL + Duration::from_millis(50), "{from_start:?} after the stream began");
    // It was not prepared: the engine spoke after the stream had begun.
    assert!(words.iter().all(|word| word.from_start > word.from_engine));
}

async fn three_calls(agent: &str, rings: Duration) -> Vec<FirstWord> {
    let evi = EviConfig { model_delay: MODEL, ..EviConfig::default() };
    let house = House::start(Options { evi: Some((evi, Faults::none())), ..Options::default() }).await.unwrap();
    let mut words = Vec::new();
    for number in ["+12025550141", "+12025550142", "+12025550143"] {
        let script = CallerScript::new().hangs_up_at(rings + Duration::from_secs(3));
        house.twilio.set_callee(number, Callee::answers(rings, script));
        let placed = house.place(number, &json!({"to": number, "agent": agent})).await.unwrap();
        let id = placed.json()["id"].as_str().unwrap_or_else(|| panic!("{}", placed.json())).to_owned();
        let record = house.final_record(&id, Duration::from_secs(20)).await.unwrap();
        let journal = house.journal(&id, 1).await.unwrap();
        let twilio = house.twilio.call(record["twilio_sid"].as_str().unwrap().parse().unwrap()).unwrap();
        let phone = PhoneSide::of(&twilio.streams[0]);
        let first: Instant = phone.heard.arrivals().first().unwrap().at;
        let spoke = house.chats_of(&journal)[0].said[0].at.unwrap();
        words.push(FirstWord {
            from_start: first.saturating_duration_since(phone.started),
            from_engine: first.saturating_duration_since(spoke),
        });
    }
    words
}
