//! A small server that checks signatures, answers documents and talks to streams, and a REST client.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{HeaderMap, Method, StatusCode};
use sim::phone::CallerScript;
use sim::twilio::{CallRecord, Callee, IDEMPOTENCY_HEADER, Twilio, TwilioConfig};
use wire::twilio::form::{Form, StatusCallback};
use wire::twilio::rest::{Answer, CallEvent, CallResource, CreateCall, RestError};
use wire::twilio::sid::AccountSid;
use wire::twilio::signature::Verifier;
use wire::twilio::stream::{Inbound, Outbound, parse};
use wire::twilio::twiml::Webhook;

pub(crate) const TOKEN: &str = "an-auth-token-for-tests";
pub(crate) const OURS: &str = "+12025550100";
pub(crate) const THEIRS: &str = "+12025550123";
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What the server does when the path is asked.
#[derive(Clone)]
pub(crate) enum Reply {
    Twiml(String),
    Raw(&'static str, Vec<u8>),
    Status(u16),
    Hang,
}

/// A request as the server saw it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) form: Form,
    pub(crate) token: Option<String>,
}

#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) replies: Mutex<Vec<(String, VecDeque<Reply>)>>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) forged: Mutex<Vec<String>>,
    /// Track and payload of every frame on streams of the mode `listen`.
    pub(crate) listened: Mutex<Vec<(String, Vec<u8>)>>,
    pub(crate) refuse_upgrade: Mutex<bool>,
    pub(crate) port: Mutex<u16>,
}

/// The server under Twilio's eyes: `/hook/{name}` answers what was laid out, `/media/{mode}` is a stream.
#[derive(Clone)]
pub(crate) struct Server(pub(crate) Arc<Desk>);

impl Server {
    pub(crate) async fn start() -> Self {
        let server = Self(Arc::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        *server.0.port.lock().unwrap() = listener.local_addr().unwrap().port();
        let router = Router::new()
            .route("/hook/{name}", any(hook))
            .route("/media/{mode}", get(media))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/hook/{name}", self.0.port.lock().unwrap())
    }

    pub(crate) fn media(&self, mode: &str) -> String {
        format!("ws://127.0.0.1:{}/media/{mode}", self.0.port.lock().unwrap())
    }

    /// Answers in order; the last one stays.
    pub(crate) fn lay_out(&self, name: &str, replies: impl IntoIterator<Item = Reply>) {
        self.0.replies.lock().unwrap().push((name.to_owned(), replies.into_iter().collect()));
    }

    pub(crate) fn twiml(&self, name: &str, verbs: &str) {
        self.lay_out(name, [Reply::Twiml(format!("<Response>{verbs}</Response>"))]);
    }

    pub(crate) fn seen(&self, name: &str) -> Vec<Seen> {
        self.0.seen.lock().unwrap().iter().filter(|seen| seen.path == name).cloned().collect()
    }

    pub(crate) fn connect(&self, mode: &str, attributes: &str) -> String {
        format!(
            r#"<Connect {attributes}><Stream url="{}?cut=off" statusCallback="{}"><Parameter name="token" value="t"/></Stream></Connect>"#,
            self.media(mode),
            self.url("stream")
        )
    }
}

pub(crate) async fn hook(
    State(Server(desk)): State<Server>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let port = *desk.port.lock().unwrap();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let url = format!("http://127.0.0.1:{port}/hook/{name}{query}");
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let form =
        if method == Method::GET { Form::parse(query.trim_start_matches('?').as_bytes()) } else { Form::parse(&body) };
    let verifier = Verifier::new(&[TOKEN]);
    let signature = header("x-twilio-signature");
    let genuine = if method == Method::GET {
        verifier.verify_get(&url, signature.as_deref())
    } else {
        verifier.verify_form(&url, form.pairs(), signature.as_deref())
    };
    if genuine.is_err() {
        desk.forged.lock().unwrap().push(url);
        return StatusCode::FORBIDDEN.into_response();
    }
    let token = header(&IDEMPOTENCY_HEADER.to_ascii_lowercase());
    desk.seen.lock().unwrap().push(Seen { path: name.clone(), form, token });
    let reply = {
        let mut replies = desk.replies.lock().unwrap();
        let laid_out = replies.iter_mut().rev().find(|(laid_out, _)| *laid_out == name).map(|(_, replies)| replies);
        laid_out.map(|replies| if replies.len() > 1 { replies.pop_front().unwrap() } else { replies[0].clone() })
    };
    match reply {
        Some(Reply::Twiml(document)) => ([("content-type", "text/xml")], document).into_response(),
        Some(Reply::Raw(content_type, body)) => ([("content-type", content_type)], body).into_response(),
        Some(Reply::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Reply::Hang) => std::future::pending().await,
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

pub(crate) async fn media(
    State(Server(desk)): State<Server>,
    Path(mode): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let url = format!("ws://127.0.0.1:{}/media/{mode}", desk.port.lock().unwrap());
    let signature = headers.get("x-twilio-signature").map(|value| value.to_str().unwrap());
    let genuine = Verifier::new(&[TOKEN]).verify_upgrade(&url, signature).is_ok();
    let as_captured = headers["user-agent"] == "Twilio.TmeWs/1.0"
        && ["origin", "sec-websocket-protocol", "sec-websocket-extensions"]
            .iter()
            .all(|name| !headers.contains_key(*name));
    if !genuine || !as_captured || query.is_some() {
        desk.forged.lock().unwrap().push(url);
        return StatusCode::FORBIDDEN.into_response();
    }
    if *desk.refuse_upgrade.lock().unwrap() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    upgrade.on_upgrade(move |socket| converse(desk, socket, mode))
}

/// `echo` plays back what it hears, with a mark; `close` closes after five frames, `die` breaks off; `wrong` breaks the
/// protocol; `listen` keeps what it hears.
pub(crate) async fn converse(desk: Arc<Desk>, mut socket: WebSocket, mode: String) {
    let mut stream_sid = None;
    let mut frames = 0;
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let mut out = Vec::new();
        match parse(&text).unwrap() {
            Inbound::Start(start) => {
                assert_eq!(start.custom_parameters["token"], "t");
                stream_sid = Some(start.stream_sid);
            }
            Inbound::Media(media) => {
                frames += 1;
                let mut payload = Vec::new();
                media.decode(&mut payload).unwrap();
                match mode.as_str() {
                    "echo" => {
                        out.push(Outbound::Media { payload: payload.into() });
                        if frames % 10 == 0 {
                            out.push(Outbound::Mark { name: frames.to_string() });
                        }
                    }
                    "close" if frames == 5 => {
                        let frame = CloseFrame { code: 1000, reason: "".into() };
                        socket.send(Message::Close(Some(frame))).await.unwrap();
                    }
                    "die" if frames == 5 => return,
                    "listen" => desk.listened.lock().unwrap().push((format!("{:?}", media.track), payload)),
                    "wrong" if frames == 1 => {
                        socket.send(Message::Text("{\"event\":\"nonsense\"}".into())).await.unwrap();
                        socket.send(Message::Binary(vec![1].into())).await.unwrap();
                    }
                    _ => {}
                }
            }
            Inbound::Connected { .. } | Inbound::Dtmf(_) | Inbound::Mark(_) | Inbound::Stop(_) => {}
            Inbound::Unknown { event } => panic!("Twilio sends no {event}"),
        }
        for message in out {
            let mut text = String::new();
            message.write(&stream_sid.unwrap(), &mut text);
            if socket.send(Message::Text(text.into())).await.is_err() {
                return;
            }
        }
    }
}

pub(crate) fn config(server: &Server) -> TwilioConfig {
    let mut config = TwilioConfig::new(AccountSid::from_number(7), TOKEN, 1)
        .with_number(OURS, Some(Webhook::post(format!("{}?tenant=demo", server.url("voice")))));
    config.api_keys.insert("SK00000000000000000000000000000001".into(), "a-secret".into());
    config.call_interval = Duration::from_millis(20);
    config.default_callee = Callee::answers(Duration::from_millis(50), CallerScript::new());
    config.timing.say_per_character = Duration::from_millis(1);
    config.timing.play = Duration::from_millis(10);
    config.timing.setup = Duration::from_millis(5);
    config.timing.dialled_conversation = Duration::from_millis(100);
    config
}

pub(crate) async fn both() -> (Server, Twilio) {
    let server = Server::start().await;
    let twilio = Twilio::start(config(&server)).await.unwrap();
    (server, twilio)
}

pub(crate) async fn inbound(twilio: &Twilio, script: CallerScript) -> CallRecord {
    let call = twilio.place_inbound(THEIRS, OURS, script).unwrap();
    twilio.finished(call, PATIENCE).await.expect("the call ends")
}

pub(crate) struct Rest {
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
}

impl Rest {
    pub(crate) fn new(twilio: &Twilio) -> Self {
        let base = format!("{}/2010-04-01/Accounts/{}", twilio.base_url().unwrap(), twilio.config().account_sid);
        Self { client: reqwest::Client::builder().no_proxy().build().unwrap(), base }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, form: &Form) -> (u16, Vec<u8>) {
        self.send_as("AC00000000000000000000000000000007", TOKEN, method, path, form).await
    }

    pub(crate) async fn send_as(
        &self,
        user: &str,
        secret: &str,
        method: Method,
        path: &str,
        form: &Form,
    ) -> (u16, Vec<u8>) {
        let request = self.client.request(method, format!("{}{path}", self.base)).basic_auth(user, Some(secret));
        let answer = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.encode())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    pub(crate) async fn create(&self, create: &CreateCall) -> CallResource {
        let (status, body) = self.send(Method::POST, "/Calls.json", &create.to_form()).await;
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    pub(crate) async fn refused(&self, path: &str, form: &Form) -> (u16, Option<u32>) {
        let (status, body) = self.send(Method::POST, path, form).await;
        (status, RestError::from_answer(status, &body).code)
    }
}

pub(crate) fn form(pairs: &[(&str, &str)]) -> Form {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn outbound(server: &Server) -> CreateCall {
    CreateCall {
        status_callback: Some(Webhook::post(server.url("status"))),
        status_callback_events: CallEvent::ALL.to_vec(),
        ..CreateCall::new(THEIRS, OURS, Answer::Url(Webhook::post(server.url("voice"))))
    }
}

pub(crate) async fn statuses(server: &Server, count: usize) -> Vec<StatusCallback> {
    for _ in 0..500 {
        if server.seen("status").len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.seen("status").iter().map(|seen| StatusCallback::from_form(&seen.form).unwrap()).collect()
}
