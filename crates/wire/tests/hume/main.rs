//! Hume EVI's messages from outside: what is written, what is understood, what is refused.

mod messages;

use proptest::prelude::*;
use std::borrow::Cow;
use wire::hume::client::{AssistantInput, AudioInput, ClientError, ClientMessage, write_audio_input};
use wire::hume::connect::{Connect, ConnectSettings, credential_in_query};
use wire::hume::error::ErrorCode;
use wire::hume::rest::ChatWithEvents;
use wire::hume::scores::Scores;
use wire::hume::server::{AudioOutput, ChatMessage, ParseError, Role, ServerMessage, UserInterruption, UserMessage};
use wire::hume::session::Variable;
use wire::hume::webhook::{Webhook, verify};

use messages::{client_messages, server_messages};

#[test]
fn every_client_message_is_written_minimally() {
    let written: Vec<String> = client_messages().iter().skip(1).map(ClientMessage::to_json).collect();
    insta::assert_snapshot!(written.join("\n"), @r#"
    {"type":"session_settings","custom_session_id":"call-1","audio":{"encoding":"linear16","sample_rate":8000,"channels":1},"system_prompt":"Be kind.","context":{"type":"persistent","text":"The caller is on a phone line."},"variables":{"name":"Ann","open_tickets":2,"vip":false},"tools":[{"type":"function","name":"look_up","parameters":"{\"type\":\"object\"}","description":"Looks up a ticket."}],"builtin_tools":[{"name":"hang_up"}],"metadata":{"campaign":"spring"},"voice_id":"v-1"}
    {"type":"user_input","text":"Hi"}
    {"type":"assistant_input","text":"Hello","custom_session_id":"call-1"}
    {"type":"tool_response","tool_call_id":"t1","content":"{\"ok\":true}","tool_name":"look_up","tool_type":"function"}
    {"type":"tool_error","tool_call_id":"t1","error":"timed out","content":"Say that it is not available.","code":"timeout","level":"warn"}
    {"type":"pause_assistant_message"}
    {"type":"resume_assistant_message"}
    "#);
}

#[test]
fn twenty_milliseconds_of_audio_are_written_straight_to_json() {
    let mut text = String::new();
    write_audio_input(&[0; 320], &mut text);
    assert_eq!(text, ClientMessage::AudioInput(AudioInput::from_bytes(&[0; 320])).to_json());
    assert_eq!(text.len(), r#"{"type":"audio_input","data":""}"#.len() + 428);
    let Ok(ClientMessage::AudioInput(AudioInput { data: Cow::Borrowed(_), .. })) = ClientMessage::parse(&text) else {
        panic!("audio is read without a copy: {text}");
    };
}

#[test]
fn every_client_message_passes_the_strict_reader_unchanged() {
    for message in client_messages() {
        assert_eq!(ClientMessage::parse(&message.to_json()), Ok(message.clone()));
    }
}

#[test]
fn the_strict_reader_answers_as_evi_does() {
    let code = |text: &str| ClientMessage::parse(text).expect_err("the message is wrong").code();
    for text in ["", "nonsense", "{\"type\":\"user_input\",", "{\"type\":5, oops"] {
        assert_eq!(code(text), ErrorCode::NotJson, "{text}");
    }
    for text in [
        "[]",
        "{}",
        "\"user_input\"",
        r#"{"type":null}"#,
        r#"{"type":"later"}"#,
        r#"{"type":"user_input"}"#,
        r#"{"type":"user_input","text":5}"#,
        r#"{"type":"user_input","text":"a","colour":"red"}"#,
        r#"{"type":"audio_input"}"#,
        r#"{"type":"audio_input","data":"","index":0}"#,
        r#"{"type":"session_settings","metadata":"spring"}"#,
        r#"{"type":"session_settings","audio":{"format":"linear16","sample_rate":8000,"channels":1}}"#,
        r#"{"type":"session_settings","audio":{"encoding":"mulaw","sample_rate":8000,"channels":1}}"#,
        r#"{"type":"session_settings","audio":{"encoding":"linear16","sample_rate":8000.5,"channels":1}}"#,
        r#"{"type":"session_settings","context":{"text":"x","type":"editable"}}"#,
        r#"{"type":"session_settings","tools":[{"type":"function","name":"f","parameters":{}}]}"#,
        r#"{"type":"session_settings","builtin_tools":[{"name":"order_pizza"}]}"#,
        r#"{"type":"session_settings","variables":{"a":[]}}"#,
        r#"{"type":"tool_error","tool_call_id":"t","error":"e","level":"fatal"}"#,
        r#"{"type":"tool_response","tool_call_id":null,"content":""}"#,
    ] {
        assert_eq!(code(text), ErrorCode::PayloadParse, "{text}");
    }
}

#[test]
fn a_refusal_names_the_place_and_becomes_an_error_message() {
    let error = ClientMessage::parse(
        r#"{"type":"session_settings","audio":{"encoding":"linear16","sample_rate":8000,"channels":1,"rate":1}}"#,
    )
    .expect_err("there is no such field");
    insta::assert_snapshot!(serde_json::to_string(&error.to_message(Some("r".into()))).expect("it is plain data"),
        @r#"{"type":"error","code":"E0101","slug":"payload_parse","message":"unknown field `audio.rate`","request_id":"r"}"#);
}

#[test]
fn audio_that_is_not_base64_has_its_own_code() {
    let Ok(ClientMessage::AudioInput(audio)) = ClientMessage::parse(r#"{"type":"audio_input","data":"@@"}"#) else {
        panic!("its structure is right");
    };
    assert_eq!(audio.decode(), Err(ClientError::NotBase64));
    assert_eq!(ClientError::NotBase64.code().code(), "E0201");
}

#[test]
fn optional_client_fields_may_be_null() {
    let text = r#"{"type":"tool_response","tool_call_id":"t","content":"x","tool_name":null,"tool_type":null,"custom_session_id":null}"#;
    assert!(ClientMessage::parse(text).is_ok());
    assert!(
        ClientMessage::parse(r#"{"type":"session_settings","audio":null,"variables":null,"context":null}"#).is_ok()
    );
}

#[test]
fn every_server_message_reads_back_as_itself() {
    for message in server_messages() {
        let text = message.to_json();
        assert_eq!(ServerMessage::parse(&text).as_ref(), Ok(&message), "{text}");
    }
}

#[test]
fn server_messages_are_written_as_evi_writes_them() {
    let written: Vec<String> = (server_messages().iter())
        .filter(|message| {
            !matches!(
                message,
                ServerMessage::AssistantProsody(_) | ServerMessage::SessionSettings(_) | ServerMessage::UserMessage(_)
            )
        })
        .map(ServerMessage::to_json)
        .collect();
    insta::assert_snapshot!(written.join("\n"), @r#"
    {"type":"chat_metadata","chat_group_id":"g","chat_id":"c","request_id":"00000000-0000-0000-0000-00000000000c123456","custom_session_id":"call-1"}
    {"type":"assistant_message","id":"0123456789abcdef0123456789abcdef","message":{"role":"assistant","content":"Hey there!"},"models":{},"from_text":false,"is_quick_response":true}
    {"type":"audio_output","id":"a","index":0,"data":"UklGRg=="}
    {"type":"user_interruption","time":810}
    {"type":"assistant_end"}
    {"type":"tool_call","tool_call_id":"t1","name":"look_up","parameters":"{\"id\":\"123\"}","tool_type":"function","response_required":true}
    {"type":"tool_response","tool_call_id":"t2","content":"found"}
    {"type":"tool_error","tool_call_id":"t2","error":"lost"}
    {"type":"error","code":"E0714","slug":"inactivity_timeout","message":"No user message for 120 s."}
    {"type":"later"}
    "#);
}

#[test]
fn recorded_oddities_are_tolerated() {
    let parse = |text| ServerMessage::parse(text).expect("EVI has sent the like");
    let ServerMessage::ChatMetadata(metadata) =
        parse(r#"{"type":"chat_metadata","chat_group_id":"g","chat_id":"c","request_id":"not-a-uuid-00123456"}"#)
    else {
        panic!("chat_metadata");
    };
    assert_eq!(metadata.request_id.as_deref(), Some("not-a-uuid-00123456"));

    let ServerMessage::AssistantMessage(message) = parse(
        r#"{"type":"assistant_message","id":"a","message":{"role":"assistant","content":"Hi"},"models":{"prosody":null},"from_text":false}"#,
    ) else {
        panic!("assistant_message");
    };
    assert!(!message.is_quick_response);
    assert_eq!(message.models.scores(), None);

    let ServerMessage::AudioOutput(audio) =
        parse(r#"{"type":"audio_output","id":"a","index":0,"data":"UklGRg","is_final_chunk":false,"codec":"x"}"#)
    else {
        panic!("audio_output");
    };
    let mut wav = vec![1, 2, 3];
    assert_eq!(
        (audio.is_final_chunk, audio.decode_into(&mut wav), wav.as_slice()),
        (Some(false), Ok(()), &b"RIFF"[..])
    );

    assert_eq!(
        parse(r#"{"type":"user_interruption","time":810}"#),
        ServerMessage::UserInterruption(UserInterruption { time: 810, custom_session_id: None })
    );
    assert!(matches!(parse(r#"{"type":"user_interruption"}"#), ServerMessage::UserInterruption(_)));
    assert!(matches!(parse(r#"{"type":"user_interruption","time":"soon"}"#), ServerMessage::UserInterruption(_)));

    let ServerMessage::UserMessage(user) = parse(
        r#"{"type":"user_message","message":{"role":"child"},"models":null,"time":null,"from_text":null,"interim":null}"#,
    ) else {
        panic!("user_message");
    };
    assert_eq!((user.message.role, user.message.text(), user.time, user.interim), (Role::Other, "", None, false));

    assert!(matches!(parse(r#"{"type":"error","code":null}"#), ServerMessage::Error(_)));
}

#[test]
fn a_slash_escaped_by_json_does_not_spoil_the_audio() {
    let text = r#"{"type":"audio_output","id":"a","index":0,"data":"\/\/\/\/"}"#;
    let Ok(ServerMessage::AudioOutput(audio)) = ServerMessage::parse(text) else { panic!("audio_output") };
    let mut bytes = Vec::new();
    assert_eq!((audio.decode_into(&mut bytes), bytes), (Ok(()), vec![0xFF; 3]));
}

#[test]
fn audio_is_borrowed_from_the_message_and_never_printed() {
    let text = ServerMessage::AudioOutput(AudioOutput::from_wav("a", 3, &[7; 3000])).to_json();
    let Ok(ServerMessage::AudioOutput(audio)) = ServerMessage::parse(&text) else { panic!("audio_output") };
    assert!(matches!(audio.data, Cow::Borrowed(_)));
    assert!(format!("{audio:?}").len() < 100);
}

#[test]
fn what_cannot_be_read_is_reported_without_repeating_it() {
    assert_eq!(ServerMessage::parse("nonsense"), Err(ParseError::NotAMessage));
    assert_eq!(ServerMessage::parse(r#"{"kind":"error"}"#), Err(ParseError::NotAMessage));
    let error = ServerMessage::parse(r#"{"type":"user_message","message":"my secret words"}"#)
        .expect_err("a message is an object");
    assert!(matches!(error, ParseError::Malformed { kind: "user_message", .. }));
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn the_type_of_an_unknown_message_is_kept_within_bounds() {
    let text = format!(r#"{{"type":"{}","x":1}}"#, "é".repeat(1000));
    let Ok(ServerMessage::Unknown(unknown)) = ServerMessage::parse(&text) else { panic!("unknown") };
    assert_eq!(unknown.kind.chars().count(), 64);
}

/// JSON that is nearly a message: one of ours with a piece cut out or something put in.
fn nearly(messages: Vec<String>) -> impl Strategy<Value = String> {
    (proptest::sample::select(messages), any::<proptest::sample::Index>(), 0..4usize, "\\PC{0,3}").prop_map(
        |(text, at, cut, insert)| {
            let mut characters: Vec<char> = text.chars().collect();
            let at = at.index(characters.len());
            let end = (at + cut).min(characters.len());
            characters.splice(at..end, insert.chars());
            characters.into_iter().collect()
        },
    )
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = ServerMessage::parse(&text);
        let _ = ClientMessage::parse(&text);
        let _ = Connect::from_query(&text);
        let _ = credential_in_query(&text);
        let _ = wire::hume::connect::socket_url(&text);
        let _ = Webhook::parse(&bytes);
        let _ = verify(b"key", &bytes, &text, &text, 1_700_000_000);
        let _ = serde_json::from_slice::<ChatWithEvents>(&bytes);
        let _ = serde_json::from_slice::<Scores>(&bytes);
    }

    #[test]
    fn no_damaged_server_message_makes_the_reader_panic(text in nearly(server_messages().iter().map(ServerMessage::to_json).collect())) {
        let _ = ServerMessage::parse(&text);
        let _ = Webhook::parse(text.as_bytes());
    }

    #[test]
    fn a_damaged_client_message_is_refused_or_survives_unchanged(text in nearly(client_messages().iter().map(ClientMessage::to_json).collect())) {
        if let Ok(message) = ClientMessage::parse(&text) {
            let again = message.to_json();
            prop_assert_eq!(ClientMessage::parse(&again), Ok(message.clone()));
        }
    }

    #[test]
    fn audio_survives_both_ways(audio in prop::collection::vec(any::<u8>(), 0..700)) {
        let mut text = String::new();
        write_audio_input(&audio, &mut text);
        match ClientMessage::parse(&text) {
            Ok(ClientMessage::AudioInput(input)) => prop_assert_eq!(input.decode().unwrap(), audio.clone()),
            other => prop_assert!(false, "{:?}", other),
        }
        let text = ServerMessage::AudioOutput(AudioOutput::from_wav("id", 1, &audio)).to_json();
        match ServerMessage::parse(&text) {
            Ok(ServerMessage::AudioOutput(output)) => {
                let mut bytes = Vec::new();
                prop_assert!(output.decode_into(&mut bytes).is_ok());
                prop_assert_eq!(bytes, audio);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn text_of_any_kind_survives(words in "\\PC{0,40}", id in proptest::option::of("\\PC{0,10}")) {
        let message = ClientMessage::AssistantInput(AssistantInput { text: words.clone(), custom_session_id: id });
        let text = message.to_json();
        prop_assert_eq!(ClientMessage::parse(&text), Ok(message));
        let message = ServerMessage::UserMessage(UserMessage { message: ChatMessage::new(Role::User, words), ..UserMessage::default() });
        let text = message.to_json();
        prop_assert_eq!(ServerMessage::parse(&text), Ok(message));
    }

    #[test]
    fn the_address_survives_whatever_is_in_it(
        config_id in proptest::option::of("\\PC{1,12}"),
        group in proptest::option::of("\\PC{1,12}"),
        event_limit in any::<Option<u32>>(),
        verbose in any::<bool>(),
        prompt in proptest::option::of("\\PC{1,40}"),
        variables in prop::collection::btree_map("\\PC{1,8}", "\\PC{0,12}", 0..4),
    ) {
        let connect = Connect {
            config_id,
            resumed_chat_group_id: group,
            event_limit,
            verbose_transcription: verbose,
            session_settings: ConnectSettings {
                system_prompt: prompt,
                variables: variables.into_iter().map(|(name, value)| (name, Variable::Text(value))).collect(),
                ..ConnectSettings::default()
            },
            ..Connect::default()
        };
        let address = connect.path_and_query();
        prop_assert!(address.bytes().all(|byte| byte.is_ascii_graphic()));
        let (_, query) = address.split_once('?').unwrap_or((&address, ""));
        prop_assert_eq!(Connect::from_query(query), Ok(connect));
    }
}
