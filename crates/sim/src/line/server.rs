//! A simulated service behind real WebSockets.
//!
//! One task for each socket drives the model in real time. The model stands behind a mutex that is held for single
//! calls only, never while something is awaited.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::sync::watch;

use crate::evi::server::prompt;
use crate::evi::{Accepted, Frame, Out, SessionId};

/// Read buffer of each socket: the default is for few, heavy connections.
const READ_BUFFER: usize = 4_096;

/// The largest message taken from a client; none of these dialects has longer ones.
const MESSAGE_MAX: usize = 1024 * 1024;

/// The most handshake headers that a model may ask for.
type Headers = Vec<(&'static str, String)>;

/// A handshake as a model sees it.
#[derive(Debug, Clone, Copy)]
pub struct Handshake<'h> {
    /// As in the request line.
    pub path_and_query: &'h str,
    /// The whole `Authorization` header.
    pub authorization: Option<&'h str>,
    /// The vendor's version header, where it has one.
    pub version: Option<&'h str>,
}

/// How a model refuses a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// With this status, these headers and this body.
    Answered {
        /// The status.
        status: u16,
        /// Headers.
        headers: Vec<(&'static str, String)>,
        /// The body: JSON.
        body: String,
    },
    /// Not at all: the connection stands, and nothing comes.
    Silence,
}

/// A model of a service that speaks over WebSockets, in virtual time.
pub trait Model: Send + 'static {
    /// The path at which it answers.
    const PATH: &'static str;

    /// Answers a handshake.
    ///
    /// # Errors
    /// If it is refused, or never answered.
    fn connect(&mut self, now: Instant, handshake: Handshake<'_>) -> Result<Accepted, Refusal>;

    /// The headers of an accepted handshake.
    fn headers(&self, session: SessionId) -> Headers;

    /// Takes a message from a client.
    fn receive(&mut self, now: Instant, session: SessionId, frame: &Frame);

    /// The client closed its socket, or vanished.
    fn disconnect(&mut self, now: Instant, session: SessionId);

    /// The next thing that happens on this socket, if anything does by now. To be called until there is nothing.
    fn poll(&mut self, now: Instant, session: SessionId) -> Option<Out>;

    /// When to poll this socket again, if nothing is received before.
    fn next_due(&self, session: SessionId) -> Option<Instant>;
}

/// A running simulated service. Dropping it ends the server and all its sockets.
pub struct Handle<M> {
    /// Base URL, such as `http://127.0.0.1:41234`.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    shared: Shared<M>,
    stop: watch::Sender<bool>,
}

/// Starts one on a free port of this machine.
///
/// # Errors
/// If no port can be had.
pub async fn start<M: Model>(model: M) -> std::io::Result<Handle<M>> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, mut stop_signal) = watch::channel(false);
    let (wake, _) = watch::channel(0);
    let shared = Shared { model: Arc::new(Mutex::new(model)), wake, stop: stop.subscribe() };
    let app = Router::new().route(M::PATH, get(handshake::<M>)).with_state(shared.clone());
    tokio::spawn(async move {
        let until = async move { stopped(&mut stop_signal).await };
        if let Err(error) = axum::serve(listener.tap_io(prompt), app).with_graceful_shutdown(until).await {
            tracing::warn!(%error, "simulated service failed to serve");
        }
    });
    Ok(Handle { url: format!("http://{address}"), address, shared, stop })
}

impl<M: Model> Handle<M> {
    /// Looks at, or changes, the model between its events.
    pub fn with_model<T>(&self, look: impl FnOnce(&mut M) -> T) -> T {
        let result = look(&mut self.shared.model());
        self.shared.wake.send_modify(|count| *count = count.wrapping_add(1));
        result
    }
}

impl<M> Drop for Handle<M> {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// What all requests share.
struct Shared<M> {
    model: Arc<Mutex<M>>,
    wake: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
}

impl<M> Clone for Shared<M> {
    fn clone(&self) -> Self {
        Self { model: Arc::clone(&self.model), wake: self.wake.clone(), stop: self.stop.clone() }
    }
}

impl<M> Shared<M> {
    fn model(&self) -> MutexGuard<'_, M> {
        // A panic in another task has failed its test already; what it left behind is still worth looking at.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn handshake<M: Model>(
    State(shared): State<Shared<M>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let asked = Handshake {
        path_and_query: uri.path_and_query().map_or("/", |whole| whole.as_str()),
        authorization: header("authorization"),
        version: header(wire::cartesia::connect::VERSION_HEADER),
    };
    let answer = shared.model().connect(Instant::now(), asked);
    let accepted = match answer {
        Ok(accepted) => accepted,
        Err(Refusal::Answered { status, headers, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
            let mut response = (status, body).into_response();
            add(response.headers_mut(), headers);
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
            return response;
        }
        Err(Refusal::Silence) => return std::future::pending().await,
    };
    // If the client gives up in the meantime, this handler is dropped and the connection with it.
    let guard = Abandon { shared: shared.clone(), session: accepted.session };
    tokio::time::sleep(accepted.after).await;
    let told = shared.model().headers(accepted.session);
    let mut response = upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .on_upgrade(move |socket| converse(guard, socket));
    add(response.headers_mut(), told);
    response
}

fn add(headers: &mut HeaderMap, told: Headers) {
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Tells the model that the client is gone, however its task ends.
struct Abandon<M: Model> {
    shared: Shared<M>,
    session: SessionId,
}

impl<M: Model> Drop for Abandon<M> {
    fn drop(&mut self) {
        self.shared.model().disconnect(Instant::now(), self.session);
    }
}

async fn converse<M: Model>(guard: Abandon<M>, mut socket: WebSocket) {
    let (shared, session) = (&guard.shared, guard.session);
    let mut wake = shared.wake.subscribe();
    let mut stop = shared.stop.clone();
    loop {
        loop {
            let next = shared.model().poll(Instant::now(), session);
            let Some(out) = next else { break };
            if !send(&mut socket, out).await {
                return;
            }
        }
        // Far enough never to matter, near enough for every clock.
        let due = shared.model().next_due(session).unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep_until(due.into()) => {}
            changed = wake.changed() => if changed.is_err() { return },
            received = socket.recv() => {
                let frame = match received {
                    Some(Ok(Message::Text(text))) => Frame::Text(text.as_str().to_owned()),
                    Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes.to_vec()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                };
                shared.model().receive(Instant::now(), session, &frame);
            }
        }
    }
}

/// Returns when the server shall end, or when whoever could say so is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Whether the socket is still open.
async fn send(socket: &mut WebSocket, out: Out) -> bool {
    match out {
        Out::Text(text) => socket.send(Message::Text(text.into())).await.is_ok(),
        Out::Binary(bytes) => socket.send(Message::Binary(bytes.into())).await.is_ok(),
        Out::Close { code, reason } => {
            // 1005 stands for a close without a code, and may not be written.
            let frame = (code != 1005).then(|| CloseFrame { code, reason: reason.into() });
            if socket.send(Message::Close(frame)).await.is_ok() {
                // The client answers the close; without its answer the connection would look broken.
                let answered = async { while let Some(Ok(_)) = socket.recv().await {} };
                let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
            }
            false
        }
        // Leaving without a close frame is what a client sees as 1006.
        Out::Drop => false,
    }
}
