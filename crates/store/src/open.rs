//! How a call begins: once per `CallSid` inbound, once per idempotency key outbound.

use call::CallId;
use call::agent::{EngineKind, Script};
use serde::{Deserialize, Serialize};
use wire::twilio::CallSid;

use crate::clock::Moment;
use crate::error::StoreError;
use crate::idempotency::Idempotency;
use crate::record::CallRecord;
use crate::store::Store;

/// A call to be opened. It is created at the moment that its id says.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCall {
    /// Our own id, fresh.
    pub id: CallId,
    /// The calling number, as it came.
    pub from: String,
    /// The called number.
    pub to: String,
    /// The node that shall take the first stream; none when it is not chosen yet.
    pub node: Option<String>,
    /// When the call will surely be over: later it counts as overdue.
    pub ends_by: Moment,
    /// Whether Twilio is simulated.
    pub simulated: bool,
    /// What the call runs on. Agent, version and whether to record are taken from its script.
    pub script: CallScript,
}

/// What all epochs of a call run on, whatever becomes of the agent meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallScript {
    /// The agent's configuration with this call's variables filled in.
    pub script: Script,
    /// The engines to try, in order.
    pub engines: Vec<EngineKind>,
}

/// An inbound call, opened now or before.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The call. Epoch and node are those of the first request, however often Twilio asks.
    pub call: CallRecord,
    /// Whether it was opened by this request.
    pub fresh: bool,
}

/// What became of a request to place a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Placed {
    /// The call is opened.
    New(CallRecord),
    /// The same request came before; this is its call.
    Same(CallRecord),
    /// The key was used within 24 hours for another request.
    DifferentBody,
}

impl Store {
    /// Opens an inbound call, once per `CallSid`.
    pub async fn open_inbound(&self, new: &NewCall, sid: CallSid) -> Result<Opened, StoreError> {
        todo!()
    }

    /// Opens an outbound call, once per user and idempotency key within 24 hours. It is not dialled yet: see
    /// [`mark_dialing`](Self::mark_dialing).
    pub async fn open_outbound(&self, new: &NewCall, once: Option<&Idempotency>) -> Result<Placed, StoreError> {
        todo!()
    }

    /// A call by its id.
    pub async fn call(&self, id: CallId) -> Result<CallRecord, StoreError> {
        todo!()
    }

    /// A call by Twilio's id of it.
    pub async fn call_by_sid(&self, sid: CallSid) -> Result<CallRecord, StoreError> {
        todo!()
    }

    /// What the call runs on.
    pub async fn call_script(&self, id: CallId) -> Result<CallScript, StoreError> {
        todo!()
    }
}
