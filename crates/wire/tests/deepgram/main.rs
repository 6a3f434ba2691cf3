//! Deepgram Flux's messages from outside: what is written, what is understood, what is refused.

use proptest::prelude::*;
use wire::BaseUrlError;
use wire::deepgram::client::{ClientMessage, Configure, Thresholds};
use wire::deepgram::connect::{DEFAULT_BASE_URL, Listen, Model, Threshold, authorization};
use wire::deepgram::error::ErrorCode;
use wire::deepgram::server::{
    ConfigureFailure, ConfigureSuccess, Connected, FatalError, ParseError, ServerMessage, Trigger, TurnEvent, TurnInfo,
    Unknown, Warning, Word,
};

fn thresholds(eager: Option<u16>, end: Option<u16>, timeout_ms: Option<u32>) -> Thresholds {
    Thresholds {
        eager_eot_threshold: eager.map(Threshold::thousandths),
        eot_threshold: end.map(Threshold::thousandths),
        eot_timeout_ms: timeout_ms,
    }
}

fn stream() -> Listen {
    Listen {
        thresholds: thresholds(Some(400), Some(700), Some(5000)),
        keyterms: vec!["Dr. Grün".into(), "check-up".into()],
        language_hints: vec!["en".into(), "de".into()],
        numerals: Some(true),
        tags: vec!["switchboard".into()],
        mip_opt_out: Some(true),
        ..Listen::telephone(Model::Multi)
    }
}

fn client_messages() -> Vec<ClientMessage> {
    vec![
        ClientMessage::Configure(Configure {
            thresholds: Some(thresholds(None, Some(850), Some(900))),
            keyterms: Some(vec!["Thursday".into()]),
            ..Configure::default()
        }),
        ClientMessage::Configure(Configure { language_hints: Some(vec!["es".into()]), ..Configure::default() }),
        ClientMessage::ForceEndTurn {},
        ClientMessage::CloseStream {},
    ]
}

fn server_messages() -> Vec<ServerMessage> {
    let request_id = "req".to_owned();
    vec![
        ServerMessage::Connected(Connected { request_id: request_id.clone(), sequence_id: 0 }),
        ServerMessage::TurnInfo(TurnInfo {
            request_id: request_id.clone(),
            sequence_id: 1,
            event: TurnEvent::EndOfTurn,
            turn_index: 2,
            audio_window_start: 0.5,
            audio_window_end: 1.75,
            transcript: "On Thursday.".into(),
            words: vec![Word { word: "On".into(), confidence: 0.9, start: Some(0.5), end: None }],
            end_of_turn_confidence: 0.82,
            trigger: Some(Trigger::Model),
            languages: Some(vec!["en".into()]),
            languages_hinted: None,
        }),
        ServerMessage::ConfigureSuccess(ConfigureSuccess {
            request_id: request_id.clone(),
            sequence_id: 2,
            thresholds: thresholds(None, Some(700), Some(5000)),
            ..ConfigureSuccess::default()
        }),
        ServerMessage::ConfigureFailure(ConfigureFailure {
            request_id: request_id.clone(),
            sequence_id: 3,
            code: Some("X".into()),
            description: None,
        }),
        ServerMessage::Warning(Warning { request_id, sequence_id: 4, code: "W".into(), description: "w".into() }),
        ServerMessage::Error(FatalError { sequence_id: 5, code: "E".into(), description: "e".into() }),
    ]
}

#[test]
fn what_is_written_is_what_the_vendor_documents() {
    let written: Vec<String> = client_messages().iter().map(ClientMessage::to_json).collect();
    insta::assert_snapshot!(written.join("\n"));
    let written: Vec<String> = server_messages().iter().map(ServerMessage::to_json).collect();
    insta::assert_snapshot!(written.join("\n"));
    insta::assert_snapshot!(stream().url(DEFAULT_BASE_URL).unwrap());
    insta::assert_snapshot!(Listen::telephone(Model::English).url("http://127.0.0.1:9/sim/deepgram").unwrap());
}

#[test]
fn what_one_end_writes_the_other_reads_unchanged() {
    for message in client_messages() {
        assert_eq!(ClientMessage::parse(&message.to_json(), Model::Multi, Thresholds::default()), Ok(message));
    }
    for message in server_messages() {
        assert_eq!(ServerMessage::parse(&message.to_json()), Ok(message));
    }
    for listen in [stream(), Listen::telephone(Model::English)] {
        let path = listen.path_and_query();
        let (_, query) = path.split_once('?').unwrap();
        assert_eq!(Listen::from_query(query), Ok(listen));
    }
}

#[test]
fn the_key_stands_in_a_header_that_does_not_print() {
    assert_eq!(authorization("the-key").value(), "Token the-key");
    assert!(!format!("{:?}", authorization("the-key")).contains("the-key"));
    assert_eq!(stream().url("http://api.deepgram.com"), Err(BaseUrlError::NotEncrypted));
}

#[test]
fn a_query_that_the_vendor_refuses_is_refused_by_name() {
    for (query, name) in [
        ("encoding=mulaw&sample_rate=8000", "model"),
        ("model=nova-3", "model"),
        ("model=flux-general-en&language=en", "language"),
        ("model=flux-general-en&interim_results=true", "interim_results"),
        ("model=flux-general-en&encoding=mulaw", "sample_rate"),
        ("model=flux-general-en&encoding=g729&sample_rate=8000", "encoding"),
        ("model=flux-general-en&encoding=mulaw&sample_rate=8001", "sample_rate"),
        ("model=flux-general-en&eot_threshold=0.4", "eot_threshold"),
        ("model=flux-general-en&eager_eot_threshold=0.95", "eager_eot_threshold"),
        ("model=flux-general-en&eager_eot_threshold=0.8", "eager_eot_threshold"),
        ("model=flux-general-en&eot_timeout_ms=100", "eot_timeout_ms"),
        ("model=flux-general-en&language_hint=en", "language_hint"),
        ("model=flux-general-multi&language_hint=", "language_hint"),
        ("model=flux-general-en&numerals=yes", "numerals"),
        ("model=flux-general-en&redact=all", "redact"),
    ] {
        assert_eq!(Listen::from_query(query).unwrap_err().name, name, "{query}");
    }
}

#[test]
fn a_message_of_the_older_product_ends_the_stream_and_an_impossible_change_does_not() {
    let read = |text: &str| ClientMessage::parse(text, Model::English, Thresholds::default()).unwrap_err();
    for text in [
        "nonsense",
        "[]",
        "{}",
        r#"{"type":"KeepAlive"}"#,
        r#"{"type":"Finalize"}"#,
        r#"{"type":"CloseStream","now":true}"#,
        r#"{"type":"Configure","thresholds":{"eot_threshold":2}}"#,
        r#"{"type":"Configure","thresholds":null}"#,
        r#"{"type":"Configure","features":{}}"#,
    ] {
        let refusal = read(text);
        assert_eq!((refusal.failed_change, refusal.code), (false, ErrorCode::UnparsableMessage), "{text}");
    }
    for text in [
        r#"{"type":"Configure","thresholds":{"eot_threshold":0.4}}"#,
        r#"{"type":"Configure","thresholds":{"eager_eot_threshold":0.8}}"#,
        r#"{"type":"Configure","thresholds":{"eot_timeout_ms":1}}"#,
        r#"{"type":"Configure","language_hints":["de"]}"#,
        r#"{"type":"Configure","keyterms":[""]}"#,
    ] {
        assert!(read(text).failed_change, "{text}");
    }
}

#[test]
fn what_comes_later_than_this_program_does_not_hurt() {
    assert_eq!(
        ServerMessage::parse(r#"{"type":"Weather","request_id":1}"#),
        Ok(ServerMessage::Unknown(Unknown { kind: "Weather".into() }))
    );
    let text = r#"{"type":"TurnInfo","event":"Whisper","turn_index":0,"transcript":null,"words":[{"word":"a"},7],
        "trigger":"telepathy","languages":5,"mood":"calm"}"#;
    let Ok(ServerMessage::TurnInfo(info)) = ServerMessage::parse(text) else { panic!("it is understood") };
    assert_eq!((info.event, info.trigger), (TurnEvent::Other, Some(Trigger::Other)));
    assert_eq!((info.words.len(), info.transcript.as_str(), info.languages), (1, "", None));
    assert_eq!(ServerMessage::parse("{}"), Err(ParseError::NotAMessage));
    assert!(matches!(ServerMessage::parse(r#"{"type":"TurnInfo"}"#), Err(ParseError::Malformed { .. })));
}

proptest! {
    #[test]
    fn anything_is_read_without_panic(text in "\\PC{0,200}", query in "([a-z_]{0,16}=[0-9a-z.%-]{0,10}&){0,8}") {
        let _ = ServerMessage::parse(&text);
        let _ = ClientMessage::parse(&text, Model::Multi, Thresholds::default());
        let _ = Listen::from_query(&query);
        let _ = Listen::from_query(&text);
    }

    #[test]
    fn a_message_with_any_field_changed_is_read_without_panic(
        at in any::<prop::sample::Index>(), field in any::<prop::sample::Index>(),
        value in prop_oneof![Just("null"), Just("-1"), Just("1e300"), Just("\"x\""), Just("[]"), Just("{}"), Just("true")],
    ) {
        let messages: Vec<String> = server_messages().iter().map(ServerMessage::to_json)
            .chain(client_messages().iter().map(ClientMessage::to_json)).collect();
        let mut message: serde_json::Value = serde_json::from_str(at.get::<String>(&messages)).unwrap();
        let names: Vec<String> = message.as_object().unwrap().keys().cloned().collect();
        message[field.get::<String>(&names).as_str()] = serde_json::from_str(value).unwrap();
        let _ = ServerMessage::parse(&message.to_string());
        let _ = ClientMessage::parse(&message.to_string(), Model::English, Thresholds::default());
    }
}
