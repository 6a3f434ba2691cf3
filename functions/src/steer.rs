//! `/v1/calls/{id}/hangup`, `/transfer`, `/say`, `/instructions`: steering a call that is under way.
//!
//! The node that has the call does it. Only hanging up has another way, because it must work when the node does not:
//! Twilio is asked to end the call.

use axum::Json;
use axum::extract::Path;
use call::Command;
use call::journal::{EndReason, EndedBy};
use clients::ClientError;
use http::StatusCode;
use serde::Deserialize;
use store::{CallRecord, Recorded, Status};
use wire::twilio::rest::{CallChange, UpdateCall, code};

use crate::calls::call_id;
use crate::door::{Api, Content, Operator};
use crate::nodes::NodeError;
use crate::place::refused_by_guard;
use crate::problem::Problem;
use crate::state::ApiInner;

/// The longest text that is said at once, in characters: about a minute and a half.
const SAID_CHARS_MAX: usize = 1_500;

/// The longest instructions, in characters, as in an agent.
const INSTRUCTIONS_CHARS_MAX: usize = 32_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Say {
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instructions {
    instructions: String,
}

type Accepted = Result<(StatusCode, Json<CallRecord>), Problem>;

pub(crate) async fn hang_up(api: Api<Operator>, Path(id): Path<String>) -> Accepted {
    let call = api.under_way(&id).await?;
    tracing::info!(call.id = %call.id, user = api.person.name, "a person hangs up");
    if call.marks.streams.contains_key(&call.epoch)
        && let Some(node) = call.node()
    {
        match api.nodes.command(node, call.id, &Command::HangUp { by: EndedBy::Operator }).await {
            Ok(()) => return Ok((StatusCode::ACCEPTED, Json(call))),
            Err(error) => {
                tracing::warn!(call.id = %call.id, node, %error, "the node does not hang up, so Twilio is asked to")
            }
        }
    }
    api.end_at_twilio(&call).await?;
    Ok((StatusCode::ACCEPTED, Json(call)))
}

pub(crate) async fn transfer(api: Api<Operator>, Path(id): Path<String>, Content(body): Content<Transfer>) -> Accepted {
    api.guard.check(&body.to).map_err(|error| {
        if error.is_policy() { refused_by_guard(&error) } else { Problem::invalid("to", error.to_string()) }
    })?;
    api.limits.number(&body.to)?;
    api.forward(&id, Command::Transfer { to: body.to }).await
}

pub(crate) async fn say(api: Api<Operator>, Path(id): Path<String>, Content(body): Content<Say>) -> Accepted {
    let text = bounded("text", &body.text, SAID_CHARS_MAX)?;
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid("text", "it must be printable text in one line"));
    }
    api.forward(&id, Command::Say { text }).await
}

pub(crate) async fn instruct(
    api: Api<Operator>,
    Path(id): Path<String>,
    Content(body): Content<Instructions>,
) -> Accepted {
    let instructions = bounded("instructions", &body.instructions, INSTRUCTIONS_CHARS_MAX)?;
    api.forward(&id, Command::Instruct { instructions }).await
}

fn bounded(name: &str, text: &str, chars_max: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > chars_max {
        return Err(Problem::invalid(name, format!("it must have 1 to {chars_max} characters")));
    }
    Ok(text.to_owned())
}

impl ApiInner {
    async fn under_way(&self, id: &str) -> Result<CallRecord, Problem> {
        let call = self.store.call(call_id(id)?).await?;
        if call.status.is_final() { Err(Problem::conflict("the call is over")) } else { Ok(call) }
    }

    async fn forward(&self, id: &str, command: Command) -> Accepted {
        let call = self.under_way(id).await?;
        let node = call.node().filter(|_| call.marks.streams.contains_key(&call.epoch));
        let Some(node) = node else {
            return Err(Problem::conflict("the call is not in conversation yet"));
        };
        match self.nodes.command(node, call.id, &command).await {
            Ok(()) => Ok((StatusCode::ACCEPTED, Json(call))),
            Err(NodeError::Refused(StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::GONE)) => {
                Err(Problem::conflict("the call is not in conversation at the moment"))
            }
            Err(NodeError::Store(error)) => Err(error.into()),
            Err(error @ (NodeError::Gone | NodeError::Silent | NodeError::Refused(_))) => {
                Err(Problem::unavailable("the call's media node does not answer; try again in a moment", error))
            }
        }
    }

    /// Ends a call without a node's help.
    async fn end_at_twilio(&self, call: &CallRecord) -> Result<(), Problem> {
        let Some(sid) = call.twilio_sid else {
            let why = "called off before it was dialled";
            return match self.store.call_off(call.id, EndedBy::Operator, why).await? {
                Recorded::Applied => Ok(()),
                Recorded::Stale => Err(Problem::conflict("the call is being dialled; try again in a few seconds")),
            };
        };
        // What has not been answered is called off; everything else is ended. `completed` does both.
        let why = if call.status == Status::InProgress { EndReason::HungUp } else { EndReason::Canceled };
        // First the intent: if we die before Twilio's answer is written, an end that comes now is still the operator's.
        self.store.intend_ending(call.id, EndedBy::Operator, why).await?;
        match self.twilio.update_call(sid, &UpdateCall { change: CallChange::Complete }).await {
            Ok(_) => {
                // The intent says the same for a minute.
                if let Err(error) = self.store.record_ending(call.id, EndedBy::Operator, why).await {
                    tracing::warn!(call.id = %call.id, %error, "who ended a call is not written yet");
                }
                Ok(())
            }
            // It is over: by our own request, whose first answer was lost, or before. The time of its end will tell.
            Err(ClientError::Refused(error)) if error.code == Some(code::INVALID_CALL_STATE) => Ok(()),
            Err(error) => {
                if matches!(error, ClientError::Refused(_)) {
                    self.store.withdraw_intent(call.id).await?;
                }
                Err(Problem::unavailable("neither the media node nor Twilio ends the call; try again", error))
            }
        }
    }
}
