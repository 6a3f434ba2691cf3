//! `GET /` and what belongs to it: the dashboard, a handful of static files in the binary.
//!
//! The files are what a browser gets: HTML, CSS and ES modules, written by hand, with no step between. They know the
//! public API alone, so they are the same for everybody, may be read without signing in, and carry nothing secret.
//!
//! Promises: no script, style, font or image of a third party (Content-Security-Policy), no markup made of text (Trusted
//! Types), each file with an `ETag`, asked for again each time so that a new version is seen at once. Whoever works on
//! them sets `DASHBOARD_DIR`: they are then read from there at each request.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::{self, State};
use axum::response::Response;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;
use crate::public_url::PublicUrl;
use crate::state::ApiState;

/// Names the files of the directory `dashboard/` that are served.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(File { name: $name, bytes: include_bytes!(concat!("../../dashboard/", $name)) }),*]
    };
}

struct File {
    name: &'static str,
    bytes: &'static [u8],
}

const FILES: &[File] = &files![
    "index.html",
    "style.css",
    "app.js",
    "kit.js",
    "calls.js",
    "export.js",
    "signin.js",
    "call.js",
    "story.js",
    "conversation.js",
    "player.js",
    "feed.js",
    "steer.js",
    "listen.js",
    "place.js",
    "countries.js",
    "agents.js",
    "agent.js",
    "figures.js",
    "plot.js",
    "system.js",
];

/// The addresses that show the page; what stands in them is for its scripts to read.
const PAGES: [&str; 9] =
    ["/", "/calls/{id}", "/listen", "/place", "/agents", "/agents/{name}", "/figures", "/system", "/sign-in"];

/// Each file with its tag.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| FILES.iter().map(|file| tag(file.bytes)).collect());

/// The routes of the page and its files.
pub(crate) fn routes() -> Router<ApiState> {
    let pages = PAGES.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    pages.route("/assets/{name}", get(asset))
}

async fn page(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, Problem> {
    serve(&state, "index.html", &headers).await
}

async fn asset(
    State(state): State<ApiState>,
    extract::Path(name): extract::Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    serve(&state, &name, &headers).await
}

async fn serve(state: &ApiState, name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let api = state.inner();
    let Some((at, file)) = FILES.iter().enumerate().find(|(_, file)| file.name == name) else {
        return Err(Problem::not_found("a file of this name"));
    };
    let (bytes, tag) = match &api.dashboard_dir {
        None => (Body::from(file.bytes), TAGS[at].clone()),
        Some(directory) => from_disk(directory, name).await?,
    };
    let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag);
    let (status, body) = if is_known { (StatusCode::NOT_MODIFIED, Body::empty()) } else { (StatusCode::OK, bytes) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, media_type(name)),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let text = |text: String| HeaderValue::from_str(&text).map_err(Problem::internal);
    response.headers_mut().insert(ETAG, text(tag)?);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, text(policy(&api.media))?);
    Ok(response)
}

async fn from_disk(directory: &Path, name: &str) -> Result<(Body, String), Problem> {
    let path: PathBuf = directory.join(name);
    let bytes = tokio::fs::read(&path).await.map_err(|error| {
        Problem::unavailable("a file of the dashboard cannot be read; look at DASHBOARD_DIR", error)
    })?;
    let tag = tag(&bytes);
    Ok((Body::from(bytes), tag))
}

fn tag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// What a page may load and reach: ourselves, and the media nodes' live sockets. Recordings come from us part by part,
/// also where the whole of one is at S3.
fn policy(media: &PublicUrl) -> String {
    let (sockets, pages) = (media.for_sockets(), "'none'");
    format!(
        "default-src {pages}; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' {}; \
         media-src 'self'; form-action 'self'; base-uri {pages}; frame-ancestors {pages}; \
         require-trusted-types-for 'script'",
        sockets.origin()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_directory_is_served_and_none_is_long() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard");
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            found.insert(entry.unwrap().file_name().into_string().unwrap());
        }
        let served: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(served, found);
    }

    #[test]
    fn nothing_in_the_files_makes_markup_of_text_or_leads_to_others() {
        for file in FILES {
            let text = std::str::from_utf8(file.bytes).unwrap();
            for wrong in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
                assert!(!text.contains(wrong), "{} has {wrong}", file.name);
            }
            let others = text.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
            for other in others {
                assert!(other.starts_with("://www.w3.org/"), "{} leads to http{}", file.name, &other[..30]);
            }
        }
    }

    #[test]
    fn a_page_reaches_the_nodes_and_nobody_else() {
        let policy = policy(&"wss://media.example.com/media-stream".parse().unwrap());
        assert!(policy.contains("connect-src 'self' wss://media.example.com;"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'));
    }
}
