//! `/twilio/status` and `/twilio/stream`: what Twilio tells of its own accord, in any order and any number.
//!
//! Every callback is idempotent. One that names a call of ours in its URL gives that call its Twilio id, if it has none
//! yet. One about a call that is not ours is taken and forgotten: Twilio reports all calls of a number.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use call::CallId;
use call::agent::PrepareAt;
use http::StatusCode;
use store::{Adopted, CallRecord, Moment, Recorded, Source, Status, StatusFact, StoreError};
use wire::twilio::form::{CallStatus, StatusCallback, StreamCallback, StreamEvent};
use wire::twilio::{CallSid, StreamSid};

use crate::connect::prepare_of;
use crate::door::{Signed, finish};
use crate::problem::Problem;
use crate::shown::shown;
use crate::state::StatusState;

/// The routes that take callbacks.
pub fn router(state: StatusState) -> Router {
    finish(routes(state))
}

pub(crate) fn routes(state: StatusState) -> Router {
    Router::new()
        .route("/twilio/status", post(status))
        .route("/twilio/stream", post(stream))
        .route("/hume/webhook", post(crate::hume::webhook))
        .with_state(state)
}

async fn status(State(state): State<StatusState>, signed: Signed<StatusCallback>) -> Result<StatusCode, Problem> {
    let Signed { callback, mention, .. } = signed;
    let Some(call) = state.call_of(mention.call, callback.request.call_sid).await? else {
        return Ok(StatusCode::NO_CONTENT);
    };
    let Some(status) = status_of(&callback.status) else {
        let status = shown(callback.status.as_str());
        tracing::warn!(call.id = %call.id, status, "Twilio reports a status that is unknown here");
        return Ok(StatusCode::NO_CONTENT);
    };
    let fact = StatusFact {
        status,
        at: callback.timestamp.map_or_else(|| state.store.now(), moment),
        // Without a time of its own, it is known when it came.
        source: if callback.timestamp.is_some() { Source::Callback } else { Source::Passing },
        duration_s: callback.call_duration.and_then(|length| u32::try_from(length.as_secs()).ok()),
        sip_code: callback.sip_response_code,
    };
    match state.store.record_status(call.id, fact).await? {
        Recorded::Stale => {}
        Recorded::Applied if status.is_final() => {
            tracing::info!(call.id = %call.id, status = %callback.status, "a call is over");
            state.bell.ring();
            // A stream that is up ends by itself; an engine that was prepared for one that never came does not.
            if let Some(node) = call.node().filter(|_| !call.marks.streams.contains_key(&call.epoch)) {
                state.nodes.release(node, call.id).await;
            }
        }
        Recorded::Applied if status == Status::Ringing => state.rings(&call, &callback).await?,
        Recorded::Applied => {}
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn stream(State(state): State<StatusState>, signed: Signed<StreamCallback>) -> Result<StatusCode, Problem> {
    let Signed { callback, mention, .. } = signed;
    let Some(call) = state.call_of(mention.call, callback.call_sid).await? else {
        return Ok(StatusCode::NO_CONTENT);
    };
    let error = shown(callback.error.as_deref().unwrap_or_default());
    match &callback.event {
        StreamEvent::Error => {
            tracing::warn!(call.id = %call.id, epoch = call.epoch, error, "Twilio reports a stream's error");
            state.may_be_over(&call, callback.stream_sid).await?;
        }
        StreamEvent::Stopped => {
            tracing::debug!(call.id = %call.id, "Twilio reports that a stream has stopped");
            state.may_be_over(&call, callback.stream_sid).await?;
        }
        StreamEvent::Started => {
            tracing::debug!(call.id = %call.id, "Twilio reports that a stream has started");
            // An inbound call is opened where nobody can wake the worker, who may have to tell of it.
            state.bell.ring();
        }
        StreamEvent::Other(event) => {
            let event = shown(event);
            tracing::warn!(call.id = %call.id, event, "Twilio reports an unknown stream event")
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

impl StatusState {
    /// The call that a callback is about; none if it is not ours.
    async fn call_of(&self, mentioned: Option<CallId>, sid: CallSid) -> Result<Option<CallRecord>, StoreError> {
        let found = match mentioned {
            Some(id) => self.store.adopt_sid(id, sid).await.map(|adopted| match adopted {
                Adopted::Yes(call) => Some(call),
                Adopted::Other(call) => {
                    tracing::warn!(call.id = %call.id, call.sid = %sid, "a callback names a call of another Twilio id");
                    None
                }
            }),
            None => self.store.call_by_sid(sid).await.map(Some),
        };
        match found {
            Err(error) if error.is_gone() => Ok(None),
            found => found,
        }
    }

    /// A stream has ended. The end of a call that comes in is reported only if its number is configured so: where no
    /// other stream begins, Twilio is asked. A placed call's end is always reported, and asked for at its latest.
    async fn may_be_over(&self, call: &CallRecord, stream: Option<StreamSid>) -> Result<(), StoreError> {
        let current = call.marks.streams.get(&call.epoch);
        let is_history = current.is_some_and(|(_, sid)| stream.is_some_and(|stream| stream.to_string() != *sid));
        if call.direction == store::Direction::Inbound && !call.status.is_final() && !is_history {
            self.store.doubt(call.id).await?;
        }
        Ok(())
    }

    /// The other side's phone rings: an agent that wants it so has its engine dialled now.
    async fn rings(&self, call: &CallRecord, callback: &StatusCallback) -> Result<(), StoreError> {
        if call.marks.dial.is_none() {
            return Ok(());
        }
        let script = self.store.call_script(call.id).await?;
        if script.script.prepare != PrepareAt::Ringing {
            return Ok(());
        }
        let sids = (callback.request.account_sid, callback.request.call_sid);
        let prepare = prepare_of(&self.store, call, call.epoch, script, self.call_max, sids).await?;
        let nodes = self.nodes.candidates(call.id, call.node(), None).await?;
        // If none is ready now, one will be asked again when the call is answered.
        let asked = self.nodes.prepare_one(&nodes, &prepare).await;
        self.nodes.settle(call, call.epoch, &asked).await
    }
}

/// Twilio's word as our status; none for a word that is unknown here.
pub(crate) fn status_of(status: &CallStatus) -> Option<Status> {
    Some(match status {
        CallStatus::Queued | CallStatus::Initiated => Status::Queued,
        CallStatus::Ringing => Status::Ringing,
        CallStatus::InProgress => Status::InProgress,
        CallStatus::Completed => Status::Completed,
        CallStatus::Busy => Status::Busy,
        CallStatus::NoAnswer => Status::NoAnswer,
        CallStatus::Failed => Status::Failed,
        CallStatus::Canceled => Status::Canceled,
        CallStatus::Other(_) => return None,
    })
}

/// Twilio's time as ours.
pub(crate) fn moment(at: jiff::Timestamp) -> Moment {
    Moment::from_ms(u64::try_from(at.as_millisecond()).unwrap_or(0))
}
