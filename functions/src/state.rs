//! What each capability works with. A state is made once, from a configuration and a store, and is cheap to clone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use clients::Twilio;
use futures_util::FutureExt as _;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use store::{Allowance, Every, Store};
use tokio::sync::Notify;
use wire::signed::Secrets;
use wire::twilio::signature::Verifier;

use crate::agents::Agents;
use crate::config::{ApiConfig, FallbackConfig, StatusConfig, VoiceConfig, WebhookConfig};
use crate::counters::Counters;
use crate::door::{Limits, Once, People, Quotas, Webhooks};
use crate::guard::Guard;
use crate::nodes::Nodes;
use crate::place::Boundaries;
use crate::public_url::PublicUrl;
use crate::services::Service;

/// Rung when there is something to do for the worker. On one machine the worker's loop listens; a Lambda starts
/// the worker's before it answers (see [`wake`](crate::wake)).
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Rings. A ring that nobody hears is kept for the next listener; many are kept as one.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    pub(crate) async fn heard(&self) {
        self.0.notified().await;
    }

    /// Whether it was rung since it was last heard.
    pub(crate) fn has_rung(&self) -> bool {
        let heard = std::pin::pin!(self.0.notified());
        heard.now_or_never().is_some()
    }
}

/// What opens calls and says what comes next.
#[derive(Clone, Debug)]
pub struct VoiceState {
    pub(crate) store: Store,
    pub(crate) webhooks: Webhooks,
    pub(crate) agents: Agents,
    pub(crate) nodes: Nodes,
    pub(crate) media: PublicUrl,
    pub(crate) secrets: Secrets,
    pub(crate) call_max: Duration,
    pub(crate) time_zone: TimeZone,
    pub(crate) simulated: bool,
    pub(crate) bell: Bell,
}

impl VoiceState {
    /// `counters` are shared with the other capabilities of the process.
    #[must_use]
    pub fn new(config: VoiceConfig, store: Store, agents: Agents, counters: &Counters, bell: Bell) -> Self {
        Self {
            nodes: Nodes::new(store.clone(), config.stream_secrets.clone()),
            webhooks: webhooks(config.webhooks, config.quotas, counters),
            store,
            agents,
            media: config.media,
            secrets: config.stream_secrets,
            call_max: config.call_max,
            time_zone: config.time_zone,
            simulated: config.simulated,
            bell,
        }
    }
}

/// What answers when everything else does not.
#[derive(Clone, Debug)]
pub struct FallbackState {
    pub(crate) webhooks: Webhooks,
}

impl FallbackState {
    /// No store, no node: the signature's tokens and our own address are all it has.
    #[must_use]
    pub fn new(config: FallbackConfig, counters: &Counters) -> Self {
        Self { webhooks: webhooks(config.webhooks, config.quotas, counters) }
    }
}

/// What takes callbacks in.
#[derive(Clone, Debug)]
pub struct StatusState {
    pub(crate) store: Store,
    pub(crate) webhooks: Webhooks,
    pub(crate) nodes: Nodes,
    pub(crate) call_max: Duration,
    pub(crate) hume_key: Option<SecretString>,
    pub(crate) bell: Bell,
}

impl StatusState {
    /// `bell` is rung when a call has ended.
    #[must_use]
    pub fn new(config: StatusConfig, store: Store, counters: &Counters, bell: Bell) -> Self {
        Self {
            nodes: Nodes::new(store.clone(), config.stream_secrets),
            webhooks: webhooks(config.webhooks, config.quotas, counters),
            store,
            call_max: config.call_max,
            hume_key: config.hume_key,
            bell,
        }
    }
}

fn webhooks(config: WebhookConfig, quotas: Quotas, counters: &Counters) -> Webhooks {
    let verifier = Verifier::new(&config.tokens());
    Webhooks {
        public: config.public,
        verifier,
        limits: Limits::new(quotas, counters.clone()),
        counters: counters.clone(),
    }
}

/// The API. What is in it is reached through [`door::Api`](crate::door::Api) only.
#[derive(Clone, Debug)]
pub struct ApiState(Arc<ApiInner>);

/// What the API works with.
#[derive(Debug)]
pub struct ApiInner {
    pub(crate) store: Store,
    pub(crate) people: People,
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    /// The pages whose cookies count: our public address, and on one machine the local one.
    pub(crate) origins: Vec<String>,
    pub(crate) public: PublicUrl,
    pub(crate) media: PublicUrl,
    pub(crate) agents: Agents,
    pub(crate) nodes: Nodes,
    pub(crate) secrets: Secrets,
    pub(crate) twilio: Twilio,
    pub(crate) our_number: String,
    pub(crate) guard: Guard,
    pub(crate) allowance: Allowance,
    pub(crate) call_max: Duration,
    pub(crate) time_zone: TimeZone,
    pub(crate) simulated: bool,
    pub(crate) part_bytes_max: Option<u64>,
    pub(crate) services: Vec<Service>,
    pub(crate) dashboard_dir: Option<PathBuf>,
    /// The link that signs one browser in.
    pub(crate) once: Once,
    pub(crate) bell: Bell,
    pub(crate) boundaries: Boundaries,
}

impl ApiState {
    /// `boundaries` is empty but in tests.
    #[must_use]
    pub fn new(
        config: ApiConfig,
        store: Store,
        agents: Agents,
        twilio: Twilio,
        counters: &Counters,
        bell: Bell,
        boundaries: Boundaries,
    ) -> Self {
        agents.place(config.installation);
        let mut origins = vec![config.public.origin().to_owned()];
        origins.extend(config.local_origins);
        let (burst, per_hour) = config.quotas.per_called;
        let allowance = Allowance {
            calls_max: u32::try_from(config.calls_max).unwrap_or(u32::MAX),
            // Twilio takes one a second of a new account, and queues the others where nobody sees them.
            pace: Some(Every::of(config.calls_per_second, config.calls_per_second, Duration::from_secs(1))),
            // The simulated network may be called as often as one likes.
            per_number: (!config.simulated).then(|| Every::of(per_hour, burst, Duration::from_secs(3_600))),
        };
        Self(Arc::new(ApiInner {
            nodes: Nodes::new(store.clone(), config.stream_secrets.clone()),
            people: People::new(config.api_tokens, config.session_keys),
            limits: Limits::new(config.quotas, counters.clone()),
            counters: counters.clone(),
            origins,
            public: config.public,
            media: config.media,
            agents,
            secrets: config.stream_secrets,
            twilio,
            our_number: config.our_number,
            guard: config.guard,
            allowance,
            call_max: config.call_max,
            time_zone: config.time_zone,
            simulated: config.simulated,
            part_bytes_max: config.part_bytes_max,
            services: config.services,
            dashboard_dir: config.dashboard_dir,
            once: Once::default(),
            store,
            bell,
            boundaries,
        }))
    }

    pub(crate) fn inner(&self) -> &ApiInner {
        &self.0
    }

    /// A key that signs one browser in, once, within the hour, for the owner of this token: behind the `#` of the
    /// dashboard's address it is never sent to anybody but by the page itself. None for a token that is nobody's.
    ///
    /// # Errors
    ///
    /// This machine has no randomness.
    pub fn sign_in_key(&self, token: &str) -> Result<Option<String>, getrandom::Error> {
        let person = self.0.people.by_token(token);
        person.map(|person| self.0.once.give(person, self.0.store.now())).transpose()
    }
}

impl FromRef<VoiceState> for Webhooks {
    fn from_ref(state: &VoiceState) -> Self {
        state.webhooks.clone()
    }
}

impl FromRef<FallbackState> for Webhooks {
    fn from_ref(state: &FallbackState) -> Self {
        state.webhooks.clone()
    }
}

impl FromRef<StatusState> for Webhooks {
    fn from_ref(state: &StatusState) -> Self {
        state.webhooks.clone()
    }
}
