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
    let state = StatusState::new(config, store, &Counters::default(), Bell::default());
    Ok(lambda::serve(status::router(state)).await)
}
