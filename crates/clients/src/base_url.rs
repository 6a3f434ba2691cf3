//! Where a service is: its configured address, checked once.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// A service's address: `https://`, or `http://` on this machine; perhaps with a path in front of the service's own.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// Without a slash at its end.
    text: String,
    loopback: bool,
}

/// Why an address cannot be used. It is not repeated: it could hold a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It cannot be read as a URL.
    #[error("the base URL is not a URL such as https://api.example.com")]
    Unreadable,
    /// Neither `https` nor `http`.
    #[error("the base URL must start with https:// (or http:// for this machine)")]
    Scheme,
    /// `http` to another machine.
    #[error("the base URL must start with https://, unless its host is this machine")]
    NotEncrypted,
    /// `user:password@` before the host.
    #[error("the base URL must not contain credentials")]
    Credentials,
    /// A query or a fragment.
    #[error("the base URL must be a scheme, a host and a path, and nothing more")]
    Excess,
}

impl BaseUrl {
    /// The address of a resource. `path` begins with a slash and holds nothing that needs encoding.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// Whether it is on this machine.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text.trim()).map_err(|_| BaseUrlError::Unreadable)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(BaseUrlError::Scheme);
        }
        let host = url.host_str().ok_or(BaseUrlError::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::Excess);
        }
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if url.scheme() == "http" && !loopback {
            return Err(BaseUrlError::NotEncrypted);
        }
        Ok(Self { text: url.as_str().trim_end_matches('/').to_owned(), loopback })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in
            ["https://api.twilio.com", "http://127.0.0.1:8080/", "http://localhost:1", "http://[::1]:8080/twilio"]
        {
            assert!(good.parse::<BaseUrl>().is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", BaseUrlError::Unreadable),
            ("api.twilio.com", BaseUrlError::Unreadable),
            ("ftp://localhost", BaseUrlError::Scheme),
            ("http://api.twilio.com", BaseUrlError::NotEncrypted),
            ("http://127.0.0.1.example.com", BaseUrlError::NotEncrypted),
            ("http://localhost.example.com", BaseUrlError::NotEncrypted),
            ("https://me:word@api.twilio.com", BaseUrlError::Credentials),
            ("https://api.twilio.com?x=1", BaseUrlError::Excess),
            ("https://api.twilio.com/#x", BaseUrlError::Excess),
        ] {
            assert_eq!(bad.parse::<BaseUrl>(), Err(error), "{bad}");
        }
    }

    #[test]
    fn a_path_in_front_stays_in_front() {
        let base: BaseUrl = "http://localhost:8080/sim/".parse().unwrap();
        assert_eq!(base.join("/v0/x"), "http://localhost:8080/sim/v0/x");
        assert_eq!("https://API.hume.ai".parse::<BaseUrl>().unwrap().join("/v0"), "https://api.hume.ai/v0");
    }
}
