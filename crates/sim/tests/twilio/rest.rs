//! The REST interface, and calls placed by it.

use super::*;

#[tokio::test]
async fn an_outbound_call_reports_its_progress_in_order_and_signed() {
    let (server, twilio) = both().await;
    server.twiml("voice", "<Say>Hello.</Say>");
    let rest = Rest::new(&twilio);
    let placed = rest.create(&outbound(&server)).await;
    assert_eq!(placed.status, CallStatus::Queued);
    let call = twilio.finished(placed.sid, PATIENCE).await.unwrap();
    assert_eq!(call.said, ["Hello."]);
    let statuses = statuses(&server, 4).await;
    let told: Vec<_> =
        statuses.iter().map(|status| (status.sequence_number.unwrap(), status.status.as_str())).collect();
    assert_eq!(told, [(0, "initiated"), (1, "ringing"), (2, "in-progress"), (3, "completed")]);
    assert!(statuses[3].call_duration.is_some() && statuses[0].call_duration.is_none());
    let voice = VoiceRequest::from_form(&server.seen("voice")[0].form).unwrap();
    assert_eq!((voice.call_status, voice.direction.unwrap().as_str()), (Some(CallStatus::InProgress), "outbound-api"));
    assert!(server.0.forged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn whoever_is_called_may_be_busy_away_or_out_of_service() {
    let (server, twilio) = both().await;
    let rest = Rest::new(&twilio);
    for (pickup, status, sip_code) in [
        (Pickup::Busy, CallStatus::Busy, 486),
        (Pickup::NeverAnswers, CallStatus::NoAnswer, 487),
        (Pickup::Fails(404), CallStatus::Failed, 404),
    ] {
        twilio.set_callee(THEIRS, Callee::other(Duration::ZERO, pickup));
        let create = CreateCall {
            timeout: Some(Duration::from_secs(1)),
            status_callback_events: Vec::new(),
            ..outbound(&server)
        };
        let before = server.seen("status").len();
        let placed = rest.create(&create).await;
        assert_eq!(twilio.finished(placed.sid, PATIENCE).await.unwrap().status, status);
        // Without a list of events only the end is reported, as number 0.
        let last = statuses(&server, before + 1).await.pop().unwrap();
        assert_eq!((last.status, last.sequence_number, last.sip_response_code), (status, Some(0), Some(sip_code)));
    }
    assert!(server.seen("voice").is_empty());
}

#[tokio::test]
async fn rest_redirects_and_ends_a_live_call() {
    let (server, twilio) = both().await;
    server.twiml("voice", &server.connect("echo", r#"action="/hook/next""#));
    server.twiml("other", "<Pause length=\"30\"/>");
    let rest = Rest::new(&twilio);
    let call = rest.create(&outbound(&server)).await.sid;
    let path = format!("/Calls/{call}.json");
    twilio.until(PATIENCE, |twilio| twilio.call(call)?.streams.first()?.connected).await.unwrap();
    let (status, _) = rest.send(Method::POST, &path, &form(&[("Url", &server.url("other"))])).await;
    assert_eq!(status, 200);
    twilio.until(PATIENCE, |_| (!server.seen("other").is_empty()).then_some(())).await.unwrap();
    assert_eq!(twilio.call(call).unwrap().streams[0].outcome, Some(StreamOutcome::Redirected));
    assert_eq!(rest.refused(&path, &form(&[("Status", "canceled")])).await, (400, Some(21220)));
    let (status, body) = rest.send(Method::POST, &path, &form(&[("Status", "completed")])).await;
    let ended: CallResource = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, ended.status), (200, CallStatus::Completed));
    assert_eq!(rest.refused(&path, &form(&[("Status", "completed")])).await, (400, Some(21220)));
    assert_eq!(rest.send(Method::DELETE, &path, &Form::new()).await.0, 204);
    assert_eq!(rest.send(Method::GET, &path, &Form::new()).await.0, 404);
    assert!(server.seen("next").is_empty(), "a redirected stream has no action");
}

#[tokio::test]
async fn rest_refuses_with_twilios_numbers() {
    let (server, twilio) = both().await;
    let rest = Rest::new(&twilio);
    let url = server.url("voice");
    for (to, from, code) in [
        ("", OURS, 21201),
        (THEIRS, "", 21213),
        ("12025550123", OURS, 21211),
        (THEIRS, "anonymous", 21212),
        (THEIRS, "+12025550199", 21210),
        (THEIRS, "+15005550001", 21212),
        ("+15005550001", OURS, 21217),
        ("+15005550002", OURS, 21214),
        ("+15005550003", OURS, 21215),
        ("+15005550004", OURS, 21216),
    ] {
        let refused = rest.refused("/Calls.json", &form(&[("To", to), ("From", from), ("Url", &url)])).await;
        assert_eq!(refused, (400, Some(code)), "{to} {from}");
    }
    let bad_url = form(&[("To", THEIRS), ("From", OURS), ("Url", "nowhere")]);
    assert_eq!(rest.refused("/Calls.json", &bad_url).await, (400, Some(21205)));
    assert_eq!(rest.refused("/Calls/CA1.json", &Form::new()).await, (404, Some(20404)));
    assert_eq!(rest.refused("/Queues.json", &Form::new()).await, (404, Some(20404)));
    let (status, body) = rest.send_as("AC1", "wrong", Method::GET, ".json", &Form::new()).await;
    assert_eq!((status, RestError::from_answer(status, &body).code), (401, Some(20003)));
    let (status, body) =
        rest.send_as("SK00000000000000000000000000000001", "a-secret", Method::GET, ".json", &Form::new()).await;
    assert_eq!((status, serde_json::from_slice::<Value>(&body).unwrap()["status"].clone()), (200, json!("active")));
    for (fault, expected) in [
        (RestFault::TooMany, (429, Some(20429))),
        (RestFault::Unavailable, (503, Some(20503))),
        (RestFault::LoseAnswer, (504, None)),
    ] {
        twilio.inject(fault);
        assert_eq!(rest.refused("/Calls.json", &outbound(&server).to_form()).await, expected);
    }
    assert_eq!(twilio.calls().len(), 1, "the lost answer was to a call that was placed all the same");
}

#[tokio::test]
async fn calls_wait_their_turn_and_are_listed_in_pages() {
    let server = Server::start().await;
    let mut config = config(&server);
    config.call_interval = Duration::from_secs(60);
    let twilio = Twilio::start(config).await.unwrap();
    let rest = Rest::new(&twilio);
    let mut waits = Vec::new();
    for _ in 0..5 {
        waits.push(rest.create(&outbound(&server)).await.wait().unwrap().as_secs());
    }
    assert_eq!(waits, [0, 59, 119, 179, 239]);
    let mut path = "/Calls.json?PageSize=2&To=%2B12025550123".to_owned();
    let mut listed = Vec::new();
    loop {
        let (_, body) = rest.send(Method::GET, &path, &Form::new()).await;
        let page: CallPage = serde_json::from_slice(&body).unwrap();
        assert!(page.calls.len() <= 2);
        listed.extend(page.calls.iter().map(|call| call.sid));
        match page.next_page_uri {
            Some(next) => path = next.split_once(twilio.config().account_sid.as_str()).unwrap().1.to_owned(),
            None => break,
        }
    }
    let newest_first: Vec<_> = twilio.calls().iter().map(|call| call.sid).collect();
    assert_eq!(listed, newest_first);
    let waiting = listed[0];
    let (_, body) = rest.send(Method::POST, &format!("/Calls/{waiting}.json"), &form(&[("Status", "canceled")])).await;
    assert_eq!(serde_json::from_slice::<CallResource>(&body).unwrap().status, CallStatus::Canceled);
    let (_, body) = rest.send(Method::GET, "/Calls.json?Status=canceled", &Form::new()).await;
    assert_eq!(serde_json::from_slice::<CallPage>(&body).unwrap().calls.len(), 1);
}

#[tokio::test]
async fn an_owned_number_can_be_found_and_pointed_elsewhere() {
    let (server, twilio) = both().await;
    let rest = Rest::new(&twilio);
    let (_, body) = rest.send(Method::GET, "/IncomingPhoneNumbers.json?PhoneNumber=%2B12025550100", &Form::new()).await;
    let list: Value = serde_json::from_slice(&body).unwrap();
    let sid = list["incoming_phone_numbers"][0]["sid"].as_str().unwrap().to_owned();
    let change = form(&[("VoiceUrl", &server.url("elsewhere")), ("VoiceMethod", "GET")]);
    let (status, _) = rest.send(Method::POST, &format!("/IncomingPhoneNumbers/{sid}.json"), &change).await;
    assert_eq!(status, 200);
    server.twiml("elsewhere", "<Hangup/>");
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!((call.status, server.seen("elsewhere").len()), (CallStatus::Completed, 1));
    assert_eq!(server.seen("elsewhere")[0].form.get("CallSid"), Some(call.sid.as_str()));
    assert!(twilio.place_inbound(THEIRS, "+12025550188", CallerScript::new()).is_err());
}
