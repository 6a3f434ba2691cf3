//! The media node as a program of its own: for machines that run nothing else.
//!
//! Everything that is wrong with the environment is said at once, each with its remedy, and the exit code is 2. SIGTERM
//! and Ctrl-C drain.

use std::process::ExitCode;
use std::time::Duration;

use media_node::{Config, Node};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Calls are kept a year unless the control plane's setting says otherwise.
const RETENTION_DAYS: u64 = 365;

fn main() -> ExitCode {
    tracing_subscriber::fmt().json().with_env_filter(filter()).init();
    let lookup = |name: &str| std::env::var(name).ok();
    let (config, store) = (Config::from_lookup(&lookup), store_config(&lookup));
    let (config, store) = match (config, store) {
        (Ok(config), Ok(store)) => (config, store),
        (config, store) => {
            for problem in config.err().into_iter().flat_map(|error| error.0).chain(store.err().into_iter().flatten()) {
                eprintln!("{problem}");
            }
            return ExitCode::from(2);
        }
    };
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("failed to start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(config, store)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error:#}");
            ExitCode::from(2)
        }
    }
}

/// What is logged: `RUST_LOG`, but of the crates that carry messages and bodies never what they carry. They would print
/// a caller's words at their lowest levels.
fn filter() -> EnvFilter {
    let asked = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    [
        "tungstenite",
        "tokio_tungstenite",
        "hyper",
        "hyper_util",
        "h2",
        "aws_smithy_runtime",
        "aws_runtime",
        "aws_sdk_dynamodb",
        "aws_sdk_s3",
    ]
    .into_iter()
    .filter_map(|name| format!("{name}=info").parse().ok())
    .fold(asked, EnvFilter::add_directive)
}

async fn run(config: Config, store: store::Config) -> anyhow::Result<()> {
    let address = config.listen;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!("listen on {address}: {error}; set PORT to a free one, or stop what uses it")
    })?;
    let store = store::Store::connect(store).await;
    store.check().await.map_err(|error| {
        anyhow::anyhow!("use the store: {error}; check TABLE_NAME, BUCKET_NAME and the AWS credentials")
    })?;
    let node = Node::start(config, store).await?;
    let drained = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let ending = {
        let (node, drained) = (node.clone(), drained.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            node.drain().await;
            drained.cancel();
        })
    };
    node.serve(listener, drained.cancelled_owned()).await?;
    ending.await?;
    Ok(())
}

/// Where the store is: at AWS, or wherever the AWS settings of the environment say.
fn store_config(lookup: &dyn Fn(&str) -> Option<String>) -> Result<store::Config, Vec<String>> {
    let text = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    let mut problems = Vec::new();
    let mut named = |name: &str, what: &str| {
        text(name).unwrap_or_else(|| {
            problems.push(format!("{name} is missing; set it to the name of the {what}, as the control plane has it"));
            String::new()
        })
    };
    let (table, bucket) = (named("TABLE_NAME", "DynamoDB table"), named("BUCKET_NAME", "S3 bucket"));
    let days = match text("RETENTION_DAYS").map(|days| days.trim().parse::<u64>()) {
        None => RETENTION_DAYS,
        Some(Ok(days @ 1..=36_500)) => days,
        Some(_) => {
            problems.push("RETENTION_DAYS is not a whole number from 1 to 36500; leave it out for a year".to_owned());
            RETENTION_DAYS
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(store::Config { retention: Duration::from_secs(days * 24 * 3_600), ..store::Config::new(table, bucket) })
}
