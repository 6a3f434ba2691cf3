//! What an agent needs of the place where it is to work: an engine that can be had, and tools that may be reached.
//!
//! [`Agent::problems`] knows only the agent. This is the rest, checked when an agent is saved and when a program starts.

use super::{Agent, AgentProblem, EngineKind, address};
use crate::breaker::NoCredentials;

/// The setting that allows tools on private addresses and over plain HTTP.
pub const PRIVATE_TOOLS_SETTING: &str = "TOOL_PRIVATE_ADDRESSES";

/// What is known of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// The engines that there are credentials for; none if that is not known where the question is asked.
    pub engines: Option<Vec<EngineKind>>,
    /// Whether tools may be at private addresses, and reached without TLS.
    pub private_tools: bool,
}

impl Installation {
    /// One of which nothing is known yet: nothing is held against an agent.
    #[must_use]
    pub const fn unknown() -> Self {
        Self { engines: None, private_tools: true }
    }
}

impl Agent {
    /// Everything that keeps the agent from working in this installation, although nothing may be wrong with it as such.
    #[must_use]
    pub fn problems_in(&self, installation: &Installation) -> Vec<AgentProblem> {
        let mut problems = Vec::new();
        let mut add = |key: String, message: String| problems.push(AgentProblem { line: None, key, message });
        if let Some(engines) = &installation.engines
            && !self.engines.iter().any(|engine| engines.contains(engine))
        {
            let missing = NoCredentials(self.engines.clone());
            add("engines".to_owned(), format!("none of them can be used here: failed to {missing}"));
        }
        for (n, tool) in self.tools.iter().enumerate().filter(|_| !installation.private_tools) {
            let Some(Ok(url)) = tool.url.as_deref().map(address::read) else { continue };
            let key = format!("tools[{}].url", n + 1);
            if !url.is_https {
                add(
                    key,
                    format!(
                        "is not https; use https, or set {PRIVATE_TOOLS_SETTING}=allowed for a network of your own"
                    ),
                );
            } else if url.is_private {
                add(key, format!("is at a private address; use a public one, or set {PRIVATE_TOOLS_SETTING}=allowed"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(url: &str) -> Agent {
        let tool = "name = \"find\"\ndescription = \"Finds.\"\nparameters = '{\"type\":\"object\"}'";
        let text = format!("engines = [\"hume\"]\ninstructions = \"Be kind.\"\n[[tools]]\n{tool}\nurl = \"{url}\"\n");
        Agent::parse("front", &text).unwrap()
    }

    #[test]
    fn an_agent_without_an_engine_that_can_be_had_is_told_what_is_missing() {
        let agent = agent("https://tools.example.com/find");
        let with = |engines| Installation { engines, private_tools: false };
        assert_eq!(agent.problems_in(&with(None)), []);
        assert_eq!(agent.problems_in(&with(Some(vec![EngineKind::Hume]))), []);
        let problems = agent.problems_in(&with(Some(vec![EngineKind::OpenAi])));
        assert_eq!(problems[0].key, "engines");
        assert!(problems[0].message.contains("set HUME_API_KEY"), "{}", problems[0]);
    }

    #[test]
    fn a_tool_that_is_not_https_or_private_is_refused_unless_allowed() {
        for (url, expected) in [
            ("http://tools.example.com/", "is not https"),
            ("https://10.0.0.7/", "is at a private address"),
            ("https://localhost:9000/", "is at a private address"),
        ] {
            let problems = agent(url).problems_in(&Installation::default());
            assert_eq!((problems.len(), problems[0].key.as_str()), (1, "tools[1].url"));
            assert!(problems[0].message.contains(expected) && problems[0].message.contains(PRIVATE_TOOLS_SETTING));
            let allowed = Installation { private_tools: true, ..Installation::default() };
            assert_eq!(agent(url).problems_in(&allowed), []);
        }
    }
}
