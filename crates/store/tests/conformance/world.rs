//! A store to test, and calls to put into it.

use std::collections::BTreeMap;
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
        let (clock, faults) = (Clock::manual(NOON), Faults::seeded(seed));
        let config = Config { clock: clock.clone(), faults: Some(faults.clone()), ..config };
        let store = Store::connect(config).await;
        store.create_if_absent().await.unwrap();
        Self { store, clock, faults, _kept: kept }
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
