//! `OpenAI` Realtime's messages from outside: what is written, what is understood, what is refused.

mod messages;

use proptest::prelude::*;
use std::borrow::Cow;
use wire::openai::client::{ClientEvent, ClientMessage, decode_append, write_append};
use wire::openai::connect::{model_in_query, socket_url};
use wire::openai::error::ErrorCode;
use wire::openai::item::{ContentKind, Item};
use wire::openai::response::{ResponseStatus, StatusReason};
use wire::openai::server::{
    AudioDelta, ErrorEvent, ParseError, PartRef, ServerEvent, ServerMessage, TranscriptionCompleted, Unknown,
};
use wire::openai::session::Change;

use messages::{client_messages, server_messages};

#[test]
fn every_client_message_is_written_minimally() {
    let written: Vec<String> = client_messages().iter().map(ClientMessage::to_json).collect();
    insta::assert_snapshot!(written.join("\n"), @r#"
    {"type":"session.update","session":{"type":"realtime","instructions":"Be kind.","output_modalities":["audio"],"max_output_tokens":"inf","tools":[{"type":"function","name":"hang_up","description":"Ends the call.","parameters":{"properties":{},"type":"object"}}],"tool_choice":"auto","audio":{"input":{"format":{"type":"audio/pcmu"},"noise_reduction":null,"transcription":{"model":"gpt-transcribe","language":"en"},"turn_detection":{"type":"server_vad","threshold":0.5,"prefix_padding_ms":300,"silence_duration_ms":500,"create_response":true,"interrupt_response":true}},"output":{"format":{"type":"audio/pcmu"},"voice":"marin","speed":1.0}}},"event_id":"cfg-1"}
    {"type":"input_audio_buffer.append","audio":"////////"}
    {"type":"input_audio_buffer.commit"}
    {"type":"input_audio_buffer.clear"}
    {"type":"conversation.item.create","previous_item_id":"root","item":{"type":"message","role":"system","content":[{"type":"input_text","text":"It is Monday."}]}}
    {"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]}}
    {"type":"conversation.item.create","item":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}}
    {"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"call_1","output":"{}"},"event_id":"tool-1"}
    {"type":"conversation.item.truncate","item_id":"item_1","content_index":0,"audio_end_ms":710}
    {"type":"conversation.item.delete","item_id":"item_1"}
    {"type":"conversation.item.retrieve","item_id":"item_1"}
    {"type":"response.create"}
    {"type":"response.create","response":{"instructions":"Greet the caller.","conversation":"none","input":[{"type":"item_reference","id":"item_1"},{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]}],"metadata":{"purpose":"greeting"}}}
    {"type":"response.cancel","response_id":"resp_1"}
    {"type":"response.cancel"}
    "#);
}

#[test]
fn every_client_message_passes_the_strict_reader_unchanged() {
    for message in client_messages() {
        assert_eq!(ClientMessage::parse(&message.to_json()), Ok(message.clone()));
    }
}

#[test]
fn twenty_milliseconds_of_audio_are_written_straight_to_json() {
    let mut text = String::new();
    write_append(&[0xFF; 160], &mut text);
    assert_eq!(text, ClientEvent::append(&[0xFF; 160]).to_json());
    let Ok(ClientMessage { event: ClientEvent::Append { audio: Cow::Borrowed(audio) }, .. }) =
        ClientMessage::parse(&text)
    else {
        panic!("audio is read without a copy: {text}");
    };
    assert_eq!(decode_append(audio), Ok(vec![0xFF; 160]));
    let error = decode_append("@").expect_err("it is not Base64");
    assert_eq!((error.known_code(), error.param.as_deref()), (Some(ErrorCode::InvalidValue), Some("audio")));
}

#[test]
fn the_strict_reader_names_the_code_and_the_field() {
    use ErrorCode::{InvalidEvent, InvalidType, InvalidValue, MissingParameter, UnknownParameter};
    for (text, code, param) in [
        ("nonsense", InvalidEvent, None),
        ("[]", InvalidEvent, None),
        ("{}", InvalidEvent, Some("type")),
        (r#"{"type":5}"#, InvalidEvent, Some("type")),
        (r#"{"type":"session.start"}"#, InvalidEvent, Some("type")),
        (r#"{"type":"output_audio_buffer.clear"}"#, InvalidEvent, Some("type")),
        (r#"{"type":"session.update"}"#, MissingParameter, Some("session")),
        (r#"{"type":"session.update","session":{"instructions":"x"}}"#, MissingParameter, Some("session.type")),
        (
            r#"{"type":"session.update","session":{"type":"realtime","output_modalities":["text","audio"]}}"#,
            InvalidValue,
            Some("session.output_modalities"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","modalities":["audio"]}}"#,
            UnknownParameter,
            Some("session.modalities"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","temperature":0.8}}"#,
            UnknownParameter,
            Some("session.temperature"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcmu","rate":8000}}}}}"#,
            UnknownParameter,
            Some("session.audio.input.format.rate"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"semantic_vad","threshold":0.5}}}}}"#,
            UnknownParameter,
            Some("session.audio.input.turn_detection.threshold"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","threshold":"high"}}}}}"#,
            InvalidType,
            Some("session.audio.input.turn_detection.threshold"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","threshold":2}}}}}"#,
            InvalidValue,
            Some("session.audio.input.turn_detection.threshold"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","audio":{"output":{"format":{"type":"audio/pcm","rate":8000}}}}}"#,
            InvalidValue,
            Some("session.audio.output.format.rate"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","audio":{"output":{"speed":3}}}}"#,
            InvalidValue,
            Some("session.audio.output.speed"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","instructions":null}}"#,
            InvalidType,
            Some("session.instructions"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","max_output_tokens":0}}"#,
            InvalidValue,
            Some("session.max_output_tokens"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","max_output_tokens":"many"}}"#,
            InvalidType,
            Some("session.max_output_tokens"),
        ),
        (
            r#"{"type":"session.update","session":{"type":"realtime","tools":[{"type":"function","name":"f","strict":true}]}}"#,
            UnknownParameter,
            Some("session.tools[0].strict"),
        ),
        (r#"{"type":"session.update","session":{"type":"realtime"},"colour":"red"}"#, UnknownParameter, Some("colour")),
        (r#"{"type":"input_audio_buffer.append"}"#, MissingParameter, Some("audio")),
        (r#"{"type":"input_audio_buffer.append","audio":5}"#, InvalidType, None),
        (r#"{"type":"input_audio_buffer.append","audio":"","codec":"x"}"#, UnknownParameter, Some("codec")),
        (r#"{"type":"input_audio_buffer.commit","event_id":5}"#, InvalidType, Some("event_id")),
        (
            r#"{"type":"conversation.item.create","item":{"type":"message","role":"assistant","content":[{"type":"output_audio","transcript":"x"}]}}"#,
            InvalidValue,
            Some("item.content[0].type"),
        ),
        (
            r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"text","text":"x"}]}}"#,
            InvalidValue,
            Some("item.content[0].type"),
        ),
        (
            r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text"}]}}"#,
            MissingParameter,
            Some("item.content[0].text"),
        ),
        (r#"{"type":"conversation.item.create","item":{"type":"later"}}"#, InvalidValue, Some("item")),
        (
            r#"{"type":"conversation.item.create","item":{"type":"item_reference","id":"i"}}"#,
            InvalidValue,
            Some("item.type"),
        ),
        (
            r#"{"type":"conversation.item.truncate","item_id":"i","content_index":0}"#,
            MissingParameter,
            Some("audio_end_ms"),
        ),
        (
            r#"{"type":"conversation.item.truncate","item_id":"i","content_index":0,"audio_end_ms":-1}"#,
            InvalidType,
            None,
        ),
        (r#"{"type":"response.create","response":{"speed":1.1}}"#, UnknownParameter, Some("response.speed")),
        (
            r#"{"type":"response.create","response":{"output_modalities":[]}}"#,
            InvalidValue,
            Some("response.output_modalities"),
        ),
    ] {
        let error = ClientMessage::parse(text).expect_err(text);
        assert_eq!((error.known_code(), error.param.as_deref()), (Some(code), param), "{text}: {error:?}");
        assert_eq!(error.kind, "invalid_request_error", "{text}");
    }
}

#[test]
fn a_refusal_carries_the_clients_own_id_and_becomes_an_error_event() {
    let error = ClientMessage::parse(r#"{"type":"session.update","event_id":"cfg-1","session":{}}"#)
        .expect_err("the type is missing");
    let event = ServerMessage::new("event_1", ServerEvent::Error(ErrorEvent { error }));
    insta::assert_snapshot!(event.to_json(), @r#"{"type":"error","error":{"type":"invalid_request_error","code":"missing_required_parameter","message":"missing required parameter 'session.type'","param":"session.type","event_id":"cfg-1"},"event_id":"event_1"}"#);
}

#[test]
fn null_switches_off_what_can_be_switched_off() {
    let text = r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"transcription":null,"noise_reduction":null,"turn_detection":null}}}}"#;
    let Ok(ClientMessage { event: ClientEvent::SessionUpdate { session }, .. }) = ClientMessage::parse(text) else {
        panic!("session.update")
    };
    let input = session.audio.and_then(|audio| audio.input).expect("it has an input");
    assert_eq!((input.transcription, input.turn_detection), (Change::Clear, Change::Clear));
    let text = r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","idle_timeout_ms":null}}}}}"#;
    assert!(ClientMessage::parse(text).is_ok());
}

#[test]
fn every_server_message_reads_back_as_itself() {
    for message in server_messages() {
        let text = message.to_json();
        assert_eq!(ServerMessage::parse(&text).as_ref(), Ok(&message), "{text}");
    }
}

#[test]
fn the_events_of_a_reply_are_written_as_the_server_writes_them() {
    let written: Vec<String> = (server_messages().iter())
        .filter(|message| {
            matches!(
                message.event,
                ServerEvent::ResponseDone(_)
                    | ServerEvent::AudioDelta(_)
                    | ServerEvent::SpeechStarted(_)
                    | ServerEvent::Committed(_)
                    | ServerEvent::RateLimits(_)
            )
        })
        .map(ServerMessage::to_json)
        .collect();
    insta::assert_snapshot!(written.join("\n"), @r#"
    {"type":"input_audio_buffer.committed","item_id":"item_1","previous_item_id":null,"event_id":"event_13"}
    {"type":"input_audio_buffer.speech_started","audio_start_ms":100,"item_id":"item_1","event_id":"event_15"}
    {"type":"response.done","response":{"object":"realtime.response","id":"resp_1","status":"cancelled","status_details":{"type":"cancelled","reason":"turn_detected"},"output":[{"type":"message","id":"item_2","object":"realtime.item","status":"completed","role":"assistant","content":[{"type":"output_audio","transcript":"Hello"}]},{"type":"function_call","id":"item_3","status":"in_progress","call_id":"call_1","name":"hang_up","arguments":""}],"conversation_id":"conv_1","output_modalities":["audio"],"max_output_tokens":4096,"usage":{"total_tokens":30,"input_tokens":20,"output_tokens":10,"input_token_details":{"text_tokens":5,"audio_tokens":15,"image_tokens":0,"cached_tokens":0},"output_token_details":{"text_tokens":2,"audio_tokens":8}},"metadata":null},"event_id":"event_19"}
    {"type":"response.output_audio.delta","response_id":"resp_1","item_id":"item_2","output_index":0,"content_index":0,"delta":"////////","event_id":"event_24"}
    {"type":"rate_limits.updated","rate_limits":[{"name":"tokens","limit":1000,"remaining":900,"reset_seconds":0.5}],"event_id":"event_32"}
    "#);
}

#[test]
fn what_came_later_is_tolerated() {
    let parse = |text| ServerMessage::parse(text).expect("it can be read").event;
    assert_eq!(
        parse(r#"{"type":"response.later","x":{}}"#),
        ServerEvent::Unknown(Unknown { kind: "response.later".into() })
    );
    let ServerEvent::ResponseDone(done) = parse(
        r#"{"type":"response.done","event_id":null,"response":{"id":"r","status":"paused","status_details":{"type":"later","reason":"later","error":{"type":"server_error","code":5}},
           "output":[{"type":"mcp_call","id":"m"},{"type":"message","role":"assistant","content":[{"type":"later"}]},7],"usage":{"total_tokens":null,"input_tokens":1.5},"metadata":[],"later":1}}"#,
    ) else {
        panic!("response.done");
    };
    let response = done.response;
    assert_eq!(
        (response.status, response.reason(), response.usage, response.metadata.clone()),
        (ResponseStatus::Other, Some(StatusReason::Other), None, None)
    );
    assert_eq!(response.output.len(), 3);
    assert_eq!(response.output.first().and_then(Item::id), Some("m"));
    assert!(
        matches!(response.output.get(1), Some(Item::Message(message)) if message.content.first().is_some_and(|part| part.kind == ContentKind::Other))
    );

    let ServerEvent::TranscriptionCompleted(heard) = parse(
        r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"i","transcript":"Hi","content_index":null,"logprobs":[],"usage":{"type":"words","words":2}}"#,
    ) else {
        panic!("completed");
    };
    assert_eq!((heard.transcript.as_str(), heard.content_index, heard.usage), ("Hi", 0, None));
    assert!(matches!(parse(r#"{"type":"error"}"#), ServerEvent::Error(_)));
    assert!(
        matches!(parse(r#"{"type":"rate_limits.updated","rate_limits":[{"name":"tokens","limit":1e9},5]}"#), ServerEvent::RateLimits(limits) if limits.rate_limits.len() == 1)
    );
}

#[test]
fn what_cannot_be_read_is_reported_without_repeating_it() {
    assert_eq!(ServerMessage::parse("nonsense"), Err(ParseError::NotAMessage));
    assert_eq!(ServerMessage::parse(r#"{"event_id":"e"}"#), Err(ParseError::NotAMessage));
    let error = ServerMessage::parse(r#"{"type":"response.output_text.done","response_id":{"a":"my secret words"}}"#)
        .expect_err("an id is a string");
    assert!(matches!(error, ParseError::Malformed { .. }));
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn audio_is_borrowed_from_the_message_and_never_printed() {
    let part = PartRef { response_id: "r".into(), item_id: "i".into(), output_index: 0, content_index: 0 };
    let text = ServerMessage::new("e", ServerEvent::AudioDelta(AudioDelta::from_bytes(&part, &[7; 3000]))).to_json();
    let Ok(ServerMessage { event: ServerEvent::AudioDelta(delta), .. }) = ServerMessage::parse(&text) else {
        panic!("delta")
    };
    assert!(matches!(delta.delta, Cow::Borrowed(_)));
    assert!(format!("{delta:?}").len() < 150);
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
        let _ = decode_append(&text);
        let _ = model_in_query(&text);
        let _ = socket_url(&text, &text);
    }

    #[test]
    fn no_damaged_server_message_makes_the_reader_panic(text in nearly(server_messages().iter().map(ServerMessage::to_json).collect())) {
        let _ = ServerMessage::parse(&text);
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
        write_append(&audio, &mut text);
        match ClientMessage::parse(&text) {
            Ok(ClientMessage { event: ClientEvent::Append { audio: data }, event_id: None }) => {
                prop_assert_eq!(decode_append(&data), Ok(audio.clone()));
            }
            other => prop_assert!(false, "{:?}", other),
        }
        let part = PartRef { response_id: "r".into(), item_id: "i".into(), output_index: 1, content_index: 2 };
        let text = ServerMessage::new("e", ServerEvent::AudioDelta(AudioDelta::from_bytes(&part, &audio))).to_json();
        match ServerMessage::parse(&text).map(|message| message.event) {
            Ok(ServerEvent::AudioDelta(delta)) => {
                let mut bytes = vec![1];
                prop_assert_eq!(delta.decode_into(&mut bytes), Ok(()));
                prop_assert_eq!(bytes, audio);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn text_of_any_kind_survives(words in "\\PC{0,40}", id in proptest::option::of("\\PC{0,10}")) {
        let message = ClientMessage { event: ClientEvent::ItemCreate { previous_item_id: None, item: Item::user_text(words.clone()) }, event_id: id };
        let text = message.to_json();
        prop_assert_eq!(ClientMessage::parse(&text), Ok(message));
        let heard = TranscriptionCompleted { item_id: "i".into(), content_index: 0, transcript: words, usage: None };
        let message = ServerMessage::new("e", ServerEvent::TranscriptionCompleted(heard));
        let text = message.to_json();
        prop_assert_eq!(ServerMessage::parse(&text), Ok(message));
    }
}
