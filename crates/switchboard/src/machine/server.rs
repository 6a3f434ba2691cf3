//! The one port: serving the routers, refusing calls while going down, and ringing when a call may have changed.
//!
//! A tunnel brings the world to this port, so that Twilio can reach it. What tells of the node (`/status`, `/metrics`) is
//! for this machine's own programs, and for who has a token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use functions::Problem;
use functions::door::People;
use http::header::{AUTHORIZATION, HOST};
use http::uri::Authority;
use http::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connections::{HEAD_MAX, serve};
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
    pub(super) fn start(listener: TcpListener, router: Router, people: People, changed: Arc<Notify>) -> Self {
        let (stop, refusing) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let router = router.layer(from_fn_with_state(Arc::new(people), known_here));
        let router = observed(router, changed).layer(from_fn_with_state(Arc::clone(&refusing), refuse));
        let task = tokio::spawn(serve(listener, router, HEAD_MAX, stop.clone()));
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

/// Lets to the node's own pages only this machine's programs, and who has a token. What a proxy or a tunnel hands on comes
/// from this machine as well: most of them say so in a header, and all of them hand on the name that was asked for.
async fn known_here(State(people): State<Arc<People>>, request: Request, next: Next) -> Response {
    let is_private = matches!(request.uri().path(), "/status" | "/metrics");
    if !is_private || is_of_this_machine(&request) || has_token(&people, &request) {
        return next.run(request).await;
    }
    let detail = "send Authorization: Bearer <token>, with a token of API_TOKENS, or ask from this machine";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorised", "Who is it?", detail).into_response()
}

fn is_of_this_machine(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let handed_on = request.headers().keys().any(|name| {
        let name = name.as_str();
        name == "forwarded" || name == "via" || name.starts_with("x-forwarded-") || name.starts_with("cf-")
    });
    let is_near = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_named_here = host.is_some_and(|host| {
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    is_near && is_named_here && !handed_on
}

fn has_token(people: &People, request: &Request) -> bool {
    let value = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.is_some_and(|(_, token)| people.by_token(token.trim()).is_some())
}

async fn refuse(State(refusing): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    let places = request.method() == Method::POST && matches!(request.uri().path(), "/v1/calls" | "/local/inbound");
    if places && refusing.load(Ordering::Relaxed) {
        return Problem::unavailable("this program is going down and takes no more calls", "draining").into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use functions::door::{ApiTokens, Role, SessionKeys};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn the_nodes_pages_are_for_this_machine_and_for_who_has_a_token() {
        let tokens = ApiTokens::parse(&ApiTokens::entry("vic", Role::Viewer, "vic-token")).unwrap();
        let people = Arc::new(People::new(tokens, SessionKeys::derive("0123456789abcdef0123456789abcdef")));
        let router = Router::new().route("/metrics", get(async || "1")).route("/health", get(async || "ok"));
        let router = router.layer(from_fn_with_state(people, known_here));
        let asked = async |path: &str, peer: &str, header: Option<(&str, &str)>| {
            let (name, value) = header.unwrap_or(("x-nothing", "special"));
            let request = Request::builder().uri(path).header(name, value);
            let request = if name == "host" { request } else { request.header("host", "localhost:8080") };
            let mut request = request.body(Body::empty()).unwrap();
            request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
            router.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        let (here, there) = ("127.0.0.1:5000", "192.0.2.7:5000");
        assert_eq!(asked("/metrics", here, None).await, 200);
        assert_eq!(asked("/metrics", there, None).await, 401);
        // A tunnel's own end is on this machine.
        for name in ["x-forwarded-for", "x-forwarded-host", "forwarded", "cf-connecting-ip"] {
            assert_eq!(asked("/metrics", here, Some((name, "192.0.2.7"))).await, 401, "{name}");
        }
        assert_eq!(asked("/metrics", here, Some(("host", "x.trycloudflare.example"))).await, 401);
        assert_eq!(asked("/metrics", here, Some(("host", "[::1]:8080"))).await, 200);
        assert_eq!(asked("/metrics", there, Some(("authorization", "Bearer vic-token"))).await, 200);
        assert_eq!(asked("/metrics", there, Some(("authorization", "Bearer guessed"))).await, 401);
        assert_eq!(asked("/health", there, None).await, 200);
    }
}
