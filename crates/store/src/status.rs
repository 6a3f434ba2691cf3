//! What Twilio says about a call, in whatever order it arrives.

use std::time::Duration;

use call::CallId;
use call::agent::EngineKind;
use call::journal::{EndReason, EndedBy};

use crate::clock::Moment;
use crate::error::StoreError;
use crate::record::{CallRecord, Recorded, RecordingState, Status, ending_by_status};
use crate::store::Store;
use crate::update::Change;
use crate::work::{WorkItem, WorkKind};

/// The node has written all of the journal by then: it batches for 250 ms.
const JOURNAL_SETTLES: Duration = Duration::from_secs(5);

/// The node has put the last segment by then: it puts one every 10 s.
const SEGMENTS_SETTLE: Duration = Duration::from_secs(15);

/// A fact about a call's status: from a callback, or from Twilio's call list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusFact {
    /// The status.
    pub status: Status,
    /// When it began, by Twilio's clock; the time of arrival where Twilio does not say.
    pub at: Moment,
    /// The answered time of a completed call, in seconds.
    pub duration_s: Option<u32>,
    /// The SIP answer code of the end.
    pub sip_code: Option<u16>,
}

impl Store {
    /// Records a status. The end of a call also writes what is to be done after it.
    pub async fn record_status(&self, id: CallId, fact: StatusFact) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| match fact.apply(call) {
            Recorded::Stale => Change::Keep(Recorded::Stale),
            Recorded::Applied if call.status.is_final() => Change::Write(Recorded::Applied, self.work_at_end(call)),
            Recorded::Applied => Change::Write(Recorded::Applied, Vec::new()),
        })
        .await
    }

    /// What is to be done when a call is over.
    pub(crate) fn work_at_end(&self, call: &CallRecord) -> Vec<WorkItem> {
        let now = self.now();
        let mut work = vec![
            WorkItem::new(call.id, WorkKind::SendWebhook, now),
            WorkItem::new(call.id, WorkKind::Expire, self.expiry_of(call.id)),
        ];
        if call.status == Status::Completed {
            work.push(WorkItem::new(call.id, WorkKind::Analyse, now.after(JOURNAL_SETTLES)));
        }
        if call.recording == Some(RecordingState::Pending) {
            work.push(WorkItem::new(call.id, WorkKind::JoinRecording, now.after(SEGMENTS_SETTLE)));
        }
        work
    }

    /// Says who is ending the call and why, before the status tells that it ended. The first to say so is believed; a
    /// node's next step of the current epoch does the same.
    pub async fn record_ending(&self, id: CallId, by: EndedBy, why: EndReason) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            if call.marks.ending.is_some() {
                return Change::Keep(Recorded::Stale);
            }
            call.marks.ending = Some((by, why));
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// Records which engine speaks now (none to leave it) and which have been tried.
    pub async fn record_engines(
        &self,
        id: CallId,
        speaking: Option<EngineKind>,
        tried: &[EngineKind],
    ) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            let before = (call.engine, call.engines_tried.len());
            call.engine = speaking.or(call.engine);
            for engine in tried.iter().chain(&speaking) {
                if !call.engines_tried.contains(engine) {
                    call.engines_tried.push(*engine);
                }
            }
            if before == (call.engine, call.engines_tried.len()) {
                return Change::Keep(Recorded::Stale);
            }
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// Records how far the recording is.
    pub async fn record_recording(&self, id: CallId, state: RecordingState) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            if call.recording == Some(state) {
                return Change::Keep(Recorded::Stale);
            }
            call.recording = Some(state);
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }
}

impl StatusFact {
    /// Applies the fact. What comes out depends on the facts, not on their order: the last one decides on all times, so
    /// that it does not matter which of the earlier ones came, or came too late.
    fn apply(self, call: &mut CallRecord) -> Recorded {
        if !call.status.may_become(self.status) {
            return Recorded::Stale;
        }
        call.status = self.status;
        // Twilio's times are whole seconds: none may lie before the call itself.
        let at = self.at.max(call.created_at);
        match self.status {
            Status::Queued | Status::Ringing => {}
            Status::InProgress => call.answered_at = call.answered_at.or(Some(at)),
            Status::Completed => {
                call.ended_at = Some(at);
                call.marks.sip_code = self.sip_code;
                if let Some(seconds) = self.duration_s {
                    call.answered_at = Some(at.before(Duration::from_secs(u64::from(seconds))).max(call.created_at));
                }
                let answered = call.answered_at.map(|answered| at.since(answered).as_secs());
                call.duration_s = self.duration_s.or(answered.and_then(|seconds| u32::try_from(seconds).ok()));
            }
            Status::Busy | Status::NoAnswer | Status::Failed | Status::Canceled => {
                call.ended_at = Some(at);
                call.marks.sip_code = self.sip_code;
                // Nobody was ever on the line: a node that is told to let its engine go knows nothing better.
                if call.marks.ending.is_none() {
                    call.marks.ending = ending_by_status(self.status, call.direction);
                }
            }
        }
        Recorded::Applied
    }
}
