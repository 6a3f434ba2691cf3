//! Suites that take longer than a change may wait.
//!
//! `cargo run --release -p bench -- seeds 100000` runs so many whole calls in virtual time, each with its seed's faults,
//! and says which of them were not good calls. Tests run some hundred of the same.
//!
//! `cargo run --release -p bench -- callbacks 1000000` has so many calls reported in shuffled, doubled and lost callbacks, to
//! an emulated store on a bad day, and says which records came out other than in order. A test runs some hundred.
//!
//! `cargo run --release -p bench -- calls` asks for pages of the call log among ten thousand calls and among two hundred
//! thousand, and says what they cost.
//!
//! `cargo run --release -p bench -- engines` measures what a second of call costs with each engine: processor time of the
//! call machine, bytes and messages. It fails if an engine that takes the phone's own mu-law is not cheaper than EVI.

#![expect(clippy::print_stdout, reason = "a program that reports to a terminal")]

mod callbacks;
mod calls;
mod engines;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use sim::world::{World, WorldConfig, check};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["seeds", count] => seeds(count.parse().context("failed to read the number of seeds")?),
        ["callbacks", count] => callbacks::run(count.parse().context("failed to read the number of calls")?),
        ["calls"] => calls::run(&[10_000, 200_000]),
        ["calls", counts @ ..] => {
            let counts: Result<Vec<u32>, _> = counts.iter().map(|count| count.parse()).collect();
            calls::run(&counts.context("failed to read the numbers of calls")?)
        }
        ["engines"] => engines::run(),
        _ => bail!("usage: bench seeds <count> | callbacks <count> | calls [<count> …] | engines"),
    }
}

/// Runs the seeds from 0 on, on all cores, and fails if one of them has a mistake.
fn seeds(count: u64) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, bad, began) = (AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    let mut world = World::new(Instant::now(), WorldConfig::by_seed(seed));
                    world.run();
                    let mistakes = check::mistakes(&world);
                    if !mistakes.is_empty() {
                        bad.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed}: {mistakes:#?}");
                    }
                }
            });
        }
    });
    let bad = bad.into_inner();
    println!("{count} calls in {:.1} s, {bad} of them with mistakes", began.elapsed().as_secs_f64());
    if bad > 0 { bail!("{bad} of {count} seeds have mistakes") } else { Ok(()) }
}
