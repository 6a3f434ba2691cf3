//! Media streams within a call: who owns one, what comes after it.

use call::CallId;
use call::journal::NextStep;
use wire::twilio::StreamSid;

use crate::error::StoreError;
use crate::record::{CallRecord, Recorded};
use crate::store::Store;

/// What became of the request to go on with a call in a new epoch.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// The call goes on in a new epoch, on the node asked for. The record is the call afterwards.
    Moved(CallRecord),
    /// Somebody else asked before: the call went on in this epoch, on this node.
    Repeat {
        /// The epoch that followed.
        epoch: u32,
        /// Its node.
        node: String,
        /// The call now; its epoch may be later still.
        call: CallRecord,
    },
    /// The node had written what to do instead.
    Decided(NextStep),
    /// There were too many epochs; a repeat hears the same.
    TooMany,
    /// The call is over.
    Over,
}

/// Which stream has an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This one, now or before.
    Won,
    /// Another one, or the epoch is not the current one, or the call is over: close it.
    Lost,
}

impl Store {
    /// Goes on with a call in epoch `from + 1` on `node`, once, at most 3 epochs a minute and 10 a call.
    pub async fn next_epoch(&self, id: CallId, from: u32, node: &str) -> Result<Move, StoreError> {
        todo!()
    }

    /// Claims an epoch for a stream. The winner also puts the call in progress and owns it from here on.
    pub async fn claim_stream(
        &self,
        id: CallId,
        epoch: u32,
        node: &str,
        stream: StreamSid,
    ) -> Result<Claim, StoreError> {
        todo!()
    }

    /// Writes what Twilio shall be told when the stream of `epoch` has ended. The first step written stays; a step for
    /// an epoch that is not the current one is stale.
    pub async fn put_next_step(&self, id: CallId, epoch: u32, step: &NextStep) -> Result<Recorded, StoreError> {
        todo!()
    }

    /// What Twilio shall be told when the stream of `epoch` has ended, if it is written.
    pub async fn next_step(&self, id: CallId, epoch: u32) -> Result<Option<NextStep>, StoreError> {
        todo!()
    }
}
