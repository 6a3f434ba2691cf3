//! The parts that calls are put together from.

use std::time::{Duration, Instant};

use call::agent::{Agent, EngineKind};
use call::{Call, CallId, Command, Input, LinkEvent, Output, PhoneEvent, Setup};
use sim::evi::fault::Faults;
use sim::evi::{Evi, EviConfig};
use sim::openai::{OpenAi, OpenAiConfig};
use sim::phone::{Act, CallerScript, Cue, DelaySettings, PhoneConfig};
use sim::world::{Cascade, Rough, World, WorldConfig};

/// The agents that come with the program, by name.
pub(super) const AGENTS: [(&str, &str); 4] = [
    ("receptionist", include_str!("../../../../agents/receptionist.toml")),
    ("transit-booking", include_str!("../../../../agents/transit-booking.toml")),
    ("appointment-reminder", include_str!("../../../../agents/appointment-reminder.toml")),
    ("survey", include_str!("../../../../agents/survey.toml")),
];

pub(super) fn agent(name: &str) -> Agent {
    let (_, text) = AGENTS.iter().find(|(known, _)| *known == name).expect("invariant: only known agents are named");
    Agent::parse(name, text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(super) fn setup(agent: &Agent, engines: &[EngineKind]) -> Setup {
    let unset = agent.variables().into_iter().filter(|name| !agent.variables.contains_key(name));
    let given = unset.map(|name| (name, "2".to_owned())).collect();
    Setup {
        call: CallId::new(1_790_000_000_000, 1),
        epoch: 1,
        script: agent.script(&given).expect("invariant: every variable is given"),
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
    sim::speech::utterance(id).unwrap_or_else(|| panic!("there is no recording {id}")).mulaw()
}

pub(super) fn booking() -> CallerScript {
    CallerScript::new()
        .answers(say("caller-book"))
        .answers(say("caller-check-up"))
        .answers(say("caller-tuesday"))
        .answers(say("caller-name-alex"))
        .answers(say("caller-yes"))
        .answers(say("caller-thanks-bye"))
        .hangs_up_after_goodbye()
}

/// Someone who talks over the agent again and again, presses a key, and goes.
pub(super) fn impatient() -> CallerScript {
    let early = Duration::from_millis(600);
    CallerScript::new()
        .answers(say("caller-book"))
        .interrupts_after(early, say("caller-not-tuesday"))
        .then(Cue::TURN, Act::Press('5'))
        .answers(say("caller-check-up"))
        .interrupts_after(early, say("caller-hours"))
        .interrupts_after(early, say("caller-thanks-bye"))
        .hangs_up_after_goodbye()
}

pub(super) fn config(engine: EngineKind, caller: CallerScript) -> WorldConfig {
    let way = |ms| DelaySettings { delay: Duration::from_millis(ms), ..DelaySettings::default() };
    let sid = "invariant: written as Twilio writes it";
    WorldConfig {
        setup: setup(&agent("receptionist"), &[engine]),
        phone: PhoneConfig::new(
            "AC00000000000000000000000000000001".parse().expect(sid),
            "CA00000000000000000000000000000001".parse().expect(sid),
            "MZ00000000000000000000000000000001".parse().expect(sid),
        ),
        caller,
        evi: Evi::new(EviConfig::default(), Faults::none(), 1),
        openai: OpenAi::new(OpenAiConfig::default(), Faults::none(), 1),
        cascade: Cascade::well(1),
        phone_ways: (way(25), way(25)),
        engine_ways: (way(15), way(15)),
        ringing: Duration::from_millis(600),
        node: Vec::new(),
        rough: Rough::default(),
        bug: None,
        at_most: Duration::from_secs(120),
        seed: 1,
    }
}

pub(super) fn run(config: WorldConfig) -> World {
    let mut world = World::overheard(Instant::now(), config);
    world.run();
    world
}

/// What a call sends to an engine that calls a tool nobody has, while an operator changes the instructions. The engine's
/// side of it is what it said in another call, with the tool's name changed: no simulated mind would ask for such a tool.
pub(super) fn asked_for_an_unknown_tool(engine: EngineKind, said: &[String]) -> Vec<String> {
    let mut now = Instant::now();
    let mut call = Call::new(now, 1_790_000_000_000, setup(&agent("receptionist"), &[engine]), 1);
    let (mut link, mut sent) = (None, Vec::new());
    let mut drain = |call: &mut Call| {
        loop {
            match call.poll() {
                Output::Open { link: opened, .. } => link = Some(opened),
                Output::Send { text, .. } => sent.push(text),
                Output::Wait(_) | Output::Finished => return link.expect("invariant: a call dials at once"),
                Output::Phone(_)
                | Output::ClosePhone
                | Output::SendBinary { .. }
                | Output::Close { .. }
                | Output::Tool(_)
                | Output::Journal(_)
                | Output::Record(_)
                | Output::NextStep(_) => {}
            }
        }
    };
    let link = drain(&mut call);
    call.handle(now, Input::Link(link, LinkEvent::Opened));
    call.handle(now, Input::Phone(PhoneEvent::Started { stream_sid: "MZ00000000000000000000000000000001" }));
    drain(&mut call);
    for (number, text) in said.iter().enumerate() {
        now += Duration::from_millis(20);
        if number == 1 {
            let instructions = "From now on, speak of nothing but the weather.".to_owned();
            call.handle(now, Input::Command(Command::Instruct { instructions }));
        }
        call.handle(now, Input::Link(link, LinkEvent::Text(&text.replace("record_booking", "look_up"))));
        drain(&mut call);
    }
    sent
}
