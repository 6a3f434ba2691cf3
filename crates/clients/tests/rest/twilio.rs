//! The Twilio client against a service that misbehaves.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use clients::{ClientError, Credentials, NoAnswer, Placed, Twilio};
use wire::twilio::rest::{
    Answer, CallChange, CreateCall, ListCalls, RestError, UpdateCall, UpdateIncomingPhoneNumber, code,
};
use wire::twilio::twiml::Webhook;
use wire::twilio::{AccountSid, CallSid, PhoneNumberSid};

use crate::service::{Reply, Service};

const CALL: &str = r#"{"sid":"CA00000000000000000000000000000001","status":"queued","to":"+12025550123"}"#;
const SECRET: &str = "not-to-be-seen-anywhere";

fn client(base: clients::BaseUrl) -> Twilio {
    let credentials = Credentials::AuthToken(SECRET.to_owned().into());
    Twilio::new(base, AccountSid::from_number(2), credentials).unwrap()
}

fn request() -> CreateCall {
    CreateCall::new("+12025550123", "+12025550100", Answer::Url(Webhook::post("https://example.com/voice?call=1&x=2")))
}

async fn placed(replies: impl IntoIterator<Item = Reply>) -> (Placed, usize) {
    let (service, base) = Service::start(replies).await;
    let placed = client(base).with_timeout(Duration::from_millis(300)).create_call(&request()).await;
    (placed, service.asked().len())
}

#[tokio::test]
async fn a_call_is_placed_with_the_form_and_the_credentials_twilio_wants() {
    let (service, base) = Service::start([Reply::With(201, CALL)]).await;
    let Placed::Created(call) = client(base).create_call(&request()).await else { panic!("not placed") };
    assert_eq!(call.sid, CallSid::from_number(1));
    let asked = &service.asked()[0];
    assert_eq!(asked.line, "POST /2010-04-01/Accounts/AC00000000000000000000000000000002/Calls.json");
    assert!(
        asked.body.starts_with("To=%2B12025550123&From=%2B12025550100&Url=https%3A%2F%2Fexample.com%2Fvoice%3Fcall")
    );
    // base64 of `AC00000000000000000000000000000002:not-to-be-seen-anywhere`.
    assert_eq!(
        asked.credential,
        "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMjpub3QtdG8tYmUtc2Vlbi1hbnl3aGVyZQ=="
    );
}

#[tokio::test]
async fn placing_a_call_is_never_repeated_whatever_happens() {
    let refusal = r#"{"code":21211,"message":"invalid To","more_info":"","status":400}"#;
    let (outcome, requests) = placed([Reply::With(400, refusal), Reply::With(201, CALL)]).await;
    assert!(matches!(&outcome, Placed::Refused(error) if error.code == Some(code::INVALID_TO)), "{outcome:?}");
    assert_eq!(requests, 1);

    let (outcome, requests) = placed([Reply::WithHeader(429, "retry-after", "0"), Reply::With(201, CALL)]).await;
    assert!(matches!(&outcome, Placed::Refused(error) if error.status == 429), "{outcome:?}");
    assert_eq!(requests, 1);

    for (reply, expected) in [
        (Reply::Never, ClientError::NoAnswer(NoAnswer::Timeout)),
        (Reply::With(408, ""), ClientError::Refused(RestError::from_answer(408, b""))),
        (
            Reply::With(502, "<html>Bad Gateway</html>"),
            ClientError::Refused(RestError::from_answer(502, b"<html>Bad Gateway</html>")),
        ),
        (Reply::With(201, "<html>"), ClientError::Unreadable { status: 201 }),
    ] {
        assert_eq!(placed([reply, Reply::With(201, CALL)]).await, (Placed::Unknown(expected), 1));
    }

    let (outcome, requests) = placed([Reply::WithHeader(307, "location", "/elsewhere"), Reply::With(201, CALL)]).await;
    assert!(matches!(&outcome, Placed::Refused(error) if error.status == 307), "{outcome:?}");
    assert_eq!(requests, 1, "redirects are not followed");
}

#[tokio::test]
async fn a_call_that_could_not_be_sent_is_not_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let base = format!("http://{address}").parse().unwrap();
    assert_eq!(client(base).create_call(&request()).await, Placed::NotSent(NoAnswer::Connect));
}

#[tokio::test]
async fn a_broken_connection_is_unknown_and_failed_encryption_is_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten().take(2) {
            // Read what comes at once, say half an answer that is no TLS, and go.
            let mut socket = socket;
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 500\r\n\r\n{");
        }
    });
    let plain = client(format!("http://{address}").parse().unwrap());
    let broken = Placed::Unknown(ClientError::NoAnswer(NoAnswer::Broken));
    assert_eq!(plain.create_call(&request()).await, broken);
    let secure = client(format!("https://{address}").parse().unwrap());
    assert_eq!(secure.create_call(&request()).await, Placed::NotSent(NoAnswer::Tls));
}

#[tokio::test]
async fn reading_and_changing_are_repeated_when_twilio_is_busy_or_failing() {
    let (service, base) = Service::start([
        Reply::WithHeader(429, "retry-after", "1"),
        Reply::With(200, CALL),
        Reply::With(503, "unavailable"),
        Reply::With(500, ""),
        Reply::With(200, CALL),
    ])
    .await;
    let twilio = client(base);
    let began = Instant::now();
    twilio.fetch_call(CallSid::from_number(1)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After is kept");
    let change = UpdateCall { change: CallChange::Complete };
    twilio.update_call(CallSid::from_number(1), &change).await.unwrap();
    let asked = service.asked();
    assert_eq!(asked.len(), 5);
    assert!(asked[..2].iter().all(|asked| asked.line.starts_with("GET ") && asked.line.ends_with("0001.json")));
    assert!(asked[2..].iter().all(|asked| asked.line.starts_with("POST ") && asked.body == "Status=completed"));
}

#[tokio::test]
async fn trying_again_has_an_end() {
    let (service, base) = Service::start((0..9).map(|_| Reply::With(500, "<html>oh</html>"))).await;
    let error = client(base).fetch_account().await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(error) if (error.status, error.code) == (500, None)), "{error:?}");
    assert_eq!(service.asked().len(), 4);

    let (service, base) = Service::start([Reply::WithHeader(429, "retry-after", "3600"), Reply::With(200, CALL)]).await;
    let began = Instant::now();
    client(base).fetch_call(CallSid::from_number(1)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "an hour is not waited for");
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn what_is_refused_or_unreadable_is_not_asked_again() {
    let (service, base) = Service::start([
        Reply::With(404, "not here"),
        Reply::With(200, "<html>"),
        Reply::WithHeader(302, "location", "/x"),
    ])
    .await;
    let twilio = client(base);
    let call = CallSid::from_number(1);
    assert!(matches!(twilio.fetch_call(call).await, Err(ClientError::Refused(error)) if error.status == 404));
    assert_eq!(twilio.fetch_call(call).await, Err(ClientError::Unreadable { status: 200 }));
    assert!(matches!(twilio.fetch_call(call).await, Err(ClientError::Refused(error)) if error.status == 302));
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn lists_are_read_to_their_end_from_the_same_host() {
    let (service, base) = Service::start([
        Reply::With(
            200,
            r#"{"calls":[{"sid":"CA00000000000000000000000000000001","status":"queued"}],
               "next_page_uri":"https://evil.example/2010-04-01/x.json?Page=1&PageToken=PAx"}"#,
        ),
        Reply::With(
            200,
            r#"{"calls":[{"sid":"CA00000000000000000000000000000003","status":"busy"}],"next_page_uri":null}"#,
        ),
    ])
    .await;
    let search = ListCalls {
        to: Some("+12025550123".into()),
        from: Some("+12025550100".into()),
        started_from: Some("2026-11-20".parse().unwrap()),
        ..ListCalls::default()
    };
    let calls = client(base).list_calls(&search).await.unwrap();
    assert!(calls.complete);
    assert_eq!(calls.entries.len(), 2);
    let calls = "/2010-04-01/Accounts/AC00000000000000000000000000000002/Calls.json";
    let lines: Vec<String> = service.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(
        lines,
        [
            format!("GET {calls}?To=%2B12025550123&From=%2B12025550100&StartTime%3E=2026-11-20"),
            format!("GET {calls}?Page=1&PageToken=PAx"),
        ]
    );
}

#[tokio::test]
async fn an_endless_list_ends_and_says_that_it_is_not_complete() {
    let page = r#"{"calls":[],"next_page_uri":"/2010-04-01/x.json?Page=1"}"#;
    let (service, base) = Service::start((0..30).map(|_| Reply::With(200, page))).await;
    assert!(!client(base).list_calls(&ListCalls::default()).await.unwrap().complete);
    assert_eq!(service.asked().len(), 10);
}

#[tokio::test]
async fn numbers_and_the_account_are_read_and_numbers_changed() {
    let number = r#"{"sid":"PN00000000000000000000000000000007","phone_number":"+12025550100"}"#;
    let (service, base) = Service::start([
        Reply::With(200, r#"{"incoming_phone_numbers":[{"sid":"PN00000000000000000000000000000007","phone_number":"+12025550100"}]}"#),
        Reply::With(200, number),
        Reply::With(200, r#"{"sid":"AC00000000000000000000000000000002","status":"active","type":"Trial","x":1}"#),
        Reply::With(401, r#"{"code":20003,"message":"Authenticate","more_info":"","status":401}"#),
    ])
    .await;
    let twilio = client(base);
    let numbers = twilio.list_numbers(Some("+12025550100")).await.unwrap();
    assert_eq!((numbers.entries.len(), numbers.complete), (1, true));
    let change =
        UpdateIncomingPhoneNumber { voice: Some(Webhook::post("https://example.com/v")), ..Default::default() };
    twilio.update_number(PhoneNumberSid::from_number(7), &change).await.unwrap();
    let account = twilio.fetch_account().await.unwrap();
    assert_eq!((account.status.as_deref(), account.kind.as_deref()), (Some("active"), Some("Trial")));
    let refused = twilio.fetch_account().await.unwrap_err();
    assert_eq!(refused.to_string(), "Twilio refuses: Authenticate (HTTP 401, Twilio 20003)");
    let asked = service.asked();
    assert!(asked[0].line.ends_with("/IncomingPhoneNumbers.json?PhoneNumber=%2B12025550100"));
    assert_eq!(asked[1].body, "VoiceUrl=https%3A%2F%2Fexample.com%2Fv&VoiceMethod=POST");
    assert!(asked[2].line.ends_with("/2010-04-01/Accounts/AC00000000000000000000000000000002.json"));
}

#[tokio::test]
async fn secrets_are_in_no_debug_and_no_error() {
    let (_service, base) = Service::start([Reply::Never]).await;
    let key = Credentials::ApiKey { sid: "SKkey-id".to_owned(), secret: SECRET.to_owned().into() };
    let by_key = Twilio::new(base.clone(), AccountSid::from_number(2), key).unwrap();
    let twilio = client(base).with_timeout(Duration::from_millis(100));
    let outcome = twilio.create_call(&request()).await;
    let printed = format!("{twilio:?} {by_key:?} {outcome:?}");
    for secret in [SECRET, "SKkey-id", "bm90LXRv", "5550123"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
