//! Reading variables, and remembering all that is wrong with them.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// One thing that is wrong with a variable. Its value is never repeated: it could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The variable.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that is wrong, in the order of reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{} {}: {}", problem.name, problem.what, problem.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A source of variables, and what was found wrong so far.
pub struct Lookup<'l> {
    source: &'l dyn Fn(&str) -> Option<String>,
    problems: Vec<ConfigProblem>,
}

impl fmt::Debug for Lookup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl<'l> Lookup<'l> {
    /// From any source; `std::env::var(name).ok()` in a process.
    #[must_use]
    pub fn new(source: &'l dyn Fn(&str) -> Option<String>) -> Self {
        Self { source, problems: Vec::new() }
    }

    /// A variable. An empty one counts as not set: templates often leave them so.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.source)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A variable that must be set.
    pub fn required(&mut self, name: &str, remedy: &str) -> Option<String> {
        let value = self.optional(name);
        if value.is_none() {
            self.wrong(name, "is not set", remedy);
        }
        value
    }

    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, text: &str, remedy: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(name, &format!("cannot be used: {error}"), remedy);
                None
            }
        }
    }

    pub(super) fn number(&mut self, name: &str, default: u64, allowed: RangeInclusive<u64>) -> u64 {
        let Some(text) = self.optional(name) else { return default };
        match text.parse().ok().filter(|number| allowed.contains(number)) {
            Some(number) => number,
            None => {
                let what = format!("is not a whole number from {} to {}", allowed.start(), allowed.end());
                self.wrong(name, &what, &format!("leave it out for {default}"));
                default
            }
        }
    }

    pub(super) fn wrong(&mut self, name: &str, what: &str, remedy: &str) {
        let problem = ConfigProblem { name: name.to_owned(), what: what.to_owned(), remedy: remedy.to_owned() };
        // Several settings may be read from one variable.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The settings, if nothing was wrong. Problems are handed out once.
    pub(crate) fn finish<T>(&mut self, settings: impl FnOnce() -> Option<T>) -> Result<T, ConfigError> {
        if self.problems.is_empty()
            && let Some(settings) = settings()
        {
            return Ok(settings);
        }
        Err(ConfigError(std::mem::take(&mut self.problems)))
    }
}
