//! The Lambda that answers when all others do not.

use std::process::ExitCode;

use functions::config::FallbackConfig;
use functions::counters::Counters;
use functions::state::FallbackState;
use functions::{fallback, lambda};

#[tokio::main]
async fn main() -> Result<ExitCode, ExitCode> {
    lambda::start_logs();
    let config = lambda::configured(FallbackConfig::read)?;
    let state = FallbackState::new(config, &Counters::default());
    Ok(lambda::serve(fallback::router(state)).await)
}
