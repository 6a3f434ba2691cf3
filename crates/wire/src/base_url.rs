//! The base URL of an engine, as configured, turned into the address of a socket or of a request.
//!
//! Shared by the dialects. Plain `http`/`ws` is for loopback only: anything else would carry a key in the clear. A base
//! URL never holds credentials, a query or a fragment; errors do not repeat it, so that nothing secret is logged.

use std::net::IpAddr;

/// Why a base URL cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// There is no host, or the host or port is not written as one.
    #[error("the base URL names no valid host")]
    Host,
    /// Something other than `http`, `https`, `ws` or `wss`.
    #[error("the base URL must start with https:// or wss:// (http:// or ws:// on loopback)")]
    Scheme,
    /// `http` or `ws` to another machine.
    #[error("the base URL must be encrypted (https:// or wss://) unless its host is loopback")]
    NotEncrypted,
    /// `user:password@` before the host.
    #[error("the base URL must not contain credentials")]
    Credentials,
    /// A `?`, `#`, space or control character.
    #[error("the base URL must be a scheme, a host and a path, and nothing more")]
    Excess,
}

/// A checked base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl<'a> {
    secure: bool,
    authority: &'a str,
    /// Without a slash at its end; empty when there is none.
    pub(crate) path: &'a str,
}

impl<'a> BaseUrl<'a> {
    /// Reads `scheme://host[:port][/path]`; a bare host means TLS, as in Hume's SDKs.
    pub(crate) fn parse(text: &'a str) -> Result<Self, BaseUrlError> {
        let text = text.trim();
        if text.contains(['?', '#', '\\']) || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(BaseUrlError::Excess);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return Err(BaseUrlError::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(BaseUrlError::Credentials);
        }
        let host = host(authority).ok_or(BaseUrlError::Host)?;
        if !secure && !is_loopback(host) {
            return Err(BaseUrlError::NotEncrypted);
        }
        Ok(Self { secure, authority, path: path.trim_end_matches('/') })
    }

    /// `ws(s)://host[:port]`, without the path.
    pub(crate) fn socket_origin(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}", self.authority)
    }

    /// `http(s)://host[:port]`, without the path.
    pub(crate) fn request_origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

/// The host of `host[:port]`, without the brackets of an IPv6 address.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        (address, after.strip_prefix(':').or(after.is_empty().then_some("443"))?)
    } else {
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        (plain.then_some(host)?, port)
    };
    let numeric = port.bytes().all(|byte| byte.is_ascii_digit());
    (!host.is_empty() && numeric && port.parse::<u16>().is_ok()).then_some(host)
}

/// Whether traffic to this host stays on this machine.
fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<String, BaseUrlError> {
        BaseUrl::parse(text).map(|base| base.socket_origin() + base.path)
    }

    #[test]
    fn the_scheme_becomes_that_of_a_socket_and_the_path_is_kept() {
        assert_eq!(origin("https://api.example.org").unwrap(), "wss://api.example.org");
        assert_eq!(origin("api.example.org").unwrap(), "wss://api.example.org");
        assert_eq!(origin(" HTTPS://api.example.org:8443/v1/ ").unwrap(), "wss://api.example.org:8443/v1");
        assert_eq!(origin("http://localhost:8080/sim/evi").unwrap(), "ws://localhost:8080/sim/evi");
        assert_eq!(origin("ws://127.0.0.2:1").unwrap(), "ws://127.0.0.2:1");
        assert_eq!(origin("http://[::1]:8080").unwrap(), "ws://[::1]:8080");
    }

    #[test]
    fn what_could_leak_a_key_or_is_no_address_is_refused() {
        assert_eq!(origin("http://api.example.org"), Err(BaseUrlError::NotEncrypted));
        assert_eq!(origin("http://localhost.example.org"), Err(BaseUrlError::NotEncrypted));
        assert_eq!(origin("ws://10.0.0.1"), Err(BaseUrlError::NotEncrypted));
        assert_eq!(origin("https://user:word@example.org"), Err(BaseUrlError::Credentials));
        assert_eq!(origin("http://localhost@example.org"), Err(BaseUrlError::Credentials));
        assert_eq!(origin("https://example.org?key=1"), Err(BaseUrlError::Excess));
        assert_eq!(origin("https://example.org/a b"), Err(BaseUrlError::Excess));
        assert_eq!(origin("ftp://example.org"), Err(BaseUrlError::Scheme));
        for text in [
            "",
            "https://",
            "https://:443",
            "https://a:b",
            "https://a:70000",
            "https://a:+1",
            "https://[::1",
            "https://[x]",
            "https://[::1]x",
        ] {
            assert_eq!(origin(text), Err(BaseUrlError::Host), "{text}");
        }
    }
}
