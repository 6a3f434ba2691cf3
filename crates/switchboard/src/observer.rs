//! Notices that something may have become of a call, by watching which requests pass.
//!
//! The record of a call changes when Twilio or a person asks for something; whoever shows the life of calls looks at the
//! store then, and not all the time. Nothing is added to any request but a bell.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::sync::Notify;

/// Rings `bell` after each request that may have changed a call.
pub(crate) fn observed(router: Router, bell: Arc<Notify>) -> Router {
    router.layer(from_fn_with_state(bell, ring))
}

async fn ring(State(bell): State<Arc<Notify>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let changes =
        path.starts_with("/twilio/") || (path.starts_with("/v1/calls") && request.method() != http::Method::GET);
    let response = next.run(request).await;
    if changes {
        bell.notify_one();
    }
    response
}
