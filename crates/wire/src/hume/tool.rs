//! Tools: how they are offered, called and answered.
//!
//! Only calls of [`ToolType::Function`] are ours to run; built-in tools are run by EVI, which reports their results
//! with the same messages. (Hume: "Tool Use")

use serde::{Deserialize, Serialize};

/// A tool of ours, offered for one chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// [`ToolType::Function`] for tools of ours.
    #[serde(rename = "type")]
    pub kind: ToolType,
    /// The name by which the model calls it.
    pub name: String,
    /// A JSON Schema, as text.
    pub parameters: String,
    /// By this the model chooses the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the model is told if the tool fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_content: Option<String>,
}

/// A tool that EVI runs itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltinTool {
    /// Which one.
    pub name: BuiltinToolName,
    /// What the model is told if the tool fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_content: Option<String>,
}

/// The tools that EVI can run itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuiltinToolName {
    /// Searches the web.
    WebSearch,
    /// Ends the chat; the telephone call is left to us.
    HangUp,
    /// One that came later.
    #[serde(other)]
    Other,
}

/// Who runs a tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolType {
    /// We do.
    #[default]
    Function,
    /// EVI does.
    Builtin,
    /// A kind that came later, and is not ours to run.
    #[serde(other)]
    Other,
}

/// EVI wants a tool to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "tool_call")]
pub struct ToolCall {
    /// Names this call; the answer repeats it.
    pub tool_call_id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: JSON, as text, written by a model, so it may not parse.
    #[serde(default, deserialize_with = "crate::lenient::or_default")]
    pub parameters: String,
    /// Who runs it.
    #[serde(default, deserialize_with = "crate::lenient::or_default")]
    pub tool_type: ToolType,
    /// Whether the conversation waits for an answer. Without the field it is taken to wait: an answer too many is
    /// harmless, a missing one stalls the call.
    #[serde(default = "yes", deserialize_with = "true_unless_false")]
    pub response_required: bool,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

fn yes() -> bool {
    true
}

fn true_unless_false<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or(true))
}

/// A tool's result; sent by us, and by EVI for the tools that it ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "tool_response")]
pub struct ToolResponse {
    /// The id of the call that is answered.
    pub tool_call_id: String,
    /// The result as text; JSON is serialised by the sender.
    pub content: String,
    /// The tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// Who ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_type: Option<ToolType>,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// A tool's failure; sent by us, and by EVI for the tools that it ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "tool_error")]
pub struct ToolError {
    /// The id of the call that is answered.
    pub tool_call_id: String,
    /// What went wrong; shown neither to the model nor to the caller.
    pub error: String,
    /// What the model is told in place of a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A code of the sender's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How bad it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<ErrorLevel>,
    /// Who ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_type: Option<ToolType>,
    /// The id that the session was given by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_session_id: Option<String>,
}

/// How bad a tool's failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorLevel {
    /// The only level documented.
    Warn,
    /// One that came later.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_its_optional_fields_is_ours_and_waits() {
        let call: ToolCall = serde_json::from_str(
            r#"{"type":"tool_call","tool_call_id":"c","name":"n","parameters":null,"response_required":null}"#,
        )
        .unwrap();
        assert_eq!(call.tool_type, ToolType::Function);
        assert!(call.response_required);
        assert_eq!(call.parameters, "");
    }

    #[test]
    fn a_kind_of_tool_that_came_later_is_not_ours() {
        let call: ToolCall = serde_json::from_str(
            r#"{"tool_call_id":"c","name":"n","parameters":"{}","tool_type":"mcp","response_required":false}"#,
        )
        .unwrap();
        assert_eq!(call.tool_type, ToolType::Other);
        assert!(!call.response_required);
    }
}
