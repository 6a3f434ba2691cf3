//! Who judges calls: Gemini, if there is a key.

use clients::Gemini;
use secrecy::SecretString;
use wire::gemini::Model;

use super::{ConfigError, Lookup};
use crate::judge::Judge;

impl Judge {
    /// Reads `GEMINI_API_KEY`, `GEMINI_BASE_URL` and `GEMINI_MODEL`. Without a key the local rule judges.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn read(lookup: &mut Lookup<'_>) -> Result<Self, ConfigError> {
        let base = lookup.optional("GEMINI_BASE_URL");
        let model = lookup.optional("GEMINI_MODEL").unwrap_or_else(|| Gemini::MODEL.to_owned());
        let model: Option<Model> = lookup.parsed("GEMINI_MODEL", &model, "leave it out for the default");
        let Some(key) = lookup.optional("GEMINI_API_KEY") else {
            if base.is_some() {
                let remedy = "set GEMINI_API_KEY as well (to anything, if nobody checks it there), or leave it out";
                lookup.wrong("GEMINI_BASE_URL", "is set without GEMINI_API_KEY", remedy);
            }
            return lookup.finish(|| Some(Self::LocalRule));
        };
        let base = base.unwrap_or_else(|| Gemini::BASE_URL.to_owned());
        let base = lookup.parsed("GEMINI_BASE_URL", &base, "leave it out for Gemini itself");
        let gemini = match (base, model) {
            (Some(base), Some(model)) => match Gemini::new(base, SecretString::from(key), model) {
                Ok(gemini) => Some(Self::Gemini(gemini)),
                Err(error) => {
                    lookup.wrong("GEMINI_API_KEY", &format!("cannot be used: {error}"), "install CA certificates");
                    None
                }
            },
            _ => None,
        };
        lookup.finish(|| gemini)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Judge, ConfigError> {
        let source =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Judge::read(&mut Lookup::new(&source))
    }

    #[test]
    fn with_a_key_gemini_judges_and_without_one_the_rule_which_says_so() {
        assert_eq!(read(&[]).unwrap().name(), "local-rule");
        assert_eq!(read(&[("GEMINI_API_KEY", "k")]).unwrap().name(), "gemini-3.5-flash-lite");
        let other =
            [("GEMINI_API_KEY", "k"), ("GEMINI_MODEL", "gemini-3.8-flash"), ("GEMINI_BASE_URL", "http://127.0.0.1:1")];
        assert_eq!(read(&other).unwrap().name(), "gemini-3.8-flash");
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_and_no_value_repeated() {
        let error =
            read(&[("GEMINI_API_KEY", "k"), ("GEMINI_MODEL", "a/b"), ("GEMINI_BASE_URL", "http://far.example")]);
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("GEMINI_MODEL") && text.contains("GEMINI_BASE_URL") && !text.contains("far.example"),
            "{text}"
        );
        assert!(read(&[("GEMINI_BASE_URL", "http://127.0.0.1:1")]).unwrap_err().to_string().contains("GEMINI_API_KEY"));
    }
}
