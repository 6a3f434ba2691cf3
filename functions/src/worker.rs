//! The worker: what is to be done after a call was changed.
//!
//! It claims work that is due, by a lease that no other worker can have at the same time, does one step of each, and
//! deletes the work or puts it off. Every step may be repeated: a worker can die after any of them. What fails comes back
//! later and later, and is dead after ten tries: listed, until a person lets it be tried again.

mod analyse;
mod history;
mod join;
mod reconcile;

use std::time::{Duration, Instant};

use clients::{ClientError, Hume, HumeAccess, Twilio};
use store::{Healed, Leased, Store, StoreError, WorkItem, WorkKind};

pub(crate) use analyse::question_of;

use crate::judge::{Judge, JudgeError};
use crate::state::Bell;

/// How long an item is ours: the longest step reads and writes a recording of some hours.
const LEASE: Duration = Duration::from_secs(300);

/// Items claimed at once. They are done one after the other, within the lease.
const CLAIMED_MAX: usize = 10;

/// The loop looks so often, when nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The loop counts the placed calls anew so often.
const HEAL_EVERY: Duration = Duration::from_secs(60);

/// What this version does not do yet is looked at again so often.
const LATER: Duration = Duration::from_secs(24 * 3_600);

/// What works.
#[derive(Clone, Debug)]
pub struct Worker {
    pub(crate) store: Store,
    pub(crate) twilio: Twilio,
    pub(crate) judge: Judge,
    pub(crate) hume: Option<Hume>,
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Items that are done with.
    pub done: usize,
    /// Items that were put off because their time has not come.
    pub postponed: usize,
    /// Items that failed and come back, or are dead.
    pub failed: usize,
}

impl Round {
    /// Whether there was nothing to do.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.done + self.postponed + self.failed == 0
    }
}

/// What became of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    Postponed(Duration),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Twilio(#[from] ClientError),
    #[error(transparent)]
    Judge(#[from] JudgeError),
    #[error("Hume's history: {0}")]
    History(HumeAccess),
}

impl WorkError {
    /// How long it makes no sense to try again, by what a service said.
    fn not_before(&self) -> Duration {
        match self {
            Self::Judge(error) => error.not_before(),
            Self::Store(_) | Self::Twilio(_) | Self::History(_) => Duration::ZERO,
        }
    }
}

impl Worker {
    /// A worker on this store, which may ask this Twilio account.
    #[must_use]
    pub const fn new(store: Store, twilio: Twilio) -> Self {
        Self { store, twilio, judge: Judge::LocalRule, hume: None }
    }

    /// With somebody who judges calls; otherwise the local rule does.
    #[must_use]
    pub fn judged_by(self, judge: Judge) -> Self {
        Self { judge, ..self }
    }

    /// With a Hume account whose history fills what a transcript lacks; otherwise nothing does.
    #[must_use]
    pub fn remembering(self, hume: Option<Hume>) -> Self {
        Self { hume, ..self }
    }

    /// One round: claims what is due, and does it.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub async fn round(&self) -> Result<Round, StoreError> {
        let mut round = Round::default();
        for leased in self.store.claim_work(CLAIMED_MAX, LEASE).await? {
            let (kind, call) = (leased.item.kind.as_str(), leased.item.call);
            match self.step(&leased).await {
                Ok(Step::Done) => {
                    tracing::debug!(kind, call.id = %call, "work is done");
                    self.store.complete_work(&leased).await?;
                    round.done += 1;
                }
                Ok(Step::Postponed(delay)) => {
                    self.store.postpone_work(&leased, delay).await?;
                    round.postponed += 1;
                }
                Err(error) => {
                    self.failed(&leased, &error).await?;
                    round.failed += 1;
                }
            }
        }
        Ok(round)
    }

    /// Works until nothing is due, at most so many rounds. For a worker that comes by the clock.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub async fn catch_up(&self, rounds_max: usize) -> Result<Round, StoreError> {
        let mut total = Round::default();
        self.heal().await;
        for _ in 0..rounds_max {
            let round = self.round().await?;
            if round.is_empty() {
                break;
            }
            total.done += round.done;
            total.postponed += round.postponed;
            total.failed += round.failed;
        }
        Ok(total)
    }

    /// Works for ever: when the bell rings, and every few seconds. For one machine.
    pub async fn run(self, bell: Bell) {
        let mut healed = None;
        loop {
            if healed.is_none_or(|at: Instant| at.elapsed() >= HEAL_EVERY) {
                self.heal().await;
                healed = Some(Instant::now());
            }
            match self.round().await {
                Ok(round) if round.is_empty() => {}
                // More may be due.
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "the worker cannot reach the store"),
            }
            tokio::select! {
                () = bell.heard() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// What the count of placed calls has lost is found again. It is no work item: it belongs to no call.
    async fn heal(&self) {
        match self.store.heal_allowance().await {
            Ok(healed) if healed == Healed::default() => {}
            Ok(healed) => {
                tracing::warn!(
                    swept = healed.swept,
                    recounted = healed.recounted,
                    "the count of placed calls was wrong"
                );
            }
            Err(error) => tracing::warn!(%error, "the placed calls could not be counted"),
        }
    }

    async fn failed(&self, leased: &Leased, error: &WorkError) -> Result<(), StoreError> {
        let (kind, call) = (leased.item.kind.as_str(), leased.item.call);
        let item = self.store.fail_work_until(leased, &error.to_string(), error.not_before()).await?;
        if item.is_some_and(|item| item.attempts >= WorkItem::ATTEMPTS_MAX) {
            tracing::error!(kind, call.id = %call, %error, "work is dead: a person must look at it");
        } else {
            tracing::warn!(kind, call.id = %call, %error, "work failed and will be tried again");
        }
        Ok(())
    }

    async fn step(&self, leased: &Leased) -> Result<Step, WorkError> {
        let call = leased.item.call;
        match leased.item.kind {
            WorkKind::Erase | WorkKind::Expire => {
                self.store.erase_call(call).await?;
                Ok(Step::Done)
            }
            WorkKind::JoinRecording => self.join(call).await,
            WorkKind::Reconcile => self.reconcile(call).await,
            WorkKind::Analyse => self.analyse(leased).await,
            WorkKind::FillTranscript => self.fill_transcript(call).await,
            // Not done by this version. The work is kept for one that does it, as long as its call is.
            WorkKind::SendWebhook => match self.store.call(call).await {
                Ok(_) => Ok(Step::Postponed(LATER)),
                Err(StoreError::NotFound(_)) => Ok(Step::Done),
                Err(error) => Err(error.into()),
            },
        }
    }
}
