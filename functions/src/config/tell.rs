//! Whom to tell what becomes of calls.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretSlice;
use url::Url;

use super::{ConfigError, Lookup, split};

/// A shorter key could be guessed.
const KEY_BYTES_MIN: usize = 24;

/// What marks a secret that is written in Base64, as Standard Webhooks has it.
const PREFIX: &str = "whsec_";

/// The receiver of webhooks.
#[derive(Clone)]
pub struct TellConfig {
    /// `WEBHOOK_URL`.
    pub url: Url,
    /// `WEBHOOK_SECRET`, a list during rotation.
    pub keys: Vec<SecretSlice<u8>>,
    /// `WEBHOOK_ALLOW_PRIVATE`: whether a private address, and plain HTTP, may be meant.
    pub allow_private: bool,
}

impl fmt::Debug for TellConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password of the receiver's.
        f.debug_struct("TellConfig").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl TellConfig {
    /// Reads whom to tell; none if nobody is to be told.
    ///
    /// # Errors
    ///
    /// Everything that is wrong or missing.
    pub fn read(lookup: &mut Lookup<'_>) -> Result<Option<Self>, ConfigError> {
        let Some(text) = lookup.optional("WEBHOOK_URL") else { return lookup.finish(|| Some(None)) };
        let allow_private = lookup.optional("WEBHOOK_ALLOW_PRIVATE").is_some_and(|value| value == "1");
        let remedy = "set it to an address such as https://example.com/calls, or leave it out";
        let url: Option<Url> = lookup.parsed("WEBHOOK_URL", &text, remedy);
        let url = url.filter(|url| match (url.scheme(), url.host()) {
            ("https", Some(_)) => true,
            ("http", Some(_)) if allow_private => true,
            _ => {
                lookup.wrong("WEBHOOK_URL", "does not begin with https://", remedy);
                false
            }
        });
        let remedy = "set it to whsec_ and the output of: openssl rand -base64 32 (the receiver needs the same)";
        let secrets = lookup.required("WEBHOOK_SECRET", remedy).unwrap_or_default();
        let mut keys = Vec::new();
        for secret in split(&secrets) {
            let key = match secret.strip_prefix(PREFIX) {
                Some(encoded) => STANDARD.decode(encoded).ok(),
                None => Some(secret.into_bytes()),
            };
            match key.filter(|key| key.len() >= KEY_BYTES_MIN) {
                Some(key) => keys.push(SecretSlice::from(key)),
                None => lookup.wrong("WEBHOOK_SECRET", "is too short or not Base64 behind whsec_", remedy),
            }
        }
        lookup.finish(|| Some(Some(Self { url: url?, keys, allow_private })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TellConfig>, ConfigError> {
        let source = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        TellConfig::read(&mut Lookup::new(&source))
    }

    const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

    #[test]
    fn nobody_is_told_without_an_address_and_nothing_in_the_open() {
        assert!(read(&[]).unwrap().is_none());
        let told = read(&[("WEBHOOK_URL", "https://user:pass@example.com/calls"), SECRET]).unwrap().unwrap();
        assert_eq!(told.keys.len(), 1);
        assert!(!format!("{told:?}").contains("pass"));
        assert!(read(&[("WEBHOOK_URL", "http://example.com/calls"), SECRET]).is_err());
        let private = [("WEBHOOK_URL", "http://10.0.0.1/calls"), ("WEBHOOK_ALLOW_PRIVATE", "1"), SECRET];
        assert!(read(&private).unwrap().unwrap().allow_private);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = read(&[("WEBHOOK_URL", "example.com"), ("WEBHOOK_SECRET", "short")]).unwrap_err();
        let names: Vec<_> = error.0.iter().map(|problem| problem.name.as_str()).collect();
        assert_eq!(names, ["WEBHOOK_URL", "WEBHOOK_SECRET"]);
    }
}
