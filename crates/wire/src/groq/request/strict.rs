//! A request as the simulator reads it: whatever the vendor would refuse is refused, and by name.
//!
//! The vendor takes a `null` for a setting that was left out, and one sequence of `stop` without a list around it (Groq:
//! API reference, "Create chat completion"). `model` and `messages` must be there.

use serde::Deserialize;
use serde_json::Value;

use super::{ChatRequest, Message, NamedTool, ReasoningEffort, TOOLS_MAX, Tool, ToolChoice, ToolChoiceMode};
use crate::faithful::{Difference, first_difference};
use crate::groq::error::{ApiError, ErrorCode};

/// The most sequences that may end a reply.
const STOPS_MAX: usize = 4;

/// The longest name of a tool, in characters; they are letters, digits, `_` and `-`.
const TOOL_NAME_CHARS_MAX: usize = 64;

/// Fields that the vendor knows from another dialect, and does not support.
const UNSUPPORTED: [&str; 7] =
    ["logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "store", "metadata"];

/// Settings for which a `null` says as much as nothing.
const NULLABLE: [&str; 14] = [
    "stream",
    "temperature",
    "top_p",
    "max_completion_tokens",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "include_reasoning",
    "reasoning_format",
    "service_tier",
    "user",
];

impl ChatRequest {
    /// Reads a request strictly, for the simulator. Whether there is such a model is for the caller to say.
    ///
    /// # Errors
    /// With the error that the server answers, with status 400.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut received: Value =
            serde_json::from_slice(body).map_err(|_| invalid(None, "the body is not valid JSON"))?;
        leave_out_nulls(&mut received);
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

/// Settings without a value are settings left out, and one sequence is a list of one.
fn leave_out_nulls(request: &mut Value) {
    let Some(fields) = request.as_object_mut() else { return };
    let may_be_null = |name: &str| NULLABLE.contains(&name) || UNSUPPORTED.contains(&name);
    fields.retain(|name, value| !(value.is_null() && may_be_null(name)));
    if let Some(stop) = fields.get_mut("stop").filter(|stop| stop.is_string()) {
        *stop = Value::Array(vec![stop.take()]);
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
