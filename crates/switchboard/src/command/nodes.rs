//! `nodes`.

use serde::{Deserialize, Serialize};

use crate::api::failure;
use crate::cli::Output;
use crate::environment::Environment;
use crate::problem::Failure;
use crate::terminal::Screen;

use super::calls::json_line;
use super::running::Running;

#[derive(Serialize, Deserialize)]
struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Serialize, Deserialize)]
struct Node {
    alive: bool,
    #[serde(flatten)]
    node: store::Node,
}

pub(super) async fn list(output: Output, environment: Environment, screen: &mut Screen) -> Result<(), Failure> {
    let running = Running::to_read(environment).await?;
    let nodes = running.api.get::<Nodes>("/v1/nodes").await;
    running.finish().await;
    let nodes = nodes.map_err(failure)?;
    if output.json {
        return json_line(screen, &nodes);
    }
    let rows: Vec<Vec<String>> = nodes.nodes.iter().map(row).collect();
    screen.table(&["node", "state", "calls", "room for", "address", "version", "since"], &rows);
    Ok(())
}

fn row(shown: &Node) -> Vec<String> {
    let node = &shown.node;
    let state = match (shown.alive, node.ready) {
        (true, true) => "ready",
        (true, false) => "going down",
        (false, _) => "silent",
    };
    vec![
        node.name.clone(),
        state.to_owned(),
        node.sessions.to_string(),
        node.capacity.to_string(),
        node.address.clone(),
        node.version.clone(),
        node.started_at.to_string(),
    ]
}
