//! The spellings of one URL that a signature may have been made over.
//!
//! Twilio's back ends do not agree on whether the port is part of it, and URL libraries re-encode queries on their way;
//! Twilio's own libraries therefore try several spellings, and so do we. Every spelling is derived from the configured
//! URL alone, so that none of them lets another request pass.

use std::collections::BTreeSet;

use form_urlencoded::parse;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::twilio::overrides::without_fragment;

/// Ports that stand for themselves when a URL names none.
const DEFAULT_PORTS: [&str; 2] = ["443", "80"];

/// For requests over HTTP: as given, with and without a port, and each of them with its query re-encoded.
pub(super) fn http_variants(url: &str) -> BTreeSet<String> {
    let url = without_fragment(url);
    let mut variants = BTreeSet::from([url.to_owned()]);
    let Some(parts) = Parts::split(url) else {
        return variants;
    };
    let default_port = if parts.scheme.eq_ignore_ascii_case("https") { "443" } else { "80" };
    let mut ports = vec![None, parts.port];
    if parts.port.is_none() {
        ports.push(Some(default_port));
    }
    for port in ports {
        for rest in [parts.rest.to_owned(), normalised(parts.rest), requoted(parts.rest)] {
            variants.insert(parts.with(parts.scheme, port, &rest));
        }
    }
    variants
}

/// For the upgrade of a stream: both schemes, the path with and without a slash at its end, and every port.
pub(super) fn upgrade_variants(url: &str) -> BTreeSet<String> {
    let url = without_fragment(url);
    let url = url.split_once('?').map_or(url, |(base, _)| base);
    let mut variants = BTreeSet::from([url.to_owned()]);
    let Some(parts) = Parts::split(url) else {
        return variants;
    };
    let schemes = match parts.scheme {
        // A simulation on loopback, which signs what it dials.
        "ws" | "http" => ["ws", "http"],
        _ => ["wss", "https"],
    };
    let bare = parts.rest.trim_end_matches('/');
    for scheme in schemes {
        for port in [None, parts.port, Some(DEFAULT_PORTS[0]), Some(DEFAULT_PORTS[1])] {
            for rest in [parts.rest, bare, &format!("{bare}/")] {
                variants.insert(parts.with(scheme, port, rest));
            }
        }
    }
    variants
}

/// A URL in pieces: `scheme://host:port` and the rest, which is empty or starts with `/` or `?`.
struct Parts<'u> {
    scheme: &'u str,
    host: &'u str,
    port: Option<&'u str>,
    rest: &'u str,
}

impl<'u> Parts<'u> {
    fn split(url: &'u str) -> Option<Self> {
        let (scheme, after) = url.split_once("://")?;
        let end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        // A colon inside the brackets of an IPv6 address does not start a port.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, Some(port))
            }
            Some(_) | None => (authority, None),
        };
        Some(Self { scheme, host, port, rest })
    }

    fn with(&self, scheme: &str, port: Option<&str>, rest: &str) -> String {
        match port {
            Some(port) => format!("{scheme}://{}:{port}{rest}", self.host),
            None => format!("{scheme}://{}{rest}", self.host),
        }
    }
}

/// As a browser's URL parser would write the query: some characters encoded, what is encoded left alone.
fn normalised(rest: &str) -> String {
    const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');
    let Some((path, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    format!("{path}?{}", utf8_percent_encode(query, QUERY))
}

/// As a form library would write the query after having read it: every value encoded anew.
fn requoted(rest: &str) -> String {
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'!')
        .remove(b'~')
        .remove(b'*')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')');
    let Some((path, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    let pairs: Vec<String> = parse(query.as_bytes())
        .map(|(name, value)| {
            format!("{}={}", utf8_percent_encode(&name, UNRESERVED), utf8_percent_encode(&value, UNRESERVED))
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(variants: &BTreeSet<String>, expected: &[&str]) {
        for url in expected {
            assert!(variants.contains(*url), "{url} is not in {variants:?}");
        }
    }

    #[test]
    fn a_url_without_a_port_is_tried_with_its_default_port() {
        has(
            &http_variants("https://example.com/a?b=c"),
            &["https://example.com/a?b=c", "https://example.com:443/a?b=c"],
        );
        has(&http_variants("http://example.com/a"), &["http://example.com/a", "http://example.com:80/a"]);
        assert!(!http_variants("https://example.com/a").contains("http://example.com/a"));
    }

    #[test]
    fn a_port_in_the_url_is_tried_without_it() {
        has(&http_variants("https://example.com:8443/a"), &["https://example.com:8443/a", "https://example.com/a"]);
        has(&http_variants("http://[::1]:8080/a"), &["http://[::1]:8080/a", "http://[::1]/a"]);
        has(&http_variants("http://[::1]/a"), &["http://[::1]/a", "http://[::1]:80/a"]);
    }

    #[test]
    fn quotes_in_a_query_are_tried_in_both_spellings() {
        has(
            &http_variants("https://example.com/a?q=it's"),
            &["https://example.com/a?q=it's", "https://example.com/a?q=it%27s"],
        );
        has(&http_variants("https://example.com/a?q=it%27s"), &["https://example.com/a?q=it's"]);
        has(&http_variants("https://example.com/a?q=a+b"), &["https://example.com/a?q=a%20b"]);
    }

    #[test]
    fn an_upgrade_is_tried_in_every_combination_and_without_its_query() {
        let variants = upgrade_variants("wss://media.example.com/stream?x=1");
        for scheme in ["wss", "https"] {
            for port in ["", ":443", ":80"] {
                for slash in ["", "/"] {
                    has(&variants, &[&format!("{scheme}://media.example.com{port}/stream{slash}")]);
                }
            }
        }
        assert_eq!(variants.len(), 12);
    }

    #[test]
    fn a_loopback_stream_keeps_its_scheme_and_port() {
        let variants = upgrade_variants("ws://127.0.0.1:8080/media-stream/a");
        has(&variants, &["ws://127.0.0.1:8080/media-stream/a", "http://127.0.0.1:8080/media-stream/a/"]);
        assert!(!variants.iter().any(|url| url.starts_with("wss:")));
    }

    #[test]
    fn what_is_no_url_is_tried_as_it_is() {
        assert_eq!(http_variants("nonsense"), BTreeSet::from(["nonsense".to_owned()]));
        assert_eq!(upgrade_variants(""), BTreeSet::from([String::new()]));
    }
}
