//! The one port: serving the routers, refusing calls while going down, and ringing when a call may have changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use functions::Problem;
use http::Method;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::observer::observed;

/// Connections that somebody keeps open at the end are closed after this.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    stop: CancellationToken,
    refusing: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) fn start(listener: TcpListener, router: Router, changed: Arc<Notify>) -> Self {
        let (stop, refusing) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let router = observed(router, changed).layer(from_fn_with_state(Arc::clone(&refusing), refuse));
        // Frames are small: none waits for the next.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "failed to send small packets at once");
            }
        });
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "failed to serve");
            }
        });
        Self { stop, refusing, task }
    }

    /// From now on nobody can place a call.
    pub(super) fn refuse_calls(&self) {
        self.refusing.store(true, Ordering::Relaxed);
    }

    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(CLOSING_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn refuse(State(refusing): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    let places = request.method() == Method::POST && matches!(request.uri().path(), "/v1/calls" | "/local/inbound");
    if places && refusing.load(Ordering::Relaxed) {
        return Problem::unavailable("this program is going down and takes no more calls", "draining").into_response();
    }
    next.run(request).await
}
