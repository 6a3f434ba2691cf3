//! Texts with `{{variables}}` in them.
//!
//! A variable is `{{name}}`, with spaces allowed inside the braces; a name is lower-case letters, digits and `_`, and
//! begins with a letter. Single braces are ordinary text. Values go in literally: a value that itself looks like a
//! variable stays as it is, so that nothing a caller or a customer database says can reach for another value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Agent;

/// Variables that every call fills in itself: the agent may use them, and need not declare them.
pub const BUILT_IN_VARIABLES: [&str; 4] = ["called_number", "caller_number", "date", "time"];

/// The longest name of a variable, in characters: more is a slip with the braces.
const NAME_CHARS_MAX: usize = 64;

/// The texts of an agent that may contain variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Spoken before the greeting.
    Disclosure,
    /// What the agent says first.
    Greeting,
    /// What the model is told.
    Instructions,
}

impl Place {
    /// In the order in which they are looked through.
    pub const ALL: [Self; 3] = [Self::Instructions, Self::Greeting, Self::Disclosure];

    /// The key in the agent's file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disclosure => "disclosure",
            Self::Greeting => "greeting",
            Self::Instructions => "instructions",
        }
    }

    /// The agent's text of this place.
    pub(super) fn of(self, agent: &Agent) -> &str {
        match self {
            Self::Disclosure => &agent.disclosure,
            Self::Greeting => &agent.greeting,
            Self::Instructions => &agent.instructions,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The lines of the agent's file on which variables are used first. Two agents that differ only in this are equal.
#[derive(Clone, Debug, Default, Eq)]
pub struct UsedAt(pub(super) BTreeMap<(Place, String), usize>);

impl UsedAt {
    /// The line of the file, from 1, on which `place` uses the variable first.
    #[must_use]
    pub fn line(&self, place: Place, variable: &str) -> Option<usize> {
        self.0.get(&(place, variable.to_owned())).copied()
    }
}

impl PartialEq for UsedAt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Said as it stands.
    Text(&'a str),
    /// To be filled in.
    Variable(&'a str),
}

/// Braces that are not a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The line within the text, from 0.
    pub(super) line: usize,
    /// What is wrong, and what is allowed.
    pub(super) message: String,
}

/// Cuts a text into what is said as it stands and what is to be filled in; or everything that is wrong with its braces.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Vec<Broken>> {
    let mut pieces = Vec::new();
    let mut broken = Vec::new();
    let mut rest = text;
    let line_of = |rest: &str| text[..text.len() - rest.len()].matches('\n').count();
    while !rest.is_empty() {
        let Some(start) = rest.find("{{") else {
            no_stray_end(rest, line_of(rest), &mut broken);
            pieces.push(Piece::Text(rest));
            break;
        };
        let (before, from) = rest.split_at(start);
        no_stray_end(before, line_of(rest), &mut broken);
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let inside = &from[2..];
        // A variable ends on its own line: a lost `}}` must not swallow the rest of the text.
        let Some(end) = inside.find("}}").filter(|&end| !inside[..end].contains(['\n', '{'])) else {
            broken.push(Broken {
                line: line_of(from),
                message: "`{{` without `}}` on the same line; a variable is written {{name}}".to_owned(),
            });
            rest = inside;
            continue;
        };
        let name = inside[..end].trim();
        if is_name(name) {
            pieces.push(Piece::Variable(name));
        } else {
            broken.push(Broken {
                line: line_of(from),
                message: format!(
                    "`{{{{{}}}}}` is not a variable: its name has lower-case letters, digits and `_`, and begins with \
                     a letter, as in {{{{first_name}}}}",
                    &inside[..end]
                ),
            });
        }
        rest = &inside[end + 2..];
    }
    if broken.is_empty() { Ok(pieces) } else { Err(broken) }
}

fn no_stray_end(text: &str, first_line: usize, broken: &mut Vec<Broken>) {
    if let Some(at) = text.find("}}") {
        broken.push(Broken {
            line: first_line + text[..at].matches('\n').count(),
            message: "`}}` without `{{` before it; a variable is written {{name}}".to_owned(),
        });
    }
}

/// Whether this can be the name of a variable.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The variables that a text uses, with the line within the text (from 0) of each one's first use. Broken braces count
/// for nothing here: they are reported when the agent is checked.
pub(super) fn variables(text: &str) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    let mut line = 0;
    for piece in pieces(text).unwrap_or_default() {
        match piece {
            Piece::Text(text) => line += text.matches('\n').count(),
            Piece::Variable(name) => {
                found.entry(name).or_insert(line);
            }
        }
    }
    found
}

impl Agent {
    /// The variables that the agent's texts use, built-in ones included.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        Place::ALL.into_iter().flat_map(|place| variables(place.of(self)).into_keys()).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_variables() {
        assert_eq!(
            pieces("Hi {{name}}, {{ day }}{{x_2}}! {single} \u{e4}"),
            Ok(vec![
                Piece::Text("Hi "),
                Piece::Variable("name"),
                Piece::Text(", "),
                Piece::Variable("day"),
                Piece::Variable("x_2"),
                Piece::Text("! {single} \u{e4}"),
            ])
        );
        assert_eq!(pieces(""), Ok(vec![]));
    }

    #[test]
    fn every_pair_of_broken_braces_is_reported_with_its_line() {
        let text = "ok {{fine}}\n{{open\n{{Name}} {{}} {{a b}}\nstray }} {{{x}}}";
        let lines: Vec<usize> = pieces(text).unwrap_err().iter().map(|broken| broken.line).collect();
        assert_eq!(lines, [1, 2, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn the_first_use_of_a_variable_is_the_one_that_counts() {
        assert_eq!(variables("a\n{{x}}\n{{y}} {{x}}"), BTreeMap::from([("x", 1), ("y", 2)]));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[{} a-z\n\u{e4}]{0,40}") {
            if let Ok(pieces) = pieces(&text) {
                let length: usize = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.len(),
                    Piece::Variable(name) => name.len() + 4,
                }).sum();
                proptest::prop_assert!(length <= text.len());
            }
        }
    }
}
