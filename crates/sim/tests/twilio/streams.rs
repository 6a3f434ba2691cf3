//! Streams, and what follows when they end.

use super::*;

#[tokio::test]
async fn an_inbound_call_streams_both_ways_and_ends_when_the_caller_hangs_up() {
    let (server, twilio) = both().await;
    let action = format!(r#"action="{}""#, server.url("next"));
    server.twiml("voice", &server.connect("echo", &action));
    let speech: Vec<u8> = (0..3200_u32).map(|at| u8::try_from(at % 0x70).unwrap()).collect();
    let script = CallerScript::new()
        .says_at(Duration::from_millis(100), speech.clone())
        .hangs_up_at(Duration::from_millis(1000));
    let call = inbound(&twilio, script).await;

    assert_eq!(call.status, CallStatus::Completed);
    let request = VoiceRequest::from_form(&server.seen("voice")[0].form).unwrap();
    assert_eq!(request.call_status, Some(CallStatus::Ringing));
    assert_eq!(request.rest.get("FromCity"), Some(""));
    assert_eq!(request.stir_verstat.as_deref(), Some("TN-Validation-Passed-A"));
    {
        let phone = call.streams[0].phone();
        let heard = phone.heard().audio();
        assert!(heard.windows(speech.len()).any(|part| part == speech), "the echo of the speech is heard whole");
        assert!(phone.violations().is_empty(), "{:?}", phone.violations());
        assert!(phone.heard().marks().iter().any(|mark| mark.returned.is_some_and(|(_, end)| end == MarkEnd::Played)));
        assert!(phone.sent().iter().filter(|frame| frame.speech).count() >= 20);
    }
    assert_eq!(call.streams[0].outcome, Some(StreamOutcome::CallerHungUp));
    // The action is requested although nobody is there: a switch, on by default.
    twilio.until(PATIENCE, |_| (!server.seen("next").is_empty()).then_some(())).await.unwrap();
    let next = VoiceRequest::from_form(&server.seen("next")[0].form).unwrap();
    assert_eq!(next.call_status, Some(CallStatus::Completed));
    twilio.until(PATIENCE, |_| (server.seen("stream").len() == 2).then_some(())).await.unwrap();
    let events: Vec<_> =
        server.seen("stream").iter().map(|seen| StreamCallback::from_form(&seen.form).unwrap().event).collect();
    assert_eq!(events, [StreamEvent::Started, StreamEvent::Stopped]);
    assert!(server.0.forged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn when_the_server_closes_or_dies_the_action_decides() {
    let (server, twilio) = both().await;
    server.twiml("next", "<Say>Goodbye.</Say><Hangup/>");
    let action = r#"action="/hook/next""#;
    for (mode, outcome, code) in
        [("close", StreamOutcome::ServerClosed(Some(1000)), None), ("die", StreamOutcome::Failed(31903), Some(31903))]
    {
        server.twiml("voice", &server.connect(mode, action));
        let call = inbound(&twilio, CallerScript::new()).await;
        assert_eq!((call.streams[0].outcome, call.codes().first().copied()), (Some(outcome), code), "{mode}");
        assert_eq!(call.said, ["Goodbye."]);
        let next = VoiceRequest::from_form(&server.seen("next").last().unwrap().form).unwrap();
        assert!(next.is_in_progress());
    }
}

#[tokio::test]
async fn a_clean_close_is_an_error_if_twilio_should_think_so() {
    let server = Server::start().await;
    let mut config = config(&server);
    config.unknowns.clean_close_is_an_error = true;
    let twilio = Twilio::start(config).await.unwrap();
    server.twiml("voice", &server.connect("close", ""));
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!(call.codes(), [31921]);
}

#[tokio::test]
async fn a_stream_that_cannot_be_opened_is_reported_and_the_next_verb_follows() {
    let (server, twilio) = both().await;
    *server.0.refuse_upgrade.lock().unwrap() = true;
    server.twiml("voice", &format!("{}<Say>Sorry.</Say>", server.connect("echo", "")));
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!(call.codes(), [31920]);
    assert_eq!(call.said, ["Sorry."]);
    twilio.until(PATIENCE, |_| (!server.seen("stream").is_empty()).then_some(())).await.unwrap();
    let callback = StreamCallback::from_form(&server.seen("stream")[0].form).unwrap();
    assert_eq!(callback.event, StreamEvent::Error);
    assert!(callback.error.unwrap().starts_with("31920"));

    server.twiml("voice", r#"<Connect><Stream url="ws://127.0.0.1:1/media"/></Connect>"#);
    assert_eq!(inbound(&twilio, CallerScript::new()).await.codes(), [31902]);
    for (url, code) in [("wss://", 31923), ("ws://media.example.com/x", 31922)] {
        server.twiml("voice", &format!(r#"<Connect><Stream url="{url}"/></Connect>"#));
        assert_eq!(inbound(&twilio, CallerScript::new()).await.codes(), [code], "{url}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_so_once_each() {
    let (server, twilio) = both().await;
    server.twiml("voice", &server.connect("wrong", ""));
    let call = inbound(&twilio, CallerScript::new().hangs_up_at(Duration::from_millis(300))).await;
    assert_eq!(call.codes(), [31951, 31950]);
}
