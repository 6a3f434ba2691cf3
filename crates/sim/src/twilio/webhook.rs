//! Requests that Twilio makes: signed, timed, retried as the URL's fragment asks, limited in size.
//!
//! One request is one or more attempts with the same idempotency token. Every attempt connects anew, so that a server
//! that was restarted is not mistaken for one that hung up.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use wire::twilio::form::Form;
use wire::twilio::overrides::{ConnectionOverrides, OverrideError, RetryOn};
use wire::twilio::sid::CallSid;
use wire::twilio::signature;
use wire::twilio::twiml::{DOCUMENT_BYTES_MAX, Method, Webhook};

use super::exchange::Exchange;
use super::record::{RequestAnswer, RequestKind, RequestRecord, lock};

/// Twilio's defaults (Twilio: usage/webhooks/webhooks-connection-overrides).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(15);
const TOTAL_TIME: Duration = Duration::from_secs(15);
const RETRIES: u8 = 1;

/// Redirects that are followed; more are 11215.
const REDIRECTS_MAX: usize = 10;

/// The header that all attempts of a request share.
pub const IDEMPOTENCY_HEADER: &str = "I-Twilio-Idempotency-Token";

/// HTTP clients by their timeouts, which a client cannot change.
#[derive(Default)]
pub(super) struct Clients(Mutex<BTreeMap<(Duration, Duration), Client>>);

impl Clients {
    fn with(&self, connect: Duration, read: Duration) -> Result<Client, reqwest::Error> {
        let mut clients = lock(&self.0);
        if let Some(client) = clients.get(&(connect, read)) {
            return Ok(client.clone());
        }
        let client = Client::builder()
            .user_agent("TwilioProxy/1.1")
            .connect_timeout(connect)
            .read_timeout(read)
            .redirect(Policy::limited(REDIRECTS_MAX))
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()?;
        clients.insert((connect, read), client.clone());
        Ok(client)
    }
}

/// An answer of 200 to 299.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
    /// The document's own address, after redirects: relative URLs start from it.
    pub(super) url: Url,
}

/// No such answer.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// Twilio's number.
    pub(super) code: u32,
    pub(super) detail: String,
    retry: Option<RetryOn>,
}

fn failure(code: u32, detail: impl Into<String>, retry: Option<RetryOn>) -> Failure {
    Failure { code, detail: detail.into(), retry }
}

/// One attempt's result.
enum Outcome {
    Answered(u16, Answer),
    Refused(u16, Failure),
    Failed(Failure),
}

/// Requests a URL with these keys, until it answers or the URL's retry policy has had enough.
pub(super) async fn request(
    exchange: &Exchange,
    call: CallSid,
    kind: RequestKind,
    webhook: &Webhook,
    form: &Form,
) -> Result<Answer, Failure> {
    let (base, overrides) = ConnectionOverrides::split(&webhook.url).map_err(|error| match error {
        OverrideError::Policy(_) => failure(11243, error.to_string(), None),
        OverrideError::Range { .. } | OverrideError::Key(_) => failure(11100, error.to_string(), None),
    })?;
    let url =
        address(base, webhook.method, form).ok_or_else(|| failure(11100, "a URL that cannot be requested", None))?;
    let client = exchange
        .clients
        .with(overrides.connect_timeout.unwrap_or(CONNECT_TIMEOUT), overrides.read_timeout.unwrap_or(READ_TIMEOUT))
        .map_err(|error| failure(11220, error.to_string(), None))?;
    let token = shows_token(exchange, kind).then(|| format!("{:032x}", exchange.random(|rng| rng.u128(..))));
    let is_for_twiml = matches!(kind, RequestKind::Voice | RequestKind::Fallback | RequestKind::Action);
    if is_for_twiml {
        tokio::time::sleep(exchange.part_of(exchange.faults().webhooks.delay_max)).await;
    }
    let deadline = Instant::now() + overrides.total_time.unwrap_or(TOTAL_TIME);
    let attempts = u32::from(overrides.retries.unwrap_or(RETRIES)) + 1;
    let attempt = Attempt { client: &client, url: &url, method: webhook.method, form, token: token.as_deref() };
    let mut number = 1;
    loop {
        let at = exchange.elapsed();
        let left = deadline.saturating_duration_since(Instant::now());
        let outcome =
            tokio::time::timeout(left, attempt.perform(&exchange.config.auth_token)).await.unwrap_or_else(|_| {
                Outcome::Failed(failure(11205, "no answer within the total time", Some(RetryOn::ReadTimeout)))
            });
        let lost = is_for_twiml && exchange.chance(exchange.faults().webhooks.lose_answer);
        let (answer, result) = match outcome {
            Outcome::Answered(..) | Outcome::Refused(..) if lost => (
                RequestAnswer::Lost,
                Err(failure(11205, "an answer that was lost on its way", Some(RetryOn::ReadTimeout))),
            ),
            Outcome::Answered(status, answer) => (RequestAnswer::Status(status), Ok(answer)),
            Outcome::Refused(status, failure) => (RequestAnswer::Status(status), Err(failure)),
            Outcome::Failed(failure) => (RequestAnswer::Failed(failure.code), Err(failure)),
        };
        exchange.requested(
            call,
            RequestRecord {
                at,
                took: exchange.elapsed().saturating_sub(at),
                kind,
                url: url.to_string(),
                form: form.clone(),
                attempt: number,
                idempotency_token: token.clone(),
                answer,
            },
        );
        match result {
            Ok(answer) => return Ok(answer),
            Err(failure) => {
                let again = failure.retry.is_some_and(|retry| overrides.retries_on(retry));
                if !again || number >= attempts || Instant::now() >= deadline {
                    return Err(failure);
                }
                number += 1;
            }
        }
    }
}

fn shows_token(exchange: &Exchange, kind: RequestKind) -> bool {
    match kind {
        RequestKind::Voice | RequestKind::Fallback | RequestKind::Action => {
            exchange.config.unknowns.idempotency_on_voice
        }
        RequestKind::Status | RequestKind::StreamStatus | RequestKind::RecordingStatus => true,
        RequestKind::Media => false,
    }
}

/// The URL to request: on a `GET` the keys follow those that are in it.
fn address(base: &str, method: Method, form: &Form) -> Option<Url> {
    let mut url = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    if method == Method::Get && !form.is_empty() {
        url.query_pairs_mut().extend_pairs(form.pairs());
    }
    Some(url)
}

struct Attempt<'a> {
    client: &'a Client,
    url: &'a Url,
    method: Method,
    form: &'a Form,
    token: Option<&'a str>,
}

impl Attempt<'_> {
    async fn perform(&self, auth_token: &str) -> Outcome {
        let (request, signature) = match self.method {
            Method::Get => (self.client.get(self.url.clone()), signature::sign(auth_token, self.url.as_str(), [])),
            Method::Post => (
                self.client
                    .post(self.url.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
                    .body(self.form.encode()),
                signature::sign(auth_token, self.url.as_str(), self.form.pairs()),
            ),
        };
        let mut request = request.header(ACCEPT, "*/*").header("X-Twilio-Signature", signature);
        if let Some(token) = self.token {
            request = request.header(IDEMPOTENCY_HEADER, token);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Failed(classify(&error)),
        };
        let status = response.status();
        if !status.is_success() {
            let retry = if status.is_client_error() {
                Some(RetryOn::ClientError)
            } else if status.is_server_error() {
                Some(RetryOn::ServerError)
            } else {
                None
            };
            return Outcome::Refused(status.as_u16(), failure(11200, format!("HTTP {}", status.as_u16()), retry));
        }
        let content_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let url = response.url().clone();
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Outcome::Failed(classify(&error)),
            }
            if body.len() > DOCUMENT_BYTES_MAX {
                return Outcome::Refused(status.as_u16(), failure(11750, "a body above 64 kB", None));
            }
        }
        Outcome::Answered(status.as_u16(), Answer { content_type, body, url })
    }
}

fn classify(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        failure(11205, "no connection", Some(RetryOn::ConnectTimeout))
    } else if error.is_timeout() {
        failure(11205, "no answer in time", Some(RetryOn::ReadTimeout))
    } else if error.is_redirect() {
        failure(11215, "too many redirects", None)
    } else {
        // A connection that ends in mid-answer: nothing came, as with a timeout, only sooner.
        failure(11206, "an answer that is not HTTP", Some(RetryOn::ReadTimeout))
    }
}
