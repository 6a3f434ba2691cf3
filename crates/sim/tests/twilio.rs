//! The simulated Twilio, judged over real sockets: by a small server that checks signatures, answers documents and
//! talks to streams, and by a REST client.

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
use serde_json::{Value, json};
use sim::phone::{CallerScript, MarkEnd};
use sim::twilio::{
    CallRecord, CallbackFaults, Callee, Faults, IDEMPOTENCY_HEADER, Pickup, RequestAnswer, RequestKind, RestFault,
    StreamOutcome, Twilio, TwilioConfig, WebhookFaults,
};
use wire::twilio::form::{CallStatus, Form, StatusCallback, StreamCallback, StreamEvent, VoiceRequest};
use wire::twilio::rest::{Answer, CallEvent, CallPage, CallResource, CreateCall, RestError};
use wire::twilio::sid::{AccountSid, CallSid};
use wire::twilio::signature::Verifier;
use wire::twilio::stream::{Inbound, Outbound, parse};
use wire::twilio::twiml::{Method as TwimlMethod, Webhook};

const TOKEN: &str = "an-auth-token-for-tests";
const OURS: &str = "+12025550100";
const THEIRS: &str = "+12025550123";
const PATIENCE: Duration = Duration::from_secs(10);

/// What the server does when the path is asked.
#[derive(Clone)]
enum Reply {
    Twiml(String),
    Raw(&'static str, Vec<u8>),
    Status(u16),
    Hang,
}

/// A request as the server saw it.
#[derive(Clone)]
struct Seen {
    path: String,
    form: Form,
    token: Option<String>,
}

#[derive(Default)]
struct Desk {
    replies: Mutex<Vec<(String, VecDeque<Reply>)>>,
    seen: Mutex<Vec<Seen>>,
    forged: Mutex<Vec<String>>,
    refuse_upgrade: Mutex<bool>,
    port: Mutex<u16>,
}

/// The server under Twilio's eyes: `/hook/{name}` answers what was laid out, `/media/{mode}` is a stream.
#[derive(Clone)]
struct Server(Arc<Desk>);

impl Server {
    async fn start() -> Self {
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

    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/hook/{name}", self.0.port.lock().unwrap())
    }

    fn media(&self, mode: &str) -> String {
        format!("ws://127.0.0.1:{}/media/{mode}", self.0.port.lock().unwrap())
    }

    /// Answers in order; the last one stays.
    fn lay_out(&self, name: &str, replies: impl IntoIterator<Item = Reply>) {
        self.0.replies.lock().unwrap().push((name.to_owned(), replies.into_iter().collect()));
    }

    fn twiml(&self, name: &str, verbs: &str) {
        self.lay_out(name, [Reply::Twiml(format!("<Response>{verbs}</Response>"))]);
    }

    fn seen(&self, name: &str) -> Vec<Seen> {
        self.0.seen.lock().unwrap().iter().filter(|seen| seen.path == name).cloned().collect()
    }

    fn connect(&self, mode: &str, attributes: &str) -> String {
        format!(
            r#"<Connect {attributes}><Stream url="{}?cut=off" statusCallback="{}"><Parameter name="token" value="t"/></Stream></Connect>"#,
            self.media(mode),
            self.url("stream")
        )
    }
}

async fn hook(
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

async fn media(
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
    upgrade.on_upgrade(move |socket| converse(socket, mode))
}

/// `echo` plays back what it hears, with a mark; `close` closes after five frames, `die` breaks off; `wrong` breaks the
/// protocol; `deaf` never reads.
async fn converse(mut socket: WebSocket, mode: String) {
    let mut stream_sid = None;
    let mut frames = 0;
    if mode == "deaf" {
        std::future::pending::<()>().await;
    }
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
                    "wrong" if frames == 1 => {
                        socket.send(Message::Text("{\"event\":\"nonsense\"}".into())).await.unwrap();
                        socket.send(Message::Binary(vec![1].into())).await.unwrap();
                    }
                    _ => {}
                }
            }
            _ => {}
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

fn config(server: &Server) -> TwilioConfig {
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

async fn both() -> (Server, Twilio) {
    let server = Server::start().await;
    let twilio = Twilio::start(config(&server)).await.unwrap();
    (server, twilio)
}

async fn inbound(twilio: &Twilio, script: CallerScript) -> CallRecord {
    let call = twilio.place_inbound(THEIRS, OURS, script).unwrap();
    twilio.finished(call, PATIENCE).await.expect("the call ends")
}

struct Rest {
    client: reqwest::Client,
    base: String,
}

impl Rest {
    fn new(twilio: &Twilio) -> Self {
        let base = format!("{}/2010-04-01/Accounts/{}", twilio.base_url().unwrap(), twilio.config().account_sid);
        Self { client: reqwest::Client::builder().no_proxy().build().unwrap(), base }
    }

    async fn send(&self, method: Method, path: &str, form: &Form) -> (u16, Vec<u8>) {
        self.send_as("AC00000000000000000000000000000007", TOKEN, method, path, form).await
    }

    async fn send_as(&self, user: &str, secret: &str, method: Method, path: &str, form: &Form) -> (u16, Vec<u8>) {
        let request = self.client.request(method, format!("{}{path}", self.base)).basic_auth(user, Some(secret));
        let answer = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.encode())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn create(&self, create: &CreateCall) -> CallResource {
        let (status, body) = self.send(Method::POST, "/Calls.json", &create.to_form()).await;
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    async fn refused(&self, path: &str, form: &Form) -> (u16, Option<u32>) {
        let (status, body) = self.send(Method::POST, path, form).await;
        (status, RestError::from_answer(status, &body).code)
    }
}

fn form(pairs: &[(&str, &str)]) -> Form {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn outbound(server: &Server) -> CreateCall {
    CreateCall {
        status_callback: Some(Webhook::post(server.url("status"))),
        status_callback_events: CallEvent::ALL.to_vec(),
        ..CreateCall::new(THEIRS, OURS, Answer::Url(Webhook::post(server.url("voice"))))
    }
}

async fn statuses(server: &Server, count: usize) -> Vec<StatusCallback> {
    for _ in 0..500 {
        if server.seen("status").len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.seen("status").iter().map(|seen| StatusCallback::from_form(&seen.form).unwrap()).collect()
}

#[tokio::test]
async fn an_inbound_call_streams_both_ways_and_ends_when_the_caller_hangs_up() {
    let (server, twilio) = both().await;
    let action = format!(r#"action="{}""#, server.url("next"));
    server.twiml("voice", &server.connect("echo", &action));
    let speech: Vec<u8> = (0..3200_u32).map(|at| u8::try_from(at % 0x70).unwrap()).collect();
    let script = CallerScript::new()
        .says_at(Duration::from_millis(100), speech.clone())
        .hangs_up_at(Duration::from_millis(1000));
    let call = inbound(&twilio, script).await;

    assert_eq!(call.status, CallStatus::Completed);
    let request = VoiceRequest::from_form(&server.seen("voice")[0].form).unwrap();
    assert_eq!(request.call_status, Some(CallStatus::Ringing));
    assert_eq!(request.rest.get("FromCity"), Some(""));
    assert_eq!(request.stir_verstat.as_deref(), Some("TN-Validation-Passed-A"));
    {
        let phone = call.streams[0].phone();
        let heard = phone.heard().audio();
        assert!(heard.windows(speech.len()).any(|part| part == speech), "the echo of the speech is heard whole");
        assert!(phone.violations().is_empty(), "{:?}", phone.violations());
        assert!(phone.heard().marks().iter().any(|mark| mark.returned.is_some_and(|(_, end)| end == MarkEnd::Played)));
        assert!(phone.sent().iter().filter(|frame| frame.speech).count() >= 20);
    }
    assert_eq!(call.streams[0].outcome, Some(StreamOutcome::CallerHungUp));
    // The action is requested although nobody is there: a switch, on by default.
    twilio.until(PATIENCE, |_| (!server.seen("next").is_empty()).then_some(())).await.unwrap();
    let next = VoiceRequest::from_form(&server.seen("next")[0].form).unwrap();
    assert_eq!(next.call_status, Some(CallStatus::Completed));
    twilio.until(PATIENCE, |_| (server.seen("stream").len() == 2).then_some(())).await.unwrap();
    let events: Vec<_> =
        server.seen("stream").iter().map(|seen| StreamCallback::from_form(&seen.form).unwrap().event).collect();
    assert_eq!(events, [StreamEvent::Started, StreamEvent::Stopped]);
    assert!(server.0.forged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn when_the_server_closes_or_dies_the_action_decides() {
    let (server, twilio) = both().await;
    server.twiml("next", "<Say>Goodbye.</Say><Hangup/>");
    let action = r#"action="/hook/next""#;
    for (mode, outcome, code) in
        [("close", StreamOutcome::ServerClosed(Some(1000)), None), ("die", StreamOutcome::Failed(31903), Some(31903))]
    {
        server.twiml("voice", &server.connect(mode, action));
        let call = inbound(&twilio, CallerScript::new()).await;
        assert_eq!((call.streams[0].outcome, call.codes().first().copied()), (Some(outcome), code), "{mode}");
        assert_eq!(call.said, ["Goodbye."]);
        let next = VoiceRequest::from_form(&server.seen("next").last().unwrap().form).unwrap();
        assert!(next.is_in_progress());
    }
}

#[tokio::test]
async fn a_clean_close_is_an_error_if_twilio_should_think_so() {
    let server = Server::start().await;
    let mut config = config(&server);
    config.unknowns.clean_close_is_an_error = true;
    let twilio = Twilio::start(config).await.unwrap();
    server.twiml("voice", &server.connect("close", ""));
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!(call.codes(), [31921]);
}

#[tokio::test]
async fn a_stream_that_cannot_be_opened_is_reported_and_the_next_verb_follows() {
    let (server, twilio) = both().await;
    *server.0.refuse_upgrade.lock().unwrap() = true;
    server.twiml("voice", &format!("{}<Say>Sorry.</Say>", server.connect("echo", "")));
    let call = inbound(&twilio, CallerScript::new()).await;
    assert_eq!(call.codes(), [31920]);
    assert_eq!(call.said, ["Sorry."]);
    twilio.until(PATIENCE, |_| (!server.seen("stream").is_empty()).then_some(())).await.unwrap();
    let callback = StreamCallback::from_form(&server.seen("stream")[0].form).unwrap();
    assert_eq!(callback.event, StreamEvent::Error);
    assert!(callback.error.unwrap().starts_with("31920"));

    server.twiml("voice", r#"<Connect><Stream url="ws://127.0.0.1:1/media"/></Connect>"#);
    assert_eq!(inbound(&twilio, CallerScript::new()).await.codes(), [31902]);
    for (url, code) in [("wss://", 31923), ("ws://media.example.com/x", 31922)] {
        server.twiml("voice", &format!(r#"<Connect><Stream url="{url}"/></Connect>"#));
        assert_eq!(inbound(&twilio, CallerScript::new()).await.codes(), [code], "{url}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_so_once_each() {
    let (server, twilio) = both().await;
    server.twiml("voice", &server.connect("wrong", ""));
    let call = inbound(&twilio, CallerScript::new().hangs_up_at(Duration::from_millis(300))).await;
    assert_eq!(call.codes(), [31951, 31950]);
}

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
