//! Hume's own package judges the simulated EVI, and what we send to EVI.

use std::time::Duration;

use conformance::python::{Desk, judge};
use serde::Serialize;
use sim::evi::fault::Faults;
use sim::evi::{EviConfig, server};

/// A webhook delivery, as Hume would make it.
#[derive(Serialize)]
struct Delivery {
    key: String,
    body: String,
    timestamp: String,
    signature: String,
}

fn deliveries() -> Vec<Delivery> {
    let key = "a-webhook-signing-key";
    let bodies = [
        r#"{"event_name":"chat_started","chat_id":"c","chat_group_id":"g","start_time":1790000000123,"chat_start_type":"new_chat_group"}"#,
        r#"{"event_name":"chat_ended","chat_id":"c","custom_session_id":"Zoë · 東京","duration_seconds":60}"#,
        "",
    ];
    let sign = |body: &str| Delivery {
        key: key.to_owned(),
        body: body.to_owned(),
        timestamp: "1790000000".to_owned(),
        signature: wire::hume::webhook::sign(key.as_bytes(), body.as_bytes(), "1790000000"),
    };
    bodies.map(sign).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn humes_package_accepts_what_we_send_and_talks_with_the_simulated_evi() {
    let desk = Desk::new("hume");
    let overheard = desk.write("overheard", conformance::stories::hume());
    let webhooks = desk.write("webhooks", deliveries());
    let quick = EviConfig {
        api_keys: vec!["key".to_owned()],
        speed: 20,
        model_delay: Duration::from_millis(50),
        ..EviConfig::default()
    };
    let evi = server::start(quick.clone(), Faults::none(), 1).await.expect("a port is free");
    let patient = EviConfig { speed: 1, chunks_per_sentence: 8, min_interruption: Duration::from_millis(300), ..quick };
    let slow = server::start(patient, Faults::none(), 2).await.expect("a port is free");
    let signed_by_python = desk.path("signed");
    judge(
        "hume",
        &[
            ("OVERHEARD", overheard),
            ("WEBHOOKS", webhooks),
            ("EVI_URL", evi.url.clone()),
            ("SLOW_EVI_URL", slow.url.clone()),
            ("RECORDINGS", format!("{}/../../crates/sim/speech", env!("CARGO_MANIFEST_DIR"))),
            ("SIGNED_OUT", signed_by_python),
        ],
    )
    .await;
    // What a receiver by Hume's example would accept, ours accepts too, and the other way round.
    for line in desk.read("signed") {
        let field = |name: &str| line[name].as_str().expect("a text").to_owned();
        let at = field("timestamp").parse().expect("seconds");
        let checked = wire::hume::webhook::verify(
            field("key").as_bytes(),
            field("body").as_bytes(),
            &field("signature"),
            &field("timestamp"),
            at,
        );
        assert_eq!(checked.is_ok(), line["genuine"] == true, "{line}");
    }
    let heard: Vec<String> = evi.records().into_iter().flat_map(|(_, record)| record.heard).collect();
    assert!(heard.iter().any(|words| words == "I'd like to book an appointment."), "{heard:?}");
    assert!(evi.records().iter().any(|(_, record)| record.resumed), "the client resumed a chat");
}
