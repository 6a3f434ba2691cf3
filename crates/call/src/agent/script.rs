//! What one call runs on: an agent with its variables filled in.
//!
//! A [`Script`] is complete and final. It travels to the node with `prepare` and stays with the call through all of its
//! epochs, so that an agent changed meanwhile changes no conversation under way.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::template::{self, BUILT_IN_VARIABLES, Piece, Place};
use super::{Agent, AgentLimits, EngineKind, HumeSettings, OpenAiSettings, PrepareAt, Tool, TurnTaking};

/// The longest value of a variable, in characters: a paragraph about a customer fits, a document does not.
pub(super) const VALUE_CHARS_MAX: usize = 2_000;

/// The longest instructions, in characters, variables filled in: some 8,000 tokens that the model reads at each turn.
pub(super) const INSTRUCTIONS_CHARS_MAX: usize = 32_000;

/// The longest greeting or disclosure, in characters, variables filled in: about a minute and a half of speech.
pub(super) const SPOKEN_CHARS_MAX: usize = 1_500;

/// What one call runs on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// The agent's name.
    pub agent: String,
    /// The agent's version in the store; 0 for a file.
    #[serde(default)]
    pub agent_version: u32,
    /// BCP 47 language tag.
    pub language: String,
    /// What the model is told it is and shall do.
    pub instructions: String,
    /// What the agent says first; empty when the engine's own configuration greets.
    pub greeting: String,
    /// Spoken before the greeting; empty for none.
    pub disclosure: String,
    /// Whether the call is recorded.
    pub recording: bool,
    /// When an outbound call's engine is dialled.
    pub prepare: PrepareAt,
    /// How far ahead of real time audio is sent to the phone.
    #[serde(rename = "lead_ms", with = "millis")]
    pub lead: Duration,
    /// The engines to try, in order.
    pub engines: Vec<EngineKind>,
    /// Settings for Hume EVI.
    pub hume: HumeSettings,
    /// Settings for OpenAI Realtime.
    pub openai: OpenAiSettings,
    /// When a turn ends and what interrupts one.
    pub turn_taking: TurnTaking,
    /// What the model may ask for.
    pub tools: Vec<Tool>,
    /// How long things may take.
    pub limits: AgentLimits,
}

mod millis {
    //! A duration as whole milliseconds.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// The agent cannot take this call as it was asked to. Carries everything that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ScriptError {
    /// The agent's name.
    pub agent: String,
    /// At least one.
    pub problems: Vec<ScriptProblem>,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(f, "{separator}agent `{}`: {problem}", self.agent)?;
        }
        Ok(())
    }
}

/// One thing that keeps an agent from taking a call. Values are never repeated: they may be personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptProblem {
    /// A variable has no value.
    #[error(
        "variable `{name}`, used in {place} {}, has no value: give it with the call, or a default under [variables]",
        line_in(*.file_line, *.text_line)
    )]
    Missing {
        /// The variable.
        name: String,
        /// The text that uses it first.
        place: Place,
        /// The line of the agent's file, where the agent came from one.
        file_line: Option<usize>,
        /// The line within the text, from 1.
        text_line: usize,
    },
    /// The call gives a variable that the agent does not know.
    #[error("variable `{name}` is not used by this agent; it uses {}", list(.known))]
    Unknown {
        /// The variable.
        name: String,
        /// What the agent uses.
        known: Vec<String>,
    },
    /// A value is too long.
    #[error("variable `{name}` has {chars} characters; at most {VALUE_CHARS_MAX} are allowed")]
    ValueTooLong {
        /// The variable.
        name: String,
        /// How long its value is.
        chars: usize,
    },
    /// A value, or an overriding greeting, has control characters (line ends included for values).
    #[error("`{name}` has control characters; only printable text is allowed")]
    ControlCharacters {
        /// The variable or the text.
        name: String,
    },
    /// A text is too long, variables filled in.
    #[error("{place} would have {chars} characters; at most {chars_max} are allowed")]
    TextTooLong {
        /// The text.
        place: Place,
        /// How long it would be.
        chars: usize,
        /// The bound.
        chars_max: usize,
    },
    /// Instructions must say something.
    #[error("instructions are empty")]
    NoInstructions,
}

fn line_in(file_line: Option<usize>, text_line: usize) -> String {
    file_line.map_or_else(|| format!("(line {text_line} of the text)"), |line| format!("(line {line} of the file)"))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Agent {
    /// The script for one call. `given` is what the call says, built-in variables included; the agent's defaults fill
    /// what it leaves out. Values are put in as they are: they are not looked through for further variables.
    ///
    /// # Errors
    ///
    /// Everything that is wrong at once: variables without a value, given ones that the agent does not use, values that
    /// are too long or not printable.
    pub fn script(&self, given: &BTreeMap<String, String>) -> Result<Script, ScriptError> {
        let known = self.variables();
        let mut problems = Vec::new();
        for (name, value) in given {
            if !known.contains(name) && !BUILT_IN_VARIABLES.contains(&name.as_str()) {
                problems.push(ScriptProblem::Unknown { name: name.clone(), known: known.iter().cloned().collect() });
            }
            problems.extend(value_problem(name, value));
        }
        let value = |name: &str| given.get(name).or_else(|| self.variables.get(name)).map(String::as_str);
        for name in &known {
            match (given.get(name), self.variables.get(name)) {
                (None, None) => problems.push(self.missing(name)),
                (None, Some(default)) => problems.extend(value_problem(name, default)),
                (Some(_), _) => {}
            }
        }
        let script = Script {
            agent: self.name.clone(),
            agent_version: 0,
            language: self.language.clone(),
            instructions: fill(&self.instructions, &value),
            greeting: fill(&self.greeting, &value),
            disclosure: fill(&self.disclosure, &value),
            recording: self.recording,
            prepare: self.prepare,
            lead: Duration::from_millis(self.lead_ms.into()),
            engines: self.engines.clone(),
            hume: self.hume.clone(),
            openai: self.openai.clone(),
            turn_taking: self.turn_taking.clone(),
            tools: self.tools.iter().map(Tool::for_call).collect(),
            limits: self.limits.clone(),
        };
        problems.extend(script.text_problems());
        if problems.is_empty() { Ok(script) } else { Err(ScriptError { agent: self.name.clone(), problems }) }
    }

    fn missing(&self, name: &str) -> ScriptProblem {
        let (place, line) = Place::ALL
            .into_iter()
            .find_map(|place| Some((place, *template::variables(place.of(self)).get(name)?)))
            .expect("invariant: a known variable is used somewhere");
        ScriptProblem::Missing {
            name: name.to_owned(),
            place,
            file_line: self.used_at.line(place, name),
            text_line: line + 1,
        }
    }
}

impl Script {
    /// The script for a placed call that says some things differently. `instructions` and `greeting` replace the
    /// agent's, as they stand: `{{…}}` in them is ordinary text. `engine` is tried first; the agent's other engines
    /// still follow, because a caller is never left in silence. The disclosure cannot be replaced.
    ///
    /// # Errors
    ///
    /// Texts that are too long, empty instructions, a greeting with control characters.
    pub fn with_overrides(
        mut self,
        instructions: Option<&str>,
        greeting: Option<&str>,
        engine: Option<EngineKind>,
    ) -> Result<Self, ScriptError> {
        let mut problems = Vec::new();
        if let Some(instructions) = instructions {
            self.instructions = instructions.to_owned();
        }
        if let Some(greeting) = greeting {
            if greeting.chars().any(char::is_control) {
                problems.push(ScriptProblem::ControlCharacters { name: Place::Greeting.to_string() });
            }
            self.greeting = greeting.to_owned();
        }
        if let Some(engine) = engine {
            self.engines.retain(|&other| other != engine);
            self.engines.insert(0, engine);
        }
        problems.extend(self.text_problems());
        if problems.is_empty() { Ok(self) } else { Err(ScriptError { agent: self.agent, problems }) }
    }

    fn text_problems(&self) -> Vec<ScriptProblem> {
        let mut problems = Vec::new();
        if self.instructions.trim().is_empty() {
            problems.push(ScriptProblem::NoInstructions);
        }
        for (place, text, chars_max) in [
            (Place::Instructions, &self.instructions, INSTRUCTIONS_CHARS_MAX),
            (Place::Greeting, &self.greeting, SPOKEN_CHARS_MAX),
            (Place::Disclosure, &self.disclosure, SPOKEN_CHARS_MAX),
        ] {
            let chars = text.chars().count();
            if chars > chars_max {
                problems.push(ScriptProblem::TextTooLong { place, chars, chars_max });
            }
        }
        problems
    }
}

/// What is wrong with a variable's value.
pub(super) fn value_problem(name: &str, value: &str) -> Option<ScriptProblem> {
    let chars = value.chars().count();
    if chars > VALUE_CHARS_MAX {
        return Some(ScriptProblem::ValueTooLong { name: name.to_owned(), chars });
    }
    value.chars().any(char::is_control).then(|| ScriptProblem::ControlCharacters { name: name.to_owned() })
}

/// The text with its variables filled in. Broken braces stay as they are: checking the agent has reported them.
fn fill<'v>(text: &str, value: &impl Fn(&str) -> Option<&'v str>) -> String {
    let Ok(pieces) = template::pieces(text) else { return text.to_owned() };
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Variable(name) => value(name).unwrap_or_default(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Agent {
        Agent::parse(
            "clinic",
            "engines = [\"hume\", \"openai\"]\nlead_ms = 120\ngreeting = \"Hi {{name}}.\"\ninstructions = \"\"\"\n\
             You work for {{clinic}}.\nToday is {{date}}; call {{name}}.\"\"\"\n[variables]\nclinic = \"Hillside\"\n",
        )
        .unwrap()
    }

    fn given(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn given_values_come_before_defaults() {
        let script = agent().script(&given(&[("name", "Ana"), ("date", "1 May"), ("time", "noon")])).unwrap();
        assert_eq!(script.instructions, "You work for Hillside.\nToday is 1 May; call Ana.");
        assert_eq!((script.greeting.as_str(), script.lead), ("Hi Ana.", Duration::from_millis(120)));
        let script = agent().script(&given(&[("name", "Ana"), ("date", "1 May"), ("clinic", "X")])).unwrap();
        assert!(script.instructions.starts_with("You work for X."));
    }

    #[test]
    fn a_value_is_not_looked_through_for_variables() {
        let script = agent().script(&given(&[("name", "{{clinic}}"), ("date", "{{")])).unwrap();
        assert_eq!(script.greeting, "Hi {{clinic}}.");
    }

    #[test]
    fn all_that_is_wrong_with_the_values_is_said_at_once() {
        let long = "x".repeat(2_001);
        let error = agent().script(&given(&[("nmae", "Ana"), ("clinic", &long), ("caller_number", "a\u{7}")]));
        let text = error.unwrap_err().to_string();
        for part in [
            "variable `date`, used in instructions (line 6 of the file), has no value",
            "variable `name`, used in instructions (line 6 of the file), has no value",
            "variable `nmae` is not used by this agent; it uses clinic, date, name",
            "variable `clinic` has 2001 characters; at most 2000",
            "`caller_number` has control characters",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("xxx"), "values are personal");
    }

    #[test]
    fn an_agent_from_the_store_names_the_line_of_the_text() {
        let stored: Agent = serde_json::from_str(&serde_json::to_string(&agent()).unwrap()).unwrap();
        assert_eq!(stored, agent());
        let text = stored.script(&given(&[("date", "1 May")])).unwrap_err().to_string();
        assert!(text.contains("used in instructions (line 2 of the text)"), "{text}");
    }

    #[test]
    fn a_script_survives_the_way_to_the_node() {
        let script = agent().script(&given(&[("name", "Ana"), ("date", "1 May")])).unwrap();
        let json = serde_json::to_value(&script).unwrap();
        assert_eq!(json["lead_ms"], 120);
        assert_eq!(serde_json::from_value::<Script>(json).unwrap(), script);
    }

    #[test]
    fn a_placed_call_may_say_things_differently() {
        let script = agent().script(&given(&[("name", "Ana"), ("date", "1 May")])).unwrap();
        let other = script.clone().with_overrides(Some("Be {{brief}}."), Some(""), Some(EngineKind::OpenAi)).unwrap();
        assert_eq!((other.instructions.as_str(), other.greeting.as_str()), ("Be {{brief}}.", ""));
        assert_eq!(other.engines, [EngineKind::OpenAi, EngineKind::Hume]);
        assert_eq!(script.clone().with_overrides(None, None, None), Ok(script.clone()));
        for (instructions, greeting) in [
            (Some("  "), None),
            (Some(&*"x".repeat(32_001)), None),
            (None, Some("a\nb")),
            (None, Some(&*"x".repeat(1_501))),
        ] {
            script.clone().with_overrides(instructions, greeting, None).unwrap_err();
        }
    }
}
