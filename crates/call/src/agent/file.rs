//! Reads an agent's file, `agents/<name>.toml`, and says everything that is wrong with it at once.
//!
//! The TOML is walked by hand rather than by derived deserialisation, which would stop at the first surprise and know
//! no lines: each problem here has its line, what is wrong, and what is allowed. Rules about values (ranges, shapes,
//! what belongs together) are in [`check`](super::check); this file knows keys and types.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use super::check::allowed;
use super::section::{Reader, Section, wrong_type};
use super::template::Place;
use super::{Agent, AgentLimits, EngineKind, HumeSettings, OpenAiSettings, PrepareAt, Tool, TurnTaking, UsedAt};

/// The longest agent file, in bytes: instructions, twenty tools and generous comments.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// The agent is not usable. Carries everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct AgentError {
    /// The agent's name, as it was given.
    pub name: String,
    /// At least one, in the order of the file.
    pub problems: Vec<AgentProblem>,
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}.toml:", self.name)?;
            if let Some(line) = problem.line {
                write!(f, "{line}:")?;
            }
            write!(f, " {problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentProblem {
    /// The line of the file, from 1; none for what is missing, and for an agent that is not from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The key, such as `lead_ms`, `openai.speed` or `tools[2].parameters` (counted from 1).
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for AgentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.key, self.message) }
    }
}

impl Agent {
    /// Reads the text of `<name>.toml`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with its line: TOML that cannot be read, unknown keys, wrong types, and what
    /// [`Agent::problems`] finds.
    pub fn parse(name: &str, toml: &str) -> Result<Self, AgentError> {
        let failed = |problems| AgentError { name: name.to_owned(), problems };
        if toml.len() > FILE_BYTES_MAX {
            let message = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are allowed", toml.len());
            return Err(failed(vec![AgentProblem { line: None, key: String::new(), message }]));
        }
        let (document, errors) = DeTable::parse_recoverable(toml);
        let mut reader = Reader { source: toml, problems: Vec::new(), lines: BTreeMap::new() };
        if !errors.is_empty() {
            // What could be recovered would only add problems that are not there.
            for error in errors {
                let line = error.span().map(|span| reader.line(span.start));
                let message = format!("not readable as TOML: {}", error.message());
                reader.problems.push(AgentProblem { line, key: String::new(), message });
            }
            return Err(failed(reader.problems));
        }
        let agent = reader.agent(name, document.into_inner());
        let mut problems = agent.problems();
        // A value that could not be read stands in the agent as its default: it is reported once, as unreadable.
        problems.retain(|problem| !reader.problems.iter().any(|other| other.key == problem.key));
        for problem in &mut problems {
            let within_text = problem.line.map_or(0, |line| line - 1);
            problem.line = reader.lines.get(&problem.key).map(|line| line + within_text);
        }
        problems.append(&mut reader.problems);
        if problems.is_empty() {
            return Ok(agent);
        }
        problems.sort_by_key(|problem| problem.line.unwrap_or(0));
        Err(failed(problems))
    }
}

impl Agent {
    /// The text of `<name>.toml` that says this agent. Comments of a file that it was once read from are not in it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut table = toml::Table::try_from(self).expect("invariant: texts, numbers and lists are always TOML");
        table.remove("name");
        table.to_string()
    }
}

impl<'i> Reader<'i> {
    fn agent(&mut self, name: &str, document: DeTable<'i>) -> Agent {
        let mut used_at = UsedAt::default();
        let mut root = Section::new(self, String::new(), document);
        for place in Place::ALL {
            root.note_variables(place, &mut used_at);
        }
        let agent = Agent {
            name: name.to_owned(),
            default: root.flag("default").unwrap_or_default(),
            numbers: root.texts("numbers").unwrap_or_default(),
            engines: root.engines(),
            language: root.text("language").unwrap_or_else(super::english),
            instructions: root.required_text("instructions"),
            greeting: root.text("greeting").unwrap_or_default(),
            disclosure: root.text("disclosure").unwrap_or_default(),
            recording: root.flag("recording").unwrap_or_default(),
            prepare: root.prepare(),
            lead_ms: root.whole("lead_ms").unwrap_or_else(super::default_lead_ms),
            variables: root.variables(),
            hume: root.hume(),
            openai: root.openai(),
            turn_taking: root.turn_taking(),
            tools: root.tools(),
            limits: root.limits(),
            used_at,
        };
        root.no_others();
        agent
    }
}

impl<'i> Section<'_, 'i> {
    fn engines(&mut self) -> Vec<EngineKind> {
        let Some(names) = self.texts("engines") else {
            if !self.was_reported("engines") {
                self.missing("engines", "the engines to try, in order, as in engines = [\"hume\", \"openai\"]");
            }
            return Vec::new();
        };
        let mut engines = Vec::new();
        for name in names {
            match EngineKind::named(&name) {
                Some(engine) => engines.push(engine),
                None => {
                    let known = EngineKind::ALL.map(EngineKind::as_str);
                    self.wrong("engines", format!("`{name}` is not an engine; {}", allowed(&name, &known)));
                }
            }
        }
        engines
    }

    fn prepare(&mut self) -> PrepareAt {
        match self.text("prepare").as_deref() {
            None => PrepareAt::default(),
            Some("answered") => PrepareAt::Answered,
            Some("ringing") => PrepareAt::Ringing,
            Some(other) => {
                self.wrong(
                    "prepare",
                    format!("`{other}` is not a moment; {}", allowed(other, &["answered", "ringing"])),
                );
                PrepareAt::default()
            }
        }
    }

    fn variables(&mut self) -> BTreeMap<String, String> {
        self.section("variables").map(Section::named_texts).unwrap_or_default()
    }

    /// A table whose names are the file's own, each with a text.
    fn named_texts(self) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for (name, value) in self.table {
            let path = format!("{}.{}", self.path, name.get_ref());
            let line = self.reader.line(name.span().start);
            self.reader.lines.insert(path.clone(), line);
            match value.get_ref().as_str() {
                Some(text) => {
                    values.insert(name.get_ref().to_string(), text.to_owned());
                }
                None => self.reader.report(line, path, wrong_type("a text in quotes", value.get_ref())),
            }
        }
        values
    }

    fn hume(&mut self) -> HumeSettings {
        let Some(mut section) = self.section("hume") else { return HumeSettings::default() };
        let settings = HumeSettings { config_id: section.text("config_id"), voice_id: section.text("voice_id") };
        section.no_others();
        settings
    }

    fn openai(&mut self) -> OpenAiSettings {
        let Some(mut section) = self.section("openai") else { return OpenAiSettings::default() };
        let settings = OpenAiSettings {
            voice: section.text("voice"),
            speed: section.number("speed"),
            transcription_model: section.text("transcription_model"),
        };
        section.no_others();
        settings
    }

    fn turn_taking(&mut self) -> TurnTaking {
        let default = TurnTaking::default();
        let Some(mut section) = self.section("turn_taking") else { return default };
        let turn_taking = TurnTaking {
            end_of_turn_silence_ms: section.whole("end_of_turn_silence_ms").unwrap_or(default.end_of_turn_silence_ms),
            speech_threshold: section.number("speech_threshold").unwrap_or(default.speech_threshold),
            unplayed_ms_min: section.whole("unplayed_ms_min").unwrap_or(default.unplayed_ms_min),
        };
        section.no_others();
        turn_taking
    }

    fn limits(&mut self) -> AgentLimits {
        let default = AgentLimits::default();
        let Some(mut section) = self.section("limits") else { return default };
        let limits = AgentLimits {
            call_minutes_max: section.whole("call_minutes_max").unwrap_or(default.call_minutes_max),
            caller_silence_s_max: section.whole("caller_silence_s_max").unwrap_or(default.caller_silence_s_max),
        };
        section.no_others();
        limits
    }

    fn tools(&mut self) -> Vec<Tool> {
        let Some(value) = self.take("tools") else { return Vec::new() };
        let expected = "a list of tables, each begun with [[tools]]";
        let value = value.into_inner();
        let DeValue::Array(items) = value else {
            self.wrong("tools", wrong_type(expected, &value));
            return Vec::new();
        };
        let mut tools = Vec::new();
        for (n, item) in items.into_iter().enumerate() {
            let path = format!("tools[{}]", n + 1);
            let line = self.reader.line(item.span().start);
            self.reader.lines.insert(path.clone(), line);
            let item = item.into_inner();
            let DeValue::Table(table) = item else {
                self.reader.report(line, path, wrong_type(expected, &item));
                continue;
            };
            let mut section = Section::new(self.reader, path, table);
            let tool = Tool {
                name: section.required_text("name"),
                description: section.text("description").unwrap_or_default(),
                parameters: section.text("parameters"),
                url: section.text("url"),
                destinations: section.section("destinations").map(Section::named_texts).unwrap_or_default(),
                timeout_ms: section.whole("timeout_ms").unwrap_or_else(super::default_tool_ms),
            };
            section.no_others();
            tools.push(tool);
        }
        tools
    }
}
