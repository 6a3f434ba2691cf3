//! What is answered, and whether it may be believed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names::words;
use crate::lenient;

/// An answer. Everything in it may be absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Generated {
    /// The answers; we ask for one. Absent when the question itself was refused.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::or_default")]
    pub candidates: Vec<Candidate>,
    /// What was wrong with the question.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::if_understood")]
    pub prompt_feedback: Option<PromptFeedback>,
    /// What it cost.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::if_understood")]
    pub usage_metadata: Option<UsageMetadata>,
    /// Which model answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    /// The service's name for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// Whether the model is about to be retired.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::if_understood")]
    pub model_status: Option<ModelStatus>,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Candidate {
    /// The words; absent when they are withheld.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::if_understood")]
    pub content: Option<Answered>,
    /// Why the model stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Which answer, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// How harmful the service takes it for.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::or_default")]
    pub safety_ratings: Vec<Value>,
}

/// The words of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answered {
    /// `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The words, perhaps in pieces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::or_default")]
    pub parts: Vec<AnswerPart>,
}

/// A piece of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnswerPart {
    /// Words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether these are thoughts on the way to the answer, and no part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought: Option<bool>,
    /// A seal on the thoughts, for conversations; of no use here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
}

/// What was wrong with the question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromptFeedback {
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_reason: Option<BlockReason>,
    /// How harmful the service takes it for.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::or_default")]
    pub safety_ratings: Vec<Value>,
}

/// What an answer cost, in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageMetadata {
    /// The question.
    pub prompt_token_count: u32,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates_token_count: Option<u32>,
    /// The thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thoughts_token_count: Option<u32>,
    /// All of it.
    pub total_token_count: u32,
}

/// Whether the model is about to be retired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelStatus {
    /// `STABLE`, `LEGACY`, `DEPRECATED` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_stage: Option<String>,
    /// When it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retirement_time: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

words! {
    /// Why the model stopped. (Gemini API: "FinishReason")
    FinishReason {
        /// It said all it had to say.
        Stop = "STOP",
        /// It was cut off at the most tokens.
        MaxTokens = "MAX_TOKENS",
        /// The answer was taken for harmful.
        Safety = "SAFETY",
        /// The answer repeats something that is somebody's.
        Recitation = "RECITATION",
        /// The language is not supported.
        Language = "LANGUAGE",
        /// Unknown to the service itself.
        Unnamed = "OTHER",
        /// It holds forbidden words.
        Blocklist = "BLOCKLIST",
        /// It holds what must not be said at all.
        ProhibitedContent = "PROHIBITED_CONTENT",
        /// It holds personal data, such as a card's number.
        Spii = "SPII",
        /// The model called a function, badly.
        MalformedFunctionCall = "MALFORMED_FUNCTION_CALL",
        /// The answer could not be put together.
        MalformedResponse = "MALFORMED_RESPONSE",
        /// It called a tool that it was not given.
        UnexpectedToolCall = "UNEXPECTED_TOOL_CALL",
        /// It called tools without end.
        TooManyToolCalls = "TOO_MANY_TOOL_CALLS",
        /// A seal on thoughts is missing.
        MissingThoughtSignature = "MISSING_THOUGHT_SIGNATURE",
        /// Not said.
        Unspecified = "FINISH_REASON_UNSPECIFIED",
    }
}

words! {
    /// Why a question was refused. (Gemini API: "BlockReason")
    BlockReason {
        /// It was taken for harmful.
        Safety = "SAFETY",
        /// Unknown to the service itself.
        Unnamed = "OTHER",
        /// It holds forbidden words.
        Blocklist = "BLOCKLIST",
        /// It holds what must not be said at all.
        ProhibitedContent = "PROHIBITED_CONTENT",
        /// It holds a harmful picture.
        ImageSafety = "IMAGE_SAFETY",
        /// A filter in front of the model.
        ModelArmor = "MODEL_ARMOR",
        /// It was taken for an attempt to talk the model out of its rules.
        Jailbreak = "JAILBREAK",
        /// Not said.
        Unspecified = "BLOCKED_REASON_UNSPECIFIED",
    }
}

/// Why there is nothing to read in an answer, although the service answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// The question was refused.
    #[error("the question was blocked ({0})")]
    Blocked(BlockReason),
    /// The model stopped for another reason than having said all.
    #[error("the answer was withheld ({0})")]
    Stopped(FinishReason),
    /// The answer is not complete.
    #[error("the answer was cut off at the most tokens")]
    CutOff,
    /// There is no word in it.
    #[error("the answer is empty")]
    Empty,
}

impl Generated {
    /// The answer's words, thoughts left out; only of a model that stopped because it had said all. A half answer can
    /// look like a whole one.
    ///
    /// # Errors
    ///
    /// Why there is nothing to read.
    pub fn answer(&self) -> Result<String, Withheld> {
        if let Some(reason) = self.prompt_feedback.as_ref().and_then(|feedback| feedback.block_reason.clone()) {
            return Err(Withheld::Blocked(reason));
        }
        let candidate = self.candidates.first().ok_or(Withheld::Empty)?;
        match candidate.finish_reason.clone() {
            Some(FinishReason::Stop) => {}
            Some(FinishReason::MaxTokens) => return Err(Withheld::CutOff),
            Some(reason) => return Err(Withheld::Stopped(reason)),
            None => return Err(Withheld::Stopped(FinishReason::Unspecified)),
        }
        let parts = candidate.content.iter().flat_map(|content| &content.parts);
        let words: String =
            parts.filter(|part| part.thought != Some(true)).filter_map(|part| part.text.as_deref()).collect();
        if words.trim().is_empty() { Err(Withheld::Empty) } else { Ok(words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Generated {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_answer_is_put_together_from_its_parts_without_the_thoughts() {
        let generated = read(
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Let me see","thought":true},
                {"text":"{\"a\":"},{"text":"1}","thoughtSignature":"AB=="},{"inlineData":{}}]},"finishReason":"STOP","index":0,"later":1}],
                "usageMetadata":{"promptTokenCount":5,"totalTokenCount":9,"promptTokensDetails":[]},"modelVersion":"m"}"#,
        );
        assert_eq!(generated.answer().as_deref(), Ok(r#"{"a":1}"#));
        assert_eq!(generated.usage_metadata.unwrap().prompt_token_count, 5);
    }

    #[test]
    fn nothing_is_read_of_an_answer_that_is_not_finished() {
        let stopped = |reason: &str| {
            let text = format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{{}}"}}]}},"finishReason":"{reason}"}}]}}"#
            );
            read(&text).answer().unwrap_err()
        };
        assert_eq!(stopped("MAX_TOKENS"), Withheld::CutOff);
        assert_eq!(stopped("SAFETY"), Withheld::Stopped(FinishReason::Safety));
        assert_eq!(stopped("SPII"), Withheld::Stopped(FinishReason::Spii));
        assert_eq!(stopped("LATER"), Withheld::Stopped(FinishReason::Other("LATER".into())));
        assert_eq!(stopped("LATER").to_string(), "the answer was withheld (LATER)");
    }

    #[test]
    fn empty_and_refused_answers_say_why() {
        for text in [
            "{}",
            r#"{"candidates":null}"#,
            r#"{"candidates":[]}"#,
            r#"{"candidates":[{"finishReason":"STOP"}]}"#,
            r#"{"candidates":[{"content":{"role":"model"},"finishReason":"STOP"}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":" "}]},"finishReason":"STOP"}],"promptFeedback":{}}"#,
        ] {
            assert_eq!(read(text).answer(), Err(Withheld::Empty), "{text}");
        }
        let blocked = read(r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}"#).answer();
        assert_eq!(blocked, Err(Withheld::Blocked(BlockReason::ProhibitedContent)));
        let unsaid = read(r#"{"candidates":[{"content":{"parts":[{"text":"{}"}]}}]}"#).answer();
        assert_eq!(unsaid, Err(Withheld::Stopped(FinishReason::Unspecified)));
    }

    #[test]
    fn every_word_is_written_as_it_was_read() {
        for reason in FinishReason::KNOWN {
            assert_eq!(FinishReason::from(reason.as_str()), *reason);
        }
        for reason in BlockReason::KNOWN {
            assert_eq!(BlockReason::from(reason.as_str()), *reason);
        }
    }
}
