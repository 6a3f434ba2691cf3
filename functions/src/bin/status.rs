//! The Lambda that takes callbacks.

use std::process::ExitCode;

use functions::config::StatusConfig;
use functions::counters::Counters;
use functions::state::{Bell, StatusState};
use functions::{lambda, status};

#[tokio::main]
async fn main() -> Result<ExitCode, ExitCode> {
    lambda::start_logs();
    let config = lambda::configured(StatusConfig::read)?;
    let store = lambda::store().await?;
    let bell = Bell::default();
    let state = StatusState::new(config, store, &Counters::default(), bell.clone());
    Ok(lambda::serve_and_wake(status::router(state), bell).await)
}
