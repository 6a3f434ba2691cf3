//! Asking Twilio what became of a call of which nobody has said.
//!
//! Of a call in `dialing` nobody knows whether Twilio took it: the request's answer was lost, or its process died. After
//! a minute Twilio's list of calls is searched for it. A call that should long be over is asked for by its id.

use std::time::Duration;

use call::CallId;
use call::journal::{EndReason, EndedBy};
use clients::ClientError;
use store::{Adopted, CallRecord, Dial, Moment, Status, StatusFact, StoreError};
use wire::twilio::rest::{CallChange, CallResource, ListCalls, UpdateCall, code};

use super::{Step, WorkError, Worker};
use crate::status::{moment, status_of};

/// Nobody asks about a call in `opened` or `dialing` before so long.
const DIALING_MAX: Duration = Duration::from_secs(60);

/// Twilio's clock and ours may differ by this.
const CLOCKS_DIFFER: Duration = Duration::from_secs(10);

/// A call that is not over, although it should be, is asked for again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(60);

impl Worker {
    pub(super) async fn reconcile(&self, id: CallId) -> Result<Step, WorkError> {
        let call = match self.store.call(id).await {
            Ok(call) => call,
            Err(StoreError::NotFound(_)) => return Ok(Step::Done),
            Err(error) => return Err(error.into()),
        };
        if call.status.is_final() {
            return Ok(Step::Done);
        }
        let now = self.store.now();
        if call.twilio_sid.is_some() {
            let left = call.marks.ends_by.since(now);
            return if left > Duration::ZERO { Ok(Step::Postponed(left)) } else { self.overdue(&call).await };
        }
        let since = call.marks.dialing_at.unwrap_or(call.created_at);
        let age = now.since(since);
        if age < DIALING_MAX {
            return Ok(Step::Postponed(DIALING_MAX - age));
        }
        match call.marks.dial {
            Some(Dial::Dialing) => self.search(&call, since).await,
            Some(Dial::Opened | Dial::Dialed | Dial::Failed) | None => {
                self.store.mark_failed(id, "it was never dialled: the process that was to do it ended").await?;
                Ok(Step::Done)
            }
        }
    }

    /// Looks for a call of which only the numbers and the time are known.
    async fn search(&self, call: &CallRecord, since: Moment) -> Result<Step, WorkError> {
        let search = ListCalls {
            to: Some(call.to.clone().into()),
            from: Some(call.from.clone().into()),
            ..ListCalls::default()
        };
        let listing = self.twilio.list_calls(&search).await?;
        let earliest = since.before(CLOCKS_DIFFER);
        let created = |found: &CallResource| found.date_created.map(moment);
        let mut fitting: Vec<CallResource> = listing.entries;
        // One that Twilio gives no time for is not taken for older than it may be.
        fitting.retain(|found| created(found).is_none_or(|at| at >= earliest));
        fitting.sort_by_key(created);
        for found in fitting {
            match self.store.call_by_sid(found.sid).await {
                Err(StoreError::NotFound(_)) => {}
                Ok(_) => continue,
                Err(error) => return Err(error.into()),
            }
            let Adopted::Yes(adopted) = self.store.adopt_sid(call.id, found.sid).await? else { continue };
            tracing::warn!(call.id = %call.id, call.sid = %found.sid, "a call that was lost in dialling is found at Twilio");
            self.take_status(&adopted, &found).await?;
            return Ok(Step::Done);
        }
        if !listing.complete {
            return Err(WorkError::ListTooLong);
        }
        tracing::warn!(call.id = %call.id, "a call that was lost in dialling never reached Twilio");
        self.store.mark_failed(call.id, "Twilio does not know the call: it was lost on its way there").await?;
        Ok(Step::Done)
    }

    /// A call that should be over by now.
    async fn overdue(&self, call: &CallRecord) -> Result<Step, WorkError> {
        let Some(sid) = call.twilio_sid else { return Ok(Step::Done) };
        let found = match self.twilio.fetch_call(sid).await {
            Ok(found) => found,
            Err(ClientError::Refused(error)) if error.status == 404 => {
                let status = if call.answered_at.is_some() { Status::Completed } else { Status::Failed };
                let fact = StatusFact { status, at: self.store.now(), duration_s: None, sip_code: None };
                self.store.record_status(call.id, fact).await?;
                return Ok(Step::Done);
            }
            Err(error) => return Err(error.into()),
        };
        if found.status.is_final() {
            self.take_status(call, &found).await?;
            return Ok(Step::Done);
        }
        tracing::warn!(call.id = %call.id, call.sid = %sid, "a call is still under way that should be over, and is ended");
        self.store.record_ending(call.id, EndedBy::System, EndReason::Limit).await?;
        match self.twilio.update_call(sid, &UpdateCall { change: CallChange::Complete }).await {
            Ok(_) => {}
            Err(ClientError::Refused(error)) if error.code == Some(code::INVALID_CALL_STATE) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Step::Postponed(ASK_AGAIN))
    }

    async fn take_status(&self, call: &CallRecord, found: &CallResource) -> Result<(), StoreError> {
        let Some(status) = status_of(&found.status) else { return Ok(()) };
        let at = if status.is_final() { found.end_time } else { found.start_time };
        let fact = StatusFact {
            status,
            at: at.map_or_else(|| self.store.now(), moment),
            duration_s: found.length().and_then(|length| u32::try_from(length.as_secs()).ok()),
            sip_code: None,
        };
        self.store.record_status(call.id, fact).await.map(drop)
    }
}
