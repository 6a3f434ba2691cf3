//! `/v1/agents`, `/v1/engines`, `/v1/nodes`, `/v1/work`: what there is to work with, and what did not work.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use call::agent::{Agent, EngineKind};
use serde::Serialize;
use store::{Node, WorkItem};

use crate::door::{Admin, Api, Viewer};
use crate::problem::Problem;

#[derive(Debug, Serialize)]
pub(crate) struct AgentsShown {
    agents: Vec<AgentShown>,
}

#[derive(Debug, Serialize)]
struct AgentShown {
    version: u32,
    #[serde(flatten)]
    agent: Agent,
}

pub(crate) async fn agents(api: Api<Viewer>) -> Result<Json<AgentsShown>, Problem> {
    let book = api.agents.book().await?;
    let shown = |agent: &Agent| AgentShown { version: book.version(&agent.name), agent: agent.clone() };
    Ok(Json(AgentsShown { agents: book.agents.iter().map(shown).collect() }))
}

pub(crate) async fn agent(api: Api<Viewer>, Path(name): Path<String>) -> Result<Json<serde_json::Value>, Problem> {
    let book = api.agents.book().await?;
    let agent = book.agents.named(&name).ok_or_else(|| Problem::not_found("an agent of this name"))?;
    let shown = AgentShown { version: book.version(&name), agent: agent.clone() };
    serde_json::to_value(shown).map(Json).map_err(Problem::internal)
}

#[derive(Debug, Serialize)]
pub(crate) struct EnginesShown {
    engines: Vec<EngineShown>,
}

#[derive(Debug, Serialize)]
struct EngineShown {
    name: EngineKind,
    /// The agents that try it, in whatever place.
    agents: Vec<String>,
}

/// Which engines have credentials and answer is known to the nodes alone: see `/status` there.
pub(crate) async fn engines(api: Api<Viewer>) -> Result<Json<EnginesShown>, Problem> {
    let book = api.agents.book().await?;
    let engines = EngineKind::ALL.into_iter().map(|name| {
        let agents = book.agents.iter().filter(|agent| agent.engines.contains(&name));
        EngineShown { name, agents: agents.map(|agent| agent.name.clone()).collect() }
    });
    Ok(Json(EnginesShown { engines: engines.collect() }))
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
}

pub(crate) async fn nodes(api: Api<Viewer>) -> Result<Json<NodesShown>, Problem> {
    let living: BTreeSet<String> = api.nodes.living().await?.into_iter().map(|node| node.name).collect();
    let nodes = api.store.nodes().await?;
    Ok(Json(NodesShown {
        nodes: nodes.into_iter().map(|node| NodeShown { alive: living.contains(&node.name), node }).collect(),
    }))
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
