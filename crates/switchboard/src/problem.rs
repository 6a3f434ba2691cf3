//! What keeps a command from being done, and how it is said.

use std::process::ExitCode;

use crate::terminal::{Screen, Style};

/// Something that a person must set right, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about: a variable, a file, an address.
    pub name: String,
    /// What is wrong with it; reads on after the name.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    /// One problem.
    #[must_use]
    pub fn new(name: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name: name.into(), what: what.into(), remedy: remedy.into() }
    }
}

/// Why a command was not done.
#[derive(Debug)]
pub enum Failure {
    /// All that must be set right first. Nothing was done.
    Problems(Vec<Problem>),
    /// It was tried and did not succeed; what was found has been said already.
    Unsuccessful,
    /// It was tried and something broke.
    Broken(anyhow::Error),
}

impl Failure {
    /// A single problem.
    #[must_use]
    pub fn one(name: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Problems(vec![Problem::new(name, what, remedy)])
    }

    /// 2 when something must be set right first, else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Problems(_) => ExitCode::from(2),
            Self::Unsuccessful | Self::Broken(_) => ExitCode::FAILURE,
        }
    }

    /// Says it.
    pub fn show(&self, screen: &mut Screen) {
        match self {
            Self::Unsuccessful => {}
            Self::Broken(error) => screen.line(&format!("{} {error:#}", screen.paint(Style::Bad, "switchboard:"))),
            Self::Problems(problems) => {
                let count = match problems.len() {
                    1 => "One thing is in the way:".to_owned(),
                    n => format!("{n} things are in the way:"),
                };
                screen.line(&screen.paint(Style::Bad, &count));
                for problem in problems {
                    let name = screen.paint(Style::Strong, &problem.name);
                    screen.line(&format!("\n  {name} {}", problem.what));
                    screen.line(&format!("    {} {}", screen.paint(Style::Dim, "→"), problem.remedy));
                }
            }
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.into())
    }
}
