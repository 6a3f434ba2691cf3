//! One of each message of `OpenAI` Realtime, for the tests beside this file.

use serde_json::json;
use wire::openai::client::{ClientEvent, ClientMessage, ConversationTarget, ResponseOverrides};
use wire::openai::effective::Session;
use wire::openai::error::{ErrorCode, ErrorDetail};
use wire::openai::item::{ContentKind, ContentPart, FunctionCall, Item, ItemStatus, Message, Role};
use wire::openai::response::{InputTokens, Response, ResponseStatus, StatusDetails, StatusReason, TokenKinds, Usage};
use wire::openai::server::{
    ArgumentsDelta, ArgumentsDone, AudioDelta, Committed, Conversation, ConversationCreated, Empty, ErrorEvent,
    ItemEvent, ItemRef, ItemTruncated, OutputItem, Part, PartRef, RateLimit, RateLimits, ResponseEvent, ServerEvent,
    ServerMessage, SessionEvent, SpeechStarted, SpeechStopped, TextDelta, TextDone, TimeoutTriggered, TranscriptDone,
    TranscriptionCompleted, TranscriptionDelta, TranscriptionFailed, TranscriptionSegment, TranscriptionUsage, Unknown,
};
use wire::openai::session::{
    Change, FunctionTool, MaxTokens, Modality, ServerVad, SessionUpdate, Tool, ToolChoice, ToolChoiceMode,
    Transcription, TurnDetection, Voice,
};

/// What a telephone call begins with.
fn telephone_session() -> SessionUpdate {
    let mut session = SessionUpdate::telephone();
    session.instructions = Some("Be kind.".into());
    session.max_output_tokens = Some(MaxTokens::Infinite);
    session.tool_choice = Some(ToolChoice::Mode(ToolChoiceMode::Auto));
    session.tools = Some(vec![Tool::Function(FunctionTool {
        name: "hang_up".into(),
        description: Some("Ends the call.".into()),
        parameters: Some(json!({"type": "object", "properties": {}})),
    })]);
    let audio = session.audio.as_mut().expect("a telephone session has sound");
    let input = audio.input.as_mut().expect("both ways");
    input.noise_reduction = Change::Clear;
    input.transcription = Change::Set(Transcription {
        model: Some("gpt-transcribe".into()),
        language: Some("en".into()),
        ..Transcription::default()
    });
    input.turn_detection = Change::Set(TurnDetection::ServerVad(ServerVad {
        threshold: Some(0.5),
        prefix_padding_ms: Some(300),
        silence_duration_ms: Some(500),
        create_response: Some(true),
        interrupt_response: Some(true),
        idle_timeout_ms: None,
    }));
    let output = audio.output.as_mut().expect("both ways");
    output.voice = Some(Voice::Name("marin".into()));
    output.speed = Some(1.0);
    session
}

/// One of each message that a client may send.
pub(crate) fn client_messages() -> Vec<ClientMessage<'static>> {
    let overrides = ResponseOverrides {
        instructions: Some("Greet the caller.".into()),
        conversation: Some(ConversationTarget::None),
        input: Some(vec![Item::ItemReference { id: "item_1".into() }, Item::user_text("Hi")]),
        metadata: Some([("purpose".to_owned(), "greeting".to_owned())].into()),
        ..ResponseOverrides::default()
    };
    vec![
        ClientMessage::with_id(ClientEvent::SessionUpdate { session: Box::new(telephone_session()) }, "cfg-1"),
        ClientEvent::append(&[0xFF; 6]).into(),
        ClientEvent::Commit {}.into(),
        ClientEvent::Clear {}.into(),
        ClientEvent::ItemCreate { previous_item_id: Some("root".into()), item: Item::system_text("It is Monday.") }
            .into(),
        ClientEvent::ItemCreate { previous_item_id: None, item: Item::user_text("Hi") }.into(),
        ClientEvent::ItemCreate { previous_item_id: None, item: Item::assistant_text("Hello") }.into(),
        ClientMessage::with_id(
            ClientEvent::ItemCreate { previous_item_id: None, item: Item::tool_output("call_1", "{}") },
            "tool-1",
        ),
        ClientEvent::ItemTruncate { item_id: "item_1".into(), content_index: 0, audio_end_ms: 710 }.into(),
        ClientEvent::ItemDelete { item_id: "item_1".into() }.into(),
        ClientEvent::ItemRetrieve { item_id: "item_1".into() }.into(),
        ClientEvent::respond().into(),
        ClientEvent::ResponseCreate { response: Some(Box::new(overrides)) }.into(),
        ClientEvent::ResponseCancel { response_id: Some("resp_1".into()) }.into(),
        ClientEvent::ResponseCancel { response_id: None }.into(),
    ]
}

/// One of each message that the server may send.
pub(crate) fn server_messages() -> Vec<ServerMessage<'static>> {
    let part = PartRef { response_id: "resp_1".into(), item_id: "item_2".into(), output_index: 0, content_index: 0 };
    let (response_id, item_id) = ("resp_1".to_owned(), "item_2".to_owned());
    let spoken = Item::Message(Message {
        id: Some(item_id.clone()),
        object: Some("realtime.item".into()),
        status: Some(ItemStatus::Completed),
        role: Role::Assistant,
        content: vec![ContentPart::audio(ContentKind::OutputAudio, Some("Hello".into()))],
    });
    let called = Item::FunctionCall(FunctionCall {
        id: Some("item_3".into()),
        status: Some(ItemStatus::InProgress),
        call_id: Some("call_1".into()),
        name: "hang_up".into(),
        ..FunctionCall::default()
    });
    let mut session = Session {
        kind: "realtime".into(),
        id: Some("sess_1".into()),
        expires_at: Some(1_700_003_600),
        ..Session::default()
    };
    session.apply(&telephone_session());
    let session = || SessionEvent { session: Box::new(session.clone()) };
    let item = |item: &Item| ItemEvent { previous_item_id: Some("item_1".into()), item: item.clone() };
    let output = |item: &Item| OutputItem { response_id: "resp_1".into(), output_index: 0, item: item.clone() };
    let content = || Part {
        response_id: "resp_1".into(),
        item_id: "item_2".into(),
        output_index: 0,
        content_index: 0,
        part: ContentPart::audio(ContentKind::Audio, None),
    };
    let delta = || TextDelta {
        response_id: "resp_1".into(),
        item_id: "item_2".into(),
        output_index: 0,
        content_index: 0,
        delta: "Hel".into(),
    };
    let done = Response {
        status: ResponseStatus::Cancelled,
        status_details: Some(StatusDetails {
            kind: Some(ResponseStatus::Cancelled),
            reason: Some(StatusReason::TurnDetected),
            error: None,
        }),
        output: vec![spoken.clone(), called.clone()],
        conversation_id: Some("conv_1".into()),
        output_modalities: vec![Modality::Audio],
        max_output_tokens: Some(MaxTokens::Limit(4096)),
        usage: Some(Usage {
            total_tokens: 30,
            input_tokens: 20,
            output_tokens: 10,
            input_token_details: Some(InputTokens { text_tokens: 5, audio_tokens: 15, ..InputTokens::default() }),
            output_token_details: Some(TokenKinds { text_tokens: 2, audio_tokens: 8 }),
        }),
        ..Response::begun("resp_1")
    };
    let events = vec![
        ServerEvent::SessionCreated(session()),
        ServerEvent::SessionUpdated(session()),
        ServerEvent::ConversationCreated(ConversationCreated {
            conversation: Conversation { id: Some("conv_1".into()), object: None },
        }),
        ServerEvent::ItemAdded(item(&spoken)),
        ServerEvent::ItemDone(item(&called)),
        ServerEvent::ItemCreated(item(&spoken)),
        ServerEvent::ItemRetrieved(ItemEvent { previous_item_id: None, item: Item::user_text("Hi") }),
        ServerEvent::ItemTruncated(ItemTruncated { item_id: item_id.clone(), content_index: 0, audio_end_ms: 710 }),
        ServerEvent::ItemDeleted(ItemRef { item_id: item_id.clone() }),
        ServerEvent::TranscriptionDelta(TranscriptionDelta {
            item_id: "item_1".into(),
            content_index: 0,
            delta: "Go".into(),
        }),
        ServerEvent::TranscriptionCompleted(TranscriptionCompleted {
            item_id: "item_1".into(),
            content_index: 0,
            transcript: "Good morning".into(),
            usage: Some(TranscriptionUsage::Duration { seconds: 1.5 }),
        }),
        ServerEvent::TranscriptionFailed(TranscriptionFailed {
            item_id: "item_1".into(),
            content_index: 0,
            error: ErrorDetail::default(),
        }),
        ServerEvent::TranscriptionSegment(TranscriptionSegment {
            id: "seg_1".into(),
            item_id: "item_1".into(),
            content_index: 0,
            text: "Hi".into(),
            speaker: "A".into(),
            start: 0.5,
            end: 1.5,
        }),
        ServerEvent::Committed(Committed { item_id: "item_1".into(), previous_item_id: None }),
        ServerEvent::Cleared(Empty {}),
        ServerEvent::SpeechStarted(SpeechStarted { audio_start_ms: 100, item_id: "item_1".into() }),
        ServerEvent::SpeechStopped(SpeechStopped { audio_end_ms: 1600, item_id: "item_1".into() }),
        ServerEvent::TimeoutTriggered(TimeoutTriggered {
            audio_start_ms: 100,
            audio_end_ms: 1600,
            item_id: "item_1".into(),
        }),
        ServerEvent::ResponseCreated(ResponseEvent { response: Box::new(Response::begun("resp_1")) }),
        ServerEvent::ResponseDone(ResponseEvent { response: Box::new(done) }),
        ServerEvent::OutputItemAdded(output(&called)),
        ServerEvent::OutputItemDone(output(&spoken)),
        ServerEvent::ContentPartAdded(content()),
        ServerEvent::ContentPartDone(content()),
        ServerEvent::AudioDelta(AudioDelta::from_bytes(&part, &[0xFF; 6])),
        ServerEvent::AudioDone(part),
        ServerEvent::TranscriptDelta(delta()),
        ServerEvent::TranscriptDone(TranscriptDone {
            response_id: response_id.clone(),
            item_id: item_id.clone(),
            output_index: 0,
            content_index: 0,
            transcript: "Hello".into(),
        }),
        ServerEvent::TextDelta(delta()),
        ServerEvent::TextDone(TextDone {
            response_id: response_id.clone(),
            item_id: item_id.clone(),
            output_index: 0,
            content_index: 0,
            text: "Hello".into(),
        }),
        ServerEvent::ArgumentsDelta(ArgumentsDelta {
            response_id: response_id.clone(),
            item_id: item_id.clone(),
            output_index: 1,
            call_id: "call_1".into(),
            delta: "{".into(),
        }),
        ServerEvent::ArgumentsDone(ArgumentsDone {
            response_id,
            item_id,
            output_index: 1,
            call_id: "call_1".into(),
            name: "hang_up".into(),
            arguments: "{}".into(),
        }),
        ServerEvent::RateLimits(RateLimits {
            rate_limits: vec![RateLimit { name: "tokens".into(), limit: 1000, remaining: 900, reset_seconds: 0.5 }],
        }),
        ServerEvent::Error(ErrorEvent {
            error: ErrorDetail::invalid_request(ErrorCode::CommitEmpty, "nothing to commit"),
        }),
        ServerEvent::Unknown(Unknown { kind: "mcp_list_tools.completed".into() }),
    ];
    events.into_iter().enumerate().map(|(n, event)| ServerMessage::new(format!("event_{n}"), event)).collect()
}
