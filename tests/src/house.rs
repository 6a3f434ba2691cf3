//! One installation, with its vendors simulated.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use embedded::Embedded;
use functions::counters::Counters;
use functions::door::{ApiTokens, Role};
use functions::place::Boundaries;
use functions::state::Bell;
use functions::worker::Worker;
use serde_json::Value;
use sim::evi::EviConfig;
use sim::openai::OpenAiConfig;
use sim::phone::CallerScript;
use sim::twilio::{CallRecord, Twilio, TwilioConfig};
use sim::{evi, openai};
use store::fault::Faults as StoreFaults;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use wire::signed::Secrets;
use wire::twilio::sid::CallSid;

use crate::api::{Answer, Api};
use crate::balancer::Balancer;
use crate::building::{
    API_TOKEN, AUTH_TOKEN, ENGINE_KEY, STREAM_SECRET, control_plane, init_log, start_twilio, store_config,
};
use crate::cascade::{Cascade, CascadeOptions};
use crate::media::{Directory, RunningNode};

/// Our own number, answered by the receptionist that comes with the project.
pub const NUMBER: &str = "+12025550100";

/// Answered by the agent `quick`: no disclosure, no recording, one sentence of greeting.
pub const QUICK_NUMBER: &str = "+12025550101";

/// Answered by the agent `recorded`: the same with a short disclosure, and recorded.
pub const RECORDED_NUMBER: &str = "+12025550102";

/// What a house is built with.
pub struct Options {
    /// Media nodes: `node-a`, `node-b`, …
    pub nodes: usize,
    /// EVI, and what goes wrong with it; none to leave it out.
    pub evi: Option<(EviConfig, evi::fault::Faults)>,
    /// OpenAI Realtime, likewise.
    pub openai: Option<(OpenAiConfig, openai::fault::Faults)>,
    /// The cascade's three vendors, likewise.
    pub cascade: Option<CascadeOptions>,
    /// Changes the simulated Twilio before it starts.
    pub twilio: Box<dyn FnOnce(&mut TwilioConfig) + Send>,
    /// How long a draining node lets its calls go on.
    pub drain_within: Duration,
    /// Decides about the store's faults and the vendors' chances.
    pub seed: u64,
}

impl Default for Options {
    /// One node, EVI and `OpenAI`, nothing goes wrong.
    fn default() -> Self {
        Self {
            nodes: 1,
            evi: Some((EviConfig::default(), evi::fault::Faults::none())),
            openai: Some((OpenAiConfig::default(), openai::fault::Faults::none())),
            cascade: None,
            twilio: Box::new(|_| {}),
            drain_within: Duration::from_secs(20),
            seed: 7,
        }
    }
}

/// A running installation. Dropped, all of it is gone.
pub struct House {
    /// The simulated Twilio.
    pub twilio: Twilio,
    /// What goes wrong at the store; a quiet day until a rate is set.
    pub faults: StoreFaults,
    /// What was turned away at the control plane's doors.
    pub counters: Counters,
    /// Where the control plane listens.
    pub base: String,
    evi: Option<evi::server::Handle>,
    openai: Option<openai::server::Handle>,
    cascade: Option<Cascade>,
    pub(crate) api: Api,
    nodes: BTreeMap<String, RunningNode>,
    balancer: Balancer,
    variables: BTreeMap<String, String>,
    store: store::Config,
    worker: Worker,
    tasks: Vec<AbortHandle>,
    directories: Vec<Directory>,
    _embedded: Embedded,
}

impl House {
    /// Builds a house.
    ///
    /// # Errors
    /// This machine lacks ports, threads or disk, or a part does not accept its configuration.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        init_log();
        let embedded = Embedded::in_memory()?;
        let faults = StoreFaults::seeded(options.seed);
        let keys = store::StaticCredentials {
            access_key: embedded.access_key.clone(),
            secret_key: embedded.secret_key.expose().to_owned(),
        };
        let local = store_config(&embedded.dynamodb_url, &embedded.s3_url, keys);
        let store_config = store::Config { faults: Some(faults.clone()), ..local };
        let store = store::Store::connect(store_config.clone()).await;
        store.create_if_absent().await?;

        let evi = match options.evi {
            Some((config, faults)) => Some(evi::server::start(config, faults, options.seed).await?),
            None => None,
        };
        let openai = match options.openai {
            Some((config, faults)) => Some(openai::server::start(config, faults, options.seed).await?),
            None => None,
        };
        let cascade = match options.cascade {
            Some(cascade) => Some(cascade.start(options.seed).await?),
            None => None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let balancer = Balancer::start().await?;
        let twilio = start_twilio(&base, options.seed, options.twilio).await?;

        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
        set("PUBLIC_BASE_URL", &base);
        set("MEDIA_STREAM_URL", &format!("ws://{}/media-stream", balancer.address));
        set("TWILIO_ACCOUNT_SID", twilio.config().account_sid.as_str());
        set("TWILIO_AUTH_TOKEN", AUTH_TOKEN);
        set("TWILIO_PHONE_NUMBER", NUMBER);
        set("TWILIO_BASE_URL", &twilio.base_url().context("the simulated Twilio listens")?);
        set("STREAM_SECRET", STREAM_SECRET);
        set("API_TOKENS", &ApiTokens::entry("tests", Role::Admin, API_TOKEN));
        set("MAX_CALLS", "1000");
        set("CALLS_PER_SECOND", "100");
        set("DRAIN_SECONDS", &options.drain_within.as_secs().to_string());
        if let Some(evi) = &evi {
            set("HUME_API_KEY", ENGINE_KEY);
            set("HUME_BASE_URL", &evi.url);
        }
        if let Some(openai) = &openai {
            set("OPENAI_API_KEY", ENGINE_KEY);
            set("OPENAI_BASE_URL", &openai.url);
        }
        for (vendor, url) in cascade.iter().flat_map(Cascade::urls) {
            set(&format!("{vendor}_API_KEY"), ENGINE_KEY);
            set(&format!("{vendor}_BASE_URL"), url);
        }

        let (counters, bell) = (Counters::default(), Bell::default());
        let (router, worker) = control_plane(&variables, &store, &counters, &bell, Boundaries::default())?;
        let served = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the control plane stopped serving");
            }
        });
        let working = tokio::spawn(worker.clone().run(bell));
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
        let mut house = Self {
            twilio,
            faults,
            counters,
            api: Api { base: base.clone(), token: API_TOKEN.to_owned(), http },
            base,
            evi,
            openai,
            cascade,
            nodes: BTreeMap::new(),
            balancer,
            variables,
            store: store_config,
            worker,
            tasks: vec![served.abort_handle(), working.abort_handle()],
            directories: Vec::new(),
            _embedded: embedded,
        };
        for letter in ('a'..='z').take(options.nodes) {
            house.add_node(&format!("node-{letter}")).await?;
        }
        Ok(house)
    }

    /// One more node.
    ///
    /// # Errors
    /// It cannot start.
    pub async fn add_node(&mut self, name: &str) -> anyhow::Result<()> {
        let directory = Directory::new()?;
        let mut variables = self.variables.clone();
        variables.insert("NODE_NAME".to_owned(), name.to_owned());
        variables.insert("DATA_DIR".to_owned(), directory.0.display().to_string());
        let node = RunningNode::start(&variables, self.store.clone()).await?;
        self.balancer.route(name, node.address);
        self.nodes.insert(name.to_owned(), node);
        self.directories.push(directory);
        Ok(())
    }

    /// The node dies, with all its sockets.
    pub fn kill_node(&mut self, name: &str) {
        if let Some(mut node) = self.nodes.remove(name) {
            node.kill();
        }
    }

    /// The node goes down in order; returns when it is down.
    pub async fn drain_node(&self, name: &str) {
        if let Some(node) = self.nodes.get(name) {
            node.drain().await;
        }
    }

    /// Calls on all nodes, prepared ones included.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.nodes.values().map(RunningNode::sessions).sum()
    }

    /// Where a node listens, past the balancer: `127.0.0.1:…`.
    ///
    /// # Panics
    /// There is no such node.
    #[must_use]
    pub fn node_address(&self, name: &str) -> String {
        self.nodes.get(name).unwrap_or_else(|| panic!("there is no {name}")).address.to_string()
    }

    /// One of a node's figures, as Prometheus would read it.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn figure(&self, node: &str, line_start: &str) -> anyhow::Result<f64> {
        let page =
            self.api.http.get(format!("http://{}/metrics", self.node_address(node))).send().await?.text().await?;
        let line = page.lines().find(|line| line.starts_with(line_start));
        let line = line.with_context(|| format!("{line_start} is not on the page:\n{page}"))?;
        line.rsplit(' ').next().context("a figure has a value")?.parse().context("a figure is a number")
    }

    /// Whether the balancer brings every stream to the wrong node.
    pub fn confuse_balancer(&self, confused: bool) {
        self.balancer.confuse(confused);
    }

    /// The simulated EVI.
    ///
    /// # Panics
    /// The house was built without.
    #[must_use]
    pub fn evi(&self) -> &evi::server::Handle {
        self.evi.as_ref().expect("the house has an EVI")
    }

    /// The simulated `OpenAI` Realtime.
    ///
    /// # Panics
    /// The house was built without.
    #[must_use]
    pub fn openai(&self) -> &openai::server::Handle {
        self.openai.as_ref().expect("the house has an OpenAI")
    }

    /// The simulated vendors of the cascade.
    ///
    /// # Panics
    /// The house was built without.
    #[must_use]
    pub fn cascade(&self) -> &Cascade {
        self.cascade.as_ref().expect("the house has a cascade")
    }

    /// The secrets that sign streams' tokens.
    ///
    /// # Panics
    /// Never: the secret is long enough.
    #[must_use]
    pub fn stream_secrets(&self) -> Secrets {
        Secrets::parse(STREAM_SECRET).expect("the secret is long enough")
    }

    /// What Twilio signs with.
    #[must_use]
    pub fn auth_token(&self) -> &'static str {
        AUTH_TOKEN
    }

    /// The media address, without a node's name.
    #[must_use]
    pub fn media_url(&self) -> String {
        format!("ws://{}/media-stream", self.balancer.address)
    }

    /// The worker, for a test that does not wait for its clock.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// What the parts of the house are configured with.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// How the house's store is reached.
    pub(crate) fn store_config(&self) -> &store::Config {
        &self.store
    }

    /// No call is left on any node, and no chat is open at an engine: waits for it.
    ///
    /// # Errors
    /// Some are left after `within`.
    pub async fn is_quiet(&self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let open = self.evi.iter().flat_map(|evi| evi.records()).filter(|(_, chat)| chat.ended.is_none()).count();
            let sessions = self.sessions();
            if (sessions, open) == (0, 0) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{sessions} calls are left on the nodes, {open} chats are open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A store of the house's own, for what the API does not show.
    pub async fn open_store(&self) -> store::Store {
        store::Store::connect(store::Config { faults: None, ..self.store.clone() }).await
    }

    /// Somebody calls one of our numbers.
    ///
    /// # Panics
    /// It is not one of ours.
    #[must_use]
    pub fn call_in(&self, to: &str, script: CallerScript) -> CallSid {
        self.twilio.place_inbound("+12025550188", to, script).expect("the number is one of ours")
    }

    /// `POST /v1/calls`.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn place(&self, key: &str, body: &Value) -> anyhow::Result<Answer> {
        self.api.post("/v1/calls", &[("idempotency-key", key)], body).await
    }

    /// `GET` of anything.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.api.get(path, headers).await
    }

    /// `POST` of anything.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.api.post(path, &[], body).await
    }

    /// The call's end, as the telephone network sees it.
    ///
    /// # Errors
    /// It does not come in time.
    pub async fn ended(&self, sid: CallSid, within: Duration) -> anyhow::Result<CallRecord> {
        let record = self.twilio.finished(sid, within).await;
        record.with_context(|| format!("the call {sid} does not end within {within:?}: {:#?}", self.twilio.call(sid)))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
