//! Bad days, by seed. **Only for tests**: a layer under the AWS clients that does to requests what networks and services
//! do to them.
//!
//! What is a fault here: throttling; a conflict with another transaction; a connection that fails; an answer that is lost
//! after the request was carried out; a batch of which a part is left undone; an index that does not know the latest
//! writes yet; slowness. What is none: wrong data, or a write that was confirmed and is gone.
//!
//! ```no_run
//! # async fn example(config: store::Config) {
//! let faults = store::fault::Faults::seeded(7);
//! let store = store::Store::connect(store::Config { faults: Some(faults.clone()), ..config }).await;
//! faults.set_rate(0.2); // From here on one request in five meets a fault.
//! # }
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// What can happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The service asks to slow down, and does nothing.
    Throttled,
    /// Another transaction holds the item, and nothing is done.
    Conflict,
    /// The connection fails, and nothing is done.
    NotConnected,
    /// The request is carried out, and its answer is lost.
    AnswerLost,
    /// The service fails on its side, after carrying the request out.
    FailedAfterwards,
    /// Half of a batch is carried out.
    Unprocessed,
    /// An index answers from before the latest writes.
    StaleIndex,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Throttled,
        Self::Conflict,
        Self::NotConnected,
        Self::AnswerLost,
        Self::FailedAfterwards,
        Self::Unprocessed,
        Self::StaleIndex,
    ];
}

/// Faults to inject, by seed. Clones share the seed's sequence, the rate and the counts.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    rate: f64,
    /// What every request takes longer.
    delay: Duration,
    /// To be injected next, whatever the rate: the first that fits the request.
    next: Vec<Fault>,
    counts: BTreeMap<Fault, u64>,
    /// What an index answered before, by the question: as JSON, since the client puts its fields in any order.
    answers: HashMap<Value, Vec<u8>>,
}

impl Faults {
    /// A quiet day, until a rate is set.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: fastrand::Rng::with_seed(seed),
            rate: 0.0,
            delay: Duration::ZERO,
            next: Vec::new(),
            counts: BTreeMap::new(),
            answers: HashMap::new(),
        })))
    }

    /// From here on this share of requests (0.0 to 1.0) meets a fault, of the kinds that fit it.
    pub fn set_rate(&self, rate: f64) {
        self.state().rate = rate;
    }

    /// From here on every request takes so much longer: a store that is slow, and not away.
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// The next request that this fault fits meets it.
    pub fn inject(&self, fault: Fault) {
        self.state().next.push(fault);
    }

    /// How often each fault was injected.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Fault, u64> {
        self.state().counts.clone()
    }

    /// A client with the faults on top, for plain HTTP to an emulator.
    pub(crate) fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(FaultyClient { faults: self.clone(), inner: Builder::new().build_http() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, request: &Request) -> Option<Fault> {
        let mut state = self.state();
        let fitting: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| request.can_meet(*fault)).collect();
        let fault = match state.next.iter().position(|fault| fitting.contains(fault)) {
            Some(at) => state.next.remove(at),
            None if state.random.f64() < state.rate => {
                let at = state.random.usize(..fitting.len());
                fitting[at]
            }
            None => return None,
        };
        *state.counts.entry(fault).or_default() += 1;
        Some(fault)
    }
}

#[derive(Debug)]
struct FaultyClient {
    faults: Faults,
    inner: SharedHttpClient,
}

impl HttpClient for FaultyClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { faults: self.faults.clone(), inner })
    }
}

#[derive(Debug)]
struct FaultyConnector {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (faults, inner) = (self.faults.clone(), self.inner.clone());
        HttpConnectorFuture::new(async move {
            let seen = Request::of(&request);
            let delay = faults.state().delay;
            if delay > Duration::ZERO {
                tokio::time::sleep(delay).await;
            }
            match faults.draw(&seen) {
                None => {
                    let answer = inner.call(request).await?;
                    if seen.is_index_query() { faults.remember(&seen, answer).await } else { Ok(answer) }
                }
                Some(Fault::Throttled) => Ok(seen.throttled()),
                Some(Fault::Conflict) => Ok(seen.conflict()),
                Some(Fault::NotConnected) => Err(ConnectorError::io("injected: connection refused".into())),
                Some(Fault::AnswerLost) => {
                    inner.call(request).await?;
                    Err(ConnectorError::timeout("injected: the answer was lost".into()))
                }
                Some(Fault::FailedAfterwards) => {
                    inner.call(request).await?;
                    Ok(seen.failed())
                }
                Some(Fault::Unprocessed) => half(inner, request, &seen).await,
                Some(Fault::StaleIndex) => Ok(faults.earlier(&seen)),
            }
        })
    }
}

impl Faults {
    async fn remember(&self, seen: &Request, answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
        let mut answer = answer;
        let body = answer.take_body();
        let body = aws_sdk_s3::primitives::ByteStream::new(body).collect().await;
        let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
        if answer.status().is_success() {
            self.state().answers.insert(seen.json(), body.to_vec());
        }
        *answer.body_mut() = SdkBody::from(body);
        Ok(answer)
    }

    /// What the index answered to this question before; if it never was asked, it knows nothing yet.
    fn earlier(&self, seen: &Request) -> HttpResponse {
        let nothing = || json!({ "Items": [], "Count": 0, "ScannedCount": 0 }).to_string().into_bytes();
        let body = self.state().answers.get(&seen.json()).cloned().unwrap_or_else(nothing);
        respond(200, SdkBody::from(body))
    }
}

/// What of a request decides which faults fit it.
struct Request {
    /// DynamoDB's operation; none for S3.
    operation: Option<String>,
    body: Vec<u8>,
}

impl Request {
    fn of(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").and_then(|target| target.split_once('.'));
        Self {
            operation: target.map(|(_, operation)| operation.to_owned()),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn is_index_query(&self) -> bool {
        self.operation.as_deref() == Some("Query") && self.json().get("IndexName").is_some()
    }

    fn can_meet(&self, fault: Fault) -> bool {
        let operation = self.operation.as_deref();
        match fault {
            Fault::Throttled | Fault::NotConnected | Fault::AnswerLost | Fault::FailedAfterwards => true,
            Fault::Conflict => {
                matches!(operation, Some("PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems"))
            }
            Fault::Unprocessed => operation == Some("BatchWriteItem"),
            Fault::StaleIndex => self.is_index_query(),
        }
    }

    fn throttled(&self) -> HttpResponse {
        match &self.operation {
            Some(_) => dynamodb_error(400, json!({ "__type": coral("ProvisionedThroughputExceededException") })),
            None => s3_error("SlowDown"),
        }
    }

    fn conflict(&self) -> HttpResponse {
        if self.operation.as_deref() != Some("TransactWriteItems") {
            return dynamodb_error(400, json!({ "__type": coral("TransactionConflictException") }));
        }
        let items = self.json()["TransactItems"].as_array().map_or(1, Vec::len);
        let mut reasons = vec![json!({ "Code": "None" }); items];
        reasons[0] = json!({ "Code": "TransactionConflict", "Message": "injected" });
        let kind = coral("TransactionCanceledException");
        dynamodb_error(400, json!({ "__type": kind, "CancellationReasons": reasons }))
    }

    fn failed(&self) -> HttpResponse {
        match &self.operation {
            Some(_) => dynamodb_error(500, json!({ "__type": coral("InternalServerError") })),
            None => s3_error("InternalError"),
        }
    }
}

/// Carries half of a batch out, and hands the other half back.
async fn half(
    inner: SharedHttpConnector,
    mut request: HttpRequest,
    seen: &Request,
) -> Result<HttpResponse, ConnectorError> {
    let mut body = seen.json();
    let mut unprocessed = serde_json::Map::new();
    if let Some(tables) = body["RequestItems"].as_object_mut() {
        for (table, requests) in tables {
            let Some(requests) = requests.as_array_mut() else { continue };
            let rest = requests.split_off(requests.len().div_ceil(2));
            if !rest.is_empty() {
                unprocessed.insert(table.clone(), Value::Array(rest));
            }
        }
    }
    let body = body.to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    let answer = inner.call(request).await?;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    Ok(respond(200, SdkBody::from(json!({ "UnprocessedItems": unprocessed }).to_string())))
}

fn coral(name: &str) -> String {
    format!("com.amazonaws.dynamodb.v20120810#{name}")
}

fn dynamodb_error(status: u16, mut body: Value) -> HttpResponse {
    body["message"] = json!("injected");
    let mut response = respond(status, SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

fn s3_error(code: &str) -> HttpResponse {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>");
    respond(503, SdkBody::from(body))
}

fn respond(status: u16, body: SdkBody) -> HttpResponse {
    HttpResponse::new(StatusCode::try_from(status).expect("invariant: only valid statuses are injected"), body)
}
