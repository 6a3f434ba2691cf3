//! A service on a port of its own that remembers what it was asked, and answers by a list.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use clients::BaseUrl;

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `GET /path?query`.
    pub(crate) line: String,
    /// The credential it came with.
    pub(crate) credential: String,
    /// The body.
    pub(crate) body: String,
}

/// What the service does with a request.
pub(crate) enum Reply {
    /// This status, with this body.
    With(u16, &'static str),
    /// The same, and a header.
    WithHeader(u16, &'static str, &'static str),
    /// Nothing, ever.
    Never,
}

/// The service.
#[derive(Clone, Default)]
pub(crate) struct Service {
    asked: Arc<Mutex<Vec<Asked>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
}

impl Service {
    /// Starts it. When the replies are used up it answers 418.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> (Self, BaseUrl) {
        let service = Self { asked: Arc::default(), replies: Arc::new(Mutex::new(replies.into_iter().collect())) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(answer).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (service, base)
    }

    /// All that it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(service): State<Service>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let keys = ["authorization", "x-hume-api-key", "x-goog-api-key"];
    let credential = keys.into_iter().find_map(header).unwrap_or_default();
    let line = format!("{} {}", head.method, head.uri);
    let body: Bytes = axum::body::to_bytes(body, 65_536).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    service.asked.lock().unwrap().push(Asked { line, credential, body });
    let reply = service.replies.lock().unwrap().pop_front();
    let status = |status: u16| axum::http::StatusCode::from_u16(status).unwrap();
    match reply {
        Some(Reply::With(code, body)) => (status(code), body).into_response(),
        Some(Reply::WithHeader(code, name, value)) => (status(code), [(name, value)], "").into_response(),
        Some(Reply::Never) => std::future::pending().await,
        None => status(418).into_response(),
    }
}
