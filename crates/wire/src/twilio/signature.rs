//! `X-Twilio-Signature`: making it, and checking it.
//!
//! Twilio signs the URL it requested, followed by the form's sorted pairs, with HMAC-SHA1 under the account's auth token
//! (Twilio: usage/security). Checking promises: comparison in constant time; several tokens, for rotation; all the
//! spellings of a URL that Twilio's own libraries accept; nothing secret under `Debug`.
//!
//! The caller passes the URL as Twilio knows it: the *configured* origin plus the request's raw path and query, never a
//! `Host` header. A signature does not expire and does not name a call, so it is never the only check on a stream.

mod settings;
mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

pub use self::settings::{Algorithm, Settings};
use super::overrides::without_fragment;

/// The header that carries the signature.
pub const HEADER: &str = "x-twilio-signature";

/// The header that names another key and algorithm than the auth token and SHA-1.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// The query key that carries the hash of a body that is not a form.
pub const BODY_HASH_KEY: &str = "bodySHA256";

/// Signs a request as Twilio does: `params` are the pairs of a form post, and empty for everything else.
pub fn sign<'p>(token: &str, url: &str, params: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    mac(Algorithm::HmacSha1, token, without_fragment(url), &signed_params(params))
}

/// Signs with a chosen algorithm; Twilio uses others than SHA-1 only with shared keys.
pub fn sign_with<'p>(
    algorithm: Algorithm,
    secret: &str,
    url: &str,
    params: impl IntoIterator<Item = (&'p str, &'p str)>,
) -> String {
    mac(algorithm, secret, without_fragment(url), &signed_params(params))
}

/// The URL of a request with a body that is not a form, as Twilio requests and signs it: with the body's hash.
pub fn with_body_hash(url: &str, body: &[u8]) -> String {
    let base = without_fragment(url);
    let separator = if base.contains('?') { '&' } else { '?' };
    format!("{base}{separator}{BODY_HASH_KEY}={}", body_hash(body))
}

/// Why a request is not taken for Twilio's. The answer is 403 for all of them; the kind is for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// No signature.
    #[error("no signature")]
    Missing,
    /// No token fits it.
    #[error("signature of someone else, or for another request")]
    Mismatch,
    /// The URL has no hash of the body.
    #[error("no {BODY_HASH_KEY} in the URL")]
    BodyHashMissing,
    /// The body is not the one that was signed.
    #[error("another body than the signed one")]
    BodyHashMismatch,
    /// The settings header cannot be read.
    #[error("unreadable signature settings")]
    BadSettings,
    /// The settings header names an algorithm that does not exist.
    #[error("unknown signature algorithm")]
    UnknownAlgorithm,
    /// The request is signed with a shared key, and none are configured.
    #[error("signed with a shared key, which is not enabled")]
    SharedKey,
}

/// The two headers a signature is made of. A plain string, or an optional one, is the signature alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'h> {
    /// The value of [`HEADER`].
    pub signature: Option<&'h str>,
    /// The value of [`SETTINGS_HEADER`].
    pub settings: Option<&'h str>,
}

impl<'h> From<&'h str> for Headers<'h> {
    fn from(signature: &'h str) -> Self {
        Self { signature: Some(signature), settings: None }
    }
}

impl<'h> From<Option<&'h str>> for Headers<'h> {
    fn from(signature: Option<&'h str>) -> Self {
        Self { signature, settings: None }
    }
}

/// Checks signatures under one auth token, or several while they rotate.
#[derive(Clone)]
pub struct Verifier {
    tokens: Vec<Box<str>>,
}

impl Verifier {
    /// Empty tokens are left out: a signature under an empty key could be made by anyone. Without any token, every
    /// check fails.
    pub fn new<T: AsRef<str>>(tokens: &[T]) -> Self {
        let tokens = tokens.iter().map(AsRef::as_ref).filter(|token| !token.is_empty());
        Self { tokens: tokens.map(Box::from).collect() }
    }

    /// Checks a form post. `pairs` are all pairs of the body, decoded, with the empty and the unknown ones.
    pub fn verify_form<'p, 'h>(
        &self,
        url: &str,
        pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
        headers: impl Into<Headers<'h>>,
    ) -> Result<(), SignatureError> {
        self.verify(&url::http_variants(url), &signed_params(pairs), headers.into())
    }

    /// Checks a request without a body.
    pub fn verify_get<'h>(&self, url: &str, headers: impl Into<Headers<'h>>) -> Result<(), SignatureError> {
        self.verify(&url::http_variants(url), "", headers.into())
    }

    /// Checks a request whose body is JSON, or anything but a form: the URL's signature and the body's hash.
    pub fn verify_json<'h>(
        &self,
        url: &str,
        body: &[u8],
        headers: impl Into<Headers<'h>>,
    ) -> Result<(), SignatureError> {
        self.verify(&url::http_variants(url), "", headers.into())?;
        let query = without_fragment(url).split_once('?').map_or("", |(_, query)| query);
        let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_HASH_KEY);
        let (_, named) = named.ok_or(SignatureError::BodyHashMissing)?;
        if same(&named.to_ascii_lowercase(), &body_hash(body)) { Ok(()) } else { Err(SignatureError::BodyHashMismatch) }
    }

    /// Checks the upgrade of a media stream against the URL that the TwiML named. Twilio drops the query before it
    /// connects, and reports differ on the scheme, the port and a trailing slash, so that all of them are accepted.
    pub fn verify_upgrade<'h>(
        &self,
        configured_url: &str,
        headers: impl Into<Headers<'h>>,
    ) -> Result<(), SignatureError> {
        self.verify(&url::upgrade_variants(configured_url), "", headers.into())
    }

    fn verify(&self, urls: &BTreeSet<String>, params: &str, headers: Headers<'_>) -> Result<(), SignatureError> {
        let (secrets, algorithm) = self.secrets(headers.settings)?;
        let signature = headers.signature.filter(|signature| !signature.is_empty()).ok_or(SignatureError::Missing)?;
        for url in urls {
            for secret in secrets {
                if same(signature, &mac(algorithm, secret, url, params)) {
                    return Ok(());
                }
            }
        }
        Err(SignatureError::Mismatch)
    }

    /// Which secrets and which algorithm the request asks for. Shared keys would be looked up here, by key id.
    fn secrets(&self, settings: Option<&str>) -> Result<(&[Box<str>], Algorithm), SignatureError> {
        match settings.map(Settings::parse).transpose()?.flatten() {
            None => Ok((&self.tokens, Algorithm::HmacSha1)),
            Some(_) => Err(SignatureError::SharedKey),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("tokens", &self.tokens.len()).finish()
    }
}

/// Names in byte order, each with its distinct values in byte order, all run together without separators.
fn signed_params<'p>(params: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in params {
        sorted.entry(name).or_default().insert(value);
    }
    let mut text = String::new();
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

fn mac(algorithm: Algorithm, secret: &str, url: &str, params: &str) -> String {
    match algorithm {
        Algorithm::HmacSha1 => {
            let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("invariant: any key length will do");
            mac.update(url.as_bytes());
            mac.update(params.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        }
        Algorithm::HmacSha256 => {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("invariant: any key length will do");
            mac.update(url.as_bytes());
            mac.update(params.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        }
    }
}

fn body_hash(body: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(body);
    digest.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]).map(char::from).collect()
}

/// Comparison whose time does not tell how much of it fits.
fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests;
