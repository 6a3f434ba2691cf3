//! What a second of call costs with each engine: processor time of the call machine, and traffic on its wires.
//!
//! One conversation is had with each engine in the simulated world, and what reached the call machine is kept. The
//! machine is then given the same again, many times, by itself: simulators, recogniser and sockets are off the clock. The
//! engines take turns within each round, so that a busy machine is busy for all of them, and what counts is the ratio.
//!
//! Left out: TLS, WebSocket framing and the kernel, which cost by the byte and by the message; those are counted instead.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use call::agent::EngineKind;
use sim::world::draw::plain;
use sim::world::tape::{Tape, Traffic};
use sim::world::{World, check};

const ENGINES: [EngineKind; 3] = [EngineKind::Hume, EngineKind::OpenAi, EngineKind::Cascade];

/// Rounds; of each engine the median of its rounds counts.
const ROUNDS: usize = 15;

/// Calls of each engine in one round.
const CALLS: u32 = 20;

struct Measured {
    engine: EngineKind,
    length: Duration,
    traffic: Traffic,
    /// Processor time of one call, one per round.
    took: Vec<Duration>,
}

impl Measured {
    fn median(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took[took.len() / 2]
    }

    /// Of a second of call.
    fn per_second(&self, amount: f64) -> f64 {
        amount / self.length.as_secs_f64()
    }

    fn cost_us(&self) -> f64 {
        self.per_second(self.median().as_secs_f64() * 1e6)
    }
}

/// Measures all engines, prints a table and one line of JSON, and fails if a mu-law engine is not cheaper than EVI.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut measured = Vec::new();
    for engine in ENGINES {
        let tape = tape(engine)?;
        let traffic = tape.replay(Instant::now());
        ensure!(traffic.frames > 500, "the replayed call says little: {traffic:?}");
        measured.push((Measured { engine, length: tape.length(), traffic, took: Vec::new() }, tape));
    }
    for _ in 0..ROUNDS {
        for (measured, tape) in &mut measured {
            let began = Instant::now();
            for _ in 0..CALLS {
                std::hint::black_box(tape.replay(began));
            }
            measured.took.push(began.elapsed() / CALLS);
        }
    }
    let measured: Vec<Measured> = measured.into_iter().map(|(measured, _)| measured).collect();
    report(&measured);
    let evi = measured[0].cost_us();
    for other in &measured[1..] {
        let cost = other.cost_us();
        ensure!(cost < evi, "{} costs {cost:.1} µs a second, EVI {evi:.1}", other.engine.as_str());
    }
    Ok(())
}

/// The same conversation, as the machine met it with this engine.
fn tape(engine: EngineKind) -> anyhow::Result<Tape> {
    let mut world = World::taped(Instant::now(), plain(engine));
    world.run();
    let mistakes = check::mistakes(&world);
    ensure!(mistakes.is_empty(), "the call with {} is not a good one: {mistakes:#?}", engine.as_str());
    world.tapes.into_iter().next().context("the call left no tape")
}

fn report(measured: &[Measured]) {
    let evi = measured[0].cost_us();
    println!("per second of call, the median of {ROUNDS} rounds of {CALLS} calls each\n");
    println!("| engine | call | machine | of EVI's | up | messages up | down | messages down |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut figures = BTreeMap::new();
    for each in measured {
        let Traffic { up_messages, up_bytes, down_messages, down_bytes, .. } = each.traffic;
        let [up, ups, down, downs] =
            [up_bytes, up_messages, down_bytes, down_messages].map(|amount| each.per_second(amount as f64));
        let cost = each.cost_us();
        println!(
            "| {} | {:.1} s | {cost:.0} µs | {:.2} | {:.1} kB | {ups:.1} | {:.1} kB | {downs:.1} |",
            each.engine.as_str(),
            each.length.as_secs_f64(),
            cost / evi,
            up / 1e3,
            down / 1e3,
        );
        let entry = serde_json::json!({
            "call_s": each.length.as_secs_f64(), "machine_us_per_s": cost, "of_evi": cost / evi,
            "up_bytes_per_s": up, "up_messages_per_s": ups, "down_bytes_per_s": down, "down_messages_per_s": downs,
        });
        figures.insert(each.engine.as_str(), entry);
    }
    println!("\n{}", serde_json::json!({ "bench": "engines", "engines": figures }));
}
