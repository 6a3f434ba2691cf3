//! Where the world reaches us: the configured address, never a `Host` header.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The public address of the control plane, or of the media nodes. Without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    /// A path in front of ours, such as a gateway's stage; empty for none.
    prefix: String,
}

/// Why an address cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// It cannot be read.
    #[error("is not a URL such as https://voice.example.com")]
    Unreadable,
    /// Another scheme.
    #[error("must begin with https:// (or wss:// for streams), or with http:// or ws:// when its host is this machine")]
    Scheme,
    /// A query, a fragment or credentials.
    #[error("must be a scheme, a host and perhaps a path, and nothing more")]
    Excess,
}

impl PublicUrl {
    /// The address of a path, which begins with a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.prefix)
    }

    /// The URL that was requested, from the path and query as they came. A gateway may or may not hand its stage on.
    #[must_use]
    pub fn requested(&self, path_and_query: &str) -> String {
        let has_prefix = path_and_query.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with('/'));
        if has_prefix { format!("{}{path_and_query}", self.origin) } else { self.join(path_and_query) }
    }

    /// Scheme, host and port, as a browser writes them in `Origin`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether what is sent there is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.origin.starts_with("https:") || self.origin.starts_with("wss:")
    }

    /// The same place for WebSockets.
    #[must_use]
    pub fn for_sockets(&self) -> Self {
        let origin = self.origin.strip_prefix("http").map_or_else(|| self.origin.clone(), |rest| format!("ws{rest}"));
        Self { origin, prefix: self.prefix.clone() }
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url = Url::parse(text.trim()).map_err(|_| PublicUrlError::Unreadable)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(PublicUrlError::Unreadable)?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        match url.scheme() {
            "https" | "wss" => {}
            "http" | "ws" if loopback => {}
            _ => return Err(PublicUrlError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(PublicUrlError::Excess);
        }
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self {
            origin: format!("{}://{host}{port}", url.scheme()),
            prefix: url.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_put_in_front_once() {
        let url: PublicUrl = "https://abc.example.com/prod/".parse().unwrap();
        assert_eq!(url.join("/twilio/voice"), "https://abc.example.com/prod/twilio/voice");
        assert_eq!(url.requested("/twilio/voice?a=%20"), "https://abc.example.com/prod/twilio/voice?a=%20");
        assert_eq!(url.requested("/prod/twilio/voice"), "https://abc.example.com/prod/twilio/voice");
        assert_eq!(url.origin(), "https://abc.example.com");
        let plain: PublicUrl = "http://localhost:8080".parse().unwrap();
        assert_eq!(plain.requested("/twilio/voice"), "http://localhost:8080/twilio/voice");
        assert_eq!(plain.for_sockets().join("/media-stream"), "ws://localhost:8080/media-stream");
    }

    #[test]
    fn plain_text_goes_to_this_machine_only() {
        assert_eq!("http://example.com".parse::<PublicUrl>(), Err(PublicUrlError::Scheme));
        assert_eq!("ws://10.0.0.1".parse::<PublicUrl>(), Err(PublicUrlError::Scheme));
        assert!("ws://127.0.0.1:1".parse::<PublicUrl>().is_ok());
        assert_eq!("https://user@example.com".parse::<PublicUrl>(), Err(PublicUrlError::Excess));
        assert_eq!("example.com".parse::<PublicUrl>(), Err(PublicUrlError::Unreadable));
    }
}
