//! The Gemini client against a service that misbehaves.

use std::time::Duration;

use clients::{BaseUrl, Gemini, GeminiError, NoAnswer};
use serde_json::json;
use wire::gemini::response::Generated;

use crate::service::{Reply, Service};

const KEY: &str = "not-to-be-seen-anywhere";
const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"{}"}]},"finishReason":"STOP"}]}"#;

fn client(base: BaseUrl) -> Gemini {
    Gemini::new(base, KEY.to_owned().into(), "gemini-3.5-flash-lite".parse().unwrap()).unwrap()
}

async fn ask(client: &Gemini) -> Result<Generated, GeminiError> {
    client.ask("Judge.", "[1] caller: Hi".to_owned(), json!({ "type": "object" }), 100).await
}

#[tokio::test]
async fn a_question_is_sent_once_with_its_key_in_a_header() {
    let (service, base) = Service::start([Reply::With(200, ANSWER), Reply::With(503, "")]).await;
    let gemini = client(base);
    assert_eq!(ask(&gemini).await.unwrap().answer().as_deref(), Ok("{}"));
    assert!(matches!(ask(&gemini).await, Err(GeminiError::Refused(error)) if error.code == 503));
    let asked = service.asked();
    assert_eq!(asked.len(), 2, "asking again is decided elsewhere");
    assert_eq!(asked[0].line, "POST /v1beta/models/gemini-3.5-flash-lite:generateContent");
    assert_eq!(asked[0].credential, KEY);
    assert!(!asked[0].body.contains(KEY) && asked[0].body.contains("responseJsonSchema"));
}

#[tokio::test]
async fn a_refusal_says_why_and_when_to_come_back_and_shows_nothing_that_was_sent() {
    const LIMITED: &str = r#"{"error":{"code":429,"message":"quota for [1] caller: Hi","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"22s"}]}}"#;
    const DAILY: &str = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3s"}]}}]"#;
    const BAD_KEY: &str = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[
        {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
    let replies =
        [Reply::With(429, LIMITED), Reply::With(429, DAILY), Reply::With(400, BAD_KEY), Reply::With(200, "<html>")];
    let (_service, base) = Service::start(replies).await;
    let gemini = client(base);
    let mut told = Vec::new();
    for _ in 0..4 {
        let error = ask(&gemini).await.unwrap_err();
        told.push(format!("{error}, {} s", error.not_before().as_secs()));
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    Gemini refuses: HTTP 429 RESOURCE_EXHAUSTED, 23 s
    Gemini refuses: HTTP 429 RESOURCE_EXHAUSTED (the day's quota is used up), 21600 s
    Gemini refuses: HTTP 400 INVALID_ARGUMENT (API_KEY_INVALID), 0 s
    what Gemini sent cannot be read, 0 s
    ");
    assert!(!format!("{gemini:?}").contains(KEY));
}

#[tokio::test]
async fn silence_and_absence_are_told_apart() {
    let (_service, base) = Service::start([Reply::Never]).await;
    let gemini = client(base).with_timeout(Duration::from_millis(300));
    assert_eq!(ask(&gemini).await.unwrap_err(), GeminiError::Timeout);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    assert_eq!(ask(&client(base)).await.unwrap_err(), GeminiError::NoAnswer(NoAnswer::Connect));
}

#[tokio::test]
async fn a_check_asks_for_the_model_by_its_name_and_says_what_is_wrong() {
    const UNKNOWN: &str = r#"{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}"#;
    let replies = [
        Reply::With(200, r#"{"name":"models/gemini-3.5-flash-lite","version":"001"}"#),
        Reply::With(404, UNKNOWN),
        Reply::With(200, "<html>welcome</html>"),
        Reply::With(200, "{}"),
    ];
    let (service, base) = Service::start(replies).await;
    let gemini = client(base);
    assert_eq!(gemini.check().await, Ok(()));
    assert!(matches!(gemini.check().await, Err(GeminiError::Refused(error)) if error.status == "NOT_FOUND"));
    assert_eq!(gemini.check().await, Err(GeminiError::Unreadable), "something else answers there");
    assert_eq!(gemini.check().await, Err(GeminiError::Unreadable));
    let asked = service.asked();
    assert_eq!(asked[0].line, "GET /v1beta/models/gemini-3.5-flash-lite");
    assert_eq!(asked[0].credential, KEY);
}
