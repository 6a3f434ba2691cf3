//! What all Lambda binaries do first: logs as JSON, configuration from the environment or exit code 2.

use std::process::ExitCode;

use axum::Router;
use clients::Twilio;
use store::Store;

use crate::config::{ConfigError, Lookup, StoreConfig, TwilioConfig};
use crate::state::Bell;
use crate::wake::Alarm;

/// Starts logging: a JSON object a line, which CloudWatch reads. `RUST_LOG` chooses what.
pub fn start_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_current_span(true).with_env_filter(filter).init();
}

/// Reads what a function needs from the environment. What is wrong is logged, all of it.
///
/// # Errors
///
/// Exit code 2.
pub fn configured<T>(read: impl FnOnce(&mut Lookup<'_>) -> Result<T, ConfigError>) -> Result<T, ExitCode> {
    let environment = |name: &str| std::env::var(name).ok();
    read(&mut Lookup::new(&environment)).map_err(|error| {
        for problem in &error.0 {
            tracing::error!(variable = problem.name, remedy = problem.remedy, "{} {}", problem.name, problem.what);
        }
        ExitCode::from(2)
    })
}

/// The store that the environment names.
///
/// # Errors
///
/// Exit code 2.
pub async fn store() -> Result<Store, ExitCode> {
    let config = configured(|lookup| {
        let config = StoreConfig::read(lookup);
        lookup.finish(|| Some(config))
    })?;
    Ok(Store::connect(config.settings()).await)
}

/// Serves a router until the Lambda ends.
pub async fn serve(router: Router) -> ExitCode {
    match lambda_http::run(router).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the Lambda runtime ended");
            ExitCode::FAILURE
        }
    }
}

/// Serves a router until the Lambda ends, and wakes the worker when `bell` was rung, if `WORKER_FUNCTION` names it.
pub async fn serve_and_wake(router: Router, bell: Bell) -> ExitCode {
    let environment = |name: &str| std::env::var(name).ok();
    match Alarm::read(&Lookup::new(&environment), bell) {
        Some(alarm) => serve(alarm.around(router)).await,
        None => serve(router).await,
    }
}

/// The client of Twilio's REST interface.
///
/// # Errors
///
/// Exit code 1: this machine has no certificates to trust.
pub fn twilio(config: TwilioConfig) -> Result<Twilio, ExitCode> {
    config.client().map_err(|error| {
        tracing::error!(%error, "Twilio cannot be asked");
        ExitCode::FAILURE
    })
}
