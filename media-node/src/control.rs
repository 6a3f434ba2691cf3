//! What the control plane asks of a node: prepare a call, do something with it, say what comes next.
//!
//! Every request is signed; the only way to a body here is through [`Signed`]. All of them may come twice.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Path, Query, State};
use axum::response::{IntoResponse, Response};
use call::breaker::NoCredentials;
use call::prepare::{BODY_BYTES_MAX, Kept, Prepare};
use call::{CallId, Command};
use http::{Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wire::signed;

use crate::bridge;
use crate::node::Inner;
use crate::sessions::{self, Admission};

/// Why a request is not done. The body of the answer says it in words (RFC 9457).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the request is not signed by the control plane")]
    NotSigned,
    #[error("this is another node")]
    OtherNode,
    #[error("the request cannot be read: {0}")]
    Unreadable(String),
    #[error("the call is not on this node")]
    NoSuchCall,
    #[error("the node has no room for another call")]
    Full,
    #[error("the node is going down")]
    Draining,
    #[error("the call takes no more requests")]
    Busy,
    #[error("failed to {0}")]
    NoEngine(#[from] NoCredentials),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotSigned => StatusCode::FORBIDDEN,
            Self::OtherNode => StatusCode::MISDIRECTED_REQUEST,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchCall => StatusCode::NOT_FOUND,
            Self::Full | Self::Draining | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            // Another node could have credentials, but they all get the same ones: it is not worth asking around.
            Self::NoEngine(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem =
            serde_json::json!({ "type": "about:blank", "title": self.to_string(), "status": status.as_u16() });
        (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
    }
}

/// A request that the control plane signed, for this node: the call it is about, and its body.
#[derive(Debug)]
pub(crate) struct Signed<T> {
    call: CallId,
    body: T,
}

/// What a request may carry.
pub(crate) trait Content: Sized {
    fn read(body: &[u8]) -> Result<Self, String>;
}

/// A body of JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(T);

impl<T: DeserializeOwned> Content for Json<T> {
    fn read(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map(Self).map_err(|error| error.to_string())
    }
}

impl Content for () {
    fn read(_: &[u8]) -> Result<Self, String> {
        Ok(())
    }
}

#[derive(Deserialize)]
struct Place {
    node: String,
    call: String,
}

impl<T: Content> FromRequest<Arc<Inner>> for Signed<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request<Body>, node: &Arc<Inner>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let body: Bytes =
            to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| Refusal::Unreadable(error.to_string()))?;
        // A router may be mounted below a path; what was signed is what stands in the request line.
        let uri =
            parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.clone(), |original| original.0.clone());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let signature = parts.headers.get(signed::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let request = signed::Request { method: parts.method.as_str(), path, body: &body };
        if let Err(error) = signed::verify(&node.config.secrets, request, signature, node.unix_seconds()) {
            node.figures.signatures_refused.one();
            tracing::warn!(%error, "a request to this node was refused");
            return Err(Refusal::NotSigned);
        }
        let place = Path::<Place>::from_request_parts(&mut parts, node).await;
        let Path(place) = place.map_err(|error| Refusal::Unreadable(error.to_string()))?;
        if place.node != node.config.node {
            return Err(Refusal::OtherNode);
        }
        let call = place.call.parse().map_err(|error| Refusal::Unreadable(format!("{error}")))?;
        Ok(Self { call, body: T::read(&body).map_err(Refusal::Unreadable)? })
    }
}

/// Gets a call ready: answered at once, while the engine is dialled.
pub(crate) async fn prepare(
    State(node): State<Arc<Inner>>,
    Signed { call, body: Json(prepare) }: Signed<Json<Prepare>>,
) -> Result<StatusCode, Refusal> {
    let Prepare { mut setup, account_sid, call_sid } = prepare;
    if setup.call != call || setup.epoch == 0 {
        return Err(Refusal::Unreadable("the body is about another call, or about none of its epochs".to_owned()));
    }
    let now = Instant::now();
    let key = (call, setup.epoch);
    // A node that knows the epoch has nothing to decide, not even about engines.
    if node.sessions.find(key).is_some() || node.sessions.kept(key, now).is_some() {
        return Ok(StatusCode::ACCEPTED);
    }
    let admitted = match node.sessions.admit(key, account_sid, call_sid, now) {
        Admission::Known => return Ok(StatusCode::ACCEPTED),
        Admission::New(session, inbox) => Ok((session, inbox)),
        Admission::Full => Err(Refusal::Full),
        Admission::Draining => Err(Refusal::Draining),
    };
    let (session, inbox) = admitted.inspect_err(|_| node.figures.calls_refused.one())?;
    let engines = node.breaker().filter(&setup.engines, now);
    setup.engines = match engines {
        Ok(engines) => engines,
        Err(error) => {
            node.sessions.forget(key);
            node.figures.calls_refused.one();
            tracing::error!(call.id = %call, %error, "a call was refused");
            return Err(error.into());
        }
    };
    node.figures.calls_prepared.one();
    tracing::info!(call.id = %call, call.epoch = key.1, engines = ?setup.engines, "a call is prepared");
    bridge::start(&node, session, setup, inbox);
    Ok(StatusCode::ACCEPTED)
}

/// Does something with a live call.
pub(crate) async fn command(
    State(node): State<Arc<Inner>>,
    Signed { call, body: Json(command) }: Signed<Json<Command>>,
) -> Result<StatusCode, Refusal> {
    let session = node.sessions.newest(call).ok_or(Refusal::NoSuchCall)?;
    session.ask(sessions::Request::Command(command)).map_err(|sessions::Busy| Refusal::Busy)?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize)]
pub(crate) struct NextQuery {
    epoch: u32,
}

/// Says what Twilio shall be told, if the node has decided it: 204 if it knows the epoch and has not.
pub(crate) async fn next(
    State(node): State<Arc<Inner>>,
    Query(NextQuery { epoch }): Query<NextQuery>,
    Signed { call, body: () }: Signed<()>,
) -> Result<Response, Refusal> {
    match node.sessions.kept((call, epoch), Instant::now()) {
        None => Err(Refusal::NoSuchCall),
        Some(None) => Ok(StatusCode::NO_CONTENT.into_response()),
        Some(Some(next)) => Ok(axum::Json(Kept { epoch, next }).into_response()),
    }
}
