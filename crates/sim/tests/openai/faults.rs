//! What goes wrong, exactly where it shall, and again with the same seed.

use crate::line::{Line, PATH, TELEPHONE};
use crate::{BOOK, ms};
use serde_json::{Value, json};
use sim::openai::fault::{Fault, Faults, Mishap, Moment, Odds};
use sim::openai::{Ended, OpenAiConfig, Out, Outcome};
use std::time::Duration;
use wire::openai::response::StatusReason;

#[test]
fn responses_fail_and_stay_incomplete_as_configured() {
    let outcomes = [(1, Outcome::Failed), (2, Outcome::Incomplete(StatusReason::ContentFilter))].into();
    let mut line = Line::open(OpenAiConfig { outcomes, ..OpenAiConfig::default() });
    for _ in 0..2 {
        line.send(&json!({"type": "response.create"}));
        line.listen(ms(4_000));
    }
    line.send(&json!({"type": "response.create", "response": {"max_output_tokens": 10}}));
    line.listen(ms(4_000));
    let done: Vec<Value> = line.all("response.done").iter().map(|done| done["response"].clone()).collect();
    assert_eq!(
        (&done[0]["status"], &done[0]["status_details"]["error"]["code"]),
        (&json!("failed"), &json!("inference_rate_limit_exceeded"))
    );
    assert_eq!(
        (&done[1]["status"], &done[1]["status_details"]["reason"]),
        (&json!("incomplete"), &json!("content_filter"))
    );
    assert_eq!(
        (&done[2]["status"], &done[2]["status_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let said = &line.record().said;
    assert!(said[0].sent_ms < said[0].whole_ms);
    assert_eq!(said[1].sent_ms, 500, "ten tokens are half a second");
}

#[test]
fn a_failed_transcription_is_reported_in_its_place() {
    let mut line = Line::open(OpenAiConfig { transcription_failures: 1.0, ..OpenAiConfig::default() });
    line.say(BOOK);
    line.listen(ms(6_000));
    let failed = line.first("conversation.item.input_audio_transcription.failed");
    assert_eq!(failed["item_id"], line.first("input_audio_buffer.committed")["item_id"]);
    assert!(line.all("conversation.item.input_audio_transcription.completed").is_empty());
    assert_eq!(line.all("response.done").len(), 1, "the answer does not depend on it");
}

#[test]
fn the_socket_drops_exactly_where_the_script_says() {
    let at = Moment::Spoken { nth: 2, audio: ms(700) };
    let mut line =
        Line::open_at(OpenAiConfig::default(), Faults::scripted([Fault::midway(at, Mishap::Drop).on(1)]), 1, PATH)
            .unwrap();
    line.send(&serde_json::from_str(TELEPHONE).unwrap());
    let text = "Good morning, how are you today? It is a pleasure to hear from you again.";
    line.send(&json!({"type": "response.create", "response": {"instructions": format!("Say this: {text}")}}));
    line.listen(ms(4_000));
    assert_eq!(line.closing(), Some(Out::Drop));
    assert_eq!(line.record().ended.unwrap().1, Ended::Dropped);
    let second = sim::speech::speak(text, 8_000).sentences[1].start + ms(700);
    let sent = Duration::from_micros(line.sound().len() as u64 * 125);
    assert!(sent <= second && second - sent < ms(1), "{sent:?} of {second:?}");
}

#[test]
fn odd_frames_huge_messages_and_late_audio_come_when_they_are_due() {
    let run = |at: Moment, mishap: Mishap| {
        let config = OpenAiConfig { speed: 1, extra_fields: 1.0, unknown_events: 0.5, ..OpenAiConfig::default() };
        let mut line = Line::open_at(config, Faults::scripted([Fault::midway(at, mishap).on(1)]), 1, PATH).unwrap();
        line.send(&serde_json::from_str(TELEPHONE).unwrap());
        line.send(&json!({"type": "response.create", "response": {"instructions": "Say this: Good morning. How can I help you today? Take your time."}}));
        line.listen(ms(1_000));
        line.say("caller-not-tuesday");
        line.listen(ms(1_500));
        line
    };
    let first = Moment::Sentence { nth: 1, after: ms(0) };
    assert_eq!(run(first, Mishap::MalformedJson).malformed, 1);
    assert_eq!(run(first, Mishap::BinaryFrame).binary, 1);
    assert_eq!(run(first, Mishap::UnknownType).all("response.gesture").len(), 1);
    assert!(run(first, Mishap::HugeAudio).longest > 1 << 20);
    let line = run(Moment::Open(ms(0)), Mishap::LateAudio(ms(200)));
    assert!(line.last_position("response.output_audio.delta") > line.position("response.done"));
    assert!(!line.all("session.metrics").is_empty());
    assert!(line.first("response.created").get("trace").is_some());
}

#[test]
fn the_same_seed_gives_the_same_conversation_byte_for_byte() {
    let run = |seed| {
        let mut line =
            Line::open_at(OpenAiConfig::by_seed(seed), Faults::by_chance(Odds::even(0.05)), seed, PATH).ok()?;
        line.send(&serde_json::from_str(TELEPHONE).unwrap());
        for words in [BOOK, "caller-tuesday", "caller-name-alex"] {
            line.say(words);
            line.listen(ms(4_000));
        }
        Some((line.raw.clone(), line.closing()))
    };
    let mut different = 0;
    for seed in 0..12 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
        different += u32::from(run(seed) != run(seed + 1));
    }
    assert!(different > 6);
}
