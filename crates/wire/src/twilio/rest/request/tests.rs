use super::*;

fn create() -> CreateCall {
    CreateCall {
        fallback: Some(Webhook::post("https://api.example.com/twilio/voice/fallback")),
        status_callback: Some(Webhook::post("https://api.example.com/twilio/status?call=call_1#rc=5&rp=all")),
        status_callback_events: CallEvent::ALL.to_vec(),
        timeout: Some(Duration::from_secs(30)),
        time_limit: Some(Duration::from_secs(1800)),
        send_digits: Some("ww12#".into()),
        ..CreateCall::new(
            "+12025550123",
            "+12025550100",
            Answer::Url(Webhook::post("https://api.example.com/twilio/voice?call=call_1")),
        )
    }
}

#[test]
fn a_call_to_place_repeats_the_key_of_its_events() {
    let form = create().to_form();
    insta::assert_snapshot!(form.pairs().map(|(name, value)| format!("{name} = {value}\n")).collect::<String>());
    assert_eq!(CreateCall::from_form(&Form::parse(form.encode().as_bytes())), Ok(create()));
}

#[test]
fn what_cannot_be_placed_is_refused_with_twilios_number() {
    for (key, replacement, code) in [
        ("To", "", code::NO_TO),
        ("From", "", code::NO_FROM),
        ("Url", "", code::INVALID_URL),
        ("Url", "ftp://example.com", code::INVALID_URL),
        ("Url", "https:///path", code::INVALID_URL),
        ("StatusCallback", "https://my_host/", code::INVALID_URL),
        ("Timeout", "601", code::INVALID_TIMEOUT),
        ("Timeout", "soon", code::INVALID_TIMEOUT),
        ("SendDigits", "12x", code::INVALID_SEND_DIGITS),
    ] {
        let form: Form = create()
            .to_form()
            .pairs()
            .map(|(name, value)| (name.to_owned(), if name == key { replacement } else { value }.to_owned()))
            .collect();
        let error = CreateCall::from_form(&form).unwrap_err();
        assert_eq!((error.code, error.status), (Some(code), 400), "{key} = {replacement}");
    }
}

#[test]
fn an_application_outranks_a_url_and_a_url_outranks_twiml() {
    let mut form = CreateCall::new("+12025550123", "+12025550100", Answer::Twiml("<Response/>".into())).to_form();
    assert_eq!(CreateCall::from_form(&form).unwrap().answer, Answer::Twiml("<Response/>".into()));
    form.push("Url", "https://example.com/v");
    assert_eq!(CreateCall::from_form(&form).unwrap().answer, Answer::Url(Webhook::post("https://example.com/v")));
    form.push("ApplicationSid", "AP1");
    assert_eq!(CreateCall::from_form(&form).unwrap().answer, Answer::Application("AP1".into()));
}

#[test]
fn long_twiml_is_refused() {
    let long = CreateCall::new("+12025550123", "+12025550100", Answer::Twiml("x".repeat(4001)));
    assert_eq!(CreateCall::from_form(&long.to_form()).unwrap_err().code, Some(code::TWIML_TOO_LONG));
    let long = UpdateCall { change: CallChange::Twiml("x".repeat(4001)) };
    assert_eq!(UpdateCall::from_form(&long.to_form()).unwrap_err().code, Some(code::TWIML_TOO_LONG));
}

#[test]
fn every_change_survives_its_form() {
    for change in [
        CallChange::Redirect(Webhook::get("https://example.com/v?a=1&b=2")),
        CallChange::Twiml("<Response><Hangup/></Response>".into()),
        CallChange::Cancel,
        CallChange::Complete,
    ] {
        let update = UpdateCall { change };
        assert_eq!(UpdateCall::from_form(&update.to_form()), Ok(update));
    }
}

#[test]
fn a_change_that_changes_nothing_or_twice_is_refused() {
    for body in ["", "Status=ringing", "Url=https://example.com/&Twiml=x"] {
        assert!(UpdateCall::from_form(&Form::parse(body.as_bytes())).is_err(), "{body}");
    }
}

#[test]
fn a_search_puts_the_operator_into_the_key() {
    let search = ListCalls {
        to: Some("+12025550123".into()),
        started_from: Some(Date::constant(2026, 1, 31)),
        status: Some(CallStatus::InProgress),
        page_size: Some(20),
        ..ListCalls::default()
    };
    let encoded = search.to_query().encode();
    assert_eq!(encoded, "To=%2B12025550123&Status=in-progress&StartTime%3E=2026-01-31&PageSize=20");
    assert_eq!(ListCalls::from_query(&Form::parse(encoded.as_bytes())), search);
}

#[test]
fn numbers_and_keys_do_not_print() {
    let printed = format!("{:?}", create());
    assert!(!printed.contains("5550123") && !printed.contains("ww12"), "{printed}");
}
