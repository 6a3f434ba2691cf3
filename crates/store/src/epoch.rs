//! Media streams within a call: who owns one, what comes after it.

use std::time::Duration;

use call::CallId;
use call::journal::{EndReason, EndedBy, NextStep};
use wire::twilio::StreamSid;

use crate::clock::Moment;
use crate::error::StoreError;
use crate::record::{CallRecord, Figures, Recorded, Source, Status};
use crate::store::{Store, nonce};
use crate::update::Change;

/// So many epochs of a call may begin within [`FEW`]: a stream that dies at once would die again and again.
const EPOCHS_MAX_IN_A_FEW: usize = 3;

/// The time that [`EPOCHS_MAX_IN_A_FEW`] is about.
const FEW: Duration = Duration::from_secs(60);

/// So many epochs may a call have: each is a pause that the caller hears.
const EPOCHS_MAX: u32 = 10;

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
        let (me, now) = (nonce(), self.now());
        self.change_call(id, |call| {
            if call.epoch > from {
                let mine = call.epoch == from + 1 && call.marks.moved_by.as_deref() == Some(&*me);
                return Change::Keep(if mine { Move::Moved(call.clone()) } else { moved_before(call, from) });
            }
            if call.marks.gave_up_after == Some(from) {
                return Change::Keep(Move::TooMany);
            }
            if call.status.is_final() || call.epoch < from {
                return Change::Keep(Move::Over);
            }
            match call.marks.next_steps.get(&from) {
                None | Some(NextStep::Continue) => {}
                Some(step) => return Change::Keep(Move::Decided(step.clone())),
            }
            if has_too_many(call, now) {
                call.marks.gave_up_after = Some(from);
                call.marks.ending = call.marks.ending.or(Some((EndedBy::System, EndReason::Limit)));
                return Change::Write(Move::TooMany, Vec::new());
            }
            call.epoch = from + 1;
            call.marks.nodes.insert(call.epoch, node.to_owned());
            call.marks.epoch_starts.push(now);
            call.marks.moved_by = Some(me.clone());
            Change::Write(Move::Moved(call.clone()), Vec::new())
        })
        .await
    }

    /// A node was prepared for an epoch whose stream has not come yet: it is the one to be told when the stream is not
    /// needed, and the one to be asked first when Twilio asks again. `Stale` if the stream came meanwhile, or the epoch
    /// is not the current one.
    pub async fn record_prepared(&self, id: CallId, epoch: u32, node: &str) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            let is_over = call.epoch != epoch || call.marks.streams.contains_key(&epoch) || call.status.is_final();
            if is_over || call.marks.nodes.get(&epoch).is_some_and(|known| known == node) {
                return Change::Keep(Recorded::Stale);
            }
            call.marks.nodes.insert(epoch, node.to_owned());
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// Claims an epoch for a stream. The winner also puts the call in progress and owns it from here on.
    pub async fn claim_stream(
        &self,
        id: CallId,
        epoch: u32,
        node: &str,
        stream: StreamSid,
    ) -> Result<Claim, StoreError> {
        let (mine, now) = ((node.to_owned(), stream.to_string()), self.now());
        self.change_call(id, |call| {
            match call.marks.streams.get(&epoch) {
                Some(winner) if *winner == mine => return Change::Keep(Claim::Won),
                Some(_) => return Change::Keep(Claim::Lost),
                None if epoch != call.epoch || call.status.is_final() => return Change::Keep(Claim::Lost),
                None => {}
            }
            call.marks.streams.insert(epoch, mine.clone());
            call.marks.nodes.insert(epoch, mine.0.clone());
            if call.status.may_become(Status::InProgress) {
                call.status = Status::InProgress;
            }
            call.note(Source::Ourselves, Figures { answered_at: Some(now), ..Figures::default() });
            // Whoever wanted to end the call, or thought that it was over, was mistaken.
            (call.marks.intent, call.marks.doubted_at) = (None, None);
            Change::Write(Claim::Won, Vec::new())
        })
        .await
    }

    /// Writes what Twilio shall be told when the stream of `epoch` has ended. The first step written stays; a step for
    /// an epoch that is not the current one is stale.
    pub async fn put_next_step(&self, id: CallId, epoch: u32, step: &NextStep) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            if epoch != call.epoch || call.marks.next_steps.contains_key(&epoch) {
                return Change::Keep(Recorded::Stale);
            }
            call.marks.next_steps.insert(epoch, step.clone());
            call.marks.ending = call.marks.ending.or(ending_of(step));
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// What Twilio shall be told when the stream of `epoch` has ended, if it is written.
    pub async fn next_step(&self, id: CallId, epoch: u32) -> Result<Option<NextStep>, StoreError> {
        Ok(self.call(id).await?.marks.next_steps.remove(&epoch))
    }
}

fn moved_before(call: &CallRecord, from: u32) -> Move {
    let epoch = from + 1;
    let node = call.marks.nodes.get(&epoch).cloned().unwrap_or_default();
    Move::Repeat { epoch, node, call: call.clone() }
}

fn has_too_many(call: &CallRecord, now: Moment) -> bool {
    let lately = call.marks.epoch_starts.iter().filter(|start| now.since(**start) < FEW).count();
    lately >= EPOCHS_MAX_IN_A_FEW || call.epoch >= EPOCHS_MAX
}

fn ending_of(step: &NextStep) -> Option<(EndedBy, EndReason)> {
    match step {
        NextStep::HangUp { ended_by, reason } => Some((*ended_by, *reason)),
        NextStep::Transfer { .. } => Some((EndedBy::Agent, EndReason::Transferred)),
        NextStep::Apologise { reason, .. } => Some((EndedBy::System, *reason)),
        NextStep::Continue => None,
    }
}
