//! Stories with `OpenAI` Realtime.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use call::agent::EngineKind;
use sim::evi::fault::{Fault, Faults, Mishap, Moment};
use sim::openai::{Frame, OpenAi, OpenAiConfig, Out, Outcome};
use sim::world::{NodeEvent, Order, WorldConfig};
use wire::openai::response::StatusReason;

use super::calls::{AGENTS, agent, asked_for_an_unknown_tool, booking, config, impatient, run, setup};
use super::{Excused, Line, lines_of};

/// Calls by seed, each with its own switches thrown.
const SEEDS: u64 = 4;

/// All stories with `OpenAI` Realtime.
#[must_use]
pub fn openai() -> Vec<Line> {
    let mut lines = Vec::new();
    for (story, config) in calls() {
        lines.extend(lines_of(story, &Excused::nothing(), run(config)));
    }
    let said: Vec<String> = lines
        .iter()
        .filter(|line| line.story == "a booking" && line.wire == "from_engine")
        .map(|line| line.text.clone())
        .collect();
    let sent = asked_for_an_unknown_tool(EngineKind::OpenAi, &said).into_iter();
    lines.extend(sent.map(|text| Excused::nothing().line("an unknown tool", "to_engine", text)));
    for (name, _) in AGENTS {
        let story = format!("a call of {name}");
        let setup = setup(&agent(name), &[EngineKind::OpenAi]);
        let short = WorldConfig { setup, at_most: Duration::from_secs(8), ..openai_call() };
        lines.extend(lines_of(&story, &Excused::nothing(), run(short)));
    }
    for seed in 1..=SEEDS {
        let switches = OpenAiConfig { extra_fields: 0.0, unknown_events: 0.0, ..OpenAiConfig::by_seed(seed) };
        let by_seed = WorldConfig { openai: OpenAi::new(switches.clone(), Faults::none(), seed), ..openai_call() };
        lines.extend(lines_of(&format!("seed {seed}"), &Excused::nothing(), run(by_seed)));
        lines.extend(alone(&format!("seed {seed} alone"), switches, seed));
    }
    let stranger = OpenAiConfig { extra_fields: 0.3, unknown_events: 0.1, ..OpenAiConfig::default() };
    let excused = Excused { keys: vec!["trace"], types: vec!["session.metrics"] };
    let strange = WorldConfig { openai: OpenAi::new(stranger, Faults::none(), 1), ..openai_call() };
    lines.extend(lines_of("a service newer than its schema", &excused, run(strange)));
    let aged = OpenAiConfig {
        conversation_created: true,
        expiry_error: true,
        transcription_failures: 0.5,
        session_max: Duration::from_secs(170),
        ..OpenAiConfig::default()
    };
    lines.extend(alone("alone", aged, 1));
    lines.retain(|line| !matches!(line.wire, "from_phone" | "to_phone"));
    lines
}

fn openai_call() -> WorldConfig {
    config(EngineKind::OpenAi, booking())
}

fn calls() -> Vec<(&'static str, WorldConfig)> {
    let service = |config, faults| OpenAi::new(config, faults, 1);
    let slow = OpenAiConfig { speed: 1, ..OpenAiConfig::default() };
    let outcomes = BTreeMap::from([
        (2, Outcome::Failed),
        (4, Outcome::Incomplete(StatusReason::ContentFilter)),
        (5, Outcome::Incomplete(StatusReason::MaxOutputTokens)),
    ]);
    let unlucky = OpenAiConfig { outcomes, transcription_failures: 0.4, ..OpenAiConfig::default() };
    let dropped = Faults::scripted([
        Fault::midway(Moment::Spoken { nth: 2, audio: Duration::from_millis(300) }, Mishap::Drop).on(1),
        Fault::midway(Moment::CallerTurn(2), Mishap::Close { code: 1011, reason: "try again later".to_owned() }).on(2),
    ]);
    let orders = [(4, Order::Say), (14, Order::Say), (20, Order::HangUp)];
    let orders = orders.map(|(at, order)| (Duration::from_secs(at), NodeEvent::Commanded(order)));
    vec![
        ("a booking", openai_call()),
        ("talking over the agent", config(EngineKind::OpenAi, impatient())),
        (
            "talking over a slow agent",
            WorldConfig { openai: service(slow, Faults::none()), ..config(EngineKind::OpenAi, impatient()) },
        ),
        ("responses that fail", WorldConfig { openai: service(unlucky, Faults::none()), ..openai_call() }),
        ("dropped", WorldConfig { openai: service(OpenAiConfig::default(), dropped), ..openai_call() }),
        ("an operator speaks", WorldConfig { node: orders.to_vec(), ..openai_call() }),
        ("the node dies", WorldConfig { node: vec![(Duration::from_secs(12), NodeEvent::Dies)], ..openai_call() }),
    ]
}

/// What a client that is not our call machine can make the service say.
const TYPED: [&str; 16] = [
    r#"{"type":"session.update","event_id":"mine-1","session":{"type":"realtime","instructions":"Be brief.","output_modalities":["audio"],"tools":[{"type":"function","name":"record_booking","description":"Books.","parameters":{"type":"object","properties":{}}}],"tool_choice":"auto","max_output_tokens":"inf","audio":{"input":{"format":{"type":"audio/pcmu"},"noise_reduction":null,"transcription":{"model":"gpt-transcribe","language":"en"},"turn_detection":{"type":"server_vad","threshold":0.5,"prefix_padding_ms":300,"silence_duration_ms":500,"create_response":true,"interrupt_response":true,"idle_timeout_ms":null}},"output":{"format":{"type":"audio/pcmu"},"voice":"marin","speed":1.0}}}}"#,
    r#"{"type":"response.create","response":{"instructions":"Say exactly this: Hello there.","metadata":{"turn":"1"}}}"#,
    r#"{"type":"conversation.item.create","item":{"id":"item_mine","type":"message","role":"user","content":[{"type":"input_text","text":"I'd like to book an appointment."}]}}"#,
    r#"{"type":"response.create"}"#,
    r#"{"type":"conversation.item.create","previous_item_id":"root","item":{"type":"message","role":"system","content":[{"type":"input_text","text":"The caller is in a hurry."}]}}"#,
    r#"{"type":"conversation.item.create","item":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Certainly."}]}}"#,
    r#"{"type":"conversation.item.retrieve","item_id":"item_mine"}"#,
    r#"{"type":"conversation.item.delete","item_id":"item_mine"}"#,
    r#"{"type":"conversation.item.truncate","item_id":"item_nobodys","content_index":0,"audio_end_ms":100}"#,
    r#"{"type":"input_audio_buffer.clear"}"#,
    r#"{"type":"input_audio_buffer.commit"}"#,
    r#"{"type":"response.cancel","event_id":"mine-2"}"#,
    "{",
    r#"{"type":"dance","event_id":"mine-3"}"#,
    r#"{"type":"session.update","session":{"type":"realtime","voice":"marin"}}"#,
    r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","idle_timeout_ms":6000}}}}}"#,
];

/// A conversation with the service alone: typed, with mistakes, spoken, silent, and past its age.
fn alone(story: &str, config: OpenAiConfig, seed: u64) -> Vec<Line> {
    let mut openai = OpenAi::new(config, Faults::none(), seed);
    let mut now = Instant::now();
    let session = openai
        .connect(now, "/v1/realtime?model=gpt-realtime-2.1", Some("key"))
        .expect("invariant: any key will do")
        .session;
    let mut lines = Vec::new();
    let mut run = |openai: &mut OpenAi, frames: &mut dyn Iterator<Item = Frame>, at_least: u32| {
        for count in 0_u32.. {
            let frame = frames.next();
            if frame.is_none() && count >= at_least {
                break;
            }
            if let Some(frame) = frame {
                openai.receive(now, session, &frame);
            }
            while let Some(out) = openai.poll(now, session) {
                if let Out::Text(text) = out {
                    lines.push(Excused::nothing().line(story, "from_engine", text));
                }
            }
            now += Duration::from_millis(20);
        }
    };
    for text in TYPED {
        run(&mut openai, &mut [Frame::Text(text.to_owned())].into_iter(), 250);
    }
    for id in ["caller-book", "caller-check-up", "caller-tuesday", "caller-name-alex", "caller-yes"] {
        let mut codes = sim::speech::utterance(id).expect("invariant: it is recorded").mulaw();
        codes.resize(codes.len() + 8_000 * 12, 0xFF);
        let frames = codes.chunks(160).map(|chunk| {
            let mut text = String::new();
            wire::openai::client::write_append(chunk, &mut text);
            Frame::Text(text)
        });
        run(&mut openai, &mut frames.collect::<Vec<_>>().into_iter(), 0);
    }
    run(&mut openai, &mut std::iter::empty(), 1_500);
    lines
}
