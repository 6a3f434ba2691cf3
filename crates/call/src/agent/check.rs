//! What an agent's values must be, whether it came from a file or by the API.
//!
//! Every rule says what is wrong and what is allowed. A rule that needs the network, such as whether a voice exists,
//! is not here: `doctor` asks the vendor.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::script::{self, INSTRUCTIONS_CHARS_MAX, SPOKEN_CHARS_MAX};
use super::template::{self, BUILT_IN_VARIABLES, Place};
use super::{Agent, AgentProblem, BUILT_IN_TOOLS, Tool, address, schema};

/// The most numbers one agent answers: a company's block; more belongs to the default agent.
const NUMBERS_MAX: usize = 100;
/// The most tools: models choose badly among more, and each costs tokens at every turn.
const TOOLS_MAX: usize = 20;
/// The most numbers that a caller can be connected with.
const DESTINATIONS_MAX: usize = 20;
/// The longest description of a tool, in characters.
const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// The most variables with a default.
const VARIABLES_MAX: usize = 50;

impl Agent {
    /// Everything that is wrong with the agent; empty when it can take calls. A line, where there is one, is the line
    /// within the text of that key, from 1.
    #[must_use]
    pub fn problems(&self) -> Vec<AgentProblem> {
        let mut found = Found::default();
        self.check_identity(&mut found);
        self.check_texts(&mut found);
        self.check_variables(&mut found);
        self.check_settings(&mut found);
        self.check_tools(&mut found);
        found.problems
    }

    fn check_identity(&self, found: &mut Found) {
        if !is_agent_name(&self.name) {
            found.add(
                "name",
                format!(
                    "`{}` is not an agent's name: 1 to 40 lower-case letters, digits and `-`, beginning with a letter",
                    self.name.escape_debug()
                ),
            );
        }
        if self.numbers.len() > NUMBERS_MAX {
            found.add("numbers", format!("{} numbers; at most {NUMBERS_MAX} are allowed", self.numbers.len()));
        }
        let mut seen = BTreeSet::new();
        for number in &self.numbers {
            if !is_e164(number) {
                found.add("numbers", format!(
                    "`{}` is not an E.164 number: a plus sign, the country code and the number without spaces, as in \
                     +12025550123",
                    number.escape_debug()
                ));
            } else if !seen.insert(number) {
                found.add("numbers", format!("`{number}` stands here twice"));
            }
        }
        if self.engines.is_empty() {
            found.add("engines", "is empty: name at least one of hume, openai".to_owned());
        }
        let mut seen = BTreeSet::new();
        for engine in &self.engines {
            if !seen.insert(engine) {
                found.add("engines", format!("`{engine}` stands here twice"));
            }
        }
        if !is_language_tag(&self.language) {
            found.add(
                "language",
                format!("`{}` is not a language tag, such as en, en-US or pt-BR", self.language.escape_debug()),
            );
        }
    }

    fn check_texts(&self, found: &mut Found) {
        if self.instructions.trim().is_empty() {
            found.add("instructions", "is empty: say who the agent is and what it shall do".to_owned());
        }
        for place in Place::ALL {
            let text = place.of(self);
            let spoken = place != Place::Instructions;
            let chars_max = if spoken { SPOKEN_CHARS_MAX } else { INSTRUCTIONS_CHARS_MAX };
            let chars = text.chars().count();
            if chars > chars_max {
                found.add(place.as_str(), format!("has {chars} characters; at most {chars_max} are allowed"));
            }
            let odd = |c: char| c.is_control() && (spoken || !matches!(c, '\n' | '\t'));
            if let Some(odd) = text.chars().find(|&c| odd(c)) {
                let what = if spoken { "it is spoken, in one line" } else { "only line ends and tabs are allowed" };
                found.add(place.as_str(), format!("has the control character {odd:?}; {what}"));
            }
            for broken in template::pieces(text).err().unwrap_or_default() {
                found.add_at(broken.line + 1, place.as_str(), broken.message);
            }
        }
        if self.recording && self.disclosure.trim().is_empty() {
            found.add(
                "recording",
                "a call is recorded only when `disclosure` says so to the caller: write one, or \
                 leave recording out"
                    .to_owned(),
            );
        }
    }

    fn check_variables(&self, found: &mut Found) {
        if self.variables.len() > VARIABLES_MAX {
            found.add("variables", format!("{} variables; at most {VARIABLES_MAX} are allowed", self.variables.len()));
        }
        let used = self.variables();
        for (name, value) in &self.variables {
            let key = format!("variables.{name}");
            if BUILT_IN_VARIABLES.contains(&name.as_str()) {
                found.add(&key, "is filled in by each call; it cannot have a default".to_owned());
            } else if !template::is_name(name) {
                found.add(
                    &key,
                    "is not a variable's name: lower-case letters, digits and `_`, beginning with a \
                     letter"
                        .to_owned(),
                );
            } else if !used.contains(name) {
                let known: Vec<&str> = used.iter().map(String::as_str).collect();
                let hint = if known.is_empty() { "they use none".to_owned() } else { allowed(name, &known) };
                found.add(&key, format!("is never used in instructions, greeting or disclosure; {hint}"));
            }
            if let Some(problem) = script::value_problem(name, value) {
                found.add(&key, problem.to_string());
            }
        }
    }

    fn check_settings(&self, found: &mut Found) {
        found.range("lead_ms", self.lead_ms, 40..=1_000, "milliseconds");
        found.identifier("hume.config_id", self.hume.config_id.as_deref());
        found.identifier("hume.voice_id", self.hume.voice_id.as_deref());
        found.identifier("openai.voice", self.openai.voice.as_deref());
        found.identifier("openai.transcription_model", self.openai.transcription_model.as_deref());
        if let Some(speed) = self.openai.speed {
            found.range("openai.speed", speed, 0.25..=1.5, "");
        }
        let turns = &self.turn_taking;
        found.range("turn_taking.end_of_turn_silence_ms", turns.end_of_turn_silence_ms, 200..=3_000, "milliseconds");
        found.range("turn_taking.speech_threshold", turns.speech_threshold, 0.0..=1.0, "");
        found.range("turn_taking.unplayed_ms_min", turns.unplayed_ms_min, 0..=2_000, "milliseconds");
        found.range("limits.call_minutes_max", self.limits.call_minutes_max, 1..=240, "minutes");
        found.range("limits.caller_silence_s_max", self.limits.caller_silence_s_max, 10..=1_800, "seconds");
    }

    fn check_tools(&self, found: &mut Found) {
        if self.tools.len() > TOOLS_MAX {
            found.add("tools", format!("{} tools; at most {TOOLS_MAX} are allowed", self.tools.len()));
        }
        let mut seen = BTreeSet::new();
        for (n, tool) in self.tools.iter().enumerate() {
            let path = format!("tools[{}]", n + 1);
            if !seen.insert(&tool.name) {
                found.add(
                    &format!("{path}.name"),
                    format!("a tool named `{}` stands here twice", tool.name.escape_debug()),
                );
            }
            check_tool(&path, tool, found);
        }
    }
}

fn check_tool(path: &str, tool: &Tool, found: &mut Found) {
    let (name, built_in) = (tool.name.as_str(), BUILT_IN_TOOLS.contains(&tool.name.as_str()));
    if !is_tool_name(name) {
        found.add(
            &format!("{path}.name"),
            format!("`{}` is not a tool's name: 1 to 64 letters, digits, `_` and `-`", name.escape_debug()),
        );
        return;
    }
    found.range(&format!("{path}.timeout_ms"), tool.timeout_ms, 500..=20_000, "milliseconds");
    let chars = tool.description.chars().count();
    if chars > DESCRIPTION_CHARS_MAX {
        found.add(
            &format!("{path}.description"),
            format!("has {chars} characters; at most {DESCRIPTION_CHARS_MAX} are allowed"),
        );
    }
    check_place(path, tool, built_in, found);
    let key = format!("{path}.parameters");
    match (&tool.parameters, built_in) {
        (None, true) => {}
        (Some(_), true) => {
            found.add(&key, format!("`{name}` is our own tool, with parameters of its own: leave them out"));
        }
        (None, false) => {
            let hint = allowed(name, &BUILT_IN_TOOLS);
            found.add(&format!("{path}.name"), format!(
                "`{name}` has no parameters and is not one of our own tools; write its parameters as a JSON Schema, or \
                 use a built-in: {hint}"
            ));
        }
        (Some(parameters), false) => {
            if tool.description.trim().is_empty() {
                found.add(&format!("{path}.description"), "is empty: the model chooses the tool by it".to_owned());
            }
            if let Err(message) = schema::check(parameters) {
                found.add(&key, message);
            }
        }
    }
}

/// Where the tool leads: a URL of the user's, or somebody's telephone.
fn check_place(path: &str, tool: &Tool, built_in: bool, found: &mut Found) {
    let (key, name) = (format!("{path}.url"), tool.name.as_str());
    match &tool.url {
        Some(_) if built_in => found.add(&key, format!("`{name}` is our own tool and is asked nowhere: leave it out")),
        Some(url) => {
            if let Err(what) = address::read(url) {
                found.add(&key, format!("{what}; write where the tool is asked, as in https://tools.example.com/find"));
            }
        }
        None if built_in || tool.parameters.is_none() => {}
        None => {
            found.add(&key, "is missing: say where the tool is asked, as in https://tools.example.com/find".to_owned())
        }
    }
    let key = format!("{path}.destinations");
    let transfers = name == "transfer_call";
    if transfers && tool.destinations.is_empty() {
        found.add(
            &key,
            "is missing: say with whom a caller may be connected, as in office = \"+12025550123\"".to_owned(),
        );
    } else if !transfers && !tool.destinations.is_empty() {
        found.add(&key, "belongs to `transfer_call` alone".to_owned());
    }
    if tool.destinations.len() > DESTINATIONS_MAX {
        found.add(&key, format!("{} destinations; at most {DESTINATIONS_MAX} are allowed", tool.destinations.len()));
    }
    for (whom, number) in &tool.destinations {
        let key = format!("{key}.{whom}");
        if !template::is_name(whom) {
            found.add(&key, "is not a name: lower-case letters, digits and `_`, beginning with a letter".to_owned());
        }
        if !is_e164(number) {
            found.add(&key, format!("`{}` is not an E.164 number, as in +12025550123", number.escape_debug()));
        }
    }
}

/// The problems found so far.
#[derive(Default)]
struct Found {
    problems: Vec<AgentProblem>,
}

impl Found {
    fn add(&mut self, key: &str, message: String) {
        self.problems.push(AgentProblem { line: None, key: key.to_owned(), message });
    }

    fn add_at(&mut self, line: usize, key: &str, message: String) {
        self.problems.push(AgentProblem { line: Some(line), key: key.to_owned(), message });
    }

    fn range<T: PartialOrd + Display>(&mut self, key: &str, value: T, range: RangeInclusive<T>, unit: &str) {
        if !range.contains(&value) {
            let (from, to) = (range.start(), range.end());
            let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
            self.add(key, format!("{value} is out of range; {from} to {to}{unit} are allowed"));
        }
    }

    /// A vendor's id or name: not ours to know, but it goes into requests.
    fn identifier(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if value.is_empty() || value.len() > 100 || !value.chars().all(fits) {
            self.add(
                key,
                "is not an id: 1 to 100 letters, digits, `-`, `_` and `.`; leave the key out for the default"
                    .to_owned(),
            );
        }
    }
}

fn is_agent_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_tool_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The shape of E.164 (ITU-T E.164, 6): a country code, which never begins with 0, and at most 15 digits in all.
fn is_e164(number: &str) -> bool {
    let Some(digits) = number.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit()) && !digits.starts_with('0')
}

/// The shape of a BCP 47 tag (RFC 5646, 2.1), without the registrations of irregular ones.
fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.chars().all(|c| c.is_ascii_alphabetic())
        && tag.len() <= 35
        && parts.all(|part| (2..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// What could have been meant, or everything that is allowed.
pub(super) fn allowed(given: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|name| (distance(given, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= 1 + name.len() / 5 => format!("did you mean `{name}`?"),
        Some(_) => format!("allowed are {}", known.join(", ")),
        None => "none is allowed".to_owned(),
    }
}

/// How many letters must be added, removed, changed or swapped with their neighbour to get from one word to the other
/// (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(64).collect();
    let to: Vec<char> = to.chars().take(64).collect();
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    rows[0] = (0..=to.len()).collect();
    for i in 1..=from.len() {
        rows[i][0] = i;
        for j in 1..=to.len() {
            let changed = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[from.len()][to.len()]
}
