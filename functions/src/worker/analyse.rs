//! Judging a call when it is over: did it reach its goal?
//!
//! The whole transcript is put to the judge. One that has no verdict (overloaded, silent, cut off, blocked, nonsense) is
//! asked again by the worker's back-off, or when the service said; after [`TRIES_MAX`] the call is `unclear`, and the
//! reason stands beside it, unless it was judged before: then that verdict stays. A call without a word has nothing to judge, and no outcome.

use call::CallId;
use call::outcome::{Outcome, Question, Verdict};
use store::{Judgement, Leased, Store, StoreError};

use super::{Step, WorkError, Worker};
use crate::connect::conversation;

/// So often a judge is asked: about eight minutes, by the worker's back-off.
const TRIES_MAX: u32 = 6;

impl Worker {
    pub(super) async fn analyse(&self, leased: &Leased) -> Result<Step, WorkError> {
        // The claim counts as an attempt.
        let (id, tries_before) = (leased.item.call, leased.item.attempts.saturating_sub(1));
        let known = match self.store.call(id).await {
            Ok(_) => self.store.analysis(id).await?.and_then(|analysis| analysis.judgement),
            Err(error) if error.is_gone() => return Ok(Step::Done),
            Err(error) => return Err(error.into()),
        };
        // A worker that died after its verdict was stored leaves work that is done.
        if known.as_ref().is_some_and(|judgement| judgement.judged_at >= leased.item.due) {
            return Ok(Step::Done);
        }
        let Some(question) = question_of(&self.store, id).await? else { return Ok(Step::Done) };
        let verdict = match self.judge.judge(&question, tries_before).await {
            Ok(verdict) => verdict,
            Err(error) if tries_before + 1 < TRIES_MAX => return Err(error.into()),
            Err(error) if known.is_some() => {
                // What was found out before is worth more than that nothing was found out now.
                tracing::warn!(call.id = %id, %error, "a call could not be judged again; its verdict stays");
                return Ok(Step::Done);
            }
            Err(error) => {
                tracing::warn!(call.id = %id, %error, "a call could not be judged");
                Verdict::unclear(format!("no verdict after {TRIES_MAX} tries: {error}"))
            }
        };
        if verdict.outcome != Outcome::Unclear && !verdict.evidence_found {
            tracing::info!(call.id = %id, "a verdict rests on no sentence of the call, and is flagged");
        }
        let judgement = Judgement { verdict, model: self.judge.name().to_owned(), judged_at: self.store.now() };
        let outcome = judgement.verdict.outcome;
        match self.store.record_judgement(id, judgement).await {
            Ok(_) => {
                tracing::info!(call.id = %id, outcome = outcome.as_str(), model = self.judge.name(), "a call is judged")
            }
            // Erased meanwhile.
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Step::Done)
    }
}

/// What is asked about a call; none if not a word was heard in it.
pub(crate) async fn question_of(store: &Store, id: CallId) -> Result<Option<Question>, StoreError> {
    let settings = match store.call_script(id).await {
        Ok(script) => script.script.outcome,
        Err(error) if error.is_gone() => Default::default(),
        Err(error) => return Err(error),
    };
    Ok(Question::of(&conversation(store, id).await?.history, settings))
}
