//! The Hume account whose history fills transcripts, if there is a key.

use clients::Hume;
use secrecy::SecretString;

use super::{ConfigError, Lookup};

/// Reads `HUME_API_KEY` and `HUME_BASE_URL`, for Hume's REST interface; none without a key.
///
/// # Errors
///
/// Everything that is wrong.
pub fn hume(lookup: &mut Lookup<'_>) -> Result<Option<Hume>, ConfigError> {
    let Some(key) = lookup.optional("HUME_API_KEY") else { return lookup.finish(|| Some(None)) };
    let base = lookup.optional("HUME_BASE_URL").unwrap_or_else(|| Hume::BASE_URL.to_owned());
    let base = lookup.parsed("HUME_BASE_URL", &base, "leave it out for Hume itself");
    let Some(base) = base else { return lookup.finish(|| None) };
    let hume = Hume::new(base, SecretString::from(key)).ok();
    if hume.is_none() {
        lookup.wrong("HUME_API_KEY", "cannot be used: no HTTP client", "install CA certificates");
    }
    lookup.finish(|| hume.map(Some))
}
