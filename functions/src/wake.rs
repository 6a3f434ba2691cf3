//! Waking the worker's Lambda: a function that has written work asks Lambda to start the worker, before it answers.
//!
//! A function that has answered is frozen, so there is no later. The request is one signed POST that Lambda queues
//! (`InvocationType: Event`), a few milliseconds; if it fails the worker comes by its clock within a minute. Signed with the
//! SDK's own signer: Lambda's whole client for one request would weigh more than all else here.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::config::Lookup;
use crate::state::Bell;

/// Lambda takes an invocation within this time, or the clock does it.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

/// What the worker is told. It does not listen.
const PAYLOAD: &[u8] = b"{}";

/// Wakes the worker.
#[derive(Clone, Debug)]
pub struct Alarm {
    url: String,
    region: String,
    credentials: Credentials,
    client: reqwest::Client,
    bell: Bell,
}

impl Alarm {
    /// From `WORKER_FUNCTION` and what Lambda gives every function; none where there is no worker to wake. `bell` is what
    /// the functions ring.
    #[must_use]
    pub fn read(lookup: &Lookup<'_>, bell: Bell) -> Option<Self> {
        let function = lookup.optional("WORKER_FUNCTION")?;
        let region = lookup.optional("AWS_REGION")?;
        let endpoint = lookup.optional("AWS_ENDPOINT_URL_LAMBDA");
        let endpoint = endpoint.unwrap_or_else(|| format!("https://lambda.{region}.amazonaws.com"));
        let credentials = Credentials::new(
            lookup.optional("AWS_ACCESS_KEY_ID")?,
            lookup.optional("AWS_SECRET_ACCESS_KEY")?,
            lookup.optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let client = reqwest::Client::builder().timeout(TAKEN_WITHIN).build().ok()?;
        let url = format!("{endpoint}/2015-03-31/functions/{function}/invocations");
        Some(Self { url, region, credentials, client, bell })
    }

    /// A router that wakes the worker before it answers, when its handlers have rung.
    pub fn around(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self, answer))
    }

    async fn wake(&self) -> Result<(), String> {
        let builder = http::Request::post(&self.url).header("x-amz-invocation-type", "Event");
        let mut request = builder.body(PAYLOAD).map_err(|error| error.to_string())?;
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder().identity(&identity).region(&self.region).name("lambda");
        let params = params.time(SystemTime::now()).settings(SigningSettings::default());
        let params = params.build().map_err(|error| error.to_string())?.into();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new("POST", &self.url, headers, SignableBody::Bytes(PAYLOAD));
        let signable = signable.map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &params).map_err(|error| error.to_string())?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        let request = reqwest::Request::try_from(request).map_err(|error| error.without_url().to_string())?;
        let answer = self.client.execute(request).await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("Lambda answers {}", answer.status())) }
    }
}

async fn answer(State(alarm): State<Alarm>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if alarm.bell.has_rung()
        && let Err(error) = alarm.wake().await
    {
        tracing::warn!(error, "the worker was not woken, and comes by its clock");
    }
    response
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::http::HeaderMap;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    type Heard = Arc<Mutex<Vec<(String, HeaderMap)>>>;

    #[tokio::test]
    async fn a_ring_wakes_the_worker_before_the_answer_and_silence_does_not() {
        let heard = Heard::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let lambda = Router::new().fallback(async |State(heard): State<Heard>, request: Request| {
            let (parts, _) = request.into_parts();
            heard.lock().unwrap().push((parts.uri.path().to_owned(), parts.headers));
            http::StatusCode::ACCEPTED
        });
        let lambda = lambda.with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, lambda).await });

        let source = move |name: &str| {
            Some(match name {
                "WORKER_FUNCTION" => "switchboard-worker".to_owned(),
                "AWS_REGION" => "eu-central-1".to_owned(),
                "AWS_ACCESS_KEY_ID" => "AKIDEXAMPLE".to_owned(),
                "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => "example".to_owned(),
                "AWS_ENDPOINT_URL_LAMBDA" => endpoint.clone(),
                _ => return None,
            })
        };
        let bell = Bell::default();
        let ringing = bell.clone();
        let router = Router::new().route("/quiet", get(async || "")).route("/ring", get(async move || ringing.ring()));
        let router = Alarm::read(&Lookup::new(&source), bell).unwrap().around(router);
        for path in ["/quiet", "/ring", "/quiet"] {
            let request = Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
            assert_eq!(router.clone().oneshot(request).await.unwrap().status(), 200);
        }
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 1, "{heard:?}");
        let (path, headers) = &heard[0];
        assert_eq!(path, "/2015-03-31/functions/switchboard-worker/invocations");
        assert_eq!(headers["x-amz-invocation-type"], "Event");
        assert_eq!(headers["x-amz-security-token"], "example");
        let signed = headers["authorization"].to_str().unwrap();
        assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signed}");
        assert!(signed.contains("/eu-central-1/lambda/aws4_request"), "{signed}");
    }
}
