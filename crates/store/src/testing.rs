//! A store to test from within, where what integration tests cannot see can be asked.

use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use call::CallId;
use call::agent::{AgentLimits, CascadeSettings, HumeSettings, OpenAiSettings, PrepareAt, Script, TurnTaking};
use call::outcome::OutcomeSettings;
use embedded::Embedded;

use crate::clock::{Clock, Moment};
use crate::config::{Config, StaticCredentials};
use crate::error::StoreError;
use crate::fault::Faults;
use crate::item::Item;
use crate::open::{CallScript, NewCall};
use crate::store::Store;

/// A store with nothing in it, and what to turn at it.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    embedded: Embedded,
}

impl World {
    /// Another store on the same table, as after a change of its settings.
    pub(crate) async fn again(&self, retention: Duration) -> Store {
        let embedded = &self.embedded;
        let secret_key = embedded.secret_key.expose().to_owned();
        let keys = StaticCredentials { access_key: embedded.access_key.clone(), secret_key };
        let config = Config::new("counters", "counters").local(&embedded.dynamodb_url, &embedded.s3_url, keys);
        Store::connect(Config { clock: self.clock.clone(), retention, ..config }).await
    }

    pub(crate) async fn new(seed: u64, now: Moment, retention: Duration) -> Self {
        let embedded = Embedded::in_memory().unwrap();
        let secret_key = embedded.secret_key.expose().to_owned();
        let keys = StaticCredentials { access_key: embedded.access_key.clone(), secret_key };
        let config = Config::new("counters", "counters").local(&embedded.dynamodb_url, &embedded.s3_url, keys);
        let (clock, faults) = (Clock::manual(now), Faults::seeded(seed));
        let time_zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        let faults_too = Some(faults.clone());
        let config = Config { clock: clock.clone(), faults: faults_too, time_zone, retention, ..config };
        let store = Store::connect(config).await;
        store.create_if_absent().await.unwrap();
        Self { store, clock, faults, embedded }
    }

    /// Writes items, many at once.
    pub(crate) async fn load(&self, items: Vec<Item>) {
        for batch in items.chunks(25) {
            let put = |item: &Item| PutRequest::builder().set_item(Some(item.0.clone())).build().unwrap();
            let writes = batch.iter().map(|item| WriteRequest::builder().put_request(put(item)).build()).collect();
            let request = self.store.dynamodb.batch_write_item().request_items(&self.store.table, writes);
            assert!(request.send().await.unwrap().unprocessed_items.unwrap_or_default().is_empty());
        }
    }

    /// An outbound call, opened at a time.
    pub(crate) async fn open(&self, at: Moment, n: u128, agent: &str, to: &str) -> CallId {
        let script = Script {
            agent: agent.into(),
            agent_version: 1,
            language: "en".into(),
            languages: Vec::new(),
            instructions: String::new(),
            greeting: String::new(),
            disclosure: String::new(),
            recording: false,
            prepare: PrepareAt::Ringing,
            lead: Duration::from_millis(200),
            engines: Vec::new(),
            hume: HumeSettings::default(),
            openai: OpenAiSettings::default(),
            cascade: CascadeSettings::default(),
            turn_taking: TurnTaking::default(),
            tools: Vec::new(),
            limits: AgentLimits::default(),
            outcome: OutcomeSettings::default(),
        };
        let new = NewCall {
            id: CallId::new(at.as_ms(), n),
            from: "+12025550100".into(),
            to: to.into(),
            node: None,
            ends_by: at.after(Duration::from_secs(3_600)),
            simulated: true,
            script: CallScript { script, engines: Vec::new() },
        };
        insist(|| self.store.open_outbound(&new, None)).await;
        new.id
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
