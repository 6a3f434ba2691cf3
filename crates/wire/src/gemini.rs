//! Gemini's `generateContent`, as far as a question with a structured answer needs it.
//!
//! Both ends use these types: our client writes a [`request::GenerateContent`] and reads a [`response::Generated`]; the
//! simulated service reads the former, strictly ([`strict`]), and writes the latter. What comes from the service is read
//! leniently: unknown fields are ignored, unknown words kept, and everything may be absent. Whether an answer may be
//! believed is decided by [`response::Generated::answer`], which looks at why the model stopped before it looks at what
//! it wrote.
//!
//! Left to others: what is asked, what an answer means for a call, and when to ask again.

pub mod error;
mod names;
pub mod request;
pub mod response;
pub mod strict;

use std::fmt;
use std::str::FromStr;

/// The header that carries the key. It may also stand in the URL, where logs keep it, and therefore never does. (Gemini
/// API: "Using Gemini API keys")
pub const API_KEY_HEADER: &str = "x-goog-api-key";

/// The header that tells the service how many seconds we wait, so that it gives up as well. (`google-genai`)
pub const SERVER_TIMEOUT_HEADER: &str = "X-Server-Timeout";

/// A model's name, such as `gemini-3.5-flash-lite`. It becomes a part of a path, so it holds nothing that would need
/// encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model(String);

/// A name that no model can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a model's name has 1 to 100 letters, digits, `-`, `.` and `_`, such as gemini-3.5-flash-lite")]
pub struct BadModel;

impl Model {
    /// The model's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it is asked. (Gemini API: "models.generateContent")
    #[must_use]
    pub fn path(&self) -> String {
        format!("/v1beta/models/{}:generateContent", self.0)
    }

    /// Where it is described. (Gemini API: "models.get")
    #[must_use]
    pub fn description_path(&self) -> String {
        format!("/v1beta/models/{}", self.0)
    }

    /// Whether its thinking is set by level. Those before the third generation count tokens instead, and refuse a
    /// level. (Gemini API: "Gemini thinking")
    #[must_use]
    pub fn thinks_by_level(&self) -> bool {
        let generation = self.0.strip_prefix("gemini-").and_then(|rest| rest.split(['.', '-']).next());
        generation.and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| number >= 3)
    }
}

impl FromStr for Model {
    type Err = BadModel;

    fn from_str(text: &str) -> Result<Self, BadModel> {
        let name = text.strip_prefix("models/").unwrap_or(text);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_name = (1..=100).contains(&name.len()) && name.chars().all(fits) && !name.contains("..");
        if is_name { Ok(Self(name.to_owned())) } else { Err(BadModel) }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_cannot_lead_anywhere_else() {
        let model: Model = "models/gemini-3.5-flash-lite".parse().unwrap();
        assert_eq!(model.path(), "/v1beta/models/gemini-3.5-flash-lite:generateContent");
        for bad in ["", "models/", "a/b", "..", "a?key=b", "a b", "gemini:generateContent"] {
            assert_eq!(bad.parse::<Model>(), Err(BadModel), "{bad}");
        }
    }

    #[test]
    fn only_the_newer_models_are_given_a_level_of_thinking() {
        let by_level = |name: &str| name.parse::<Model>().unwrap().thinks_by_level();
        assert!(by_level("gemini-3.8-flash") && by_level("gemini-3-pro") && by_level("gemini-10-flash"));
        assert!(!by_level("gemini-2.5-flash") && !by_level("gemini-flash-latest") && !by_level("other"));
    }
}
