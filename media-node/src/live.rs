//! `WS /live`: the journal as it is written, for dashboards.
//!
//! The first message is a live token, within five seconds; a browser's `Origin` must be the control plane's own. The
//! second says what to follow: `{"subscribe":"all"}` or `{"subscribe":"call_…"}`, and may be repeated. It is answered with
//! `{"following":"all"}`; from then on each entry comes as `{"call":"call_…","entry":{…}}`. With `"levels":true` in the
//! subscription, how loud both voices are comes as well, five times a second: `{"call":"call_…","levels":{"caller":0,
//! "agent":40}}`, from 0 to 100. What came before is read from the API with `?after=`. A reader that is too slow is dropped
//! with a reason: it must never cost a call anything. Who follows a call is on record beside it, like who read its
//! transcript, before the first entry is shown; where that cannot be written nothing is shown.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use call::CallId;
use call::journal::Entry;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use store::AccessKind;
use tokio::sync::broadcast;
use wire::token::{LiveToken, TOKEN_CHARS_MAX};

use crate::node::Inner;
use crate::room::Room;
use crate::socket::{Heard, READ_BUFFER_BYTES, Socket, WRITE_BUFFER_BYTES_MAX, code};
use crate::splice;

/// Entries that may wait for the slowest reader.
const BACKLOG_MAX: usize = 1_024;

/// Dashboards at once. Each costs a copy of every entry it follows.
const SOCKETS_MAX: u64 = 64;

/// The token comes within this time.
const TOKEN_WITHIN: Duration = Duration::from_secs(5);

/// Who follows is on record within this time. A dashboard's entries wait for it, and no call does.
const NOTED_WITHIN: Duration = Duration::from_secs(2);

/// No message of a dashboard is longer than a token.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Entries on their way to dashboards.
#[derive(Debug)]
pub(crate) struct Live {
    entries: broadcast::Sender<Arc<Published>>,
    sockets: Room,
    /// Those who want to see levels.
    watching: AtomicUsize,
}

#[derive(Debug)]
struct Published {
    call: CallId,
    text: String,
    is_level: bool,
}

#[derive(Serialize)]
struct LevelsMessage {
    call: CallId,
    levels: BothLevels,
}

#[derive(Serialize)]
struct BothLevels {
    caller: u8,
    agent: u8,
}

#[derive(Serialize)]
struct FollowingMessage<'a> {
    following: &'a str,
}

#[derive(Serialize)]
struct Message<'a> {
    call: CallId,
    entry: &'a Entry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    subscribe: String,
    #[serde(default)]
    levels: bool,
}

#[derive(Clone, Copy)]
enum Following {
    Nothing,
    All,
    One(CallId),
}

impl Default for Live {
    fn default() -> Self {
        Self {
            entries: broadcast::channel(BACKLOG_MAX).0,
            sockets: Room::new(SOCKETS_MAX),
            watching: AtomicUsize::new(0),
        }
    }
}

impl Live {
    /// Shows an entry to whoever follows the call.
    pub(crate) fn publish(&self, call: CallId, entry: &Entry) {
        if self.entries.receiver_count() == 0 {
            return;
        }
        if let Ok(text) = serde_json::to_string(&Message { call, entry }) {
            // Without a receiver there is nobody to tell.
            self.entries.send(Arc::new(Published { call, text, is_level: false })).ok();
        }
    }

    /// Whether anybody wants to see how loud the voices are.
    pub(crate) fn wants_levels(&self) -> bool {
        self.watching.load(Ordering::Relaxed) > 0
    }

    /// Shows how loud both voices are, from 0 to 100.
    pub(crate) fn publish_levels(&self, call: CallId, (caller, agent): (u8, u8)) {
        let message = LevelsMessage { call, levels: BothLevels { caller, agent } };
        if let Ok(text) = serde_json::to_string(&message) {
            self.entries.send(Arc::new(Published { call, text, is_level: true })).ok();
        }
    }

    pub(crate) fn sockets(&self) -> u64 {
        self.sockets.taken()
    }
}

/// Which node's calls a dashboard wants to follow; none for those of whoever answers.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    node: Option<String>,
}

/// Opens a dashboard's socket, here or at the node that is meant.
pub(crate) async fn upgrade(
    State(node): State<Arc<Inner>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !is_own_origin(&headers, &node.config.public_base_url, &node.config.local_origins) {
        return (StatusCode::FORBIDDEN, "another origin").into_response();
    }
    if let Some(other) = wanted.node.filter(|name| *name != node.config.node) {
        let path = format!("/live?node={other}");
        return splice::through(node, &other, &path, &headers, upgrade).await;
    }
    let Some(place) = node.live.sockets.take() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many dashboards").into_response();
    };
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    upgrade.on_upgrade(move |socket| async move {
        serve(&node, Socket::new(socket, Instant::now())).await;
        drop(place);
    })
}

/// A browser always names the page's origin; whoever names none is no browser, and has nothing but its token.
fn is_own_origin(headers: &HeaderMap, base_url: &str, local: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let scheme_end = base_url.find("://").map_or(0, |at| at + 3);
    let end = base_url[scheme_end..].find('/').map_or(base_url.len(), |at| scheme_end + at);
    let ours = local.iter().map(String::as_bytes).chain([&base_url.as_bytes()[..end]]);
    ours.into_iter().any(|ours| origin.as_bytes().eq_ignore_ascii_case(ours))
}

async fn serve(node: &Inner, mut socket: Socket<WebSocket>) {
    let (code, reason) = match tokio::time::timeout(TOKEN_WITHIN, token(node, &mut socket)).await {
        Ok(Ok(name)) => follow(node, &mut socket, Reader { name, hour: 0, noted: BTreeSet::new() }).await,
        Ok(Err(reason)) => (code::POLICY, reason),
        Err(_) => (code::POLICY, "no token in time"),
    };
    socket.close(code, reason).await;
}

/// The name of the person whose token comes.
async fn token(node: &Inner, socket: &mut Socket<WebSocket>) -> Result<String, &'static str> {
    loop {
        match socket.next().await {
            Heard::Text(text) if text.len() <= TOKEN_CHARS_MAX => {
                let read = LiveToken::verify(&node.config.secrets, &text, node.unix_seconds());
                return read.map(|token| token.user).map_err(|_| {
                    node.figures.tokens_forged.one();
                    "not a valid token"
                });
            }
            Heard::Quiet => {}
            Heard::Text(_) | Heard::Binary | Heard::TooBig | Heard::Lost(_) => return Err("not a token"),
        }
    }
}

/// Who follows, and of which calls that is on record.
struct Reader {
    name: String,
    /// The hour for which it is, counted from 1970.
    hour: u64,
    /// One for each call that was under way here in that hour.
    noted: BTreeSet<CallId>,
}

impl Reader {
    /// Whether it is on record that this call is followed.
    async fn is_noted(&mut self, node: &Inner, call: CallId) -> bool {
        let hour = node.unix_seconds() / 3_600;
        if self.hour != hour {
            (self.hour, self.noted) = (hour, BTreeSet::new());
        }
        if self.noted.contains(&call) {
            return true;
        }
        let note = node.store.note_access(call, &self.name, AccessKind::Live);
        match tokio::time::timeout(NOTED_WITHIN, note).await {
            Ok(Ok(())) => self.noted.insert(call),
            Ok(Err(error)) => {
                tracing::warn!(call.id = %call, %error, "who follows a call cannot be put on record");
                false
            }
            Err(_) => {
                tracing::warn!(call.id = %call, "who follows a call cannot be put on record in time");
                false
            }
        }
    }
}

/// Sends what is followed, until the other side leaves or must go.
async fn follow(node: &Inner, socket: &mut Socket<WebSocket>, mut reader: Reader) -> (u16, &'static str) {
    let mut entries = node.live.entries.subscribe();
    let mut following = Following::Nothing;
    let mut watcher: Option<Watcher<'_>> = None;
    loop {
        let watch_at = socket.watch_at();
        tokio::select! {
            heard = socket.next() => match heard {
                Heard::Text(text) => match wanted(&text) {
                    Some((wanted, levels, name)) => {
                        following = wanted;
                        watcher = levels.then(|| Watcher::new(&node.live.watching));
                        let answer = serde_json::to_string(&FollowingMessage { following: &name }).unwrap_or_default();
                        if socket.queue(answer).is_err() {
                            return (code::TRY_AGAIN, "too slow");
                        }
                    }
                    None => return (code::POLICY, "not a subscription"),
                },
                Heard::Quiet => {}
                Heard::Binary => return (code::POLICY, "not a subscription"),
                Heard::TooBig => return (code::TOO_BIG, "too big"),
                Heard::Lost(_) => return (code::NORMAL, ""),
            },
            published = entries.recv() => match published {
                Ok(published) if published.is_level && watcher.is_none() => {}
                Ok(published) if follows(following, published.call) => {
                    if !reader.is_noted(node, published.call).await {
                        return (code::TRY_AGAIN, "no record can be made of who follows");
                    }
                    if socket.queue(published.text.clone()).is_err() {
                        node.figures.live_dropped.one();
                        return (code::TRY_AGAIN, "too slow");
                    }
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    node.figures.live_dropped.one();
                    return (code::TRY_AGAIN, "too slow");
                }
                Err(broadcast::error::RecvError::Closed) => return (code::GOING_AWAY, "going away"),
            },
            () = tokio::time::sleep_until(watch_at.into()) => {
                if socket.watch(Instant::now()).is_err() {
                    return (code::GOING_AWAY, "silent");
                }
            }
            () = node.stop.cancelled() => return (code::GOING_AWAY, "going away"),
        }
    }
}

/// What a subscription asks for, whether with levels, and as what it is confirmed.
fn wanted(text: &str) -> Option<(Following, bool, String)> {
    let Request { subscribe, levels } = serde_json::from_str(text).ok()?;
    let following = if subscribe == "all" { Following::All } else { Following::One(subscribe.parse().ok()?) };
    Some((following, levels, subscribe))
}

/// Counts somebody who wants to see levels, for as long as they do.
struct Watcher<'a>(&'a AtomicUsize);

impl<'a> Watcher<'a> {
    fn new(watching: &'a AtomicUsize) -> Self {
        watching.fetch_add(1, Ordering::Relaxed);
        Self(watching)
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn follows(following: Following, call: CallId) -> bool {
    match following {
        Following::Nothing => false,
        Following::All => true,
        Following::One(one) => one == call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_control_planes_own_pages_may_look() {
        let headers =
            |origin: &'static str| HeaderMap::from_iter([(header::ORIGIN, http::HeaderValue::from_static(origin))]);
        assert!(is_own_origin(&headers("https://calls.example.com"), "https://calls.example.com", &[]));
        assert!(is_own_origin(&headers("https://calls.example.com"), "https://calls.example.com/base", &[]));
        assert!(is_own_origin(&HeaderMap::new(), "https://calls.example.com", &[]));
        let local = ["http://127.0.0.1:8080".to_owned()];
        assert!(is_own_origin(&headers("http://127.0.0.1:8080"), "https://calls.example.com", &local));
        assert!(!is_own_origin(&headers("http://127.0.0.1:8081"), "https://calls.example.com", &local));
        for other in
            ["https://evil.example", "http://calls.example.com", "https://calls.example.com.evil.example", "null"]
        {
            assert!(!is_own_origin(&headers(other), "https://calls.example.com", &[]), "{other}");
        }
    }

    #[test]
    fn a_subscription_is_all_or_one_call() {
        assert!(matches!(wanted(r#"{"subscribe":"all"}"#), Some((Following::All, false, _))));
        assert!(matches!(wanted(r#"{"subscribe":"all","levels":true}"#), Some((Following::All, true, _))));
        let call = CallId::new(1, 2);
        let (one, _, name) = wanted(&format!(r#"{{"subscribe":"{call}"}}"#)).unwrap();
        assert_eq!(name, call.to_string());
        assert!(follows(one, call) && !follows(one, CallId::new(1, 3)) && !follows(Following::Nothing, call));
        for wrong in ["", "{}", r#"{"subscribe":"everything"}"#, r#"{"subscribe":"all","x":1}"#] {
            assert!(wanted(wrong).is_none(), "{wrong}");
        }
    }
}
