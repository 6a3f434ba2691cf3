//! OpenAI's own package judges the simulated service, and what we send to it.

use std::time::Duration;

use conformance::python::{Desk, judge};
use sim::openai::fault::Faults;
use sim::openai::{OpenAiConfig, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openais_package_accepts_what_we_send_and_talks_with_the_simulated_service() {
    let desk = Desk::new("openai");
    let overheard = desk.write("overheard", conformance::stories::openai());
    let quick = OpenAiConfig {
        api_keys: vec!["key".to_owned()],
        models: vec!["gpt-realtime-2.1".to_owned(), "gpt-realtime-2.1-mini".to_owned()],
        speed: 20,
        model_delay: Duration::from_millis(50),
        transcription_delay: Duration::from_millis(10)..Duration::from_millis(60),
        ..OpenAiConfig::default()
    };
    let service = server::start(quick.clone(), Faults::none(), 1).await.expect("a port is free");
    let slow = server::start(OpenAiConfig { speed: 2, ..quick }, Faults::none(), 2).await.expect("a port is free");
    judge(
        "openai",
        &[
            ("OVERHEARD", overheard),
            ("SERVICE_URL", service.url.clone()),
            ("SLOW_SERVICE_URL", slow.url.clone()),
            ("RECORDINGS", format!("{}/../../crates/sim/speech", env!("CARGO_MANIFEST_DIR"))),
        ],
    )
    .await;
    let records = service.records();
    let heard = |words: &str| records.iter().any(|(_, record)| record.heard.iter().any(|heard| heard == words));
    assert!(heard("I'd like to book an appointment."), "the client's speech was understood");
    assert!(records.iter().any(|(_, record)| !record.tool_outputs.is_empty()), "the client answered a tool");
    assert!(
        slow.records().iter().any(|(_, record)| !record.truncations.is_empty()),
        "the client truncated what was cut off"
    );
}
