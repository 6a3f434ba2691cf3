//! How a session opens, is set up, kept and ended.

use crate::line::{Line, PATH};
use crate::{BOOK, ms};
use serde_json::{Value, json};
use sim::openai::fault::{Fault, Faults, HandshakeFault};
use sim::openai::{OpenAi, OpenAiConfig, Out, Refused};
use std::time::Duration;

#[test]
fn the_first_event_shows_the_servers_defaults() {
    let line = Line::open_at(OpenAiConfig::default(), Faults::none(), 1, PATH).unwrap();
    let session = &line.event(0)["session"];
    assert_eq!(line.event(0)["type"], "session.created");
    assert_eq!(
        (&session["type"], &session["object"], &session["model"]),
        (&json!("realtime"), &json!("realtime.session"), &json!("gpt-realtime-2.1"))
    );
    assert_eq!(session["audio"]["input"]["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    assert_eq!(session["audio"]["input"]["turn_detection"]["type"], "server_vad");
    assert_eq!(session["expires_at"], 1_790_003_600_u64);
}

#[test]
fn the_door_opens_with_a_key_and_a_model_only() {
    let mut openai =
        OpenAi::new(OpenAiConfig { models: vec!["m".to_owned()], ..OpenAiConfig::default() }, Faults::none(), 1);
    let now = std::time::Instant::now();
    assert_eq!(openai.connect(now, "/v1/realtime?model=m", None), Err(Refused::Status(401)));
    assert_eq!(openai.connect(now, "/v1/realtime", Some("k")), Err(Refused::Status(400)));
    assert_eq!(openai.connect(now, "/v1/realtime?model=other", Some("k")), Err(Refused::Status(404)));
    assert_eq!(openai.connect(now, "/v1/chat?model=m", Some("k")), Err(Refused::Status(404)));
    assert!(openai.connect(now, "/v1/realtime?model=m", Some("k")).is_ok());
    openai.set_faults(Faults::scripted([Fault::Handshake(HandshakeFault::Silence).always()]));
    assert_eq!(openai.connect(now, "/v1/realtime?model=m", Some("k")), Err(Refused::Silence));
}

#[test]
fn an_update_is_answered_with_the_whole_session_or_an_error_that_repeats_its_id() {
    let mut line = Line::open(OpenAiConfig::default());
    let updated = line.first("session.updated");
    assert_eq!(updated["session"]["audio"]["input"]["format"]["type"], "audio/pcmu");
    assert_eq!(updated["session"]["audio"]["output"]["voice"], "marin");
    for (bad, code) in [
        (json!({"output_modalities": ["audio"]}), "missing_required_parameter"),
        (json!({"type": "realtime", "output_modalities": ["audio", "text"]}), "invalid_value"),
        (json!({"type": "realtime", "temperature": 0.8}), "unknown_parameter"),
        (json!({"type": "realtime", "model": "another"}), "invalid_value"),
    ] {
        let sent = json!({"type": "session.update", "event_id": "e1", "session": bad});
        let error = line.refused(&sent);
        assert_eq!((error["event_id"].as_str(), error["code"].as_str()), (Some("e1"), Some(code)), "{sent}");
    }
    assert_eq!(line.all("session.updated").len(), 1);
    assert_eq!(line.refused(&json!({"type": "dance"}))["code"], "invalid_event");
}

#[test]
fn the_voice_is_settled_once_it_has_spoken() {
    let mut line = Line::open(OpenAiConfig::default());
    let update = |voice: &str| json!({"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"voice": voice}}}});
    line.send(&update("cedar"));
    assert_eq!(line.all("session.updated").len(), 2);
    line.send(&json!({"type": "response.create"}));
    line.listen_until("response.done");
    assert_eq!(line.refused(&update("marin"))["param"], "session.audio.output.voice");
    line.send(&update("cedar"));
    assert_eq!(line.all("session.updated").len(), 3, "the same voice again is no change");
}

#[test]
fn truncation_is_checked_against_what_exists() {
    let mut line = Line::open(OpenAiConfig::default());
    line.say(BOOK);
    line.listen_until("response.done");
    line.listen(ms(2_000));
    let user = line.first("input_audio_buffer.committed")["item_id"].clone();
    let item = line.first("response.output_item.done")["item"]["id"].clone();
    let real = line.sound().len() as u64 / 8;
    let truncate = |item: &Value, end: u64| json!({"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": end});
    assert_eq!(line.refused(&truncate(&item, real + 1))["param"], "audio_end_ms");
    assert_eq!(line.refused(&truncate(&user, 0))["param"], "item_id");
    assert_eq!(line.refused(&truncate(&json!("item_none"), 0))["code"], "item_retrieve_invalid_item_id");
    line.send(&truncate(&item, real));
    line.send(&truncate(&item, 120));
    assert_eq!(line.all("conversation.item.truncated").last().unwrap()["audio_end_ms"], 120);
    line.send(&json!({"type": "conversation.item.retrieve", "item_id": item}));
    let part = &line.first("conversation.item.retrieved")["item"]["content"][0];
    assert!(part.get("transcript").is_none(), "what was not heard is forgotten");
    assert_eq!(line.record().truncations.len(), 2);
}

#[test]
fn the_client_may_commit_by_itself_but_not_nothing() {
    let mut line = Line::open(OpenAiConfig::default());
    line.vad(&Value::Null);
    assert_eq!(line.refused(&json!({"type": "input_audio_buffer.commit"}))["code"], "input_audio_buffer_commit_empty");
    line.say(BOOK);
    line.listen(ms(3_000));
    assert!(line.all("input_audio_buffer.speech_started").is_empty());
    line.send(&json!({"type": "input_audio_buffer.commit"}));
    line.listen(ms(2_000));
    assert!(line.all("response.created").is_empty(), "nothing is automatic");
    assert_eq!(
        line.first("conversation.item.input_audio_transcription.completed")["transcript"],
        "I'd like to book an appointment."
    );
    line.send(&json!({"type": "response.create"}));
    line.listen_until("response.done");
    line.send(&json!({"type": "input_audio_buffer.clear"}));
    assert_eq!(line.all("input_audio_buffer.cleared").len(), 1);
    assert_eq!(line.refused(&json!({"type": "input_audio_buffer.commit"}))["code"], "input_audio_buffer_commit_empty");
}

#[test]
fn a_session_ends_at_its_age_without_warning_or_with_an_error_first() {
    for announced in [false, true] {
        let mut line = Line::open(OpenAiConfig { expiry_error: announced, ..OpenAiConfig::default() });
        line.wait(Duration::from_secs(3_599));
        assert_eq!(line.closing(), None);
        line.wait(ms(1_100));
        let reason = "Your session hit the maximum duration of 60 minutes.".to_owned();
        assert_eq!(line.closing(), Some(Out::Close { code: 1001, reason }));
        assert_eq!(line.all("error").len(), usize::from(announced));
    }
}

#[test]
fn history_of_an_earlier_session_is_taken_up() {
    let mut line = Line::open(OpenAiConfig::default());
    let item = |role: &str, kind: &str, text: &str| {
        json!({"type": "conversation.item.create", "item":
        {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}})
    };
    line.send(&item("user", "input_text", "I'd like to book an appointment."));
    line.send(&item("assistant", "output_text", "We have Tuesday at ten or Thursday at three."));
    line.send(&item("user", "input_text", "Tuesday at ten, please."));
    assert_eq!(line.refused(&item("assistant", "output_audio", "x"))["code"], "invalid_value");
    line.send(&json!({"type": "response.create"}));
    line.listen_until("response.done");
    let mut fresh = Line::open(OpenAiConfig::default());
    fresh.send(&item("user", "input_text", "I'd like to book an appointment."));
    fresh.send(&json!({"type": "response.create"}));
    fresh.listen_until("response.done");
    assert_ne!(line.record().said[0].text, fresh.record().said[0].text);
    assert_eq!(
        line.all("conversation.item.done")[1]["previous_item_id"],
        line.all("conversation.item.done")[0]["item"]["id"]
    );
}

#[test]
fn pcm_at_24_khz_is_heard_and_spoken() {
    let mut line = Line::open_at(OpenAiConfig::default(), Faults::none(), 1, PATH).unwrap();
    let samples = sim::speech::utterance(BOOK).unwrap().pcm(24_000);
    let mut bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    bytes.resize(bytes.len() + 48_000, 0);
    for part in bytes.chunks(960) {
        line.append(part);
    }
    line.wait(ms(5_000));
    assert_eq!(line.record().heard, ["I'd like to book an appointment."]);
    assert_eq!(line.sound().len() % 2, 0);
    assert!(line.sound().len() > 24_000);
}

#[test]
fn every_event_reads_back_through_our_own_parser() {
    let mut line = Line::open(OpenAiConfig { conversation_created: true, ..OpenAiConfig::default() });
    line.say(BOOK);
    line.listen(ms(6_000));
    for text in &line.raw {
        let message =
            wire::openai::server::ServerMessage::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(!matches!(message.event, wire::openai::server::ServerEvent::Unknown(_)), "{text}");
        assert!(message.event_id.starts_with("event_"));
    }
}
