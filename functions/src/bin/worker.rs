//! The Lambda that does what is due, started by the clock, and by functions that have ended a call.

use std::process::ExitCode;

use functions::config::{TellConfig, TwilioConfig};
use functions::lambda;
use functions::webhook::Webhook;
use functions::worker::Worker;
use lambda_runtime::{LambdaEvent, service_fn};

/// Rounds of one visit: what is left is done a minute later.
const ROUNDS_MAX: usize = 20;

#[tokio::main]
async fn main() -> Result<ExitCode, ExitCode> {
    lambda::start_logs();
    let twilio = lambda::twilio(lambda::configured(TwilioConfig::read)?)?;
    let tell = lambda::configured(TellConfig::read)?;
    let webhook = tell.map(Webhook::new).transpose().map_err(|error| {
        tracing::error!(%error, "the webhook's receiver cannot be told");
        ExitCode::FAILURE
    })?;
    let worker = Worker::new(lambda::store().await?, twilio).telling(webhook);
    // Whoever starts it says nothing that matters.
    let visit = service_fn(async |_: LambdaEvent<serde_json::Value>| {
        let round = worker.catch_up(ROUNDS_MAX).await?;
        tracing::info!(
            done = round.done,
            postponed = round.postponed,
            failed = round.failed,
            unreadable = round.unreadable,
            "the worker was here"
        );
        Ok::<(), lambda_runtime::Error>(())
    });
    lambda_runtime::run(visit).await.map(|()| ExitCode::SUCCESS).map_err(|error| {
        tracing::error!(%error, "the Lambda runtime ended");
        ExitCode::FAILURE
    })
}
