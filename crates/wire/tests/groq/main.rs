//! Groq's chat completions from outside: what is written, what is understood, what is refused.

use proptest::prelude::*;
use serde_json::json;
use wire::groq::error::{ApiError, ErrorCode};
use wire::groq::reply::{ARGUMENTS_BYTES_MAX, Reply, TOOL_CALLS_MAX, TooMuch};
use wire::groq::request::{
    ChatRequest, FunctionKind, Message, NamedFunction, NamedTool, Tool, ToolCall, ToolChoice, ToolChoiceMode,
};
use wire::groq::sse::{SseEvent, SseReader};
use wire::groq::stream::{
    ChatChunk, Choice, Delta, FinishReason, FunctionDelta, StreamEvent, ToolCallDelta, Usage, XGroq,
};

fn request() -> ChatRequest {
    let schema = json!({"type": "object", "properties": {"slot": {"type": "string"}}, "required": ["slot"]});
    ChatRequest {
        temperature: Some(0.3),
        max_completion_tokens: Some(400),
        tools: vec![Tool::function("book", Some("Books a slot.".into()), Some(schema))],
        tool_choice: Some(ToolChoice::Mode(ToolChoiceMode::Auto)),
        user: Some("caller-1".into()),
        ..ChatRequest::streamed(
            "openai/gpt-oss-120b",
            vec![
                Message::system("Be kind."),
                Message::user("Thursday at four."),
                Message::Assistant {
                    content: None,
                    tool_calls: vec![ToolCall::new("call_1", "book", r#"{"slot":"thu-4"}"#)],
                },
                Message::tool("call_1", r#"{"booked":true}"#),
                Message::assistant("It is booked."),
            ],
        )
    }
}

fn chunk(delta: Delta, finish_reason: Option<FinishReason>) -> ChatChunk {
    ChatChunk {
        id: "chatcmpl-1".into(),
        object: "chat.completion.chunk".into(),
        created: 1_795_000_000,
        model: "openai/gpt-oss-120b".into(),
        choices: vec![Choice { delta, finish_reason, ..Choice::default() }],
        ..ChatChunk::default()
    }
}

fn words(words: &str) -> ChatChunk {
    chunk(Delta { content: Some(words.into()), ..Delta::default() }, None)
}

fn call_piece(index: u32, id: Option<&str>, name: Option<&str>, arguments: Option<&str>) -> ChatChunk {
    let function = FunctionDelta { name: name.map(str::to_owned), arguments: arguments.map(str::to_owned) };
    let kind = id.map(|_| FunctionKind::Function);
    let piece = ToolCallDelta { index, id: id.map(str::to_owned), kind, function: Some(function) };
    chunk(Delta { tool_calls: vec![piece], ..Delta::default() }, None)
}

fn last(finish: FinishReason) -> ChatChunk {
    let usage =
        Usage { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25, queue_time: Some(0.01), ..Usage::default() };
    ChatChunk {
        x_groq: Some(XGroq { id: Some("req_1".into()), usage: Some(usage), ..XGroq::default() }),
        ..chunk(Delta::default(), Some(finish))
    }
}

#[test]
fn what_is_written_is_what_the_vendor_documents() {
    insta::assert_snapshot!(request().to_json());
    insta::assert_snapshot!(ChatRequest::streamed("qwen/qwen3.6-27b", vec![Message::user("Hi")]).to_json());
    insta::assert_snapshot!(words("Hi").to_json());
    insta::assert_snapshot!(call_piece(0, Some("call_1"), Some("book"), Some("{")).to_json());
    insta::assert_snapshot!(last(FinishReason::Stop).to_json());
}

#[test]
fn a_request_reads_back_unchanged() {
    let named = NamedTool { kind: FunctionKind::Function, function: NamedFunction { name: "book".into() } };
    let forced = ChatRequest { tool_choice: Some(ToolChoice::Function(named)), ..request() };
    for request in [request(), forced] {
        assert_eq!(ChatRequest::parse(request.to_json().as_bytes()), Ok(request));
    }
}

#[test]
fn what_the_vendor_refuses_is_refused_by_name() {
    let mut good: serde_json::Value = serde_json::from_str(&request().to_json()).unwrap();
    let refused = |pointer: &str, value: serde_json::Value| {
        let mut body = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value;
        let error = ChatRequest::parse(body.to_string().as_bytes()).expect_err(pointer);
        assert_eq!(error.known_code(), Some(ErrorCode::InvalidRequest), "{pointer}");
        error.param
    };
    for (pointer, value, param) in [
        ("/model", json!(""), "model"),
        ("/messages", json!([]), "messages"),
        ("/temperature", json!(2.5), "temperature"),
        ("/top_p", json!(1.5), "top_p"),
        ("/max_completion_tokens", json!(0), "max_completion_tokens"),
        ("/stop", json!(["a", "b", "c", "d", "e"]), "stop"),
        ("/reasoning_effort", json!("none"), "reasoning_effort"),
        ("/reasoning_format", json!("hidden"), "reasoning_format"),
        ("/logprobs", json!(true), "logprobs"),
        ("/colour", json!("blue"), "colour"),
        ("/model", json!(null), ""),
        ("/tool_choice", json!({"type": "function", "function": {"name": "other"}}), "tool_choice.function.name"),
    ] {
        let found = refused(pointer, value);
        assert_eq!(found.as_deref().unwrap_or_default(), param, "{pointer}");
    }
    good["tools"][0]["function"]["name"] = json!("has a space");
    let error = ChatRequest::parse(good.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("tools[0].function.name"));
    assert!(ChatRequest::parse(b"nonsense").is_err() && ChatRequest::parse(b"[]").is_err());
}

#[test]
fn a_setting_without_a_value_is_one_left_out_and_one_sequence_is_a_list_of_one() {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stop": "END"});
    for name in [
        "stream",
        "temperature",
        "top_p",
        "max_completion_tokens",
        "seed",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning_effort",
        "include_reasoning",
        "reasoning_format",
        "service_tier",
        "user",
        "metadata",
        "logit_bias",
    ] {
        body[name] = json!(null);
    }
    let plain = ChatRequest {
        model: "m".into(),
        messages: vec![Message::user("Hi")],
        stop: vec!["END".into()],
        ..ChatRequest::default()
    };
    assert_eq!(ChatRequest::parse(body.to_string().as_bytes()), Ok(plain));
    body["colour"] = json!(null);
    assert_eq!(ChatRequest::parse(body.to_string().as_bytes()).unwrap_err().param.as_deref(), Some("colour"));
}

#[test]
fn an_answer_without_its_call_and_a_call_without_its_answer_are_refused() {
    let call = Message::Assistant { content: None, tool_calls: vec![ToolCall::new("call_1", "book", "{}")] };
    for (messages, param) in [
        (vec![Message::user("Hi"), Message::tool("call_1", "{}")], "messages[1].tool_call_id"),
        (vec![Message::user("Hi"), call.clone()], "messages"),
        (vec![Message::user("Hi"), call.clone(), Message::user("Well?")], "messages[2]"),
        (vec![Message::user("Hi"), call, Message::tool("call_2", "{}")], "messages[2].tool_call_id"),
        (vec![Message::Assistant { content: None, tool_calls: Vec::new() }], "messages[0].content"),
    ] {
        let body = ChatRequest::streamed("m", messages).to_json();
        assert_eq!(ChatRequest::parse(body.as_bytes()).unwrap_err().param.as_deref(), Some(param), "{body}");
    }
}

fn read(stream: &str) -> Vec<StreamEvent> {
    let (mut reader, mut events) = (SseReader::default(), Vec::new());
    reader.push(stream.as_bytes(), |event| {
        events.push(StreamEvent::parse(&event.expect("a line is not too long")).expect("a message is JSON"))
    });
    events
}

#[test]
fn a_stream_reads_back_as_it_was_written() {
    let error = ApiError::invalid_request(ErrorCode::ToolUseFailed, "Failed to call a function.");
    let events = vec![
        StreamEvent::Chunk(Box::new(words("Hi"))),
        StreamEvent::Chunk(Box::new(last(FinishReason::Stop))),
        StreamEvent::Error(error.clone()),
        StreamEvent::Done,
    ];
    let written: String = events.iter().map(StreamEvent::to_sse).collect();
    assert_eq!(read(&written), events);
    assert_eq!(read(&StreamEvent::error_event(&error)), [StreamEvent::Error(error)]);
}

#[test]
fn a_stream_is_read_with_what_came_later_than_this_program() {
    let text = "event: ping\ndata: {}\n\ndata: {\"error\":\"busy\"}\n\ndata: {\"choices\":[{\"delta\":{\"content\":7},\"finish_reason\":\"tired\"}],\"x_groq\":3}\n\n";
    let events = read(text);
    let [StreamEvent::Unknown, StreamEvent::Error(error), StreamEvent::Chunk(chunk)] = events.as_slice() else {
        panic!("each is understood as far as it goes");
    };
    assert_eq!(error.message, "busy");
    assert_eq!((chunk.content(), chunk.choices[0].finish_reason), ("", Some(FinishReason::Other)));
    assert!(StreamEvent::parse(&SseEvent { event: None, data: "nonsense".into() }).is_err());
}

#[test]
fn a_reply_is_gathered_from_pieces_of_any_size() {
    let mut reply = Reply::default();
    for chunk in [
        chunk(Delta { role: Some("assistant".into()), content: Some(String::new()), ..Delta::default() }, None),
        words("One "),
        words("moment."),
        call_piece(1, Some("call_b"), Some("later"), None),
        call_piece(0, Some("call_a"), Some("book"), Some("{\"slot\":")),
        call_piece(0, None, None, Some("\"thu-4\"}")),
        last(FinishReason::ToolCalls),
    ] {
        reply.add(&chunk).unwrap();
    }
    assert_eq!((reply.content.as_str(), reply.finish), ("One moment.", Some(FinishReason::ToolCalls)));
    assert_eq!(reply.usage.map(|usage| usage.total_tokens), Some(25));
    let calls = reply.tool_calls();
    assert_eq!(
        calls,
        [ToolCall::new("call_a", "book", "{\"slot\":\"thu-4\"}"), ToolCall::new("call_b", "later", "{}")]
    );
    assert_eq!(reply.message(), Message::Assistant { content: Some("One moment.".into()), tool_calls: calls });
    assert_eq!(Reply::default().message(), Message::assistant(""));
}

#[test]
fn a_reply_without_end_is_given_up() {
    let mut reply = Reply::default();
    let long = "x".repeat(ARGUMENTS_BYTES_MAX);
    reply.add(&call_piece(0, Some("a"), Some("f"), Some(&long))).unwrap();
    assert_eq!(reply.add(&call_piece(0, None, None, Some("x"))), Err(TooMuch));
    for index in 1..u32::try_from(TOOL_CALLS_MAX).unwrap() {
        reply.add(&call_piece(index, Some("a"), None, None)).unwrap();
    }
    assert_eq!(reply.add(&call_piece(9999, Some("a"), None, None)), Err(TooMuch));
    while reply.add(&words(&long)).is_ok() {}
    assert!(reply.content.len() >= ARGUMENTS_BYTES_MAX);
    assert_eq!(reply.tool_calls().len(), 1, "those without a name cannot be run");
}

proptest! {
    #[test]
    fn anything_is_read_without_panic(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ChatRequest::parse(&bytes);
        let _ = ChatRequest::parse(text.as_bytes());
        let _ = ApiError::parse(&bytes);
        let _ = StreamEvent::parse(&SseEvent { event: None, data: text.clone() });
        let _ = StreamEvent::parse(&SseEvent { event: Some("error".into()), data: text });
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_reply(cut in any::<prop::sample::Index>(), crlf in any::<bool>()) {
        let chunks = [words("Hé "), words("there."), call_piece(0, Some("a"), Some("f"), Some("{}")), last(FinishReason::ToolCalls)];
        let mut stream: String = chunks.into_iter().map(|chunk| StreamEvent::Chunk(Box::new(chunk)).to_sse()).collect();
        stream.push_str(&StreamEvent::Done.to_sse());
        if crlf {
            stream = stream.replace('\n', "\r\n");
        }
        let (bytes, mut events) = (stream.as_bytes(), Vec::new());
        let mut reader = SseReader::default();
        let (head, tail) = bytes.split_at(cut.index(bytes.len()));
        for piece in [head, tail] {
            reader.push(piece, |event| events.push(StreamEvent::parse(&event.unwrap()).unwrap()));
        }
        prop_assert_eq!(events, read(&stream));
    }
}
