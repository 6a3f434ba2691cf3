//! How well a judge judges: a labelled set of calls, and the score of a judge against it.
//!
//! The set is in `data/outcomes`, a file for each language: bookings, refusals, voicemail, wrong numbers, "call me later",
//! bookings that are cancelled in the same call, calls that break off. It is small, and written by hand: it tells a judge
//! that can be trusted from one that cannot, not 96 % from 97 %. The local rule was written with these calls at hand, so its
//! own score says how well it was fitted, and no more.

use std::collections::BTreeMap;
use std::time::Duration;

use call::journal::Speaker;
use call::outcome::{Outcome, OutcomeSettings, Question, Said, Verdict};
use functions::judge::{Judge, JudgeError};
use serde::Serialize;

/// The files, by language.
const FILES: [(&str, &str); 4] = [
    ("de", include_str!("../data/outcomes/de.txt")),
    ("en", include_str!("../data/outcomes/en.txt")),
    ("es", include_str!("../data/outcomes/es.txt")),
    ("fr", include_str!("../data/outcomes/fr.txt")),
];

/// So often a judge is asked about one call.
const TRIES_MAX: u32 = 4;

/// The pause after the first vain try; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_secs(2);

/// Nobody waits longer than this for one call in front of a screen, whatever the service would like.
const PAUSE_MAX: Duration = Duration::from_secs(65);

/// A call of which is known how it went.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Its name.
    pub name: String,
    /// The language spoken.
    pub language: &'static str,
    /// What happened in it.
    pub kind: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was said.
    pub question: Question,
}

/// The labelled set.
///
/// # Panics
///
/// Never: a test reads the included files.
#[must_use]
pub fn labelled() -> Vec<Labelled> {
    let mut calls = Vec::new();
    for (language, text) in FILES {
        let found = read(language, text);
        calls.extend(found.unwrap_or_else(|wrong| panic!("invariant: a test reads the labelled calls; {wrong}")));
    }
    calls
}

fn read(language: &'static str, text: &str) -> Result<Vec<Labelled>, String> {
    let mut calls = Vec::new();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    for block in lines.split(|line| line.is_empty()).filter(|block| !block.is_empty()) {
        let wrong = |why: &str| format!("{language}: {}: {why}", block[0]);
        let head = block[0].strip_prefix("= ").ok_or_else(|| wrong("it does not begin with `= `"))?;
        let parts: Vec<&str> = head.split(", ").collect();
        let [name, kind, outcome] = parts.as_slice() else { return Err(wrong("not a name, a kind and an outcome")) };
        let outcome = Outcome::named(outcome).ok_or_else(|| wrong("not an outcome"))?;
        let mut said = Vec::new();
        for (n, line) in (1..).zip(&block[1..]) {
            let (speaker, words) = match line.split_once(": ") {
                Some(("A", words)) => (Speaker::Agent, words),
                Some(("C", words)) => (Speaker::Caller, words),
                Some(_) | None => return Err(wrong("a line is neither `A: ` nor `C: `")),
            };
            said.extend(Said::new(n, speaker, words));
        }
        let question = Question::about(said, OutcomeSettings::default()).ok_or_else(|| wrong("nothing is said"))?;
        calls.push(Labelled { name: (*name).to_owned(), language, kind: (*kind).to_owned(), outcome, question });
    }
    Ok(calls)
}

/// How a judge did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Who judged.
    pub model: String,
    /// Whether that is the rule for demonstrations, and no model.
    pub is_local_rule: bool,
    /// All calls.
    pub total: Share,
    /// The share of calls that were judged right.
    pub accuracy: f64,
    /// How many verdicts quote a sentence that was said.
    pub evidence_found: u32,
    /// How many calls of each label (first) were judged so (second); `none` where there was no verdict.
    pub confusion: BTreeMap<&'static str, BTreeMap<&'static str, u32>>,
    /// By language.
    pub by_language: BTreeMap<String, Share>,
    /// By what happened.
    pub by_kind: BTreeMap<String, Share>,
    /// The calls that were judged wrong, or not at all.
    pub wrong: Vec<Wrong>,
}

/// How many, and how many of them right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many.
    pub calls: u32,
    /// How many of them were judged right.
    pub right: u32,
}

impl Share {
    fn count(&mut self, right: bool) {
        self.calls += 1;
        self.right += u32::from(right);
    }
}

/// A call that was judged wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wrong {
    /// Its name.
    pub name: String,
    /// How it went.
    pub expected: Outcome,
    /// How it was judged; none where there was no verdict.
    pub judged: Option<Outcome>,
    /// The judge's reason, or why there is no verdict.
    pub reason: String,
}

impl Score {
    /// Of a judge that has judged nothing yet.
    #[must_use]
    pub fn of(judge: &Judge) -> Self {
        let is_local_rule = matches!(judge, Judge::LocalRule);
        let row = || ["yes", "no", "unclear", "none"].map(|judged| (judged, 0)).into();
        let confusion = Outcome::ALL.map(|outcome| (outcome.as_str(), row())).into();
        Self { model: judge.name().to_owned(), is_local_rule, confusion, ..Self::default() }
    }

    /// Counts one call.
    pub fn count(&mut self, call: &Labelled, verdict: &Result<Verdict, JudgeError>) {
        let judged = verdict.as_ref().ok().map(|verdict| verdict.outcome);
        let right = judged == Some(call.outcome);
        self.total.count(right);
        self.by_language.entry(call.language.to_owned()).or_default().count(right);
        self.by_kind.entry(call.kind.clone()).or_default().count(right);
        let row = self.confusion.entry(call.outcome.as_str()).or_default();
        *row.entry(judged.map_or("none", Outcome::as_str)).or_default() += 1;
        self.evidence_found += u32::from(verdict.as_ref().is_ok_and(|verdict| verdict.evidence_found));
        self.accuracy = f64::from(self.total.right) / f64::from(self.total.calls);
        if !right {
            let reason = match verdict {
                Ok(verdict) => verdict.reason.clone(),
                Err(error) => error.to_string(),
            };
            self.wrong.push(Wrong { name: call.name.clone(), expected: call.outcome, judged, reason });
        }
    }
}

/// Asks the judge about one call, again if that may help.
///
/// # Errors
///
/// There is no verdict after all tries.
pub async fn judged(judge: &Judge, call: &Labelled) -> Result<Verdict, JudgeError> {
    let mut tries_before = 0;
    loop {
        let error = match judge.judge(&call.question, tries_before).await {
            Ok(verdict) => return Ok(verdict),
            Err(error) => error,
        };
        tries_before += 1;
        let pause = error.not_before().max(PAUSE_FIRST.saturating_mul(1 << (tries_before - 1)));
        if tries_before == TRIES_MAX || pause > PAUSE_MAX {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clients::Gemini;
    use sim::gemini::{Fault, Faults, GeminiConfig, server};

    use super::*;

    async fn score(judge: &Judge) -> Score {
        let mut score = Score::of(judge);
        for call in labelled() {
            score.count(&call, &judged(judge, &call).await);
        }
        score
    }

    #[test]
    fn the_set_has_every_kind_in_every_language_and_no_name_twice() {
        let calls = labelled();
        assert!(calls.len() >= 40);
        let names: BTreeSet<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names.len(), calls.len());
        for (language, _) in FILES {
            let kinds: BTreeSet<&str> =
                calls.iter().filter(|call| call.language == language).map(|call| call.kind.as_str()).collect();
            for kind in ["booking", "refusal", "voicemail", "wrong_number", "call_later", "cancelled", "broken_off"] {
                assert!(kinds.contains(kind), "{language} has no {kind}");
            }
        }
    }

    #[tokio::test]
    async fn the_local_rule_is_scored_and_labelled_as_what_it_is() {
        let score = score(&Judge::LocalRule).await;
        assert!(score.is_local_rule && score.model == "local-rule");
        assert!(score.accuracy >= 0.9, "{:#?}", score.wrong);
        let counted: u32 = score.confusion.values().flat_map(BTreeMap::values).sum();
        assert_eq!(counted, score.total.calls);
        assert_eq!(score.wrong.len(), usize::try_from(score.total.calls - score.total.right).unwrap());
    }

    #[tokio::test]
    async fn any_model_is_scored_and_one_that_never_answers_is_wrong() {
        let service = server::start(GeminiConfig::default(), Faults::none()).await.unwrap();
        let model = "gemini-3.8-flash".parse().unwrap();
        let gemini = Gemini::new(service.url.parse().unwrap(), "key".to_owned().into(), model).unwrap();
        let judge = Judge::Gemini(gemini);
        let by_model = score(&judge).await;
        assert_eq!((by_model.model.as_str(), by_model.is_local_rule), ("gemini-3.8-flash", false));
        assert!(by_model.accuracy >= 0.9, "{:#?}", by_model.wrong);
        // It says that it will be of no use for a day, so nobody waits.
        service.set_faults(Faults::always(Fault::Limited { delay: None, of_the_day: true }));
        let nothing = score(&judge).await;
        assert_eq!((nothing.accuracy, nothing.confusion["yes"]["none"] > 0), (0.0, true));
        assert!(nothing.wrong[0].reason.contains("quota"));
    }
}
