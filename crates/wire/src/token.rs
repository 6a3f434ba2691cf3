//! Short-lived tokens: who may open a stream or a live socket, without asking anyone.
//!
//! A token is its content and an HMAC-SHA256 over purpose and content, both in URL-safe base64, joined by a dot. The
//! purpose is not written in the token but part of what is signed, so that a token for one door never opens another.
//! Whoever holds a token can read it: nothing secret is in it. Checking promises: the code is compared in constant time
//! and before anything in the token is believed; one spelling only.
//!
//! Left to others: that a stream token is used once, and that it is for *this* call, epoch and node.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::signed::Secrets;

/// The longest token, in characters. A Twilio stream parameter takes 500, name and value together (Twilio: voice/twiml/stream).
pub const TOKEN_CHARS_MAX: usize = 300;

/// How long a token is good for, in seconds: Twilio opens the stream within moments, and a browser its socket.
pub const LIFETIME_S: u64 = 60;

/// The right to open the media stream of one epoch of a call, at one node. It travels in the stream's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamToken {
    /// The call's id.
    pub call: String,
    /// The number of the stream within the call.
    pub epoch: u32,
    /// The node that holds the call.
    pub node: String,
    /// From this moment on it is worth nothing; Unix seconds.
    pub expires_at: u64,
}

/// The right of a signed-in person to follow calls on a node's live socket. It travels as the socket's first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveToken {
    /// Who.
    pub user: String,
    /// What they may do: `viewer`, `operator` or `admin`.
    pub role: String,
    /// From this moment on it is worth nothing; Unix seconds.
    pub expires_at: u64,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It does not look like a token.
    #[error("not a token")]
    Malformed,
    /// No secret fits, or it is for another purpose.
    #[error("token of someone else, or for another purpose")]
    Forged,
    /// Its time is over.
    #[error("expired token")]
    Expired,
}

impl StreamToken {
    const PURPOSE: &str = "switchboard stream token 1\n";

    /// A token that is good for [`LIFETIME_S`] from `now` (Unix seconds).
    #[must_use]
    pub fn new(call: impl Into<String>, epoch: u32, node: impl Into<String>, now: u64) -> Self {
        Self { call: call.into(), epoch, node: node.into(), expires_at: now.saturating_add(LIFETIME_S) }
    }

    /// The token's text: letters, digits, `-`, `_` and one dot; at most [`TOKEN_CHARS_MAX`] for a node's name of up to
    /// 64 ASCII characters. A longer one is refused when it is checked.
    #[must_use]
    pub fn mint(&self, secrets: &Secrets) -> String {
        mint(secrets, Self::PURPOSE, self)
    }

    /// Reads and checks a token's text at `now` (Unix seconds).
    ///
    /// # Errors
    ///
    /// It is no token, not ours, or its time is over.
    pub fn verify(secrets: &Secrets, text: &str, now: u64) -> Result<Self, TokenError> {
        let token: Self = read(secrets, Self::PURPOSE, text)?;
        if now >= token.expires_at { Err(TokenError::Expired) } else { Ok(token) }
    }
}

impl LiveToken {
    const PURPOSE: &str = "switchboard live token 1\n";

    /// A token that is good for [`LIFETIME_S`] from `now` (Unix seconds).
    #[must_use]
    pub fn new(user: impl Into<String>, role: impl Into<String>, now: u64) -> Self {
        Self { user: user.into(), role: role.into(), expires_at: now.saturating_add(LIFETIME_S) }
    }

    /// The token's text: letters, digits, `-`, `_` and one dot; at most [`TOKEN_CHARS_MAX`] for a user's name of up to
    /// 64 ASCII characters. A longer one is refused when it is checked.
    #[must_use]
    pub fn mint(&self, secrets: &Secrets) -> String {
        mint(secrets, Self::PURPOSE, self)
    }

    /// Reads and checks a token's text at `now` (Unix seconds).
    ///
    /// # Errors
    ///
    /// It is no token, not ours, or its time is over.
    pub fn verify(secrets: &Secrets, text: &str, now: u64) -> Result<Self, TokenError> {
        let token: Self = read(secrets, Self::PURPOSE, text)?;
        if now >= token.expires_at { Err(TokenError::Expired) } else { Ok(token) }
    }
}

fn mint<T: Serialize>(secrets: &Secrets, purpose: &str, content: &T) -> String {
    let content = serde_json::to_vec(content).expect("invariant: texts and numbers are always JSON");
    let content = URL_SAFE_NO_PAD.encode(content);
    let code = secrets.sign(&[purpose.as_bytes(), content.as_bytes()]);
    format!("{content}.{}", URL_SAFE_NO_PAD.encode(code))
}

fn read<T: DeserializeOwned>(secrets: &Secrets, purpose: &str, text: &str) -> Result<T, TokenError> {
    if text.len() > TOKEN_CHARS_MAX {
        return Err(TokenError::Malformed);
    }
    let (content, code) = text.split_once('.').ok_or(TokenError::Malformed)?;
    let code = URL_SAFE_NO_PAD.decode(code).map_err(|_| TokenError::Malformed)?;
    if !secrets.made(&code, &[purpose.as_bytes(), content.as_bytes()]) {
        return Err(TokenError::Forged);
    }
    let content = URL_SAFE_NO_PAD.decode(content).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&content).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_763_700_000;

    fn secrets(text: &str) -> Secrets {
        Secrets::parse(text).unwrap()
    }

    fn token() -> StreamToken {
        StreamToken::new("call_01HZX3V9K4Q8R2T6W0Y5B7D1FG", 3, "node-a", NOW)
    }

    #[test]
    fn a_token_is_good_for_a_minute() {
        let secrets = secrets("0123456789abcdef");
        let text = token().mint(&secrets);
        assert_eq!(StreamToken::verify(&secrets, &text, NOW), Ok(token()));
        assert_eq!(StreamToken::verify(&secrets, &text, NOW + 59), Ok(token()));
        assert_eq!(StreamToken::verify(&secrets, &text, NOW + 60), Err(TokenError::Expired));
        let live = LiveToken::new("m\u{fc}ller", "viewer", NOW);
        let text = live.mint(&secrets);
        assert_eq!(LiveToken::verify(&secrets, &text, NOW + 59), Ok(live));
        assert_eq!(LiveToken::verify(&secrets, &text, NOW + 60), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_fits_where_it_travels() {
        let widest = StreamToken { epoch: u32::MAX, node: "n".repeat(64), expires_at: u64::MAX, ..token() };
        let secrets = secrets("0123456789abcdef");
        let text = widest.mint(&secrets);
        assert!(text.len() <= TOKEN_CHARS_MAX, "{}", text.len());
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{text}");
        assert_eq!(StreamToken::verify(&secrets, &text, NOW), Ok(widest));
        let endless = StreamToken { node: "n".repeat(300), ..token() }.mint(&secrets);
        assert_eq!(StreamToken::verify(&secrets, &endless, NOW), Err(TokenError::Malformed));
    }

    #[test]
    fn a_token_for_one_door_does_not_open_another() {
        let secrets = secrets("0123456789abcdef");
        let stream = token().mint(&secrets);
        let live = LiveToken::new("ana", "admin", NOW).mint(&secrets);
        assert_eq!(LiveToken::verify(&secrets, &stream, NOW), Err(TokenError::Forged));
        assert_eq!(StreamToken::verify(&secrets, &live, NOW), Err(TokenError::Forged));
    }

    #[test]
    fn a_secret_can_be_changed_while_tokens_travel() {
        let text = token().mint(&secrets("the-old-secret-16"));
        let both = secrets("the-new-secret-16,the-old-secret-16");
        assert_eq!(StreamToken::verify(&both, &text, NOW), Ok(token()));
        assert_eq!(StreamToken::verify(&secrets("the-new-secret-16"), &text, NOW), Err(TokenError::Forged));
    }

    #[test]
    fn the_form_of_a_token_stays_as_it_is() {
        // Computed by a second implementation: a node must read the tokens of an older or newer control plane.
        assert_eq!(
            token().mint(&secrets("0123456789abcdef")),
            "eyJjYWxsIjoiY2FsbF8wMUhaWDNWOUs0UThSMlQ2VzBZNUI3RDFGRyIsImVwb2NoIjozLCJub2RlIjoibm9kZS1hIiwiZXhwaXJlc19hdCI6MTc2MzcwMDA2MH0.LqGnjWQirlMG5xwNIRpC923YsYuDI7JF_pRSXLu6QS0"
        );
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_never_accepted(at in 0_usize..300, byte in 0x20_u8..0x7f) {
            let secrets = secrets("0123456789abcdef");
            let mut changed = token().mint(&secrets).into_bytes();
            let at = at % changed.len();
            prop_assume!(changed[at] != byte);
            changed[at] = byte;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert!(matches!(
                StreamToken::verify(&secrets, &changed, NOW),
                Err(TokenError::Forged | TokenError::Malformed)
            ));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,320}", dotted in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,50}") {
            for text in [text, dotted] {
                prop_assert!(StreamToken::verify(&secrets("0123456789abcdef"), &text, NOW).is_err());
                prop_assert!(LiveToken::verify(&secrets("0123456789abcdef"), &text, NOW).is_err());
            }
        }
    }
}
