//! A stream that a balancer brought to the wrong node: passed through to the right one, message by message.
//!
//! The other node checks signature and token as if Twilio had come to it; here only the signature was checked. Both sides
//! are bounded and watched as a call's own sockets are: a phone that hangs would otherwise be kept alive by us. They are no
//! more than this node would take calls, and an orderly end waits for them as long as for its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use call::limits::PHONE_MESSAGE_BYTES_MAX;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use store::{Node as Peer, Store};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use wire::twilio::signature;

use crate::node::Inner;
use crate::socket::{Dialled, Heard, Socket, code};

/// Says that a stream was passed on already: it is not passed on a second time, whatever the list of nodes says.
const SPLICED_HEADER: HeaderName = HeaderName::from_static("x-switchboard-spliced");

/// The list of nodes is asked for at most so often, whether the store answers or not.
const PEERS_FRESH: Duration = Duration::from_secs(2);

/// The store has so long to answer: Twilio is waiting. A list that was read before serves as well.
const PEERS_WITHIN: Duration = Duration::from_secs(1);

/// The other nodes, as last read.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The store's last answer.
    peers: Arc<[Peer]>,
    /// The last question, with when it was asked. Whoever comes meanwhile waits for the same answer, and nobody asks
    /// again before its time: a store that is away costs one wait, not one for each stream.
    asked: Option<(Instant, Asking)>,
}

/// The store's answer, if it gives one.
type Asking = Shared<BoxFuture<'static, Option<Arc<[Peer]>>>>;

impl Peers {
    /// Where a living node is reached.
    async fn address_of(&self, store: &Store, name: &str) -> Option<String> {
        let asking = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &known.asked {
                Some((at, asking)) if at.elapsed() < PEERS_FRESH => asking.clone(),
                Some(_) | None => {
                    let asking = ask(store.clone()).boxed().shared();
                    known.asked = Some((Instant::now(), asking.clone()));
                    asking
                }
            }
        };
        let answer = asking.await;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peers) = answer {
            known.peers = peers;
        }
        // Whether it lives is found out by dialling it: one cut off from the store keeps its calls.
        known.peers.iter().find(|peer| peer.name == name).map(|peer| peer.address.clone())
    }
}

async fn ask(store: Store) -> Option<Arc<[Peer]>> {
    match tokio::time::timeout(PEERS_WITHIN, store.nodes()).await {
        Ok(Ok(peers)) => return Some(peers.into()),
        Ok(Err(error)) => tracing::warn!(%error, "failed to read the list of nodes"),
        Err(_) => tracing::warn!("failed to read the list of nodes in time"),
    }
    None
}

/// Passes a stream, or a dashboard's socket, through to the node it is for, at this path there.
pub(crate) async fn through(
    node: Arc<Inner>,
    name: &str,
    path: &str,
    headers: &HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let unknown = (StatusCode::NOT_FOUND, "there is no such node").into_response();
    if headers.contains_key(&SPLICED_HEADER) || !crate::config::is_node_name(name) {
        return unknown;
    }
    // Counted before the first wait: what it takes to find and dial the other node is bounded with the rest.
    let Some(place) = node.spliced.take() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many streams at once").into_response();
    };
    let ending = node.tasks.token();
    let Some(address) = node.peers.address_of(&node.store, name).await else { return unknown };
    let url = format!("{}{path}", address.replacen("http", "ws", 1));
    let Ok(mut request) = url.into_client_request() else { return unknown };
    request.headers_mut().insert(SPLICED_HEADER, HeaderValue::from_static("1"));
    for name in [signature::HEADER, signature::SETTINGS_HEADER, header::USER_AGENT.as_str()] {
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name.as_bytes()), headers.get(name)) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    match node.dialler.open_request(request, PHONE_MESSAGE_BYTES_MAX).await {
        Ok(peer) => {
            node.figures.streams_spliced.one();
            tracing::info!(node = name, "a stream is passed through to another node");
            upgrade.on_upgrade(move |phone| async move {
                let now = Instant::now();
                pass(&node, Socket::new(phone, now), Socket::new(peer, now)).await;
                drop((place, ending));
            })
        }
        Err(why) => {
            tracing::warn!(node = name, ?why, "failed to reach the node that a stream is for");
            (StatusCode::BAD_GATEWAY, "the node does not answer").into_response()
        }
    }
}

/// Passes messages both ways, until one side ends, falls silent or takes no more.
async fn pass(node: &Inner, mut phone: Socket<WebSocket>, mut peer: Socket<Dialled>) {
    let (code, reason) = loop {
        let watch_at = phone.watch_at().min(peer.watch_at());
        tokio::select! {
            heard = phone.next() => match heard {
                Heard::Text(text) if peer.queue(text.as_str().to_owned()).is_ok() => {}
                Heard::Text(_) => break (code::TRY_AGAIN, "the node takes no more"),
                // Twilio sends no binary messages; one of them means nothing, here and there.
                Heard::Binary | Heard::Quiet => {}
                Heard::TooBig => break (code::TOO_BIG, "message too big"),
                Heard::Lost(_) => break (code::GOING_AWAY, ""),
            },
            heard = peer.next() => match heard {
                Heard::Text(text) if phone.queue(text.to_owned()).is_ok() => {}
                Heard::Text(_) => break (code::TRY_AGAIN, "the phone takes no more"),
                Heard::Binary | Heard::Quiet => {}
                Heard::TooBig => break (code::TOO_BIG, "message too big"),
                Heard::Lost(code) => break (code.unwrap_or(code::GOING_AWAY), ""),
            },
            // The other node sees its phone go, and the call goes on from there over another way.
            () = node.leaving.cancelled() => break (code::GOING_AWAY, "going away"),
            () = tokio::time::sleep_until(watch_at.into()) => {
                let now = Instant::now();
                if phone.watch(now).and(peer.watch(now)).is_err() {
                    node.figures.peers_silent.one();
                    break (code::GOING_AWAY, "silent");
                }
            }
        }
    };
    // Codes below 1000 and some above may be received but never sent (RFC 6455, section 7.4).
    let code = if matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) { code } else { code::GOING_AWAY };
    tokio::join!(phone.close(code, reason), peer.close(code, reason));
}
