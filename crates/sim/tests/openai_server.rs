//! The simulated `OpenAI` Realtime behind real sockets: a recorded caller is answered aloud.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use sim::openai::fault::Faults;
use sim::openai::{OpenAiConfig, server};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

const TELEPHONE: &str = r#"{"type":"session.update","session":{"type":"realtime","audio":{
    "input":{"format":{"type":"audio/pcmu"},"transcription":{"model":"gpt-transcribe"}},"output":{"format":{"type":"audio/pcmu"}}}}}"#;

async fn dial(openai: &server::Handle, query: &str, key: &str) -> Result<Socket, Error> {
    let url = format!("{}/realtime{query}", openai.url.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {key}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

#[tokio::test]
async fn a_recorded_caller_gets_a_spoken_answer() {
    let openai =
        server::start(OpenAiConfig { api_keys: vec!["key".to_owned()], ..OpenAiConfig::default() }, Faults::none(), 1)
            .await
            .unwrap();
    let mut socket = dial(&openai, "?model=gpt-realtime-2.1", "key").await.unwrap();
    socket.send(Message::Text(TELEPHONE.into())).await.unwrap();
    let mut codes = sim::speech::utterance("caller-book").unwrap().mulaw();
    codes.resize(codes.len() + 8_000 * 20, 0xFF);
    let mut frames = codes.chunks(160);
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let (mut sound, mut words) = (Vec::new(), String::new());
    loop {
        tokio::select! {
            _ = pace.tick() => {
                let mut text = String::new();
                wire::openai::client::write_append(frames.next().expect("twenty seconds are enough"), &mut text);
                socket.send(Message::Text(text.into())).await.unwrap();
            }
            message = socket.next() => {
                let Message::Text(text) = message.unwrap().unwrap() else { continue };
                let event: Value = serde_json::from_str(&text).unwrap();
                match event["type"].as_str().unwrap() {
                    "response.output_audio.delta" => sound.extend(STANDARD.decode(event["delta"].as_str().unwrap()).unwrap()),
                    "response.output_audio_transcript.done" => words = event["transcript"].as_str().unwrap().to_owned(),
                    "response.done" => break,
                    "error" => panic!("{event}"),
                    _ => {}
                }
            }
        }
    }
    let (_, record) = openai.records().remove(0);
    assert_eq!(record.heard, ["I'd like to book an appointment."]);
    assert_eq!(sound, call::audio::mulaw::encoded(&sim::speech::speak(&words, 8_000).samples));
}

#[tokio::test]
async fn the_door_and_the_list_of_models_want_a_key() {
    let openai =
        server::start(OpenAiConfig { api_keys: vec!["key".to_owned()], ..OpenAiConfig::default() }, Faults::none(), 1)
            .await
            .unwrap();
    for (query, key, status) in [("?model=m", "other", 401), ("", "key", 400)] {
        let refused = dial(&openai, query, key).await;
        assert!(matches!(refused, Err(Error::Http(response)) if response.status() == status), "{query} {key}");
    }
    let models = format!("{}/models", openai.url);
    let http = reqwest::Client::new();
    assert_eq!(http.get(&models).send().await.unwrap().status(), 401);
    let listed: Value = http.get(&models).bearer_auth("key").send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["data"][0]["id"], "gpt-realtime-2.1");
}
