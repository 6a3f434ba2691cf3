//! Who is not let in at all, whatever key they bring: browsers, and whoever was led here by a name.
//!
//! A web page that the user happens to look at can send requests to any port of this machine. Its browser says so
//! (`Origin`, `Sec-Fetch-Site`), and none of our programs is one. A page whose own name was pointed at 127.0.0.1 counts as
//! being at home here and may send neither; its requests carry that name as their host.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

/// Puts the door in front of what is served at this address.
pub(crate) fn in_front_of(router: Router, address: SocketAddr) -> Router {
    let host: Arc<str> = address.to_string().into();
    router.layer(from_fn_with_state(host, door))
}

async fn door(State(host): State<Arc<str>>, request: Request, next: Next) -> Response {
    match refusal(&request, &host) {
        Some(why) => {
            tracing::warn!(why, "a request to the embedded store was refused");
            (StatusCode::FORBIDDEN, why).into_response()
        }
        None => next.run(request).await,
    }
}

fn refusal<B>(request: &http::Request<B>, host: &str) -> Option<&'static str> {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Some("browsers are not served here");
    }
    // HTTP/1 has the host in a header, HTTP/2 in the address.
    let named = match request.uri().authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => headers.get(header::HOST).map(http::HeaderValue::as_bytes).unwrap_or_default(),
    };
    // Two of them would let the second one lie.
    let told_once = headers.get_all(header::HOST).iter().count() <= 1;
    (named != host.as_bytes() || !told_once).then_some("only this machine's own address is served here")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&str, &str)]) -> bool {
        let mut request = http::Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        refusal(&request.body(()).unwrap(), "127.0.0.1:8000").is_some()
    }

    #[test]
    fn our_own_requests_come_in() {
        assert!(!refused(&[("host", "127.0.0.1:8000")]));
        let request = http::Request::get("http://127.0.0.1:8000/").body(()).unwrap();
        assert_eq!(refusal(&request, "127.0.0.1:8000"), None);
    }

    #[test]
    fn browsers_do_not_whatever_origin_they_name() {
        for origin in ["https://evil.example", "http://127.0.0.1:8000", "null", ""] {
            assert!(refused(&[("host", "127.0.0.1:8000"), ("origin", origin)]), "{origin}");
        }
        assert!(refused(&[("host", "127.0.0.1:8000"), ("sec-fetch-site", "same-origin")]));
    }

    #[test]
    fn a_name_that_leads_here_does_not_open_the_door() {
        for host in
            ["evil.example:8000", "localhost:8000", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1:8000.evil.example"]
        {
            assert!(refused(&[("host", host)]), "{host}");
        }
        assert!(refused(&[]));
        assert!(refused(&[("host", "127.0.0.1:8000"), ("host", "evil.example")]));
    }
}
