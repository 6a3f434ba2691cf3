//! Hume's REST interface, as far as `doctor` needs it: whether the service is there, and the key good.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::BaseUrl;
use crate::transport::{NoAnswer, SetupError, Transport};

/// The header that carries the key (Hume: introduction, "API key").
const KEY_HEADER: &str = "x-hume-api-key";

/// A client with one key.
#[derive(Clone)]
pub struct Hume {
    transport: Transport,
    key: SecretString,
}

/// What EVI's REST interface says to our key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HumeAccess {
    /// The key is good, and EVI is there.
    Granted,
    /// 401: the key is wrong. Also a key that cannot stand in a header.
    BadKey,
    /// 403: the key is good, and not for EVI.
    Forbidden,
    /// 404 or 410: there is no EVI at this address (any more), or no such configuration.
    Gone,
    /// 429, after several tries.
    Overloaded,
    /// 5xx, after several tries.
    Failing {
        /// The HTTP status.
        status: u16,
    },
    /// Something else answers there.
    Strange {
        /// The HTTP status.
        status: u16,
    },
    /// Nobody answers.
    NoAnswer(NoAnswer),
}

impl HumeAccess {
    /// Whether an engine can be dialled with this key.
    #[must_use]
    pub const fn is_granted(self) -> bool {
        matches!(self, Self::Granted)
    }

    const fn of(status: u16, is_json: bool) -> Self {
        match status {
            200 if is_json => Self::Granted,
            401 => Self::BadKey,
            403 => Self::Forbidden,
            404 | 410 => Self::Gone,
            429 => Self::Overloaded,
            500..=599 => Self::Failing { status },
            _ => Self::Strange { status },
        }
    }
}

impl fmt::Display for HumeAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => f.write_str("the key is accepted"),
            Self::BadKey => f.write_str("the key is not accepted"),
            Self::Forbidden => f.write_str("the key may not use EVI"),
            Self::Gone => f.write_str("there is no such thing at this address (any more)"),
            Self::Overloaded => f.write_str("too many requests"),
            Self::Failing { status } => write!(f, "the service fails (HTTP {status})"),
            Self::Strange { status } => write!(f, "something else answers there (HTTP {status})"),
            Self::NoAnswer(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Debug for Hume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hume").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Hume {
    /// Where Hume is, unless configured otherwise.
    pub const BASE_URL: &str = "https://api.hume.ai";

    /// A client with one key.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be made.
    pub fn new(base: BaseUrl, key: SecretString) -> Result<Self, SetupError> {
        Ok(Self { transport: Transport::new(base)?, key })
    }

    /// Whether EVI is there and takes our key: asks for one configuration, of which there may be none.
    pub async fn check(&self) -> HumeAccess {
        self.ask("/v0/evi/configs?page_size=1").await
    }

    /// Whether a configuration exists. An id that is not made of letters, digits and `-` cannot.
    pub async fn check_config(&self, id: &str) -> HumeAccess {
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return HumeAccess::Gone;
        }
        self.ask(&format!("/v0/evi/configs/{id}?page_size=1")).await
    }

    async fn ask(&self, path: &str) -> HumeAccess {
        let Ok(mut key) = HeaderValue::from_str(self.key.expose_secret()) else { return HumeAccess::BadKey };
        key.set_sensitive(true);
        let request = |transport: &Transport| transport.get(path).header(KEY_HEADER, &key);
        match self.transport.send_repeatably(request).await {
            Ok(answer) => {
                let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_ok();
                HumeAccess::of(answer.status, is_json)
            }
            Err(reason) => HumeAccess::NoAnswer(reason),
        }
    }
}
