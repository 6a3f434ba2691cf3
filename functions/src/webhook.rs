//! Telling others: what becomes of a call, sent to the address that the user named.
//!
//! Deliveries have the shape of Standard Webhooks: `webhook-id` is the event's, the same for every try; `webhook-timestamp`
//! is the second of this try; `webhook-signature` is `v1,` and the Base64 of HMAC-SHA256 over id, timestamp and the whole
//! body, joined by dots; during the rotation of the secret there are several, separated by spaces. Any 2xx within ten
//! seconds takes an event. Redirects are not followed. A receiver may get an event twice, and events in any order. What it
//! is told is the call as it is when it is told.
//!
//! The address must be one that anybody could reach. What it resolves to is judged when the connection is made, so that
//! a name that leads elsewhere since yesterday leads nowhere. When an event is sent again is the [worker](crate::worker)'s.

mod address;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::CONTENT_TYPE;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use sha2::Sha256;
use store::{Analysis, CallRecord, Moment, Occasion};
use url::Host;

use crate::config::TellConfig;
use address::is_public;

/// A receiver answers within this time, or is asked again later.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The connection is there within this time, or not at all.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call came in or was placed.
    Started,
    /// It is over.
    Ended,
    /// Its outcome is known, was judged again, or was corrected: each is an event of its own.
    Analyzed(Occasion),
}

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::Started => "call.started",
            Self::Ended => "call.ended",
            Self::Analyzed(_) => "call.analyzed",
        }
    }

    /// The event's id: the same however often it is sent. (A dot would be ambiguous in what is signed.)
    fn id(self, call: &CallRecord) -> String {
        let (name, call) = (self.name().trim_start_matches("call."), call.id.to_string());
        let id = format!("evt_{name}_{}", call.trim_start_matches("call_"));
        match self {
            Self::Started | Self::Ended => id,
            Self::Analyzed(occasion) => format!("{id}_{}", occasion.number),
        }
    }

    fn at(self, call: &CallRecord, now: Moment) -> Moment {
        match self {
            Self::Started => call.created_at,
            Self::Ended => call.ended_at.unwrap_or(now),
            Self::Analyzed(occasion) => occasion.at,
        }
    }
}

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TellError {
    /// The receiver's answer was another than 2xx.
    #[error("the webhook's receiver answered {0}")]
    Status(u16),
    /// Its address is not one that anybody could reach.
    #[error("the webhook's address is private, and WEBHOOK_ALLOW_PRIVATE is not 1")]
    Private,
    /// No answer.
    #[error("the webhook's receiver does not answer ({0})")]
    NoAnswer(&'static str),
}

/// The receiver of webhooks.
#[derive(Clone)]
pub struct Webhook {
    config: TellConfig,
    client: reqwest::Client,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Body<'c> {
    r#type: &'static str,
    id: &'c str,
    timestamp: Moment,
    data: Data<'c>,
}

/// A call as the API shows it; when it was judged, with the verdict.
#[derive(Serialize)]
struct Data<'c> {
    #[serde(flatten)]
    call: &'c CallRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    analysis: Option<&'c Analysis>,
}

impl Webhook {
    /// The receiver that is configured.
    ///
    /// # Errors
    ///
    /// This machine has no certificates to trust.
    pub fn new(config: TellConfig) -> Result<Self, reqwest::Error> {
        // A proxy would resolve the name itself.
        let builder = reqwest::Client::builder().redirect(Policy::none()).no_proxy();
        let builder = builder.timeout(ANSWER_MAX).connect_timeout(CONNECT_MAX);
        let builder = builder.dns_resolver(std::sync::Arc::new(Resolver { allow_private: config.allow_private }));
        Ok(Self { client: builder.build()?, config })
    }

    /// Sends an event, once; with it what was found out about the call, if that is what it is about.
    ///
    /// # Errors
    ///
    /// It was not taken.
    pub async fn tell(
        &self,
        event: Event,
        call: &CallRecord,
        analysis: Option<&Analysis>,
        now: Moment,
    ) -> Result<(), TellError> {
        // Digits are not resolved by anybody.
        let literal = match self.config.url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        if !self.config.allow_private && literal.is_some_and(|address| !is_public(address)) {
            return Err(TellError::Private);
        }
        let id = event.id(call);
        let body =
            Body { r#type: event.name(), id: &id, timestamp: event.at(call, now), data: Data { call, analysis } };
        let body = serde_json::to_vec(&body).expect("invariant: a call is always JSON");
        let timestamp = now.as_ms() / 1_000;
        let signature = self.signature(&id, timestamp, &body);
        let request = self.client.post(self.config.url.clone()).header(CONTENT_TYPE, "application/json");
        let request = request.header("webhook-id", &id).header("webhook-timestamp", timestamp);
        let answer = request.header("webhook-signature", signature).body(body).send().await;
        match answer.map(|answer| answer.status()) {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => Err(TellError::Status(status.as_u16())),
            Err(error) => Err(reason(&error)),
        }
    }

    fn signature(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let sign = |key: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes keys of any length");
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        let keys = self.config.keys.iter().map(|key| sign(key.expose_secret()));
        keys.collect::<Vec<_>>().join(" ")
    }
}

/// Why there was no answer. The error itself names the address, which may hold a password of the receiver's.
fn reason(error: &reqwest::Error) -> TellError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if this.is::<PrivateAddress>() {
            return TellError::Private;
        }
        cause = this.source();
    }
    TellError::NoAnswer(if error.is_timeout() {
        "time-out"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    })
}

/// A name leads to private addresses only.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("its addresses are private")]
struct PrivateAddress;

/// Resolves names to those addresses that may be connected to.
#[derive(Clone, Copy, Debug)]
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| allow_private || is_public(found.ip())).collect();
            if allowed.is_empty() {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
