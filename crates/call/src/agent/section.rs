//! Reading a TOML document key by key, where every surprise becomes a problem with a line instead of an end.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::AgentProblem;
use super::UsedAt;
use super::check::allowed;
use super::template::{self, Place};

/// What is known of the file as a whole while it is read.
pub(super) struct Reader<'i> {
    pub(super) source: &'i str,
    pub(super) problems: Vec<AgentProblem>,
    /// Each key's line; for a text that begins on the line after its `"""`, that line.
    pub(super) lines: BTreeMap<String, usize>,
}

impl Reader<'_> {
    /// The line, from 1, of a place in the source.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.source.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count();
        before + 1
    }

    pub(super) fn report(&mut self, line: usize, key: String, message: String) {
        self.problems.push(AgentProblem { line: Some(line), key, message });
    }
}

/// One table of the file. What is asked for is taken out; what is left in the end is unknown.
pub(super) struct Section<'r, 'i> {
    pub(super) reader: &'r mut Reader<'i>,
    pub(super) path: String,
    pub(super) table: DeTable<'i>,
    pub(super) asked: Vec<&'static str>,
}

impl<'r, 'i> Section<'r, 'i> {
    pub(super) const fn new(reader: &'r mut Reader<'i>, path: String, table: DeTable<'i>) -> Self {
        Self { reader, path, table, asked: Vec::new() }
    }

    pub(super) fn required_text(&mut self, key: &'static str) -> String {
        let text = self.text(key);
        if text.is_none() && !self.was_reported(key) {
            self.missing(key, "a text in quotes");
        }
        text.unwrap_or_default()
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.take(key)?.into_inner();
        match value.as_str() {
            Some(text) => Some(text.to_owned()),
            None => self.mistyped(key, "a text in quotes", &value),
        }
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let expected = "a list of texts, as in [\"one\", \"two\"]";
        let value = self.take(key)?.into_inner();
        let Some(items) = value.as_array() else { return self.mistyped(key, expected, &value) };
        let mut texts = Vec::new();
        for item in items {
            let Some(text) = item.get_ref().as_str() else { return self.mistyped(key, expected, item.get_ref()) };
            texts.push(text.to_owned());
        }
        Some(texts)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?.into_inner();
        let flag = value.as_bool();
        if flag.is_none() { self.mistyped(key, "true or false", &value) } else { flag }
    }

    pub(super) fn whole(&mut self, key: &'static str) -> Option<u32> {
        let value = self.take(key)?.into_inner();
        let number = value.as_integer().and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
        if number.is_none() { self.mistyped(key, "a whole number, zero or more", &value) } else { number }
    }

    pub(super) fn number(&mut self, key: &'static str) -> Option<f32> {
        let value = self.take(key)?.into_inner();
        let whole = value.as_integer().filter(|n| n.radix() == 10).map(|n| n.as_str());
        let number = value.as_float().map(|n| n.as_str()).or(whole).and_then(|n| n.parse().ok());
        if number.is_none() { self.mistyped(key, "a number", &value) } else { number }
    }

    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'_, 'i>> {
        let value = self.take(key)?.into_inner();
        let DeValue::Table(table) = value else {
            return self.mistyped(key, "a table, begun with its name in square brackets", &value);
        };
        let path = self.key(key);
        Some(Section::new(self.reader, path, table))
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        self.asked.push(key);
        let (name, value) = self.table.remove_entry(key)?;
        let text = value.get_ref().is_str();
        let at = if text { first_text_line(self.reader.source, value.span()) } else { name.span().start };
        let line = self.reader.line(at);
        let path = self.key(key);
        self.reader.lines.insert(path, line);
        Some(value)
    }

    /// Remembers on which lines a text uses its variables, for errors that show themselves only when a call is placed.
    pub(super) fn note_variables(&self, place: Place, used_at: &mut UsedAt) {
        let Some(value) = self.table.get(place.as_str()) else { return };
        let DeValue::String(text) = value.get_ref() else { return };
        let first_line = self.reader.line(first_text_line(self.reader.source, value.span()));
        for (name, line) in template::variables(text) {
            used_at.0.insert((place, name.to_owned()), first_line + line);
        }
    }

    pub(super) fn no_others(self) {
        for name in self.table.keys() {
            let line = self.reader.line(name.span().start);
            let key = self.key(name.get_ref());
            let message = format!("unknown key; {}", allowed(name.get_ref(), &self.asked));
            self.reader.report(line, key, message);
        }
    }

    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn was_reported(&self, key: &str) -> bool {
        let key = self.key(key);
        self.reader.problems.iter().any(|problem| problem.key == key)
    }

    pub(super) fn missing(&mut self, key: &str, what: &str) {
        let line = self.reader.lines.get(&self.path).copied();
        let key = self.key(key);
        self.reader.problems.push(AgentProblem { line, key, message: format!("is missing: {what}") });
    }

    pub(super) fn mistyped<T>(&mut self, key: &str, expected: &str, found: &DeValue<'_>) -> Option<T> {
        self.wrong(key, wrong_type(expected, found));
        None
    }

    pub(super) fn wrong(&mut self, key: &str, message: String) {
        let key = self.key(key);
        let line = self.reader.lines.get(&key).copied();
        self.reader.problems.push(AgentProblem { line, key, message });
    }
}

/// Where the words of a text begin: after its opening quotes, and after the line end that may follow them.
fn first_text_line(source: &str, span: Range<usize>) -> usize {
    let quoted = source.get(span.clone()).unwrap_or_default();
    let opening =
        ["\"\"\"\r\n", "\"\"\"\n", "'''\r\n", "'''\n"].into_iter().find(|opening| quoted.starts_with(opening));
    span.start + opening.map_or(0, str::len)
}

pub(super) fn wrong_type(expected: &str, found: &DeValue<'_>) -> String {
    match found {
        DeValue::Integer(number) => format!("must be {expected}, but is {}", number.as_str()),
        DeValue::Float(number) => format!("must be {expected}, but is {}", number.as_str()),
        DeValue::Boolean(flag) => format!("must be {expected}, but is {flag}"),
        DeValue::String(_) => format!("must be {expected}, but is a text"),
        DeValue::Datetime(_) => format!("must be {expected}, but is a date or time"),
        DeValue::Array(_) => format!("must be {expected}, but is a list"),
        DeValue::Table(_) => format!("must be {expected}, but is a table"),
    }
}
