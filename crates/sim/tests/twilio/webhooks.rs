//! Webhooks: documents, retries, fallbacks, reports, and what goes wrong with them.

use super::*;

#[tokio::test]
async fn retries_follow_the_urls_policy_and_share_a_token() {
    let (server, twilio) = both().await;
    let good = || Reply::Twiml("<Response><Hangup/></Response>".into());
    server.lay_out("voice", [Reply::Status(500), Reply::Status(503), good()]);
    twilio.set_voice(OURS, Some(Webhook::post(format!("{}#rc=2&rp=5xx", server.url("voice"))))).unwrap();
    let call = inbound(&twilio, CallerScript::new()).await;
    assert!(call.codes().is_empty());
    let seen = server.seen("voice");
    assert_eq!(seen.len(), 3);
    assert!(seen[0].token.is_some() && seen.iter().all(|request| request.token == seen[0].token));

    server.lay_out("default", [Reply::Status(500), good()]);
    twilio.set_voice(OURS, Some(Webhook::post(server.url("default")))).unwrap();
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!(
        (call.codes(), server.seen("default").len()),
        (vec![11200], 1),
        "an error is not tried again by default"
    );

    twilio.set_voice(OURS, Some(Webhook::post("http://127.0.0.1:1/#rc=3&ct=200"))).unwrap();
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!((call.codes(), call.requests.len()), (vec![11205], 4), "a failed connection is");

    server.lay_out("slow", [Reply::Hang, good()]);
    twilio.set_voice(OURS, Some(Webhook::post(format!("{}#rt=200&rp=rt", server.url("slow"))))).unwrap();
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!((call.codes().is_empty(), server.seen("slow").len()), (true, 2));
    assert_eq!(call.requests[0].answer, RequestAnswer::Failed(11205));

    twilio.set_voice(OURS, Some(Webhook::post(format!("{}#rp=often", server.url("slow"))))).unwrap();
    assert_eq!(inbound(&twilio, CallerScript::new()).await.codes(), [11243]);
}

#[tokio::test]
async fn what_fails_goes_to_the_fallback_with_its_code_and_url() {
    let server = Server::start().await;
    let mut config = config(&server);
    config.numbers[0].voice_fallback = Some(Webhook::post(server.url("fallback")));
    let twilio = Twilio::start(config).await.unwrap();
    server.twiml("fallback", "<Say>One moment.</Say>");
    for (reply, code) in [
        (Reply::Status(404), "11200"),
        (Reply::Twiml("no document".into()), "12100"),
        (Reply::Raw("application/json", b"{}".to_vec()), "12300"),
        (Reply::Raw("text/xml", vec![b' '; 70_000]), "11750"),
    ] {
        server.lay_out("voice", [reply]);
        let call = inbound(&twilio, CallerScript::new()).await;
        assert_eq!(call.said, ["One moment."]);
        let fallback = server.seen("fallback").pop().unwrap().form;
        assert_eq!(fallback.get("ErrorCode"), Some(code));
        assert_eq!(fallback.get("ErrorUrl"), Some(format!("{}?tenant=demo", server.url("voice")).as_str()));
        assert_eq!(fallback.get("CallSid"), Some(call.sid.as_str()));
    }
    server.lay_out("fallback", [Reply::Status(500)]);
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!((call.codes(), call.status), (vec![11750, 11200], CallStatus::Completed));
}

#[tokio::test]
async fn verbs_are_carried_out_in_order() {
    let (server, twilio) = both().await;
    server.twiml("voice", r#"<Play>/hook/file</Play><Say>a</Say><Gather/><Unheard/><Redirect method="GET">/hook/second</Redirect><Say>never</Say>"#);
    server.twiml("second", r#"<Dial action="/hook/dialled"><Number>+12025550177</Number></Dial><Say>never</Say>"#);
    server.twiml("dialled", "<Say>b</Say>");
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!(call.said, ["a", "b"]);
    assert_eq!(call.codes(), [12200]);
    let dialled = server.seen("dialled")[0].form.clone();
    assert_eq!(dialled.get("DialCallStatus"), Some("completed"));
    let leg = twilio.call(CallSid::parse(dialled.get("DialCallSid").unwrap()).unwrap()).unwrap();
    assert_eq!((leg.parent, leg.status), (Some(call.sid), CallStatus::Completed));
    assert_eq!(call.requests_of(RequestKind::Media).len(), 1);

    server.twiml("voice", r#"<Reject reason="busy"/>"#);
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!((call.status, call.answered), (CallStatus::Busy, None));

    let relative = CreateCall::new(THEIRS, OURS, Answer::Twiml("<Response><Redirect>/x</Redirect></Response>".into()));
    let placed = Rest::new(&twilio).create(&relative).await;
    assert_eq!(twilio.finished(placed.sid, PATIENCE).await.unwrap().codes(), [15004]);
}

#[tokio::test]
async fn callbacks_are_lost_doubled_and_delayed_on_demand() {
    let (server, twilio) = both().await;
    server.twiml("voice", "<Hangup/>");
    let rest = Rest::new(&twilio);
    twilio.set_faults(Faults {
        callbacks: CallbackFaults { lose: 1.0, ..CallbackFaults::default() },
        ..Faults::default()
    });
    let lost = rest.create(&outbound(&server)).await.sid;
    twilio.finished(lost, PATIENCE).await.unwrap();
    twilio
        .until(PATIENCE, |twilio| (twilio.call(lost)?.requests_of(RequestKind::Status).len() == 4).then_some(()))
        .await
        .unwrap();
    assert!(server.seen("status").is_empty());
    let faults = CallbackFaults { duplicate: 1.0, delay_max: Duration::from_millis(50), ..CallbackFaults::default() };
    twilio.set_faults(Faults { callbacks: faults, ..Faults::default() });
    twilio.finished(rest.create(&outbound(&server)).await.sid, PATIENCE).await.unwrap();
    assert_eq!(statuses(&server, 8).await.len(), 8);
}

#[tokio::test]
async fn an_answer_that_is_lost_reaches_the_server_twice_with_one_token() {
    let (server, twilio) = both().await;
    server.twiml("voice", "<Hangup/>");
    twilio
        .set_voice(OURS, Some(Webhook { url: format!("{}#rp=rt&rc=1", server.url("voice")), method: TwimlMethod::Get }))
        .unwrap();
    let lose = WebhookFaults { lose_answer: 1.0, ..WebhookFaults::default() };
    twilio.set_faults(Faults { webhooks: lose, ..Faults::default() });
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!(call.requests[0].answer, RequestAnswer::Lost);
    let seen = server.seen("voice");
    assert_eq!((seen.len(), seen[0].token.is_some(), seen[0].token == seen[1].token), (2, true, true));
}

#[tokio::test]
async fn a_caller_may_hang_up_at_any_moment() {
    let (server, twilio) = both().await;
    server.lay_out("voice", [Reply::Hang]);
    let early = twilio.place_inbound("anonymous", OURS, CallerScript::new()).unwrap();
    twilio.until(PATIENCE, |_| (!server.seen("voice").is_empty()).then_some(())).await.unwrap();
    assert!(twilio.hang_up(early));
    assert_eq!(twilio.finished(early, PATIENCE).await.unwrap().status, CallStatus::NoAnswer);
    server.twiml("voice", "<Pause length=\"60\"/>");
    let call = inbound(&twilio, CallerScript::new().hangs_up_at(Duration::from_millis(100))).await;
    assert_eq!((call.status, call.from.as_str()), (CallStatus::Completed, THEIRS));
    let printed: Vec<_> = twilio.timeline().iter().map(ToString::to_string).collect();
    assert!(printed.iter().any(|line| line.ends_with("call    ringing")), "{printed:?}");
}
