//! Gemini: one question, one structured answer.
//!
//! A question is sent once: whoever asks has a queue with back-off of its own, and a service that is overloaded is not
//! helped by being asked at once again. [`GeminiError::not_before`] says how long it wants to be left alone. The key
//! travels in a header, never in an address.

use std::fmt;
use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use wire::gemini::error::ApiError;
use wire::gemini::request::GenerateContent;
use wire::gemini::response::Generated;
use wire::gemini::{API_KEY_HEADER, Model, SERVER_TIMEOUT_HEADER};

use crate::BaseUrl;
use crate::transport::{Answer, NoAnswer, SetupError, Transport};

/// How long an answer may take: a model thinks some seconds about an hour of talk. The worker's lease covers ten of them.
const TIMEOUT: Duration = Duration::from_secs(25);

/// Added to the delay that the service asks for, since its clock is not ours.
const DELAY_MARGIN: Duration = Duration::from_secs(1);

/// The longest delay that is believed.
const DELAY_MAX: Duration = Duration::from_secs(3_600);

/// When the allowance of a day is used up: four times a day is often enough to notice that the next one has begun.
const DAILY_QUOTA_PAUSE: Duration = Duration::from_secs(6 * 3_600);

/// A client with one key, for one model.
#[derive(Clone)]
pub struct Gemini {
    transport: Transport,
    key: SecretString,
    model: Model,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GeminiError {
    /// The service was silent.
    #[error("Gemini did not answer in time")]
    Timeout,
    /// It cannot be reached.
    #[error("Gemini cannot be reached: {0}")]
    NoAnswer(NoAnswer),
    /// It refuses.
    #[error("Gemini refuses: {}", told(.0))]
    Refused(ApiError),
    /// What it sent is no answer.
    #[error("what Gemini sent cannot be read")]
    Unreadable,
    /// The key cannot stand in a header.
    #[error("GEMINI_API_KEY is no key: it has characters that a header cannot hold")]
    BadKey,
}

/// The refusal without its message, which may repeat what was sent.
fn told(error: &ApiError) -> String {
    let status = if error.status.is_empty() { "no status" } else { &error.status };
    let why = if error.is_daily_quota() { Some("the day's quota is used up") } else { error.reason() };
    match why {
        Some(why) => format!("HTTP {} {status} ({why})", error.code),
        None => format!("HTTP {} {status}", error.code),
    }
}

impl GeminiError {
    /// How long it makes no sense to ask again.
    #[must_use]
    pub fn not_before(&self) -> Duration {
        match self {
            Self::Refused(error) if error.code == 429 && error.is_daily_quota() => DAILY_QUOTA_PAUSE,
            Self::Refused(error) => {
                error.retry_delay().map_or(Duration::ZERO, |delay| delay.saturating_add(DELAY_MARGIN).min(DELAY_MAX))
            }
            Self::Timeout | Self::NoAnswer(_) | Self::Unreadable | Self::BadKey => Duration::ZERO,
        }
    }
}

impl fmt::Debug for Gemini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Gemini");
        shown.field("transport", &self.transport).field("model", &self.model).finish_non_exhaustive()
    }
}

impl Gemini {
    /// Where Gemini is, unless configured otherwise.
    pub const BASE_URL: &str = "https://generativelanguage.googleapis.com";

    /// Which model is asked, unless configured otherwise: a small one, which a short question about a short text needs.
    pub const MODEL: &str = "gemini-3.5-flash-lite";

    /// A client with one key, for one model.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be made.
    pub fn new(base: BaseUrl, key: SecretString, model: Model) -> Result<Self, SetupError> {
        Ok(Self { transport: Transport::new(base)?, key, model, timeout: TIMEOUT }.with_timeout(TIMEOUT))
    }

    /// With another patience.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { transport: self.transport.with_timeout(timeout), timeout, ..self }
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// Asks for an answer by a schema.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn ask(
        &self,
        instructions: &str,
        question: String,
        schema: Value,
        tokens_max: u32,
    ) -> Result<Generated, GeminiError> {
        let request = GenerateContent::structured(&self.model, instructions, question, schema, tokens_max);
        let body = serde_json::to_vec(&request).expect("invariant: a request is always JSON");
        let request = self
            .transport
            .post(&self.model.path())
            .header(SERVER_TIMEOUT_HEADER, self.timeout.as_secs().max(1))
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = self.send(request).await?;
        let generated: Generated = serde_json::from_slice(&answer.body).map_err(|_| GeminiError::Unreadable)?;
        if let Some(status) = &generated.model_status {
            let (stage, until) = (status.model_stage.as_deref(), status.retirement_time.as_deref());
            if !matches!(stage, None | Some("STABLE")) {
                tracing::warn!(model = %self.model, stage, until, "the model that judges calls may be retired soon");
            }
        }
        Ok(generated)
    }

    /// Whether the service is there, takes our key, and has our model. Costs nothing.
    ///
    /// # Errors
    ///
    /// It is not, does not, or has not.
    pub async fn check(&self) -> Result<(), GeminiError> {
        let answer = self.send(self.transport.get(&self.model.description_path())).await?;
        let described: Value = serde_json::from_slice(&answer.body).map_err(|_| GeminiError::Unreadable)?;
        if described["name"].is_string() { Ok(()) } else { Err(GeminiError::Unreadable) }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, GeminiError> {
        let mut key = HeaderValue::from_str(self.key.expose_secret()).map_err(|_| GeminiError::BadKey)?;
        key.set_sensitive(true);
        let no_answer = |reason| {
            if reason == NoAnswer::Timeout { GeminiError::Timeout } else { GeminiError::NoAnswer(reason) }
        };
        let answer = self.transport.send(request.header(API_KEY_HEADER, key)).await.map_err(no_answer)?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(GeminiError::Refused(ApiError::parse(answer.status, &answer.body)))
        }
    }
}
