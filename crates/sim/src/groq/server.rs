//! A simulated Groq behind real HTTP.
//!
//! Each answer is a stream that the model feeds in real time. When the client closes its connection, the stream is
//! dropped, and the model is told: that is how a reply is stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::serve::ListenerExt;
use tokio::sync::watch;

use super::fault::Faults;
use super::{Groq, GroqConfig, Out, SessionId, is_models};
use crate::evi::server::prompt;
use crate::line::server::{Refusal, stopped};

/// The largest request that is taken.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// A running simulated Groq. Dropping it ends the server and all its streams.
pub struct Handle {
    /// Base URL, such as `http://127.0.0.1:41234`; what `GROQ_BASE_URL` is set to.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    shared: Shared,
    stop: watch::Sender<bool>,
}

/// Starts one on a free port of this machine.
///
/// # Errors
/// If no port can be had.
pub async fn start(config: GroqConfig, faults: Faults, seed: u64) -> std::io::Result<Handle> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, mut stop_signal) = watch::channel(false);
    let (wake, _) = watch::channel(0);
    let model = Arc::new(Mutex::new(Groq::new(config, faults, seed)));
    let shared = Shared { model, wake, stop: stop.subscribe() };
    let app = Router::new().fallback(any(answer)).with_state(shared.clone());
    tokio::spawn(async move {
        let until = async move { stopped(&mut stop_signal).await };
        if let Err(error) = axum::serve(listener.tap_io(prompt), app).with_graceful_shutdown(until).await {
            tracing::warn!(%error, "simulated Groq failed to serve");
        }
    });
    Ok(Handle { url: format!("http://{address}"), address, shared, stop })
}

impl Handle {
    /// Looks at, or changes, the model between its events.
    pub fn with_model<T>(&self, look: impl FnOnce(&mut Groq) -> T) -> T {
        let result = look(&mut self.shared.model());
        self.shared.wake.send_modify(|count| *count = count.wrapping_add(1));
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

#[derive(Clone)]
struct Shared {
    model: Arc<Mutex<Groq>>,
    wake: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
}

impl Shared {
    fn model(&self) -> MutexGuard<'_, Groq> {
        // A panic in another task has failed its test already; what it left behind is still worth looking at.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    if is_models(uri.path()) {
        let (listed, told) = {
            let mut model = shared.model();
            (model.models(authorization), model.headers(None))
        };
        return match listed {
            Ok(body) => respond(StatusCode::OK, told, "application/json", Body::from(body)),
            Err(refusal) => refuse(refusal).await,
        };
    }
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let (accepted, told) = {
        let mut model = shared.model();
        (model.request(Instant::now(), uri.path(), authorization, &body), model.headers(None))
    };
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(refusal) => return refuse(refusal).await,
    };
    let stream = Stream { wake: shared.wake.subscribe(), shared, session: accepted.session };
    tokio::time::sleep(accepted.after).await;
    let body = Body::from_stream(futures_util::stream::unfold(Some(stream), next));
    respond(StatusCode::OK, told, "text/event-stream", body)
}

async fn refuse(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Answered { status, headers, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
            respond(status, headers, "application/json", Body::from(body))
        }
        Refusal::Silence => std::future::pending().await,
    }
}

fn respond(status: StatusCode, told: Vec<(&'static str, String)>, kind: &'static str, body: Body) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// One answer on its way. Dropped with the connection, it tells the model.
struct Stream {
    shared: Shared,
    session: SessionId,
    wake: watch::Receiver<u64>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.model().disconnect(Instant::now(), self.session);
    }
}

/// The next piece of an answer; an error breaks the connection.
async fn next(stream: Option<Stream>) -> Option<(std::io::Result<Bytes>, Option<Stream>)> {
    let mut stream = stream?;
    let mut stop = stream.shared.stop.clone();
    loop {
        let out = stream.shared.model().poll(Instant::now(), stream.session);
        match out {
            Some(Out::Text(text)) => return Some((Ok(text.into()), Some(stream))),
            Some(Out::Binary(bytes)) => return Some((Ok(bytes.into()), Some(stream))),
            Some(Out::Close { .. }) => return None,
            Some(Out::Drop) => return Some((Err(std::io::ErrorKind::ConnectionReset.into()), None)),
            None => {}
        }
        let due = stream.shared.model().next_due(stream.session);
        // Far enough never to matter, near enough for every clock.
        let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        tokio::select! {
            () = stopped(&mut stop) => return None,
            () = tokio::time::sleep_until(due.into()) => {}
            changed = stream.wake.changed() => if changed.is_err() { return None },
        }
    }
}
