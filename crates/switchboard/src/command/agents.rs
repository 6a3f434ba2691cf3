//! `agents list` and `agents validate`.

use std::path::{Path, PathBuf};

use call::agent::{Agent, AgentBook};
use serde::{Deserialize, Serialize};

use crate::api::failure;
use crate::cli::Output;
use crate::environment::Environment;
use crate::problem::{Failure, Problem};
use crate::terminal::{Screen, Style};

use super::calls::json_line;
use super::running::Running;

#[derive(Serialize, Deserialize)]
struct Agents {
    agents: Vec<serde_json::Map<String, serde_json::Value>>,
}

pub(super) async fn list(output: Output, environment: Environment, screen: &mut Screen) -> Result<(), Failure> {
    let running = Running::to_read(environment).await?;
    let agents = running.api.get::<Agents>("/v1/agents").await;
    running.finish().await;
    let agents = agents.map_err(failure)?;
    if output.json {
        return json_line(screen, &agents);
    }
    let rows: Vec<Vec<String>> = agents.agents.iter().map(row).collect();
    screen.table(&["agent", "engines", "language", "numbers", "recorded", "says first"], &rows);
    Ok(())
}

fn row(agent: &serde_json::Map<String, serde_json::Value>) -> Vec<String> {
    let text = |name: &str| agent.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let flag = |name: &str| agent.get(name).and_then(serde_json::Value::as_bool).unwrap_or_default();
    let words = |name: &str| {
        let words = agent.get(name).and_then(|value| value.as_array()).into_iter().flatten();
        words.filter_map(|word| word.as_str()).collect::<Vec<_>>().join(", ")
    };
    let numbers = match (words("numbers"), flag("default")) {
        (numbers, false) if numbers.is_empty() => "–".to_owned(),
        (numbers, true) if numbers.is_empty() => "all others".to_owned(),
        (numbers, true) => format!("{numbers}, all others"),
        (numbers, false) => numbers,
    };
    let greeting: String = text("greeting").chars().take(60).collect();
    let recorded = if flag("recording") { "yes" } else { "no" };
    vec![text("name"), words("engines"), text("language"), numbers, recorded.to_owned(), greeting]
}

pub(super) fn validate(paths: &[PathBuf], environment: &Environment, screen: &mut Screen) -> Result<(), Failure> {
    let standard = [PathBuf::from(environment.given("AGENTS_DIR").unwrap_or("agents"))];
    let mut problems = Vec::new();
    let files = files(if paths.is_empty() { &standard } else { paths }, &mut problems);
    let mut agents = Vec::new();
    for file in &files {
        match std::fs::read_to_string(file) {
            Ok(text) => match Agent::parse(stem(file), &text) {
                Ok(agent) => agents.push(agent),
                Err(error) => problems.extend(error.problems.iter().map(|problem| {
                    let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
                    let remedy = "agents/receptionist.toml describes every setting";
                    Problem::new(format!("{}{line}", file.display()), problem.to_string(), remedy)
                })),
            },
            Err(error) => problems.push(unreadable(file, &error)),
        }
    }
    // Whether agents contradict each other can only be told of agents that can be read.
    if problems.is_empty()
        && let Err(errors) = AgentBook::new(agents)
    {
        let remedy = "a number belongs to one agent, and at most one is the default";
        problems.extend(
            errors.iter().map(|error| Problem::new("The agents", format!("contradict each other: {error}"), remedy)),
        );
    }
    if !problems.is_empty() {
        return Err(Failure::Problems(problems));
    }
    let all = match files.len() {
        1 => "One agent, and it is right.".to_owned(),
        n => format!("{n} agents, and all are right."),
    };
    screen.line(&screen.paint(Style::Good, &all));
    Ok(())
}

fn files(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match std::fs::read_dir(path) {
            Ok(entries) => {
                let toml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
                files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()).filter(toml));
            }
            Err(error) => problems.push(unreadable(path, &error)),
        }
    }
    files.sort();
    files
}

fn stem(file: &Path) -> &str {
    file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        path.display().to_string(),
        format!("cannot be read: {error}"),
        "give a file, or a directory with *.toml files",
    )
}
