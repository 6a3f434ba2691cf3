//! A media node and Twilio's REST interface, of a few lines each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::response::{IntoResponse, Response};
use call::journal::NextStep;
use call::prepare::{Kept, Prepare};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::Store;
use wire::signed::{self, Secrets};
use wire::twilio::{CallSid, Form};

use crate::world::{CALLER, OURS, SECRET};

/// A media node: remembers what it is asked, and checks each signature.
#[derive(Clone)]
pub(crate) struct FakeNode {
    pub(crate) name: String,
    pub(crate) url: String,
    state: Arc<Mutex<NodeMemory>>,
    store: Store,
}

#[derive(Default)]
pub(crate) struct NodeMemory {
    pub(crate) prepared: Vec<Prepare>,
    pub(crate) commands: Vec<Value>,
    pub(crate) asked_next: usize,
    pub(crate) kept: Option<Kept>,
    pub(crate) refuses: bool,
    pub(crate) hangs: bool,
    /// Takes what it is asked to prepare, and does not say so.
    pub(crate) mumbles: bool,
}

impl FakeNode {
    pub(crate) async fn start(name: &str, store: Store) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = Self { name: name.to_owned(), url, state: Arc::default(), store };
        let app = Router::new().fallback(Self::answer).with_state(node.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        node
    }

    pub(crate) fn memory<T>(&self, look: impl FnOnce(&mut NodeMemory) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    pub(crate) fn keeps(&self, epoch: u32, next: NextStep) {
        self.memory(|memory| memory.kept = Some(Kept { epoch, next }));
    }

    async fn answer(State(node): State<Self>, OriginalUri(uri): OriginalUri, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 22).await.unwrap();
        let path = uri.path_and_query().unwrap().as_str();
        let value = parts.headers.get(signed::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let request = signed::Request { method: parts.method.as_str(), path, body: &body };
        let now = node.store.now().as_ms() / 1_000;
        if signed::verify(&Secrets::parse(SECRET).unwrap(), request, value, now).is_err() {
            return StatusCode::FORBIDDEN.into_response();
        }
        assert!(path.starts_with(&format!("/nodes/{}/calls/", node.name)));
        if node.memory(|memory| memory.hangs) {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        if path.ends_with("/prepare") && node.memory(|memory| memory.mumbles) {
            node.memory(|memory| memory.prepared.push(serde_json::from_slice(&body).unwrap()));
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let mut memory = node.state.lock().unwrap();
        if memory.refuses {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if path.ends_with("/prepare") {
            memory.prepared.push(serde_json::from_slice(&body).unwrap());
            StatusCode::ACCEPTED.into_response()
        } else if path.ends_with("/command") {
            memory.commands.push(serde_json::from_slice(&body).unwrap());
            StatusCode::ACCEPTED.into_response()
        } else {
            memory.asked_next += 1;
            match &memory.kept {
                Some(kept) => axum::Json(kept.clone()).into_response(),
                None => StatusCode::NO_CONTENT.into_response(),
            }
        }
    }
}

/// Twilio's REST interface: remembers the calls it was asked to place.
#[derive(Clone)]
pub(crate) struct FakeTwilio {
    pub(crate) url: String,
    state: Arc<Mutex<TwilioMemory>>,
}

#[derive(Default)]
pub(crate) struct TwilioMemory {
    pub(crate) created: Vec<Form>,
    pub(crate) calls: Vec<Value>,
    pub(crate) updated: Vec<(String, Form)>,
    /// Refuses calls with this code.
    pub(crate) refuses: Option<u32>,
    /// Takes calls and does not answer.
    pub(crate) loses_answers: bool,
    /// Its list of calls has no end.
    pub(crate) endless: bool,
    /// Drops requests without taking them.
    pub(crate) loses_requests: bool,
}

impl FakeTwilio {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let twilio = Self { url, state: Arc::default() };
        let app = Router::new().fallback(Self::answer).with_state(twilio.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        twilio
    }

    pub(crate) fn memory<T>(&self, look: impl FnOnce(&mut TwilioMemory) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    async fn answer(State(twilio): State<Self>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let form = Form::parse(&axum::body::to_bytes(body, 1 << 20).await.unwrap());
        let path = parts.uri.path().to_owned();
        let (answer, silent) = twilio.memory(|memory| memory.answer(&parts.method, &path, form));
        if silent {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        answer
    }
}

impl TwilioMemory {
    fn answer(&mut self, method: &Method, path: &str, form: Form) -> (Response, bool) {
        if path.ends_with("/Calls.json") && *method == Method::POST {
            if self.loses_requests {
                return (StatusCode::OK.into_response(), true);
            }
            self.created.push(form);
            if let Some(code) = self.refuses {
                let error = json!({ "code": code, "message": "no", "status": 400, "more_info": "" });
                return ((StatusCode::BAD_REQUEST, axum::Json(error)).into_response(), false);
            }
            let sid = CallSid::from_number(9_000 + self.created.len() as u128);
            let call = json!({
                "sid": sid, "status": "queued", "to": CALLER, "from": OURS,
                "date_created": "Fri, 20 Nov 2026 10:00:00 +0000",
            });
            self.calls.push(call.clone());
            return ((StatusCode::CREATED, axum::Json(call)).into_response(), self.loses_answers);
        }
        if path.ends_with("/Calls.json") {
            let next = self.endless.then(|| format!("{path}?Page=1"));
            return (axum::Json(json!({ "calls": self.calls, "next_page_uri": next })).into_response(), false);
        }
        let sid = path.rsplit('/').next().unwrap().trim_end_matches(".json").to_owned();
        let Some(call) = self.calls.iter().find(|call| call["sid"] == sid.as_str()).cloned() else {
            let error = json!({ "code": 20404, "message": "no such call", "status": 404 });
            return ((StatusCode::NOT_FOUND, axum::Json(error)).into_response(), false);
        };
        if *method == Method::POST {
            self.updated.push((sid, form));
        }
        (axum::Json(call).into_response(), false)
    }
}
