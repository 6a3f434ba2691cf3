//! One request, with its deadlines, its bounds, and its second chances.
//!
//! A connection is made within [`CONNECT_TIMEOUT`], an answer is complete within [`TIMEOUT`]. What is safe to repeat
//! ([`Transport::send_repeatably`]) is tried up to [`TRIES_MAX`] times when the service is overloaded, failing or
//! silent, after a pause drawn by full jitter or named by the service in `Retry-After`. What is not ([`Transport::send`])
//! is sent once, and its error says whether it can have arrived.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, redirect};

use crate::BaseUrl;

/// How long a connection may take: a service that is up answers in a fraction of it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one try may take, from the connection to the answer's last byte.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How often a repeatable request is sent: once, and three times more (as Twilio's own libraries do).
pub const TRIES_MAX: u32 = 4;

/// No further try begins after so long: whoever waits has other ways by then.
const TRYING_MAX: Duration = Duration::from_secs(15);

/// The pause before the second try is drawn from zero to this; the range doubles with each try, up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// The longest pause of our own choice.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// The longest answer that is read, in bytes: a page of 1,000 calls is about 2 MB.
const BODY_BYTES_MAX: usize = 8 << 20;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The host's name cannot be resolved.
    #[error("the host's name cannot be resolved")]
    Dns,
    /// Nothing accepts connections there, or not in time.
    #[error("no connection can be made")]
    Connect,
    /// The connection cannot be made secure.
    #[error("the connection cannot be made secure (TLS)")]
    Tls,
    /// The request was sent, and not answered in time.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The request was sent, and the connection broke before the answer was complete.
    #[error("the connection broke before the answer was complete")]
    Broken,
    /// The answer is longer than anything we ask for.
    #[error("the answer is too long")]
    TooLong,
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Unsendable,
}

impl NoAnswer {
    /// Whether the service can have received the request, and done what it asks for.
    #[must_use]
    pub const fn may_have_arrived(self) -> bool {
        match self {
            Self::Dns | Self::Connect | Self::Tls | Self::Unsendable => false,
            Self::Timeout | Self::Broken | Self::TooLong => true,
        }
    }

    fn is_transient(self) -> bool {
        match self {
            Self::Dns | Self::Connect | Self::Timeout | Self::Broken => true,
            Self::Tls | Self::TooLong | Self::Unsendable => false,
        }
    }
}

/// The HTTP client cannot be made: no trusted certificates on this machine, most likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the HTTP client cannot be made; are CA certificates installed?")]
pub struct SetupError;

/// A complete answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    retry_after: Option<Duration>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn is_transient(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}

/// Sends requests to one service.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    http: Client,
    base: BaseUrl,
    timeout: Duration,
}

impl Transport {
    pub(crate) fn new(base: BaseUrl) -> Result<Self, SetupError> {
        let mut builder = Client::builder()
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .https_only(!base.is_loopback())
            .redirect(redirect::Policy::none())
            // Repeating is decided here, by what the request means, and not by how it failed.
            .retry(reqwest::retry::never());
        if base.is_loopback() {
            // A proxy would look for the service on its own machine.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|_| SetupError)?;
        Ok(Self { http, base, timeout: TIMEOUT })
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.base.join(path))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(self.base.join(path))
    }

    /// Sends a request once.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, NoAnswer> {
        let response = request.timeout(self.timeout).send().await.map_err(|error| no_answer(&error))?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers(), Timestamp::now()));
        Ok(Answer { status, body: body(response).await?, retry_after })
    }

    /// Sends a request that may be repeated, until it is answered for good.
    pub(crate) async fn send_repeatably(&self, request: impl Fn(&Self) -> RequestBuilder) -> Result<Answer, NoAnswer> {
        let began = Instant::now();
        let mut tries = 1;
        loop {
            let result = self.send(request(self)).await;
            let pause = match &result {
                Ok(answer) if answer.is_transient() => answer.retry_after.unwrap_or_else(|| jittered(tries)),
                Err(reason) if reason.is_transient() => jittered(tries),
                Ok(_) | Err(_) => return result,
            };
            if tries == TRIES_MAX || began.elapsed().saturating_add(pause) > TRYING_MAX {
                return result;
            }
            tracing::debug!(tries, pause_ms = pause.as_millis(), "a request is tried again");
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }
}

/// Full jitter: anything between nothing and the longest, so that clients which failed together do not return together.
fn jittered(tries: u32) -> Duration {
    let longest = PAUSE_FIRST.saturating_mul(1 << (tries - 1).min(8)).min(PAUSE_MAX);
    longest.mul_f64(fastrand::f64())
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

async fn body(mut response: Response) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(NoAnswer::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn no_answer(error: &reqwest::Error) -> NoAnswer {
    if error.is_builder() {
        NoAnswer::Unsendable
    } else if error.is_dns() {
        NoAnswer::Dns
    } else if error.is_connect() {
        if failed_securing(error) { NoAnswer::Tls } else { NoAnswer::Connect }
    } else if error.is_timeout() {
        NoAnswer::Timeout
    } else {
        NoAnswer::Broken
    }
}

/// A handshake that makes no sense is reported as invalid data, as an I/O error wrapped in others. Such a wrapper's
/// `source` leaves out what it wraps, so both ways are followed.
fn failed_securing(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        let io = cause.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        let wrapped = io.and_then(|io| io.get_ref()).map(|wrapped| wrapped as &(dyn Error + 'static));
        next = wrapped.or_else(|| cause.source());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_may_say_when_to_come_back() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let after = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Fri, 20 Nov 2026 10:00:05 GMT"), Some(Duration::from_secs(5)));
        assert_eq!(after("Fri, 20 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for tries in 1..40 {
            let longest = PAUSE_FIRST.saturating_mul(1 << (tries - 1).min(8)).min(PAUSE_MAX);
            assert!(jittered(tries) <= longest);
        }
    }
}
