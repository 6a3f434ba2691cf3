//! What Twilio says about a call, in whatever order it arrives.

use call::CallId;
use call::agent::EngineKind;
use call::journal::{EndReason, EndedBy};

use crate::clock::Moment;
use crate::error::StoreError;
use crate::record::{Recorded, RecordingState, Status};
use crate::store::Store;

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
        todo!()
    }

    /// Says who is ending the call and why, before the status tells that it ended. The first to say so is believed; a
    /// node's next step of the current epoch does the same.
    pub async fn record_ending(&self, id: CallId, by: EndedBy, why: EndReason) -> Result<Recorded, StoreError> {
        todo!()
    }

    /// Records which engine speaks now (none to leave it) and which have been tried.
    pub async fn record_engines(
        &self,
        id: CallId,
        speaking: Option<EngineKind>,
        tried: &[EngineKind],
    ) -> Result<Recorded, StoreError> {
        todo!()
    }

    /// Records how far the recording is.
    pub async fn record_recording(&self, id: CallId, state: RecordingState) -> Result<Recorded, StoreError> {
        todo!()
    }
}
