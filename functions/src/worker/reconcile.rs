//! Asking Twilio what became of a call of which nobody has said.
//!
//! Of a call in `dialing` nobody knows whether Twilio took it: the request's answer was lost, or its process died. After
//! a minute Twilio's list of calls is searched for it. A call that should long be over is asked for by its id.

use std::time::Duration;

use call::CallId;
use call::journal::{EndReason, EndedBy};
use clients::ClientError;
use store::{Adopted, CallRecord, Dial, Moment, Source, Status, StatusFact, StoreError};
use wire::twilio::rest::{CallChange, CallResource, ListCalls, UpdateCall, code};

use super::{Step, WorkError, Worker};
use crate::status::{moment, status_of};

/// Nobody asks about a call in `opened` or `dialing` before so long.
const DIALING_MAX: Duration = Duration::from_secs(60);

/// Twilio's clock and ours may differ by this.
const CLOCKS_DIFFER: Duration = Duration::from_secs(10);

/// Twilio has made its record of a call so long after we marked it as being dialled, or never: our request gives up before.
const ASKED_WITHIN: Duration = Duration::from_secs(30);

/// Of several calls that have ended, which one is ours is told by a callback within this time, or by nothing.
const TOLD_APART_MAX: Duration = Duration::from_secs(600);

/// A call is not searched for longer than any call lasts.
const SEARCHED_MAX: Duration = Duration::from_secs(5 * 3_600);

/// A call that is not over, although it should be, is asked for again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(60);

impl Worker {
    pub(super) async fn reconcile(&self, id: CallId) -> Result<Step, WorkError> {
        let call = match self.store.call(id).await {
            Ok(call) => call,
            Err(error) if error.is_gone() => return Ok(Step::Done),
            Err(error) => return Err(error.into()),
        };
        if call.status.is_final() {
            return Ok(Step::Done);
        }
        let now = self.store.now();
        if call.twilio_sid.is_some() {
            let left = call.marks.ends_by.since(now);
            return match call.marks.doubted_at {
                _ if left == Duration::ZERO => self.overdue(&call).await,
                Some(_) => self.doubted(&call, left).await,
                None => Ok(Step::Postponed(left)),
            };
        }
        let since = call.marks.dialing_at.unwrap_or(call.created_at);
        let age = now.since(since);
        if age < DIALING_MAX {
            return Ok(Step::Postponed(DIALING_MAX - age));
        }
        match call.marks.dial {
            Some(Dial::Dialing) => self.search(&call, since).await,
            Some(Dial::Opened | Dial::Dialed | Dial::Failed) | None => {
                let why = "it was never dialled: nobody asked again for it, or the process that was to do it ended";
                self.store.call_off(id, EndedBy::System, why).await?;
                Ok(Step::Done)
            }
        }
    }

    /// Looks for a call of which only the numbers and the time are known. It is taken for ours only if nothing else can be
    /// meant: one call that nobody knows, and no other of ours that is looked for in the same minute. Otherwise we wait:
    /// when it is answered, and when it ends, Twilio names our own id.
    async fn search(&self, call: &CallRecord, since: Moment) -> Result<Step, WorkError> {
        let search = ListCalls {
            to: Some(call.to.clone().into()),
            from: Some(call.from.clone().into()),
            ..ListCalls::default()
        };
        let listing = self.twilio.list_calls(&search).await?;
        let (earliest, latest) = (since.before(CLOCKS_DIFFER), since.after(ASKED_WITHIN));
        let created = |found: &CallResource| found.date_created.map(moment);
        // The newest come first: what is older than ours need not be read.
        let is_covered = listing.complete || listing.entries.last().and_then(created).is_some_and(|at| at < earliest);
        let mut unknown = Vec::new();
        for found in listing.entries {
            // One that Twilio gives no time for may be of any.
            if created(&found).is_some_and(|at| at < earliest || at > latest) {
                continue;
            }
            match self.store.call_by_sid(found.sid).await {
                Err(error) if error.is_gone() => unknown.push(found),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let others = self.store.calls_being_dialled(&call.from, &call.to).await?;
        let at_that_time = |other: &CallRecord| {
            let at = other.marks.dialing_at.unwrap_or(other.created_at);
            at.since(since).max(since.since(at)) <= ASKED_WITHIN + CLOCKS_DIFFER
        };
        let is_alone = !others.iter().any(|other| other.id != call.id && at_that_time(other));
        if let ([found], true) = (unknown.as_slice(), is_alone)
            && let Adopted::Yes(adopted) = self.store.adopt_sid(call.id, found.sid).await?
        {
            tracing::warn!(call.id = %call.id, call.sid = %found.sid, "a call that was lost in dialling is found at Twilio");
            self.take_status(&adopted, found).await?;
            return Ok(Step::Done);
        }
        let age = self.store.now().since(since);
        let may_still_speak = unknown.iter().any(|found| !found.status.is_final());
        let waits = if unknown.is_empty() { !is_covered } else { may_still_speak || age < TOLD_APART_MAX };
        if waits && age < SEARCHED_MAX {
            let (count, covered) = (unknown.len(), is_covered);
            tracing::warn!(call.id = %call.id, count, covered, "which call at Twilio is ours cannot be told yet");
            return Ok(Step::Postponed(ASK_AGAIN));
        }
        let why = if unknown.is_empty() {
            "Twilio does not know the call: it was lost on its way there"
        } else {
            "Twilio has calls between these numbers, and which of them this one is cannot be told"
        };
        tracing::warn!(call.id = %call.id, why, "a call that was lost in dialling is given up");
        self.store.mark_failed(call.id, why).await?;
        Ok(Step::Done)
    }

    /// A call whose stream has ended, and no other has begun: perhaps it is over, and nobody says so.
    async fn doubted(&self, call: &CallRecord, left: Duration) -> Result<Step, WorkError> {
        let Some(sid) = call.twilio_sid else { return Ok(Step::Done) };
        let found = match self.twilio.fetch_call(sid).await {
            Ok(found) => found,
            Err(ClientError::Refused(error)) if error.status == 404 => return self.overdue(call).await,
            Err(error) => return Err(error.into()),
        };
        if !found.status.is_final() {
            // Somebody else may have taken over.
            return Ok(Step::Postponed(ASK_AGAIN.min(left)));
        }
        tracing::info!(call.id = %call.id, call.sid = %sid, "a call is over, and Twilio said so only when asked");
        self.take_status(call, &found).await?;
        Ok(Step::Done)
    }

    /// A call that should be over by now.
    async fn overdue(&self, call: &CallRecord) -> Result<Step, WorkError> {
        let Some(sid) = call.twilio_sid else { return Ok(Step::Done) };
        let found = match self.twilio.fetch_call(sid).await {
            Ok(found) => found,
            Err(ClientError::Refused(error)) if error.status == 404 => {
                let status = if call.answered_at.is_some() { Status::Completed } else { Status::Failed };
                let at = self.store.now();
                let fact = StatusFact { status, at, source: Source::Ourselves, duration_s: None, sip_code: None };
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
        self.store.intend_ending(call.id, EndedBy::System, EndReason::Limit).await?;
        match self.twilio.update_call(sid, &UpdateCall { change: CallChange::Complete }).await {
            Ok(_) => {
                self.store.record_ending(call.id, EndedBy::System, EndReason::Limit).await?;
            }
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
            source: if at.is_some() { Source::List } else { Source::Passing },
            duration_s: found.length().and_then(|length| u32::try_from(length.as_secs()).ok()),
            sip_code: None,
        };
        self.store.record_status(call.id, fact).await.map(drop)
    }
}
