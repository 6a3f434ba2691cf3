//! All agents of one installation, and which of them takes a call.

use std::collections::BTreeMap;

use super::Agent;

/// The agents of one installation. Each has its own name, no two answer the same number, and at most one is the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentBook {
    agents: BTreeMap<String, Agent>,
}

/// Two agents of one installation contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// Two have one name.
    #[error("there are two agents named `{name}`")]
    SameName {
        /// The name.
        name: String,
    },
    /// Two answer one number.
    #[error("`{first}` and `{second}` both answer {number}; a number belongs to one agent")]
    SameNumber {
        /// The number.
        number: String,
        /// One agent.
        first: String,
        /// The other.
        second: String,
    },
    /// Two are the default.
    #[error("`{first}` and `{second}` both say `default = true`; only one agent may")]
    TwoDefaults {
        /// One agent.
        first: String,
        /// The other.
        second: String,
    },
}

impl AgentBook {
    /// Puts agents together.
    ///
    /// # Errors
    ///
    /// Every contradiction between them.
    pub fn new(agents: impl IntoIterator<Item = Agent>) -> Result<Self, Vec<BookError>> {
        let mut book = Self::default();
        let mut errors = Vec::new();
        let mut numbers: BTreeMap<String, String> = BTreeMap::new();
        let mut default: Option<String> = None;
        for agent in agents {
            let name = agent.name.clone();
            if book.agents.contains_key(&name) {
                errors.push(BookError::SameName { name });
                continue;
            }
            for number in &agent.numbers {
                if let Some(first) = numbers.insert(number.clone(), name.clone()) {
                    errors.push(BookError::SameNumber { number: number.clone(), first, second: name.clone() });
                }
            }
            if agent.default
                && let Some(first) = default.replace(name.clone())
            {
                errors.push(BookError::TwoDefaults { first, second: name.clone() });
            }
            book.agents.insert(name, agent);
        }
        if errors.is_empty() { Ok(book) } else { Err(errors) }
    }

    /// The agent of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Agent> {
        self.agents.get(name)
    }

    /// Who answers a call to this number: the agent that names it, else the default.
    #[must_use]
    pub fn for_number(&self, called: &str) -> Option<&Agent> {
        self.iter().find(|agent| agent.numbers.iter().any(|number| number == called)).or_else(|| self.default_agent())
    }

    /// The agent that says `default = true`.
    #[must_use]
    pub fn default_agent(&self) -> Option<&Agent> {
        self.iter().find(|agent| agent.default)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, extra: &str) -> Agent {
        Agent::parse(name, &format!("engines = [\"hume\"]\ninstructions = \"Be kind.\"\n{extra}")).unwrap()
    }

    #[test]
    fn a_number_finds_its_agent_and_any_other_the_default() {
        let book =
            AgentBook::new([agent("front", "default = true"), agent("sales", "numbers = [\"+12025550123\"]")]).unwrap();
        let name = |called| book.for_number(called).map(|agent| agent.name.as_str());
        assert_eq!((name("+12025550123"), name("+12025550199")), (Some("sales"), Some("front")));
        assert_eq!(AgentBook::new([agent("a", "")]).unwrap().for_number("+12025550123"), None);
    }

    #[test]
    fn contradictions_are_all_reported() {
        let errors = AgentBook::new([
            agent("a", "default = true\nnumbers = [\"+12025550123\"]"),
            agent("b", "default = true\nnumbers = [\"+12025550123\"]"),
            agent("a", ""),
        ])
        .unwrap_err();
        assert_eq!(errors.len(), 3);
        assert_eq!(errors[2], BookError::SameName { name: "a".to_owned() });
    }
}
