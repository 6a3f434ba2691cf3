//! How a call begins: once per `CallSid` inbound, once per idempotency key outbound.

use aws_sdk_dynamodb::types::TransactWriteItem;
use call::CallId;
use call::agent::{EngineKind, Script};
use serde::{Deserialize, Serialize};
use wire::twilio::CallSid;

use crate::clock::Moment;
use crate::error::{Refusal, StoreError};
use crate::idempotency::Idempotency;
use crate::item::Item;
use crate::keys;
use crate::record::{CallRecord, Dial, Direction, Marks, RecordingState, Status};
use crate::store::{Store, Write, pause};
use crate::update::{CHANGE_ATTEMPTS_MAX, DIALING_MAX};
use crate::work::{WorkItem, WorkKind};

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
        let mut call = new.record(Direction::Inbound);
        call.twilio_sid = Some(sid);
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let mut changes = self.opening(new, &call)?;
            let way = Item::new(&keys::sid(sid)).text("call", call.id.to_string()).expiring(self.expiry_of(call.id));
            changes.push(self.writing(Write::fresh(way)));
            match self.transact(changes).await {
                Ok(()) => return Ok(Opened { call, fresh: true }),
                Err(Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
                // Twilio asked before, or this very request was applied and its answer lost: then the id is ours.
                Err(Refusal::Condition(_)) => {
                    let opened = self.call_by_sid(sid).await?;
                    let fresh = opened.id == call.id;
                    return Ok(Opened { call: opened, fresh });
                }
            }
        }
        Err(StoreError::Conflict)
    }

    /// Opens an outbound call, once per user and idempotency key within 24 hours. It is not dialled yet: see
    /// [`mark_dialing`](Self::mark_dialing).
    pub async fn open_outbound(&self, new: &NewCall, once: Option<&Idempotency>) -> Result<Placed, StoreError> {
        let mut call = new.record(Direction::Outbound);
        call.marks.asked_with = once.map(|once| keys::idempotency(&once.user, &once.key).pk);
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let mut changes = self.opening(new, &call)?;
            if let Some(once) = once {
                changes.push(self.writing(once.remembering(call.id, self.now())));
            }
            match self.transact(changes).await {
                Ok(()) => return Ok(Placed::New(call)),
                Err(Refusal::Failed(error)) if error != StoreError::Conflict => return Err(error),
                Err(Refusal::Failed(_)) => pause(attempt).await,
                Err(Refusal::Condition(_)) => match self.placed_before(&call, once).await? {
                    Some(placed) => return Ok(placed),
                    // What was in the way has expired between the two requests.
                    None => pause(attempt).await,
                },
            }
        }
        Err(StoreError::Conflict)
    }

    async fn placed_before(&self, call: &CallRecord, once: Option<&Idempotency>) -> Result<Option<Placed>, StoreError> {
        let Some(once) = once else {
            // Only our own lost answer can have written a call with a fresh id.
            return self.call(call.id).await.map(|call| Some(Placed::New(call)));
        };
        Ok(match self.placed_by(once).await? {
            Some(Placed::Same(same)) if same.id == call.id => Some(Placed::New(same)),
            placed => placed,
        })
    }

    fn opening(&self, new: &NewCall, call: &CallRecord) -> Result<Vec<TransactWriteItem>, StoreError> {
        let script = Item::new(&keys::script(call.id)).fields(&new.script)?.expiring(self.expiry_of(call.id));
        // Whoever opened the call may die before anything else happens to it.
        let due = match call.direction {
            Direction::Inbound => new.ends_by,
            Direction::Outbound => call.created_at.after(DIALING_MAX),
        };
        let reconcile = WorkItem::new(call.id, WorkKind::Reconcile, due);
        let mut changes = vec![self.writing(self.first_writing(call)?), self.writing(Write::always(script))];
        for work in [reconcile].into_iter().chain(self.telling(call.id, WorkKind::TellStarted)) {
            changes.push(self.writing(Write::always(work.encode()?)));
        }
        Ok(changes)
    }

    /// A call by its id.
    pub async fn call(&self, id: CallId) -> Result<CallRecord, StoreError> {
        self.stored_call(id).await.map(|stored| stored.call)
    }

    /// A call by Twilio's id of it.
    pub async fn call_by_sid(&self, sid: CallSid) -> Result<CallRecord, StoreError> {
        let way = self.read_item(&keys::sid(sid)).await?.ok_or_else(|| StoreError::NotFound(sid.to_string()))?;
        let id = way.text_of("call")?.parse().map_err(|error| StoreError::corrupt(sid.to_string(), error))?;
        self.call(id).await
    }

    /// What the call runs on.
    pub async fn call_script(&self, id: CallId) -> Result<CallScript, StoreError> {
        let item = self.read_item(&keys::script(id)).await?;
        item.ok_or_else(|| StoreError::NotFound(format!("the script of {id}")))?.read()
    }
}

impl NewCall {
    fn record(&self, direction: Direction) -> CallRecord {
        let created_at = Moment::from_ms(self.id.opened_at_ms());
        let script = &self.script.script;
        let (status, dial, phone) = match direction {
            Direction::Inbound => (Status::Ringing, None, &self.from),
            Direction::Outbound => (Status::Queued, Some(Dial::Opened), &self.to),
        };
        CallRecord {
            id: self.id,
            twilio_sid: None,
            direction,
            from: self.from.clone(),
            to: self.to.clone(),
            phone: phone.clone(),
            agent: script.agent.clone(),
            agent_version: script.agent_version,
            engine: None,
            engines_tried: Vec::new(),
            status,
            ended_by: None,
            end_reason: None,
            created_at,
            answered_at: None,
            ended_at: None,
            duration_s: None,
            outcome: None,
            epoch: 1,
            recording: script.recording.then_some(RecordingState::Pending),
            simulated: self.simulated,
            transfer: None,
            marks: Marks {
                dial,
                nodes: self.node.iter().map(|node| (1, node.clone())).collect(),
                epoch_starts: vec![created_at],
                ends_by: self.ends_by,
                ..Marks::default()
            },
        }
    }
}
