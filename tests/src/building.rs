//! The parts of a house that are put together once: the control plane with its agents, and the simulated Twilio.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use call::agent::{Agent, AgentBook};
use functions::agents::Agents;
use functions::config::{ApiConfig, FallbackConfig, Lookup, StatusConfig, TwilioConfig as ClientConfig, VoiceConfig};
use functions::counters::Counters;
use functions::door::Quotas;
use functions::place::Boundaries;
use functions::state::{ApiState, Bell, FallbackState, StatusState, VoiceState};
use functions::worker::Worker;
use functions::{All, all};
use sim::twilio::{Twilio, TwilioConfig};
use wire::twilio::sid::AccountSid;
use wire::twilio::twiml::Webhook;

use crate::house::{NUMBER, QUICK_NUMBER, RECORDED_NUMBER};
use crate::people::quick_agent;

pub(crate) const AUTH_TOKEN: &str = "whole-calls-auth-token";
pub(crate) const STREAM_SECRET: &str = "whole-calls-stream-secret";
/// What the API takes for an administrator's token.
pub const API_TOKEN: &str = "whole-calls-api-token";
pub(crate) const ENGINE_KEY: &str = "whole-calls-engine-key";

/// The store of a house, by the addresses at which it answers.
pub(crate) fn store_config(dynamodb_url: &str, s3_url: &str, keys: store::StaticCredentials) -> store::Config {
    store::Config::new("whole-calls", "whole-calls").local(dynamodb_url, s3_url, keys)
}

/// The routers as the program for one machine mounts them, and the worker.
pub(crate) fn control_plane(
    variables: &BTreeMap<String, String>,
    store: &store::Store,
    counters: &Counters,
    bell: &Bell,
    boundaries: Boundaries,
) -> anyhow::Result<(axum::Router, Worker)> {
    let source = |name: &str| variables.get(name).cloned();
    let mut lookup = Lookup::new(&source);
    let (mut voice, mut fallback) = (VoiceConfig::read(&mut lookup)?, FallbackConfig::read(&mut lookup)?);
    let (mut status, mut api) = (StatusConfig::read(&mut lookup)?, ApiConfig::read(&mut lookup)?);
    let client = ClientConfig::read(&mut lookup)?.client()?;
    // All callers here have few numbers and one token; what limits them has tests of its own.
    let generous = Quotas {
        per_token: (100_000, 100_000),
        per_number: (100_000, 100_000),
        per_called: (100_000, 100_000),
        unknown: (10_000, 10_000),
    };
    (voice.quotas, fallback.quotas, status.quotas, api.quotas) = (generous, generous, generous, generous);
    (voice.simulated, api.simulated) = (true, true);
    let agents = Agents::fixed(agents()?);
    let router = all(All {
        voice: VoiceState::new(voice, store.clone(), agents.clone(), counters, bell.clone()),
        fallback: FallbackState::new(fallback, counters),
        status: StatusState::new(status, store.clone(), counters, bell.clone()),
        api: ApiState::new(api, store.clone(), agents, client.clone(), counters, bell.clone(), boundaries),
    });
    Ok((router, Worker::new(store.clone(), client)))
}

/// The agents that come with the project, and some short ones.
fn agents() -> anyhow::Result<AgentBook> {
    let mut agents = Vec::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agents");
    for file in std::fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))? {
        let path = file?.path();
        let (Some(stem), Some("toml")) =
            (path.file_stem().and_then(|stem| stem.to_str()), path.extension().and_then(|end| end.to_str()))
        else {
            continue;
        };
        agents.push(Agent::parse(stem, &std::fs::read_to_string(&path)?)?);
    }
    let both = r#""hume", "openai""#;
    let quote = |number: &str| format!("\"{number}\"");
    agents.push(Agent::parse("quick", &quick_agent(&quote(QUICK_NUMBER), both, ""))?);
    let recorded = "disclosure = \"This call is recorded.\"\nrecording = true";
    agents.push(Agent::parse("recorded", &quick_agent(&quote(RECORDED_NUMBER), both, recorded))?);
    agents.push(Agent::parse("eager", &quick_agent("", both, "prepare = \"ringing\""))?);
    let three = r#""hume", "openai", "cascade""#;
    agents.push(Agent::parse("three", &quick_agent("", three, ""))?);
    AgentBook::new(agents).map_err(|errors| anyhow::anyhow!("{errors:?}"))
}

pub(crate) async fn start_twilio(
    base: &str,
    seed: u64,
    change: impl FnOnce(&mut TwilioConfig),
) -> anyhow::Result<Twilio> {
    let webhook = |path: &str| Some(Webhook::post(format!("{base}{path}")));
    let mut config = TwilioConfig::new(AccountSid::from_number(1), AUTH_TOKEN, seed);
    for number in [NUMBER, QUICK_NUMBER, RECORDED_NUMBER] {
        config = config.with_number(number, webhook("/twilio/voice"));
    }
    for number in &mut config.numbers {
        number.voice_fallback = webhook("/twilio/voice/fallback");
        number.status_callback = webhook("/twilio/status");
    }
    config.call_interval = Duration::ZERO;
    change(&mut config);
    Ok(Twilio::start(config).await?)
}

/// The log goes where the test harness wants it; `RUST_LOG` says how much of it.
pub(crate) fn init_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    // Of several tests in one process the first one sets it up.
    drop(tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init());
}
