//! `/v1/agents`, `/v1/engines`, `/v1/nodes`, `/v1/work`: what there is to work with, and what did not work.
//!
//! An agent is saved whole, as a new version, and only if nothing is wrong with it: not as such, not in this
//! installation (credentials, addresses of tools, numbers that may be called), not beside the other agents.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use call::agent::offer::{Offer, RANGES, Range};
use call::agent::{Agent, AgentProblem, EngineKind};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Map, Value};
use store::{AgentVersion, Node, WorkItem};

use crate::agents::SaveError;
use crate::door::{Admin, Api, Content, Operator, Viewer};
use crate::problem::{FieldError, Problem};
use crate::state::ApiInner;

#[derive(Debug, Serialize)]
pub(crate) struct AgentsShown {
    agents: Vec<AgentShown>,
}

#[derive(Debug, Serialize)]
pub(crate) struct AgentShown {
    version: u32,
    #[serde(flatten)]
    agent: Agent,
}

pub(crate) async fn agents(api: Api<Viewer>) -> Result<Json<AgentsShown>, Problem> {
    let book = api.agents.book().await?;
    let shown = |agent: &Agent| AgentShown { version: book.version(&agent.name), agent: agent.clone() };
    Ok(Json(AgentsShown { agents: book.agents.iter().map(shown).collect() }))
}

pub(crate) async fn agent(api: Api<Viewer>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let book = api.agents.book().await?;
    let agent = book.agents.named(&name).ok_or_else(|| Problem::not_found("an agent of this name"))?;
    let shown = AgentShown { version: book.version(&name), agent: agent.clone() };
    serde_json::to_value(shown).map(Json).map_err(Problem::internal)
}

/// A version of an agent, also of one that was changed since.
pub(crate) async fn agent_version(
    api: Api<Viewer>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<AgentVersion>, Problem> {
    let version = version.parse().map_err(|_| Problem::invalid("version", "it must be a whole number"))?;
    Ok(Json(api.store.agent_version(&name, version).await?))
}

/// What is wrong with an agent.
#[derive(Debug, Serialize)]
pub(crate) struct ProblemsShown {
    problems: Vec<AgentProblem>,
}

pub(crate) async fn validate(
    api: Api<Operator>,
    Content(body): Content<Map<String, Value>>,
) -> Result<Json<ProblemsShown>, Problem> {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (agent, _) = draft(&name, body)?;
    Ok(Json(ProblemsShown { problems: api.agent_problems(&agent).await? }))
}

pub(crate) async fn save(
    api: Api<Admin>,
    Path(name): Path<String>,
    Content(body): Content<Map<String, Value>>,
) -> Result<Json<AgentShown>, Problem> {
    let (agent, of_version) = draft(&name, body)?;
    let problems = api.agent_problems(&agent).await?;
    if !problems.is_empty() {
        let errors = problems.into_iter().map(|problem| FieldError { name: problem.key, detail: problem.message });
        return Err(Problem::all_invalid(errors.collect()));
    }
    let latest = api.agents.book().await?.version(&name);
    if of_version.is_some_and(|version| version != latest) {
        return Err(Problem::conflict(format!(
            "the agent was changed meanwhile: its version is {latest}; read it again"
        )));
    }
    let version = match api.agents.save(&agent, &api.store).await {
        Ok(version) => version,
        Err(SaveError::BuiltIn) => {
            return Err(Problem::conflict(
                "the agents are those of the program; make a directory `agents` with their files, and start again",
            ));
        }
        Err(SaveError::Store(error)) => return Err(error.into()),
        Err(error @ SaveError::File { .. }) => {
            return Err(Problem::unavailable("the agent's file cannot be written; look at the directory", error));
        }
    };
    tracing::info!(agent = name, version, user = api.person.name, "a person saves an agent");
    Ok(Json(AgentShown { version, agent }))
}

/// The agent in a body, and the version that it was made from. The path names it.
fn draft(name: &str, mut body: Map<String, Value>) -> Result<(Agent, Option<u32>), Problem> {
    if body.get("name").is_some_and(|given| given.as_str() != Some(name)) {
        return Err(Problem::invalid("name", format!("it is not `{}`, which the address names", name.escape_debug())));
    }
    let version = match body.remove("version") {
        None => None,
        Some(version) => {
            let version = version.as_u64().and_then(|version| u32::try_from(version).ok());
            Some(
                version
                    .ok_or_else(|| Problem::invalid("version", "it is not the version of an agent that was read"))?,
            )
        }
    };
    body.insert("name".to_owned(), name.into());
    let agent = serde_json::from_value(Value::Object(body));
    Ok((agent.map_err(|error| Problem::invalid("body", error.to_string()))?, version))
}

impl ApiInner {
    /// Everything that keeps an agent from being saved here.
    async fn agent_problems(&self, agent: &Agent) -> Result<Vec<AgentProblem>, Problem> {
        let mut problems = self.agents.problems_of(agent).await?;
        for (n, tool) in agent.tools.iter().enumerate() {
            for (whom, number) in &tool.destinations {
                // A number that is none was found before.
                if let Err(error) = self.guard.check(number)
                    && error.is_policy()
                {
                    let key = format!("tools[{}].destinations.{whom}", n + 1);
                    problems.push(AgentProblem { line: None, key, message: error.to_string() });
                }
            }
        }
        Ok(problems)
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct EnginesShown {
    engines: Vec<EngineShown>,
    /// What the numbers of an agent may be.
    ranges: [Range; RANGES.len()],
}

#[derive(Debug, Serialize)]
struct EngineShown {
    name: EngineKind,
    /// Whether there are credentials for it; null where only the nodes know.
    credentials: Option<bool>,
    /// The agents that try it, in whatever place.
    agents: Vec<String>,
    #[serde(flatten)]
    offer: Offer,
}

/// Whether an engine answers is known to the nodes alone: see `/status` there.
pub(crate) async fn engines(api: Api<Viewer>) -> Result<Json<EnginesShown>, Problem> {
    let book = api.agents.book().await?;
    let installation = api.agents.installation();
    let engines = EngineKind::ALL.into_iter().map(|name| {
        let agents = book.agents.iter().filter(|agent| agent.engines.contains(&name));
        let agents = agents.map(|agent| agent.name.clone()).collect();
        let credentials = installation.engines.as_ref().map(|engines| engines.contains(&name));
        EngineShown { name, credentials, agents, offer: name.offer() }
    });
    Ok(Json(EnginesShown { engines: engines.collect(), ranges: RANGES }))
}

#[derive(Debug, Serialize)]
pub(crate) struct NodesShown {
    nodes: Vec<NodeShown>,
}

#[derive(Debug, Serialize)]
struct NodeShown {
    alive: bool,
    #[serde(flatten)]
    node: Node,
    /// What it says of itself; none of one that does not answer.
    status: Option<Value>,
}

pub(crate) async fn nodes(api: Api<Viewer>) -> Result<Json<NodesShown>, Problem> {
    let living: BTreeSet<String> = api.nodes.living().await?.into_iter().map(|node| node.name).collect();
    let nodes = api.store.nodes().await?.into_iter().map(|node| async {
        let alive = living.contains(&node.name);
        let status = if alive { api.nodes.status(&node).await } else { None };
        NodeShown { alive, node, status }
    });
    Ok(Json(NodesShown { nodes: join_all(nodes).await }))
}

#[derive(Debug, Serialize)]
pub(crate) struct WorkShown {
    dead: Vec<WorkItem>,
}

pub(crate) async fn work(api: Api<Viewer>) -> Result<Json<WorkShown>, Problem> {
    Ok(Json(WorkShown { dead: api.store.dead_work().await? }))
}

pub(crate) async fn retry(api: Api<Admin>, Path(id): Path<String>) -> Result<Json<WorkItem>, Problem> {
    let item = api.store.retry_work(&id).await?;
    tracing::info!(work = id, user = api.person.name, "a person lets dead work be tried again");
    api.bell.ring();
    Ok(Json(item))
}
