//! The variables that the program was started with, and those that it fills in itself.
//!
//! Control plane and node read their settings through a lookup. On one machine much of it is known without being said:
//! the address, the secrets made once, where the simulators are. What was given always wins.

use std::collections::BTreeMap;

/// Variables, given and filled in.
#[derive(Clone, Default)]
pub struct Environment {
    given: BTreeMap<String, String>,
    filled: BTreeMap<String, String>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_struct("Environment").field("filled", &self.filled.keys()).finish_non_exhaustive()
    }
}

impl Environment {
    /// What this process was started with. What is not text cannot be one of our settings.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// What was given for a variable. Empty counts as not given: templates often leave them so.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The variable's value, given or filled in.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given(name).or_else(|| self.filled.get(name).map(String::as_str))
    }

    /// The value, in the form that settings are read through.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Fills a variable in that was not given. Filling again replaces.
    pub fn fill(&mut self, name: &str, value: impl Into<String>) {
        self.filled.insert(name.to_owned(), value.into());
    }

    /// Sets a variable whatever was given: for what is only known once it is done, such as a port that was drawn.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.given.insert(name.to_owned(), value.into());
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { given: variables.into_iter().collect(), filled: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_wins_and_empty_is_not_given() {
        let given = [("A", "given"), ("B", " "), ("C", " spaced ")];
        let mut environment: Environment =
            given.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        environment.fill("A", "filled");
        environment.fill("B", "filled");
        assert_eq!(
            (environment.get("A"), environment.get("B"), environment.get("C")),
            (Some("given"), Some("filled"), Some("spaced"))
        );
        environment.set("A", "set");
        assert_eq!(environment.get("A"), Some("set"));
        assert!(!format!("{environment:?}").contains("spaced"));
    }
}
