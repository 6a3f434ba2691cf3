//! How a chat opens, is kept in order, ends and is remembered.

use crate::line::Line;
use crate::{BOOK, ms};
use serde_json::json;
use sim::evi::fault::Faults;
use sim::evi::{Ended, EviConfig, Frame, Out, PageRequest, Refused, ResumeWhileOpen, SendRefused};
use std::time::Duration;

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
    assert_eq!(
        (&line.first("error")["code"], &line.first("error")["slug"]),
        (&json!("E0714"), &json!("inactivity_timeout"))
    );
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
    assert_eq!(
        line.reconnect(&format!("/v0/evi/chat?resumed_chat_group_id={group}")).err(),
        Some(Refused::Status(400))
    );
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
    let config = EviConfig {
        api_keys: vec!["key".to_owned()],
        config_ids: vec!["known".to_owned()],
        concurrency: Some((1, 429)),
        ..EviConfig::default()
    };
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
