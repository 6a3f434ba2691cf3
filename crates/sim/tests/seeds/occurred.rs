//! What occurred in a world, by name: how often, so that nothing is tested that was merely possible.

use std::collections::BTreeMap;

use call::agent::EngineKind;
use call::journal::{Cover, Kind, LinkCause, NextStep};
use sim::world::World;

pub(crate) fn occurred(world: &World, theme: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut count = |name: String, n: u64| {
        if n > 0 {
            *counts.entry(name).or_default() += n;
        }
    };
    for (name, n) in &world.outputs {
        count(format!("output: {name}"), *n);
    }
    for (name, n) in &world.faults {
        count(
            match *name {
                "stream stopped" => "fault: caller hung up".to_owned(),
                "stream never came" => "fault: stream never came".to_owned(),
                name if name.starts_with("stream ") => format!("end of {name}"),
                name => format!("fault: {name}"),
            },
            *n,
        );
    }
    for (name, n) in world.evi.fault_counts().iter().chain(world.openai.fault_counts()) {
        count(format!("fault: {name}"), u64::from(*n));
    }
    let cascade = &world.cascade;
    for (vendor, counts) in [
        ("deepgram", cascade.deepgram.fault_counts()),
        ("groq", cascade.groq.fault_counts()),
        ("cartesia", cascade.cartesia.fault_counts()),
    ] {
        for (name, n) in counts {
            count(format!("fault: {vendor} {name}"), u64::from(*n));
        }
    }
    let frames = world.streams.iter().flat_map(|stream| stream.phone.sent());
    count("fault: frame lost".into(), frames.filter(|frame| !frame.was_delivered()).count() as u64);
    let cancelled = cascade.cartesia.records().map(|(_, record)| record.cancelled.len() as u64).sum();
    count("cartesia: context cancelled".into(), cancelled);
    for entry in &world.journal {
        match &entry.kind {
            Kind::EngineError { engine: EngineKind::Cascade, code, message } => count(
                match code.as_str() {
                    "rate_limit_exceeded" => "fault: groq rate limit".to_owned(),
                    "tool_use_failed" => "fault: groq tool use failed".to_owned(),
                    "broken_off" if !message.contains("broke off") => "fault: groq error in the stream".to_owned(),
                    code => format!("cascade error: {code}"),
                },
                1,
            ),
            Kind::EngineRefused { .. } => count("engine refused".into(), 1),
            Kind::EngineLost { why, .. } => {
                count("engine lost".into(), 1);
                if matches!(why, LinkCause::Status { status: 429 }) {
                    count("fault: groq rate limit".into(), 1);
                }
                if theme == "SessionEnds" && *why != LinkCause::RolledOver {
                    count("fault: session ended".into(), 1);
                }
            }
            Kind::EngineResumed { covered_by, .. } => {
                count("engine resumed".into(), 1);
                if matches!(covered_by, Cover::Line | Cover::Tone) {
                    count("outage covered by a line".into(), 1);
                }
            }
            Kind::LinePlayed { line } => count(format!("line: {line}"), 1),
            Kind::Interrupted { .. } => count("barge-in".into(), 1),
            Kind::Measured(measured) => {
                count("barge-in: late audio dropped".into(), u64::from(measured.late_audio_ms > 0));
                count("malformed message".into(), u64::from(measured.malformed > 0));
            }
            Kind::DisclosureHeard { .. } => count("disclosure heard".into(), 1),
            Kind::ToolCalled { name, .. } => count(format!("tool: {name}"), 1),
            Kind::Dtmf { .. } => count("key".into(), 1),
            Kind::NextStep { next } => count(
                match next {
                    NextStep::HangUp { ended_by, reason } => format!("end: {ended_by:?} {reason:?}"),
                    NextStep::Transfer { .. } => "end: transferred".into(),
                    NextStep::Apologise { .. } => "end: no engine".into(),
                    NextStep::Continue => "end: handed over".into(),
                },
                1,
            ),
            _ => {}
        }
    }
    counts
}
