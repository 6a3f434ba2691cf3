//! `/health`, `/ready`, `/status`, `/metrics`: what watches a node, and what a person reads first.
//!
//! None of these names a number or a word. `/status` names calls by their id, which is worth nothing without a token.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use call::breaker;
use http::{StatusCode, header};
use serde::Serialize;

use crate::figures::Now;
use crate::node::Inner;

/// The process answers.
pub(crate) async fn health() -> &'static str {
    "ok"
}

/// New calls are taken.
pub(crate) async fn ready(State(node): State<Arc<Inner>>) -> (StatusCode, &'static str) {
    if node.sessions.is_draining() { (StatusCode::SERVICE_UNAVAILABLE, "draining") } else { (StatusCode::OK, "ready") }
}

#[derive(Serialize)]
struct Status<'a> {
    node: &'a str,
    boot: &'a str,
    region: Option<&'a str>,
    version: &'a str,
    started_at: store::Moment,
    ready: bool,
    capacity: u32,
    /// What guards a stream.
    streams_guarded_by: &'static str,
    sessions: Vec<SessionStatus>,
    engines: Vec<EngineStatus>,
    spool_bytes: SpoolBytes,
    /// Files that cannot be stored, kept for a person to look at.
    spool_set_aside: u64,
    live_sockets: u64,
    /// Streams passed through to other nodes now.
    streams_passing: u64,
}

#[derive(Serialize)]
struct SessionStatus {
    call: call::CallId,
    epoch: u32,
    stream: bool,
    age_s: u64,
}

#[derive(Serialize)]
struct EngineStatus {
    engine: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tried_again_in_s: Option<u64>,
}

#[derive(Serialize)]
struct SpoolBytes {
    journal: u64,
    recording: u64,
}

/// The node at a glance.
pub(crate) async fn status(State(node): State<Arc<Inner>>) -> Response {
    let now = Instant::now();
    let sessions = node.sessions.all().into_iter().map(|session| SessionStatus {
        call: session.key.0,
        epoch: session.key.1,
        stream: session.is_taken(),
        age_s: now.saturating_duration_since(session.since).as_secs(),
    });
    let states: Vec<_> = node.breaker().states().collect();
    let engines = states.into_iter().map(|(engine, state)| {
        let (state, until) = match state {
            breaker::State::Closed => ("offered", None),
            breaker::State::Open { until } => ("left_alone", Some(until)),
            breaker::State::Trial { until } => ("on_trial", Some(until)),
        };
        let tried_again_in_s = until.map(|until| until.saturating_duration_since(now).as_secs());
        EngineStatus { engine: engine.as_str(), state, tried_again_in_s }
    });
    Json(Status {
        node: &node.config.node,
        boot: &node.boot,
        region: node.config.region.as_deref(),
        version: env!("CARGO_PKG_VERSION"),
        started_at: node.started_at,
        ready: !node.sessions.is_draining(),
        capacity: node.config.capacity,
        streams_guarded_by: if node.config.twilio.is_some() { "signature and token" } else { "token alone" },
        sessions: sessions.collect(),
        engines: engines.collect(),
        spool_bytes: SpoolBytes { journal: node.journal.spool.bytes(), recording: node.recordings.spool.bytes() },
        spool_set_aside: node.spool_set_aside(),
        live_sockets: node.live.sockets(),
        streams_passing: node.spliced.taken(),
    })
    .into_response()
}

/// The figures, for Prometheus.
pub(crate) async fn metrics(State(node): State<Arc<Inner>>) -> Response {
    let sessions = node.sessions.all();
    let engines = node.breaker().states().collect();
    let now = Now {
        engines,
        sessions: sessions.len() as u64,
        unused: sessions.iter().filter(|session| !session.is_taken()).count() as u64,
        capacity: u64::from(node.config.capacity),
        ready: !node.sessions.is_draining(),
        spool_bytes: node.journal.spool.bytes() + node.recordings.spool.bytes(),
        live_sockets: node.live.sockets(),
        streams_nameless: node.nameless.taken(),
        streams_passing: node.spliced.taken(),
        spool_set_aside: node.spool_set_aside(),
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], node.figures.page(now)).into_response()
}
