//! Groq's chat completions, simulated: streamed, with tools, strict where the vendor is strict.
//!
//! [`Groq`] is the model of one organisation in virtual time; [`server`] puts it behind real HTTP. A request is all it
//! knows of a conversation: the booking assistant hears again what the caller said in it, and answers the last of that.
//! It calls only tools that the request names. Words come token by token, in pieces of odd sizes.
//!
//! **What can fail**, by [`Outcome`] of the nth request: the malformed tool call, limits with their headers, errors
//! within the stream in three forms, a stream without its end, a reply that is too long. And as with the other engines
//! ([`crate::evi::fault`]): a request refused, slow or unanswered; a stream dropped, ended early or fallen silent at a
//! chosen moment; events that are no JSON, of an unknown kind, or larger than 1 MiB.
//!
//! **What lies outside**: replies that are not streamed; images; what a real model would say; costs.

mod config;
mod exchange;
mod mind;
pub mod server;

pub use config::{GroqConfig, Outcome, Record};

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use wire::groq::connect::{CHAT_PATH, MODELS_PATH};
use wire::groq::error::{ApiError, ErrorCode, RETRY_AFTER_HEADER};
use wire::groq::request::ChatRequest;

pub use crate::evi::{Accepted, Ended, Out, SessionId, fault};
use crate::line::server::Refusal;
use crate::line::{MOST_ENDED, admits, letters};
use exchange::Exchange;
use fault::{FaultCounts, Faults, HandshakeFault, Mishap};

/// One organisation of a simulated Groq.
pub struct Groq {
    config: GroqConfig,
    faults: Faults,
    counts: FaultCounts,
    rng: fastrand::Rng,
    attempts: u32,
    exchanges: BTreeMap<SessionId, Exchange>,
}

impl Groq {
    /// An organisation that has asked for nothing yet.
    #[must_use]
    pub fn new(config: GroqConfig, faults: Faults, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { config, faults, counts: FaultCounts::new(), rng, attempts: 0, exchanges: BTreeMap::new() }
    }

    /// Answers a request: the beginning of a stream, whose pieces come from [`Groq::poll`].
    ///
    /// # Errors
    /// If it is refused, or never answered.
    pub fn request(
        &mut self,
        now: Instant,
        path: &str,
        authorization: Option<&str>,
        body: &[u8],
    ) -> Result<Accepted, Refusal> {
        self.attempts += 1;
        let fate = self.faults.fate(self.attempts, false, &mut self.rng);
        let mut rng = self.rng.fork();
        let mut after = Duration::ZERO;
        if let Some(fault) = fate.handshake {
            *self.counts.entry(fault.name()).or_default() += 1;
            match fault {
                HandshakeFault::Refuse(status) | HandshakeFault::RefuseResume(status) => {
                    return Err(self.refusal(status, &refused(status), None));
                }
                HandshakeFault::Silence => return Err(Refusal::Silence),
                HandshakeFault::Slow(delay) => after = delay,
            }
        }
        if path != CHAT_PATH {
            return Err(self.refusal(404, &refused(404), None));
        }
        if !self.admits(authorization) {
            return Err(self.refusal(401, &refused(401), None));
        }
        let request = ChatRequest::parse(body).map_err(|error| self.refusal(400, &error, None))?;
        if !request.stream {
            let error = ApiError::invalid_request(ErrorCode::InvalidRequest, "only streamed replies are simulated");
            return Err(self.refusal(400, &error, None));
        }
        let known = &self.config.models;
        if !known.is_empty() && !known.contains(&request.model) {
            let message = format!(
                "The model `{}` does not exist or you do not have access to it.",
                request.model.chars().take(100).collect::<String>()
            );
            return Err(self.refusal(404, &ApiError::invalid_request(ErrorCode::ModelNotFound, message), None));
        }
        let outcome = self.config.outcomes.get(&self.attempts).copied();
        if let Some(Outcome::ToolUseFailed) = outcome {
            let error = ApiError {
                failed_generation: Some("<function=record_booking{\"name\": </function>".to_owned()),
                ..ApiError::invalid_request(
                    ErrorCode::ToolUseFailed,
                    "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
                )
            };
            return Err(self.refusal(400, &error, None));
        }
        if let Some(Outcome::RateLimited(wait)) = outcome {
            return Err(self.refusal(429, &limited(wait), Some(wait)));
        }
        let session = SessionId(u64::from(self.attempts));
        let exchange = Exchange::begin(&self.config, now + after, request, fate.midway, outcome, &mut rng);
        self.exchanges.insert(session, exchange);
        let ended: Vec<SessionId> =
            self.exchanges.iter().filter(|(_, exchange)| exchange.line.is_over()).map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(MOST_ENDED)) {
            self.exchanges.remove(id);
        }
        Ok(Accepted { session, after })
    }

    /// The headers of an answer: what is left of the organisation's rates.
    pub fn headers(&mut self, retry_after: Option<Duration>) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("x-request-id", format!("req_{}", letters(&mut self.rng, 26).to_lowercase())),
            ("x-ratelimit-limit-requests", "14400".to_owned()),
            ("x-ratelimit-limit-tokens", "18000".to_owned()),
            ("x-ratelimit-remaining-requests", 14_400_u32.saturating_sub(self.attempts).to_string()),
            ("x-ratelimit-remaining-tokens", "17000".to_owned()),
            ("x-ratelimit-reset-requests", "2m59.56s".to_owned()),
            ("x-ratelimit-reset-tokens", "7.66s".to_owned()),
        ];
        if let Some(wait) = retry_after {
            headers.push((RETRY_AFTER_HEADER, wait.as_secs_f64().ceil().to_string()));
        }
        headers
    }

    /// The client closed the connection: that is how a reply is stopped.
    pub fn disconnect(&mut self, now: Instant, session: SessionId) {
        if let Some(exchange) = self.exchanges.get_mut(&session) {
            exchange.line.abandoned(now);
        }
    }

    /// The next thing that happens to this stream, if anything does by now: text is a piece of it, a close is its end,
    /// and a drop breaks the connection. To be called until there is nothing.
    pub fn poll(&mut self, now: Instant, session: SessionId) -> Option<Out> {
        self.exchanges.get_mut(&session)?.poll(&mut self.counts, now)
    }

    /// When to poll this stream again.
    #[must_use]
    pub fn next_due(&self, session: SessionId) -> Option<Instant> {
        let exchange = self.exchanges.get(&session)?;
        exchange.line.next_due(exchange.next_due())
    }

    /// The answer to `GET /openai/v1/models`.
    ///
    /// # Errors
    /// If it is refused.
    pub fn models(&mut self, authorization: Option<&str>) -> Result<String, Refusal> {
        if !self.admits(authorization) {
            return Err(self.refusal(401, &refused(401), None));
        }
        let model = |id: &String| {
            json!({"id": id, "object": "model", "created": 1_754_000_000, "owned_by": "sim", "active": true,
                "context_window": 131_072, "public_apps": null})
        };
        let data: Vec<_> = self.config.models.iter().map(model).collect();
        Ok(json!({"object": "list", "data": data}).to_string())
    }

    /// What each request asked and was answered, in their order; kept for a while after its end.
    pub fn records(&self) -> impl Iterator<Item = (SessionId, &Record)> {
        self.exchanges.iter().map(|(id, exchange)| (*id, &exchange.record))
    }

    /// How a stream ended, if it has: by the client, when it was stopped.
    #[must_use]
    pub fn ended(&self, session: SessionId) -> Option<Ended> {
        self.exchanges.get(&session)?.line.ended.map(|(_, how)| how)
    }

    /// How often each fault took effect.
    #[must_use]
    pub fn fault_counts(&self) -> &FaultCounts {
        &self.counts
    }

    /// Requests so far, refused ones included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Changes what goes wrong. Concerns requests that are yet to come.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Suffers this now, on every open stream.
    pub fn strike(&mut self, now: Instant, mishap: &Mishap) {
        for exchange in self.exchanges.values_mut() {
            exchange.suffer(&mut self.counts, now, mishap);
        }
    }

    fn admits(&self, authorization: Option<&str>) -> bool {
        admits(&self.config.api_keys, authorization.and_then(|value| value.strip_prefix("Bearer ")))
    }

    fn refusal(&mut self, status: u16, error: &ApiError, retry_after: Option<Duration>) -> Refusal {
        let retry_after = retry_after.or((status == 429).then_some(Duration::from_secs(2)));
        Refusal::Answered { status, headers: self.headers(retry_after), body: error.to_json() }
    }
}

/// Whether a path is one of this service's.
pub(crate) fn is_models(path: &str) -> bool {
    path == MODELS_PATH
}

fn limited(wait: Duration) -> ApiError {
    let message = format!(
        "Rate limit reached for model in organization `org_sim` on tokens per minute (TPM): Limit 18000, Used 17900, \
         Requested 500. Please try again in {}s.",
        wait.as_secs_f64()
    );
    let code = Some(ErrorCode::RateLimitExceeded.as_str().to_owned());
    ApiError { message, kind: "tokens".to_owned(), code, ..ApiError::default() }
}

fn refused(status: u16) -> ApiError {
    let (code, message) = match status {
        401 => (ErrorCode::InvalidApiKey, "Invalid API Key"),
        404 => (ErrorCode::ModelNotFound, "Unknown request URL, or no such model"),
        429 => return limited(Duration::from_secs(2)),
        498 => (ErrorCode::CapacityExceeded, "Flex tier capacity exceeded"),
        500.. => {
            let (message, kind) = ("Internal Server Error".to_owned(), "internal_server_error".to_owned());
            return ApiError { message, kind, ..ApiError::default() };
        }
        _ => (ErrorCode::InvalidRequest, "refused"),
    };
    ApiError::invalid_request(code, message)
}
