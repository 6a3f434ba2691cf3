//! The simulated EVI behind real sockets: a recorded caller is answered aloud, and the REST side tells about it.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use sim::evi::fault::{Fault, Faults, HandshakeFault, Mishap, Moment};
use sim::evi::{Ended, EviConfig, server};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

const AUDIO: &str = "session_settings%5Baudio%5D%5Bencoding%5D=linear16&session_settings%5Baudio%5D%5Bsample_rate%5D=8000\
                     &session_settings%5Baudio%5D%5Bchannels%5D=1";

async fn dial(evi: &server::Handle, query: &str, key: &str) -> Result<Socket, Error> {
    let url = format!("{}/v0/evi/chat?{query}", evi.url.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("X-Hume-Api-Key", key.parse().unwrap());
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

/// Speaks a recording at real pace and then silence, until a message of this type has come.
async fn talk_until(socket: &mut Socket, utterance: &str, kind: &str) -> Vec<Value> {
    let samples = sim::speech::utterance(utterance).unwrap().pcm(8_000);
    let mut bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    bytes.resize(bytes.len() + 16_000 * 20, 0);
    let mut frames = bytes.chunks(320);
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let mut received = Vec::new();
    loop {
        tokio::select! {
            _ = pace.tick() => {
                let mut text = String::new();
                wire::hume::client::write_audio_input(frames.next().expect("twenty seconds are enough"), &mut text);
                socket.send(Message::Text(text.into())).await.unwrap();
            }
            message = socket.next() => {
                if let Message::Text(text) = message.unwrap().unwrap() {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    let found = value["type"] == kind;
                    received.push(value);
                    if found {
                        return received;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_recorded_caller_gets_a_spoken_answer_and_the_history_has_both() {
    let evi = server::start(EviConfig { api_keys: vec!["key".to_owned()], ..EviConfig::default() }, Faults::none(), 1)
        .await
        .unwrap();
    let mut socket = dial(&evi, AUDIO, "key").await.unwrap();
    let received = talk_until(&mut socket, "caller-book", "assistant_end").await;
    assert_eq!(received[0]["type"], "chat_metadata");
    let said: Vec<&str> = received
        .iter()
        .filter(|message| message["type"] == "user_message")
        .map(|message| message["message"]["content"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["I'd like to book an appointment."]);
    assert!(received.iter().any(|message| message["type"] == "audio_output"));
    let chat = received[0]["chat_id"].as_str().unwrap().to_owned();
    let group = received[0]["chat_group_id"].as_str().unwrap().to_owned();

    let http = reqwest::Client::new();
    let get = |path: String| http.get(format!("{}{path}", evi.url)).header("X-Hume-Api-Key", "key").send();
    let page: Value =
        get(format!("/v0/evi/chats/{chat}?page_size=100&ascending_order=true")).await.unwrap().json().await.unwrap();
    assert_eq!(page["status"], "ACTIVE");
    assert!(page["events_page"].as_array().unwrap().iter().any(|event| event["type"] == "AGENT_MESSAGE"));
    for path in [
        "/v0/evi/chats".to_owned(),
        "/v0/evi/chat_groups".to_owned(),
        format!("/v0/evi/chat_groups/{group}"),
        format!("/v0/evi/chat_groups/{group}/events"),
        "/v0/evi/configs".to_owned(),
    ] {
        assert_eq!(get(path.clone()).await.unwrap().status(), 200, "{path}");
    }
    assert_eq!(get(format!("/v0/evi/chats/{chat}/events")).await.unwrap().status(), 404);
    assert_eq!(get("/v0/evi/chats?page_size=101".to_owned()).await.unwrap().status(), 400);
    assert_eq!(http.get(format!("{}/v0/evi/chats", evi.url)).send().await.unwrap().status(), 401);

    let send = http.post(format!("{}/v0/evi/chat/{chat}/send", evi.url)).header("X-Hume-Api-Key", "key");
    let sent =
        send.try_clone().unwrap().body(r#"{"type":"assistant_input","text":"One moment."}"#).send().await.unwrap();
    assert_eq!((sent.status().as_u16(), sent.text().await.unwrap().as_str()), (200, ""));
    assert_eq!(send.body("{}").send().await.unwrap().status(), 422);
    loop {
        let message = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.unwrap().unwrap().unwrap();
        if message.to_text().is_ok_and(|text| text.contains("One moment.")) {
            break;
        }
    }
    evi.throttle_rest(true);
    assert_eq!(get("/v0/evi/chats".to_owned()).await.unwrap().status(), 429);

    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    tokio::time::timeout(Duration::from_secs(5), async {
        while evi.records()[0].1.ended.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(evi.records()[0].1.ended.unwrap().1, Ended::ByClient);
    assert!(evi.records()[0].1.audio_bytes > 16_000);
}

#[tokio::test]
async fn refusals_drops_and_closes_look_like_the_real_ones() {
    let faults = Faults::scripted([
        Fault::Handshake(HandshakeFault::Refuse(410)).on(1),
        Fault::midway(Moment::Open(Duration::from_millis(50)), Mishap::Drop).on(2),
        Fault::midway(Moment::Open(Duration::ZERO), Mishap::Close { code: 1013, reason: "later".to_owned() }).on(3),
        Fault::Handshake(HandshakeFault::Silence).on(4),
        Fault::Handshake(HandshakeFault::Slow(Duration::from_millis(300))).on(5),
    ]);
    let evi = server::start(EviConfig::default(), faults, 1).await.unwrap();
    let refused = dial(&evi, "", "key").await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 410));

    let mut socket = dial(&evi, "", "key").await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_text());
    let broken = socket.next().await;
    assert!(matches!(broken, None | Some(Err(_))), "no close frame: {broken:?}");

    let mut socket = dial(&evi, "", "key").await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_text());
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("a close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1013, "later"));

    assert!(tokio::time::timeout(Duration::from_millis(300), dial(&evi, "", "key")).await.is_err());
    let before = std::time::Instant::now();
    dial(&evi, "", "key").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(300));
    let nobody = dial(&evi, "", "").await;
    assert!(matches!(nobody, Err(Error::Http(response)) if response.status() == 401));
}
