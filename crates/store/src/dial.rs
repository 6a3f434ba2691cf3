//! The three marks of an outbound call (opened, dialing, dialed), which keep it from being dialled twice.

use std::time::Duration;

use call::CallId;
use call::journal::{EndReason, EndedBy};
use wire::twilio::CallSid;

use crate::allowance::{Allowance, Held};
use crate::error::{Refusal, StoreError};
use crate::item::Item;
use crate::keys;
use crate::record::{CallRecord, Dial, Figures, Recorded, Source, Status};
use crate::store::{Condition, Store, Write, nonce, pause};
use crate::update::{CHANGE_ATTEMPTS_MAX, Change, DIALING_MAX};
use crate::work::{WorkItem, WorkKind};

/// The longest reason that is kept: Twilio's messages are a sentence.
const FAILURE_CHARS_MAX: usize = 500;

/// Whether this caller of `mark_dialing` is the one that may ask Twilio.
#[derive(Clone, Debug, PartialEq)]
pub enum MayDial {
    /// It is, and nobody else ever will be.
    Yes(CallRecord),
    /// Somebody else is, was, or the call is over.
    No(CallRecord),
    /// As many placed calls as are allowed are under way.
    Full,
    /// Calls follow one another too fast: so long to wait.
    TooFast(Duration),
    /// This number was called too often: so long to wait.
    TooOften(Duration),
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
    /// Marks an opened call as being dialled, before Twilio is asked, and takes its place among those under way.
    ///
    /// Only `Yes` allows to dial. After `Held` the call is as it was, and counts for nothing. After an error nobody may
    /// dial: the mark may be written, and the call is then reconciled with Twilio's call list a minute later.
    pub async fn mark_dialing(&self, id: CallId, allowed: &Allowance) -> Result<MayDial, StoreError> {
        let me = nonce();
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let mut stored = self.stored_call(id).await?;
            let call = &mut stored.call;
            if call.marks.dialing_by.as_deref() == Some(&*me) {
                return Ok(MayDial::Yes(stored.call));
            }
            if call.marks.dial != Some(Dial::Opened) || call.twilio_sid.is_some() || call.status.is_final() {
                return Ok(MayDial::No(stored.call));
            }
            let entering = match self.entering((id, &call.to, call.marks.ends_by), allowed).await? {
                Ok(entering) => entering,
                Err(Held::Full) => return Ok(MayDial::Full),
                Err(Held::Pace(wait)) => return Ok(MayDial::TooFast(wait)),
                Err(Held::Number(wait)) => return Ok(MayDial::TooOften(wait)),
            };
            let now = self.now();
            call.marks.dial = Some(Dial::Dialing);
            call.marks.dialing_at = Some(now);
            call.marks.dialing_by = Some(me.clone());
            call.marks.holds_place = true;
            let marked = call.clone();
            let reconcile = WorkItem::new(id, WorkKind::Reconcile, now.after(DIALING_MAX));
            let mut changes =
                vec![self.writing(self.rewriting(stored)?), self.writing(Write::always(reconcile.encode()?))];
            changes.extend(entering);
            match self.transact(changes).await {
                Ok(()) => return Ok(MayDial::Yes(marked)),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// The calls from and to these numbers of which nobody knows yet whether Twilio took them. Comes from an index: a
    /// call that was marked within the last second may be missing.
    pub async fn calls_being_dialled(&self, from: &str, to: &str) -> Result<Vec<CallRecord>, StoreError> {
        let mut calls = self.live(None, None).await?;
        calls.retain(|call| {
            let lost = call.marks.dial == Some(Dial::Dialing) && call.twilio_sid.is_none();
            lost && call.from == from && call.to == to
        });
        Ok(calls)
    }

    /// Gives the call its Twilio id: after Twilio's answer, or by any signed callback that names both.
    pub async fn adopt_sid(&self, id: CallId, sid: CallSid) -> Result<Adopted, StoreError> {
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let mut stored = self.stored_call(id).await?;
            match stored.call.twilio_sid {
                Some(known) if known == sid => return Ok(Adopted::Yes(stored.call)),
                Some(_) => return Ok(Adopted::Other(stored.call)),
                None => {}
            }
            stored.call.twilio_sid = Some(sid);
            if let Some(Dial::Opened | Dial::Dialing) = stored.call.marks.dial {
                stored.call.marks.dial = Some(Dial::Dialed);
            }
            let call = stored.call.clone();
            let reconcile = WorkItem::new(id, WorkKind::Reconcile, call.marks.ends_by);
            let way = Item::new(&keys::sid(sid)).text("call", id.to_string()).expiring(self.expiry_of(id));
            let only_ours = Condition::new("attribute_not_exists(pk) OR #call = :call")
                .naming("#call", "call")
                .text(":call", id.to_string());
            let changes = vec![
                self.writing(self.rewriting(stored)?),
                self.writing(Write { item: way, condition: only_ours }),
                self.writing(Write::always(reconcile.encode()?)),
            ];
            match self.transact(changes).await {
                Ok(()) => return Ok(Adopted::Yes(call)),
                // The second item is the way from Twilio's id, and it leads to another call.
                Err(Refusal::Condition(failed)) if failed == [1] => return Ok(Adopted::Other(self.call(id).await?)),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Calls off a call that nobody dials yet. `Stale` if somebody does, or it is over.
    pub async fn call_off(&self, id: CallId, by: EndedBy, why: &str) -> Result<Recorded, StoreError> {
        let now = self.now();
        self.change_call(id, |call| {
            if call.status.is_final() || call.marks.dial != Some(Dial::Opened) || call.twilio_sid.is_some() {
                return Change::Keep(Recorded::Stale);
            }
            call.status = Status::Failed;
            call.note(Source::Ourselves, Figures { ended_at: Some(now), ..Figures::default() });
            call.marks.dial = Some(Dial::Failed);
            call.marks.failure = Some(why.to_owned());
            let reason = if by == EndedBy::System { EndReason::Error } else { EndReason::Canceled };
            call.marks.ending = call.marks.ending.or(Some((by, reason)));
            Change::Write(Recorded::Applied, self.work_at_end(call))
        })
        .await
    }

    /// The call could not be placed: Twilio refused, or does not know it a minute after it was dialled. Changes nothing
    /// when Twilio has given it an id meanwhile, or it is over.
    pub async fn mark_failed(&self, id: CallId, why: &str) -> Result<Recorded, StoreError> {
        let (now, why) = (self.now(), why.chars().take(FAILURE_CHARS_MAX).collect::<String>());
        self.change_call(id, |call| {
            if call.status.is_final() || call.twilio_sid.is_some() {
                return Change::Keep(Recorded::Stale);
            }
            call.status = Status::Failed;
            call.note(Source::Ourselves, Figures { ended_at: Some(now), ..Figures::default() });
            call.marks.dial = Some(Dial::Failed);
            call.marks.failure = Some(why.clone());
            Change::Write(Recorded::Applied, self.work_at_end(call))
        })
        .await
    }
}
