//! All that a call is started with. It is also the body of the control plane's `prepare` request to a node.

use serde::{Deserialize, Serialize};

use crate::agent::{EngineKind, Script};
use crate::id::CallId;
use crate::journal::Turn;

/// All that one epoch of a call is started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The call.
    pub call: CallId,
    /// The number of the media stream within the call: 1, then one more each time the stream is replaced.
    pub epoch: u32,
    /// The agent's configuration with this call's variables filled in.
    pub script: Script,
    /// The engines to try, in order. The node leaves out those without credentials and those that failed lately.
    pub engines: Vec<EngineKind>,
    /// What was said so far, as heard: empty in the first epoch.
    #[serde(default)]
    pub history: Vec<Turn>,
    /// The vendor's conversation of the epoch before, which the same engine can resume.
    #[serde(default)]
    pub chat: Option<ChatRef>,
    /// Milliseconds from the start of the call's first stream to the opening of this epoch, by the wall clock.
    #[serde(default)]
    pub offset_ms: u64,
    /// Whether the caller has heard the greeting in an earlier epoch.
    #[serde(default)]
    pub greeted: bool,
    /// Whether the caller has heard the disclosure in an earlier epoch.
    #[serde(default)]
    pub disclosed: bool,
    /// The longest call, from the start of the first stream, in milliseconds.
    pub call_ms_max: u64,
}

/// A conversation as its vendor knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatRef {
    /// Whose conversation it is.
    pub engine: EngineKind,
    /// EVI: the chat group's id. OpenAI has none that can be resumed.
    pub group: String,
}
