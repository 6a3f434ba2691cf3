//! Hume's REST interface: whether the service is there and the key good, and what it remembers of our chats.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use wire::hume::rest::{ChatEvent, ChatGroupEvents, ChatWithEvents, Page};

use crate::BaseUrl;
use crate::transport::{Answer, NoAnswer, SetupError, Transport};

/// The header that carries the key (Hume: introduction, "API key").
const KEY_HEADER: &str = "x-hume-api-key";

/// Events on a page: what a caller said takes about 20 kB with all its measures.
const EVENTS_PER_PAGE: u32 = 50;

/// More pages than this are not read: a conversation of four hours has fewer.
const PAGES_MAX: u32 = 200;

/// What is remembered, and under which id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChatHistory {
    /// A conversation, over all its sessions.
    Group(String),
    /// One session.
    Chat(String),
}

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
        if !is_id(id) {
            return HumeAccess::Gone;
        }
        self.ask(&format!("/v0/evi/configs/{id}?page_size=1")).await
    }

    /// Everything that Hume remembers of a conversation, oldest first: all pages of it. An id that is none of Hume's is
    /// gone.
    ///
    /// # Errors
    ///
    /// Why it cannot be had; never [`HumeAccess::Granted`].
    pub async fn events(&self, history: &ChatHistory) -> Result<Vec<ChatEvent>, HumeAccess> {
        let mut events = Vec::new();
        for number in 0..PAGES_MAX {
            let query = format!("page_number={number}&page_size={EVENTS_PER_PAGE}&ascending_order=true");
            let (page, mut found) = match history {
                // A chat's events come with the chat; there is no list of their own. (Hume: "List chat events")
                ChatHistory::Chat(id) if is_id(id) => {
                    let chat: ChatWithEvents = self.read(&format!("/v0/evi/chats/{id}?{query}")).await?;
                    (chat.page, chat.events_page)
                }
                ChatHistory::Group(id) if is_id(id) => {
                    let group: ChatGroupEvents = self.read(&format!("/v0/evi/chat_groups/{id}/events?{query}")).await?;
                    (group.page, group.events_page)
                }
                ChatHistory::Chat(_) | ChatHistory::Group(_) => return Err(HumeAccess::Gone),
            };
            let Page { total_pages, .. } = page;
            let empty = found.is_empty();
            events.append(&mut found);
            if empty || number + 1 >= total_pages {
                return Ok(events);
            }
        }
        tracing::warn!(pages = PAGES_MAX, "a conversation is longer at Hume than is read of it");
        Ok(events)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, HumeAccess> {
        let answer = self.get(path).await?;
        let access = HumeAccess::of(answer.status, true);
        if !access.is_granted() {
            return Err(access);
        }
        serde_json::from_slice(&answer.body).map_err(|_| HumeAccess::Strange { status: answer.status })
    }

    async fn ask(&self, path: &str) -> HumeAccess {
        match self.get(path).await {
            Ok(answer) => {
                let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_ok();
                HumeAccess::of(answer.status, is_json)
            }
            Err(access) => access,
        }
    }

    async fn get(&self, path: &str) -> Result<Answer, HumeAccess> {
        let mut key = HeaderValue::from_str(self.key.expose_secret()).map_err(|_| HumeAccess::BadKey)?;
        key.set_sensitive(true);
        let request = |transport: &Transport| transport.get(path).header(KEY_HEADER, &key);
        self.transport.send_repeatably(request).await.map_err(HumeAccess::NoAnswer)
    }
}

/// Whether a text can be an id of Hume's, and stand in a path.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 100 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
