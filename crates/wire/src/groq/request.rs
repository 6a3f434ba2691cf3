//! What is asked of the model.
//!
//! Written minimally: a field that is not set is not sent. Messages carry their text as one string. The simulator reads a
//! request with [`ChatRequest::parse`], which stands apart. (Groq: API reference, "Create chat completion")

mod strict;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most tools one request may name.
pub const TOOLS_MAX: usize = 128;

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
