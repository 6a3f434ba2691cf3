//! What strangers can send is never a panic, and what one end writes the other end reads.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use wire::twilio::form::{DialCallback, StatusCallback, StreamCallback, VoiceRequest};
use wire::twilio::rest::{CallPage, CreateCall, ListCalls, RestError, UpdateCall};
use wire::twilio::signature::{Headers, SignatureError, Verifier, sign, with_body_hash};
use wire::twilio::stream::phone::Phone;
use wire::twilio::stream::{Inbound, Outbound, Track, parse, server};
use wire::twilio::twiml::read::{Instruction, Loopback, read};
use wire::twilio::twiml::{Connect, Dial, RejectReason, Response, Say, Stream, Verb, Webhook, check_size};
use wire::twilio::{AccountSid, CallSid, ConnectionOverrides, Form, StreamSid};

/// Text that is nearly a message: the words and signs of the protocol in any order.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(r#"{"event":"media","#),
        Just(r#"{"event":"start","start":{"#),
        Just(r#""media":{"payload":"#),
        Just(r#""timestamp":"#),
        Just(r#""streamSid":"MZ00000000000000000000000000000001""#),
        Just(r#""mark":{"name":"x"}"#),
        Just(r#""event":"#),
        Just(r#""clear""#),
        Just(r#""AAAA""#),
        Just("\"\\ud800\""),
        Just("1e999"),
        Just("-1"),
        Just("18446744073709551616"),
        Just("null"),
        Just("[[[["),
        Just("{"),
        Just("}"),
        Just(":"),
        Just(","),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Text that is nearly TwiML.
fn nearly_xml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<?xml version=\"1.0\"?>"),
        Just("<Response>"),
        Just("</Response>"),
        Just("<Connect>"),
        Just("</Connect>"),
        Just("<Stream url='wss://h/?q'>"),
        Just("<Parameter name='a' value='b'/>"),
        Just("</Stream>"),
        Just("<Dial><Number>"),
        Just("<Say>"),
        Just("</Say>"),
        Just("&amp;"),
        Just("&#x110000;"),
        Just("&"),
        Just("<![CDATA["),
        Just("]]>"),
        Just("<!--"),
        Just("-->"),
        Just("<!DOCTYPE a [<!ENTITY b 'c'>]>"),
        Just("<"),
        Just(">"),
        Just("'"),
        Just("\u{0}"),
        Just("é"),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn read_everything(text: &str) {
    let sid = StreamSid::from_number(1);
    if let Ok(Inbound::Media(media)) = parse(text) {
        let _ = media.decode(&mut Vec::new());
    }
    let _ = server::parse_strict(text, &sid);
    let _ = read(text, Loopback::Allowed);
    let _ = ConnectionOverrides::split(text);
    let _ = CallSid::parse(text);
    let _ = serde_json::from_str::<CallPage>(text);
    let form = Form::parse(text.as_bytes());
    let _ = VoiceRequest::from_form(&form);
    let _ = StatusCallback::from_form(&form);
    let _ = StreamCallback::from_form(&form);
    let _ = DialCallback::from_form(&form);
    let _ = CreateCall::from_form(&form);
    let _ = UpdateCall::from_form(&form);
    let _ = ListCalls::from_query(&form);
    let verifier = Verifier::new(&["12345"]);
    let headers = Headers { signature: Some(text), settings: Some(text) };
    let refused = [
        verifier.verify_form(text, form.pairs(), text),
        verifier.verify_get(text, headers),
        verifier.verify_json(text, text.as_bytes(), text),
        verifier.verify_upgrade(text, text),
    ];
    assert!(refused.iter().all(Result::is_err), "nothing arbitrary is signed");
}

/// Any text without what XML cannot carry; carriage returns and tabs included.
fn xml_text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| {
        text.chars()
            .filter(|c| matches!(c, '\t' | '\n' | '\r') || (*c >= ' ' && *c != '\u{fffe}' && *c != '\u{ffff}'))
            .collect()
    })
}

fn verb() -> impl Strategy<Value = Verb> {
    let webhook = || xml_text().prop_map(|path| Webhook::post(format!("https://example.com/{path}")));
    prop_oneof![
        (xml_text(), prop::option::of(xml_text())).prop_map(|(text, voice)| Verb::Say(Say {
            text,
            voice,
            language: None
        })),
        webhook().prop_map(|webhook| {
            Verb::Redirect(Webhook { url: webhook.url.trim().to_owned(), method: webhook.method })
        }),
        (0..10_000_u64).prop_map(|seconds| Verb::Pause { length: Duration::from_secs(seconds) }),
        "\\+[1-9][0-9]{6,14}".prop_map(|number| {
            Verb::Dial(Dial { number: number.into(), caller_id: None, action: None, timeout: None, time_limit: None })
        }),
        (
            prop::option::of(webhook()),
            prop::option::of(webhook()),
            prop::collection::vec((xml_text(), xml_text()), 0..4)
        )
            .prop_map(|(action, status_callback, parameters)| {
                Verb::Connect(Connect {
                    action,
                    stream: Stream { url: "wss://example.com/s".into(), name: None, status_callback, parameters },
                })
            }),
        Just(Verb::Hangup),
        Just(Verb::Reject(RejectReason::Busy)),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>()) {
        read_everything(&text);
    }

    #[test]
    fn no_near_message_makes_a_reader_panic(text in nearly_json()) {
        read_everything(&text);
    }

    #[test]
    fn no_near_document_makes_a_reader_panic(text in nearly_xml()) {
        read_everything(&text);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in any::<Vec<u8>>()) {
        let form = Form::parse(&bytes);
        let _ = VoiceRequest::from_form(&form);
        let _ = RestError::from_answer(500, &bytes);
        let _ = Verifier::new(&["12345"]).verify_json("https://example.com/?bodySHA256=0", &bytes, "x");
        read_everything(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn every_message_cut_short_is_refused_without_panic(cut in any::<prop::sample::Index>(), payload in any::<Vec<u8>>()) {
        let sid = StreamSid::from_number(1);
        let mut text = String::new();
        Outbound::Media { payload: payload.into() }.write(&sid, &mut text);
        let length = cut.index(text.len());
        prop_assert!(parse(&text[..length]).is_err());
        prop_assert!(server::parse_strict(&text[..length], &sid).is_err());
    }

    #[test]
    fn what_we_send_is_accepted_to_the_letter(
        payload in any::<Vec<u8>>(),
        name in any::<String>(),
        number in any::<u128>(),
    ) {
        let sid = StreamSid::from_number(number);
        for message in [Outbound::Media { payload: Bytes::from(payload) }, Outbound::Mark { name }, Outbound::Clear] {
            let mut text = String::new();
            message.write(&sid, &mut text);
            prop_assert_eq!(server::parse_strict(&text, &sid), Ok(message));
        }
    }

    #[test]
    fn what_the_simulated_phone_sends_is_read(
        frames in prop::collection::vec(any::<Vec<u8>>(), 0..6),
        marks in prop::collection::vec(any::<String>(), 0..3),
        parameters in prop::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        digit in any::<char>(),
        number in any::<u128>(),
    ) {
        let sid = StreamSid::from_number(number);
        let mut phone = Phone::new(sid, AccountSid::from_number(2), CallSid::from_number(3));
        let mut text = String::new();
        phone.connected(&mut text);
        let connected = matches!(parse(&text), Ok(Inbound::Connected { .. }));
        prop_assert!(connected);

        text.clear();
        phone.start(&parameters, &mut text);
        let Ok(Inbound::Start(start)) = parse(&text) else { panic!("not a start: {text}") };
        prop_assert_eq!(start.sequence_number, 1);
        prop_assert_eq!(start.stream_sid, sid);
        prop_assert_eq!(start.custom_parameters, BTreeMap::from_iter(parameters));

        let mut sequence_number = 1;
        for (at, frame) in frames.iter().enumerate() {
            text.clear();
            phone.media(20 * at as u64, frame, &mut text);
            sequence_number += 1;
            let Ok(Inbound::Media(media)) = parse(&text) else { panic!("not media: {text}") };
            prop_assert_eq!(media.sequence_number, sequence_number);
            prop_assert_eq!((media.chunk, media.timestamp_ms), (at as u64 + 1, 20 * at as u64));
            prop_assert_eq!(&media.track, &Track::Inbound);
            let mut audio = Vec::new();
            prop_assert_eq!(media.decode(&mut audio), Ok(frame.len()));
            prop_assert_eq!(&audio, frame);
        }
        for name in &marks {
            text.clear();
            phone.mark(name, &mut text);
            sequence_number += 1;
            let Ok(Inbound::Mark(mark)) = parse(&text) else { panic!("not a mark: {text}") };
            prop_assert_eq!((mark.sequence_number, &*mark.name), (sequence_number, name.as_str()));
        }
        text.clear();
        phone.dtmf(digit, &mut text);
        let Ok(Inbound::Dtmf(dtmf)) = parse(&text) else { panic!("not a key: {text}") };
        prop_assert!(dtmf.digit.chars().eq([digit]));
        text.clear();
        phone.stop(&mut text);
        let Ok(Inbound::Stop(stop)) = parse(&text) else { panic!("not a stop: {text}") };
        prop_assert_eq!(stop.sequence_number, sequence_number + 2);
        prop_assert_eq!(stop.call_sid, Some(CallSid::from_number(3)));
    }

    #[test]
    fn a_form_survives_its_encoding(pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..8)) {
        let form: Form = pairs.into_iter().collect();
        // A pair without a name and a value leaves no trace in an encoded form when it stands alone.
        prop_assume!(form.pairs().all(|(name, value)| !(name.is_empty() && value.is_empty())));
        prop_assert_eq!(Form::parse(form.encode().as_bytes()), form);
    }

    #[test]
    fn twiml_is_read_as_it_was_written(verbs in prop::collection::vec(verb(), 0..6)) {
        let xml = Response { verbs: verbs.clone() }.to_xml();
        prop_assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response"));
        prop_assume!(check_size(&xml).is_ok());
        let document = read(&xml, Loopback::Refused);
        let document = document.map_err(|error| TestCaseError::fail(format!("{error} in {xml}")))?;
        prop_assert_eq!(document.warnings, vec![]);
        let read: Vec<Instruction> = verbs.into_iter().map(Instruction::Verb).collect();
        prop_assert_eq!(document.instructions, read);
    }

    #[test]
    fn any_text_at_all_makes_a_document_that_parses(text in any::<String>()) {
        let say = Say { text: text.clone(), voice: Some(text.clone()), language: None };
        let xml = Response::from([Verb::Say(say), Verb::Play { url: text }]).to_xml();
        prop_assume!(check_size(&xml).is_ok());
        prop_assert!(read(&xml, Loopback::Refused).is_ok(), "{}", xml);
    }

    #[test]
    fn what_is_signed_is_verified_and_one_change_is_noticed(
        pairs in prop::collection::vec(("[A-Za-z]{1,8}", any::<String>()), 1..8),
        token in "[0-9a-f]{32}",
        query in "[a-z0-9=&%+']{0,20}",
        body in any::<Vec<u8>>(),
    ) {
        let url = format!("https://example.com/voice?{query}");
        let form: Form = pairs.into_iter().collect();
        let verifier = Verifier::new(&[token.as_str()]);
        let signature = sign(&token, &url, form.pairs());
        prop_assert_eq!(verifier.verify_form(&url, form.pairs(), &*signature), Ok(()));
        let changed = form.pairs().chain([("Added", "1")]);
        prop_assert_eq!(verifier.verify_form(&url, changed, &*signature), Err(SignatureError::Mismatch));
        let other = Verifier::new(&["another"]);
        prop_assert_eq!(other.verify_form(&url, form.pairs(), &*signature), Err(SignatureError::Mismatch));

        let url = with_body_hash("https://example.com/events", &body);
        let signature = sign(&token, &url, []);
        prop_assert_eq!(verifier.verify_json(&url, &body, &*signature), Ok(()));
        let mut changed = body;
        changed.push(0);
        prop_assert_eq!(verifier.verify_json(&url, &changed, &*signature), Err(SignatureError::BodyHashMismatch));
    }
}
