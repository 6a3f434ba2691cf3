//! What all of these tests stand on: a store, nodes, a scripted engine, a scripted phone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use call::agent::{Agent, EngineKind, Script};
use call::journal::{Entry, Kind};
use call::prepare::{Prepare, command_path, prepare_path};
use call::{CallId, Command, Setup};
use embedded::Embedded;
use futures_util::{SinkExt, StreamExt};
use media_node::{Config, Engines, HumeAccess, Node};
use store::fault::Faults;
use store::{CallScript, Moment, NewCall, StaticCredentials, Store};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wire::signed::{self, Secrets};
use wire::token::StreamToken;
use wire::twilio::{AccountSid, CallSid, StreamSid};

use crate::evi::Evi;
use crate::log;

pub(crate) const AUTH_TOKEN: &str = "an auth token for tests";
pub(crate) const STREAM_SECRET: &str = "a stream secret for tests";

const AGENT: &str = r#"
engines = ["hume"]
instructions = "Be brief."
greeting = "Hello."
disclosure = "This call is recorded."
recording = true
"#;

pub(crate) fn secrets() -> Secrets {
    Secrets::parse(STREAM_SECRET).unwrap()
}

/// A store of its own.
pub(crate) struct World {
    _embedded: Embedded,
    pub(crate) store: Store,
    /// The store as the nodes see it: with faults, once a rate is set.
    pub(crate) node_store: Store,
    pub(crate) faults: Faults,
    pub(crate) evi: Evi,
    directories: Vec<PathBuf>,
}

impl World {
    pub(crate) async fn new() -> Self {
        log::begin();
        let embedded = Embedded::in_memory().unwrap();
        let credentials = StaticCredentials {
            access_key: embedded.access_key.clone(),
            secret_key: embedded.secret_key.expose().to_owned(),
        };
        let config = store::Config::new("switchboard", "switchboard");
        let config = config.local(&embedded.dynamodb_url, &embedded.s3_url, credentials);
        let store = Store::connect(config.clone()).await;
        store.create_if_absent().await.unwrap();
        let faults = Faults::seeded(1);
        let node_store = Store::connect(store::Config { faults: Some(faults.clone()), ..config }).await;
        Self { _embedded: embedded, store, node_store, faults, evi: Evi::start().await, directories: Vec::new() }
    }

    pub(crate) fn data_dir(&mut self) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("switchboard-node-{:x}", fastrand::u64(..)));
        self.directories.push(directory.clone());
        directory
    }

    pub(crate) fn config(&mut self, name: &str, port: u16) -> Config {
        Config {
            node: name.to_owned(),
            region: None,
            address: format!("http://127.0.0.1:{port}"),
            listen: ([127, 0, 0, 1], port).into(),
            public_base_url: "https://calls.example.com".to_owned(),
            local_origins: Vec::new(),
            media_stream_url: "wss://media.example.com/media-stream".to_owned(),
            twilio: None,
            secrets: secrets(),
            engines: Engines {
                hume: Some(HumeAccess {
                    api_key: "the key".into(),
                    config_id: None,
                    base_url: format!("http://127.0.0.1:{}", self.evi.port),
                }),
                openai: None,
                cascade: None,
            },
            tools: media_node::ToolAccess::default(),
            data_dir: self.data_dir(),
            drain_within: Duration::from_secs(5),
            capacity: 100,
            notes: Vec::new(),
        }
    }

    pub(crate) async fn node(&mut self, name: &str) -> Running {
        self.node_with(name, |_| {}).await
    }

    pub(crate) async fn node_with(&mut self, name: &str, change: impl FnOnce(&mut Config)) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = self.config(name, listener.local_addr().unwrap().port());
        change(&mut config);
        Running::start(config, self.node_store.clone(), listener).await
    }

    /// A call that the control plane has opened for this node.
    pub(crate) async fn open_call(&self, node: &str) -> TestCall {
        let call = TestCall::new(fastrand::u64(1..));
        let script = CallScript { script: script(), engines: vec![EngineKind::Hume] };
        let new = NewCall {
            id: call.id,
            from: "+12025550123".to_owned(),
            to: "+12025550100".to_owned(),
            node: Some(node.to_owned()),
            ends_by: Moment::from_ms(self.store.now().as_ms() + 3_600_000),
            simulated: true,
            script,
        };
        assert!(self.store.open_inbound(&new, call.call_sid).await.unwrap().fresh);
        call
    }

    pub(crate) async fn journal(&self, call: CallId) -> Vec<Entry> {
        self.store.read_journal(call, None, 1_000).await.unwrap().entries
    }

    /// The journal, once this epoch's last entry is in it. Fails if entries are missing.
    pub(crate) async fn whole_journal(&self, call: CallId) -> Vec<Entry> {
        for _ in 0..150 {
            let entries = self.journal(call).await;
            if entries.iter().any(|entry| matches!(entry.kind, Kind::StreamEnded { .. })) {
                let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
                assert_eq!(seqs, (1..=entries.len() as u64).collect::<Vec<_>>());
                return entries;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the journal is not complete: {:#?}", self.journal(call).await);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for directory in &self.directories {
            std::fs::remove_dir_all(directory).ok();
        }
    }
}

pub(crate) fn script() -> Script {
    Agent::parse("test", AGENT).unwrap().script(&BTreeMap::new()).unwrap()
}

/// A call's names.
#[derive(Clone, Copy)]
pub(crate) struct TestCall {
    pub(crate) id: CallId,
    pub(crate) account_sid: AccountSid,
    pub(crate) call_sid: CallSid,
    pub(crate) stream_sid: StreamSid,
}

impl TestCall {
    pub(crate) fn new(n: u64) -> Self {
        let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        Self {
            id: CallId::new(u64::try_from(now_ms).unwrap(), u128::from(n)),
            account_sid: AccountSid::from_number(7),
            call_sid: CallSid::from_number(u128::from(n)),
            stream_sid: StreamSid::from_number(u128::from(n)),
        }
    }

    pub(crate) fn prepare(&self) -> Prepare {
        let setup = Setup {
            call: self.id,
            epoch: 1,
            script: script(),
            engines: vec![EngineKind::Hume],
            history: Vec::new(),
            chat: None,
            offset_ms: 0,
            greeted: false,
            disclosed: false,
            call_ms_max: 600_000,
        };
        Prepare { setup, account_sid: self.account_sid, call_sid: Some(self.call_sid) }
    }

    pub(crate) fn token(&self, node: &str) -> String {
        StreamToken::new(self.id.to_string(), 1, node, unix_s()).mint(&secrets())
    }
}

pub(crate) fn unix_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A node that serves.
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) base: String,
}

impl Running {
    pub(crate) async fn start(config: Config, store: Store, listener: TcpListener) -> Self {
        let base = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let node = Node::start(config, store).await.unwrap();
        let serving = node.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        Self { node, base }
    }

    /// A request as the control plane signs it.
    pub(crate) async fn signed(&self, method: &str, path: &str, body: Vec<u8>) -> reqwest::Response {
        let signature = signed::sign(&secrets(), signed::Request { method, path, body: &body }, unix_s());
        self.request(method, path, body, &signature).await
    }

    pub(crate) async fn request(&self, method: &str, path: &str, body: Vec<u8>, signature: &str) -> reqwest::Response {
        let request = reqwest::Client::new().request(method.parse().unwrap(), format!("http://{}{path}", self.base));
        request.header(signed::HEADER, signature).body(body).send().await.unwrap()
    }

    pub(crate) async fn prepare(&self, call: &TestCall) -> u16 {
        let body = serde_json::to_vec(&call.prepare()).unwrap();
        self.signed("POST", &prepare_path(self.node.name(), call.id), body).await.status().as_u16()
    }

    pub(crate) async fn command(&self, call: &TestCall, command: &Command) -> u16 {
        let body = serde_json::to_vec(command).unwrap();
        self.signed("POST", &command_path(self.node.name(), call.id), body).await.status().as_u16()
    }

    pub(crate) async fn text(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.base)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// A figure of `/metrics`.
    pub(crate) async fn figure(&self, name: &str) -> u64 {
        let (_, page) = self.text("/metrics").await;
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("switchboard_{name} ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no figure {name}")).parse().unwrap()
    }

    pub(crate) async fn figure_reaches(&self, name: &str, value: u64) {
        eventually(name, async || self.figure(name).await >= value).await;
    }

    /// A stream of this call, joined.
    pub(crate) async fn call(&self, call: &TestCall) -> Phone {
        assert_eq!(self.prepare(call).await, 202);
        Phone::join(&self.base, self.node.name(), call, &call.token(self.node.name())).await
    }
}

pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_secs(15), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What Twilio is to a node, in a few lines.
pub(crate) struct Phone {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    twilio: wire::twilio::stream::phone::Phone,
    pub(crate) at_ms: u64,
}

impl Phone {
    pub(crate) async fn open(base: &str, node: &str, call: &TestCall, signature: Option<&str>) -> Result<Self, u16> {
        let mut request = format!("ws://{base}/media-stream/{node}").into_client_request().unwrap();
        if let Some(signature) = signature {
            request.headers_mut().insert("x-twilio-signature", signature.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => {
                let twilio = wire::twilio::stream::phone::Phone::new(call.stream_sid, call.account_sid, call.call_sid);
                Ok(Self { socket, twilio, at_ms: 0 })
            }
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn join(base: &str, node: &str, call: &TestCall, token: &str) -> Self {
        let mut phone = Self::open(base, node, call, None).await.unwrap();
        phone.start(call, token).await;
        phone
    }

    pub(crate) async fn start(&mut self, call: &TestCall, token: &str) {
        let parameters = [("call".to_owned(), call.id.to_string()), ("token".to_owned(), token.to_owned())].into();
        let (mut connected, mut start) = (String::new(), String::new());
        self.twilio.connected(&mut connected);
        self.twilio.start(&parameters, &mut start);
        self.send(connected).await;
        self.send(start).await;
    }

    pub(crate) async fn send(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Speaks for so many frames, in real time.
    pub(crate) async fn speak(&mut self, frames: usize, code: u8) {
        for _ in 0..frames {
            let mut text = String::new();
            self.twilio.media(self.at_ms, &[code; 160], &mut text);
            self.send(text).await;
            self.at_ms += 20;
            self.listen(Duration::from_millis(20)).await;
        }
    }

    /// Listens for so long, returning marks, as Twilio does while the caller speaks.
    async fn listen(&mut self, length: Duration) {
        let until = tokio::time::Instant::now() + length;
        while let Ok(Some(Ok(message))) = tokio::time::timeout_at(until, self.socket.next()).await {
            if let Message::Text(text) = message
                && let Ok(message) = serde_json::from_str::<serde_json::Value>(&text)
                && let Some(name) = message["mark"]["name"].as_str()
            {
                let mut mark = String::new();
                self.twilio.mark(name, &mut mark);
                self.send(mark).await;
            }
        }
        tokio::time::sleep_until(until).await;
    }

    pub(crate) async fn hang_up(&mut self) {
        let mut text = String::new();
        self.twilio.stop(&mut text);
        self.send(text).await;
    }

    /// Listens until there is audio, returning marks meanwhile.
    pub(crate) async fn hears_something(&mut self) {
        loop {
            let message = self.message().await;
            if message["event"] == "media" {
                return;
            }
        }
    }

    async fn message(&mut self) -> serde_json::Value {
        loop {
            match tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await.unwrap().unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The code and reason with which the node closes.
    pub(crate) async fn closed(mut self) -> (u16, String) {
        loop {
            match tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await.unwrap() {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Text(text))) if text.contains("\"mark\"") => {
                    let message: serde_json::Value = serde_json::from_str(&text).unwrap();
                    let mut mark = String::new();
                    self.twilio.mark(message["mark"]["name"].as_str().unwrap(), &mut mark);
                    // The node may be closing already.
                    self.socket.send(Message::text(mark)).await.ok();
                }
                Some(Ok(_)) => {}
                other => panic!("not closed in order: {other:?}"),
            }
        }
    }
}
