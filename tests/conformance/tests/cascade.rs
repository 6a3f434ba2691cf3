//! The packages of Deepgram, Groq and Cartesia judge the simulated services of a cascade, and what we send to them.

use std::collections::BTreeMap;
use std::time::Duration;

use conformance::python::{Desk, judge};
use conformance::stories::Line;
use sim::evi::fault::Faults;
use sim::{cartesia, deepgram, groq};
use wire::cartesia::client::{ClientMessage as ToVoice, Generate, GenerationConfig};
use wire::deepgram::client::{ClientMessage as ToEar, Configure, Thresholds};
use wire::deepgram::connect::{Listen, Model, Threshold};
use wire::groq::request::{ChatRequest, Message, Tool, ToolCall, ToolChoice, ToolChoiceMode};

fn line(wire: &'static str, text: String) -> Line {
    Line { story: "wire".to_owned(), wire, text, excused_keys: Vec::new(), excused_types: Vec::new() }
}

fn recordings() -> (&'static str, String) {
    ("RECORDINGS", format!("{}/../../crates/sim/speech", env!("CARGO_MANIFEST_DIR")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deepgrams_package_accepts_what_we_send_and_talks_with_the_simulated_flux() {
    let desk = Desk::new("deepgram");
    let thresholds = Thresholds {
        eager_eot_threshold: Some(Threshold::thousandths(400)),
        eot_threshold: Some(Threshold::thousandths(700)),
        eot_timeout_ms: Some(5_000),
    };
    let listen = Listen {
        thresholds,
        keyterms: vec!["check-up".to_owned()],
        language_hints: vec!["en".to_owned()],
        numerals: Some(true),
        tags: vec!["switchboard".to_owned()],
        mip_opt_out: Some(true),
        ..Listen::telephone(Model::Multi)
    };
    let changes = [
        ToEar::Configure(Configure {
            thresholds: Some(thresholds),
            keyterms: Some(vec!["Thursday".to_owned()]),
            language_hints: Some(vec!["de".to_owned()]),
            numerals: Some(false),
        }),
        ToEar::ForceEndTurn {},
        ToEar::CloseStream {},
    ];
    let written = changes.iter().map(|message| line("to_engine", message.to_json()));
    let overheard = desk.write("overheard", written.chain([line("handshake", listen.path_and_query())]));
    let config = deepgram::DeepgramConfig {
        api_keys: vec!["key".to_owned()],
        speed_percent: 2_000,
        ..deepgram::DeepgramConfig::default()
    };
    let service = deepgram::start(config, Faults::none(), 1).await.expect("a port is free");
    judge("deepgram", &[("OVERHEARD", overheard), ("DEEPGRAM_URL", service.url.clone()), recordings()]).await;
    let heard =
        service.with_model(|model| model.records().flat_map(|(_, record)| record.heard.clone()).collect::<Vec<_>>());
    assert!(heard.iter().any(|words| words == "I'd like to book an appointment."), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groqs_package_accepts_what_we_send_and_talks_with_the_simulated_model() {
    let desk = Desk::new("groq");
    let schema = serde_json::json!({"type": "object", "properties": {"day": {"type": "string"}}});
    let spoken = ChatRequest::streamed("openai/gpt-oss-120b", vec![Message::system("Be kind."), Message::user("Hi")]);
    let booked = ChatRequest {
        tools: vec![Tool::function("record_booking", Some("Books.".to_owned()), Some(schema))],
        tool_choice: Some(ToolChoice::Mode(ToolChoiceMode::Auto)),
        temperature: Some(0.4),
        max_completion_tokens: Some(300),
        user: Some("caller".to_owned()),
        messages: vec![
            Message::user("Book it."),
            Message::Assistant { content: None, tool_calls: vec![ToolCall::new("call_1", "record_booking", "{}")] },
            Message::tool("call_1", "{\"booked\":true}"),
            Message::assistant("It is booked."),
            Message::user("Thanks."),
        ],
        ..spoken.clone()
    };
    let other = ChatRequest::streamed("qwen/qwen3.6-27b", vec![Message::user("Hi")]);
    let written = [spoken, booked, other].map(|request| line("to_engine", request.to_json()));
    let overheard = desk.write("overheard", written);
    let config = groq::GroqConfig {
        api_keys: vec!["key".to_owned()],
        models: vec!["openai/gpt-oss-120b".to_owned()],
        usage_chunk: true,
        comments: true,
        ..groq::GroqConfig::default()
    };
    let outcomes = BTreeMap::from([
        (1, groq::Outcome::RateLimited(Duration::from_secs(7))),
        (2, groq::Outcome::ToolUseFailed),
        (3, groq::Outcome::ErrorObject(2)),
        (4, groq::Outcome::ErrorEvent(2)),
        (5, groq::Outcome::ErrorInChunk(2)),
        (6, groq::Outcome::TooLong(2)),
    ]);
    let failing = groq::GroqConfig { outcomes, usage_chunk: false, ..config.clone() };
    let service = groq::server::start(config, Faults::none(), 1).await.expect("a port is free");
    let failing = groq::server::start(failing, Faults::none(), 1).await.expect("a port is free");
    judge(
        "groq",
        &[
            ("OVERHEARD", overheard),
            ("GROQ_URL", service.url.clone()),
            ("FAILING_GROQ_URL", failing.url.clone()),
            recordings(),
        ],
    )
    .await;
    let called = service.with_model(|model| model.records().filter(|(_, record)| record.tool.is_some()).count());
    assert!(called > 0, "a tool was called");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cartesias_package_accepts_what_we_send_and_talks_with_the_simulated_voice() {
    let desk = Desk::new("cartesia");
    let voice = Generate {
        max_buffer_delay_ms: Some(0),
        language: Some("en".to_owned()),
        generation_config: Some(GenerationConfig { speed: Some(1.1), volume: Some(1.0), emotion: Some("calm".into()) }),
        ..Generate::telephone("sonic-3", "a0e99841-438c-4a64-b679-ae501e7d6091")
    };
    let messages = [
        ToVoice::Generate(Box::new(voice.more("turn", "Hello, "))),
        ToVoice::Generate(Box::new(Generate { flush: Some(true), ..voice.more("turn", "") })),
        ToVoice::Generate(Box::new(voice.last("turn", "there."))),
        ToVoice::cancel("turn"),
    ];
    let overheard = desk.write("overheard", messages.map(|message| line("to_engine", message.to_json())));
    let config = cartesia::CartesiaConfig { api_keys: vec!["key".to_owned()], ..cartesia::CartesiaConfig::default() };
    let service = cartesia::start(config, Faults::none(), 1).await.expect("a port is free");
    judge("cartesia", &[("OVERHEARD", overheard), ("CARTESIA_URL", service.url.clone()), recordings()]).await;
    let babbled = service.with_model(|model| {
        model.records().flat_map(|(_, record)| &record.spoken).filter(|spoken| !spoken.recorded).count()
    });
    assert_eq!(babbled, 0, "all of it was recorded speech");
}
