//! Callbacks in any order, on bad days: the record is the one that they make in the order in which things happened.
//!
//! Each call's facts are by seed ([`Story`]); they arrive shuffled and doubled, and one request in ten meets a fault. The
//! record is compared with the one that is derived from the facts without a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use call::CallId;
use call::agent::{
    AgentLimits, CascadeSettings, EngineKind, HumeSettings, OpenAiSettings, PrepareAt, Script, TurnTaking,
};
use call::outcome::OutcomeSettings;
use embedded::Embedded;
use store::fault::Faults;
use store::shuffle::Story;
use store::{CallRecord, CallScript, Config, NewCall, StaticCredentials, Store, StoreError};
use wire::twilio::CallSid;

/// So many calls are reported at a time: the emulator is the bottleneck.
const AT_ONCE: u64 = 32;

/// The share of requests that meet a fault.
const FAULTS: f64 = 0.1;

/// A request is asked again so often. Of a hundred faults in a row one would have heard.
const TRIES_MAX: u32 = 100;

/// After so many calls the emulator, which keeps all of them in memory, is replaced.
const PER_STORE: u64 = 20_000;

/// Runs so many calls, and fails if one record is not as it should be.
pub(crate) fn run(count: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut bad, mut met, began) = (0, 0, Instant::now());
    let mut first = 0;
    while first < count {
        let end = count.min(first + PER_STORE);
        let (wrong, faults) = runtime.block_on(batch(first, end))?;
        (bad, met, first) = (bad + wrong, met + faults, end);
        println!("{end} calls after {:.1} s, {met} faults, {bad} wrong records", began.elapsed().as_secs_f64());
    }
    if bad > 0 { bail!("{bad} of {count} records are wrong") } else { Ok(()) }
}

/// Runs the calls of these seeds; how many records are wrong, and how many faults were met.
async fn batch(first: u64, end: u64) -> anyhow::Result<(u64, u64)> {
    let embedded = Embedded::in_memory().context("failed to start the emulated store")?;
    let faults = Faults::seeded(first);
    let secret_key = embedded.secret_key.expose().to_owned();
    let keys = StaticCredentials { access_key: embedded.access_key.clone(), secret_key };
    let config = Config::new("callbacks", "callbacks").local(&embedded.dynamodb_url, &embedded.s3_url, keys);
    let store = Store::connect(Config { faults: Some(faults.clone()), ..config }).await;
    store.create_if_absent().await?;
    faults.set_rate(FAULTS);

    let (next, bad) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE.min(end - first) {
        let (store, next, bad) = (store.clone(), Arc::clone(&next), Arc::clone(&bad));
        tasks.spawn(async move {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return anyhow::Ok(());
                }
                if let Some(mistake) = report(&store, seed).await? {
                    bad.fetch_add(1, Ordering::Relaxed);
                    println!("seed {seed}: {mistake}");
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok((bad.load(Ordering::Relaxed), faults.counts().values().sum()))
}

/// Reports one call; what is wrong with its record.
async fn report(store: &Store, seed: u64) -> anyhow::Result<Option<String>> {
    let story = Story::by_seed(seed);
    let expected = story.record(&story.facts);
    let id = CallId::new(expected.created_at.as_ms(), u128::from(seed));
    let new = NewCall {
        id,
        from: expected.from.clone(),
        to: expected.to.clone(),
        node: None,
        ends_by: expected.created_at.after(Duration::from_secs(1_800)),
        simulated: true,
        script: script(),
    };
    let sid = CallSid::from_number(u128::from(seed));
    insist(|| store.open_inbound(&new, sid)).await?;
    for fact in story.shuffled(&mut fastrand::Rng::with_seed(seed)) {
        insist(|| store.record_status(id, fact)).await?;
    }
    let got = insist(|| store.call(id)).await?;
    Ok((shown(&got) != shown(&expected)).then(|| format!("{} where {} was expected", shown(&got), shown(&expected))))
}

/// Does as our programs do with an error that passes: asks again.
async fn insist<T, F: Future<Output = Result<T, StoreError>>>(ask: impl Fn() -> F) -> anyhow::Result<T> {
    for _ in 0..TRIES_MAX {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the store did not answer in {TRIES_MAX} tries")
}

fn shown(call: &CallRecord) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        call.status,
        call.answered_at,
        call.ended_at,
        call.duration_s,
        call.ended_by,
        call.end_reason,
        call.marks.sip_code
    )
}

fn script() -> CallScript {
    let script = Script {
        agent: "receptionist".into(),
        agent_version: 1,
        language: "en-US".into(),
        languages: Vec::new(),
        instructions: "Be kind.".into(),
        greeting: "Hello!".into(),
        disclosure: String::new(),
        recording: false,
        prepare: PrepareAt::Answered,
        lead: Duration::from_millis(200),
        engines: vec![EngineKind::Hume],
        hume: HumeSettings::default(),
        openai: OpenAiSettings::default(),
        cascade: CascadeSettings::default(),
        turn_taking: TurnTaking::default(),
        tools: Vec::new(),
        limits: AgentLimits::default(),
        outcome: OutcomeSettings::default(),
    };
    CallScript { script, engines: vec![EngineKind::Hume] }
}
