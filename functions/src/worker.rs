//! The worker: what is to be done after a call was changed.
//!
//! It claims work that is due, by a lease that no other worker can have at the same time, does one step of each, and
//! deletes the work or puts it off. Every step may be repeated: a worker can die after any of them. What fails comes back
//! later and later, and is dead after ten tries: listed, until a person lets it be tried again. A few items are done at a
//! time, so that a long recording holds up nobody's webhook.

mod analyse;
mod history;
mod index;
mod join;
mod reconcile;

use std::time::{Duration, Instant};

use call::CallId;
use clients::{ClientError, Hume, HumeAccess, Twilio};
use futures_util::{StreamExt as _, stream};
use store::{Healed, Leased, Occasion, Store, StoreError, WorkItem, WorkKind};

pub(crate) use analyse::question_of;

use crate::judge::{Judge, JudgeError};
use crate::state::Bell;
use crate::webhook::{Event, TellError, Webhook};

/// How long an item is ours: the longest step reads and writes a recording of some hours.
const LEASE: Duration = Duration::from_secs(300);

/// Items claimed at once: all of them are begun well within the lease.
const CLAIMED_MAX: usize = 16;

/// Items done at the same time. Most wait for others (S3, Twilio, a webhook's receiver), and a recording being joined
/// takes some ten megabytes.
const AT_ONCE: usize = 4;

/// The loop looks so often, when nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The loop counts the placed calls anew so often.
const HEAL_EVERY: Duration = Duration::from_secs(60);

/// So many calls that are too old are removed between other work.
const REMOVED_AT_ONCE: usize = 25;

/// An order to erase a number is looked at again so soon, while it has calls left or a call is under way.
const ERASE_ON: Duration = Duration::from_secs(30);

/// What works.
#[derive(Clone, Debug)]
pub struct Worker {
    pub(crate) store: Store,
    pub(crate) twilio: Twilio,
    pub(crate) judge: Judge,
    pub(crate) hume: Option<Hume>,
    webhook: Option<Webhook>,
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
    /// Items that were passed over, because they cannot be read.
    pub unreadable: u64,
}

impl Round {
    /// Whether there was nothing to do.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.done + self.postponed + self.failed == 0
    }

    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.postponed += other.postponed;
        self.failed += other.failed;
        self.unreadable += other.unreadable;
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
    #[error(transparent)]
    Tell(#[from] TellError),
}

impl WorkError {
    /// How long it makes no sense to try again, by what a service said.
    fn not_before(&self) -> Duration {
        match self {
            Self::Judge(error) => error.not_before(),
            Self::Store(_) | Self::Twilio(_) | Self::History(_) | Self::Tell(_) => Duration::ZERO,
        }
    }
}

impl Worker {
    /// A worker on this store, which may ask this Twilio account.
    #[must_use]
    pub const fn new(store: Store, twilio: Twilio) -> Self {
        Self { store, twilio, judge: Judge::LocalRule, hume: None, webhook: None }
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

    /// With a receiver that is told what becomes of calls; otherwise nobody is.
    #[must_use]
    pub fn telling(self, webhook: Option<Webhook>) -> Self {
        Self { webhook, ..self }
    }

    /// One round: claims what is due, and does it.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub async fn round(&self) -> Result<Round, StoreError> {
        let unreadable = self.store.unreadable();
        let claimed = self.store.claim_work(CLAIMED_MAX, LEASE).await?;
        let mut round = Round { unreadable: self.store.unreadable() - unreadable, ..Round::default() };
        let worker = self.clone();
        let mut steps = stream::iter(claimed).map(move |leased| worker.clone().take(leased)).buffer_unordered(AT_ONCE);
        let mut result = Ok(());
        // What was begun is brought to its end, whatever becomes of the others.
        while let Some(taken) = steps.next().await {
            match taken {
                Ok(taken) => round.add(taken),
                Err(error) => result = Err(error),
            }
        }
        result.map(|()| round)
    }

    /// Does one item, and says so to the store.
    async fn take(self, leased: Leased) -> Result<Round, StoreError> {
        let (kind, call) = (leased.item.kind.as_str(), leased.item.call);
        match self.step(&leased).await {
            Ok(Step::Done) => {
                tracing::debug!(kind, call.id = %call, "work is done");
                self.store.complete_work(&leased).await?;
                Ok(Round { done: 1, ..Round::default() })
            }
            Ok(Step::Postponed(delay)) => {
                self.store.postpone_work(&leased, delay).await?;
                Ok(Round { postponed: 1, ..Round::default() })
            }
            Err(error) => {
                self.failed(&leased, &error).await?;
                Ok(Round { failed: 1, ..Round::default() })
            }
        }
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
            total.add(round);
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
        match self.store.remove_older(REMOVED_AT_ONCE).await {
            Ok(0) => {}
            Ok(calls) => tracing::info!(calls, "calls that a shortened retention has made too old are removed"),
            Err(error) => tracing::warn!(%error, "calls that are too old could not be removed"),
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
            WorkKind::Erase => {
                self.store.remove_parts(call).await?;
                Ok(Step::Done)
            }
            WorkKind::Expire => {
                self.store.expire_call(call).await?;
                Ok(Step::Done)
            }
            WorkKind::EraseNumber => Ok(match self.store.go_on_erasing(call).await? {
                None => Step::Done,
                Some(step) if step.more => Step::Postponed(Duration::from_millis(1)),
                Some(_) => Step::Postponed(ERASE_ON),
            }),
            WorkKind::Index => self.index(call).await,
            WorkKind::JoinRecording => self.join(call).await,
            WorkKind::Reconcile => self.reconcile(call).await,
            WorkKind::Analyse => self.analyse(leased).await,
            WorkKind::FillTranscript => self.fill_transcript(call).await,
            WorkKind::TellStarted => self.tell(Event::Started, call).await,
            WorkKind::TellEnded => self.tell(Event::Ended, call).await,
            WorkKind::TellAnalyzed => self.tell_analyzed(leased).await,
        }
    }

    /// Tells the receiver, if there is one still, of a call that still is.
    async fn tell(&self, event: Event, id: CallId) -> Result<Step, WorkError> {
        let Some(webhook) = &self.webhook else { return Ok(Step::Done) };
        match self.store.call(id).await {
            Ok(call) => webhook.tell(event, &call, None, self.store.now()).await?,
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Step::Done)
    }

    /// Tells the receiver of one judgement or correction.
    async fn tell_analyzed(&self, leased: &Leased) -> Result<Step, WorkError> {
        let (Some(webhook), id) = (&self.webhook, leased.item.call) else { return Ok(Step::Done) };
        let call = match self.store.call(id).await {
            Ok(call) => call,
            Err(error) if error.is_gone() => return Ok(Step::Done),
            Err(error) => return Err(error.into()),
        };
        let analysis = self.store.analysis(id).await?.unwrap_or_default();
        let latest = Occasion { number: analysis.revision, at: leased.item.due };
        let event = Event::Analyzed(leased.item.occasion.unwrap_or(latest));
        webhook.tell(event, &call, Some(&analysis), self.store.now()).await?;
        Ok(Step::Done)
    }
}
