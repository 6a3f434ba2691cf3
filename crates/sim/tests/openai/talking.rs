//! How a conversation goes: hearing, answering, cancelling, tools, silence.

use crate::line::{Line, PATH, TELEPHONE, decoded};
use crate::{BOOK, ms};
use serde_json::{Value, json};
use sim::openai::OpenAiConfig;
use sim::openai::fault::Faults;

fn slow() -> OpenAiConfig {
    OpenAiConfig { speed: 1, ..OpenAiConfig::default() }
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
    assert_eq!(
        (&transcript["item_id"], transcript["transcript"].as_str()),
        (&item, Some("I'd like to book an appointment."))
    );
    assert_eq!(transcript["usage"]["type"], "duration");
    let deltas: String = line
        .all("conversation.item.input_audio_transcription.delta")
        .iter()
        .map(|delta| delta["delta"].as_str().unwrap().to_owned())
        .collect();
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
        line.in_order(&[
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]);
        line.in_order(&[
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio_transcript.done",
            "response.content_part.done",
        ]);
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
    let sizes: Vec<usize> = line.all("response.output_audio.delta").iter().map(|delta| decoded(delta).len()).collect();
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
    line.in_order(&[
        "input_audio_buffer.speech_started",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]);
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
    assert_eq!(
        line.refused(&json!({"type": "response.cancel", "response_id": "resp_other"}))["code"],
        "response_cancel_not_active"
    );
    line.send(&json!({"type": "response.cancel", "response_id": id}));
    assert_eq!(line.first("response.done")["response"]["status_details"]["reason"], "client_cancelled");
}

#[test]
fn only_one_response_runs_at_a_time() {
    let mut line = Line::open(slow());
    line.send(&json!({"type": "response.create"}));
    let error = line.refused(&json!({"type": "response.create", "event_id": "second"}));
    assert_eq!(
        (error["code"].as_str(), error["event_id"].as_str()),
        (Some("conversation_already_has_active_response"), Some("second"))
    );
    line.listen_until("response.done");
    assert_eq!(line.all("response.created").len(), 1);
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
    for words in
        ["I'd like to book an appointment.", "Tuesday at ten, please.", "My name is Alex Morgan.", "Yes, that's right."]
    {
        line.send(&json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}}));
        line.send(&json!({"type": "response.create"}));
        line.listen(ms(4_000));
    }
    let done = line.first("response.function_call_arguments.done");
    let deltas: String = line
        .all("response.function_call_arguments.delta")
        .iter()
        .map(|delta| delta["delta"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(done["arguments"], deltas.as_str());
    assert_eq!(done["name"], "record_booking");
    let last = line.all("response.done").last().unwrap().clone();
    let call = last["response"]["output"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["type"] == "function_call")
        .unwrap()
        .clone();
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
fn written_answers_have_no_sound() {
    let mut line = Line::open(OpenAiConfig::default());
    line.send(&json!({"type": "response.create", "response": {"output_modalities": ["text"], "instructions": "Write this: Good morning."}}));
    line.listen_until("response.done");
    assert_eq!(line.first("response.output_text.done")["text"], "Good morning.");
    assert!(line.sound().is_empty());
}
