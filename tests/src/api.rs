//! The public HTTP API, as a program with a token uses it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use call::journal::{Entry, Turn};
use serde_json::Value;

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body, whatever it is.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text; empty without one.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A client with a token.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) token: String,
    pub(crate) http: reqwest::Client,
}

impl Api {
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let mut request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> anyhow::Result<Answer> {
        let mut request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    pub(crate) async fn call(&self, id: &str) -> anyhow::Result<Value> {
        Ok(self.get(&format!("/v1/calls/{id}"), &[]).await?.json())
    }

    /// The call with this Twilio id, once the API lists it.
    pub(crate) async fn call_by_sid(&self, sid: &str, within: Duration) -> anyhow::Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let list = self.get("/v1/calls?limit=100", &[]).await?.json();
            let calls = list["calls"].as_array().cloned().unwrap_or_default();
            if let Some(call) = calls.into_iter().find(|call| call["twilio_sid"] == sid) {
                return Ok(call);
            }
            anyhow::ensure!(Instant::now() < deadline, "the API does not list the call {sid}: {list}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All of a call's journal, page by page.
    pub(crate) async fn journal(&self, id: &str) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut after = String::new();
        loop {
            let answer = self.get(&format!("/v1/calls/{id}/journal?limit=200{after}"), &[]).await?;
            anyhow::ensure!(answer.status == 200, "the journal is answered with {}", answer.status);
            let page = answer.json();
            for shown in page["entries"].as_array().context("a page of a journal has entries")? {
                entries.push(entry(shown)?);
            }
            match (page["more"].as_bool(), page["next_after"].as_str()) {
                (Some(true), Some(next)) => after = format!("&after={next}"),
                _ => return Ok(entries),
            }
        }
    }

    pub(crate) async fn transcript(&self, id: &str) -> anyhow::Result<Vec<Turn>> {
        let answer = self.get(&format!("/v1/calls/{id}/transcript"), &[]).await?;
        anyhow::ensure!(answer.status == 200, "the transcript is answered with {}", answer.status);
        Ok(serde_json::from_value(answer.json()["turns"].clone())?)
    }
}

/// An entry as the API shows it: its time is a text there.
fn entry(shown: &Value) -> anyhow::Result<Entry> {
    let mut shown = shown.clone();
    let at: store::Moment = serde_json::from_value(shown["at"].take())?;
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("at");
        fields.insert("at_ms".to_owned(), at.as_ms().into());
    }
    Ok(serde_json::from_value(shown)?)
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await.context("ask the API")?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
}
