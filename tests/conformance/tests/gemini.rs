//! Google's own package judges the simulated Gemini, and what we ask of Gemini.

use std::time::Duration;

use call::outcome::{OutcomeSettings, Question, Said};
use conformance::python::{Desk, judge};
use serde_json::{Value, json};
use sim::gemini::{Fault, Faults, GeminiConfig, server};
use wire::gemini::request::GenerateContent;
use wire::gemini::response::{BlockReason, FinishReason};

const MODEL: &str = "gemini-3.5-flash-lite";

fn question() -> Question {
    let lines = [
        "[1] agent: Hello, how can I help you today?",
        "[2] caller: My name is Alex Morgan. I'd like Tuesday at ten.",
        "[3] agent: You are booked for Tuesday at ten.",
    ];
    let said = lines.iter().filter_map(|line| Said::parse(line)).collect();
    Question::about(said, OutcomeSettings::default()).expect("invariant: something was said")
}

/// What we send, in the words that Google's package takes.
fn ours(question: &Question) -> Value {
    let model = MODEL.parse().expect("invariant: it is a model's name");
    let (text, schema) = (question.text(), question.schema());
    json!(GenerateContent::structured(&model, &question.instructions(), text, schema, 4_096))
}

/// Every word that we know of the service.
fn words() -> Value {
    json!({
        "FinishReason": FinishReason::KNOWN, "BlockedReason": BlockReason::KNOWN,
        "ThinkingLevel": wire::gemini::request::ThinkingLevel::KNOWN,
        "HarmCategory": wire::gemini::request::HarmCategory::KNOWN,
        "HarmBlockThreshold": wire::gemini::request::BlockThreshold::KNOWN,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn googles_package_accepts_what_we_ask_and_talks_with_the_simulated_gemini() {
    let desk = Desk::new("gemini");
    let asked = ours(&question());
    let config =
        GeminiConfig { api_keys: vec!["key".to_owned()], shows_thoughts: true, parts: 2, ..GeminiConfig::default() };
    let service = server::start(config.clone(), Faults::none()).await.expect("a port is free");
    // In the order in which the Python side asks.
    let faults = Faults::scripted([
        Fault::Limited { delay: Some(Duration::from_millis(22_500)), of_the_day: false },
        Fault::Failing(503),
        Fault::Blocked(BlockReason::ProhibitedContent),
        Fault::Stopped(FinishReason::Safety),
        Fault::Stopped(FinishReason::MaxTokens),
        Fault::NoCandidate,
        Fault::Late(Duration::from_secs(30)),
    ]);
    let wrapping = GeminiConfig { wraps_errors: true, ..config };
    let failing = server::start(wrapping, faults).await.expect("a port is free");
    judge(
        "gemini",
        &[
            ("ASKED", desk.write("asked", [&asked])),
            ("WORDS", desk.write("words", [words()])),
            ("GEMINI_URL", service.url.clone()),
            ("FAILING_GEMINI_URL", failing.url.clone()),
            ("MODEL", MODEL.to_owned()),
        ],
    )
    .await;
    // The package was told to ask the same. What it sent is what we send.
    let by_the_package: Vec<Value> = service.asked().into_iter().map(|asked| asked.body).collect();
    assert!(by_the_package.contains(&asked), "ours: {asked:#}\nthe package's: {by_the_package:#?}");
}
