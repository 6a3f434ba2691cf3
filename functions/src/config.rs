//! Configuration: one pure function per capability from a lookup to its settings.
//!
//! All that is wrong is reported at once, each with what to do about it. Secrets do not print. What a process that
//! cannot be configured does (exit code 2) is its caller's.

mod hume;
mod judge;
mod lookup;
mod tell;

use std::path::PathBuf;
use std::time::Duration;

use call::agent::{EngineKind, Installation, PRIVATE_TOOLS_SETTING};
use clients::{BaseUrl, Credentials, SetupError, Twilio};
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use wire::signed::Secrets;
use wire::twilio::AccountSid;

use crate::door::{ApiTokens, Quotas, SessionKeys};
use crate::guard::{Guard, country_of};
use crate::public_url::PublicUrl;
use crate::services::{Service, services};

pub use hume::hume;
pub use lookup::{ConfigError, ConfigProblem, Lookup};
pub use tell::TellConfig;

/// What a Lambda can answer at once is 6 MB, and Base64 takes a third of it.
const LAMBDA_PART_BYTES_MAX: u64 = 4 << 20;

/// Where the store is. The store's own client finds region and credentials in the environment, as AWS tools do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// `TABLE_NAME`.
    pub table: String,
    /// `BUCKET_NAME`.
    pub bucket: String,
    /// `RETENTION_DAYS`.
    pub retention: Duration,
    /// Whether `WEBHOOK_URL` is set: every function that changes calls writes the work of telling.
    pub webhooks: bool,
    /// `TIME_ZONE`: what a day is in figures by day.
    pub time_zone: TimeZone,
}

/// What it takes to believe Twilio's webhooks.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// `PUBLIC_BASE_URL`.
    pub public: PublicUrl,
    /// `TWILIO_AUTH_TOKEN`, a list during rotation.
    pub auth_tokens: Vec<SecretString>,
}

impl WebhookConfig {
    pub(crate) fn tokens(&self) -> Vec<&str> {
        self.auth_tokens.iter().map(ExposeSecret::expose_secret).collect()
    }
}

/// For `/twilio/voice` and `/twilio/voice/next`.
#[derive(Clone, Debug)]
pub struct VoiceConfig {
    /// Whom to believe.
    pub webhooks: WebhookConfig,
    /// `MEDIA_STREAM_URL`.
    pub media: PublicUrl,
    /// `STREAM_SECRET`.
    pub stream_secrets: Secrets,
    /// `MAX_CALL_MINUTES`.
    pub call_max: Duration,
    /// `TIME_ZONE`: what an agent says when it says the time.
    pub time_zone: TimeZone,
    /// Whether Twilio is simulated. Never by a variable: the program for one machine knows.
    pub simulated: bool,
    /// How much one number may ask.
    pub quotas: Quotas,
}

/// For `/twilio/voice/fallback`.
#[derive(Clone, Debug)]
pub struct FallbackConfig {
    /// Whom to believe.
    pub webhooks: WebhookConfig,
    /// How much one number may ask.
    pub quotas: Quotas,
}

/// For `/twilio/status`, `/twilio/stream` and `/hume/webhook`.
#[derive(Clone, Debug)]
pub struct StatusConfig {
    /// Whom to believe.
    pub webhooks: WebhookConfig,
    /// `STREAM_SECRET`.
    pub stream_secrets: Secrets,
    /// `MAX_CALL_MINUTES`.
    pub call_max: Duration,
    /// `HUME_WEBHOOK_SIGNING_KEY`; without it Hume's webhooks are refused.
    pub hume_key: Option<SecretString>,
    /// How much one number may ask.
    pub quotas: Quotas,
}

/// For `/v1`.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// `PUBLIC_BASE_URL`.
    pub public: PublicUrl,
    /// `MEDIA_STREAM_URL`.
    pub media: PublicUrl,
    /// `STREAM_SECRET`.
    pub stream_secrets: Secrets,
    /// Derived from `STREAM_SECRET`.
    pub session_keys: SessionKeys,
    /// `API_TOKENS`.
    pub api_tokens: ApiTokens,
    /// `TWILIO_PHONE_NUMBER`: who calls, unless a request says otherwise.
    pub our_number: String,
    /// `ALLOWED_COUNTRIES`.
    pub guard: Guard,
    /// `MAX_CALLS`.
    pub calls_max: usize,
    /// `CALLS_PER_SECOND`.
    pub calls_per_second: u32,
    /// `MAX_CALL_MINUTES`.
    pub call_max: Duration,
    /// `TIME_ZONE`: what a day is in a list's filters.
    pub time_zone: TimeZone,
    /// `ENGINES` (those that the nodes have credentials for) and `TOOL_PRIVATE_ADDRESSES`: what an agent may count on.
    pub installation: Installation,
    /// Whether Twilio is simulated.
    pub simulated: bool,
    /// More pages whose cookies count, such as `http://localhost:8080`.
    pub local_origins: Vec<String>,
    /// The largest answer with a part of a recording; none without a bound.
    pub part_bytes_max: Option<u64>,
    /// What is real and what is not; filled in by the program for one machine, which knows.
    pub services: Vec<Service>,
    /// `DASHBOARD_DIR`: where the dashboard's files are read from, for whoever works on them; none for those in the binary.
    pub dashboard_dir: Option<PathBuf>,
    /// How much one token may ask.
    pub quotas: Quotas,
}

/// Twilio's REST interface.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    /// `TWILIO_BASE_URL`.
    pub base: BaseUrl,
    /// `TWILIO_ACCOUNT_SID`.
    pub account: AccountSid,
    /// `TWILIO_API_KEY` and `_SECRET`, else `TWILIO_AUTH_TOKEN`.
    pub credentials: Credentials,
}

impl TwilioConfig {
    /// The client.
    ///
    /// # Errors
    ///
    /// It cannot be made on this machine.
    pub fn client(self) -> Result<Twilio, SetupError> {
        Twilio::new(self.base, self.account, self.credentials)
    }
}

impl StoreConfig {
    /// Reads `TABLE_NAME`, `BUCKET_NAME`, `RETENTION_DAYS`, `TIME_ZONE`.
    #[must_use]
    pub fn read(lookup: &mut Lookup<'_>) -> Self {
        Self {
            table: lookup.required("TABLE_NAME", "set it to the name of the DynamoDB table").unwrap_or_default(),
            bucket: lookup.required("BUCKET_NAME", "set it to the name of the S3 bucket").unwrap_or_default(),
            retention: Duration::from_secs(lookup.number("RETENTION_DAYS", 365, 1..=36_500) * 24 * 3_600),
            webhooks: lookup.optional("WEBHOOK_URL").is_some(),
            time_zone: time_zone(lookup).unwrap_or(TimeZone::UTC),
        }
    }

    /// The store's settings.
    #[must_use]
    pub fn settings(&self) -> store::Config {
        let Self { table, bucket, retention, webhooks, time_zone } = self.clone();
        store::Config { retention, webhooks, time_zone, ..store::Config::new(table, bucket) }
    }
}

impl WebhookConfig {
    fn read(lookup: &mut Lookup<'_>) -> Option<Self> {
        let public = public_url(lookup);
        let tokens = lookup.required("TWILIO_AUTH_TOKEN", "copy the auth token from Twilio's console");
        let auth_tokens: Vec<SecretString> = split(&tokens?).map(SecretString::from).collect();
        if auth_tokens.is_empty() {
            lookup.wrong("TWILIO_AUTH_TOKEN", "is empty", "copy the auth token from Twilio's console");
        }
        Some(Self { public: public?, auth_tokens })
    }
}

impl VoiceConfig {
    /// Reads what the voice function needs.
    ///
    /// # Errors
    ///
    /// Everything that is wrong or missing.
    pub fn read(lookup: &mut Lookup<'_>) -> Result<Self, ConfigError> {
        let (webhooks, media) = (WebhookConfig::read(lookup), media_url(lookup));
        let (secrets, call_max, time_zone) = (stream_secrets(lookup), call_max(lookup), time_zone(lookup));
        lookup.finish(|| {
            let stream_secrets = secrets?.0;
            Some(Self {
                webhooks: webhooks?,
                media: media?,
                stream_secrets,
                call_max,
                time_zone: time_zone?,
                simulated: false,
                quotas: Quotas::default(),
            })
        })
    }
}

impl FallbackConfig {
    /// Reads what the fallback function needs.
    ///
    /// # Errors
    ///
    /// Everything that is wrong or missing.
    pub fn read(lookup: &mut Lookup<'_>) -> Result<Self, ConfigError> {
        let webhooks = WebhookConfig::read(lookup);
        lookup.finish(|| Some(Self { webhooks: webhooks?, quotas: Quotas::default() }))
    }
}

impl StatusConfig {
    /// Reads what the status function needs.
    ///
    /// # Errors
    ///
    /// Everything that is wrong or missing.
    pub fn read(lookup: &mut Lookup<'_>) -> Result<Self, ConfigError> {
        let (webhooks, secrets, call_max) = (WebhookConfig::read(lookup), stream_secrets(lookup), call_max(lookup));
        let hume_key = lookup.optional("HUME_WEBHOOK_SIGNING_KEY").map(SecretString::from);
        lookup.finish(|| {
            let stream_secrets = secrets?.0;
            Some(Self { webhooks: webhooks?, stream_secrets, call_max, hume_key, quotas: Quotas::default() })
        })
    }
}

impl ApiConfig {
    /// Reads what the API needs.
    ///
    /// # Errors
    ///
    /// Everything that is wrong or missing.
    pub fn read(lookup: &mut Lookup<'_>) -> Result<Self, ConfigError> {
        let (public, media, secrets) = (public_url(lookup), media_url(lookup), stream_secrets(lookup));
        let api_tokens = api_tokens(lookup);
        let our_number = our_number(lookup);
        let guard = our_number.as_deref().and_then(|number| guard(lookup, number));
        let calls_max = lookup.number("MAX_CALLS", 100, 1..=100_000);
        let per_second = lookup.number("CALLS_PER_SECOND", 1, 1..=1_000);
        let (call_max, time_zone) = (call_max(lookup), time_zone(lookup));
        let installation = installation(lookup);
        let in_lambda = lookup.optional("AWS_LAMBDA_FUNCTION_NAME").is_some();
        let dashboard_dir = lookup.optional("DASHBOARD_DIR");
        lookup.finish(|| {
            let (stream_secrets, session_keys) = secrets?;
            Some(Self {
                public: public?,
                media: media?,
                stream_secrets,
                session_keys,
                api_tokens: api_tokens?,
                our_number: our_number?,
                guard: guard?,
                calls_max: usize::try_from(calls_max).unwrap_or(usize::MAX),
                calls_per_second: u32::try_from(per_second).unwrap_or(1),
                call_max,
                time_zone: time_zone?,
                simulated: false,
                local_origins: Vec::new(),
                part_bytes_max: in_lambda.then_some(LAMBDA_PART_BYTES_MAX),
                services: services(&installation),
                installation,
                dashboard_dir: dashboard_dir.map(PathBuf::from),
                quotas: Quotas::default(),
            })
        })
    }
}

impl TwilioConfig {
    /// Reads the account and its credentials.
    ///
    /// # Errors
    ///
    /// Everything that is wrong or missing.
    pub fn read(lookup: &mut Lookup<'_>) -> Result<Self, ConfigError> {
        const CONSOLE: &str = "copy it from Twilio's console";
        let base = lookup.optional("TWILIO_BASE_URL").unwrap_or_else(|| Twilio::BASE_URL.to_owned());
        let base: Option<BaseUrl> = lookup.parsed("TWILIO_BASE_URL", &base, "leave it out for Twilio itself");
        let account = lookup.required("TWILIO_ACCOUNT_SID", CONSOLE);
        let account = account.and_then(|sid| lookup.parsed::<AccountSid>("TWILIO_ACCOUNT_SID", &sid, CONSOLE));
        let key = (
            lookup.optional("TWILIO_API_KEY"),
            lookup.optional("TWILIO_API_KEY_SECRET").or_else(|| lookup.optional("TWILIO_API_SECRET")),
        );
        let credentials = match key {
            (Some(sid), Some(secret)) => Some(Credentials::ApiKey { sid, secret: secret.into() }),
            (Some(_), None) => {
                lookup.wrong("TWILIO_API_KEY_SECRET", "is missing beside TWILIO_API_KEY", "set both, or neither");
                None
            }
            (None, Some(_)) => {
                lookup.wrong("TWILIO_API_KEY", "is missing beside its secret", "set both, or neither");
                None
            }
            (None, None) => {
                let tokens = lookup.required("TWILIO_AUTH_TOKEN", "set it, or TWILIO_API_KEY with its secret");
                tokens.and_then(|tokens| split(&tokens).next().map(|token| Credentials::AuthToken(token.into())))
            }
        };
        lookup.finish(|| Some(Self { base: base?, account: account?, credentials: credentials? }))
    }
}

fn public_url(lookup: &mut Lookup<'_>) -> Option<PublicUrl> {
    let remedy = "set it to where Twilio reaches the control plane, such as https://voice.example.com";
    let text = lookup.required("PUBLIC_BASE_URL", remedy)?;
    lookup.parsed("PUBLIC_BASE_URL", &text, remedy)
}

fn media_url(lookup: &mut Lookup<'_>) -> Option<PublicUrl> {
    let remedy = "set it to where Twilio reaches the media nodes, such as wss://media.example.com/media-stream";
    let text = match lookup.optional("MEDIA_STREAM_URL") {
        Some(text) => text,
        // On one machine both are at one address.
        None => lookup.optional("PUBLIC_BASE_URL")?.parse::<PublicUrl>().ok()?.for_sockets().join("/media-stream"),
    };
    let url: PublicUrl = lookup.parsed("MEDIA_STREAM_URL", &text, remedy)?;
    if !url.origin().starts_with("ws") {
        lookup.wrong("MEDIA_STREAM_URL", "does not begin with wss://", remedy);
        return None;
    }
    Some(url)
}

fn stream_secrets(lookup: &mut Lookup<'_>) -> Option<(Secrets, SessionKeys)> {
    let remedy = "set it to the output of: openssl rand -hex 32 (the same for the control plane and the nodes)";
    let text = lookup.required("STREAM_SECRET", remedy)?;
    match Secrets::parse(&text) {
        Ok(secrets) => Some((secrets, SessionKeys::derive(&text))),
        Err(error) => {
            lookup.wrong("STREAM_SECRET", &format!("cannot be used: {error}"), remedy);
            None
        }
    }
}

fn api_tokens(lookup: &mut Lookup<'_>) -> Option<ApiTokens> {
    let remedy = "list who may use the API as name:role:sha256, with: printf %s \"$TOKEN\" | sha256sum";
    let text = lookup.required("API_TOKENS", remedy)?;
    match ApiTokens::parse(&text) {
        Ok(tokens) => Some(tokens),
        Err(error) => {
            lookup.wrong("API_TOKENS", &format!("cannot be read: {error}"), remedy);
            None
        }
    }
}

fn our_number(lookup: &mut Lookup<'_>) -> Option<String> {
    let remedy = "set it to a number of your Twilio account in E.164, such as +12025550123";
    let number = lookup.required("TWILIO_PHONE_NUMBER", remedy)?;
    if country_of(&number).is_none() {
        lookup.wrong("TWILIO_PHONE_NUMBER", "is not a telephone number in E.164", remedy);
        return None;
    }
    Some(number)
}

fn guard(lookup: &mut Lookup<'_>, our_number: &str) -> Option<Guard> {
    let remedy = "list two-letter codes, such as US,CA; leave it out for your own country only";
    let countries: Vec<String> = match lookup.optional("ALLOWED_COUNTRIES") {
        Some(list) => split(&list).map(|code| code.to_ascii_uppercase()).collect(),
        None => country_of(our_number).into_iter().collect(),
    };
    match Guard::new(countries) {
        Ok(guard) => Some(guard),
        Err(error) => {
            lookup.wrong("ALLOWED_COUNTRIES", &error.to_string(), remedy);
            None
        }
    }
}

fn installation(lookup: &mut Lookup<'_>) -> Installation {
    let engines = lookup.optional("ENGINES").map(|list| {
        let mut engines = Vec::new();
        for name in split(&list) {
            match EngineKind::named(&name) {
                Some(engine) => engines.push(engine),
                None => {
                    let known = EngineKind::ALL.map(EngineKind::as_str).join(",");
                    let remedy = format!("list those that the nodes have credentials for, of {known}; or leave it out");
                    lookup.wrong("ENGINES", &format!("names `{}`, which is no engine", name.escape_debug()), &remedy);
                }
            }
        }
        engines
    });
    let private_tools = match lookup.optional(PRIVATE_TOOLS_SETTING).as_deref() {
        None => false,
        Some("allowed") => true,
        Some(_) => {
            let remedy = "leave it out to allow tools at public https addresses only";
            lookup.wrong(PRIVATE_TOOLS_SETTING, "is not `allowed`", remedy);
            false
        }
    };
    Installation { engines, private_tools }
}

fn call_max(lookup: &mut Lookup<'_>) -> Duration {
    Duration::from_secs(lookup.number("MAX_CALL_MINUTES", 30, 1..=240) * 60)
}

/// `TIME_ZONE`.
pub(crate) fn time_zone(lookup: &mut Lookup<'_>) -> Option<TimeZone> {
    let Some(name) = lookup.optional("TIME_ZONE") else { return Some(TimeZone::UTC) };
    let zone = TimeZone::get(&name).ok();
    if zone.is_none() {
        lookup.wrong("TIME_ZONE", "is not a time zone", "use a name such as Europe/Berlin or America/New_York");
    }
    zone
}

fn split(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
