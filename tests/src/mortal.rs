//! Control planes in processes of their own, which die at a given moment.
//!
//! They stand for a Lambda that is killed: its memory and its sockets are gone, the store it wrote to lives on.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use functions::counters::Counters;
use functions::place::Boundaries;
use functions::state::Bell;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::api::{Answer, Api};
use crate::building;
use crate::house::House;

const DYNAMODB_URL: &str = "STORE_DYNAMODB_URL";
const S3_URL: &str = "STORE_S3_URL";
const ACCESS_KEY: &str = "STORE_ACCESS_KEY";
const SECRET_KEY: &str = "STORE_SECRET_KEY";

/// How long a process may take to start, or to die.
const PATIENCE: Duration = Duration::from_secs(60);

/// The routers of a control plane, for the process that runs one.
///
/// # Errors
/// The variables are not those of a [`House`].
pub async fn control_plane(
    variables: BTreeMap<String, String>,
    boundaries: Boundaries,
) -> anyhow::Result<axum::Router> {
    let value = |name: &str| variables.get(name).cloned().with_context(|| format!("{name} is not set"));
    let keys = store::StaticCredentials { access_key: value(ACCESS_KEY)?, secret_key: value(SECRET_KEY)? };
    let config = building::store_config(&value(DYNAMODB_URL)?, &value(S3_URL)?, keys);
    let store = store::Store::connect(config).await;
    let (router, _worker) =
        building::control_plane(&variables, &store, &Counters::default(), &Bell::default(), boundaries)?;
    Ok(router)
}

/// A running one. Dropped, it is killed.
pub struct MortalControlPlane {
    child: Child,
    api: Api,
}

impl MortalControlPlane {
    /// Starts `program` over a house's store, to die at the boundary of this name.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(house: &House, program: &Path, dies_at: &str) -> anyhow::Result<Self> {
        let store = house.store_config();
        let keys = store.credentials.as_ref().context("a house has keys for its store")?;
        let mut child = Command::new(program)
            .env_clear()
            .envs(house.variables())
            .env(DYNAMODB_URL, store.dynamodb_url.as_deref().context("a house has a store")?)
            .env(S3_URL, store.s3_url.as_deref().context("a house has a store")?)
            .env(ACCESS_KEY, &keys.access_key)
            .env(SECRET_KEY, &keys.secret_key)
            .env("DIES_AT", dies_at)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let out = child.stdout.take().context("its output is piped")?;
        let mut lines = BufReader::new(out).lines();
        let line =
            tokio::time::timeout(PATIENCE, lines.next_line()).await.context("it does not say where it listens")??;
        let base = line.context("it ended before it listened")?;
        Ok(Self { child, api: Api { base, ..house.api.clone() } })
    }

    /// `POST /v1/calls`, there.
    ///
    /// # Errors
    /// It died before it answered.
    pub async fn place(&self, key: &str, body: &Value) -> anyhow::Result<Answer> {
        self.api.post("/v1/calls", &[("idempotency-key", key)], body).await
    }

    /// How it ended.
    ///
    /// # Errors
    /// It lives on.
    pub async fn died(mut self) -> anyhow::Result<ExitStatus> {
        Ok(tokio::time::timeout(PATIENCE, self.child.wait()).await.context("it lives on")??)
    }
}
