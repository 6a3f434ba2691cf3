//! A whole call in virtual time: the call machine between the simulated phone and the simulated engines.
//!
//! A [`World`] moves messages over lines with delay, jitter and stalls, lets time jump from one event to the next, plays
//! Twilio's and the control plane's part when a stream ends (design: a next step is said; without one another epoch
//! begins), and keeps everything that was done for [`check`] to judge. The same seed gives the same call, byte for byte.
//!
//! **What can fail**: everything that the models of phone and engines let fail; the node, which dies or drains at a
//! given moment and takes what the store has not got yet of its journal with it; the store, which lags; marks, which are
//! lost; the ways between all of them, which stall.
//!
//! **What does not fail**: Twilio's request for the next step, and the order of bytes within one connection. (The store
//! has its own tests under faults.)
//!
//! **What lies outside**: sockets, signatures, tokens, and the node's queues; whole calls over real sockets test those.

pub mod check;
mod config;
pub mod draw;
mod epoch;
mod links;
mod node;
mod overheard;
pub mod planted;
mod stream;
pub mod tape;
mod timeline;
mod vendors;
mod watch;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use call::journal::{Entry, NextStep};
use call::{Input, Recorded, Setup};

use crate::evi::Evi;
use crate::openai::OpenAi;
use crate::phone::{Caller, DelaySettings, PhoneConfig};
pub use config::{NodeEvent, Order, Rough, WorldConfig};
use links::Links;
pub use overheard::{Overheard, Wire};
use planted::{Bug, Planted};
pub use stream::Stream;
use tape::Tape;
pub use vendors::Cascade;
use vendors::Vendors;
use watch::Watch;

/// How often the caller looks up when nothing else happens: their reactions are no finer than this.
const CALLER_STEP: Duration = Duration::from_millis(20);

/// A world, while it runs and after.
pub struct World {
    /// When it began.
    pub began: Instant,
    /// What time it is.
    pub now: Instant,
    /// All streams, one per epoch.
    pub streams: Vec<Stream>,
    /// The call's journal over all epochs, as it was kept.
    pub journal: Vec<Entry>,
    /// The recorded audio, with its epoch.
    pub recorded: Vec<(u32, Recorded)>,
    /// The next step that ended the call, if one did.
    pub ended_with: Option<NextStep>,
    /// How often each kind of output was seen.
    pub outputs: BTreeMap<&'static str, u64>,
    /// How often the world did something to the call, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// What happened, for people.
    pub lines: Vec<(Duration, String)>,
    /// The account at Hume.
    pub evi: Evi,
    /// The account at OpenAI.
    pub openai: OpenAi,
    /// The accounts at the vendors of the cascade.
    pub cascade: Cascade,
    /// The person on the phone.
    pub caller: Caller,
    /// Mistakes that can be seen while the world runs.
    pub mistakes: Vec<String>,
    /// Every message on every wire, in order; nothing unless the world was [`overheard`](Self::overheard).
    pub overheard: Vec<Overheard>,
    /// What reached each epoch's machine; nothing unless the world was [`taped`](Self::taped).
    pub tapes: Vec<Tape>,
    keeps: Keeps,
    watch: Watch,
    rough: Rough,
    links: Links,
    call: Option<Planted>,
    wake_at: Option<Instant>,
    setup: Setup,
    phone_config: PhoneConfig,
    phone_ways: (DelaySettings, DelaySettings),
    node: Vec<(Instant, NodeEvent)>,
    bug: Option<Bug>,
    next_epoch_at: Option<Instant>,
    stream_at: Option<Instant>,
    step: Option<NextStep>,
    phone_closed: bool,
    over: bool,
    until: Instant,
    rng: fastrand::Rng,
}

/// What is kept beyond what the checks need.
#[derive(Clone, Copy, Default)]
struct Keeps {
    messages: bool,
    tape: bool,
}

impl World {
    /// A world about to begin. `now` is any instant: all times are relative to it.
    #[must_use]
    pub fn new(now: Instant, config: WorldConfig) -> Self {
        Self::begin(now, config, Keeps::default())
    }

    /// A world about to begin, in which every message is kept. A minute of call is about 3 MB of text.
    #[must_use]
    pub fn overheard(now: Instant, config: WorldConfig) -> Self {
        Self::begin(now, config, Keeps { messages: true, ..Keeps::default() })
    }

    /// A world about to begin, in which every input of the call machine is kept.
    #[must_use]
    pub fn taped(now: Instant, config: WorldConfig) -> Self {
        Self::begin(now, config, Keeps { tape: true, ..Keeps::default() })
    }

    fn begin(now: Instant, config: WorldConfig, keeps: Keeps) -> Self {
        let WorldConfig {
            setup,
            phone,
            caller,
            evi,
            openai,
            cascade,
            phone_ways,
            engine_ways,
            ringing,
            node,
            rough,
            bug,
            at_most,
            seed,
        } = config;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = Self {
            began: now,
            now,
            streams: Vec::new(),
            journal: Vec::new(),
            recorded: Vec::new(),
            ended_with: None,
            outputs: BTreeMap::new(),
            faults: BTreeMap::new(),
            lines: Vec::new(),
            evi,
            openai,
            cascade,
            caller: Caller::new(caller),
            mistakes: Vec::new(),
            overheard: Vec::new(),
            tapes: Vec::new(),
            keeps,
            watch: Watch::new(setup.script.lead),
            rough,
            links: Links::new(engine_ways, rng.u64(..)),
            call: None,
            wake_at: None,
            setup,
            phone_config: phone,
            phone_ways,
            node: node.into_iter().map(|(after, event)| (now + after, event)).collect(),
            bug,
            next_epoch_at: None,
            stream_at: Some(now + ringing),
            step: None,
            phone_closed: false,
            over: false,
            until: now + at_most,
            rng,
        };
        world.begin_epoch();
        world
    }

    /// Runs to the end, and returns everything that happened.
    pub fn run(&mut self) {
        while !self.over && self.now < self.until {
            let Some(next) = self.next_due() else { break };
            self.now = next.max(self.now);
            self.turn();
        }
        if self.now >= self.until {
            self.note("world", "out of time");
        }
    }

    fn next_due(&mut self) -> Option<Instant> {
        let mut due: Vec<Instant> = vec![self.now + CALLER_STEP];
        due.extend(self.wake_at);
        due.extend(self.next_epoch_at);
        due.extend(self.stream_at);
        due.extend(self.node.iter().map(|(at, _)| *at));
        due.extend(self.links.next_due(&mut Vendors {
            evi: &mut self.evi,
            openai: &mut self.openai,
            cascade: &mut self.cascade,
        }));
        if let Some(stream) = self.streams.last() {
            due.extend([stream.phone.next_due(), stream.up.next_due(), stream.down.next_due()].into_iter().flatten());
        }
        due.into_iter().min()
    }

    /// Everything that is due now, in a fixed order.
    fn turn(&mut self) {
        let now = self.now;
        if self.stream_at.is_some_and(|at| at <= now) {
            self.stream_at = None;
            if let Some(stream) = self.streams.last_mut() {
                stream.phone.started(now);
                stream.started = Some(now);
            }
        }
        self.suffer();
        self.move_phone();
        let arrived = self
            .links
            .turn(now, &mut Vendors { evi: &mut self.evi, openai: &mut self.openai, cascade: &mut self.cascade });
        for (link, event) in arrived {
            let line = timeline::of_link(&event);
            if let Some(line) = line {
                self.note("engine", &line);
            }
            if let (links::Arrived::Text(text), Some(engine)) = (&event, self.links.engine(link)) {
                self.overhear(Wire::FromEngine(engine), text);
            }
            self.tell(|call| call.handle(now, Input::Link(link, event.as_input())));
        }
        if self.wake_at.is_some_and(|at| at <= now) {
            self.tell(|call| call.handle(now, Input::Wake));
        }
        if self.next_epoch_at.is_some_and(|at| at <= now) {
            self.next_epoch_at = None;
            self.next_step();
        }
    }

    fn overhear(&mut self, wire: Wire, text: &str) {
        if self.keeps.messages {
            self.overheard.push(Overheard { wire, text: text.to_owned() });
        }
    }

    /// The wall clock of this world, in Unix milliseconds.
    #[must_use]
    pub fn wall_ms(&self, at: Instant) -> u64 {
        1_790_000_000_000 + u64::try_from((at - self.began).as_millis()).unwrap_or(0)
    }

    fn note(&mut self, who: &str, what: &str) {
        self.lines.push((self.now - self.began, format!("{who:<7} {what}")));
    }

    fn count_fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    /// The timeline as text, for golden files.
    #[must_use]
    pub fn timeline(&self) -> String {
        timeline::text(&self.lines)
    }
}
