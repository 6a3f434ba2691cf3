//! A simulated Gemini: `generateContent`, and the descriptions of its models; strict about requests, with a judge that reads.
//!
//! A request is checked as the service checks it ([`wire::gemini::strict`]): keys, types, the schema. The answer comes
//! from the transcript in the prompt: its lines are read, a rule for bookings in four languages judges them, and the
//! verdict is written in the shape of whatever schema was sent. An answer that does not fit into the most tokens is cut
//! off, thoughts included, as the real one is.
//!
//! **Failures** are thrown by [`Faults`]: every kind that the service documents, and some that it does not. **Not
//! simulated**: the other methods, pictures and tools, quotas that fill up, and intelligence.

pub mod fault;
pub mod server;

use std::time::Duration;

use call::outcome::{OutcomeSettings, Question, Said, Verdict, rule};
use serde_json::{Map, Value, json};
use wire::gemini::error::{ApiError, ErrorBody};
use wire::gemini::response::{
    AnswerPart, Answered, BlockReason, Candidate, FinishReason, Generated, PromptFeedback, UsageMetadata,
};
use wire::gemini::strict;

pub use fault::{Fault, Faults};

/// Requests that are remembered.
const ASKED_MAX: usize = 1_000;

/// Tokens that the model spends on thoughts before it writes.
const THOUGHT_TOKENS: u64 = 64;

/// How the account is set up.
#[derive(Clone, Debug)]
pub struct GeminiConfig {
    /// Keys that are taken; any, if there are none.
    pub api_keys: Vec<String>,
    /// Models that there are.
    pub models: Vec<String>,
    /// Whether thoughts are sent along, before the answer.
    pub shows_thoughts: bool,
    /// Into how many parts the answer is divided.
    pub parts: usize,
    /// Whether a refusal comes in an array of one.
    pub wraps_errors: bool,
}

impl Default for GeminiConfig {
    fn default() -> Self {
        let models = ["gemini-3.5-flash-lite", "gemini-3.8-flash", "gemini-3.6-flash"];
        Self {
            api_keys: Vec::new(),
            models: models.map(str::to_owned).into(),
            shows_thoughts: false,
            parts: 1,
            wraps_errors: false,
        }
    }
}

/// One request, as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The model in the path.
    pub model: String,
    /// The body.
    pub body: Value,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// How long it takes.
    pub after: Duration,
}

/// The simulated service.
#[derive(Clone, Debug)]
pub struct Gemini {
    config: GeminiConfig,
    faults: Faults,
    asked: Vec<Asked>,
    answers: u64,
}

impl Gemini {
    /// A service with this account.
    #[must_use]
    pub const fn new(config: GeminiConfig, faults: Faults) -> Self {
        Self { config, faults, asked: Vec::new(), answers: 0 }
    }

    /// What it was asked, by whoever was let in, well-formed or not.
    #[must_use]
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// Throws other faults from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// `POST /v1beta/models/<model>:generateContent`.
    pub fn generate(&mut self, model: &str, key: Option<&str>, body: &[u8]) -> Reply {
        if let Err(refusal) = self.admit(key) {
            return refusal;
        }
        if self.asked.len() < ASKED_MAX {
            let body = serde_json::from_slice(body).unwrap_or_default();
            self.asked.push(Asked { model: model.to_owned(), body });
        }
        if let Err(refusal) = self.find(model) {
            return refusal;
        }
        let asked = match strict::read(body) {
            Ok(asked) => asked,
            Err(refusal) => return self.refusal(refusal),
        };
        match self.faults.next() {
            None => self.answer(model, &asked, None),
            Some(Fault::Limited { delay, of_the_day }) => self.refusal(limited(delay, of_the_day)),
            Some(Fault::Failing(status)) => self.refusal(failing(status)),
            Some(Fault::Late(after)) => Reply { after, ..self.answer(model, &asked, None) },
            Some(Fault::NotJson) => Reply { status: 200, body: "<html>".to_owned(), after: Duration::ZERO },
            Some(fault @ (Fault::Blocked(_) | Fault::Stopped(_) | Fault::Says(_) | Fault::NoCandidate)) => {
                self.answer(model, &asked, Some(fault))
            }
        }
    }

    /// `GET /v1beta/models/<model>`.
    #[must_use]
    pub fn describe(&self, model: &str, key: Option<&str>) -> Reply {
        if let Err(refusal) = self.admit(key).and_then(|()| self.find(model)) {
            return refusal;
        }
        let description = json!({
            "name": format!("models/{model}"), "version": "001", "displayName": model, "description": "Simulated.",
            "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent"],
            "temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2, "thinking": true,
        });
        Reply { status: 200, body: description.to_string(), after: Duration::ZERO }
    }

    fn admit(&self, key: Option<&str>) -> Result<(), Reply> {
        if key.is_some_and(|key| self.admits(key)) {
            return Ok(());
        }
        let reason = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
            "domain": "googleapis.com", "metadata": { "service": "generativelanguage.googleapis.com" },
        });
        let message = "API key not valid. Please pass a valid API key.";
        Err(self.refusal(error(400, "INVALID_ARGUMENT", message, vec![reason])))
    }

    fn find(&self, model: &str) -> Result<(), Reply> {
        if self.config.models.iter().any(|known| known == model) {
            return Ok(());
        }
        let message =
            format!("models/{model} is not found for API version v1beta, or is not supported for generateContent.");
        Err(self.refusal(error(404, "NOT_FOUND", &message, Vec::new())))
    }

    fn admits(&self, key: &str) -> bool {
        !key.is_empty() && (self.config.api_keys.is_empty() || self.config.api_keys.iter().any(|known| known == key))
    }

    fn refusal(&self, error: ApiError) -> Reply {
        let status = error.code;
        let body = json!(ErrorBody { error });
        let body = if self.config.wraps_errors { json!([body]) } else { body };
        Reply { status, body: body.to_string(), after: Duration::ZERO }
    }

    fn answer(&mut self, model: &str, asked: &strict::Asked, fault: Option<Fault>) -> Reply {
        self.answers += 1;
        let mut text = written(asked);
        let mut finish_reason = FinishReason::Stop;
        let mut blocked = None;
        let mut none = false;
        match fault {
            Some(Fault::Blocked(reason)) => blocked = Some(reason),
            Some(Fault::NoCandidate) => none = true,
            Some(Fault::Says(words)) => text = words,
            Some(Fault::Stopped(reason)) => {
                // Cut off in the middle, or withheld altogether.
                let kept = if reason == FinishReason::MaxTokens { text.chars().count() / 2 } else { 0 };
                (text, finish_reason) = (text.chars().take(kept).collect(), reason);
            }
            Some(Fault::Limited { .. } | Fault::Failing(_) | Fault::NotJson | Fault::Late(_)) | None => {}
        }
        let room = asked.tokens_max.unwrap_or(u64::MAX).saturating_sub(THOUGHT_TOKENS);
        if tokens(&text) > room {
            text = text.chars().take(usize::try_from(room).unwrap_or(usize::MAX).saturating_mul(4)).collect();
            finish_reason = FinishReason::MaxTokens;
        }
        let question = tokens(&asked.question) + tokens(&asked.instructions);
        let spent = tokens(&text);
        let count = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
        let has_candidate = blocked.is_none() && !none;
        let candidate = || Candidate {
            content: Some(Answered { role: Some("model".to_owned()), parts: self.parts(&text) }),
            finish_reason: Some(finish_reason.clone()),
            index: Some(0),
            safety_ratings: Vec::new(),
        };
        let generated = Generated {
            candidates: has_candidate.then(candidate).into_iter().collect(),
            prompt_feedback: blocked
                .map(|reason: BlockReason| PromptFeedback { block_reason: Some(reason), safety_ratings: Vec::new() }),
            usage_metadata: Some(UsageMetadata {
                prompt_token_count: count(question),
                candidates_token_count: has_candidate.then(|| count(spent)),
                thoughts_token_count: has_candidate.then(|| count(THOUGHT_TOKENS)),
                total_token_count: count(question + if has_candidate { spent + THOUGHT_TOKENS } else { 0 }),
            }),
            model_version: Some(model.to_owned()),
            response_id: Some(format!("simulated-{}", self.answers)),
            model_status: None,
        };
        Reply { status: 200, body: json!(generated).to_string(), after: Duration::ZERO }
    }

    fn parts(&self, text: &str) -> Vec<AnswerPart> {
        let part = |text: String| AnswerPart { text: Some(text), ..AnswerPart::default() };
        let mut parts = Vec::new();
        if self.config.shows_thoughts {
            let thought = part("**Reading the transcript** and looking for a confirmation.".to_owned());
            parts.push(AnswerPart { thought: Some(true), ..thought });
        }
        let letters: Vec<char> = text.chars().collect();
        let size = letters.len().div_ceil(self.config.parts.max(1)).max(1);
        parts.extend(letters.chunks(size).map(|chunk| part(chunk.iter().collect())));
        parts
    }
}

/// What the model writes: the verdict in the shape of the schema, or in prose.
fn written(asked: &strict::Asked) -> String {
    let verdict = read_and_judged(&asked.question);
    match &asked.schema {
        Some(schema) => shaped(schema, "", &verdict).to_string(),
        None => format!("Did it work? {}. {}", verdict.outcome.as_str(), verdict.reason),
    }
}

fn read_and_judged(question: &str) -> Verdict {
    let said: Vec<Said> = question.lines().filter_map(Said::parse).collect();
    let question = Question::about(said, OutcomeSettings::default());
    let verdict = question.map(|question| rule::judge(&question));
    Verdict {
        reason: "As the transcript shows.".to_owned(),
        ..verdict.unwrap_or_else(|| Verdict::unclear("There is no transcript."))
    }
}

/// A value that the schema allows; under a name of the verdict, what the verdict says.
fn shaped(schema: &Value, name: &str, verdict: &Verdict) -> Value {
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    if types.contains(&"object") {
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let entries = properties.iter().map(|(name, schema)| (name.clone(), shaped(schema, name, verdict)));
        return Value::Object(entries.collect::<Map<_, _>>());
    }
    let known = match name {
        "outcome" => json!(verdict.outcome.as_str()),
        "confidence" => json!(verdict.confidence),
        "reason" => json!(verdict.reason),
        "evidence" => json!(verdict.evidence),
        "evidence_turn" => json!(verdict.evidence_turn),
        field => json!(verdict.fields.get(field)),
    };
    if !known.is_null() || types.contains(&"null") {
        return known;
    }
    if let Some(first) = schema["enum"].as_array().and_then(|words| words.first()) {
        return first.clone();
    }
    match types.first() {
        Some(&"array") => json!([]),
        Some(&("number" | "integer")) => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        Some(&"boolean") => json!(false),
        Some(_) | None => json!(""),
    }
}

/// As the service counts, roughly: four letters a token.
fn tokens(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(4)).unwrap_or(u64::MAX)
}

fn error(code: u16, status: &str, message: &str, details: Vec<Value>) -> ApiError {
    ApiError { code, message: message.to_owned(), status: status.to_owned(), details }
}

fn limited(delay: Option<Duration>, of_the_day: bool) -> ApiError {
    let span = if of_the_day { "PerDay" } else { "PerMinute" };
    let mut details = Vec::new();
    if delay.is_some() || of_the_day {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                "quotaId": format!("GenerateRequests{span}PerProjectPerModel-FreeTier"), "quotaValue": "10",
            }],
        }));
    }
    if let Some(delay) = delay {
        let delay = format!("{}s", delay.as_secs_f64());
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
    }
    error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", details)
}

fn failing(code: u16) -> ApiError {
    let (status, message) = match code {
        500 => ("INTERNAL", "An internal error has occurred."),
        504 => ("DEADLINE_EXCEEDED", "The service was unable to finish processing within the deadline."),
        403 => ("PERMISSION_DENIED", "The key may not do this."),
        _ => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    };
    error(code, status, message, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lines: &str, tokens_max: u32) -> Vec<u8> {
        let said = lines.lines().filter_map(Said::parse).collect();
        let question = Question::about(said, OutcomeSettings::default()).unwrap();
        let model = "gemini-3.5-flash-lite".parse().unwrap();
        let (text, schema) = (question.text(), question.schema());
        let request = wire::gemini::request::GenerateContent::structured(
            &model,
            &question.instructions(),
            text,
            schema,
            tokens_max,
        );
        serde_json::to_vec(&request).unwrap()
    }

    const BOOKED: &str = "[1] caller: My name is Alex Morgan.\n[2] agent: You are booked for Tuesday at ten.";

    fn generated(reply: &Reply) -> Generated {
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    #[test]
    fn it_reads_the_transcript_and_answers_in_the_shape_of_the_schema() {
        let config = GeminiConfig { shows_thoughts: true, parts: 3, ..GeminiConfig::default() };
        let mut gemini = Gemini::new(config, Faults::none());
        let answer =
            generated(&gemini.generate("gemini-3.5-flash-lite", Some("k"), &asked(BOOKED, 4_096))).answer().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((&answer["outcome"], &answer["evidence_turn"]), (&json!("yes"), &json!(2)));
        assert_eq!(answer["fields"], json!({ "name": "Alex Morgan", "what": null, "when": null }));
        let refused = "[1] agent: Hello.\n[2] caller: Sorry, wrong number.";
        let answer =
            generated(&gemini.generate("gemini-3.5-flash-lite", Some("k"), &asked(refused, 4_096))).answer().unwrap();
        assert!(answer.contains(r#""outcome":"no""#), "{answer}");
    }

    #[test]
    fn the_door_is_strict() {
        let config = GeminiConfig { api_keys: vec!["k".into()], ..GeminiConfig::default() };
        let mut gemini = Gemini::new(config, Faults::none());
        let mut status = |model: &str, key, body: &[u8]| {
            let reply = gemini.generate(model, key, body);
            (reply.status, ApiError::parse(reply.status, reply.body.as_bytes()).status)
        };
        let good = asked(BOOKED, 4_096);
        assert_eq!(status("gemini-3.5-flash-lite", None, &good), (400, "INVALID_ARGUMENT".into()));
        assert_eq!(status("gemini-3.5-flash-lite", Some("x"), &good), (400, "INVALID_ARGUMENT".into()));
        assert_eq!(status("gemini-1.0-pro", Some("k"), &good), (404, "NOT_FOUND".into()));
        assert_eq!(status("gemini-3.8-flash", Some("k"), b"{}"), (400, "INVALID_ARGUMENT".into()));
        assert_eq!(status("gemini-3.8-flash", Some("k"), &good).0, 200);
    }

    #[test]
    fn too_few_tokens_cut_the_answer_off() {
        let mut gemini = Gemini::new(GeminiConfig::default(), Faults::none());
        let reply = gemini.generate("gemini-3.5-flash-lite", Some("k"), &asked(BOOKED, 70));
        assert_eq!(generated(&reply).answer(), Err(wire::gemini::response::Withheld::CutOff));
    }
}
