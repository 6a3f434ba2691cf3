//! Everything on one port, and the command line.
//!
//! `switchboard` alone (or `dev`) runs the whole product in one process: the control plane's routers, a media node, an
//! embedded store, and a simulator for whatever has no credentials. The other commands talk to such a process over its
//! HTTP API, and start one for themselves if none runs.
//!
//! ```text
//! environment ─> plan ─> machine ─┬─ simulators      what nobody has credentials for
//!   variables   what is            ├─ functions       control plane, all routers
//!               real, what not     ├─ media-node      one node
//!                                  └─ worker, events  in the background
//! command ──> api ──HTTP──> a machine: this process's, or the one that wrote DATA_DIR/running.json
//! ```
//!
//! Promises: what is wrong is said all at once, each with its remedy, before anything is changed (exit code 2); no
//! secret and no whole telephone number is printed; Ctrl-C drains.

pub mod api;
pub mod checks;
pub mod cli;
mod command;
pub mod conversation;
pub mod environment;
mod events;
mod live;
pub mod local;
pub mod machine;
mod observer;
mod orphans;
pub mod outcomes;
pub mod place;
pub mod plan;
pub mod problem;
pub mod scenario;
pub mod secrets;
pub mod simulators;
pub mod start_table;
pub mod terminal;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;
use crate::environment::Environment;
use crate::problem::Failure;
use crate::terminal::Screen;

/// Runs the program: reads the command line, does it, and says how it went. 0 is done, 1 is not done, 2 is that
/// something must be set right first.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(cli.log_filter()));
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(Screen::stderr().is_coloured());
    log.with_env_filter(filter).with_target(false).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return say(&Failure::Broken(anyhow::anyhow!("failed to start threads: {error}"))),
    };
    let result = runtime.block_on(command::carry_out(cli, Environment::of_process(), Screen::stdout()));
    // What still blocks a thread, such as a name that is being looked up, is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => say(&failure),
    }
}

fn say(failure: &Failure) -> ExitCode {
    let mut screen = Screen::stderr();
    failure.show(&mut screen);
    failure.exit_code()
}
