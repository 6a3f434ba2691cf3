//! The address of the socket, and the headers it is opened with.
//!
//! Nothing stands in the address: the key goes into an `Authorization: Bearer` header, and the version, which decides
//! the shape of errors and fields, into [`VERSION_HEADER`].

use crate::SecretHeader;
use crate::base_url::{BaseUrl, BaseUrlError};

/// Where the vendor answers.
pub const DEFAULT_BASE_URL: &str = "https://api.cartesia.ai";

/// The path of the socket below the base URL.
pub const SOCKET_PATH: &str = "/tts/websocket";

/// Says which dialect is spoken.
pub const VERSION_HEADER: &str = "cartesia-version";

/// The dialect that is spoken here, which is that of the vendor's own SDK.
pub const VERSION: &str = "2026-08-14";

/// From this version on, an error has a code, a title and a message; before, it has one text. Versions are dates, and
/// compare as text.
pub const ERRORS_HAVE_CODES_SINCE: &str = "2026-03-01";

/// Carries the vendor's id of a connection.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// The header that carries the key.
#[must_use]
pub fn authorization(key: &str) -> SecretHeader {
    SecretHeader::authorization("Bearer", key)
}

/// The address of the socket below this base URL.
///
/// # Errors
/// If the base URL cannot be used.
pub fn socket_url(base_url: &str) -> Result<String, BaseUrlError> {
    let base = BaseUrl::parse(base_url)?;
    Ok(base.socket_origin() + base.path + SOCKET_PATH)
}

/// The version that a handshake asks for: the query's is worth more than the header's. For the simulator.
#[must_use]
pub fn version(query: &str, header: Option<&str>) -> Option<String> {
    let in_query = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "cartesia_version");
    let version = in_query.map(|(_, version)| version.into_owned()).or_else(|| header.map(str::to_owned))?;
    is_date(&version).then_some(version)
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_holds_no_secret_and_the_header_does_not_print() {
        assert_eq!(socket_url(DEFAULT_BASE_URL).unwrap(), "wss://api.cartesia.ai/tts/websocket");
        assert_eq!(socket_url("http://127.0.0.1:9/sim/").unwrap(), "ws://127.0.0.1:9/sim/tts/websocket");
        assert_eq!(authorization("k").value(), "Bearer k");
        assert!(!format!("{:?}", authorization("the-key")).contains("the-key"));
    }

    #[test]
    fn the_version_in_the_query_is_worth_more() {
        assert_eq!(version("cartesia_version=2025-04-16", Some(VERSION)).as_deref(), Some("2025-04-16"));
        assert_eq!(version("", Some(VERSION)).as_deref(), Some(VERSION));
        assert_eq!(version("", None), None);
        assert_eq!(version("cartesia_version=latest", Some(VERSION)), None);
    }
}
