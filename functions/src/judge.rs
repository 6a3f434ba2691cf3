//! Who says whether a call reached its goal: Gemini with a key, a rule for demonstrations without.
//!
//! A judge gives a verdict or says why it has none; it never makes one up. What is worth asking again, and when, is
//! decided by whoever asks. The call is asked about in [`call::outcome`]; this file only puts the question.

use std::time::Duration;

use call::outcome::{Nonsense, Question, Verdict, rule};
use clients::{Gemini, GeminiError};
use wire::gemini::response::Withheld;

/// The most tokens of the first try: the answer takes some hundreds, the model's thoughts the rest.
const TOKENS_FIRST: u32 = 4_096;

/// The room doubles with each further try, so often: a model that thought for too long needs it.
const DOUBLINGS_MAX: u32 = 3;

/// A judge.
#[derive(Clone, Debug, Default)]
pub enum Judge {
    /// Gemini.
    Gemini(Gemini),
    /// A rule on phrases, labelled as such.
    #[default]
    LocalRule,
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JudgeError {
    /// There is no answer.
    #[error(transparent)]
    Gemini(#[from] GeminiError),
    /// The answer holds nothing that may be read.
    #[error("of Gemini: {0}")]
    Withheld(#[from] Withheld),
    /// The answer cannot be understood.
    #[error("of Gemini: {0}")]
    Nonsense(#[from] Nonsense),
}

impl JudgeError {
    /// How long it makes no sense to ask again.
    #[must_use]
    pub fn not_before(&self) -> Duration {
        match self {
            Self::Gemini(error) => error.not_before(),
            Self::Withheld(_) | Self::Nonsense(_) => Duration::ZERO,
        }
    }
}

impl Judge {
    /// What stands beside its verdicts: the model's name, or the rule's.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Gemini(gemini) => gemini.model().as_str(),
            Self::LocalRule => rule::NAME,
        }
    }

    /// Judges. `tries_before` is how often this question was put in vain.
    ///
    /// # Errors
    ///
    /// There is no verdict.
    pub async fn judge(&self, question: &Question, tries_before: u32) -> Result<Verdict, JudgeError> {
        match self {
            Self::LocalRule => Ok(rule::judge(question)),
            Self::Gemini(gemini) => {
                let tokens_max = TOKENS_FIRST << tries_before.min(DOUBLINGS_MAX);
                let (text, schema) = (question.text(), question.schema());
                let generated = gemini.ask(&question.instructions(), text, schema, tokens_max).await?;
                Ok(question.read(&generated.answer()?)?)
            }
        }
    }
}
