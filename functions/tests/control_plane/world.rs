//! What stands around the control plane in these tests.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use call::CallId;
use call::agent::{Agent, AgentBook, EngineKind};
use clients::{Credentials, Twilio};
use embedded::Embedded;
use functions::agents::Agents;
use functions::config::{ApiConfig, FallbackConfig, Lookup, StatusConfig, TellConfig, VoiceConfig};
use functions::counters::Counters;
use functions::door::{ApiTokens, Role};
use functions::place::Boundaries;
use functions::state::{ApiState, Bell, FallbackState, StatusState, VoiceState};
use functions::webhook::Webhook;
use functions::worker::Worker;
use functions::{All, all};
use http::{Method, StatusCode};
use serde_json::Value;
use store::fault::Faults;
use store::{CallRecord, Clock, Config, Moment, Node, StaticCredentials, Store};
use tower::ServiceExt as _;
use wire::twilio::{CallSid, Form, signature};

use crate::services::{FakeNode, FakeTwilio};

pub(crate) const BASE: &str = "https://voice.example.com";
pub(crate) const TOKEN: &str = "twilio-auth-token";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000002";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const WEBHOOK_KEY: &[u8] = b"a key of twenty-four bytes";
pub(crate) const OURS: &str = "+12025550100";
pub(crate) const CALLER: &str = "+12025550123";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) nodes: Vec<FakeNode>,
    pub(crate) twilio: FakeTwilio,
    pub(crate) app: Router,
    pub(crate) worker: Worker,
    pub(crate) api_state: ApiState,
    _embedded: Embedded,
}

/// What may be different from one world to the next.
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) calls_max: usize,
    pub(crate) calls_per_second: u32,
    pub(crate) boundaries: Boundaries,
    pub(crate) per_number: (u32, u32),
    pub(crate) agent: &'static str,
    /// Whether the agents are those of the store, where none is at first.
    pub(crate) stored: bool,
    /// The engines with credentials, where that is known.
    pub(crate) engines: Option<Vec<EngineKind>>,
    pub(crate) part_bytes_max: Option<u64>,
    /// Whom to tell, and whether a private address may be meant.
    pub(crate) webhook: Option<(String, bool)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 1,
            calls_max: 100,
            calls_per_second: 100,
            boundaries: Boundaries::default(),
            per_number: (1_000, 1_000),
            agent: "default = true\nengines = [\"hume\"]\ninstructions = \"Be kind.\"\ngreeting = \"Hello.\"\n",
            stored: false,
            engines: None,
            part_bytes_max: None,
            webhook: None,
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        crate::log::Log::start();
        let embedded = Embedded::in_memory().unwrap();
        let clock = Clock::manual("2026-11-20T10:00:00Z".parse::<Moment>().unwrap());
        let keys = StaticCredentials {
            access_key: embedded.access_key.clone(),
            secret_key: embedded.secret_key.expose().to_owned(),
        };
        let config = Config::new("switchboard", "switchboard").local(&embedded.dynamodb_url, &embedded.s3_url, keys);
        let (faults, webhooks) = (Faults::seeded(0), plan.webhook.is_some());
        let config = Config { clock: clock.clone(), faults: Some(faults.clone()), webhooks, ..config };
        let store = Store::connect(config).await;
        store.create_if_absent().await.unwrap();

        let mut nodes = Vec::new();
        for n in 0..plan.nodes {
            nodes.push(FakeNode::start(&format!("node-{n}"), store.clone()).await);
        }
        let twilio = FakeTwilio::start().await;
        let base = twilio.url.parse().unwrap();
        let client = Twilio::new(base, ACCOUNT.parse().unwrap(), Credentials::AuthToken(TOKEN.into())).unwrap();
        let client = client.with_timeout(Duration::from_millis(400));
        let agent = Agent::parse("front", plan.agent).unwrap();
        let agents =
            if plan.stored { Agents::in_store(store.clone()) } else { Agents::fixed(AgentBook::new([agent]).unwrap()) };
        let counters = Counters::default();

        let tokens = [("ada", Role::Admin), ("olga", Role::Operator), ("vic", Role::Viewer)];
        let tokens = tokens.map(|(name, role)| ApiTokens::entry(name, role, &format!("{name}-token"))).join(",");
        let environment = move |name: &str| {
            Some(match name {
                "PUBLIC_BASE_URL" => BASE.to_owned(),
                "TWILIO_AUTH_TOKEN" => format!("{TOKEN},old-token"),
                "TWILIO_PHONE_NUMBER" => OURS.to_owned(),
                "STREAM_SECRET" => SECRET.to_owned(),
                "API_TOKENS" => tokens.clone(),
                "HUME_WEBHOOK_SIGNING_KEY" => "hume-key".to_owned(),
                _ => return None,
            })
        };
        let mut lookup = Lookup::new(&environment);
        let bell = Bell::default();
        let mut voice = VoiceConfig::read(&mut lookup).unwrap();
        voice.quotas.per_number = plan.per_number;
        let mut status = StatusConfig::read(&mut lookup).unwrap();
        status.quotas.per_number = plan.per_number;
        let fallback = FallbackConfig::read(&mut lookup).unwrap();
        let mut api = ApiConfig::read(&mut lookup).unwrap();
        (api.calls_max, api.calls_per_second) = (plan.calls_max, plan.calls_per_second);
        api.installation.engines = plan.engines;
        api.part_bytes_max = plan.part_bytes_max;
        let api_state =
            ApiState::new(api, store.clone(), agents.clone(), client.clone(), &counters, bell.clone(), plan.boundaries);
        let app = all(All {
            voice: VoiceState::new(voice, store.clone(), agents, &counters, bell.clone()),
            fallback: FallbackState::new(fallback, &counters),
            status: StatusState::new(status, store.clone(), &counters, bell),
            api: api_state.clone(),
        });
        let webhook = plan.webhook.map(|(url, allow_private)| {
            let keys = vec![WEBHOOK_KEY.to_vec().into()];
            Webhook::new(TellConfig { url: url.parse().unwrap(), keys, allow_private }).unwrap()
        });
        let worker = Worker::new(store.clone(), client).telling(webhook);
        let world = Self { store, clock, faults, counters, nodes, twilio, app, worker, api_state, _embedded: embedded };
        world.heartbeat().await;
        world
    }

    pub(crate) async fn heartbeat(&self) {
        for node in &self.nodes {
            let now = self.store.now();
            let node = Node {
                name: node.name.clone(),
                address: node.url.clone(),
                ready: true,
                sessions: 0,
                capacity: 10,
                version: "0".into(),
                started_at: now,
                seen_at: now,
            };
            self.store.heartbeat(&node).await.unwrap();
        }
    }

    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.heartbeat().await;
    }

    /// A webhook of Twilio's, signed.
    pub(crate) async fn twilio(&self, path: &str, form: &Form) -> Answer {
        self.send(signed_post(path, form, TOKEN)).await
    }

    pub(crate) async fn send(&self, request: Request) -> Answer {
        Answer::read(self.app.clone().oneshot(request).await.unwrap()).await
    }

    /// A request of a person's.
    pub(crate) async fn api(&self, user: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(api_request(user, method, path, body)).await
    }

    pub(crate) async fn place(&self, key: &str, body: Value) -> Answer {
        self.send(place_request(key, body)).await
    }

    pub(crate) async fn call_of(&self, sid: u128) -> CallRecord {
        self.store.call_by_sid(CallSid::from_number(sid)).await.unwrap()
    }

    /// All calls there are.
    pub(crate) async fn calls(&self) -> Vec<Value> {
        let answer = self.api("vic", Method::GET, "/v1/calls", None).await;
        answer.json()["calls"].as_array().unwrap().clone()
    }
}

pub(crate) fn api_request(user: &str, method: Method, path: &str, body: Option<Value>) -> Request {
    let builder = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {user}-token"));
    match body {
        Some(body) => builder.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap(),
        None => builder.body(Body::empty()).unwrap(),
    }
}

pub(crate) fn place_request(key: &str, body: Value) -> Request {
    let mut request = api_request("olga", Method::POST, "/v1/calls", Some(body));
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

pub(crate) fn signed_post(path: &str, form: &Form, token: &str) -> Request {
    let value = signature::sign(token, &format!("{BASE}{path}"), form.pairs());
    let builder = Request::builder().method(Method::POST).uri(path).header("x-twilio-signature", value);
    let builder = builder.header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
    builder.body(Body::from(form.encode())).unwrap()
}

/// With more keys.
pub(crate) fn with(mut form: Form, keys: &[(&str, &str)]) -> Form {
    for (name, value) in keys {
        form.push(*name, *value);
    }
    form
}

/// A form as Twilio sends it about a call.
pub(crate) fn about(sid: u128, direction: &str, status: &str) -> Form {
    let (from, to) = if direction == "inbound" { (CALLER, OURS) } else { (OURS, CALLER) };
    let mut form = Form::new();
    form.push("CallSid", CallSid::from_number(sid).as_str());
    for (name, value) in [
        ("AccountSid", ACCOUNT),
        ("From", from),
        ("To", to),
        ("Direction", direction),
        ("CallStatus", status),
        ("FromCity", ""),
    ] {
        form.push(name, value);
    }
    form
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.unwrap().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {:?}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The document, with what differs from run to run replaced.
    pub(crate) fn twiml(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.header("content-type"), "text/xml; charset=utf-8");
        let mut text = self.text();
        for (before, name) in [("call_", "call_ID"), ("name=\"token\" value=\"", "name=\"token\" value=\"TOKEN")] {
            let mut replaced = String::new();
            let mut rest = text.as_str();
            while let Some(at) = rest.find(before) {
                let value = &rest[at + before.len()..];
                let end =
                    value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(value.len());
                replaced += &rest[..at];
                replaced += name;
                rest = &value[end..];
            }
            text = replaced + rest;
        }
        text.replace("><", ">\n<")
    }

    /// The token in the document.
    pub(crate) fn token(&self) -> String {
        let text = self.text();
        let (_, rest) = text.split_once("name=\"token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

/// The id in a call's JSON.
pub(crate) fn id_of(call: &Value) -> CallId {
    call["id"].as_str().unwrap_or_else(|| panic!("{call}")).parse().unwrap()
}
