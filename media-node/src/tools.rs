//! The user's own tools: asked over HTTP, beside the call's loop.
//!
//! A request is a `POST` of JSON, signed as Standard Webhooks says; its id is the tool request's key, so that a service
//! that is asked again can tell. Where it leads is the agent's to say and not the model's; still the node is careful,
//! because it stands inside our own network: no private address, whatever a name resolves to; no redirect; no proxy;
//! an answer of at most 64 KB. Whatever goes wrong becomes an error in words for the model, and the call goes on.
//!
//! When an answer is too late is the machine's to decide; here a request is merely given up at the same time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::agent::address::is_public;
use call::{CallId, ToolRequest};
use http::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use wire::signed::Secret;
use wire::standard_webhooks;

use crate::node::Inner;

/// Requests at once on a node. A call makes at most eight; a node full of calls that all wait for the same slow service
/// must not run out of sockets.
const REQUESTS_MAX: usize = 256;

/// The longest answer: some 16,000 tokens, more than a model should be given in a call.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A service that is there takes a connection within this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How tools are asked.
#[derive(Clone, Debug, Default)]
pub struct ToolAccess {
    /// Signs requests (`TOOL_SECRET`). Without it none is made.
    pub secret: Option<Secret>,
    /// Whether private addresses and plain HTTP are allowed (`TOOL_PRIVATE_ADDRESSES=allowed`).
    pub private_addresses: bool,
}

/// Asks tools.
#[derive(Debug)]
pub(crate) struct Tools {
    access: ToolAccess,
    http: Client,
    places: Semaphore,
}

/// Why a tool has no answer. What is said to the model tells it nothing about our network.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error("TOOL_SECRET is missing: set it to sign requests to tools")]
    NoSecret,
    #[error("the address is not https, private, or none")]
    NotAllowed,
    #[error("too many requests are under way")]
    Busy,
    #[error("no answer in time")]
    Late,
    #[error("the service cannot be reached: {0}")]
    Unreachable(String),
    #[error("the service answers with a redirect, which is not followed")]
    Redirect,
    #[error("the service answers with status {0}")]
    Status(u16),
    #[error("the answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooBig,
    #[error("the answer is not JSON")]
    Nonsense,
}

impl ToolError {
    const fn for_model(&self) -> &'static str {
        match self {
            Self::NoSecret | Self::NotAllowed => "This tool is not set up. Go on without it.",
            Self::Busy => "Too much is being looked up at once. Try again later.",
            Self::Late => "It took too long. Go on without it, and say so if it matters.",
            Self::Unreachable(_) | Self::Redirect | Self::TooBig | Self::Nonsense => {
                "The service does not work at the moment. Go on without it, and say so if it matters."
            }
            Self::Status(400..=499) => "The service refused the request. Check the arguments, or go on without it.",
            Self::Status(_) => "The service failed. Go on without it, and say so if it matters.",
        }
    }
}

/// Finds the addresses of a name, and leaves out those that are not the whole world's: a name can be pointed anywhere.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name leads to no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

impl Tools {
    /// # Panics
    /// The HTTP client cannot be made: this machine has no randomness.
    pub(crate) fn new(access: ToolAccess) -> Self {
        let client = Client::builder().redirect(Policy::none()).no_proxy().connect_timeout(CONNECT_WITHIN);
        let client = if access.private_addresses { client } else { client.dns_resolver(PublicOnly) };
        let http = client.build().expect("invariant: a client without certificates of its own can be made");
        Self { access, http, places: Semaphore::new(REQUESTS_MAX) }
    }

    async fn ask(&self, call: CallId, request: &ToolRequest, now_s: u64) -> Result<String, ToolError> {
        let secret = self.access.secret.as_ref().ok_or(ToolError::NoSecret)?;
        let url = self.url(&request.url).ok_or(ToolError::NotAllowed)?;
        let _place = self.places.try_acquire().map_err(|_| ToolError::Busy)?;
        let body = json!({
            "id": request.key,
            "call": call,
            "agent": request.agent,
            "tool": request.name,
            "arguments": request.arguments,
        });
        let body = body.to_string().into_bytes();
        let signature = standard_webhooks::sign(secret, &request.key, now_s, &body);
        let sent = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            .header(standard_webhooks::ID_HEADER, &request.key)
            .header(standard_webhooks::TIMESTAMP_HEADER, now_s)
            .header(standard_webhooks::SIGNATURE_HEADER, signature)
            .body(body)
            .send();
        // The address is not logged: it may hold what is nobody's business.
        let unreachable = |error: reqwest::Error| ToolError::Unreachable(error.without_url().to_string());
        let mut answer = sent.await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_redirection() {
            return Err(ToolError::Redirect);
        }
        if !status.is_success() {
            return Err(ToolError::Status(status.as_u16()));
        }
        let mut content = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if content.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(ToolError::TooBig);
            }
            content.extend_from_slice(&chunk);
        }
        if content.trim_ascii().is_empty() {
            return Ok(r#"{"done":true}"#.to_owned());
        }
        let content: Value = serde_json::from_slice(&content).map_err(|_| ToolError::Nonsense)?;
        Ok(content.to_string())
    }

    /// The address as the HTTP client reads it, if it is allowed. Addresses in numbers never reach the resolver.
    fn url(&self, text: &str) -> Option<Url> {
        let url: Url = text.parse().ok()?;
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
        let is_public = host.parse::<IpAddr>().map_or(true, is_public);
        let is_allowed = self.access.private_addresses || url.scheme() == "https" && is_public;
        (is_allowed && matches!(url.scheme(), "http" | "https")).then_some(url)
    }
}

/// Runs a tool.
///
/// # Errors
/// In words for the model.
pub(crate) async fn run(node: Arc<Inner>, call: CallId, request: ToolRequest) -> Result<String, String> {
    let left = request.deadline.saturating_duration_since(Instant::now());
    let asking = node.tools.ask(call, &request, node.unix_seconds());
    let answer = tokio::time::timeout(left, asking).await.unwrap_or(Err(ToolError::Late));
    node.figures.tools_asked.one();
    answer.map_err(|error| {
        node.figures.tools_failed.one();
        tracing::warn!(call.id = %call, tool.name = request.name, %error, "a tool gave no answer");
        error.for_model().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_our_own_network_is_not_asked_however_it_is_written() {
        let tools = Tools::new(ToolAccess::default());
        assert!(tools.url("https://tools.example.com/find").is_some());
        for url in [
            "http://tools.example.com/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://10.0.0.1:8443/",
            "file:///etc/passwd",
            "not an address",
        ] {
            assert!(tools.url(url).is_none(), "{url}");
        }
        let allowed = Tools::new(ToolAccess { private_addresses: true, ..ToolAccess::default() });
        assert!(allowed.url("http://127.0.0.1:9000/find").is_some() && allowed.url("file:///etc/passwd").is_none());
    }

    #[tokio::test]
    async fn a_name_that_leads_into_our_own_network_leads_nowhere() {
        assert!(PublicOnly.resolve("localhost".parse().unwrap()).await.is_err());
    }
}
