//! Stories about the simulated `OpenAI` Realtime, in virtual time: a rule each.

mod openai_line;

use std::time::Duration;

use openai_line::{Line, PATH, TELEPHONE};
use serde_json::{Value, json};
use sim::openai::fault::{Fault, Faults, HandshakeFault, Mishap, Moment, Odds};
use sim::openai::{Ended, OpenAi, OpenAiConfig, Out, Outcome, Refused};
use wire::openai::response::StatusReason;

const BOOK: &str = "caller-book";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn slow() -> OpenAiConfig {
    OpenAiConfig { speed: 1, ..OpenAiConfig::default() }
}

#[test]
fn the_first_event_shows_the_servers_defaults() {
    let line = Line::open_at(OpenAiConfig::default(), Faults::none(), 1, PATH).unwrap();
    let session = &line.event(0)["session"];
    assert_eq!(line.event(0)["type"], "session.created");
    assert_eq!((&session["type"], &session["object"], &session["model"]), (&json!("realtime"), &json!("realtime.session"), &json!("gpt-realtime-2.1")));
    assert_eq!(session["audio"]["input"]["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    assert_eq!(session["audio"]["input"]["turn_detection"]["type"], "server_vad");
    assert_eq!(session["expires_at"], 1_790_003_600_u64);
}

#[test]
fn the_door_opens_with_a_key_and_a_model_only() {
    let mut openai = OpenAi::new(OpenAiConfig { models: vec!["m".to_owned()], ..OpenAiConfig::default() }, Faults::none(), 1);
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
fn the_callers_speech_is_heard_committed_transcribed_and_answered() {
    let mut line = Line::open(OpenAiConfig::default());
    line.listen(ms(500));
    line.say(BOOK);
    line.listen(ms(8_000));
    let started = line.first("input_audio_buffer.speech_started");
    let stopped = line.first("input_audio_buffer.speech_stopped");
    let item = started["item_id"].clone();
    let length = u64::try_from(sim::speech::utterance(BOOK).unwrap().duration().as_millis()).unwrap();
    let (from, to) = (started["audio_start_ms"].as_u64().unwrap(), stopped["audio_end_ms"].as_u64().unwrap());
    assert!((100..=400).contains(&from), "includes 300 ms of padding: {from}");
    assert!(to >= 500 + length && to < 500 + length + 800, "includes 500 ms of silence: {to}");
    assert_eq!(line.first("input_audio_buffer.committed")["item_id"], item);
    assert_eq!(line.first("conversation.item.added")["item"]["id"], item);
    let transcript = line.first("conversation.item.input_audio_transcription.completed");
    assert_eq!((&transcript["item_id"], transcript["transcript"].as_str()), (&item, Some("I'd like to book an appointment.")));
    assert_eq!(transcript["usage"]["type"], "duration");
    let deltas: String = line.all("conversation.item.input_audio_transcription.delta").iter().map(|delta| delta["delta"].as_str().unwrap().to_owned()).collect();
    assert_eq!(deltas, "I'd like to book an appointment.");
    let done = line.first("response.done");
    assert_eq!(done["response"]["status"], "completed");
    assert!(done["response"]["usage"]["total_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn a_response_follows_the_published_order_and_its_sound_is_the_speech() {
    for seed in 0..8 {
        let mut line = Line::open_at(OpenAiConfig::default(), Faults::none(), seed, PATH).unwrap();
        line.send(&serde_json::from_str(TELEPHONE).unwrap());
        line.send(&json!({"type": "response.create", "response": {"instructions": "Say exactly this: Good morning."}}));
        line.listen_until("response.done");
        line.listen(ms(100));
        line.in_order(&["response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added",
            "response.output_audio.delta", "response.output_audio.done", "response.content_part.done", "response.output_item.done", "response.done"]);
        line.in_order(&["response.content_part.added", "response.output_audio_transcript.delta", "response.output_audio_transcript.done", "response.content_part.done"]);
        line.in_order(&["response.output_item.done", "conversation.item.done"]);
        assert_eq!(line.sound(), call::audio::mulaw::encoded(&sim::speech::speak("Good morning.", 8_000).samples));
        assert_eq!(line.first("response.output_audio_transcript.done")["transcript"], "Good morning.");
        let part = &line.first("response.done")["response"]["output"][0]["content"][0];
        assert_eq!((&part["type"], &part["transcript"]), (&json!("output_audio"), &json!("Good morning.")));
        assert!(part.get("audio").is_none());
    }
}

#[test]
fn sound_comes_in_odd_pieces_and_faster_than_it_plays() {
    let mut line = Line::open(OpenAiConfig { delta_bytes: 101..777, ..OpenAiConfig::default() });
    line.send(&json!({"type": "response.create", "response": {"instructions": "Say this: Good morning. How can I help you today?"}}));
    line.listen_until("response.done");
    let played = ms(line.sound().len() as u64 / 8);
    assert!(line.at("response.done") - line.at("response.output_audio.delta") < played / 2);
    let sizes: Vec<usize> = line.all("response.output_audio.delta").iter().map(|delta| openai_line::decoded(delta).len()).collect();
    assert!(sizes[..sizes.len() - 1].iter().any(|size| size % 2 == 1 && size % 160 != 0), "{sizes:?}");
}

#[test]
fn what_no_source_orders_comes_in_more_than_one_order() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..24 {
        let mut line = Line::open_at(OpenAiConfig::default(), Faults::none(), seed, PATH).unwrap();
        line.send(&serde_json::from_str(TELEPHONE).unwrap());
        line.say(BOOK);
        line.listen_until("response.done");
        line.listen(ms(2_000));
        let position = |kind: &str| line.position(kind);
        orders.insert((
            position("response.output_audio.done") < position("response.output_audio_transcript.done"),
            position("conversation.item.input_audio_transcription.completed") < position("response.output_audio.delta"),
        ));
    }
    assert_eq!(orders.len(), 4, "{orders:?}");
}

#[test]
fn speech_cancels_the_running_response_with_all_its_closing_events() {
    let mut line = Line::open(slow());
    line.send(&json!({"type": "response.create", "response": {"instructions": "Say this: Good morning. How can I help you today? Take your time."}}));
    line.listen_until("response.output_audio.delta");
    line.say("caller-not-tuesday");
    line.listen_until("response.done");
    let done = line.first("response.done");
    assert_eq!(done["response"]["status"], "cancelled");
    assert_eq!(done["response"]["status_details"]["reason"], "turn_detected");
    line.in_order(&["input_audio_buffer.speech_started", "response.content_part.done", "response.output_item.done", "response.done"]);
    assert_eq!(line.first("response.output_item.done")["item"]["status"], "incomplete");
    let sound = line.sound().len();
    line.listen(ms(300));
    assert_eq!(line.sound().len(), sound);
    // Cancelling what the server has cancelled already finds nothing.
    assert_eq!(line.refused(&json!({"type": "response.cancel"}))["code"], "response_cancel_not_active");
}

#[test]
fn without_interruption_the_response_goes_on_and_the_automatic_one_fails() {
    let mut line = Line::open(slow());
    line.vad(&json!({"type": "server_vad", "interrupt_response": false, "create_response": true, "silence_duration_ms": 300}));
    line.send(&json!({"type": "response.create", "response": {"instructions":
        "Say this: Good morning. How can I help you today? We have time. Please tell me all of it. I am listening to you very carefully."}}));
    line.listen_until("response.output_audio.delta");
    line.say("caller-hello");
    line.listen_until("error");
    assert_eq!(line.first("error")["error"]["code"], "conversation_already_has_active_response");
    line.listen_until("response.done");
    assert_eq!(line.first("response.done")["response"]["status"], "completed");
}

#[test]
fn a_client_can_cancel_but_not_what_has_not_begun() {
    let mut line = Line::open(slow());
    line.send(&json!({"type": "response.create"}));
    assert_eq!(line.refused(&json!({"type": "response.cancel"}))["code"], "response_cancel_not_active");
    line.listen_until("response.output_audio.delta");
    let id = line.first("response.created")["response"]["id"].clone();
    assert_eq!(line.refused(&json!({"type": "response.cancel", "response_id": "resp_other"}))["code"], "response_cancel_not_active");
    line.send(&json!({"type": "response.cancel", "response_id": id}));
    assert_eq!(line.first("response.done")["response"]["status_details"]["reason"], "client_cancelled");
}

#[test]
fn only_one_response_runs_at_a_time() {
    let mut line = Line::open(slow());
    line.send(&json!({"type": "response.create"}));
    let error = line.refused(&json!({"type": "response.create", "event_id": "second"}));
    assert_eq!((error["code"].as_str(), error["event_id"].as_str()), (Some("conversation_already_has_active_response"), Some("second")));
    line.listen_until("response.done");
    assert_eq!(line.all("response.created").len(), 1);
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
    assert_eq!(line.first("conversation.item.input_audio_transcription.completed")["transcript"], "I'd like to book an appointment.");
    line.send(&json!({"type": "response.create"}));
    line.listen_until("response.done");
    line.send(&json!({"type": "input_audio_buffer.clear"}));
    assert_eq!(line.all("input_audio_buffer.cleared").len(), 1);
    assert_eq!(line.refused(&json!({"type": "input_audio_buffer.commit"}))["code"], "input_audio_buffer_commit_empty");
}

#[test]
fn the_callers_clock_is_the_audio_not_the_wall() {
    let mut line = Line::open(OpenAiConfig::default());
    line.say(BOOK);
    line.drain_speech();
    line.wait(ms(30_000));
    assert!(line.all("input_audio_buffer.speech_stopped").is_empty());
    line.listen(ms(700));
    assert_eq!(line.all("input_audio_buffer.speech_stopped").len(), 1);
}

#[test]
fn a_silent_caller_is_asked_once_the_answer_has_been_played() {
    let mut line = Line::open(OpenAiConfig::default());
    line.vad(&json!({"type": "server_vad", "idle_timeout_ms": 5_000}));
    line.send(&json!({"type": "response.create", "response": {"instructions": "Say this: Good morning."}}));
    line.listen_until("response.done");
    let (done, played) = (line.at("response.done"), ms(line.sound().len() as u64 / 8));
    line.listen_until("input_audio_buffer.timeout_triggered");
    let waited = line.at("input_audio_buffer.timeout_triggered") - done;
    assert!(waited >= played + ms(5_000) && waited < played + ms(5_040), "{waited:?}");
    line.listen_until_nth("response.done", 2);
    assert_eq!(line.all("input_audio_buffer.committed").len(), 1);
    assert_eq!(line.record().said.last().unwrap().text, "Are you still there?");
}

#[test]
fn a_tool_is_called_answered_and_spoken_about_only_when_asked() {
    let mut line = Line::open(OpenAiConfig::default());
    line.send(&json!({"type": "session.update", "session": {"type": "realtime", "tools": [
        {"type": "function", "name": "record_booking", "parameters": {"type": "object"}}]}}));
    for words in ["I'd like to book an appointment.", "Tuesday at ten, please.", "My name is Alex Morgan.", "Yes, that's right."] {
        line.send(&json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}}));
        line.send(&json!({"type": "response.create"}));
        line.listen(ms(4_000));
    }
    let done = line.first("response.function_call_arguments.done");
    let deltas: String = line.all("response.function_call_arguments.delta").iter().map(|delta| delta["delta"].as_str().unwrap().to_owned()).collect();
    assert_eq!(done["arguments"], deltas.as_str());
    assert_eq!(done["name"], "record_booking");
    let last = line.all("response.done").last().unwrap().clone();
    let call = last["response"]["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call").unwrap().clone();
    assert_eq!((&call["call_id"], &call["status"]), (&done["call_id"], &json!("completed")));
    let output = |id: &Value| json!({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": id, "output": "{\"ok\":true}"}});
    assert_eq!(line.refused(&output(&json!("call_other")))["param"], "item.call_id");
    line.send(&output(&call["call_id"]));
    let responses = line.all("response.done").len();
    line.listen(ms(3_000));
    assert_eq!(line.all("response.done").len(), responses, "nothing is spoken without being asked for");
    line.send(&json!({"type": "response.create"}));
    line.listen_until_nth("response.done", responses + 1);
    assert_eq!(line.record().tool_outputs.len(), 1);
}

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
    assert_eq!((&done[0]["status"], &done[0]["status_details"]["error"]["code"]), (&json!("failed"), &json!("inference_rate_limit_exceeded")));
    assert_eq!((&done[1]["status"], &done[1]["status_details"]["reason"]), (&json!("incomplete"), &json!("content_filter")));
    assert_eq!((&done[2]["status"], &done[2]["status_details"]["reason"]), (&json!("incomplete"), &json!("max_output_tokens")));
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
fn the_socket_drops_exactly_where_the_script_says() {
    let at = Moment::Spoken { nth: 2, audio: ms(700) };
    let mut line = Line::open_at(OpenAiConfig::default(), Faults::scripted([Fault::midway(at, Mishap::Drop).on(1)]), 1, PATH).unwrap();
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
fn history_of_an_earlier_session_is_taken_up() {
    let mut line = Line::open(OpenAiConfig::default());
    let item = |role: &str, kind: &str, text: &str| json!({"type": "conversation.item.create", "item":
        {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}});
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
    assert_eq!(line.all("conversation.item.done")[1]["previous_item_id"], line.all("conversation.item.done")[0]["item"]["id"]);
}

#[test]
fn written_answers_have_no_sound() {
    let mut line = Line::open(OpenAiConfig::default());
    line.send(&json!({"type": "response.create", "response": {"output_modalities": ["text"], "instructions": "Write this: Good morning."}}));
    line.listen_until("response.done");
    assert_eq!(line.first("response.output_text.done")["text"], "Good morning.");
    assert!(line.sound().is_empty());
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
        let message = wire::openai::server::ServerMessage::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(!matches!(message.event, wire::openai::server::ServerEvent::Unknown(_)), "{text}");
        assert!(message.event_id.starts_with("event_"));
    }
}

#[test]
fn the_same_seed_gives_the_same_conversation_byte_for_byte() {
    let run = |seed| {
        let mut line = Line::open_at(OpenAiConfig::by_seed(seed), Faults::by_chance(Odds::even(0.05)), seed, PATH).ok()?;
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
