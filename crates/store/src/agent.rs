//! Agents and all their versions.

use call::agent::Agent;

use crate::clock::Moment;
use crate::error::StoreError;
use crate::store::Store;

/// A version of an agent.
#[derive(Clone, Debug, PartialEq)]
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
        todo!()
    }

    /// The latest versions of all agents, by name.
    pub async fn agents(&self) -> Result<Vec<AgentVersion>, StoreError> {
        todo!()
    }

    /// The latest version of an agent.
    pub async fn agent(&self, name: &str) -> Result<AgentVersion, StoreError> {
        todo!()
    }

    /// A version of an agent.
    pub async fn agent_version(&self, name: &str, version: u32) -> Result<AgentVersion, StoreError> {
        todo!()
    }
}
