//! One of each message of EVI, for the tests beside this file.

use wire::hume::client::{
    AssistantInput, AudioInput, ClientMessage, PauseAssistantMessage, ResumeAssistantMessage, UserInput,
};
use wire::hume::error::ErrorCode;
use wire::hume::scores::{EMOTIONS, Scores};
use wire::hume::server::{
    AssistantEnd, AssistantMessage, AssistantProsody, AudioOutput, ChatMessage, ChatMetadata, ErrorMessage, Inference,
    Interval, Role, ServerMessage, Unknown, UserInterruption, UserMessage,
};
use wire::hume::session::{AudioConfiguration, Context, ContextChange, ContextKind, SessionSettings, Variable};
use wire::hume::tool::{BuiltinTool, BuiltinToolName, ErrorLevel, Tool, ToolCall, ToolError, ToolResponse, ToolType};

/// One of each message that a client may send, all fields set that are ever set.
pub(crate) fn client_messages() -> Vec<ClientMessage<'static>> {
    vec![
        ClientMessage::AudioInput(AudioInput::from_bytes(&[0; 320])),
        ClientMessage::SessionSettings(Box::new(full_settings())),
        ClientMessage::UserInput(UserInput { text: "Hi".into(), custom_session_id: None }),
        ClientMessage::AssistantInput(AssistantInput {
            text: "Hello".into(),
            custom_session_id: Some("call-1".into()),
        }),
        ClientMessage::ToolResponse(ToolResponse {
            tool_call_id: "t1".into(),
            content: "{\"ok\":true}".into(),
            tool_name: Some("look_up".into()),
            tool_type: Some(ToolType::Function),
            custom_session_id: None,
        }),
        ClientMessage::ToolError(ToolError {
            tool_call_id: "t1".into(),
            error: "timed out".into(),
            content: Some("Say that it is not available.".into()),
            code: Some("timeout".into()),
            level: Some(ErrorLevel::Warn),
            tool_type: None,
            custom_session_id: None,
        }),
        ClientMessage::Pause(PauseAssistantMessage::default()),
        ClientMessage::Resume(ResumeAssistantMessage::default()),
    ]
}

fn full_settings() -> SessionSettings {
    SessionSettings {
        custom_session_id: Some("call-1".into()),
        audio: Some(AudioConfiguration::telephone()),
        system_prompt: Some("Be kind.".into()),
        context: Some(ContextChange::Inject(Context {
            kind: Some(ContextKind::Persistent),
            text: "The caller is on a phone line.".into(),
        })),
        variables: [
            ("name".to_owned(), Variable::from("Ann")),
            ("open_tickets".to_owned(), Variable::Number(2.into())),
            ("vip".to_owned(), Variable::Flag(false)),
        ]
        .into(),
        tools: Some(vec![Tool {
            kind: ToolType::Function,
            name: "look_up".into(),
            parameters: "{\"type\":\"object\"}".into(),
            description: Some("Looks up a ticket.".into()),
            fallback_content: None,
        }]),
        builtin_tools: Some(vec![BuiltinTool { name: BuiltinToolName::HangUp, fallback_content: None }]),
        metadata: Some([("campaign".to_owned(), serde_json::json!("spring"))].into_iter().collect()),
        voice_id: Some("v-1".into()),
        language_model_api_key: None,
    }
}

/// One of each message that EVI may send.
pub(crate) fn server_messages() -> Vec<ServerMessage<'static>> {
    let scores: Scores = EMOTIONS.iter().map(|name| (*name, 0.25)).collect();
    vec![
        ServerMessage::ChatMetadata(ChatMetadata {
            chat_group_id: "g".into(),
            chat_id: "c".into(),
            request_id: Some("00000000-0000-0000-0000-00000000000c123456".into()),
            custom_session_id: Some("call-1".into()),
        }),
        ServerMessage::UserMessage(UserMessage {
            message: ChatMessage::new(Role::User, "What's that?"),
            models: Inference::with_scores(scores.clone()),
            time: Some(Interval { begin: 7390, end: 8210 }),
            language: Some("en".into()),
            ..UserMessage::default()
        }),
        ServerMessage::AssistantMessage(AssistantMessage {
            id: Some("0123456789abcdef0123456789abcdef".into()),
            message: ChatMessage::new(Role::Assistant, "Hey there!"),
            is_quick_response: true,
            ..AssistantMessage::default()
        }),
        ServerMessage::AssistantProsody(AssistantProsody {
            id: Some("a".into()),
            models: Inference::with_scores(scores),
            custom_session_id: None,
        }),
        ServerMessage::AudioOutput(AudioOutput::from_wav("a", 0, b"RIFF")),
        ServerMessage::UserInterruption(UserInterruption { time: 810, custom_session_id: None }),
        ServerMessage::AssistantEnd(AssistantEnd::default()),
        ServerMessage::ToolCall(ToolCall {
            tool_call_id: "t1".into(),
            name: "look_up".into(),
            parameters: "{\"id\":\"123\"}".into(),
            tool_type: ToolType::Function,
            response_required: true,
            custom_session_id: None,
        }),
        ServerMessage::ToolResponse(ToolResponse {
            tool_call_id: "t2".into(),
            content: "found".into(),
            ..ToolResponse::default()
        }),
        ServerMessage::ToolError(ToolError { tool_call_id: "t2".into(), error: "lost".into(), ..ToolError::default() }),
        ServerMessage::SessionSettings(Box::new(full_settings())),
        ServerMessage::Error(ErrorMessage::new(
            ErrorCode::InactivityTimeout,
            "No user message for 120 s.".into(),
            None,
        )),
        ServerMessage::Unknown(Unknown { kind: "later".into() }),
    ]
}
