//! Hundreds of whole calls in virtual time, by seed, with everything that can go wrong.
//!
//! `SEED=123 cargo test -p sim --test seeds one -- --nocapture` shows one of them.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some kinds are counted")]

use std::collections::BTreeMap;
use std::time::Instant;

use call::journal::{Cover, Kind, NextStep};
use sim::world::draw::Theme;
use sim::world::planted::Bug;
use sim::world::{World, WorldConfig, check};

/// Some more than twenty of each theme.
const SEEDS: u64 = 24 * Theme::ALL.len() as u64;

fn run(seed: u64, bug: Option<Bug>) -> World {
    let mut world = World::new(Instant::now(), WorldConfig { bug, ..WorldConfig::by_seed(seed) });
    world.run();
    world
}

/// Does something for every seed, on two threads.
fn for_seeds<T: Send>(seeds: impl Iterator<Item = u64>, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let seeds: Vec<u64> = seeds.collect();
    let (left, right) = seeds.split_at(seeds.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| right.iter().map(|seed| work(*seed)).collect::<Vec<T>>());
        let mut done: Vec<T> = left.iter().map(|seed| work(*seed)).collect();
        done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done
    })
}

/// What occurred in a world, by name.
fn occurred(world: &World) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut count = |name: String, n: u64| *counts.entry(name).or_default() += n;
    for (name, n) in &world.outputs {
        count(format!("output: {name}"), *n);
    }
    for (name, n) in &world.faults {
        count(format!("fault: {name}"), *n);
    }
    for (name, n) in world.evi.fault_counts().iter().chain(world.openai.fault_counts()) {
        count(format!("fault: {name}"), u64::from(*n));
    }
    for entry in &world.journal {
        match &entry.kind {
            Kind::EngineRefused { .. } => count("engine refused".into(), 1),
            Kind::EngineLost { .. } => count("engine lost".into(), 1),
            Kind::EngineResumed { covered_by, .. } => {
                count("engine resumed".into(), 1);
                if matches!(covered_by, Cover::Line | Cover::Tone) {
                    count("outage covered by a line".into(), 1);
                }
            }
            Kind::LinePlayed { line } => count(format!("line: {line}"), 1),
            Kind::Interrupted { .. } => count("barge-in".into(), 1),
            Kind::Measured(measured) if measured.late_audio_ms > 0 => count("barge-in: late audio dropped".into(), 1),
            Kind::Measured(measured) if measured.malformed > 0 => count("malformed message".into(), 1),
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

#[test]
fn every_seed_is_a_good_call_and_nothing_is_merely_possible() {
    let worlds = for_seeds(0..SEEDS, |seed| {
        let world = run(seed, None);
        (seed, check::mistakes(&world), occurred(&world), world.timeline())
    });
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    for (_, _, counts, _) in &worlds {
        for (name, n) in counts {
            *totals.entry(name.clone()).or_default() += n;
        }
    }
    println!("{SEEDS} seeds");
    for (name, n) in &totals {
        println!("{n:>8}  {name}");
    }
    let bad: Vec<_> = worlds.iter().filter(|(_, mistakes, _, _)| !mistakes.is_empty()).collect();
    for (seed, mistakes, _, _) in &bad {
        println!("seed {seed} ({:?}): {mistakes:#?}", Theme::of(*seed));
    }
    assert!(bad.is_empty(), "{} of {SEEDS} seeds have mistakes; SEED={} shows the first", bad.len(), bad[0].0);
    let rare: Vec<_> = totals.iter().filter(|(_, n)| **n < 20).collect();
    assert!(rare.is_empty(), "too rare to prove anything: {rare:?}");
}

#[test]
fn one() {
    let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) else { return };
    let world = run(seed, None);
    println!("{:?}\n{}", Theme::of(seed), world.timeline());
    println!("{:#?}", check::mistakes(&world));
}

#[test]
fn the_same_seed_gives_the_same_call_byte_for_byte() {
    for seed in [2, 6, 17, 35] {
        let (first, second) = (run(seed, None), run(seed, None));
        assert_eq!(first.timeline(), second.timeline());
        assert_eq!(first.journal, second.journal);
    }
}

#[test]
fn every_planted_bug_is_found() {
    let missed = for_seeds(0..Bug::ALL.len() as u64, |index| {
        let bug = Bug::ALL[usize::try_from(index).unwrap_or(0)];
        let found = (0..SEEDS).find(|seed| !check::mistakes(&run(*seed, Some(bug))).is_empty());
        println!("{bug:?}: found by seed {found:?}");
        found.is_none().then_some(bug)
    });
    let missed: Vec<Bug> = missed.into_iter().flatten().collect();
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}
