//! Agents and all their versions.

use call::agent::Agent;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::error::{Refusal, StoreError};
use crate::item::Item;
use crate::keys::{self, Key};
use crate::store::{Condition, Store, Write, pause};
use crate::update::CHANGE_ATTEMPTS_MAX;

/// A version of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentVersion {
    /// The configuration.
    pub agent: Agent,
    /// From 1.
    pub version: u32,
    /// When it was saved.
    pub saved_at: Moment,
}

impl Store {
    /// Saves an agent as a new version. Saving what is the latest version already changes nothing.
    pub async fn save_agent(&self, agent: &Agent) -> Result<AgentVersion, StoreError> {
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let latest = match self.agent(&agent.name).await {
                Ok(latest) if latest.agent == *agent => return Ok(latest),
                Ok(latest) => latest.version,
                Err(StoreError::NotFound(_)) => 0,
                Err(error) => return Err(error),
            };
            let saved = AgentVersion { agent: agent.clone(), version: latest + 1, saved_at: self.now() };
            let unchanged = match latest {
                0 => Condition::new("attribute_not_exists(pk)"),
                _ => {
                    Condition::new("#version = :latest").naming("#version", "version").number(":latest", latest.into())
                }
            };
            let head = Item::new(&Key::new(keys::AGENTS, &agent.name)).fields(&saved)?;
            let version = Item::new(&keys::agent_version(&agent.name, saved.version)).fields(&saved)?;
            let changes =
                vec![self.writing(Write { item: head, condition: unchanged }), self.writing(Write::fresh(version))];
            match self.transact(changes).await {
                Ok(()) => return Ok(saved),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// The latest versions of all agents, by name.
    pub async fn agents(&self) -> Result<Vec<AgentVersion>, StoreError> {
        self.partition(keys::AGENTS).await?.iter().map(Item::read).collect()
    }

    /// The latest version of an agent.
    pub async fn agent(&self, name: &str) -> Result<AgentVersion, StoreError> {
        let item = self.read_item(&Key::new(keys::AGENTS, name)).await?;
        item.ok_or_else(|| StoreError::NotFound(format!("the agent {name}")))?.read()
    }

    /// A version of an agent.
    pub async fn agent_version(&self, name: &str, version: u32) -> Result<AgentVersion, StoreError> {
        let item = self.read_item(&keys::agent_version(name, version)).await?;
        item.ok_or_else(|| StoreError::NotFound(format!("version {version} of the agent {name}")))?.read()
    }
}
