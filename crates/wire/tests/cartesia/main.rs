//! Cartesia's messages from outside: what is written, what is understood, what is refused.

use proptest::prelude::*;
use wire::cartesia::client::{ClientMessage, Generate, GenerationConfig};
use wire::cartesia::error::{ErrorCode, Fault};
use wire::cartesia::server::{
    Chunk, Done, FlushDone, ParseError, PhonemeTimes, PhonemeTimestamps, ServerMessage, Timestamps, Unknown, WordTimes,
};

fn voice() -> Generate {
    Generate {
        max_buffer_delay_ms: Some(0),
        language: Some("en".into()),
        generation_config: Some(GenerationConfig { speed: Some(1.1), ..GenerationConfig::default() }),
        ..Generate::telephone("sonic-3-2026-01-12", "a0e99841-438c-4a64-b679-ae501e7d6091")
    }
}

fn client_messages() -> Vec<ClientMessage> {
    vec![
        ClientMessage::Generate(Box::new(voice().more("turn-1", "Hello, "))),
        ClientMessage::Generate(Box::new(Generate { flush: Some(true), ..voice().more("turn-1", "") })),
        ClientMessage::Generate(Box::new(voice().last("turn-1", ""))),
        ClientMessage::cancel("turn-1"),
    ]
}

fn server_messages() -> Vec<ServerMessage<'static>> {
    let context_id = "turn-1".to_owned();
    let fault = Fault::new(Some(context_id.clone()), 429, ErrorCode::ConcurrencyLimited, "Too many", "Only two");
    vec![
        ServerMessage::Chunk(Chunk::new("turn-1", &[0xFF; 6], Some(1))),
        ServerMessage::Timestamps(Timestamps {
            context_id: context_id.clone(),
            status_code: 206,
            word_timestamps: Some(WordTimes { words: vec!["Hello,".into()], start: vec![0.0], end: vec![0.4] }),
            ..Timestamps::default()
        }),
        ServerMessage::PhonemeTimestamps(PhonemeTimestamps {
            context_id: context_id.clone(),
            status_code: 206,
            phoneme_timestamps: Some(PhonemeTimes { phonemes: vec!["h".into()], start: vec![0.0], end: vec![0.1] }),
            ..PhonemeTimestamps::default()
        }),
        ServerMessage::FlushDone(FlushDone {
            context_id: context_id.clone(),
            done: false,
            flush_done: true,
            flush_id: 1,
            status_code: 206,
        }),
        ServerMessage::Done(Done { context_id, done: true, status_code: 206 }),
        ServerMessage::Error(fault.clone()),
        ServerMessage::Error(fault.into_old_shape()),
    ]
}

#[test]
fn what_is_written_is_what_the_vendor_documents() {
    let written: Vec<String> = client_messages().iter().map(ClientMessage::to_json).collect();
    insta::assert_snapshot!(written.join("\n"));
    let written: Vec<String> = server_messages().iter().map(ServerMessage::to_json).collect();
    insta::assert_snapshot!(written.join("\n"));
}

#[test]
fn what_one_end_writes_the_other_reads_unchanged() {
    for message in client_messages() {
        assert_eq!(ClientMessage::parse(&message.to_json()), Ok(message));
    }
    for message in server_messages() {
        assert_eq!(ServerMessage::parse(&message.to_json()), Ok(message));
    }
}

#[test]
fn within_a_context_only_the_text_may_change() {
    let first = voice().more("turn-1", "Hello, ");
    assert!(voice().last("turn-1", "there.").continues(&first));
    assert!(Generate { flush: Some(true), ..first.clone() }.continues(&first));
    assert!(!Generate { language: Some("de".into()), ..first.clone() }.continues(&first));
    assert!(!voice().more("turn-2", "Hello, ").continues(&first));
}

#[test]
fn what_the_vendor_refuses_is_refused_for_its_context() {
    let good = client_messages()[0].to_json();
    let mut texts = vec!["nonsense".to_owned(), "[]".to_owned(), "{}".to_owned()];
    for (from, to) in [
        ("\"container\":\"raw\"", "\"container\":\"mp3\""),
        ("\"encoding\":\"pcm_mulaw\"", "\"encoding\":\"opus\""),
        ("8000", "11025"),
        ("\"max_buffer_delay_ms\":0", "\"max_buffer_delay_ms\":6000"),
        ("\"speed\":1.1", "\"speed\":1.6"),
        ("\"mode\":\"id\"", "\"mode\":\"embedding\""),
        ("\"transcript\":\"Hello, \"", "\"transcript\":\"\""),
        ("\"language\":\"en\"", "\"tongue\":\"en\""),
        ("\"language\":\"en\"", "\"temperature\":1"),
        ("\"voice\":", "\"speaker\":"),
    ] {
        assert!(good.contains(from), "{from}");
        texts.push(good.replace(from, to));
    }
    texts.push(r#"{"context_id":"turn-1","cancel":false}"#.to_owned());
    texts.push(r#"{"context_id":"","cancel":true}"#.to_owned());
    texts.push(r#"{"context_id":"turn-1","cancel":true,"transcript":"x"}"#.to_owned());
    for text in texts {
        let fault = ClientMessage::parse(&text).expect_err(&text);
        assert_eq!((fault.known_code(), fault.status_code), (Some(ErrorCode::InvalidRequest), 400), "{text}");
        if text.contains("turn-1") {
            assert_eq!(fault.context_id.as_deref(), Some("turn-1"), "{text}");
        }
    }
    // What the vendor's SDK leaves open may be null.
    assert!(ClientMessage::parse(&good.replace("\"language\":\"en\"", "\"language\":null")).is_ok());
}

#[test]
fn audio_is_read_where_it_is_and_words_as_far_as_they_have_times() {
    let text = ServerMessage::Chunk(Chunk::new("turn-1", &[1, 2, 3], None)).to_json();
    let Ok(ServerMessage::Chunk(chunk)) = ServerMessage::parse(&text) else { panic!("audio") };
    assert!(matches!(chunk.data, std::borrow::Cow::Borrowed(_)));
    let mut audio = vec![9];
    chunk.decode(&mut audio).unwrap();
    assert_eq!(audio, [1, 2, 3]);
    let times = WordTimes {
        words: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        start: vec![0.0, 0.5, 2.0],
        end: vec![0.4, f64::NAN, 1.0],
    };
    let words: Vec<(&str, f64)> = times.iter().map(|time| (time.word, time.end)).collect();
    assert_eq!(words, [("a", 0.4)]);
}

#[test]
fn what_comes_later_than_this_program_does_not_hurt() {
    assert_eq!(
        ServerMessage::parse(r#"{"type":"weather","context_id":1}"#),
        Ok(ServerMessage::Unknown(Unknown { kind: "weather".into() }))
    );
    let text = r#"{"type":"timestamps","context_id":"c","word_timestamps":{"words":"x"},"mood":"calm"}"#;
    let Ok(ServerMessage::Timestamps(times)) = ServerMessage::parse(text) else { panic!("it is understood") };
    assert_eq!((times.word_timestamps, times.status_code), (None, 0));
    assert_eq!(ServerMessage::parse("{}"), Err(ParseError::NotAMessage));
    assert!(matches!(ServerMessage::parse(r#"{"type":"chunk"}"#), Err(ParseError::Malformed { .. })));
}

proptest! {
    #[test]
    fn anything_is_read_without_panic(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = ServerMessage::parse(&text);
        let _ = ClientMessage::parse(&text);
        let _ = Fault::parse(&bytes);
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
        let text = message.to_string();
        if let Ok(ServerMessage::Chunk(chunk)) = ServerMessage::parse(&text) {
            let _ = chunk.decode(&mut Vec::new());
        }
        let _ = ClientMessage::parse(&text);
    }
}
