//! A simulated Gemini behind a real socket. Its URL can be given to Google's own SDKs as their base URL.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::task::JoinHandle;
use wire::gemini::API_KEY_HEADER;

use super::{Asked, Faults, Gemini, GeminiConfig, Reply};

/// The largest request that is taken, in bytes. (Gemini API: 20 MB)
const BODY_MAX: usize = 20 << 20;

/// A running simulated Gemini. Dropping it ends the server.
#[derive(Debug)]
pub struct Handle {
    /// Base URL, such as `http://127.0.0.1:41234`; what `GEMINI_BASE_URL` is set to.
    pub url: String,
    model: Arc<Mutex<Gemini>>,
    task: JoinHandle<()>,
}

/// Starts one on a free port of this machine.
///
/// # Errors
/// If no port can be had.
pub async fn start(config: GeminiConfig, faults: Faults) -> std::io::Result<Handle> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let model = Arc::new(Mutex::new(Gemini::new(config, faults)));
    let app = Router::new()
        // Google's documentation and ours say `v1beta`, its newest packages ask `v1` for the same.
        .route("/v1beta/models/{method}", post(generate).get(describe))
        .route("/v1/models/{method}", post(generate).get(describe))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::clone(&model));
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::warn!(%error, "simulated Gemini failed to serve");
        }
    });
    Ok(Handle { url, model, task })
}

impl Handle {
    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.model).asked().to_vec()
    }

    /// Throws other faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.model).set_faults(faults);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn generate(
    State(gemini): State<Arc<Mutex<Gemini>>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(model) = method.strip_suffix(":generateContent") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let reply = lock(&gemini).generate(model, key(&headers), &body);
    tokio::time::sleep(reply.after).await;
    answer(reply)
}

async fn describe(State(gemini): State<Arc<Mutex<Gemini>>>, Path(model): Path<String>, headers: HeaderMap) -> Response {
    answer(lock(&gemini).describe(&model, key(&headers)))
}

fn key(headers: &HeaderMap) -> Option<&str> {
    headers.get(API_KEY_HEADER).and_then(|key| key.to_str().ok())
}

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/json; charset=UTF-8")], reply.body).into_response()
}

/// A request that panicked leaves a model that can still answer.
fn lock(gemini: &Mutex<Gemini>) -> MutexGuard<'_, Gemini> {
    gemini.lock().unwrap_or_else(PoisonError::into_inner)
}
