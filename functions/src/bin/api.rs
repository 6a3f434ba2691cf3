//! The Lambda of the API.

use std::process::ExitCode;

use functions::agents::Agents;
use functions::config::{ApiConfig, TwilioConfig};
use functions::counters::Counters;
use functions::place::Boundaries;
use functions::state::{ApiState, Bell};
use functions::{lambda, routes};

#[tokio::main]
async fn main() -> Result<ExitCode, ExitCode> {
    lambda::start_logs();
    let config = lambda::configured(ApiConfig::read)?;
    let twilio = lambda::twilio(lambda::configured(TwilioConfig::read)?)?;
    let store = lambda::store().await?;
    let agents = Agents::in_store(store.clone());
    let (counters, bell) = (Counters::default(), Bell::default());
    let state = ApiState::new(config, store, agents, twilio, &counters, bell.clone(), Boundaries::default());
    Ok(lambda::serve_and_wake(routes::router(state), bell).await)
}
