//! The settings header: which key and which algorithm a webhook was signed with.
//!
//! It came in 2026 with shared keys. Without it, or with an empty one, the auth token and SHA-1 are meant. We read it so
//! that a request signed in that way is refused for its true reason.

use super::SignatureError;

/// A keyed hash that Twilio signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The default, and the only one for auth tokens.
    HmacSha1,
    /// With shared keys only.
    HmacSha256,
}

/// A key other than the auth token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings<'h> {
    /// The shared key's id, which is not secret.
    pub key_id: &'h str,
    /// How it signs.
    pub algorithm: Algorithm,
}

impl<'h> Settings<'h> {
    /// Reads `key=<id>,algorithm=<name>` in either order; nothing stands for the default.
    pub fn parse(header: &'h str) -> Result<Option<Self>, SignatureError> {
        let header = header.trim();
        if header.is_empty() {
            return Ok(None);
        }
        let mut key_id = None;
        let mut algorithm = None;
        for part in header.split(',') {
            let (name, value) = part.split_once('=').ok_or(SignatureError::BadSettings)?;
            let (slot, value) = match name.trim() {
                "key" => (&mut key_id, value.trim()),
                "algorithm" => (&mut algorithm, value.trim()),
                _ => continue,
            };
            if value.is_empty() || slot.replace(value).is_some() {
                return Err(SignatureError::BadSettings);
            }
        }
        let algorithm = match algorithm.ok_or(SignatureError::BadSettings)? {
            "HMAC_SHA1" => Algorithm::HmacSha1,
            "HMAC_SHA256" => Algorithm::HmacSha256,
            _ => return Err(SignatureError::UnknownAlgorithm),
        };
        Ok(Some(Self { key_id: key_id.ok_or(SignatureError::BadSettings)?, algorithm }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_a_key_and_an_algorithm() {
        assert_eq!(Settings::parse(" "), Ok(None));
        let settings = Settings { key_id: "webhooks_sharedkey_1", algorithm: Algorithm::HmacSha256 };
        assert_eq!(Settings::parse("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"), Ok(Some(settings)));
        assert_eq!(Settings::parse("algorithm=HMAC_SHA256, key=webhooks_sharedkey_1, new=1"), Ok(Some(settings)));
    }

    #[test]
    fn settings_that_do_not_add_up_are_refused() {
        for header in
            ["key", "key=a", "algorithm=HMAC_SHA1", "key=,algorithm=HMAC_SHA1", "key=a,key=b,algorithm=HMAC_SHA1"]
        {
            assert_eq!(Settings::parse(header), Err(SignatureError::BadSettings), "{header}");
        }
        assert_eq!(Settings::parse("key=a,algorithm=MD5"), Err(SignatureError::UnknownAlgorithm));
        assert_eq!(Settings::parse("key=a,algorithm=hmac_sha1"), Err(SignatureError::UnknownAlgorithm));
    }
}
