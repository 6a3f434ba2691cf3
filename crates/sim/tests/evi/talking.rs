//! How a conversation goes: understanding, answering, interrupting, tools, pauses.

use crate::line::Line;
use crate::{BOOK, ms};
use serde_json::json;
use sim::evi::fault::Faults;
use sim::evi::{AssistantInputMode, EviConfig, Out, ProsodyPlace};

#[test]
fn a_booking_is_understood_from_sound_alone_and_answered_in_pairs_of_words_and_sound() {
    let mut line = Line::open(EviConfig::default());
    line.say(BOOK);
    line.listen(ms(6_000));
    let user = line.first("user_message");
    assert_eq!(user["message"]["content"], "I'd like to book an appointment.");
    assert_eq!((&user["interim"], &user["from_text"]), (&json!(false), &json!(false)));
    assert_eq!(user["models"]["prosody"]["scores"].as_object().unwrap().len(), 48);
    let (begin, end) = (user["time"]["begin"].as_u64().unwrap(), user["time"]["end"].as_u64().unwrap());
    assert!(begin < 400 && end > begin + 500, "{begin}..{end}");
    let kinds = line.kinds_after("user_message");
    assert_eq!(kinds.first().map(String::as_str), Some("assistant_message"));
    assert_eq!(kinds.last().map(String::as_str), Some("assistant_end"));
    for message in line.all("assistant_message") {
        let spoken = line.all("audio_output").into_iter().filter(|audio| audio["id"] == message["id"]).count();
        assert_eq!(spoken, 1);
    }
}

#[test]
fn an_answer_leaves_faster_than_it_plays() {
    let mut line = Line::open(EviConfig::default());
    line.say(BOOK);
    line.listen(ms(8_000));
    let record = line.record();
    let played: u64 = record.said.iter().map(|said| said.whole_ms).sum();
    let first = line.at("audio_output");
    let last = line.at("assistant_end");
    assert!(last - first < ms(played / 2), "{:?} for {played} ms", last - first);
}

#[test]
fn the_callers_clock_is_the_audio_not_the_wall() {
    let mut line = Line::open(EviConfig::default());
    // The words, then nothing at all: without silence that arrives as audio, the turn does not end.
    line.say(BOOK);
    line.drain_speech();
    line.wait(ms(5_000));
    assert!(line.all("user_message").is_empty());
    line.listen(ms(900));
    assert_eq!(line.all("user_message").len(), 1);
}

#[test]
fn interim_transcripts_come_only_when_asked_for() {
    let mut plain = Line::open(EviConfig::default());
    let mut verbose =
        Line::open_at(EviConfig::default(), Faults::none(), 1, "/v0/evi/chat?verbose_transcription=true").unwrap();
    for line in [&mut plain, &mut verbose] {
        line.settings();
        line.say(BOOK);
        line.listen(ms(4_000));
    }
    assert!(plain.all("user_message").iter().all(|message| message["interim"] == false));
    let interim: Vec<_> =
        verbose.all("user_message").into_iter().filter(|message| message["interim"] == true).collect();
    assert!(!interim.is_empty());
    assert!(interim[0]["models"].get("prosody").is_none());
}

#[test]
fn speech_while_sending_interrupts_and_nothing_more_of_the_turn_follows() {
    let config = EviConfig { speed: 1, chunks_per_sentence: 8, min_interruption: ms(300), ..EviConfig::default() };
    let mut line = Line::open(config);
    line.say(BOOK);
    line.listen_until("audio_output");
    line.say("caller-not-tuesday");
    line.listen_until("user_interruption");
    let position = line.first("user_interruption")["time"].as_u64().unwrap();
    assert!(position > 1_000);
    let kinds = line.kinds_after("user_interruption");
    assert_eq!(kinds, ["assistant_end"]);
    let sent = line.all("audio_output").len();
    line.listen(ms(600));
    assert_eq!(line.all("audio_output").len(), sent, "no sound of the interrupted turn");
    line.listen_until_nth("user_message", 2);
    assert_eq!(line.record().interruptions, 1);
}

#[test]
fn speech_after_everything_was_sent_is_no_interruption() {
    let mut line = Line::open(EviConfig { speed: 1_000, ..EviConfig::default() });
    line.say(BOOK);
    line.listen_until("assistant_end");
    line.say("caller-not-tuesday");
    line.listen(ms(4_000));
    assert!(line.all("user_interruption").is_empty());
    assert_eq!(line.all("user_message").len(), 2);
}

#[test]
fn typed_input_is_answered_like_speech_without_expressions() {
    let mut line = Line::open(EviConfig::default());
    line.text(r#"{"type":"user_input","text":"I'd like to book an appointment."}"#);
    line.listen(ms(4_000));
    let user = line.first("user_message");
    assert_eq!(user["from_text"], true);
    assert!(user["models"].get("prosody").is_none());
    assert!(!line.all("audio_output").is_empty());
}

#[test]
fn assistant_input_is_spoken_behind_or_instead_of_what_runs() {
    for (mode, expected) in [(AssistantInputMode::Queues, false), (AssistantInputMode::Interrupts, true)] {
        let mut line =
            Line::open(EviConfig { assistant_input: mode, speed: 1, chunks_per_sentence: 8, ..EviConfig::default() });
        line.text(r#"{"type":"assistant_input","text":"This call is recorded. Please stay on the line."}"#);
        line.listen_until("audio_output");
        line.text(r#"{"type":"assistant_input","text":"One moment please."}"#);
        line.listen_until_nth("assistant_end", 2);
        let said = line.record().said.clone();
        assert_eq!(said.last().unwrap().text, "One moment please.");
        assert_eq!(said[0].sent_ms < said[0].whole_ms, expected, "{mode:?}");
        assert!(line.all("assistant_message").iter().all(|message| message["from_text"] == true));
    }
}

#[test]
fn a_tool_call_blocks_the_turn_until_it_is_answered() {
    let mut line = Line::open(EviConfig::default());
    line.offer(&["record_booking", "hang_up"]);
    for words in
        ["I'd like to book an appointment.", "Tuesday at ten, please.", "My name is Alex Morgan.", "Yes, that's right."]
    {
        line.text(&json!({"type": "user_input", "text": words}).to_string());
        line.listen(ms(4_000));
    }
    let call = line.first("tool_call");
    assert_eq!(
        (&call["name"], &call["response_required"], &call["tool_type"]),
        (&json!("record_booking"), &json!(true), &json!("function"))
    );
    assert!(serde_json::from_str::<serde_json::Value>(call["parameters"].as_str().unwrap()).unwrap().is_object());
    let ends = line.all("assistant_end").len();
    line.listen(ms(10_000));
    assert_eq!(line.all("assistant_end").len(), ends, "the turn waits");
    line.text(r#"{"type":"tool_response","tool_call_id":"another","content":"{}"}"#);
    line.listen(ms(2_000));
    assert_eq!(line.all("assistant_end").len(), ends, "another call's answer is no answer");
    let answer = json!({"type": "tool_response", "tool_call_id": call["tool_call_id"], "content": "{\"ok\":true}"});
    line.text(&answer.to_string());
    line.listen(ms(4_000));
    assert_eq!(line.all("assistant_end").len(), ends + 1);
    assert_eq!(line.record().tool_responses.len(), 2);
}

#[test]
fn patience_with_a_tool_can_end() {
    let mut line = Line::open(EviConfig { tool_patience: Some(ms(2_000)), ..EviConfig::default() });
    line.offer(&["record_booking"]);
    for words in
        ["I'd like to book an appointment.", "Tuesday at ten, please.", "My name is Alex Morgan.", "Yes, that's right."]
    {
        line.text(&json!({"type": "user_input", "text": words}).to_string());
        line.listen(ms(4_000));
    }
    line.listen(ms(4_000));
    assert_eq!(line.kinds_after("tool_call").last().map(String::as_str), Some("assistant_end"));
}

#[test]
fn the_builtin_hang_up_closes_the_socket_after_the_goodbye() {
    let mut line = Line::open(EviConfig::default());
    line.text(r#"{"type":"session_settings","builtin_tools":[{"name":"hang_up"}]}"#);
    line.text(r#"{"type":"user_input","text":"Goodbye."}"#);
    line.listen(ms(6_000));
    assert!(!line.all("audio_output").is_empty());
    assert!(matches!(line.closing(), Some(Out::Close { code: 1000, .. })));
}

#[test]
fn expression_of_its_own_voice_is_where_the_switch_says() {
    let run = |place| {
        let mut line = Line::open(EviConfig {
            prosody: place,
            greeting: Some("Good morning.".to_owned()),
            ..EviConfig::default()
        });
        line.wait(ms(3_000));
        (line.first("assistant_message")["models"].get("prosody").is_some(), line.all("assistant_prosody").len())
    };
    assert_eq!(run(ProsodyPlace::Nowhere), (false, 0));
    assert_eq!(run(ProsodyPlace::Inside), (true, 0));
    assert_eq!(run(ProsodyPlace::Afterwards), (false, 1));
}
