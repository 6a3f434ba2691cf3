//! Who may use the API: tokens with roles, and the cookie that stands for one in a browser.
//!
//! Of a token only its SHA-256 is configured: tokens are long and random, so that a plain hash is enough. A cookie names
//! a token's owner and when it ends, and is signed; what its owner may do is looked up at each request, so that a token
//! that is taken out of the list takes its cookies with it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How long a browser stays signed in, in seconds: a working day.
pub(crate) const SESSION_S: u64 = 12 * 3_600;

/// The longest cookie that is read.
const COOKIE_CHARS_MAX: usize = 300;

/// What somebody may do. Each role may do what the one before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Place calls and steer them.
    Operator,
    /// Erase, and everything else.
    Admin,
}

impl Role {
    /// The word in `API_TOKENS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    fn named(word: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|role| role.as_str() == word)
    }
}

/// The owner of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name in `API_TOKENS`.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// The list `API_TOKENS`.
#[derive(Clone, Debug)]
pub struct ApiTokens(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    person: Person,
    sha256: [u8; 32],
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:[redacted]", self.person.name, self.person.role.as_str())
    }
}

/// An entry of the list cannot be read. It is named by its place: it could be a token by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "entry {place} is not name:role:sha256 (role viewer, operator or admin; sha256 of the token in 64 hex digits; each name once)"
)]
pub struct ApiTokensError {
    /// From 1.
    pub place: usize,
}

impl ApiTokens {
    /// Reads `name:role:sha256, …`. The same name may not stand twice.
    ///
    /// # Errors
    ///
    /// The first entry that cannot be read.
    pub fn parse(list: &str) -> Result<Self, ApiTokensError> {
        let mut entries: Vec<Entry> = Vec::new();
        for (at, text) in list.split(',').map(str::trim).filter(|text| !text.is_empty()).enumerate() {
            let error = ApiTokensError { place: at + 1 };
            let entry = read_entry(text).ok_or_else(|| error.clone())?;
            if entries.iter().any(|other| other.person.name == entry.person.name) {
                return Err(error);
            }
            entries.push(entry);
        }
        if entries.is_empty() { Err(ApiTokensError { place: 1 }) } else { Ok(Self(entries)) }
    }

    /// The list's entry for a token, to be put into `API_TOKENS`.
    #[must_use]
    pub fn entry(name: &str, role: Role, token: &str) -> String {
        let digest = Sha256::digest(token.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name}:{}:{hex}", role.as_str())
    }
}

fn read_entry(text: &str) -> Option<Entry> {
    let mut parts = text.split(':');
    let (name, role, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if parts.next().is_some() || name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return None;
    }
    if hash.len() != 64 || !hash.is_ascii() {
        return None;
    }
    let mut sha256 = [0; 32];
    for (byte, at) in sha256.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(hash.get(at..at + 2)?, 16).ok()?;
    }
    Some(Entry { person: Person { name: name.to_owned(), role: Role::named(role)? }, sha256 })
}

/// The keys that sign cookies, derived from `STREAM_SECRET` for this one purpose: no cookie is ever a stream token.
#[derive(Clone)]
pub struct SessionKeys(Vec<[u8; 32]>);

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys([redacted])")
    }
}

impl SessionKeys {
    /// From the list of stream secrets, the one that signs first.
    #[must_use]
    pub fn derive(stream_secrets: &str) -> Self {
        let secrets = stream_secrets.split(',').map(str::trim);
        Self(secrets.map(|secret| mac(secret.as_bytes(), b"switchboard session key 1")).collect())
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// All who may use the API.
#[derive(Clone, Debug)]
pub struct People {
    tokens: ApiTokens,
    keys: SessionKeys,
}

impl People {
    /// By token, and by cookies signed with these keys.
    #[must_use]
    pub const fn new(tokens: ApiTokens, keys: SessionKeys) -> Self {
        Self { tokens, keys }
    }

    /// The owner of a token. All entries are compared, in constant time.
    #[must_use]
    pub fn by_token(&self, token: &str) -> Option<Person> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for entry in &self.tokens.0 {
            if bool::from(entry.sha256.ct_eq(&digest)) {
                found = Some(entry.person.clone());
            }
        }
        found
    }

    /// A cookie's value for a person, good for [`SESSION_S`] from `now_s` (Unix seconds).
    pub(crate) fn cookie(&self, person: &Person, now_s: u64) -> Option<String> {
        let entry = self.tokens.0.iter().find(|entry| entry.person == *person)?;
        let content = format!("{}|{}", now_s.saturating_add(SESSION_S), person.name);
        let code = mac(self.keys.0.first()?, signed_text(entry, &content).as_slice());
        Some(format!("{}.{}", URL_SAFE_NO_PAD.encode(content), URL_SAFE_NO_PAD.encode(code)))
    }

    /// Whom a cookie's value stands for.
    pub(crate) fn by_cookie(&self, value: &str, now_s: u64) -> Option<Person> {
        if value.len() > COOKIE_CHARS_MAX {
            return None;
        }
        let (content, code) = value.split_once('.')?;
        let content = String::from_utf8(URL_SAFE_NO_PAD.decode(content).ok()?).ok()?;
        let code = URL_SAFE_NO_PAD.decode(code).ok()?;
        let (until, name) = content.split_once('|')?;
        let entry = self.tokens.0.iter().find(|entry| entry.person.name == name)?;
        let text = signed_text(entry, &content);
        let ours = self.keys.0.iter().any(|key| bool::from(mac(key, &text).as_slice().ct_eq(&code)));
        (ours && now_s < until.parse().ok()?).then(|| entry.person.clone())
    }
}

/// What a cookie's signature covers: also the token's hash, so that a new token under an old name ends its cookies.
fn signed_text(entry: &Entry, content: &str) -> Vec<u8> {
    [entry.sha256.as_slice(), content.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(list: &str) -> People {
        People::new(ApiTokens::parse(list).unwrap(), SessionKeys::derive("0123456789abcdef"))
    }

    #[test]
    fn a_token_finds_its_owner_and_no_other_text_does() {
        let list = format!(
            "{}, {}",
            ApiTokens::entry("ada", Role::Admin, "one"),
            ApiTokens::entry("bob", Role::Viewer, "two")
        );
        let people = people(&list);
        assert_eq!(people.by_token("two"), Some(Person { name: "bob".into(), role: Role::Viewer }));
        assert_eq!(people.by_token("three"), None);
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        assert!(!format!("{people:?}").contains(&list[10..40]));
    }

    #[test]
    fn a_list_that_cannot_be_read_names_the_place_and_not_the_entry() {
        let good = ApiTokens::entry("ada", Role::Admin, "one");
        for (list, place) in [
            (String::new(), 1),
            ("my-secret-token".into(), 1),
            (format!("{good},bob:owner:{}", "0".repeat(64)), 2),
            (format!("{good},{good}"), 2),
            (format!("{good},bob:viewer:{}", "é".repeat(32)), 2),
        ] {
            let error = ApiTokens::parse(&list).unwrap_err();
            assert_eq!(error.place, place);
            assert!(!error.to_string().contains("secret-token"));
        }
    }

    #[test]
    fn a_cookie_ends_with_its_time_its_token_and_its_signature() {
        let before = people(&ApiTokens::entry("ada", Role::Admin, "one"));
        let ada = before.by_token("one").unwrap();
        let cookie = before.cookie(&ada, 1_000).unwrap();
        assert_eq!(before.by_cookie(&cookie, 1_000 + SESSION_S - 1), Some(ada));
        assert_eq!(before.by_cookie(&cookie, 1_000 + SESSION_S), None);
        assert_eq!(before.by_cookie(&format!("x{cookie}"), 1_000), None);
        assert_eq!(before.by_cookie("", 1_000), None);
        // The role is today's; a new token under the same name ends the cookie.
        let demoted = people(&ApiTokens::entry("ada", Role::Viewer, "one"));
        assert_eq!(demoted.by_cookie(&cookie, 1_000).map(|person| person.role), Some(Role::Viewer));
        let renewed = people(&ApiTokens::entry("ada", Role::Admin, "other"));
        assert_eq!(renewed.by_cookie(&cookie, 1_000), None);
    }
}
