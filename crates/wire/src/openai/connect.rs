//! The address of the socket.
//!
//! The key goes into an `Authorization: Bearer` header, never into the address. No `OpenAI-Beta` header is sent: it
//! would select the retired dialect.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::base_url::{BaseUrl, BaseUrlError};

/// Where the vendor answers.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// Carries a stable pseudonym of the end user, so that misuse by one caller is not held against the account.
pub const SAFETY_IDENTIFIER_HEADER: &str = "OpenAI-Safety-Identifier";

/// Everything but what RFC 3986 leaves unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a session with this model.
///
/// The base URL may be written as the vendor's SDKs take it, with its path (`https://api.openai.com/v1`,
/// `https://proxy.example.org/openai/v1`), or as a bare origin (`https://api.openai.com`), which stands for `/v1` on it.
/// A slash at the end does not matter; `wss` is as good as `https`; plain `http` or `ws` is for loopback only.
///
/// # Errors
/// If the base URL cannot be used.
pub fn socket_url(base_url: &str, model: &str) -> Result<String, BaseUrlError> {
    let base = BaseUrl::parse(base_url)?;
    let path = if base.path.is_empty() { "/v1" } else { base.path };
    Ok(format!("{}{path}/realtime?model={}", base.socket_origin(), utf8_percent_encode(model, RESERVED)))
}

/// The model in a handshake's query, for the simulator, which refuses a handshake without one.
#[must_use]
pub fn model_in_query(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, value)| name == "model" && !value.is_empty())
        .map(|(_, model)| model.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_may_be_written_with_or_without_its_path() {
        let expected = "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1";
        for base in [DEFAULT_BASE_URL, "https://api.openai.com", "https://api.openai.com/", "wss://api.openai.com/v1/"]
        {
            assert_eq!(socket_url(base, "gpt-realtime-2.1").unwrap(), expected, "{base}");
        }
        assert_eq!(
            socket_url("http://127.0.0.1:9000/sim/openai/v1", "m").unwrap(),
            "ws://127.0.0.1:9000/sim/openai/v1/realtime?model=m"
        );
        assert_eq!(socket_url("http://api.example.org", "m"), Err(BaseUrlError::NotEncrypted));
    }

    #[test]
    fn a_model_of_any_name_survives_the_address() {
        let url = socket_url(DEFAULT_BASE_URL, "ft:a b&c=d#é").unwrap();
        let (_, query) = url.split_once('?').unwrap();
        assert_eq!(model_in_query(query).as_deref(), Some("ft:a b&c=d#é"));
        assert_eq!(model_in_query("model="), None);
        assert_eq!(model_in_query("call_id=1"), None);
    }
}
