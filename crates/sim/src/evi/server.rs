//! A simulated EVI behind real sockets.
//!
//! One task for each chat socket drives the model in real time. The model stands behind a mutex that is held for single
//! calls only, never while something is awaited. The URL can be given to Hume's own SDKs as their base URL.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::sync::watch;
use wire::hume::API_KEY_HEADER;

use super::fault::{FaultCounts, Faults, Mishap};
use super::{Evi, EviConfig, Frame, Out, Record, Refused, SessionId, rest};

/// Read buffer of each socket: the default is for few, heavy connections.
const READ_BUFFER: usize = 4_096;

/// The largest message taken from a client. Hume publishes no limit.
const MESSAGE_MAX: usize = 16 * 1024 * 1024;

/// A running simulated EVI. Dropping it ends the server and all its sockets.
pub struct Handle {
    /// Base URL, such as `http://127.0.0.1:41234`; what `HUME_BASE_URL` is set to.
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
pub async fn start(config: EviConfig, faults: Faults, seed: u64) -> std::io::Result<Handle> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, mut stop_signal) = watch::channel(false);
    let shared = Shared::new(Evi::new(config, faults, seed), stop.subscribe());
    let app = router(shared.clone());
    tokio::spawn(async move {
        let until = async move { stopped(&mut stop_signal).await };
        if let Err(error) = axum::serve(listener.tap_io(prompt), app).with_graceful_shutdown(until).await {
            tracing::warn!(%error, "simulated EVI failed to serve");
        }
    });
    Ok(Handle { url: format!("http://{address}"), address, shared, stop })
}

/// Audio goes out in pieces, and none waits until the last is acknowledged.
pub(crate) fn prompt(stream: &mut tokio::net::TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to send small packets at once");
    }
}

impl Handle {
    /// Looks at, or changes, the model between its events.
    pub fn with_model<T>(&self, look: impl FnOnce(&mut Evi) -> T) -> T {
        let result = look(&mut self.shared.model());
        self.shared.wake_all();
        result
    }

    /// Copies of all records so far, in the order of the handshakes.
    #[must_use]
    pub fn records(&self) -> Vec<(SessionId, Record)> {
        self.shared.model().records().map(|(id, record)| (id, record.clone())).collect()
    }

    /// How often each fault took effect.
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        self.shared.model().fault_counts().clone()
    }

    /// Suffers this now on every open socket.
    pub fn strike(&self, mishap: &Mishap) {
        self.with_model(|model| {
            let open: Vec<SessionId> =
                model.records().filter(|(_, record)| record.ended.is_none()).map(|(id, _)| id).collect();
            for id in open {
                model.strike(Instant::now(), id, mishap);
            }
        });
    }

    /// Whether all REST requests are answered with 429.
    pub fn throttle_rest(&self, throttled: bool) {
        self.shared.throttled.store(throttled, Ordering::Relaxed);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Shared {
    model: Arc<Mutex<Evi>>,
    throttled: Arc<AtomicBool>,
    wake: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
}

impl Shared {
    fn new(model: Evi, stop: watch::Receiver<bool>) -> Self {
        let (wake, _) = watch::channel(0);
        Self { model: Arc::new(Mutex::new(model)), throttled: Arc::default(), wake, stop }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Evi> {
        // A panic in another task has failed its test already; what it left behind is still worth looking at.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_throttled(&self) -> bool {
        self.throttled.load(Ordering::Relaxed)
    }

    /// Something changed that a socket's task could not see.
    pub(crate) fn wake_all(&self) {
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v0/evi/chat", get(chat))
        .route("/v0/evi/chat/{id}/send", post(rest::send))
        .route("/v0/evi/chats", get(rest::chats))
        .route("/v0/evi/chats/{id}", get(rest::chat))
        .route("/v0/evi/chat_groups", get(rest::chat_groups))
        .route("/v0/evi/chat_groups/{id}", get(rest::chat_group))
        .route("/v0/evi/chat_groups/{id}/events", get(rest::chat_group_events))
        .route("/v0/evi/configs", get(rest::configs))
        .with_state(shared)
}

async fn chat(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let path_and_query = uri.path_and_query().map_or("/", |whole| whole.as_str());
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let key = headers.get(API_KEY_HEADER).and_then(|value| value.to_str().ok()).or(bearer);
    let answer = shared.model().connect(Instant::now(), path_and_query, key);
    let accepted = match answer {
        Ok(accepted) => accepted,
        Err(Refused::Status(status)) => {
            return StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN).into_response();
        }
        Err(Refused::Silence) => return std::future::pending().await,
    };
    // If the client gives up in the meantime, this handler is dropped and the chat with it.
    let guard = Abandon { shared: shared.clone(), session: accepted.session };
    tokio::time::sleep(accepted.after).await;
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .on_upgrade(move |socket| converse(guard, socket))
}

/// Tells the model that the client is gone, however its task ends.
struct Abandon {
    shared: Shared,
    session: SessionId,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        self.shared.model().disconnect(Instant::now(), self.session);
    }
}

async fn converse(guard: Abandon, mut socket: WebSocket) {
    let (shared, session) = (&guard.shared, guard.session);
    let mut wake = shared.wake.subscribe();
    let mut stop = shared.stop.clone();
    let ping_every = shared.model().config().ping_every;
    let mut ping_at = ping_every.map(|every| Instant::now() + every);
    loop {
        loop {
            let next = shared.model().poll(Instant::now(), session);
            let Some(out) = next else { break };
            match send(&mut socket, out).await {
                Sent::Open => {}
                Sent::Over => return,
            }
        }
        let due = shared.model().next_due(session);
        // Far enough never to matter, near enough for every clock.
        let due =
            [due, ping_at].into_iter().flatten().min().unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep_until(due.into()) => {
                if ping_at.is_some_and(|at| at <= Instant::now()) {
                    ping_at = ping_every.map(|every| Instant::now() + every);
                    if socket.send(Message::Ping(axum::body::Bytes::new())).await.is_err() {
                        return;
                    }
                }
            }
            changed = wake.changed() => if changed.is_err() { return },
            received = socket.recv() => {
                let frame = match received {
                    Some(Ok(Message::Text(text))) => Frame::Text(text.as_str().to_owned()),
                    Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes.to_vec()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                };
                shared.model().receive(Instant::now(), session, frame);
            }
        }
    }
}

/// Returns when the server shall end, or when whoever could say so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

enum Sent {
    Open,
    Over,
}

async fn send(socket: &mut WebSocket, out: Out) -> Sent {
    let sent = match out {
        Out::Text(text) => socket.send(Message::Text(text.into())).await,
        Out::Binary(bytes) => socket.send(Message::Binary(bytes.into())).await,
        Out::Close { code, reason } => {
            if socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await.is_ok() {
                // The client answers the close; without its answer the connection would look broken.
                let answered = async { while let Some(Ok(_)) = socket.recv().await {} };
                let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
            }
            return Sent::Over;
        }
        // Leaving without a close frame is what a client sees as 1006.
        Out::Drop => return Sent::Over,
    };
    if sent.is_ok() { Sent::Open } else { Sent::Over }
}
