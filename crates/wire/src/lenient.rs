//! Reading what a vendor's server sends without tripping over what a call does not need.
//!
//! Shared by the JSON dialects. Each function is for serde's `deserialize_with`, beside `default` where the field may
//! be absent as well.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

/// Reads Base64 with or without padding: what a server sends is not ours to be strict about.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Audio that is not Base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audio is not Base64")]
pub struct NotBase64;

/// The bytes, written into `out` in place of what was there.
pub(crate) fn decode_base64(data: &str, out: &mut Vec<u8>) -> Result<(), NotBase64> {
    out.clear();
    TOLERANT.decode_vec(data.as_bytes(), out).map_err(|_| NotBase64)
}

/// `null` counts as the type's default; anything else must fit.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A value that does not fit counts as absent.
pub(crate) fn if_understood<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// The elements that fit, in order; anything but an array counts as empty.
pub(crate) fn understood_items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Value::Array(items) = Value::deserialize(deserializer)? else {
        return Ok(Vec::new());
    };
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

/// A whole number, also when written as `810.0`; anything else counts as zero. For numbers that inform but never decide.
pub(crate) fn integer<'de, D>(deserializer: D) -> Result<i64, D::Error>
where
    D: Deserializer<'de>,
{
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_i64().or_else(|| value.as_f64().map(saturate)).unwrap_or(0))
}

/// The nearest whole number towards zero, within range.
#[expect(clippy::cast_possible_truncation, reason = "a float cast to an integer saturates, which is what is wanted")]
fn saturate(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Sample {
        #[serde(default, deserialize_with = "or_default")]
        flag: bool,
        #[serde(default, deserialize_with = "if_understood")]
        word: Option<String>,
        #[serde(default, deserialize_with = "understood_items")]
        words: Vec<String>,
        #[serde(default, deserialize_with = "integer")]
        count: i64,
    }

    fn read(text: &str) -> Sample {
        serde_json::from_str(text).expect("the sample is readable whatever its fields hold")
    }

    #[test]
    fn absent_null_and_misshapen_fields_read_as_nothing() {
        for text in
            ["{}", r#"{"flag":null,"word":null,"words":null,"count":null}"#, r#"{"word":7,"words":7,"count":"x"}"#]
        {
            let sample = read(text);
            assert!(!sample.flag && sample.word.is_none() && sample.words.is_empty() && sample.count == 0, "{text}");
        }
    }

    #[test]
    fn fitting_fields_are_kept_and_misfits_beside_them_left_out() {
        let sample = read(r#"{"flag":true,"word":"a","words":["b",1,"c"],"count":810.0}"#);
        assert!(sample.flag);
        assert_eq!(sample.word.as_deref(), Some("a"));
        assert_eq!(sample.words, ["b", "c"]);
        assert_eq!(sample.count, 810);
        assert_eq!(read(r#"{"count":1e300}"#).count, i64::MAX);
    }
}
