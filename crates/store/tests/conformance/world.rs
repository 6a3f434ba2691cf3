//! A store to test, and calls to put into it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use call::CallId;
use call::agent::{AgentLimits, EngineKind, HumeSettings, OpenAiSettings, PrepareAt, Script, Tool, TurnTaking};
use store::fault::Faults;
use store::{CallRecord, CallScript, Clock, Config, Moment, NewCall, Status, Store, StoreError};
use wire::twilio::CallSid;

use crate::emulator::{self, Kept};

/// 2026-11-21T12:00:00Z.
pub(crate) const NOON: Moment = Moment::from_ms(1_795_262_400_000);

/// A store with nothing in it, its clock at noon.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    name: String,
    raw: (aws_sdk_dynamodb::Client, aws_sdk_s3::Client),
    _kept: Kept,
}

static NUMBER: AtomicU64 = AtomicU64::new(1);

fn number() -> u64 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::seeded(0).await
    }

    pub(crate) async fn seeded(seed: u64) -> Self {
        let name = format!("test-{}-{}", std::process::id(), number());
        let (config, kept) = emulator::open(&name);
        let raw = raw(&config);
        let (clock, faults) = (Clock::manual(NOON), Faults::seeded(seed));
        let config = Config { clock: clock.clone(), faults: Some(faults.clone()), webhooks: true, ..config };
        let store = Store::connect(config).await;
        store.create_if_absent().await.unwrap();
        Self { store, clock, faults, name, raw, _kept: kept }
    }

    /// Everything in table and bucket, as a text to search in.
    pub(crate) async fn dump(&self) -> String {
        let mut dump = String::new();
        let items = self.raw.0.scan().table_name(&self.name).send().await.unwrap();
        assert!(items.last_evaluated_key().is_none(), "small enough to be read at once");
        for item in items.items() {
            writeln!(dump, "{item:?}").unwrap();
        }
        for object in self.raw.1.list_objects_v2().bucket(&self.name).send().await.unwrap().contents() {
            let key = object.key().unwrap();
            let body = self.raw.1.get_object().bucket(&self.name).key(key).send().await.unwrap().body;
            let body = body.collect().await.unwrap().into_bytes();
            writeln!(dump, "{key} {}", String::from_utf8_lossy(&body)).unwrap();
        }
        dump
    }

    /// The ids of all work that there is, due or not, claimed or dead.
    pub(crate) async fn work(&self) -> Vec<String> {
        let work = aws_sdk_dynamodb::types::AttributeValue::S("WORK#".to_owned());
        let scan = self.raw.0.scan().table_name(&self.name).filter_expression("begins_with(pk, :work)");
        let scan = scan.expression_attribute_values(":work", work).projection_expression("id");
        let items = scan.into_paginator().items().send().try_collect().await.unwrap();
        items.iter().map(|item| item["id"].as_s().unwrap().clone()).collect()
    }

    /// Writes an item as another version of the program might.
    pub(crate) async fn put_raw(&self, fields: &[(&str, &str)]) {
        let mut request = self.raw.0.put_item().table_name(&self.name);
        for (name, value) in fields {
            request = request.item(*name, aws_sdk_dynamodb::types::AttributeValue::S((*value).to_owned()));
        }
        request.send().await.unwrap();
    }

    /// An inbound call, and its Twilio id.
    pub(crate) async fn inbound(&self) -> (CallRecord, CallSid) {
        let (new, sid) = (self.new_call(), sid());
        (self.store.open_inbound(&new, sid).await.unwrap().call, sid)
    }

    /// An outbound call that nobody dials yet.
    pub(crate) async fn outbound(&self) -> CallRecord {
        match self.store.open_outbound(&self.new_call(), None).await.unwrap() {
            store::Placed::New(call) => call,
            other @ (store::Placed::Same(_) | store::Placed::DifferentBody) => panic!("{other:?}"),
        }
    }

    pub(crate) fn new_call(&self) -> NewCall {
        self.new_call_at(self.clock.now())
    }

    pub(crate) fn new_call_at(&self, at: Moment) -> NewCall {
        NewCall {
            id: CallId::new(at.as_ms(), u128::from(number())),
            from: "+12025550123".into(),
            to: "+12025550100".into(),
            node: Some("node-a".into()),
            ends_by: at.after(Duration::from_secs(1_800)),
            simulated: true,
            script: script(),
        }
    }
}

/// Clients that go around the store.
fn raw(config: &Config) -> (aws_sdk_dynamodb::Client, aws_sdk_s3::Client) {
    let keys = config.credentials.clone().unwrap();
    let keys = aws_sdk_dynamodb::config::Credentials::new(keys.access_key, keys.secret_key, None, None, "test");
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .endpoint_url(config.dynamodb_url.clone().unwrap())
        .credentials_provider(keys.clone());
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .endpoint_url(config.s3_url.clone().unwrap())
        .force_path_style(true)
        .credentials_provider(keys);
    (aws_sdk_dynamodb::Client::from_conf(dynamodb.build()), aws_sdk_s3::Client::from_conf(s3.build()))
}

/// Does as our programs do with an error that passes: asks again.
pub(crate) async fn insist<T, F: Future<Output = Result<T, StoreError>>>(mut ask: impl FnMut() -> F) -> T {
    for _ in 0..200 {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    panic!("200 tries, and the day is still bad");
}

pub(crate) fn sid() -> CallSid {
    CallSid::from_number(u128::from(number()))
}

pub(crate) fn at(seconds: u64) -> Moment {
    NOON.after(Duration::from_secs(seconds))
}

pub(crate) fn fact(status: Status, seconds: u64) -> store::StatusFact {
    store::StatusFact { status, at: at(seconds), source: store::Source::Callback, duration_s: None, sip_code: None }
}

fn script() -> CallScript {
    let tool = Tool {
        name: "hang_up".into(),
        description: String::new(),
        parameters: None,
        url: None,
        destinations: BTreeMap::new(),
        timeout_ms: 5_000,
    };
    let script = Script {
        agent: "receptionist".into(),
        agent_version: 3,
        language: "en-US".into(),
        languages: Vec::new(),
        instructions: "Book appointments.".into(),
        greeting: "Hello!".into(),
        disclosure: "I am an AI, and this call is recorded.".into(),
        recording: true,
        prepare: PrepareAt::Ringing,
        lead: Duration::from_millis(200),
        engines: vec![EngineKind::Hume, EngineKind::OpenAi],
        hume: HumeSettings::default(),
        openai: OpenAiSettings { speed: Some(1.1), ..OpenAiSettings::default() },
        cascade: Default::default(),
        turn_taking: TurnTaking::default(),
        tools: vec![tool],
        limits: AgentLimits::default(),
        outcome: call::outcome::OutcomeSettings::default(),
    };
    CallScript { script, engines: vec![EngineKind::OpenAi] }
}

/// An agent's configuration.
pub(crate) fn agent(name: &str) -> call::agent::Agent {
    let json = serde_json::json!({ "name": name, "engines": ["hume"], "instructions": "Be kind." });
    let mut agent: call::agent::Agent = serde_json::from_value(json).unwrap();
    agent.variables = BTreeMap::from([("city".to_owned(), "Geneva".to_owned())]);
    agent
}
