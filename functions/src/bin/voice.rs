//! The Lambda that answers calls and says what comes next.

use std::process::ExitCode;

use functions::agents::Agents;
use functions::config::VoiceConfig;
use functions::counters::Counters;
use functions::state::{Bell, VoiceState};
use functions::{lambda, voice};

#[tokio::main]
async fn main() -> Result<ExitCode, ExitCode> {
    lambda::start_logs();
    let config = lambda::configured(VoiceConfig::read)?;
    let store = lambda::store().await?;
    let agents = Agents::in_store(store.clone());
    let state = VoiceState::new(config, store, agents, &Counters::default(), Bell::default());
    Ok(lambda::serve(voice::router(state)).await)
}
