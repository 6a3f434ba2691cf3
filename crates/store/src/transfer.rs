//! Callers who are connected with somebody else: how long that may last, and that it happens once.

use call::CallId;

use crate::clock::Moment;
use crate::error::StoreError;
use crate::record::{Recorded, Transfer};
use crate::store::Store;
use crate::update::Change;

impl Store {
    /// The transfer of an epoch begins: the call may last until `ends_by` before it counts as overdue.
    pub async fn begin_transfer(&self, id: CallId, ends_by: Moment) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            if call.status.is_final() || call.marks.ends_by >= ends_by {
                return Change::Keep(Recorded::Stale);
            }
            call.marks.ends_by = ends_by;
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// The transfer of an epoch has ended, however it ended: it is never begun again. The first report of it is believed.
    pub async fn end_transfer(&self, id: CallId, transfer: &Transfer) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            if !call.marks.transfers_ended.insert(transfer.epoch) {
                return Change::Keep(Recorded::Stale);
            }
            if call.transfer.as_ref().is_none_or(|known| known.epoch < transfer.epoch) {
                call.transfer = Some(transfer.clone());
            }
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }
}
