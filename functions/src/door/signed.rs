//! Twilio's webhooks: a handler gets the callback only if Twilio signed it.

use std::time::Duration;

use axum::extract::{FromRef, FromRequest, OriginalUri, Request};
use call::CallId;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use wire::twilio::Form;
use wire::twilio::form::{FormError, StatusCallback, StreamCallback, VoiceRequest};
use wire::twilio::signature::{HEADER, Headers, SETTINGS_HEADER, SignatureError, Verifier};

use super::body::read_bytes;
use super::limits::Limits;
use crate::counters::Counters;
use crate::problem::Problem;
use crate::public_url::PublicUrl;

/// The largest webhook, in bytes: what Twilio takes from us it does not exceed itself.
const WEBHOOK_BYTES_MAX: usize = 64 << 10;

/// What it takes to believe a webhook.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Our address, as Twilio knows and signs it.
    pub public: PublicUrl,
    /// The auth tokens.
    pub verifier: Verifier,
    /// How many calls one number may open.
    pub limits: Limits,
    /// What was turned away.
    pub counters: Counters,
}

/// A form that Twilio sends.
pub trait Callback: Sized + Send {
    /// Reads the form.
    ///
    /// # Errors
    ///
    /// An id is missing.
    fn read(form: &Form) -> Result<Self, FormError>;
}

/// A webhook that Twilio signed.
#[derive(Debug)]
pub struct Signed<T> {
    /// What Twilio says.
    pub callback: T,
    /// The form as it came, with all its keys.
    pub form: Form,
    /// What we wrote into the URL ourselves.
    pub mention: Mention,
}

/// What our own URLs say in their queries. It is believed because the whole URL is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mention {
    /// The call that it is about.
    pub call: Option<CallId>,
    /// The media stream that ended.
    pub epoch: Option<u32>,
    /// Whether a `<Dial>` ended, and not a stream.
    pub dialled: bool,
    /// How long that `<Dial>` was allowed to last.
    pub limit: Option<Duration>,
    /// Whether we sent Twilio back here ourselves, because a first answer failed or took too long.
    pub again: bool,
}

impl<S, T> FromRequest<S> for Signed<T>
where
    S: Send + Sync,
    T: Callback,
    Webhooks: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let webhooks = Webhooks::from_ref(state);
        let (parts, body) = request.into_parts();
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let asked = uri.path_and_query().map_or("/", |asked| asked.as_str());
        let url = webhooks.public.requested(asked);
        let query = Form::parse(uri.query().unwrap_or_default().as_bytes());
        let headers = signature_headers(&parts.headers);
        let form = if parts.method == Method::GET {
            webhooks.verifier.verify_get(&url, headers).map_err(|why| webhooks.refuse(why))?;
            query.clone()
        } else {
            if !is_form(&parts.headers) {
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                let detail = "Twilio sends a form";
                return Err(Problem::new(status, "unsupported-media-type", "The body is not a form", detail));
            }
            let form = Form::parse(&read_bytes(&parts, body, WEBHOOK_BYTES_MAX).await?);
            webhooks.verifier.verify_form(&url, form.pairs(), headers).map_err(|why| webhooks.refuse(why))?;
            form
        };
        let callback = T::read(&form).map_err(|error| Problem::invalid("form", format!("it comes {error}")))?;
        Ok(Self { callback, mention: Mention::read(&query)?, form })
    }
}

impl Webhooks {
    fn refuse(&self, why: SignatureError) -> Problem {
        self.counters.forged();
        let title = "The signature is not Twilio's";
        let detail = "requests here are signed by Twilio for the configured PUBLIC_BASE_URL";
        Problem::forbidden("forged", title, detail).because(why)
    }
}

impl Mention {
    fn read(query: &Form) -> Result<Self, Problem> {
        let wrong = |name: &str| Problem::invalid(name, "it is not one that we wrote");
        Ok(Self {
            call: query.get("call").map(str::parse).transpose().map_err(|_| wrong("call"))?,
            epoch: query.get("epoch").map(str::parse).transpose().map_err(|_| wrong("epoch"))?,
            dialled: query.get("after") == Some("dial"),
            limit: query.get("limit").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs),
            again: query.get("again") == Some("1"),
        })
    }
}

impl Callback for VoiceRequest {
    fn read(form: &Form) -> Result<Self, FormError> {
        Self::from_form(form)
    }
}

impl Callback for StatusCallback {
    fn read(form: &Form) -> Result<Self, FormError> {
        Self::from_form(form)
    }
}

impl Callback for StreamCallback {
    fn read(form: &Form) -> Result<Self, FormError> {
        Self::from_form(form)
    }
}

fn signature_headers(headers: &HeaderMap) -> Headers<'_> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Headers { signature: text(HEADER), settings: text(SETTINGS_HEADER) }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
