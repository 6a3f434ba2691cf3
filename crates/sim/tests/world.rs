//! Whole calls in virtual time.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::{Duration, Instant};

use call::agent::{Agent, EngineKind};
use call::journal::{Kind, NextStep};
use call::{CallId, Setup};
use sim::evi::fault::{Fault, Faults, HandshakeFault, Mishap, Moment};
use sim::evi::{Evi, EviConfig};
use sim::openai::{OpenAi, OpenAiConfig};
use sim::phone::{CallerScript, DelaySettings, PhoneConfig};
use sim::speech::utterance;
use sim::world::{Cascade, NodeEvent, Rough, World, WorldConfig, check};

fn receptionist() -> Agent {
    Agent::parse("receptionist", include_str!("../../../agents/receptionist.toml")).unwrap()
}

fn setup(engines: &[EngineKind]) -> Setup {
    let agent = receptionist();
    let given = agent
        .variables()
        .into_iter()
        .filter(|name| !agent.variables.contains_key(name))
        .map(|name| (name, "2".to_owned()))
        .collect();
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
        cascade: Cascade::well(1),
        phone_ways: ways(25),
        engine_ways: ways(15),
        ringing: Duration::from_millis(600),
        node: Vec::new(),
        rough: Rough::default(),
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
    assert!(
        world
            .journal
            .iter()
            .any(|entry| matches!(&entry.kind, Kind::ToolCalled { name, .. } if name == "record_booking"))
    );
    assert!(matches!(world.ended_with, Some(NextStep::HangUp { .. })), "{:?}", world.ended_with);
}

#[test]
fn a_booking_with_openai() {
    let world = run(config(&[EngineKind::OpenAi], booking()));
    println!("{}", world.timeline());
    let mistakes = check::mistakes(&world);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert!(
        world
            .journal
            .iter()
            .any(|entry| matches!(&entry.kind, Kind::ToolCalled { name, .. } if name == "record_booking"))
    );
}

#[test]
fn a_booking_with_the_cascade() {
    let world = run(config(&[EngineKind::Cascade], booking()));
    println!("{}", world.timeline());
    let mistakes = check::mistakes(&world);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert!(
        world
            .journal
            .iter()
            .any(|entry| matches!(&entry.kind, Kind::ToolCalled { name, .. } if name == "record_booking"))
    );
    assert!(matches!(world.ended_with, Some(NextStep::HangUp { .. })), "{:?}", world.ended_with);
}

// --- timelines, kept and reviewed like prose -----------------------------------------------------------------------

fn story(name: &str, config: WorldConfig) {
    let world = run(config);
    let mistakes = check::mistakes(&world);
    assert!(mistakes.is_empty(), "{mistakes:#?}\n{}", world.timeline());
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "timelines", omit_expression => true }, {
        insta::assert_snapshot!(name, world.timeline());
    });
}

fn evi_with(faults: Faults) -> Evi {
    Evi::new(EviConfig::default(), faults, 1)
}

#[test]
fn the_first_call() {
    let caller = CallerScript::new().answers(say("caller-book")).hangs_up_after_goodbye();
    story("first_call", config(&[EngineKind::Hume], caller));
}

#[test]
fn a_barge_in_while_the_engine_is_still_sending() {
    let caller = CallerScript::new()
        .answers(say("caller-book"))
        .interrupts_after(Duration::from_millis(500), say("caller-not-tuesday"))
        .hangs_up_after_goodbye();
    let slow = EviConfig { speed: 1, min_interruption: Duration::from_millis(300), ..EviConfig::default() };
    let config = WorldConfig { evi: Evi::new(slow, Faults::none(), 1), ..config(&[EngineKind::Hume], caller) };
    story("barge_in", config);
}

#[test]
fn a_barge_in_after_the_engine_has_sent_all() {
    let caller = CallerScript::new()
        .answers(say("caller-book"))
        .interrupts_after(Duration::from_millis(200), say("caller-no"))
        .hangs_up_after_goodbye();
    story("barge_in_after_the_turn_was_sent", config(&[EngineKind::Hume], caller));
}

#[test]
fn a_resumption_in_mid_sentence() {
    let drop = Fault::midway(Moment::Spoken { nth: 3, audio: Duration::from_millis(700) }, Mishap::Drop).on(1);
    let caller =
        CallerScript::new().answers(say("caller-book")).answers(say("caller-tuesday")).hangs_up_after_goodbye();
    story("resume", WorldConfig { evi: evi_with(Faults::scripted([drop])), ..config(&[EngineKind::Hume], caller) });
}

#[test]
fn an_engine_that_refuses_at_the_start() {
    let refuse = Fault::Handshake(HandshakeFault::Refuse(401)).always();
    let caller = CallerScript::new().hangs_up_after_goodbye();
    let engines = [EngineKind::Hume, EngineKind::OpenAi];
    story("refused", WorldConfig { evi: evi_with(Faults::scripted([refuse])), ..config(&engines, caller) });
}

#[test]
fn a_caller_who_hangs_up_in_the_greeting() {
    let caller = CallerScript::new().hangs_up_at(Duration::from_millis(3_500));
    story("hang_up", config(&[EngineKind::Hume], caller));
}

#[test]
fn a_node_that_dies() {
    let caller =
        CallerScript::new().answers(say("caller-book")).answers(say("caller-tuesday")).hangs_up_after_goodbye();
    let node = vec![(Duration::from_secs(11), NodeEvent::Dies)];
    story("node_killed", WorldConfig { node, ..config(&[EngineKind::Hume], caller) });
}

#[test]
fn no_engine_at_all() {
    let refuse = Fault::Handshake(HandshakeFault::Refuse(410)).always();
    let caller = CallerScript::new();
    story(
        "no_engine",
        WorldConfig { evi: evi_with(Faults::scripted([refuse])), ..config(&[EngineKind::Hume], caller) },
    );
}
