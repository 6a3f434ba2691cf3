//! What is asked of the model.
//!
//! Written minimally: a field that is not set is not sent. Messages carry their text as one string. The simulator reads a
//! request with [`ChatRequest::parse`]. (Groq: API reference, "Create chat completion")

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ApiError, ErrorCode};
use crate::faithful::{Difference, first_difference};

/// The most tools one request may name.
pub const TOOLS_MAX: usize = 128;

/// The most sequences that may end a reply.
const STOPS_MAX: usize = 4;

/// The longest name of a tool, in characters; they are letters, digits, `_` and `-`.
const TOOL_NAME_CHARS_MAX: usize = 64;

/// Fields that the vendor knows from another dialect, and does not support.
const UNSUPPORTED: [&str; 7] =
    ["logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "store", "metadata"];

/// A request for one reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// Which model.
    pub model: String,
    /// The conversation so far, instructions first.
    pub messages: Vec<Message>,
    /// Whether the reply comes piece by piece; always, here.
    #[serde(default)]
    pub stream: bool,
    /// From 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The longest reply, reasoning and tool calls included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// At most four sequences that end the reply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The same seed gives the same reply, mostly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// What the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether it may, must or must not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once. Not offered by all models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// How long a reasoning model thinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Whether its thoughts are sent. Excludes [`ChatRequest::reasoning_format`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_reasoning: Option<bool>,
    /// How they are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_format: Option<ReasoningFormat>,
    /// Which of the account's rates it is counted against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// A stable pseudonym of the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// Instructions.
    System {
        /// The words.
        content: String,
    },
    /// What the caller said.
    User {
        /// The words.
        content: String,
    },
    /// What the model said or called.
    Assistant {
        /// The words; none if it only called tools.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        /// What it called.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool answered; after the message that called it.
    Tool {
        /// Which call.
        tool_call_id: String,
        /// The answer.
        content: String,
    },
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The model's id for it.
    pub id: String,
    /// Always a function.
    #[serde(rename = "type")]
    pub kind: FunctionKind,
    /// Which, and with what.
    pub function: CalledFunction,
}

/// Which function is called, and with what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledFunction {
    /// Its name.
    pub name: String,
    /// JSON, as text, written by a model, so it may not parse.
    pub arguments: String,
}

/// The only kind of tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FunctionKind {
    /// A function.
    #[default]
    #[serde(rename = "function")]
    Function,
}

/// Something that the model may call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Always a function.
    #[serde(rename = "type")]
    pub kind: FunctionKind,
    /// What it is.
    pub function: Function,
}

/// What a function is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// At most 64 letters, digits, `_` and `-`.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the arguments must fit the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Whether the model may, must or must not call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ToolChoice {
    /// As it likes, or not at all, or in any case.
    Mode(ToolChoiceMode),
    /// This one.
    Function(NamedTool),
}

/// Whether the model may, must or must not call a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoiceMode {
    /// It must not.
    None,
    /// It may.
    Auto,
    /// It must.
    Required,
}

/// A tool that the model must call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedTool {
    /// Always a function.
    #[serde(rename = "type")]
    pub kind: FunctionKind,
    /// Which.
    pub function: NamedFunction,
}

/// The name of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFunction {
    /// It.
    pub name: String,
}

/// How long a reasoning model thinks. Which of these it takes depends on the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// Not at all; not with gpt-oss.
    None,
    /// As the model likes; not with gpt-oss.
    Default,
    /// Best for speech: thoughts delay the first word.
    Low,
    /// The default of gpt-oss.
    Medium,
    /// Long.
    High,
}

/// How a model's thoughts are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningFormat {
    /// Not at all.
    Hidden,
    /// Within the words.
    Raw,
    /// Beside the words.
    Parsed,
}

/// Which of the account's rates a request is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// What is free.
    Auto,
    /// The default.
    OnDemand,
    /// More of them, refused when the vendor is busy.
    Flex,
    /// For contracts.
    Performance,
}

impl ChatRequest {
    /// A streamed request to this model; for speech, so that a reasoning model thinks briefly and keeps it to itself.
    #[must_use]
    pub fn streamed(model: impl Into<String>, messages: Vec<Message>) -> Self {
        let model = model.into();
        let reasons = model.starts_with("openai/gpt-oss-");
        Self {
            messages,
            stream: true,
            reasoning_effort: reasons.then_some(ReasoningEffort::Low),
            include_reasoning: reasons.then_some(false),
            model,
            ..Self::default()
        }
    }

    /// The body.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("maps have string keys and numbers are finite, so JSON can always be written")
    }

    /// Reads a request strictly, for the simulator. Whether there is such a model is for the caller to say.
    ///
    /// # Errors
    /// With the error that the server answers, with status 400.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let received: Value = serde_json::from_slice(body).map_err(|_| invalid(None, "the body is not valid JSON"))?;
        if let Some(field) = UNSUPPORTED.into_iter().find(|field| received.get(field).is_some_and(|it| !it.is_null())) {
            return Err(invalid(Some(field), &format!("property '{field}' is unsupported")));
        }
        let request = Self::deserialize(&received).map_err(|error| invalid(None, &short(&error.to_string())))?;
        let understood = serde_json::to_value(&request).map_err(|error| invalid(None, &short(&error.to_string())))?;
        // An SDK may write `content: null` in an assistant's message that only calls tools.
        match first_difference(&received, &understood, &|name| name == "content") {
            None => {}
            Some(Difference::Unknown(path)) => {
                return Err(invalid(Some(&path), &format!("property '{}' is unsupported", short(&path))));
            }
            Some(Difference::Value(path) | Difference::Null(path)) => return Err(impossible(&path)),
        }
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), ApiError> {
        if self.model.is_empty() {
            return Err(impossible("model"));
        }
        if self.messages.is_empty() {
            return Err(impossible("messages"));
        }
        if self.temperature.is_some_and(|value| !(0.0..=2.0).contains(&value)) {
            return Err(impossible("temperature"));
        }
        if self.top_p.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            return Err(impossible("top_p"));
        }
        if self.max_completion_tokens == Some(0) {
            return Err(impossible("max_completion_tokens"));
        }
        if self.stop.len() > STOPS_MAX {
            return Err(impossible("stop"));
        }
        if self.include_reasoning.is_some() && self.reasoning_format.is_some() {
            return Err(invalid(
                Some("reasoning_format"),
                "'include_reasoning' and 'reasoning_format' exclude each other",
            ));
        }
        self.check_reasoning()?;
        self.check_tools()?;
        self.check_answers()
    }

    fn check_reasoning(&self) -> Result<(), ApiError> {
        let Some(effort) = self.reasoning_effort else { return Ok(()) };
        let oss = self.model.starts_with("openai/gpt-oss-");
        let fits = match effort {
            ReasoningEffort::None | ReasoningEffort::Default => !oss,
            ReasoningEffort::Low | ReasoningEffort::Medium | ReasoningEffort::High => true,
        };
        if fits { Ok(()) } else { Err(impossible("reasoning_effort")) }
    }

    fn check_tools(&self) -> Result<(), ApiError> {
        if self.tools.len() > TOOLS_MAX {
            return Err(impossible("tools"));
        }
        for (index, Tool { function, .. }) in self.tools.iter().enumerate() {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if function.name.is_empty() || function.name.len() > TOOL_NAME_CHARS_MAX || !function.name.chars().all(fits)
            {
                return Err(impossible(&format!("tools[{index}].function.name")));
            }
            if function.parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
                return Err(impossible(&format!("tools[{index}].function.parameters")));
            }
        }
        match &self.tool_choice {
            Some(ToolChoice::Function(NamedTool { function, .. }))
                if !self.tools.iter().any(|tool| tool.function.name == function.name) =>
            {
                Err(impossible("tool_choice.function.name"))
            }
            Some(ToolChoice::Mode(ToolChoiceMode::Required)) if self.tools.is_empty() => Err(impossible("tool_choice")),
            Some(ToolChoice::Function(_) | ToolChoice::Mode(_)) | None => Ok(()),
        }
    }

    /// Every answer of a tool answers a call that was made before it, and every call is answered before anybody else
    /// speaks.
    fn check_answers(&self) -> Result<(), ApiError> {
        let mut open: Vec<&str> = Vec::new();
        for (index, message) in self.messages.iter().enumerate() {
            match message {
                Message::Tool { tool_call_id, .. } => {
                    let Some(at) = open.iter().position(|id| id == tool_call_id) else {
                        return Err(impossible(&format!("messages[{index}].tool_call_id")));
                    };
                    open.remove(at);
                }
                Message::System { .. } | Message::User { .. } | Message::Assistant { .. } if !open.is_empty() => {
                    return Err(impossible(&format!("messages[{index}]")));
                }
                Message::System { .. } | Message::User { .. } => {}
                Message::Assistant { content, tool_calls } => {
                    if content.is_none() && tool_calls.is_empty() {
                        return Err(impossible(&format!("messages[{index}].content")));
                    }
                    open = tool_calls.iter().map(|call| call.id.as_str()).collect();
                }
            }
        }
        if open.is_empty() { Ok(()) } else { Err(impossible("messages")) }
    }
}

impl Message {
    /// Instructions.
    #[must_use]
    pub fn system(content: impl Into<String>) -> Self {
        Self::System { content: content.into() }
    }

    /// What the caller said.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self::User { content: content.into() }
    }

    /// What the model said.
    #[must_use]
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::Assistant { content: Some(content.into()), tool_calls: Vec::new() }
    }

    /// What a tool answered.
    #[must_use]
    pub fn tool(tool_call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Tool { tool_call_id: tool_call_id.into(), content: content.into() }
    }
}

impl ToolCall {
    /// A call of this function.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        let function = CalledFunction { name: name.into(), arguments: arguments.into() };
        Self { id: id.into(), kind: FunctionKind::Function, function }
    }
}

impl Tool {
    /// A function.
    #[must_use]
    pub fn function(name: impl Into<String>, description: Option<String>, parameters: Option<Value>) -> Self {
        let function = Function { name: name.into(), description, parameters, strict: None };
        Self { kind: FunctionKind::Function, function }
    }
}

fn impossible(path: &str) -> ApiError {
    invalid(Some(path), &format!("invalid value of '{}'", short(path)))
}

fn invalid(param: Option<&str>, message: &str) -> ApiError {
    ApiError { param: param.map(short), ..ApiError::invalid_request(ErrorCode::InvalidRequest, message) }
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}
