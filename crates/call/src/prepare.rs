//! What the control plane asks of a node, and where: the paths and bodies that both sides share.
//!
//! The requests are signed (see [`wire::signed`]). A request may come twice; each of them is safe to repeat.

use serde::{Deserialize, Serialize};
use wire::twilio::{AccountSid, CallSid};

use crate::id::CallId;
use crate::journal::NextStep;
use crate::setup::Setup;

/// The longest body of a request to a node. Instructions have at most 32,000 characters and a conversation so far at
/// most 300 turns of a few hundred bytes.
pub const BODY_BYTES_MAX: usize = 2 << 20;

/// The body of `prepare`: the call, and whose stream may join it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepare {
    /// All that the epoch is started with.
    pub setup: Setup,
    /// The account whose stream it is. A stream of another one is refused.
    pub account_sid: AccountSid,
    /// Twilio's id of the call; none when an outbound call is prepared before Twilio has given one. A stream of another
    /// call is refused.
    #[serde(default)]
    pub call_sid: Option<CallSid>,
}

/// The answer to `next` when the node has a step for the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The epoch.
    pub epoch: u32,
    /// What Twilio shall be told.
    pub next: NextStep,
}

/// Where a node takes `POST` requests with a [`Prepare`].
#[must_use]
pub fn prepare_path(node: &str, call: CallId) -> String {
    format!("/nodes/{node}/calls/{call}/prepare")
}

/// Where a node takes `POST` requests with a [`Command`](crate::Command).
#[must_use]
pub fn command_path(node: &str, call: CallId) -> String {
    format!("/nodes/{node}/calls/{call}/command")
}

/// Where a node answers `GET` requests with a [`Kept`], or 204 when it has none.
#[must_use]
pub fn next_path(node: &str, call: CallId, epoch: u32) -> String {
    format!("/nodes/{node}/calls/{call}/next?epoch={epoch}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{EndReason, EndedBy};

    #[test]
    fn a_kept_step_reads_back() {
        let kept =
            Kept { epoch: 2, next: NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye } };
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(text, r#"{"epoch":2,"next":{"step":"hang_up","ended_by":"agent","reason":"said_goodbye"}}"#);
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
    }

    #[test]
    fn paths_name_the_node_and_the_call() {
        let call = CallId::new(1, 2);
        assert_eq!(prepare_path("node-a", call), format!("/nodes/node-a/calls/{call}/prepare"));
        assert_eq!(command_path("node-a", call), format!("/nodes/node-a/calls/{call}/command"));
        assert_eq!(next_path("node-a", call, 3), format!("/nodes/node-a/calls/{call}/next?epoch=3"));
    }
}
