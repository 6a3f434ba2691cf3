//! Hundreds of whole calls with each engine in virtual time, by seed, with everything that can go wrong.
//!
//! `SEED=123 cargo test -p sim --test seeds one -- --nocapture` shows one of them, `CASCADE_SEED=123` one of the cascade.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some kinds are counted")]
#![expect(clippy::print_stdout, reason = "what occurred, and which seed to look at, is what a run is for")]

#[path = "seeds/occurred.rs"]
mod occurred;

use std::collections::BTreeMap;
use std::time::Instant;

use call::agent::EngineKind;
use call::journal::Kind;
use occurred::occurred;
use sim::world::draw::{CascadeTheme, Theme};
use sim::world::planted::Bug;
use sim::world::{World, WorldConfig, check};

/// Sixteen of each theme, in half of which EVI is first (or, where the theme is EVI's own, in all), in half OpenAI.
const SEEDS: u64 = 16 * Theme::ALL.len() as u64;

/// Eight of each theme of the cascade.
const CASCADE_SEEDS: u64 = 8 * CascadeTheme::ALL.len() as u64;

/// So many calls are made with each engine.
const CALLS_MIN: usize = 200;

/// And so many kinds of faults take effect in them, each at least so often.
const FAULTS_MIN: (usize, u64) = (20, 4);

/// How a seed becomes a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draw {
    First(EngineKind),
    Cascade,
}

impl Draw {
    fn config(self, seed: u64) -> WorldConfig {
        match self {
            Self::First(_) => WorldConfig::by_seed(seed),
            Self::Cascade => WorldConfig::cascade_by_seed(seed),
        }
    }

    fn seeds(self) -> Vec<u64> {
        match self {
            Self::First(engine) => {
                (0..SEEDS).filter(|seed| WorldConfig::by_seed(*seed).setup.engines[0] == engine).collect()
            }
            Self::Cascade => (0..CASCADE_SEEDS).collect(),
        }
    }

    fn theme(self, seed: u64) -> String {
        match self {
            Self::First(_) => format!("{:?}", Theme::of(seed)),
            Self::Cascade => format!("{:?}", CascadeTheme::of(seed)),
        }
    }

    fn run(self, seed: u64, bug: Option<Bug>) -> World {
        let mut world = World::new(Instant::now(), WorldConfig { bug, ..self.config(seed) });
        world.run();
        world
    }
}

/// Does something for every seed, on two threads.
fn for_seeds<T: Send, S: Copy + Sync + Send>(seeds: &[S], work: impl Fn(S) -> T + Sync) -> Vec<T> {
    let (left, right) = seeds.split_at(seeds.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| right.iter().map(|seed| work(*seed)).collect::<Vec<T>>());
        let mut done: Vec<T> = left.iter().map(|seed| work(*seed)).collect();
        done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done
    })
}

/// Every seed is a good call; what occurred in all of them, by name.
fn all_good(draw: Draw) -> BTreeMap<String, u64> {
    let seeds = draw.seeds();
    assert!(seeds.len() >= CALLS_MIN, "{draw:?} has {} calls", seeds.len());
    let worlds = for_seeds(&seeds, |seed| {
        let world = draw.run(seed, None);
        (seed, check::mistakes(&world), occurred(&world, &draw.theme(seed)))
    });
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    for (_, _, counts) in &worlds {
        for (name, n) in counts {
            *totals.entry(name.clone()).or_default() += n;
        }
    }
    println!("{} seeds of {draw:?}", seeds.len());
    for (name, n) in &totals {
        println!("{n:>8}  {name}");
    }
    let bad: Vec<_> = worlds.iter().filter(|(_, mistakes, _)| !mistakes.is_empty()).collect();
    for (seed, mistakes, _) in &bad {
        println!("{draw:?} seed {seed} ({}): {mistakes:#?}", draw.theme(*seed));
    }
    assert!(bad.is_empty(), "{} of {} seeds of {draw:?} have mistakes", bad.len(), seeds.len());
    totals
}

/// Enough kinds of faults took effect, and none of these things was merely possible.
fn nothing_is_merely_possible(totals: &BTreeMap<String, u64>, must: &[&str]) {
    let (kinds_min, each) = FAULTS_MIN;
    let kinds: Vec<&String> =
        totals.iter().filter(|(name, n)| name.starts_with("fault: ") && **n >= each).map(|(name, _)| name).collect();
    println!("{} kinds of faults", kinds.len());
    assert!(kinds.len() >= kinds_min, "{} kinds of faults: {kinds:?}", kinds.len());
    let rare: Vec<_> = must
        .iter()
        .map(|name| (name, totals.get(*name).copied().unwrap_or(0)))
        .filter(|(_, n)| *n < FAULTS_MIN.1)
        .collect();
    assert!(rare.is_empty(), "too rare to prove anything: {rare:?}");
}

/// What must have occurred with any engine.
const MUST: [&str; 23] = [
    "fault: phone broke",
    "fault: node killed",
    "fault: node drained",
    "fault: store slow",
    "fault: mark lost",
    "fault: caller hung up",
    "fault: operator hung up",
    "fault: operator transferred",
    "fault: operator spoke",
    "barge-in",
    "engine lost",
    "engine resumed",
    "line: hold",
    "line: sorry",
    "malformed message",
    "disclosure heard",
    "key",
    "tool: record_booking",
    "tool: hang_up",
    "end: no engine",
    "end: handed over",
    "end: transferred",
    "end: Operator HungUp",
];

#[test]
fn every_seed_of_evi_is_a_good_call() {
    let totals = all_good(Draw::First(EngineKind::Hume));
    nothing_is_merely_possible(&totals, &MUST);
    nothing_is_merely_possible(
        &totals,
        &[
            "outage covered by a line",
            "fault: refused handshake",
            "fault: slow handshake",
            "fault: unanswered handshake",
            "fault: refused resume",
            "fault: drop",
            "fault: close",
            "fault: stall",
            "fault: pause",
            "fault: failed turn",
            "fault: late audio",
            "fault: huge audio",
            "fault: malformed json",
            "fault: binary frame",
            "fault: unknown type",
            "fault: session ended",
            "fault: stream never came",
            "barge-in: late audio dropped",
        ],
    );
}

#[test]
fn every_seed_of_openai_is_a_good_call() {
    let totals = all_good(Draw::First(EngineKind::OpenAi));
    nothing_is_merely_possible(&totals, &MUST);
    nothing_is_merely_possible(
        &totals,
        &[
            "outage covered by a line",
            "fault: refused handshake",
            "fault: slow handshake",
            "fault: unanswered handshake",
            "fault: drop",
            "fault: close",
            "fault: stall",
            "fault: pause",
            "fault: failed turn",
            "fault: huge audio",
            "fault: malformed json",
            "fault: binary frame",
            "fault: unknown type",
            "fault: session ended",
            "fault: stream never came",
        ],
    );
}

#[test]
fn every_seed_of_the_cascade_is_a_good_call() {
    let totals = all_good(Draw::Cascade);
    nothing_is_merely_possible(&totals, &MUST);
    nothing_is_merely_possible(
        &totals,
        &[
            "fault: deepgram drop",
            "fault: deepgram close",
            "fault: deepgram stall",
            "fault: deepgram pause",
            "fault: deepgram refused handshake",
            "fault: groq drop",
            "fault: groq stall",
            "fault: groq refused handshake",
            "fault: groq slow handshake",
            "fault: groq rate limit",
            "fault: groq error in the stream",
            "fault: cartesia drop",
            "fault: cartesia stall",
            "fault: cartesia refused handshake",
            "fault: cartesia failed turn",
            "fault: cartesia late audio",
            "fault: cartesia huge audio",
            "cartesia: context cancelled",
        ],
    );
}

#[test]
fn every_planted_bug_is_found() {
    let bugs: Vec<(Draw, Bug)> = Bug::ALL
        .iter()
        .map(|bug| (Draw::First(EngineKind::Hume), *bug))
        .chain(Bug::CASCADE.iter().map(|bug| (Draw::Cascade, *bug)))
        .collect();
    let missed = for_seeds(&bugs, |(draw, bug)| {
        let seeds = if draw == Draw::Cascade { CASCADE_SEEDS } else { SEEDS };
        let found = (0..seeds).find(|seed| !check::mistakes(&draw.run(*seed, Some(bug))).is_empty());
        println!("{bug:?}: found by seed {found:?}");
        found.is_none().then_some(bug)
    });
    let missed: Vec<Bug> = missed.into_iter().flatten().collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn the_same_seed_gives_the_same_call_byte_for_byte() {
    for (draw, seed) in [(Draw::First(EngineKind::Hume), 2), (Draw::First(EngineKind::Hume), 34), (Draw::Cascade, 8)] {
        let (first, second) = (draw.run(seed, None), draw.run(seed, None));
        assert_eq!(first.timeline(), second.timeline());
        assert_eq!(first.journal, second.journal);
    }
}

fn show(draw: Draw, seed: u64) {
    let world = draw.run(seed, None);
    println!("{}\n{}", draw.theme(seed), world.timeline());
    for (session, record) in world.cascade.groq.records() {
        println!("{session:?}: {:?}, tool {:?}, all sent: {}", record.reply, record.tool, record.done);
    }
    for entry in &world.journal {
        if let Kind::EngineError { code, message, .. } = &entry.kind {
            println!("{:>6} {code}: {message}", entry.at_ms - world.wall_ms(world.began));
        }
    }
    println!("{:#?}", check::mistakes(&world));
}

#[test]
fn one() {
    let named = |name: &str| std::env::var(name).ok().and_then(|seed| seed.parse().ok());
    if let Some(seed) = named("SEED") {
        show(Draw::First(EngineKind::Hume), seed);
    }
    if let Some(seed) = named("CASCADE_SEED") {
        show(Draw::Cascade, seed);
    }
}
