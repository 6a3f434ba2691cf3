//! The media nodes, as the control plane sees them: which one takes a call, and what is asked of it.
//!
//! Two nodes are drawn and the less loaded one is asked first: nearly as good as asking the least loaded of all, and not
//! all processes run to the same one. The draw comes from the call's id, so that a repeated request draws the same two.
//! Requests are signed, bounded, and safe to repeat.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use call::journal::NextStep;
use call::prepare::{BODY_BYTES_MAX, Kept, Prepare, command_path, next_path, prepare_path};
use call::{CallId, Command};
use http::StatusCode;
use reqwest::{Client, Method};
use store::{CallRecord, Node, Recorded, Store, StoreError, Watch};
use wire::signed::{self, Secrets};

/// How long a node may take to answer: the caller is listening to nothing meanwhile.
const ANSWER_MAX: Duration = Duration::from_millis(300);

/// So many nodes are asked to take a call: with [`ANSWER_MAX`], 1.2 s of the time that Twilio waits.
const ASKED_MAX: usize = 4;

/// A node's answer to `next` is this long at most: a sentence.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// What a node says of itself is this long at most: a line for each of its calls.
const STATUS_BYTES_MAX: usize = 256 << 10;

/// The media nodes.
#[derive(Clone, Debug)]
pub struct Nodes {
    store: Store,
    secrets: Secrets,
    http: Client,
    watch: Watch,
}

/// What became of asking some nodes to take a call.
#[derive(Debug)]
pub(crate) struct Asked<'n> {
    /// The one that takes it.
    pub(crate) took: Option<&'n Node>,
    /// Those that did not answer: they may have heard the request all the same, and wait for a stream with an engine that
    /// costs money.
    pub(crate) silent: Vec<&'n Node>,
    /// Those that said no.
    pub(crate) refused: Vec<&'n Node>,
}

/// Why a node did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// It is not in the list, or was not heard of for too long.
    #[error("the node is gone")]
    Gone,
    /// No answer in time.
    #[error("the node does not answer")]
    Silent,
    /// It answered with this status.
    #[error("the node answers {0}")]
    Refused(StatusCode),
    /// The list of nodes could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Nodes {
    /// The nodes in this store, reached with requests that these secrets sign.
    ///
    /// # Panics
    ///
    /// The HTTP client cannot be made: this machine has no randomness.
    #[must_use]
    pub fn new(store: Store, secrets: Secrets) -> Self {
        // Nodes are reached on a private network or this machine, past any proxy; the signature is what protects.
        let client = Client::builder().timeout(ANSWER_MAX).connect_timeout(ANSWER_MAX).no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none()).build();
        let http = client.expect("invariant: a client without certificates of its own can be made");
        Self { store, secrets, http, watch: Watch::default() }
    }

    /// The nodes that can take a call, in the order in which they shall be asked: `first` if it can, then the less
    /// loaded of two that are drawn, the other one, and some more. Not `last`, unless there is no other.
    pub(crate) async fn candidates(
        &self,
        call: CallId,
        first: Option<&str>,
        last: Option<&str>,
    ) -> Result<Vec<Node>, StoreError> {
        Ok(in_order(self.living().await?, call, first, last))
    }

    /// The nodes that live, ready or not.
    pub(crate) async fn living(&self) -> Result<Vec<Node>, StoreError> {
        Ok(self.watch.living(self.store.nodes().await?, self.store.now()))
    }

    /// Asks a node to get ready. It answers at once and dials the engine meanwhile.
    pub(crate) async fn prepare(&self, node: &Node, prepare: &Prepare) -> Result<(), NodeError> {
        let path = prepare_path(&node.name, prepare.setup.call);
        let body = serde_json::to_vec(prepare).expect("invariant: texts and numbers are always JSON");
        debug_assert!(body.len() <= BODY_BYTES_MAX, "instructions and history are bounded");
        self.send(&node.address, Method::POST, &path, body).await.map(drop)
    }

    /// Prepares the first of some nodes that is ready to.
    pub(crate) async fn prepare_one<'n>(&self, nodes: &'n [Node], prepare: &Prepare) -> Asked<'n> {
        let mut asked = Asked { took: None, silent: Vec::new(), refused: Vec::new() };
        for node in nodes {
            match self.prepare(node, prepare).await {
                Ok(()) => {
                    asked.took = Some(node);
                    return asked;
                }
                Err(error) => {
                    tracing::warn!(node = node.name, %error, "a node was passed over");
                    match error {
                        NodeError::Refused(_) => asked.refused.push(node),
                        NodeError::Silent | NodeError::Gone | NodeError::Store(_) => asked.silent.push(node),
                    }
                }
            }
        }
        asked
    }

    /// Writes down which node was prepared for the current epoch, and lets those go that may have been and are not
    /// needed. Nobody's answer depends on it.
    ///
    /// # Errors
    ///
    /// It could not be written; who is not needed was told so all the same.
    pub(crate) async fn settle(&self, call: &CallRecord, epoch: u32, asked: &Asked<'_>) -> Result<(), StoreError> {
        let before = call.marks.nodes.get(&epoch).map(String::as_str);
        let took = asked.took.map(|node| node.name.as_str());
        let mut idle: Vec<&str> = asked.silent.iter().map(|node| node.name.as_str()).collect();
        idle.retain(|name| took.is_none() || Some(*name) != before);
        let written = match took.filter(|took| before != Some(*took)) {
            Some(took) => self.store.record_prepared(call.id, epoch, took).await,
            None => Ok(Recorded::Stale),
        };
        // Otherwise the node of before has a stream by now, or is the one that was prepared.
        if written == Ok(Recorded::Applied) {
            idle.extend(before.filter(|name| !asked.refused.iter().any(|node| node.name == *name)));
        }
        let mut releases = tokio::task::JoinSet::new();
        for name in idle {
            let (nodes, name, call) = (self.clone(), name.to_owned(), call.id);
            releases.spawn(async move { nodes.release(&name, call).await });
        }
        while releases.join_next().await.is_some() {}
        written.map(drop)
    }

    /// Asks the node that has a call to do something with it.
    pub(crate) async fn command(&self, node: &str, call: CallId, command: &Command) -> Result<(), NodeError> {
        let address = self.address(node).await?;
        let body = serde_json::to_vec(command).expect("invariant: texts and numbers are always JSON");
        self.send(&address, Method::POST, &command_path(node, call), body).await.map(drop)
    }

    /// What a node says of itself at `/status`; none if it does not answer at once.
    pub(crate) async fn status(&self, node: &Node) -> Option<serde_json::Value> {
        let url = format!("{}/status", node.address.trim_end_matches('/'));
        let answer = self.http.get(url).send().await.ok()?.error_for_status().ok()?;
        let mut bytes = Vec::new();
        let mut answer = answer;
        while let Some(chunk) = answer.chunk().await.ok()? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > STATUS_BYTES_MAX {
                return None;
            }
        }
        serde_json::from_slice(&bytes).ok()
    }

    /// Tells a node that a prepared call is not needed. What it says to that does not matter: it gives up by itself.
    pub(crate) async fn release(&self, node: &str, call: CallId) {
        let command = Command::HangUp { by: call::journal::EndedBy::System };
        if let Err(error) = self.command(node, call, &command).await {
            tracing::debug!(node, %error, "a node was not told that a call is not needed");
        }
    }

    /// The next step that a node keeps for a call, if it is there and has one.
    pub(crate) async fn kept_step(&self, node: &str, call: CallId, epoch: u32) -> Result<Option<NextStep>, NodeError> {
        let address = self.address(node).await?;
        let answer = self.send(&address, Method::GET, &next_path(node, call, epoch), Vec::new()).await?;
        let Some(answer) = answer else { return Ok(None) };
        let kept: Option<Kept> = serde_json::from_slice(&answer).ok();
        Ok(kept.filter(|kept| kept.epoch == epoch).map(|kept| kept.next))
    }

    /// The address of a node, also of one that is not ready or was silent for a while: it may still answer.
    async fn address(&self, node: &str) -> Result<String, NodeError> {
        let nodes = self.store.nodes().await?;
        nodes.into_iter().find(|other| other.name == node).map(|node| node.address).ok_or(NodeError::Gone)
    }

    /// Sends a signed request; the body of a 200, none of another success.
    async fn send(
        &self,
        address: &str,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, NodeError> {
        let request = signed::Request { method: method.as_str(), path, body: &body };
        let signature = signed::sign(&self.secrets, request, self.store.now().as_ms() / 1_000);
        let url = format!("{}{path}", address.trim_end_matches('/'));
        let mut request = self.http.request(method, url).header(signed::HEADER, signature);
        if !body.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, "application/json").body(body);
        }
        let mut answer = request.send().await.map_err(|_| NodeError::Silent)?;
        match answer.status() {
            StatusCode::OK => {
                let mut bytes = Vec::new();
                while let Some(chunk) = answer.chunk().await.map_err(|_| NodeError::Silent)? {
                    bytes.extend_from_slice(&chunk);
                    if bytes.len() > KEPT_BYTES_MAX {
                        return Err(NodeError::Silent);
                    }
                }
                Ok(Some(bytes))
            }
            status if status.is_success() => Ok(None),
            status => Err(NodeError::Refused(status)),
        }
    }
}

fn in_order(living: Vec<Node>, call: CallId, first: Option<&str>, last: Option<&str>) -> Vec<Node> {
    let mut ready: Vec<Node> = living.into_iter().filter(Node::has_room).collect();
    ready.sort_by_cached_key(|node| drawn(call, &node.name));
    if let [a, b, ..] = ready.as_mut_slice()
        && is_more_loaded(a, b)
    {
        std::mem::swap(a, b);
    }
    // Stable sorts: the order drawn stays within what they divide.
    ready.sort_by_key(|node| (Some(node.name.as_str()) == last, Some(node.name.as_str()) != first));
    ready.truncate(ASKED_MAX);
    ready
}

/// Whether `a` is fuller than `b`, by the share of what each can take.
fn is_more_loaded(a: &Node, b: &Node) -> bool {
    u64::from(a.sessions) * u64::from(b.capacity) > u64::from(b.sessions) * u64::from(a.capacity)
}

/// The place of a node in a call's draw.
fn drawn(call: CallId, node: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (call.to_string(), node).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn node(name: &str, sessions: u32) -> Node {
        let now = store::Moment::from_ms(1_000_000);
        Node {
            name: name.to_owned(),
            address: "http://127.0.0.1:1".to_owned(),
            ready: true,
            sessions,
            capacity: 100,
            version: String::new(),
            started_at: now,
            seen_at: now,
        }
    }

    fn names(nodes: Vec<Node>, call: u64, first: Option<&str>, last: Option<&str>) -> Vec<String> {
        let id = CallId::new(call, 7);
        let ordered = in_order(nodes, id, first, last);
        ordered.into_iter().map(|node| node.name).collect()
    }

    #[test]
    fn the_less_loaded_of_two_is_asked_first_and_all_take_their_share() {
        let mut firsts = BTreeSet::new();
        for call in 0..50 {
            let order = names(vec![node("a", 10), node("b", 90), node("c", 50)], call, None, None);
            assert_eq!(order.len(), 3);
            assert_ne!(order[0], "b", "b is always fuller than the other one drawn");
            firsts.insert(order[0].clone());
            assert_eq!(order, names(vec![node("c", 50), node("a", 10), node("b", 90)], call, None, None));
        }
        assert_eq!(firsts.len(), 2);
    }

    #[test]
    fn the_stored_node_comes_first_and_the_lost_one_last() {
        let nodes = || vec![node("a", 0), node("b", 0), node("c", 0)];
        for call in 0..10 {
            assert_eq!(names(nodes(), call, Some("b"), None)[0], "b");
            assert_eq!(names(nodes(), call, None, Some("b"))[2], "b");
        }
        assert_eq!(names(vec![node("b", 0)], 1, None, Some("b")), ["b"]);
    }

    #[test]
    fn full_and_draining_nodes_are_not_asked() {
        let full = node("full", 100);
        let draining = Node { ready: false, ..node("draining", 0) };
        assert!(names(vec![full, draining], 1, Some("full"), None).is_empty());
    }
}
