//! Where requests go, and the header that carries the key.

use crate::SecretHeader;
use crate::base_url::{BaseUrl, BaseUrlError};

/// Where the vendor answers.
pub const DEFAULT_BASE_URL: &str = "https://api.groq.com";

/// Where chat completions are below [`DEFAULT_BASE_URL`].
pub const CHAT_PATH: &str = "/openai/v1/chat/completions";

/// Where the list of models is.
pub const MODELS_PATH: &str = "/openai/v1/models";

/// What a base URL may already contain.
const PREFIX: &str = "/openai/v1";

/// The header that carries the key.
#[must_use]
pub fn authorization(key: &str) -> SecretHeader {
    SecretHeader::authorization("Bearer", key)
}

/// The address that chat requests are posted to. The base URL may end in `/openai/v1`, as other SDKs want it, or not, as
/// Groq's own has it.
///
/// # Errors
/// If the base URL cannot be used.
pub fn chat_url(base_url: &str) -> Result<String, BaseUrlError> {
    address(base_url, CHAT_PATH)
}

/// The address of the list of models.
///
/// # Errors
/// If the base URL cannot be used.
pub fn models_url(base_url: &str) -> Result<String, BaseUrlError> {
    address(base_url, MODELS_PATH)
}

fn address(base_url: &str, path: &str) -> Result<String, BaseUrlError> {
    let base = BaseUrl::parse(base_url)?;
    Ok(base.request_origin() + base.path.strip_suffix(PREFIX).unwrap_or(base.path) + path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_may_be_written_as_either_kind_of_sdk_wants_it() {
        for base in [DEFAULT_BASE_URL, "https://api.groq.com/", "https://api.groq.com/openai/v1/"] {
            assert_eq!(chat_url(base).unwrap(), "https://api.groq.com/openai/v1/chat/completions", "{base}");
        }
        assert_eq!(models_url("http://127.0.0.1:9/sim/groq").unwrap(), "http://127.0.0.1:9/sim/groq/openai/v1/models");
        assert_eq!(chat_url("http://api.groq.com"), Err(BaseUrlError::NotEncrypted));
    }

    #[test]
    fn the_key_does_not_print() {
        assert_eq!(authorization("k").value(), "Bearer k");
        assert!(!format!("{:?}", authorization("the-key")).contains("the-key"));
    }
}
