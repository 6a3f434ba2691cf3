use super::super::Response;
use super::*;

fn body(verbs: &str) -> Result<Document, TwimlError> {
    read(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>{verbs}</Response>"), Loopback::Refused)
}

fn stream(attributes: &str) -> Result<Document, TwimlError> {
    body(&format!("<Connect><Stream {attributes}/></Connect>"))
}

#[test]
fn what_we_write_is_what_is_read() {
    let verbs = vec![
        Verb::Connect(Connect {
            action: Some(Webhook::post("https://example.com/next?a=1&b='2'")),
            stream: Stream {
                url: "wss://example.com/stream".into(),
                name: Some("main \"one\"\n".into()),
                status_callback: Some(Webhook::get("https://example.com/stream")),
                parameters: vec![("token".into(), "a<b>&\t".into()), ("empty".into(), String::new())],
            },
        }),
        Verb::Say(Say { text: " a < b\r\n ".into(), voice: Some("v".into()), language: Some("en-US".into()) }),
        Verb::Play { url: "https://example.com/a.wav?x=1&y=2".into() },
        Verb::Pause { length: Duration::from_secs(3) },
        Verb::Redirect(Webhook::get("https://example.com/?x=1&y=2")),
        Verb::Dial(Dial {
            number: "+12025550123".into(),
            caller_id: Some("+12025550100".into()),
            action: None,
            timeout: Some(Duration::from_secs(20)),
            time_limit: Some(Duration::from_secs(1_200)),
        }),
        Verb::Hangup,
        Verb::Reject(RejectReason::Busy),
        Verb::Reject(RejectReason::Rejected),
    ];
    let document = read(&Response { verbs: verbs.clone() }.to_xml(), Loopback::Refused).unwrap();
    assert_eq!(document.warnings, []);
    assert_eq!(document.instructions, verbs.into_iter().map(Instruction::Verb).collect::<Vec<_>>());
}

#[test]
fn a_document_that_cannot_be_parsed_is_12100() {
    for document in ["", "hello", "<Response>", "<Response><Say>a & b</Say></Response>", "<Responses/>", "<response/>"]
    {
        assert_eq!(read(document, Loopback::Refused).unwrap_err().code, 12100, "{document}");
    }
    let spaced = " <?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";
    assert_eq!(read(spaced, Loopback::Refused).unwrap_err().code, 12100);
    let large = format!("<Response>{}</Response>", " ".repeat(64 * 1024));
    assert_eq!(read(&large, Loopback::Refused).unwrap_err().code, 11750);
}

#[test]
fn the_unknown_is_warned_of_and_skipped() {
    let document = body("<Shout>x</Shout><hangup/><Hangup now='1'/>text<Pause length='soon'/>").unwrap();
    let verbs = [Verb::Hangup, Verb::Pause { length: Duration::from_secs(1) }].map(Instruction::Verb);
    assert_eq!(document.instructions, verbs);
    assert_eq!(document.warnings.len(), 5, "{:?}", document.warnings);
    assert!(document.warnings.iter().all(|warning| warning.code == 12200));
}

#[test]
fn what_twilio_knows_and_we_do_not_write_is_named() {
    let document = body(
        "<Start><Siprec/></Start><Enqueue>q</Enqueue><Stop><Transcription/></Stop><Play digits='1w2'/>\
         <Connect><ConversationRelay url='wss://h/'/></Connect><Dial><Conference>room</Conference></Dial>",
    )
    .unwrap();
    let names = [
        "Start/Siprec",
        "Enqueue",
        "Stop/Transcription",
        "Play digits",
        "Connect/ConversationRelay",
        "Dial/Conference",
    ];
    assert_eq!(document.instructions, names.map(|name| Instruction::Unsupported(name.into())));
    assert_eq!(document.warnings, []);
}

#[test]
fn what_takes_from_the_caller_has_twilios_defaults() {
    let document = body("<Gather/><Record/>").unwrap();
    assert_eq!(document.warnings, []);
    let [Instruction::Gather(gather), Instruction::Record(record)] = &document.instructions[..] else {
        panic!("{document:?}")
    };
    assert_eq!((gather.keys, gather.speech, gather.timeout.as_secs()), (true, false, 5));
    assert_eq!((gather.finish_on, gather.digits_max, gather.action_on_empty), (Some('#'), None, false));
    assert_eq!((record.timeout.as_secs(), record.length_max.as_secs(), record.trimmed), (5, 3_600, true));
    assert_eq!(record.finish_on, "1234567890*#");
    assert_eq!(record.status_events, [RecordingEvent::Completed]);
}

#[test]
fn what_takes_from_the_caller_is_read_with_its_prompts_and_its_mistakes() {
    let document = body(
        "<Gather input='speech dtmf' finishOnKey='' numDigits='0' timeout='9' colour='red'><Say>Hi</Say><Pause/><Dial/>         </Gather><Record finishOnKey='x' trim='do-not-trim' recordingStatusCallbackEvent='completed gone'/>",
    )
    .unwrap();
    let [Instruction::Gather(gather), Instruction::Record(record)] = &document.instructions[..] else {
        panic!("{document:?}")
    };
    assert_eq!((gather.keys, gather.speech, gather.finish_on, gather.digits_max), (true, true, None, None));
    let prompts = [Verb::Say(Say::new("Hi")), Verb::Pause { length: Duration::from_secs(1) }];
    assert_eq!((gather.prompts.as_slice(), gather.timeout.as_secs()), (&prompts[..], 9));
    assert_eq!((record.finish_on.as_str(), record.trimmed), ("1234567890*#", false));
    assert_eq!(document.warnings.len(), 5, "{:?}", document.warnings);
}

#[test]
fn a_one_way_stream_takes_either_side_and_is_stopped_by_name() {
    let document = body(
        "<Start><Stream url='wss://h/s' name='a' track='both_tracks'/></Start><Start><Stream url='wss://h/s'/></Start>         <Stop><Stream name='a'/></Stop><Stop><Stream/></Stop><Start><Say>no</Say></Start>",
    )
    .unwrap();
    let [Instruction::Start(first), Instruction::Start(second), Instruction::Stop { name }] =
        &document.instructions[..]
    else {
        panic!("{document:?}")
    };
    assert_eq!(
        (first.tracks.as_slice(), second.tracks.as_slice()),
        (&[Track::Inbound, Track::Outbound][..], &[Track::Inbound][..])
    );
    assert_eq!(name, "a");
    assert_eq!(document.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), [12200, 14300]);
    assert_eq!(body("<Start><Stream url='wss://h/s' track='up'/></Start>").unwrap_err().code, 31941);
}

#[test]
fn a_stream_must_be_encrypted_and_inbound() {
    assert_eq!(stream("url='wss://h/s' track='inbound_track'").unwrap().warnings, []);
    for (attributes, code) in [
        ("url='ws://example.com/s'", 31922),
        ("url='ws://127.0.0.1/s'", 31922),
        ("url='https://example.com/s'", 31922),
        ("url='/s'", 31923),
        ("url='wss:///s'", 31923),
        ("url='wss://user@example.com/s'", 31923),
        ("", 31923),
        ("url='wss://h/s' track='both_tracks'", 31941),
        ("url='wss://h/s' track='outbound_track'", 31941),
    ] {
        assert_eq!(stream(attributes).unwrap_err().code, code, "{attributes}");
    }
}

#[test]
fn a_simulation_may_stream_to_its_own_machine() {
    let read =
        |url: &str| read(&format!("<Response><Connect><Stream url='{url}'/></Connect></Response>"), Loopback::Allowed);
    for url in
        ["ws://localhost:8080/s", "ws://127.0.0.1/s", "ws://127.8.8.8:1/s", "ws://[::1]:9/s", "wss://example.com/s"]
    {
        assert!(read(url).is_ok(), "{url}");
    }
    for url in ["ws://example.com/s", "ws://localhost.example.com/s", "ws://127.0.0.1.example.com/s", "ws://[::2]/s"] {
        assert_eq!(read(url).unwrap_err().code, 31922, "{url}");
    }
}

#[test]
fn a_streams_query_is_dropped() {
    let document = stream("url='wss://example.com/s?token=1&amp;x=2'").unwrap();
    let [Instruction::Verb(Verb::Connect(connect))] = &document.instructions[..] else { panic!("not a connect") };
    assert_eq!(connect.stream.url, "wss://example.com/s");
}

#[test]
fn a_bare_number_is_dialled_too() {
    let document = body("<Dial timeLimit='60'>+12025550123</Dial>").unwrap();
    let [Instruction::Verb(Verb::Dial(dial))] = &document.instructions[..] else { panic!("not a dial") };
    assert_eq!(dial.number.as_str(), "+12025550123");
}

#[test]
fn a_verb_without_its_noun_is_warned_of() {
    let document = body("<Connect></Connect>").unwrap();
    assert_eq!(document.instructions, []);
    assert_eq!(document.warnings.len(), 1);
}

#[test]
fn markup_inside_spoken_text_leaves_its_words() {
    let document = body("<Say>one <break time='1s'/><emphasis>two</emphasis></Say>").unwrap();
    assert_eq!(document.instructions, [Instruction::Verb(Verb::Say(Say::new("one two")))]);
}
