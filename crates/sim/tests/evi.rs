//! Stories about the simulated EVI, in virtual time: a rule each.

mod evi_line;

use std::time::Duration;

use evi_line::Line;
use serde_json::json;
use sim::evi::fault::{Connection, Fault, Faults, HandshakeFault, Mishap, Moment, Odds, Scripted};
use sim::evi::{AssistantInputMode, Ended, EviConfig, FinalChunk, Frame, Out, PageRequest, ProsodyPlace, Refused, ResumeWhileOpen, SendRefused};

const BOOK: &str = "caller-book";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_first_message_names_chat_and_group_and_every_socket_has_its_own() {
    let mut line = Line::open(EviConfig::default());
    let first = line.message(0).clone();
    assert_eq!(first["type"], "chat_metadata");
    let again = line.reconnect("/v0/evi/chat").unwrap();
    assert_ne!(again["chat_id"], first["chat_id"]);
    assert_ne!(again["chat_group_id"], first["chat_group_id"]);
}

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
    let mut verbose = Line::open_at(EviConfig::default(), Faults::none(), 1, "/v0/evi/chat?verbose_transcription=true").unwrap();
    for line in [&mut plain, &mut verbose] {
        line.settings();
        line.say(BOOK);
        line.listen(ms(4_000));
    }
    assert!(plain.all("user_message").iter().all(|message| message["interim"] == false));
    let interim: Vec<_> = verbose.all("user_message").into_iter().filter(|message| message["interim"] == true).collect();
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
fn late_audio_of_an_interrupted_sentence_comes_once_and_is_counted() {
    let faults = Faults::scripted([Fault::midway(Moment::Open(ms(0)), Mishap::LateAudio(ms(150))).on(1)]);
    let config = EviConfig { speed: 1, chunks_per_sentence: 6, min_interruption: ms(200), ..EviConfig::default() };
    let mut line = Line::open_at(config, faults, 1, "/v0/evi/chat").unwrap();
    line.settings();
    line.say(BOOK);
    line.listen_until("audio_output");
    let id = line.first("audio_output")["id"].clone();
    line.say("caller-not-tuesday");
    line.listen_until("user_interruption");
    line.listen(ms(300));
    assert_eq!(line.kinds_after("user_interruption"), ["assistant_end", "audio_output"]);
    assert_eq!(line.all("audio_output").last().unwrap()["id"], id);
    assert_eq!(line.evi.fault_counts()["late audio"], 1);
}

#[test]
fn a_malformed_message_is_answered_and_changes_nothing() {
    let mut line = Line::open(EviConfig::default());
    line.text("{");
    line.text(r#"{"type":"session_settings","metadata":"x"}"#);
    line.text(r#"{"type":"audio_input","data":"%%%"}"#);
    line.text(r#"{"type":"dance"}"#);
    let codes: Vec<_> = line.all("error").iter().map(|error| error["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!(codes, ["E0100", "E0101", "E0201", "E0101"]);
    line.say(BOOK);
    line.listen(ms(4_000));
    assert_eq!(line.all("assistant_end").len(), 1, "the chat goes on");
}

#[test]
fn audio_without_settings_or_in_mu_law_fails_the_transcription_and_closes() {
    let mut line = Line::open_at(EviConfig::default(), Faults::none(), 1, "/v0/evi/chat").unwrap();
    line.frame(Frame::Binary(vec![0; 320]));
    assert_eq!(line.first("error")["code"], "I0116");
    assert!(matches!(line.closing(), Some(Out::Close { code: 1000, .. })));
    assert_eq!(line.record().ended.unwrap().1, Ended::Closed(1000));

    let mut line = Line::open(EviConfig::default());
    let mulaw = sim::speech::utterance(BOOK).unwrap().mulaw();
    for frame in mulaw.chunks(320) {
        line.frame(Frame::Binary(frame.to_vec()));
    }
    assert_eq!(line.first("error")["code"], "I0116");
}

#[test]
fn binary_and_json_audio_are_the_same_and_kept_byte_for_byte() {
    let mut line = Line::open(EviConfig::default());
    let audio: Vec<u8> = (0..640_u32).map(|n| (n % 7) as u8).collect();
    line.frame(Frame::Binary(audio[..320].to_vec()));
    let mut text = String::new();
    wire::hume::client::write_audio_input(&audio[320..], &mut text);
    line.text(&text);
    assert_eq!(line.record().audio, audio);
    assert_eq!(line.record().audio_messages, 2);
}

#[test]
fn settings_at_connect_and_later_are_recorded_merged_and_echoed_if_so_configured() {
    let path = "/v0/evi/chat?session_settings%5Baudio%5D%5Bencoding%5D=linear16&session_settings%5Baudio%5D%5Bsample_rate%5D=8000\
                &session_settings[audio][channels]=1&session_settings[custom_session_id]=call-1";
    let config = EviConfig { echo_session_settings: true, ..EviConfig::default() };
    let mut line = Line::open_at(config, Faults::none(), 1, path).unwrap();
    line.text(r#"{"type":"session_settings","voice_id":"v1","language_model_api_key":"very-secret"}"#);
    let echo = line.all("session_settings").last().cloned().unwrap();
    assert_eq!((&echo["voice_id"], &echo["custom_session_id"]), (&json!("v1"), &json!("call-1")));
    assert!(echo.get("language_model_api_key").is_none());
    line.say(BOOK);
    line.listen(ms(4_000));
    assert_eq!(line.first("user_message")["custom_session_id"], "call-1");
    assert_eq!(line.record().settings.len(), 2);
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
        let mut line = Line::open(EviConfig { assistant_input: mode, speed: 1, chunks_per_sentence: 8, ..EviConfig::default() });
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
fn while_paused_it_listens_and_on_resume_it_answers_only_the_last_words() {
    let mut line = Line::open(EviConfig::default());
    line.text(r#"{"type":"pause_assistant_message"}"#);
    line.say("caller-hello");
    line.listen(ms(3_000));
    line.say(BOOK);
    line.listen(ms(4_000));
    assert_eq!(line.all("user_message").len(), 2);
    assert!(line.all("assistant_message").is_empty());
    line.text(r#"{"type":"resume_assistant_message"}"#);
    line.listen(ms(4_000));
    assert_eq!(line.all("assistant_end").len(), 1);
}

#[test]
fn a_tool_call_blocks_the_turn_until_it_is_answered() {
    let mut line = Line::open(EviConfig::default());
    line.offer(&["record_booking", "hang_up"]);
    for words in ["I'd like to book an appointment.", "Tuesday at ten, please.", "My name is Alex Morgan.", "Yes, that's right."] {
        line.text(&json!({"type": "user_input", "text": words}).to_string());
        line.listen(ms(4_000));
    }
    let call = line.first("tool_call");
    assert_eq!((&call["name"], &call["response_required"], &call["tool_type"]), (&json!("record_booking"), &json!(true), &json!("function")));
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
    for words in ["I'd like to book an appointment.", "Tuesday at ten, please.", "My name is Alex Morgan.", "Yes, that's right."] {
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
fn silence_ends_the_chat_after_a_warning_and_fifteen_seconds_and_an_answer_saves_it() {
    let config = EviConfig {
        inactivity: Some(ms(30_000)),
        inactivity_message: Some("Are you still there?".to_owned()),
        ..EviConfig::default()
    };
    let mut line = Line::open(config.clone());
    line.wait(ms(32_000));
    assert_eq!(line.all("assistant_message").len(), 1);
    line.wait(ms(12_500));
    assert!(line.closing().is_none());
    line.wait(ms(1_000));
    assert_eq!((&line.first("error")["code"], &line.first("error")["slug"]), (&json!("E0714"), &json!("inactivity_timeout")));
    assert!(matches!(line.closing(), Some(Out::Close { code: 1000, .. })));

    let mut line = Line::open(config);
    line.wait(ms(32_000));
    line.text(r#"{"type":"user_input","text":"Hello?"}"#);
    line.wait(ms(20_000));
    assert!(line.closing().is_none());
}

#[test]
fn a_chat_ends_at_its_maximal_duration_and_no_later_than_the_hard_cap() {
    let mut line = Line::open(EviConfig {
        inactivity: None,
        max_duration: Some(ms(60_000)),
        max_duration_message: Some("Our time is up.".to_owned()),
        ..EviConfig::default()
    });
    line.wait(ms(65_000));
    assert_eq!(line.all("assistant_message").len(), 1);
    assert_eq!(line.first("error")["code"], "E0715");
    assert!(matches!(line.closing(), Some(Out::Close { code: 1000, .. })));

    let mut line = Line::open(EviConfig { inactivity: None, max_duration: None, ..EviConfig::default() });
    line.wait(Duration::from_secs(1_799));
    assert!(line.closing().is_none());
    line.wait(ms(1_500));
    assert_eq!(line.first("error")["slug"], "max_duration_timeout");
}

#[test]
fn a_resumed_chat_keeps_its_group_and_its_conversation_but_not_its_settings() {
    let mut line = Line::open(EviConfig { greeting: Some("Good morning.".to_owned()), ..EviConfig::default() });
    line.listen(ms(3_000));
    line.text(r#"{"type":"user_input","text":"I'd like to book an appointment."}"#);
    line.listen(ms(5_000));
    let group = line.message(0)["chat_group_id"].as_str().unwrap().to_owned();
    line.hang_up();
    let said: Vec<_> = line.record().said.iter().map(|said| said.text.clone()).collect();
    let metadata = line.reconnect(&format!("/v0/evi/chat?resumed_chat_group_id={group}")).unwrap();
    assert_eq!(metadata["chat_group_id"], group.as_str());
    line.listen_without_audio(ms(2_000));
    assert!(line.all("assistant_message").is_empty(), "no second greeting");
    line.settings();
    line.text(r#"{"type":"user_input","text":"Tuesday at ten, please."}"#);
    line.listen(ms(5_000));
    assert!(!line.all("assistant_message").is_empty());
    assert!(line.record().said.iter().all(|now| !said.contains(&now.text)), "it goes on where it was");
    assert!(line.record().resumed);
    let group = line.evi.chat_group(&group, PageRequest::default()).unwrap();
    assert_eq!(group.group.num_chats, 2);
}

#[test]
fn resuming_what_is_unknown_or_not_kept_is_refused() {
    let resume = "/v0/evi/chat?resumed_chat_group_id=00000000-0000-0000-0000-000000000000";
    let refused = Line::open_at(EviConfig::default(), Faults::none(), 1, resume).err();
    assert_eq!(refused, Some(Refused::Status(404)));
    let mut line = Line::open(EviConfig { retention: false, unknown_group_status: 400, ..EviConfig::default() });
    let group = line.message(0)["chat_group_id"].as_str().unwrap().to_owned();
    line.hang_up();
    assert_eq!(line.reconnect(&format!("/v0/evi/chat?resumed_chat_group_id={group}")).err(), Some(Refused::Status(400)));
}

#[test]
fn a_resume_while_the_old_socket_lingers_does_what_the_switch_says() {
    for policy in [ResumeWhileOpen::Accept, ResumeWhileOpen::CloseOld, ResumeWhileOpen::Refuse(409)] {
        let mut line = Line::open(EviConfig { resume_while_open: policy, ..EviConfig::default() });
        let group = line.message(0)["chat_group_id"].as_str().unwrap().to_owned();
        let old = line.session;
        let resumed = line.reconnect(&format!("/v0/evi/chat?resumed_chat_group_id={group}"));
        let ended = line.evi.record(old).unwrap().ended.map(|(_, how)| how);
        match policy {
            ResumeWhileOpen::Accept => assert!(resumed.is_ok() && ended.is_none()),
            ResumeWhileOpen::CloseOld => assert!(resumed.is_ok() && ended == Some(Ended::Closed(1000))),
            ResumeWhileOpen::Refuse(status) => assert_eq!(resumed.err(), Some(Refused::Status(status))),
        }
    }
}

#[test]
fn the_door_opens_for_known_keys_paths_and_configurations_only() {
    let config = EviConfig { api_keys: vec!["key".to_owned()], config_ids: vec!["known".to_owned()], concurrency: Some((1, 429)), ..EviConfig::default() };
    let mut line = Line::open_at(config, Faults::none(), 1, "/v0/evi/chat?api_key=key&config_id=known").unwrap();
    let now = line.now;
    let mut knock = |path: &str, key| line.evi.connect(now, path, key).err();
    assert_eq!(knock("/v0/evi/chat", None), Some(Refused::Status(401)));
    assert_eq!(knock("/v0/evi/chat", Some("other")), Some(Refused::Status(401)));
    assert_eq!(knock("/v0/evi/chats", Some("key")), Some(Refused::Status(404)));
    assert_eq!(knock("/v0/evi/chat?config_id=other", Some("key")), Some(Refused::Status(404)));
    assert_eq!(knock("/v0/evi/chat?event_limit=x", Some("key")), Some(Refused::Status(400)));
    assert_eq!(knock("/v0/evi/chat", Some("key")), Some(Refused::Status(429)));
}

#[test]
fn handshake_faults_happen_to_the_attempts_they_are_meant_for() {
    let faults = Faults::scripted([
        Fault::Handshake(HandshakeFault::Refuse(410)).on(1),
        Fault::Handshake(HandshakeFault::Silence).on(2),
        Fault::Handshake(HandshakeFault::Slow(ms(3_000))).on(3),
        Fault::Handshake(HandshakeFault::RefuseResume(403)).always(),
    ]);
    let mut evi = sim::evi::Evi::new(EviConfig::default(), faults, 1);
    let now = std::time::Instant::now();
    assert_eq!(evi.connect(now, "/v0/evi/chat", Some("k")), Err(Refused::Status(410)));
    assert_eq!(evi.connect(now, "/v0/evi/chat", Some("k")), Err(Refused::Silence));
    let accepted = evi.connect(now, "/v0/evi/chat", Some("k")).unwrap();
    assert_eq!(accepted.after, ms(3_000));
    assert_eq!(evi.poll(now + ms(2_999), accepted.session), None);
    assert_eq!(evi.next_due(accepted.session), Some(now + ms(3_000)));
    assert!(evi.poll(now + ms(3_000), accepted.session).is_some());
    assert_eq!(evi.connect(now, "/v0/evi/chat?resumed_chat_group_id=g", Some("k")), Err(Refused::Status(403)));
    assert_eq!(evi.fault_counts().values().sum::<u32>(), 4);
}

#[test]
fn the_socket_drops_exactly_where_the_script_says_in_the_second_sentence() {
    let at = Moment::Spoken { nth: 2, audio: ms(700) };
    let config = EviConfig { greeting: Some("Good morning, how are you today? It is a pleasure to hear from you again.".to_owned()), ..EviConfig::default() };
    let mut line = Line::open_at(config.clone(), Faults::scripted([Fault::midway(at, Mishap::Drop).on(1)]), 1, "/v0/evi/chat").unwrap();
    line.wait(ms(10_000));
    assert_eq!(line.closing(), Some(Out::Drop));
    let said = &line.record().said;
    assert_eq!((said[0].sent_ms, said[1].sent_ms), (said[0].whole_ms, 700));
    assert!(line.all("assistant_end").is_empty());

    let at = Moment::Sentence { nth: 2, after: ms(700) };
    let mut line = Line::open_at(config, Faults::scripted([Fault::midway(at, Mishap::Drop).on(1)]), 1, "/v0/evi/chat").unwrap();
    line.wait(ms(10_000));
    let begun = line.record().said[1].at.unwrap();
    let (ended, how) = line.record().ended.unwrap();
    assert_eq!((ended - begun, how), (ms(700), Ended::Dropped));
}

#[test]
fn odd_frames_huge_audio_and_stalls_come_when_they_are_due() {
    let greeting = Some("Good morning. How are you?".to_owned());
    let run = |mishap: Mishap| {
        let faults = Faults::scripted([Fault::midway(Moment::Sentence { nth: 1, after: ms(0) }, mishap).on(1)]);
        let config = EviConfig { greeting: greeting.clone(), ..EviConfig::default() };
        let mut line = Line::open_at(config, faults, 1, "/v0/evi/chat").unwrap();
        line.wait(ms(10_000));
        line
    };
    assert!(run(Mishap::MalformedJson).malformed == 1);
    assert!(run(Mishap::BinaryFrame).binary == 1);
    assert_eq!(run(Mishap::UnknownType).all("ambience").len(), 1);
    let huge = run(Mishap::HugeAudio);
    assert!(huge.all("audio_output").iter().any(|audio| audio["data"].as_str().unwrap().len() > 1 << 20));
    let stalled = run(Mishap::Stall(None));
    assert_eq!(stalled.all("audio_output").len(), 1);
    assert!(stalled.all("assistant_end").is_empty() && stalled.closing().is_none());
    let paused = run(Mishap::Stall(Some(ms(4_000))));
    assert_eq!(paused.all("assistant_end").len(), 1);
    assert!(paused.at("assistant_end") - paused.at("audio_output") >= ms(4_000));
}

#[test]
fn a_turn_that_fails_is_never_answered_and_the_next_one_is() {
    let faults = Faults::scripted([Fault::midway(Moment::CallerTurn(1), Mishap::FailedTurn).on(1)]);
    let mut line = Line::open_at(EviConfig::default(), faults, 1, "/v0/evi/chat").unwrap();
    line.settings();
    line.say(BOOK);
    line.listen(ms(5_000));
    assert!(line.all("assistant_message").is_empty());
    line.say(BOOK);
    line.listen(ms(5_000));
    assert!(!line.all("assistant_message").is_empty());
}

#[test]
fn forward_tolerance_can_be_tested_with_fields_and_messages_of_no_schema() {
    let config = EviConfig { extra_fields: 1.0, unknown_messages: 1.0, final_chunk: FinalChunk::Truthful, greeting: Some("Good morning.".to_owned()), ..EviConfig::default() };
    let mut line = Line::open(config);
    line.wait(ms(3_000));
    assert!(line.first("audio_output").get("trace").is_some());
    assert_eq!(line.first("audio_output")["is_final_chunk"], true);
    assert!(!line.all("speech_rate").is_empty());
}

#[test]
fn expression_of_its_own_voice_is_where_the_switch_says() {
    let run = |place| {
        let mut line = Line::open(EviConfig { prosody: place, greeting: Some("Good morning.".to_owned()), ..EviConfig::default() });
        line.wait(ms(3_000));
        (line.first("assistant_message")["models"].get("prosody").is_some(), line.all("assistant_prosody").len())
    };
    assert_eq!(run(ProsodyPlace::Nowhere), (false, 0));
    assert_eq!(run(ProsodyPlace::Inside), (true, 0));
    assert_eq!(run(ProsodyPlace::Afterwards), (false, 1));
}

#[test]
fn the_control_plane_steers_a_running_chat_and_no_other() {
    let mut line = Line::open(EviConfig::default());
    let chat = line.message(0)["chat_id"].as_str().unwrap().to_owned();
    let now = line.now;
    assert_eq!(line.evi.send(now, &chat, r#"{"type":"assistant_input","text":"Good morning."}"#), Ok(()));
    assert_eq!(line.evi.send(now, "none", r#"{"type":"pause_assistant_message"}"#), Err(SendRefused::UnknownChat));
    let audio = line.evi.send(now, &chat, r#"{"type":"audio_input","data":""}"#);
    assert!(matches!(audio, Err(SendRefused::Unprocessable(_))));
    assert!(matches!(line.evi.send(now, &chat, "{}"), Err(SendRefused::Unprocessable(_))));
    line.listen(ms(3_000));
    assert_eq!(line.all("assistant_message").len(), 1);
}

#[test]
fn the_history_tells_the_conversation_in_milliseconds() {
    let mut line = Line::open(EviConfig::default());
    line.say(BOOK);
    line.listen(ms(6_000));
    line.hang_up();
    let chat = line.message(0)["chat_id"].as_str().unwrap().to_owned();
    let chat = line.evi.chat(&chat, PageRequest { size: 100, ..PageRequest::default() }).unwrap();
    let speech: Vec<_> = chat.events_page.iter().filter(|event| event.is_speech()).collect();
    assert_eq!(speech[0].message_text.as_deref(), Some("I'd like to book an appointment."));
    assert_eq!(speech[0].scores().unwrap().len(), 48);
    assert!(speech.len() > 1);
    assert!(chat.chat.end_timestamp.unwrap().0 > 1_000_000_000_000);
    assert_eq!(serde_json::to_value(chat.chat.status).unwrap(), "USER_ENDED");
}

#[test]
fn the_same_seed_gives_the_same_conversation_byte_for_byte() {
    let run = |seed| {
        let mut line = Line::open_at(EviConfig::by_seed(seed), Faults::by_chance(Odds::even(0.05)), seed, "/v0/evi/chat").ok()?;
        line.settings();
        for words in [BOOK, "caller-tuesday", "caller-name-alex"] {
            line.say(words);
            line.listen(ms(4_000));
        }
        Some(line.transcript())
    };
    let mut different = 0;
    for seed in 0..12 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
        different += u32::from(run(seed) != run(seed + 1));
    }
    assert!(different > 6);
}

#[test]
fn arbitrary_frames_never_bring_it_down() {
    let mut rng = fastrand::Rng::with_seed(5);
    let faults = Faults::scripted([Scripted { connection: Connection::Every, fault: Fault::midway(Moment::Open(ms(50)), Mishap::UnknownType) }]);
    for _ in 0..300 {
        let mut line = Line::open_at(EviConfig::default(), faults.clone(), 1, "/v0/evi/chat").unwrap();
        for _ in 0..20 {
            let length = rng.usize(0..700);
            let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
            if rng.bool() {
                line.frame(Frame::Binary(bytes));
            } else {
                line.text(&String::from_utf8_lossy(&bytes));
            }
            if rng.u8(..) == 0 {
                line.settings();
            }
        }
        line.wait(ms(100));
    }
}
