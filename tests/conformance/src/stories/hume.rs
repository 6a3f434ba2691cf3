//! Stories with EVI.

use std::time::{Duration, Instant};

use call::agent::EngineKind;
use sim::evi::fault::{Fault, Faults, Mishap, Moment};
use sim::evi::{Evi, EviConfig, FinalChunk, Frame, Out, ProsodyPlace};
use sim::world::{NodeEvent, Order, WorldConfig};

use super::calls::{AGENTS, agent, asked_for_an_unknown_tool, booking, config, impatient, run, setup};
use super::{Excused, Line, lines_of};

/// Calls by seed, each with its own switches thrown.
const SEEDS: u64 = 6;

/// All stories with EVI.
#[must_use]
pub fn hume() -> Vec<Line> {
    let mut lines = Vec::new();
    for (story, config) in calls() {
        lines.extend(lines_of(story, &Excused::nothing(), run(config)));
    }
    let said: Vec<String> = lines
        .iter()
        .filter(|line| line.story == "a booking" && line.wire == "from_engine")
        .map(|line| line.text.clone())
        .collect();
    let sent = asked_for_an_unknown_tool(EngineKind::Hume, &said).into_iter();
    lines.extend(sent.map(|text| Excused::nothing().line("an unknown tool", "to_engine", text)));
    for (name, _) in AGENTS {
        let story = format!("a call of {name}");
        let setup = setup(&agent(name), &[EngineKind::Hume]);
        let short = WorldConfig { setup, at_most: Duration::from_secs(8), ..hume_call() };
        lines.extend(lines_of(&story, &Excused::nothing(), run(short)));
    }
    for seed in 1..=SEEDS {
        let switches = EviConfig { extra_fields: 0.0, unknown_messages: 0.0, ..EviConfig::by_seed(seed) };
        let mut excused = Excused::nothing();
        if switches.final_chunk != FinalChunk::Absent {
            excused.keys.push("is_final_chunk");
        }
        let by_seed = WorldConfig { evi: Evi::new(switches.clone(), Faults::none(), seed), ..hume_call() };
        lines.extend(lines_of(&format!("seed {seed}"), &excused, run(by_seed)));
        lines.extend(alone(&format!("seed {seed} alone"), &excused, switches, seed));
    }
    let stranger = EviConfig { extra_fields: 0.3, unknown_messages: 0.1, ..EviConfig::default() };
    let excused = Excused { keys: vec!["trace"], types: vec!["speech_rate"] };
    let strange = WorldConfig { evi: Evi::new(stranger, Faults::none(), 1), ..hume_call() };
    lines.extend(lines_of("a service newer than its schema", &excused, run(strange)));
    lines.extend(alone(
        "alone",
        &Excused::nothing(),
        EviConfig { echo_session_settings: true, ..EviConfig::default() },
        1,
    ));
    lines.extend(limits());
    lines.retain(|line| !matches!(line.wire, "from_phone" | "to_phone"));
    lines
}

fn hume_call() -> WorldConfig {
    config(EngineKind::Hume, booking())
}

fn calls() -> Vec<(&'static str, WorldConfig)> {
    let slow = EviConfig {
        speed: 1,
        chunks_per_sentence: 8,
        min_interruption: Duration::from_millis(300),
        ..EviConfig::default()
    };
    let inside = EviConfig { prosody: ProsodyPlace::Inside, quick_responses: true, ..EviConfig::default() };
    let dropped = Faults::scripted([
        Fault::midway(Moment::Spoken { nth: 2, audio: Duration::from_millis(300) }, Mishap::Drop).on(1),
        Fault::midway(Moment::CallerTurn(2), Mishap::Close { code: 1011, reason: "try again later".to_owned() }).on(2),
    ]);
    let late =
        Faults::scripted([
            Fault::midway(Moment::Open(Duration::ZERO), Mishap::LateAudio(Duration::from_millis(150))).always()
        ]);
    let orders = [(4, Order::Say), (14, Order::Say), (20, Order::HangUp)];
    let orders = orders.map(|(at, order)| (Duration::from_secs(at), NodeEvent::Commanded(order)));
    vec![
        ("a booking", hume_call()),
        (
            "talking over the agent",
            WorldConfig { evi: Evi::new(slow.clone(), Faults::none(), 1), ..config(EngineKind::Hume, impatient()) },
        ),
        ("late audio", WorldConfig { evi: Evi::new(slow, late, 1), ..config(EngineKind::Hume, impatient()) }),
        ("older traffic", WorldConfig { evi: Evi::new(inside, Faults::none(), 1), ..hume_call() }),
        ("dropped and resumed", WorldConfig { evi: Evi::new(EviConfig::default(), dropped, 1), ..hume_call() }),
        ("an operator speaks", WorldConfig { node: orders.to_vec(), ..hume_call() }),
        ("the node dies", WorldConfig { node: vec![(Duration::from_secs(12), NodeEvent::Dies)], ..hume_call() }),
        (
            "the node drains",
            WorldConfig {
                node: vec![(Duration::from_secs(9), NodeEvent::Drains(Duration::from_secs(3)))],
                ..hume_call()
            },
        ),
    ]
}

/// What a client that is not our call machine can make EVI say.
const TYPED: [&str; 16] = [
    r#"{"type":"session_settings","audio":{"encoding":"linear16","sample_rate":8000,"channels":1},"custom_session_id":"call-1","system_prompt":"Be brief.","variables":{"name":"Alex","age":42,"new":true},"context":{"text":"A context.","type":"temporary"},"tools":[{"name":"record_booking","type":"function","parameters":"{}","description":"Books."}],"builtin_tools":[{"name":"hang_up"}],"metadata":{"line":3},"voice_id":"voice-1"}"#,
    r#"{"type":"user_input","text":"I'd like to book an appointment."}"#,
    r#"{"type":"assistant_input","text":"This call is recorded."}"#,
    "{",
    r#"{"type":"dance"}"#,
    r#"{"type":"audio_input","data":"%%%"}"#,
    r#"{"type":"session_settings","metadata":"x"}"#,
    r#"{"type":"pause_assistant_message"}"#,
    r#"{"type":"user_input","text":"Tuesday at ten, please."}"#,
    r#"{"type":"resume_assistant_message"}"#,
    r#"{"type":"user_input","text":"Tuesday at ten, please."}"#,
    r#"{"type":"user_input","text":"My name is Alex Morgan."}"#,
    r#"{"type":"user_input","text":"Yes, that's right."}"#,
    r#"{"type":"tool_response","tool_call_id":"nobody's","content":"{}"}"#,
    r#"{"type":"session_settings","voice_id":"voice-2"}"#,
    r#"{"type":"user_input","text":"No, thank you. Goodbye."}"#,
];

/// A conversation with EVI alone: typed, with mistakes, spoken with interim words, and with the wrong audio at the end.
fn alone(story: &str, excused: &Excused, config: EviConfig, seed: u64) -> Vec<Line> {
    let mut evi = Evi::new(config, Faults::none(), seed);
    let mut now = Instant::now();
    let verbose = "/v0/evi/chat?verbose_transcription=true";
    let session = evi.connect(now, verbose, Some("key")).expect("invariant: any key will do").session;
    let mut lines = Vec::new();
    let mut run = |evi: &mut Evi, frames: &mut dyn Iterator<Item = Frame>, at_least: u32| {
        for count in 0_u32.. {
            let frame = frames.next();
            if frame.is_none() && count >= at_least {
                break;
            }
            if let Some(frame) = frame {
                evi.receive(now, session, frame);
            }
            while let Some(out) = evi.poll(now, session) {
                if let Out::Text(text) = out {
                    lines.push(excused.line(story, "from_engine", text));
                }
            }
            now += Duration::from_millis(20);
        }
    };
    for text in TYPED {
        run(&mut evi, &mut [Frame::Text(text.to_owned())].into_iter(), 250);
    }
    for id in ["caller-hours", "caller-check-up"] {
        let samples = sim::speech::utterance(id).expect("invariant: it is recorded").pcm(8_000);
        let mut bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        bytes.resize(bytes.len() + 16_000 * 3, 0);
        run(&mut evi, &mut bytes.chunks(320).map(|chunk| Frame::Binary(chunk.to_vec())), 0);
    }
    let mulaw = sim::speech::utterance("caller-book").expect("invariant: it is recorded").mulaw();
    run(&mut evi, &mut mulaw.chunks(160).map(|chunk| Frame::Binary(chunk.to_vec())), 50);
    lines
}

/// Chats that reach their limits.
fn limits() -> Vec<Line> {
    let silence = EviConfig {
        inactivity: Some(Duration::from_secs(30)),
        inactivity_message: Some("Are you still there?".to_owned()),
        ..EviConfig::default()
    };
    let age = EviConfig {
        inactivity: None,
        max_duration: Some(Duration::from_secs(40)),
        max_duration_message: Some("Our time is up.".to_owned()),
        ..EviConfig::default()
    };
    let mut lines = Vec::new();
    for (story, config) in [("silence", silence), ("age", age)] {
        let mut evi = Evi::new(config, Faults::none(), 1);
        let start = Instant::now();
        let session = evi.connect(start, "/v0/evi/chat", Some("key")).expect("invariant: any key will do").session;
        for second in 0..60 {
            while let Some(out) = evi.poll(start + Duration::from_secs(second), session) {
                if let Out::Text(text) = out {
                    lines.push(Excused::nothing().line(story, "from_engine", text));
                }
            }
        }
    }
    lines
}
