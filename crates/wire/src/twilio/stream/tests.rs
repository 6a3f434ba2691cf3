use super::*;

const SID: &str = "MZ00000000000000000000000000000001";

fn read(text: &str) -> Inbound<'_> {
    parse(text).unwrap()
}

#[test]
fn a_media_frame_is_borrowed_and_its_audio_decoded_behind_what_is_there() {
    let text = format!(
        r#"{{"event":"media","sequenceNumber":"4","media":{{"track":"inbound","chunk":"2","timestamp":"25","payload":"/38A"}},"streamSid":"{SID}"}}"#
    );
    let Inbound::Media(media) = read(&text) else { panic!("not media") };
    assert_eq!((media.sequence_number, media.chunk, media.timestamp_ms), (4, 2, 25));
    assert_eq!(media.track, Track::Inbound);
    assert_eq!(media.stream_sid, Some(StreamSid::from_number(1)));
    assert!(matches!(media.payload, Cow::Borrowed("/38A")));
    let mut audio = vec![9];
    assert_eq!(media.decode(&mut audio), Ok(3));
    assert_eq!(audio, [9, 0xff, 0x7f, 0]);
}

#[test]
fn escaped_slashes_in_audio_are_understood() {
    let Inbound::Media(media) = read(r#"{"event":"media","media":{"timestamp":"0","payload":"\/38A"}}"#) else {
        panic!("not media")
    };
    let mut audio = Vec::new();
    assert_eq!(media.decode(&mut audio), Ok(3));
    assert_eq!(audio, [0xff, 0x7f, 0]);
}

#[test]
fn numbers_may_be_numbers_and_most_keys_may_be_missing() {
    let text = r#"{"event":"media","sequenceNumber":7,"new":{"a":[1]},"media":{"timestamp":40,"payload":""}}"#;
    let Inbound::Media(media) = read(text) else { panic!("not media") };
    assert_eq!((media.sequence_number, media.chunk, media.timestamp_ms), (7, 0, 40));
    assert_eq!(media.track, Track::Inbound);
}

#[test]
fn audio_that_is_not_base64_leaves_the_buffer_alone() {
    let Inbound::Media(media) = read(r#"{"event":"media","media":{"timestamp":"0","payload":"/38A!bcd"}}"#) else {
        panic!("not media")
    };
    let mut audio = vec![1, 2];
    assert_eq!(media.decode(&mut audio), Err(ParseError::BadBase64));
    assert_eq!(audio, [1, 2]);
}

#[test]
fn a_start_is_read_whole() {
    let text = format!(
        r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"AC00000000000000000000000000000002","streamSid":"{SID}","callSid":"CA00000000000000000000000000000003","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{"token":"opaque-value","call":"call_1"}}}},"streamSid":"{SID}"}}"#
    );
    let Inbound::Start(start) = read(&text) else { panic!("not start") };
    assert_eq!(start.sequence_number, 1);
    assert_eq!(start.stream_sid, StreamSid::from_number(1));
    assert_eq!(start.account_sid, AccountSid::from_number(2));
    assert_eq!(start.call_sid, CallSid::from_number(3));
    assert_eq!(start.tracks, ["inbound"]);
    assert_eq!(start.custom_parameters["token"], "opaque-value");
    assert!(start.media_format.as_ref().unwrap().is_telephone());
    assert!(!format!("{start:?}").contains("opaque-value"), "parameters may be secrets");
}

#[test]
fn a_start_without_parameters_or_format_is_enough() {
    let text = format!(
        r#"{{"event":"start","streamSid":"{SID}","start":{{"accountSid":"AC00000000000000000000000000000002","callSid":"CA00000000000000000000000000000003"}}}}"#
    );
    let Inbound::Start(start) = read(&text) else { panic!("not start") };
    assert_eq!(start.stream_sid, StreamSid::from_number(1));
    assert!(start.custom_parameters.is_empty());
    assert_eq!(start.media_format, None);
}

#[test]
fn the_small_events_are_read() {
    assert_eq!(
        read(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#),
        Inbound::Connected { protocol: "Call".into(), version: "1.0.0".into() }
    );
    let Inbound::Dtmf(dtmf) = read(r##"{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"#"}}"##) else {
        panic!("not dtmf")
    };
    assert_eq!(&**dtmf.digit, "#");
    assert!(!format!("{dtmf:?}").contains('#'), "pressed keys may be a card number");
    assert_eq!(
        read(r#"{"event":"mark","sequenceNumber":"9","mark":{"name":"1:2"}}"#),
        Inbound::Mark(Mark { sequence_number: 9, stream_sid: None, name: "1:2".into() })
    );
    assert_eq!(
        read(r#"{"event":"stop","stop":{"callSid":"CA00000000000000000000000000000003"}}"#),
        Inbound::Stop(Stop {
            sequence_number: 0,
            stream_sid: None,
            account_sid: None,
            call_sid: Some(CallSid::from_number(3)),
        })
    );
}

#[test]
fn an_unknown_event_is_reported_even_if_it_uses_known_keys_differently() {
    for text in [r#"{"event":"cough","media":"loud"}"#, r#"{"event":"cough"}"#] {
        assert_eq!(read(text), Inbound::Unknown { event: "cough".into() });
    }
}

#[test]
fn a_message_that_cannot_be_read_says_why() {
    for (text, error) in [
        ("", ParseError::NotJson),
        ("hello", ParseError::NotJson),
        (r#"{"event":"media""#, ParseError::NotJson),
        ("7", ParseError::Shape),
        (r#"{"event":"media","media":5}"#, ParseError::Shape),
        (r#"{"event":7}"#, ParseError::Shape),
        ("{}", ParseError::NoEvent),
        (r#"{"event":"media"}"#, ParseError::Missing("media")),
        (r#"{"event":"media","media":{"timestamp":"1"}}"#, ParseError::Missing("media.payload")),
        (r#"{"event":"media","media":{"payload":""}}"#, ParseError::Missing("media.timestamp")),
        (r#"{"event":"media","media":{"payload":"","timestamp":"-1"}}"#, ParseError::NotANumber("media.timestamp")),
        (r#"{"event":"media","media":{"payload":"","timestamp":1.5}}"#, ParseError::NotANumber("media.timestamp")),
        (r#"{"event":"mark","sequenceNumber":"x","mark":{"name":""}}"#, ParseError::NotANumber("sequenceNumber")),
        (r#"{"event":"mark","mark":{}}"#, ParseError::Missing("mark.name")),
        (r#"{"event":"dtmf","dtmf":{}}"#, ParseError::Missing("dtmf.digit")),
        (r#"{"event":"mark","streamSid":"MZ1","mark":{"name":""}}"#, ParseError::BadSid("streamSid")),
        (r#"{"event":"start"}"#, ParseError::Missing("start")),
        (r#"{"event":"start","start":{}}"#, ParseError::Missing("streamSid")),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
}
