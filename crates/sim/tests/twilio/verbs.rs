//! Verbs that take something from the caller, and streams that only listen.

use super::*;

const KEY_EVERY: Duration = Duration::from_millis(60);

/// Presses these keys, the first one after a while.
fn presses(after: Duration, keys: &str) -> CallerScript {
    keys.chars().fold(CallerScript::new(), |script, key| {
        let cue = if script.steps.is_empty() { Cue::At(after) } else { Cue::After(KEY_EVERY) };
        script.then(cue, Act::Press(key))
    })
}

fn digits(server: &Server) -> Vec<String> {
    server.seen("keys").iter().map(|seen| seen.form.get("Digits").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_are_gathered_until_enough_or_the_last_one_and_stop_the_prompt() {
    let (server, twilio) = both().await;
    server.twiml("keys", "<Say>Thank you.</Say>");
    let long = "x".repeat(20_000);
    for (attributes, pressed, expected) in [
        (r#"numDigits="3""#, "4711", "471"),
        (r#"timeout="20""#, "12#", "12"),
        (r#"finishOnKey="*" timeout="20""#, "1#2*", "1#2"),
        (r#"timeout="1""#, "12", "12"),
    ] {
        // The prompt alone would take twenty seconds.
        server.twiml(
            "voice",
            &format!(r#"<Gather action="/hook/keys" {attributes}><Say>{long}</Say></Gather><Say>Nothing.</Say>"#),
        );
        let call = inbound(&twilio, presses(Duration::from_millis(300), pressed)).await;
        assert_eq!(digits(&server).pop().as_deref(), Some(expected), "{attributes}");
        assert_eq!(call.said.last().map(String::as_str), Some("Thank you."), "{attributes}");
    }
    assert_eq!(digits(&server).len(), 4);
    assert!(server.0.forged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_keys_the_next_verb_follows_unless_the_action_wants_to_know() {
    let (server, twilio) = both().await;
    server.twiml("keys", "<Say>Empty.</Say>");
    let gather = |more: &str| format!(r#"<Gather action="/hook/keys" timeout="1" {more}/><Say>Nothing.</Say>"#);
    server.twiml("voice", &gather(""));
    // A key before the verb is not the verb's own, and one that only ends it is no input.
    assert_eq!(inbound(&twilio, presses(Duration::from_millis(200), "#")).await.said, ["Nothing."]);
    server.twiml("voice", &format!("<Pause/>{}", gather("")));
    assert_eq!(inbound(&twilio, presses(Duration::from_millis(200), "5")).await.said, ["Nothing."]);
    assert_eq!(digits(&server), [""; 0]);
    server.twiml("voice", &gather(r#"actionOnEmptyResult="true""#));
    assert_eq!(inbound(&twilio, CallerScript::new()).await.said, ["Empty."]);
    assert_eq!(digits(&server), [""]);
    // Whoever hangs up meanwhile asks for nothing more.
    let call = inbound(&twilio, CallerScript::new().hangs_up_at(Duration::from_millis(200))).await;
    assert_eq!((call.status, digits(&server).len()), (CallStatus::Completed, 1));
}

#[tokio::test]
async fn a_gather_without_an_action_asks_its_own_document() {
    let (server, twilio) = both().await;
    let gather = r#"<Response><Gather numDigits="1" timeout="20"/></Response>"#.to_owned();
    server.lay_out("voice", [Reply::Twiml(gather), Reply::Twiml("<Response><Say>Done.</Say></Response>".into())]);
    let call = inbound(&twilio, presses(Duration::from_millis(200), "7")).await;
    assert_eq!(call.said, ["Done."]);
    assert_eq!(server.seen("voice")[1].form.get("Digits"), Some("7"));
}

fn speech(samples: u32) -> Vec<u8> {
    (0..samples).map(|at| u8::try_from(at % 0x70).unwrap()).collect()
}

#[tokio::test]
async fn the_caller_is_recorded_until_silence_a_key_or_the_end_of_the_call() {
    let (server, twilio) = both().await;
    server.twiml("recorded", "<Say>Thank you.</Say>");
    server.twiml(
        "voice",
        r#"<Record action="/hook/recorded" timeout="1" recordingStatusCallback="/hook/recording"
           recordingStatusCallbackEvent="in-progress completed"/><Say>Nothing.</Say>"#,
    );
    let speaks = || CallerScript::new().says_at(Duration::from_millis(200), speech(4_000));
    let after = |act| speaks().then(Cue::After(Duration::from_millis(100)), act);
    for (script, ended_by) in
        [(speaks(), None), (after(Act::Press('5')), Some("5")), (after(Act::HangUp), Some("hangup"))]
    {
        let call = inbound(&twilio, script).await;
        let recording = &call.recordings[0];
        assert_eq!(recording.audio[..4_000], speech(4_000), "trimmed at the beginning");
        twilio
            .until(PATIENCE, |twilio| {
                let requests = twilio.call(call.sid)?.requests;
                requests.iter().any(|request| request.kind == RequestKind::Action).then_some(())
            })
            .await
            .unwrap();
        let asked = server.seen("recorded").pop().unwrap().form;
        assert_eq!(asked.get("CallSid"), Some(call.sid.as_str()));
        assert_eq!((asked.get("Digits"), asked.get("RecordingDuration")), (ended_by, Some("1")));
        assert!(asked.get("RecordingUrl").unwrap().ends_with(&recording.sid));
        assert_eq!(call.said.is_empty(), ended_by == Some("hangup"));
    }
    twilio.until(PATIENCE, |_| (server.seen("recording").len() == 6).then_some(())).await.unwrap();
    let reported = server.seen("recording");
    let events: Vec<_> = reported.iter().map(|seen| seen.form.get("RecordingStatus").unwrap()).collect();
    assert_eq!(events, ["in-progress", "completed"].repeat(3));
    assert_eq!(reported[1].form.get("RecordingSource"), Some("RecordVerb"));
    assert_eq!(reported[0].form.get("RecordingUrl"), None, "there is nothing to fetch yet");
}

#[tokio::test]
async fn a_tape_that_stays_empty_is_no_recording_and_a_long_one_is_cut() {
    let (server, twilio) = both().await;
    server.twiml(
        "voice",
        r#"<Record action="/hook/recorded" timeout="1" recordingStatusCallback="/hook/recording"
           recordingStatusCallbackEvent="completed absent"/><Say>Nothing.</Say>"#,
    );
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!((call.said, call.recordings), (vec!["Nothing.".to_owned()], vec![]));
    twilio.until(PATIENCE, |_| (server.seen("recording").len() == 1).then_some(())).await.unwrap();
    assert_eq!(server.seen("recording")[0].form.get("RecordingStatus"), Some("absent"));
    assert!(server.seen("recorded").is_empty());

    server.twiml("recorded", "<Hangup/>");
    server.twiml("voice", r#"<Record action="/hook/recorded" maxLength="1" trim="do-not-trim"/>"#);
    let script = CallerScript::new().says_at(Duration::from_millis(100), speech(80_000));
    let call = inbound(&twilio, script).await;
    let recording = &call.recordings[0].audio;
    assert!((8_000..40_000).contains(&recording.len()), "{} bytes", recording.len());
    assert!(recording.starts_with(&[0xFF; 400]), "the silence before the words is on it");
    assert_eq!(server.seen("recorded").pop().unwrap().form.get("Digits"), None);
}

/// What the server heard on one-way streams, by track.
fn listened(server: &Server, track: &str) -> Vec<u8> {
    let listened = server.0.listened.lock().unwrap();
    listened.iter().filter(|(heard, _)| heard == track).flat_map(|(_, audio)| audio.clone()).collect()
}

#[tokio::test]
async fn a_started_stream_listens_beside_the_call_until_it_is_stopped() {
    let (server, twilio) = both().await;
    let start = format!(
        r#"<Start><Stream name="ear" track="both_tracks" url="{}" statusCallback="/hook/stream"><Parameter name="token" value="t"/></Stream></Start>"#,
        server.media("listen")
    );
    server.twiml(
        "voice",
        &format!(r#"{start}<Say>Hello.</Say><Pause length="2"/><Stop><Stream name="ear"/></Stop><Pause length="1"/>"#),
    );
    let words = speech(1_600);
    let script = CallerScript::new().says_at(Duration::from_millis(500), words.clone());
    let call = inbound(&twilio, script.then(Cue::After(Duration::ZERO), Act::Press('5'))).await;
    assert_eq!(call.codes(), [0; 0]);
    assert_eq!(call.said, ["Hello."]);
    let ended = |sid| twilio.call(sid)?.one_way.first()?.outcome;
    assert_eq!(twilio.until(PATIENCE, |_| ended(call.sid)).await, Some(StreamOutcome::Stopped));
    let inbound = listened(&server, "Inbound");
    assert!(inbound.windows(words.len()).any(|part| part == words), "the words went up whole");
    let outbound = listened(&server, "Outbound");
    assert!(!outbound.is_empty() && outbound.iter().all(|byte| *byte == 0xFF));
    twilio.until(PATIENCE, |_| (server.seen("stream").len() == 2).then_some(())).await.unwrap();
    let events: Vec<_> =
        server.seen("stream").iter().map(|seen| StreamCallback::from_form(&seen.form).unwrap().event).collect();
    assert_eq!(events, [StreamEvent::Started, StreamEvent::Stopped]);
    assert!(server.0.forged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_listening_stream_ends_with_the_call_and_a_server_that_answers_on_it_breaks_it() {
    let (server, twilio) = both().await;
    let start = |mode: &str| {
        let url = server.media(mode);
        format!(r#"<Start><Stream url="{url}"><Parameter name="token" value="t"/></Stream></Start><Pause length="1"/>"#)
    };
    for (mode, outcome, codes) in
        [("listen", StreamOutcome::CallEnded, vec![]), ("echo", StreamOutcome::Failed(31924), vec![31924])]
    {
        server.twiml("voice", &start(mode));
        let call = inbound(&twilio, CallerScript::new()).await;
        let ended = || twilio.call(call.sid)?.one_way.first()?.outcome;
        assert_eq!(twilio.until(PATIENCE, |_| ended()).await, Some(outcome), "{mode}");
        assert_eq!(twilio.call(call.sid).unwrap().codes(), codes, "{mode}");
    }
    // Two streams of two tracks each are all that may listen.
    let both_ways = start("listen").replace("<Stream ", r#"<Stream track="both_tracks" "#);
    server.twiml("voice", &both_ways.repeat(3).replace(r#"<Pause length="1"/>"#, "<Pause/>"));
    assert_eq!(inbound(&twilio, CallerScript::new()).await.one_way.len(), 2);
}
