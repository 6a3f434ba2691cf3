//! Calls, from the command line and from the API, until nothing of them is missing in the record.

use std::time::Duration;

use call::audio::{mulaw, wav};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{DataDir, Dev, THEIRS, program, run, stderr, stdout};

const CALL_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_both_ways_leave_a_complete_record_that_survives_a_restart() {
    let data_dir = DataDir::new("whole");
    let dev = Dev::start(&data_dir.0).await;

    // One by the command, which finds the running program; one by the API; one that comes in: all at the same time.
    let command = program(&data_dir.0, &[])
        .args(["call", "+12025550124", "--scenario", "interrupting"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let inbound = json!({ "from": "+12025550125", "scenario": "curious" });
    let inbound: Value = dev.ask(Method::POST, "/local/inbound", Some(inbound)).await.json().await.unwrap();
    let placed = dev.place(THEIRS, "booking").await;

    let call = dev.until(&placed, CALL_MAX, |call| call["recording"] == "ready").await;
    assert_eq!((call["status"].as_str(), call["direction"].as_str()), (Some("completed"), Some("outbound")));
    assert_eq!((call["ended_by"].as_str(), call["end_reason"].as_str()), (Some("agent"), Some("said_goodbye")));
    assert_eq!((call["engine"].as_str(), call["agent"].as_str()), (Some("hume"), Some("receptionist")));
    assert!(call["duration_s"].as_u64().unwrap() >= 10 && call["simulated"] == true, "{call}");
    assert!(call["answered_at"].is_string() && call["ended_at"].is_string());

    // The caller's words were recognised from the audio that reached the engine.
    let words = said(&dev, &placed, "caller").await;
    assert_eq!(
        words,
        [
            "I'd like to book an appointment.",
            "Tuesday at ten, please.",
            "It's Jamie Rivera.",
            "Yes, that's right.",
            "Thanks a lot, goodbye."
        ]
    );
    let heard = said(&dev, &placed, "agent").await.join(" ");
    for sentence in [
        "This is an AI assistant, and this call is recorded.",
        "How can I help you today?",
        "You are booked for Tuesday at ten.",
    ] {
        assert!(heard.contains(sentence), "{sentence}: {heard}");
    }
    journal_is_whole(&dev, &placed).await;
    recording_has_both_sides(&dev, &placed, call["duration_s"].as_u64().unwrap()).await;

    let sid = inbound["twilio_sid"].as_str().unwrap();
    let calls = dev.get("/v1/calls?direction=inbound").await;
    let came_in = calls["calls"].as_array().unwrap().iter().find(|call| call["twilio_sid"] == sid).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let call = dev.until(&came_in, CALL_MAX, |call| call["status"] == "completed").await;
    assert_eq!((call["from"].as_str(), call["to"].as_str()), (Some("+12025550125"), Some("+12025550100")));
    assert_eq!(said(&dev, &came_in, "caller").await[..2], ["Are you a real person?", "What are your opening hours?"]);

    let shown = command.wait_with_output().unwrap();
    let (text, errors) = (stdout(&shown), stderr(&shown));
    assert!(shown.status.success(), "{text}{errors}");
    for part in [
        "Wait, wait, not Tuesday.",
        "cut off after",
        "You are booked for Thursday at three.",
        "after the caller's last word",
        "recording.wav",
        "1 interruption",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(!text.contains("+12025550124") && text.contains("+1202···0124"), "{text}");

    let (code, written) = dev.terminate();
    assert_eq!(code, Some(0), "{written}");
    for part in ["simulated", "answered", "interrupts", "ended", "Everything is stored."] {
        assert!(written.contains(part), "{part} is not in:\n{written}");
    }
    assert!(
        !written.contains(THEIRS.strip_prefix("+1").unwrap()) || written.contains("cargo run -- call +12025550123")
    );

    // Nothing runs any more: the commands start what they need, on what is on disk.
    let list = run(&data_dir.0, &[], &["calls", "list", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list["calls"].as_array().unwrap().len(), 3);
    let shown = run(&data_dir.0, &[], &["calls", "show", &placed]);
    assert!(stdout(&shown).contains("It's Jamie Rivera."), "{}{}", stdout(&shown), stderr(&shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_a_killed_process_left_behind_is_closed_by_the_next_one() {
    let data_dir = DataDir::new("killed");
    let dev = Dev::start(&data_dir.0).await;
    let id = dev.place(THEIRS, "booking").await;
    dev.until(&id, CALL_MAX, |call| call["status"] == "in_progress").await;
    let spoken = |turns: &[String]| !turns.is_empty();
    let since = std::time::Instant::now();
    while !spoken(&said(&dev, &id, "caller").await) {
        assert!(since.elapsed() < CALL_MAX);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    dev.kill();

    let dev = Dev::start(&data_dir.0).await;
    let call = dev.until(&id, Duration::from_secs(30), |call| call["status"] == "completed").await;
    assert_eq!((call["ended_by"].as_str(), call["end_reason"].as_str()), (Some("system"), Some("error")));
    assert_eq!(said(&dev, &id, "caller").await[0], "I'd like to book an appointment.");
    // What was recorded until then is kept.
    let call = dev.until(&id, Duration::from_secs(30), |call| call["recording"] == "ready").await;
    assert!(call["ended_at"].is_string());
    let (status, _) = dev.bytes(&format!("/v1/calls/{id}/recording"), None).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_end_the_program_lets_the_call_under_way_end_by_itself() {
    let data_dir = DataDir::new("drained");
    let dev = Dev::start_with(&data_dir.0, &[("DRAIN_SECONDS", "60")]).await;
    let id = dev.place(THEIRS, "booking").await;
    until_the_caller_spoke(&dev, &id).await;
    let (code, written) = dev.terminate();
    assert_eq!(code, Some(0), "{written}");
    assert!(written.contains("the call under way") && written.contains("Everything is stored."), "{written}");

    let dev = Dev::start(&data_dir.0).await;
    let call = dev.get(&format!("/v1/calls/{id}")).await;
    assert_eq!(
        (call["ended_by"].as_str(), call["end_reason"].as_str()),
        (Some("agent"), Some("said_goodbye")),
        "{call}"
    );
    assert_eq!(said(&dev, &id, "caller").await.len(), 5);
    journal_is_whole(&dev, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_twice_the_program_ends_at_once_and_what_was_said_is_kept() {
    let data_dir = DataDir::new("interrupted");
    let dev = Dev::start_with(&data_dir.0, &[("DRAIN_SECONDS", "600")]).await;
    let id = dev.place(THEIRS, "booking").await;
    until_the_caller_spoke(&dev, &id).await;
    assert_eq!(dev.terminate_twice(), Some(130));

    let dev = Dev::start(&data_dir.0).await;
    let call = dev.until(&id, Duration::from_secs(30), |call| call["recording"] == "ready").await;
    assert_eq!((call["ended_by"].as_str(), call["end_reason"].as_str()), (Some("system"), Some("error")), "{call}");
    assert_eq!(said(&dev, &id, "caller").await[0], "I'd like to book an appointment.");
}

async fn until_the_caller_spoke(dev: &Dev, id: &str) {
    let since = std::time::Instant::now();
    while dev.get(&format!("/v1/calls/{id}")).await["status"] != "in_progress"
        || said(dev, id, "caller").await.is_empty()
    {
        assert!(since.elapsed() < CALL_MAX, "the caller said nothing");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_alone_runs_what_it_needs_and_says_when_nobody_can_be_reached() {
    let data_dir = DataDir::new("alone");
    let busy = run(&data_dir.0, &[], &["call", THEIRS, "--scenario", "busy"]);
    assert_eq!(busy.status.code(), Some(1), "{}{}", stdout(&busy), stderr(&busy));
    assert!(stdout(&busy).contains("the line was busy"), "{}", stdout(&busy));
    let wrong = run(&data_dir.0, &[], &["call", "+123"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    let hung_up = run(&data_dir.0, &[], &["call", THEIRS, "--scenario", "hangs-up", "--engine", "openai"]);
    let text = stdout(&hung_up);
    assert!(hung_up.status.success(), "{text}{}", stderr(&hung_up));
    assert!(text.contains("by the caller") && text.contains("openai is ready"), "{text}");
    assert!(!data_dir.0.join("running.json").exists());
}

async fn said(dev: &Dev, id: &str, speaker: &str) -> Vec<String> {
    let transcript = dev.get(&format!("/v1/calls/{id}/transcript")).await;
    let turns = transcript["turns"].as_array().unwrap().iter().filter(|turn| turn["speaker"] == speaker);
    let text = if speaker == "caller" { "text" } else { "heard_text" };
    turns.map(|turn| turn[text].as_str().unwrap().to_owned()).collect()
}

/// Entries follow each other without a gap, from the first to the end of the stream.
async fn journal_is_whole(dev: &Dev, id: &str) {
    let journal = dev.get(&format!("/v1/calls/{id}/journal")).await;
    let entries = journal["entries"].as_array().unwrap();
    let numbers: Vec<u64> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=entries.len() as u64).collect::<Vec<_>>());
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    for kind in [
        "prepared",
        "stream_started",
        "engine_ready",
        "disclosure_heard",
        "turn",
        "tool_called",
        "tool_answered",
        "next_step",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    assert_eq!(kinds.last(), Some(&"stream_ended"));
}

/// Stereo, as long as the call, and neither side is silent.
async fn recording_has_both_sides(dev: &Dev, id: &str, duration_s: u64) {
    let path = format!("/v1/calls/{id}/recording");
    let (status, whole) = dev.bytes(&path, None).await;
    assert_eq!(status, 200);
    let layout = wav::layout(&whole).unwrap();
    assert_eq!((layout.encoding, layout.rate, layout.channels), (wav::Encoding::MuLaw, 8_000, 2));
    let frames = &whole[layout.data.clone()];
    let seconds = frames.len() as u64 / 16_000;
    assert!(seconds.abs_diff(duration_s) <= 2, "{seconds} s of {duration_s} s");
    for side in 0..2 {
        let samples: Vec<u8> = frames.iter().skip(side).step_by(2).copied().collect();
        let loud = samples.chunks(160).filter(|frame| !mulaw::is_silent(frame)).count();
        assert!(loud > 100, "side {side} has {loud} frames that are not silent");
    }
    let (status, part) = dev.bytes(&path, Some("bytes=100-299")).await;
    assert_eq!((status, part.as_slice()), (206, &whole[100..300]));
    let (status, _) = dev.bytes(&path, Some("bytes=999999999-")).await;
    assert_eq!(status, 416);
}
