//! `WS /media-stream/{node}`: how a phone's audio finds its call.
//!
//! The upgrade is checked against Twilio's signature, then the stream's `start` against a token of ours that names call,
//! epoch and node, is good for a minute, and opens one stream. The signature alone could be replayed, the token alone
//! could be guessed at by nobody; without an auth token in the configuration the second one stands alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use call::CallId;
use call::limits::PHONE_MESSAGE_BYTES_MAX;
use http::{HeaderMap, StatusCode};
use wire::token::{StreamToken, TokenError};
use wire::twilio::signature::{self, Headers};
use wire::twilio::stream::{self, Inbound, Start};

use crate::node::Inner;
use crate::sessions::{Request, Session};
use crate::socket::{Heard, READ_BUFFER_BYTES, Socket, WRITE_BUFFER_BYTES_MAX, code};
use crate::splice;

/// `start` follows the opening at once (Twilio: voice/media-streams/websocket-messages).
const START_WITHIN: Duration = Duration::from_secs(5);

/// Streams that have not said whose they are. Each waits for [`START_WITHIN`] at most.
pub(crate) const NAMELESS_MAX: u64 = 512;

/// The stream's parameters (`<Parameter>` in the TwiML).
const CALL_PARAMETER: &str = "call";
const TOKEN_PARAMETER: &str = "token";

/// Opens a stream, here or on the node it is for.
pub(crate) async fn upgrade(
    State(node): State<Arc<Inner>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Err(error) = check_signature(&node, &name, &headers) {
        node.figures.signatures_refused.one();
        tracing::warn!(%error, "a stream's upgrade was refused");
        return (StatusCode::FORBIDDEN, "the signature does not fit").into_response();
    }
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(PHONE_MESSAGE_BYTES_MAX)
        .max_frame_size(PHONE_MESSAGE_BYTES_MAX);
    if name != node.config.node {
        let path = format!("/media-stream/{name}");
        return splice::through(node, &name, &path, &headers, upgrade).await;
    }
    let Some(place) = node.nameless.take() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many streams at once").into_response();
    };
    upgrade.on_upgrade(move |socket| async move {
        let named = join(&node, socket).await;
        drop(place);
        if let Err((socket, Refused { code, reason })) = named {
            tracing::warn!(reason, "a stream was closed");
            socket.close(code, reason).await;
        }
    })
}

fn check_signature(node: &Inner, name: &str, headers: &HeaderMap) -> Result<(), signature::SignatureError> {
    let Some(verifier) = &node.config.twilio else { return Ok(()) };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let url = format!("{}/{name}", node.config.media_stream_url);
    let signed = Headers { signature: header(signature::HEADER), settings: header(signature::SETTINGS_HEADER) };
    verifier.verify_upgrade(&url, signed)
}

/// Why a stream is closed.
struct Refused {
    code: u16,
    reason: &'static str,
}

const fn refused(reason: &'static str) -> Refused {
    Refused { code: code::POLICY, reason }
}

type Phone = Box<Socket<WebSocket>>;

/// Hands the stream to its call, or gives it back with the reason.
async fn join(node: &Inner, socket: WebSocket) -> Result<(), (Phone, Refused)> {
    let mut socket = Box::new(Socket::new(socket, Instant::now()));
    let start = match tokio::time::timeout(START_WITHIN, start(node, &mut socket)).await {
        Ok(Ok(start)) => start,
        Ok(Err(refused)) => return Err((socket, refused)),
        Err(_) => {
            node.figures.streams_without_token.one();
            return Err((socket, refused("no start in time")));
        }
    };
    match admit(node, &start) {
        Ok(session) => {
            node.figures.streams_joined.one();
            // A loop that ended meanwhile drops the socket, which closes it.
            session.ask(Request::Join(socket, start.stream_sid)).ok();
            Ok(())
        }
        Err(refused) => Err((socket, refused)),
    }
}

/// Reads up to the message that says whose stream it is.
async fn start(node: &Inner, socket: &mut Socket<WebSocket>) -> Result<Start, Refused> {
    loop {
        match socket.next().await {
            Heard::Text(text) => {
                if let Ok(Inbound::Start(start)) = stream::parse(&text) {
                    return Ok(start);
                }
            }
            Heard::Binary | Heard::Quiet => {}
            Heard::TooBig => {
                node.figures.messages_too_big.one();
                return Err(Refused { code: code::TOO_BIG, reason: "message too big" });
            }
            Heard::Lost(_) => {
                node.figures.streams_without_token.one();
                return Err(refused("gone before its start"));
            }
        }
    }
}

/// The call that this stream may join, which is then taken for it.
fn admit(node: &Inner, start: &Start) -> Result<Arc<Session>, Refused> {
    let figures = &node.figures;
    let token = start.custom_parameters.get(TOKEN_PARAMETER).map_or("", String::as_str);
    let token = StreamToken::verify(&node.config.secrets, token, node.unix_seconds()).map_err(|error| match error {
        TokenError::Expired => {
            figures.tokens_expired.one();
            refused("expired token")
        }
        TokenError::Malformed | TokenError::Forged => {
            figures.tokens_forged.one();
            refused("not a valid token")
        }
    })?;
    let misplaced = |reason| {
        figures.tokens_misplaced.one();
        refused(reason)
    };
    let named = start.custom_parameters.get(CALL_PARAMETER);
    if token.node != node.config.node || named.is_some_and(|call| *call != token.call) {
        return Err(misplaced("token of another node or call"));
    }
    let call: CallId = token.call.parse().map_err(|_| misplaced("token of no call"))?;
    let key = (call, token.epoch);
    let Some(session) = node.sessions.find(key) else {
        if node.sessions.kept(key, Instant::now()).is_some() {
            figures.tokens_used.one();
            return Err(refused("the stream of this token is over"));
        }
        return Err(misplaced("the call is not prepared here"));
    };
    let other_call = session.call_sid.is_some_and(|sid| sid != start.call_sid);
    if session.account_sid != start.account_sid || other_call {
        return Err(misplaced("stream of another account or call"));
    }
    if start.media_format.as_ref().is_some_and(|format| !format.is_telephone()) {
        return Err(refused("not telephone audio"));
    }
    if !session.take() {
        figures.tokens_used.one();
        return Err(refused("used token"));
    }
    Ok(session)
}
