//! The door of the media stream: tokens that were used, are old, are another call's or nobody's; messages that are too
//! big, or are none.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use whole_calls::people::asks_for_the_hours;
use whole_calls::{House, Options, QUICK_NUMBER, judge};
use wire::token::StreamToken;
use wire::twilio::sid::{CallSid, StreamSid};
use wire::twilio::signature;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(60);

/// A stream as Twilio would open it, with whatever parameters.
struct Stream {
    socket: Socket,
    sid: StreamSid,
}

impl Stream {
    async fn open(house: &House) -> Self {
        let url = format!("{}/node-a", house.media_url());
        let mut request = url.as_str().into_client_request().unwrap();
        let signed = signature::sign(house.auth_token(), &url, []);
        request.headers_mut().insert(signature::HEADER, signed.parse().unwrap());
        let (socket, _) = connect_async(request).await.unwrap();
        Self { socket, sid: StreamSid::from_number(fastrand::u128(..)) }
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn start(&mut self, house: &House, call_sid: CallSid, call: &str, token: &str) {
        self.say(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})).await;
        let start = json!({
            "accountSid": house.twilio.config().account_sid.as_str(), "streamSid": self.sid.as_str(), "callSid": call_sid.as_str(),
            "tracks": ["inbound"], "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"call": call, "token": token},
        });
        self.say(json!({"event": "start", "sequenceNumber": "1", "streamSid": self.sid.as_str(), "start": start}))
            .await;
    }

    /// How the node closes it.
    async fn closed(&mut self) -> CloseCode {
        let closing = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return frame.code,
                    Some(Ok(_)) => {}
                    other => panic!("the stream ends without a close: {other:?}"),
                }
            }
        };
        timeout(Duration::from_secs(8), closing).await.unwrap()
    }
}

/// The value of a parameter in a document.
fn parameter(document: &str, name: &str) -> String {
    let from = document.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
    from.split('"').next().unwrap().to_owned()
}

async fn count(house: &House, name: &str) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a small count")]
    let count = house.figure("node-a", &format!("switchboard_{name}_total")).await.unwrap() as i64;
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_one_stream_of_one_call_for_one_minute() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    let sid = house.call_in(QUICK_NUMBER, asks_for_the_hours());
    let other = house.call_in(QUICK_NUMBER, asks_for_the_hours());
    let mut documents = Vec::new();
    for sid in [sid, other] {
        let streams = |twilio: &sim::twilio::Twilio| {
            twilio
                .call(sid)
                .filter(|call| call.streams.first().is_some_and(|stream| stream.phone().heard().first_at().is_some()))
        };
        documents.push(house.twilio.until(PATIENCE, streams).await.unwrap().documents[0].clone());
    }
    let (call, token) = (parameter(&documents[0], "call"), parameter(&documents[0], "token"));
    let other_call = parameter(&documents[1], "call");
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    let old = StreamToken::new(call.clone(), 1, "node-a", now - 3_600).mint(&house.stream_secrets());
    let elsewhere = StreamToken::new(call.clone(), 1, "node-b", now).mint(&house.stream_secrets());
    let strange = wire::signed::Secrets::parse("a secret of somebody else").unwrap();
    let forged = StreamToken::new(call.clone(), 1, "node-a", now).mint(&strange);
    let cases = [
        ("tokens_used", call.as_str(), token.as_str()),
        ("tokens_misplaced", other_call.as_str(), token.as_str()),
        ("tokens_misplaced", call.as_str(), elsewhere.as_str()),
        ("tokens_expired", call.as_str(), old.as_str()),
        ("tokens_forged", call.as_str(), forged.as_str()),
        ("tokens_forged", call.as_str(), ""),
    ];
    for (counter, call, token) in cases {
        let before = count(&house, counter).await;
        let mut stream = Stream::open(&house).await;
        stream.start(&house, sid, call, token).await;
        assert_eq!(stream.closed().await, CloseCode::Policy, "{counter}");
        assert_eq!(count(&house, counter).await, before + 1, "{counter}");
    }
    // Without Twilio's signature there is no socket at all.
    let unsigned = connect_async(format!("{}/node-a", house.media_url())).await;
    assert!(matches!(unsigned, Err(tokio_tungstenite::tungstenite::Error::Http(answer)) if answer.status() == 403));
    assert_eq!(count(&house, "signatures_refused").await, 1);
    // The calls whose tokens were tried know nothing of it.
    for sid in [sid, other] {
        house.ended(sid, PATIENCE).await.unwrap();
        let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
        let record = house.final_record(&id, PATIENCE).await.unwrap();
        assert_eq!((&record["end_reason"], &record["epoch"]), (&json!("said_goodbye"), &json!(1)), "{record:#}");
        judge::is_complete(&house.journal(&id, 1).await.unwrap(), "tokens");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_are_counted_and_oversized_ones_close_the_stream() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    // The first message may be too big already.
    let mut stream = Stream::open(&house).await;
    stream.say(json!({"event": "connected", "padding": "x".repeat(100_000)})).await;
    assert_eq!(stream.closed().await, CloseCode::Size);
    assert_eq!(count(&house, "messages_too_big").await, 1);

    // A call whose phone is this test.
    let sid = CallSid::from_number(77);
    let account = house.twilio.config().account_sid.to_string();
    let url = format!("{}/twilio/voice", house.base);
    let form = [
        ("AccountSid", account.as_str()),
        ("CallSid", sid.as_str()),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", "+12025550177"),
        ("To", QUICK_NUMBER),
    ];
    let signed = signature::sign(house.auth_token(), &url, form);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(&url).form(&form).header(signature::HEADER, signed).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let document = answer.text().await.unwrap();
    let (call, token) = (parameter(&document, "call"), parameter(&document, "token"));
    let mut stream = Stream::open(&house).await;
    stream.start(&house, sid, &call, &token).await;
    let stream_sid = stream.sid.to_string();
    for odd in [
        "",
        "{",
        "[]",
        "null",
        "\"media\"",
        r#"{"event":"media"}"#,
        r#"{"event":"media","media":{"payload":"%%%","timestamp":"20"}}"#,
    ] {
        stream.socket.send(Message::text(odd)).await.unwrap();
    }
    stream.socket.send(Message::binary(vec![0xFF; 160])).await.unwrap();
    stream.say(json!({"event": "weather", "streamSid": stream_sid})).await;
    // The call goes on: its greeting is heard.
    let heard = async {
        let mut frames = 0;
        while frames < 20 {
            match stream.socket.next().await {
                Some(Ok(Message::Text(text))) if text.contains("\"media\"") => frames += 1,
                Some(Ok(_)) => {}
                other => panic!("the call does not go on: {other:?}"),
            }
        }
    };
    timeout(Duration::from_secs(8), heard).await.unwrap();
    stream.say(json!({"event": "media", "streamSid": stream_sid, "padding": "x".repeat(100_000)})).await;
    assert_eq!(stream.closed().await, CloseCode::Size);
    let journal = house.journal(&call, 1).await.unwrap();
    judge::is_complete(&journal, "malformed");
    let measured = journal.iter().filter_map(|entry| match &entry.kind {
        call::journal::Kind::Measured(measured) => Some((measured.malformed, measured.unknown)),
        _ => None,
    });
    let (malformed, unknown) = measured.fold((0, 0), |(a, b), (malformed, unknown)| (a + malformed, b + unknown));
    assert!(malformed >= 6 && unknown >= 1, "{malformed} {unknown}: {}", judge::outline(&journal));
    assert_eq!(count(&house, "messages_too_big").await, 2);
}
