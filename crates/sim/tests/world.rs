//! Whole calls in virtual time.

use std::time::{Duration, Instant};

use call::agent::{Agent, EngineKind};
use call::journal::{Kind, NextStep};
use call::{CallId, Setup};
use sim::evi::{Evi, EviConfig, fault::Faults};
use sim::openai::{OpenAi, OpenAiConfig};
use sim::phone::{CallerScript, DelaySettings, PhoneConfig};
use sim::speech::utterance;
use sim::world::{World, WorldConfig, check};

fn receptionist() -> Agent {
    Agent::parse("receptionist", include_str!("../../../agents/receptionist.toml")).unwrap()
}

fn setup(engines: &[EngineKind]) -> Setup {
    let agent = receptionist();
    let given = agent.variables().into_iter().filter(|name| !agent.variables.contains_key(name)).map(|name| (name, "2".to_owned())).collect();
    Setup {
        call: CallId::new(1_790_000_000_000, 1),
        epoch: 1,
        script: agent.script(&given).unwrap(),
        engines: engines.to_vec(),
        history: Vec::new(),
        chat: None,
        offset_ms: 0,
        greeted: false,
        disclosed: false,
        call_ms_max: 1_800_000,
    }
}

fn say(id: &str) -> Vec<u8> {
    utterance(id).unwrap_or_else(|| panic!("there is an utterance {id}")).mulaw()
}

fn booking() -> CallerScript {
    CallerScript::new()
        .answers(say("caller-book"))
        .answers(say("caller-check-up"))
        .answers(say("caller-tuesday"))
        .answers(say("caller-name-alex"))
        .answers(say("caller-yes"))
        .answers(say("caller-thanks-bye"))
        .hangs_up_after_goodbye()
}

fn ways(ms: u64) -> (DelaySettings, DelaySettings) {
    let way = DelaySettings { delay: Duration::from_millis(ms), ..DelaySettings::default() };
    (way.clone(), way)
}

fn config(engines: &[EngineKind], caller: CallerScript) -> WorldConfig {
    WorldConfig {
        setup: setup(engines),
        phone: PhoneConfig::new(
            "AC00000000000000000000000000000001".parse().unwrap(),
            "CA00000000000000000000000000000001".parse().unwrap(),
            "MZ00000000000000000000000000000001".parse().unwrap(),
        ),
        caller,
        evi: Evi::new(EviConfig::default(), Faults::none(), 1),
        openai: OpenAi::new(OpenAiConfig::default(), Faults::none(), 1),
        phone_ways: ways(25),
        engine_ways: ways(15),
        ringing: Duration::from_millis(600),
        node: Vec::new(),
        bug: None,
        at_most: Duration::from_secs(120),
        seed: 1,
    }
}

fn run(config: WorldConfig) -> World {
    let mut world = World::new(Instant::now(), config);
    world.run();
    world
}

#[test]
fn a_booking_with_evi() {
    let world = run(config(&[EngineKind::Hume], booking()));
    println!("{}", world.timeline());
    let mistakes = check::mistakes(&world);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert!(world.journal.iter().any(|entry| matches!(&entry.kind, Kind::ToolCalled { name, .. } if name == "record_booking")));
    assert!(matches!(world.ended_with, Some(NextStep::HangUp { .. })), "{:?}", world.ended_with);
}

#[test]
fn a_booking_with_openai() {
    let world = run(config(&[EngineKind::OpenAi], booking()));
    println!("{}", world.timeline());
    let mistakes = check::mistakes(&world);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert!(world.journal.iter().any(|entry| matches!(&entry.kind, Kind::ToolCalled { name, .. } if name == "record_booking")));
}
