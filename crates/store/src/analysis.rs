//! What was found out about a call after it: a judge's verdict, and a person's correction beside it.
//!
//! Both stay. The call shows one outcome: the person's, if there is one, else the judge's. Judging again replaces the
//! judge's verdict and nothing else. The analysis and the call's outcome are written in one transaction, which is the one
//! place where an outcome changes: what must follow a changed outcome belongs into it. Each change has a number, by which
//! it is told to others once.

use call::CallId;
use call::outcome::{Outcome, Verdict};
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::error::{Refusal, StoreError};
use crate::item::Item;
use crate::keys;
use crate::record::CallRecord;
use crate::store::{Store, Write, pause};
use crate::update::CHANGE_ATTEMPTS_MAX;
use crate::work::{Occasion, WorkKind};

/// What was found out about a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// What a judge said; none before.
    pub judgement: Option<Judgement>,
    /// What a person said instead; none if nobody did.
    pub correction: Option<Correction>,
    /// How often it was changed: by each judgement, and by each correction.
    #[serde(default)]
    pub revision: u32,
}

/// A judge's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Who judged: a model's name, or that of the local rule.
    pub model: String,
    /// When.
    pub judged_at: Moment,
}

/// A person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// What it was.
    pub outcome: Outcome,
    /// Why, in the person's words.
    pub note: Option<String>,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Moment,
}

impl Analysis {
    /// What the call shows: a person's word counts before a judge's.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let judged = self.judgement.as_ref().map(|judgement| judgement.verdict.outcome);
        self.correction.as_ref().map(|correction| correction.outcome).or(judged)
    }
}

impl Store {
    /// What was found out about a call; none if nobody has looked yet.
    pub async fn analysis(&self, id: CallId) -> Result<Option<Analysis>, StoreError> {
        self.read_item(&keys::analysis(id)).await?.map(|item| item.read()).transpose()
    }

    /// Keeps a judge's verdict, in place of the one before. A person's correction stays, and stays in force.
    pub async fn record_judgement(&self, id: CallId, judgement: Judgement) -> Result<CallRecord, StoreError> {
        let change = |analysis: &mut Analysis| analysis.judgement = Some(judgement.clone());
        self.change_analysis(id, change).await.map(|(call, _)| call)
    }

    /// Keeps a person's correction, in place of the one before.
    pub async fn correct_outcome(
        &self,
        id: CallId,
        correction: Correction,
    ) -> Result<(CallRecord, Analysis), StoreError> {
        self.change_analysis(id, |analysis| analysis.correction = Some(correction.clone())).await
    }

    /// The one place where a call's outcome changes. Two that change it at the same time take turns: both write the call,
    /// on the condition that it is as they read it.
    async fn change_analysis(
        &self,
        id: CallId,
        change: impl Fn(&mut Analysis),
    ) -> Result<(CallRecord, Analysis), StoreError> {
        for attempt in 0..CHANGE_ATTEMPTS_MAX {
            let mut stored = self.stored_call(id).await?;
            let before = self.read_item(&keys::analysis(id)).await?;
            let known: Analysis = before.as_ref().map(Item::read).transpose()?.unwrap_or_default();
            let mut analysis = known.clone();
            change(&mut analysis);
            if analysis == known {
                // It is written; only its answer was lost.
                return Ok((stored.call, known));
            }
            analysis.revision += 1;
            stored.call.outcome = analysis.outcome();
            let counting = self.counting(&mut stored.call);
            let call = stored.call.clone();
            let item = Item::new(&keys::analysis(id)).fields(&analysis)?.expiring(self.expiry_of(id));
            let mut changes = vec![self.writing(self.rewriting(stored)?), self.writing(Write::always(item))];
            if let Some(work) = self.telling(id, WorkKind::TellAnalyzed) {
                let work = work.on(Occasion { number: analysis.revision, at: self.now() });
                changes.push(self.writing(Write::always(work.encode()?)));
            }
            changes.extend(counting);
            match self.transact(changes).await {
                Ok(()) => return Ok((call, analysis)),
                Err(Refusal::Condition(_) | Refusal::Failed(StoreError::Conflict)) => pause(attempt).await,
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}
