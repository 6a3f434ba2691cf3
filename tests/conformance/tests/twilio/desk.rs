//! The server that the simulated Twilio asks. It believes everything and keeps every request as it came, for the judge.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

type Kept = Arc<Mutex<Vec<Value>>>;

/// A running one.
pub(crate) struct Server {
    port: u16,
}

#[derive(Clone)]
struct Desk {
    kept: Kept,
    port: u16,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let router = Router::new()
            .route("/hook/requests", get(requests))
            .route("/hook/{*name}", any(hook))
            .route("/media", get(media))
            .with_state(Desk { kept: Kept::default(), port });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port }
    }

    /// The address of a hook. `requests` tells of all requests to the others.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/hook/{name}", self.port)
    }
}

async fn requests(State(desk): State<Desk>) -> Json<Vec<Value>> {
    Json(desk.kept.lock().expect("nobody panics with it").clone())
}

impl Desk {
    fn keep(&self, scheme: &str, method: &str, uri: &http::Uri, headers: &HeaderMap, body: &[u8]) {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        self.kept.lock().expect("nobody panics with it").push(json!({
            "method": method,
            "url": format!("{scheme}://127.0.0.1:{}{path}", self.port),
            "signature": header("x-twilio-signature"),
            "content_type": header("content-type"),
            "body": String::from_utf8_lossy(body),
        }));
    }
}

/// `voice` speaks, then sends to `stream` by `GET`; that opens a stream whose action is `next`; the rest is reports.
async fn hook(
    State(desk): State<Desk>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    desk.keep("http", method.as_str(), &uri, &headers, &body);
    let port = desk.port;
    let verbs = match uri.path().trim_start_matches("/hook/") {
        "voice" => {
            r#"<Say>Hello.</Say><Redirect method="GET">/hook/stream?q=caf%C3%A9+%2B&amp;empty=&amp;a=2&amp;a=1</Redirect>"#.to_owned()
        }
        "stream" => format!(
            r#"<Connect action="/hook/next?call=1&amp;epoch=2"><Stream url="ws://127.0.0.1:{port}/media" statusCallback="http://127.0.0.1:{port}/hook/streamed?call=1"/></Connect>"#
        ),
        "wait" => r#"<Pause length="30"/>"#.to_owned(),
        "next" => "<Hangup/>".to_owned(),
        _ => return StatusCode::NO_CONTENT.into_response(),
    };
    ([("content-type", "text/xml")], format!("<Response>{verbs}</Response>")).into_response()
}

async fn media(
    State(desk): State<Desk>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    desk.keep("ws", "UPGRADE", &uri, &headers, &[]);
    upgrade.on_upgrade(listen_shortly)
}

/// Hears some frames and closes.
async fn listen_shortly(mut socket: WebSocket) {
    for _ in 0..8 {
        if socket.recv().await.is_none() {
            return;
        }
    }
    let frame = CloseFrame { code: 1000, reason: "".into() };
    // Gone already is closed enough.
    let _gone = socket.send(Message::Close(Some(frame))).await;
    while let Some(Ok(_)) = socket.recv().await {}
}
