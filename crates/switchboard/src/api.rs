//! The HTTP API from the client's side, as the commands use it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use call::journal::{Entry, Kind, Turn};
use reqwest::{Client, Method, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{CallRecord, Moment};

use crate::place::Place;
use crate::problem::Failure;
use crate::secrets::api_token;

/// The longest that an answer may take: placing a call includes Twilio's answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The API of one installation.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    token: SecretString,
    http: Client,
}

/// A page of the call log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallRecord>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// A part of a journal.
#[derive(Clone, Debug, Default)]
pub struct JournalPart {
    /// In order.
    pub entries: Vec<Entry>,
    /// What to read after next time.
    pub next_after: Option<String>,
    /// Whether there is more already.
    pub more: bool,
}

/// A part of an export.
#[derive(Clone, Debug)]
pub struct Part {
    /// As it is to be written.
    pub text: String,
    /// How many calls are in it.
    pub calls: u64,
    /// Where the next one is.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct JournalShown {
    entries: Vec<EntryShown>,
    next_after: Option<String>,
    more: bool,
}

#[derive(Deserialize)]
struct EntryShown {
    epoch: u32,
    seq: u64,
    at: Moment,
    #[serde(flatten)]
    kind: Value,
}

#[derive(Deserialize)]
struct TranscriptShown {
    turns: Vec<Turn>,
}

#[derive(Deserialize)]
struct ProblemShown {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

impl Api {
    /// The API at this address, for the owner of this token.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be made.
    pub fn new(base: &str, token: SecretString) -> anyhow::Result<Self> {
        let http = Client::builder().timeout(ANSWER_MAX).no_proxy().build().context("failed to make an HTTP client")?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), token, http })
    }

    /// The API of the program that runs on this data directory; none if none does.
    ///
    /// # Errors
    ///
    /// The token cannot be read.
    pub async fn of_running(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(place) = Place::announced(data_dir) else { return Ok(None) };
        let Some(token) = api_token(data_dir).context("failed to read the API's token")? else { return Ok(None) };
        let api = Self::new(&place.url, token)?;
        // It may have been killed, and somebody else may listen there now: only who knows the token is it.
        Ok(api.get::<Value>("/v1/nodes").await.is_ok().then_some(api))
    }

    /// Where it is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Reads something.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.send(Method::GET, path, &[], None).await?;
        response.json().await.with_context(|| format!("failed to read the answer to GET {path}"))
    }

    /// Asks for something to be done. An empty answer is null.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let body = serde_json::to_value(body).context("failed to write the request")?;
        let response = self.send(method, path, headers, Some(body)).await?;
        let bytes = response.bytes().await.with_context(|| format!("failed to read the answer to {path}"))?;
        let text = if bytes.is_empty() { &b"null"[..] } else { &bytes };
        serde_json::from_slice(text).with_context(|| format!("failed to read the answer to {path}"))
    }

    /// A call.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub async fn call(&self, id: &str) -> anyhow::Result<CallRecord> {
        self.get(&format!("/v1/calls/{id}")).await
    }

    /// What was written about a call after an entry.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub async fn journal(&self, id: &str, after: Option<&str>) -> anyhow::Result<JournalPart> {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let shown: JournalShown = self.get(&format!("/v1/calls/{id}/journal{query}")).await?;
        let entries = shown.entries.into_iter().filter_map(|entry| {
            // An entry of a later version is passed over: it is nothing that this one could show.
            let kind: Kind = serde_json::from_value(entry.kind).ok()?;
            Some(Entry { epoch: entry.epoch, seq: entry.seq, at_ms: entry.at.as_ms(), kind })
        });
        Ok(JournalPart { entries: entries.collect(), next_after: shown.next_after, more: shown.more })
    }

    /// All that was written about a call.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub async fn whole_journal(&self, id: &str) -> anyhow::Result<Vec<Entry>> {
        let (mut entries, mut after) = (Vec::new(), None);
        loop {
            let part = self.journal(id, after.as_deref()).await?;
            entries.extend(part.entries);
            after = part.next_after;
            if !part.more {
                return Ok(entries);
            }
        }
    }

    /// A part of an export.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub async fn part(&self, path: &str) -> anyhow::Result<Part> {
        let response = self.send(Method::GET, path, &[], None).await?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let calls = header("x-calls").and_then(|calls| calls.parse().ok()).unwrap_or(0);
        let next = header("link").and_then(|link| link.strip_prefix('<')?.strip_suffix(">; rel=\"next\""));
        let next = next.map(str::to_owned);
        let text = response.text().await.with_context(|| format!("failed to read the answer to GET {path}"))?;
        Ok(Part { text, calls, next })
    }

    /// What was said in a call.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub async fn turns(&self, id: &str) -> anyhow::Result<Vec<Turn>> {
        let shown: TranscriptShown = self.get(&format!("/v1/calls/{id}/transcript")).await?;
        Ok(shown.turns)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> anyhow::Result<Response> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        request = request.bearer_auth(self.token.expose_secret());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("failed to reach {}", self.base))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem = response.json::<ProblemShown>().await.ok();
        Err(anyhow!(Refused { status, problem: problem.map(|problem| (problem.title, problem.detail)) }))
    }
}

/// The API does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub struct Refused {
    /// The HTTP status.
    pub status: StatusCode,
    problem: Option<(String, String)>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.problem {
            Some((title, detail)) => write!(f, "{title}: {detail}"),
            None => write!(f, "the answer is {}", self.status),
        }
    }
}

/// A refusal that says what to change in the request is for whoever typed it; anything else broke.
#[must_use]
pub fn failure(error: anyhow::Error) -> Failure {
    match error.downcast_ref::<Refused>() {
        Some(Refused { status, problem: Some((title, detail)) }) if status.is_client_error() => {
            Failure::one("The API", format!("says no: {}", title.to_lowercase()), detail.clone())
        }
        Some(_) | None => Failure::Broken(error),
    }
}
