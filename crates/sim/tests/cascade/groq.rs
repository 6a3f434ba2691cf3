//! The language model: streams by the book, and everything that goes wrong with them.

use std::time::{Duration, Instant};

use sim::evi::{Out, SessionId};
use sim::groq::fault::{Fault, Faults, HandshakeFault, Mishap, Moment};
use sim::groq::{Groq, GroqConfig, Outcome};
use sim::line::server::Refusal;
use wire::groq::connect::CHAT_PATH;
use wire::groq::error::{ApiError, ErrorCode};
use wire::groq::reply::Reply;
use wire::groq::request::{ChatRequest, Message, Tool};
use wire::groq::sse::SseReader;
use wire::groq::stream::{FinishReason, StreamEvent};

use super::status;

fn ask(words: &str) -> ChatRequest {
    let tools = vec![Tool::function("hang_up", None, None), Tool::function("record_booking", None, None)];
    let messages = vec![Message::system("You are a receptionist."), Message::user(words)];
    ChatRequest { tools, ..ChatRequest::streamed("openai/gpt-oss-120b", messages) }
}

struct Answer {
    events: Vec<StreamEvent>,
    unreadable: usize,
    first_words: Option<Duration>,
    end: Option<Out>,
    last: Duration,
}

impl Answer {
    fn reply(&self) -> Reply {
        let mut reply = Reply::default();
        for event in &self.events {
            if let StreamEvent::Chunk(chunk) = event {
                reply.add(chunk).expect("it is of sensible size");
            }
        }
        reply
    }
}

fn stream(model: &mut Groq, request: &ChatRequest) -> Answer {
    let begun = Instant::now();
    let accepted = model.request(begun, CHAT_PATH, Some("Bearer key"), request.to_json().as_bytes()).expect("answered");
    read(model, accepted.session, begun)
}

fn read(model: &mut Groq, session: SessionId, begun: Instant) -> Answer {
    let (mut now, mut reader) = (begun, SseReader::default());
    let mut answer = Answer { events: Vec::new(), unreadable: 0, first_words: None, end: None, last: Duration::ZERO };
    loop {
        while let Some(out) = model.poll(now, session) {
            answer.last = now - begun;
            match out {
                Out::Text(text) => reader.push(text.as_bytes(), |event| {
                    match event.map_err(|_| ()).and_then(|event| StreamEvent::parse(&event).map_err(|_| ())) {
                        Ok(event) => answer.events.push(event),
                        Err(()) => answer.unreadable += 1,
                    }
                }),
                Out::Binary(_) | Out::Close { .. } | Out::Drop => answer.end = Some(out),
            }
            let said =
                answer.events.iter().any(|it| matches!(it, StreamEvent::Chunk(chunk) if !chunk.content().is_empty()));
            if said {
                answer.first_words.get_or_insert(now - begun);
            }
        }
        match model.next_due(session) {
            Some(due) => now = now.max(due),
            None => return answer,
        }
    }
}

fn model(outcome: Option<Outcome>) -> Groq {
    let outcomes = outcome.map(|outcome| (1, outcome)).into_iter().collect();
    Groq::new(GroqConfig { outcomes, ..GroqConfig::default() }, Faults::none(), 7)
}

#[test]
fn words_come_token_by_token_and_a_tool_call_in_pieces() {
    let mut model = model(None);
    let answer = stream(&mut model, &ask("I'd like to book an appointment."));
    let reply = answer.reply();
    assert_eq!((reply.finish, reply.tool_calls()), (Some(FinishReason::Stop), Vec::new()));
    assert_eq!(reply.content, model.records().next().unwrap().1.reply);
    assert_eq!(answer.first_words, Some(Duration::from_millis(150)));
    assert!(answer.events.len() > 10 && answer.events.last() == Some(&StreamEvent::Done));
    assert!(reply.usage.is_some() && reply.request_id.is_some_and(|id| id.starts_with("req_")));
    let bye = stream(&mut model, &ask("No, thank you. Goodbye.")).reply();
    assert_eq!(bye.finish, Some(FinishReason::ToolCalls));
    let calls = bye.tool_calls();
    assert_eq!(calls[0].function.name, "hang_up");
    assert_eq!(calls[0].function.arguments, r#"{"reason":"said_goodbye"}"#);
}

#[test]
fn a_reply_that_is_stopped_is_remembered_as_far_as_it_went() {
    let mut model = model(None);
    let begun = Instant::now();
    let body = ask("I'd like to book an appointment.").to_json();
    let session = model.request(begun, CHAT_PATH, Some("Bearer key"), body.as_bytes()).unwrap().session;
    let mut now = begun;
    while now < begun + Duration::from_millis(180) {
        while model.poll(now, session).is_some() {}
        now += Duration::from_millis(1);
    }
    model.disconnect(now, session);
    let record = model.records().next().unwrap().1.clone();
    assert!(!record.sent.is_empty() && record.sent.len() < record.reply.len() && !record.done);
    assert!(record.reply.starts_with(&record.sent));
    assert!(model.poll(now + Duration::from_secs(9), session).is_none() && model.next_due(session).is_none());
}

#[test]
fn a_stream_breaks_off_in_every_way_that_is_known() {
    let told = |outcome| {
        let answer = stream(&mut model(Some(outcome)), &ask("I'd like to book an appointment."));
        (answer.reply(), answer.events.last().cloned())
    };
    for outcome in [Outcome::ErrorObject(3), Outcome::ErrorEvent(3)] {
        assert!(matches!(told(outcome), (_, Some(StreamEvent::Error(_)))), "{outcome:?}");
    }
    assert!(told(Outcome::ErrorInChunk(3)).0.error.is_some());
    assert_eq!(told(Outcome::TooLong(3)).0.finish, Some(FinishReason::Length));
    let (reply, last) = told(Outcome::NoDone);
    assert!(reply.finish.is_some() && matches!(last, Some(StreamEvent::Chunk(_))));
    let limited = ChatRequest { max_completion_tokens: Some(2), ..ask("I'd like to book an appointment.") };
    assert_eq!(stream(&mut model(None), &limited).reply().finish, Some(FinishReason::Length));
    let broken = stream(&mut model(Some(Outcome::BrokenArguments)), &ask("No, thank you. Goodbye.")).reply();
    assert!(serde_json::from_str::<serde_json::Value>(&broken.tool_calls()[0].function.arguments).is_err());
}

#[test]
fn limits_and_slips_are_answered_as_the_vendor_does() {
    let refused = |outcome| {
        let body = ask("Hello.").to_json();
        match model(outcome).request(Instant::now(), CHAT_PATH, Some("Bearer key"), body.as_bytes()) {
            Err(Refusal::Answered { status, headers, body }) => (status, headers, ApiError::parse(body.as_bytes())),
            Err(Refusal::Silence) | Ok(_) => panic!("it is refused"),
        }
    };
    let (status_of, headers, error) = refused(Some(Outcome::RateLimited(Duration::from_secs(7))));
    assert_eq!((status_of, error.known_code()), (429, Some(ErrorCode::RateLimitExceeded)));
    assert!(headers.contains(&("retry-after", "7".to_owned())));
    let (status_of, headers, error) = refused(Some(Outcome::ToolUseFailed));
    assert_eq!((status_of, error.known_code()), (400, Some(ErrorCode::ToolUseFailed)));
    assert!(error.failed_generation.is_some() && headers.iter().all(|(name, _)| *name != "retry-after"));
    let retired = ChatRequest { model: "llama-3.1-8b-instant".to_owned(), reasoning_effort: None, ..ask("Hello.") };
    let mut model = model(None);
    let mut send = |request: &ChatRequest| {
        status(model.request(Instant::now(), CHAT_PATH, Some("Bearer key"), request.to_json().as_bytes()))
    };
    assert_eq!(send(&retired), 404);
    assert_eq!(send(&ChatRequest { stream: false, ..ask("Hello.") }), 400);
}

#[test]
fn it_fails_as_it_is_told() {
    let run = |at, what| {
        let mut model = Groq::new(GroqConfig::default(), Faults::scripted([Fault::midway(at, what).on(1)]), 7);
        stream(&mut model, &ask("I'd like to book an appointment."))
    };
    let early = Moment::Open(Duration::from_millis(170));
    assert_eq!(run(early, Mishap::Drop).end, Some(Out::Drop));
    let stalled = run(early, Mishap::Stall(None));
    assert!(stalled.end.is_none() && stalled.last <= Duration::from_millis(200));
    let paused = run(early, Mishap::Stall(Some(Duration::from_secs(3))));
    assert!(paused.events.last() == Some(&StreamEvent::Done) && paused.last >= Duration::from_secs(3));
    assert_eq!(run(early, Mishap::MalformedJson).unreadable, 1);
    assert!(run(early, Mishap::UnknownType).events.contains(&StreamEvent::Unknown));
    let huge = run(early, Mishap::HugeAudio);
    assert!(huge.unreadable == 1 || huge.events.last() == Some(&StreamEvent::Done));
    assert!(run(early, Mishap::FailedTurn).events.iter().any(|event| matches!(event, StreamEvent::Error(_))));
    let mut refusing = Groq::new(
        GroqConfig::default(),
        Faults::scripted([
            Fault::Handshake(HandshakeFault::Refuse(503)).on(1),
            Fault::Handshake(HandshakeFault::Silence).on(2),
        ]),
        7,
    );
    let body = ask("Hello.").to_json();
    let mut send = || status(refusing.request(Instant::now(), CHAT_PATH, Some("Bearer key"), body.as_bytes()));
    assert_eq!((send(), send()), (503, 0));
}
