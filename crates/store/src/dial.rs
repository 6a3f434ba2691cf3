//! The three marks of an outbound call (opened, dialing, dialed), which keep it from being dialled twice.

use call::CallId;
use wire::twilio::CallSid;

use crate::error::StoreError;
use crate::record::{CallRecord, Recorded};
use crate::store::Store;

/// Whether this caller of `mark_dialing` is the one that may ask Twilio.
#[derive(Clone, Debug, PartialEq)]
pub enum MayDial {
    /// It is, and nobody else ever will be.
    Yes(CallRecord),
    /// Somebody else is, was, or the call is over.
    No(CallRecord),
}

/// What became of a Twilio id that was reported for a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Adopted {
    /// The call has it now, or had it before.
    Yes(CallRecord),
    /// The call has another one; nothing was changed.
    Other(CallRecord),
}

impl Store {
    /// Marks an opened call as being dialled, before Twilio is asked.
    pub async fn mark_dialing(&self, id: CallId) -> Result<MayDial, StoreError> {
        todo!()
    }

    /// Gives the call its Twilio id: after Twilio's answer, or by any signed callback that names both.
    pub async fn adopt_sid(&self, id: CallId, sid: CallSid) -> Result<Adopted, StoreError> {
        todo!()
    }

    /// The call could not be placed: Twilio refused, or does not know it a minute after it was dialled. Changes nothing
    /// when Twilio has given it an id meanwhile, or it is over.
    pub async fn mark_failed(&self, id: CallId, why: &str) -> Result<Recorded, StoreError> {
        todo!()
    }
}
