//! The layer around everything: a name for each request, one line in the log, problems for what has no handler.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use tracing::Instrument as _;

use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Completes a router: unknown paths and methods become problems, each answer carries a request id, and each problem
/// is logged once.
pub fn finish(router: Router) -> Router {
    router.fallback(unknown_path).method_not_allowed_fallback(unknown_method).layer(from_fn(outermost))
}

async fn unknown_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", "There is nothing here", "see /openapi.json for what there is")
}

async fn unknown_method() -> Problem {
    let detail = "this path does not take that method; see /openapi.json";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method", detail)
}

async fn outermost(request: Request, next: Next) -> Response {
    let id = request_id();
    // The path as declared: ids and queries do not belong in every line of the log.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    async {
        let mut response = next.run(request).await;
        if let Some(problem) = response.extensions().get::<Problem>().cloned() {
            problem.log();
            // Headers that were added on the way, such as Allow or Content-Range, stay.
            let mut rendered = problem.render(Some(format!("urn:request:{id}")));
            for (name, value) in response.headers() {
                if !rendered.headers().contains_key(name) && name != http::header::CONTENT_LENGTH {
                    rendered.headers_mut().append(name.clone(), value.clone());
                }
            }
            response = rendered;
        }
        let value = HeaderValue::from_str(&id).expect("invariant: an id is hexadecimal");
        response.headers_mut().insert(REQUEST_ID, value);
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    }
    .instrument(span)
    .await
}

fn request_id() -> String {
    let mut bytes = [0; 12];
    // An id that is all zeros still names a request in its own log stream.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
