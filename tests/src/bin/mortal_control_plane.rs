//! A control plane of its own process, over another's store, that dies at a boundary of placing a call.
//!
//! It takes the configuration from its environment, as a Lambda would, says where it listens in one line, and aborts (no
//! unwinding, no destructors: as `kill -9` would end it) when it reaches the boundary that `DIES_AT` names.

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::Context as _;
use functions::place::{Boundaries, Boundary};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let named = std::env::var("DIES_AT").context("DIES_AT names a boundary")?;
    let deadly = Boundary::ALL.into_iter().find(|boundary| format!("{boundary:?}") == named);
    let deadly = deadly.with_context(|| format!("there is no boundary {named}"))?;
    let boundaries = Boundaries::watched_by(move |boundary| {
        if boundary == deadly {
            std::process::abort();
        }
    });
    let router = whole_calls::mortal::control_plane(std::env::vars().collect(), boundaries).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "http://{}", listener.local_addr()?)?;
    out.flush()?;
    axum::serve(listener, router).await?;
    Ok(())
}
