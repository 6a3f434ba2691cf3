//! A whole call in virtual time: the call machine between the simulated phone and the simulated engines.
//!
//! A [`World`] moves messages over lines with delay, jitter and stalls, lets time jump from one event to the next, plays
//! Twilio's and the control plane's part when a stream ends (design: a next step is said; without one another epoch
//! begins), and keeps everything that was done for [`check`] to judge. The same seed gives the same call, byte for byte.
//!
//! **What can fail**: everything that the models of phone and engines let fail; the node, which dies or drains at a
//! given moment and takes the last 250 ms of its journal with it; the ways between them, which stall.
//!
//! **What does not fail**: the store (it has its own tests under faults), Twilio's request for the next step, and the
//! order of bytes within one connection.
//!
//! **What lies outside**: sockets, signatures, tokens, and the node's queues; whole calls over real sockets test those.

pub mod check;
pub mod draw;
mod links;
mod overheard;
pub mod planted;
mod timeline;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use call::agent::EngineKind;
use call::journal::{Entry, Kind, NextStep};
use call::resume::Conversation;
use call::{Call, Command, Input, LinkRequest, Output, PhoneEvent, Recorded, Setup};
use wire::twilio::stream::{Inbound, Outbound};

use crate::evi::Evi;
use crate::openai::OpenAi;
use crate::phone::{Caller, CallerScript, DelayLine, DelaySettings, Phone, PhoneConfig, PhoneOut};
use links::Links;
pub use overheard::{Overheard, Wire};
use planted::{Bug, Planted};

/// How often the caller looks up when nothing else happens: their reactions are no finer than this.
const CALLER_STEP: Duration = Duration::from_millis(20);

/// From the end of a stream to Twilio's request for the next step having been answered.
const NEXT_STEP_TAKES: Duration = Duration::from_millis(300);

/// From the TwiML to the stream's start.
const STREAM_TAKES: Duration = Duration::from_millis(400);

/// What the node may lose of its journal when it dies.
const JOURNAL_LOST: Duration = Duration::from_millis(250);

/// Epochs after which the control plane gives up; more would need a call longer than any here.
const EPOCHS_MAX: u32 = 10;

/// Something the node suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeEvent {
    /// It is gone from one moment to the next.
    Dies,
    /// Not the node: the phone's socket breaks without a word.
    PhoneBreaks,
    /// It is told to hand its calls over within this time.
    Drains(Duration),
    /// An operator asks for something.
    Commanded(Order),
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End the call.
    HangUp,
    /// Connect the caller with somebody else.
    Transfer,
    /// Have the agent say something.
    Say,
}

/// Everything that a world begins with.
pub struct WorldConfig {
    /// The call.
    pub setup: Setup,
    /// The phone of the first stream; later ones are like it.
    pub phone: PhoneConfig,
    /// The person on the phone.
    pub caller: CallerScript,
    /// The account at Hume.
    pub evi: Evi,
    /// The account at OpenAI.
    pub openai: OpenAi,
    /// From the phone to the node, and back.
    pub phone_ways: (DelaySettings, DelaySettings),
    /// From the node to an engine, and back.
    pub engine_ways: (DelaySettings, DelaySettings),
    /// From `prepare` to the start of the stream.
    pub ringing: Duration,
    /// What the node suffers, and when after the start of the world.
    pub node: Vec<(Duration, NodeEvent)>,
    /// A bug planted between the call and the world, to prove that it would be found.
    pub bug: Option<Bug>,
    /// When the world ends in any case.
    pub at_most: Duration,
    /// Feeds all chance that is not in the models.
    pub seed: u64,
}

/// One epoch's stream.
pub struct Stream {
    /// The phone, with all that it heard and said.
    pub phone: Phone,
    /// When the stream started; none if it never did.
    pub started: Option<Instant>,
    /// When its call was finished by the node, or its node died.
    pub finished: Option<Instant>,
    /// When the phone's side ended.
    pub ended: Option<Instant>,
    up: DelayLine<String>,
    down: DelayLine<Down>,
}

enum Down {
    Text(String),
    Close,
}

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
    /// The person on the phone.
    pub caller: Caller,
    /// Mistakes that can be seen while the world runs.
    pub mistakes: Vec<String>,
    /// Every message on every wire, in order; nothing unless the world was [`overheard`](Self::overheard).
    pub overheard: Vec<Overheard>,
    listens_in: bool,
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

impl World {
    /// A world about to begin. `now` is any instant: all times are relative to it.
    #[must_use]
    pub fn new(now: Instant, config: WorldConfig) -> Self {
        Self::begin(now, config, false)
    }

    /// A world about to begin, in which every message is kept. A minute of call is about 3 MB of text.
    #[must_use]
    pub fn overheard(now: Instant, config: WorldConfig) -> Self {
        Self::begin(now, config, true)
    }

    fn begin(now: Instant, config: WorldConfig, listens_in: bool) -> Self {
        let WorldConfig {
            setup,
            phone,
            caller,
            evi,
            openai,
            phone_ways,
            engine_ways,
            ringing,
            node,
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
            caller: Caller::new(caller),
            mistakes: Vec::new(),
            overheard: Vec::new(),
            listens_in,
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
        due.extend(self.links.next_due(&mut self.evi, &mut self.openai));
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
        let arrived = self.links.turn(now, &mut self.evi, &mut self.openai);
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

    fn suffer(&mut self) {
        let now = self.now;
        while let Some(index) = self.node.iter().position(|(at, _)| *at <= now) {
            let (_, event) = self.node.remove(index);
            if self.call.is_none() {
                continue;
            }
            match event {
                NodeEvent::Dies => self.node_dies(),
                NodeEvent::PhoneBreaks => {
                    self.count_fault("phone broke");
                    self.note("phone", "socket breaks");
                    self.tell(|call| call.handle(now, Input::Phone(PhoneEvent::Lost)));
                    self.stream_over(true);
                }
                NodeEvent::Drains(within) => {
                    self.count_fault("node drained");
                    self.note("node", "drains");
                    let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
                    self.tell(|call| call.handle(now, Input::Command(Command::Drain { within_ms })));
                }
                NodeEvent::Commanded(order) => {
                    self.count_fault("operator");
                    let command = match order {
                        Order::HangUp => Command::HangUp { by: call::journal::EndedBy::Operator },
                        Order::Transfer => Command::Transfer { to: "+12025550177".to_owned() },
                        Order::Say => Command::Say { text: "Please hold on for a moment.".to_owned() },
                    };
                    self.tell(|call| call.handle(now, Input::Command(command)));
                }
            }
        }
    }

    fn node_dies(&mut self) {
        self.count_fault("node killed");
        self.note("node", "killed");
        let epoch = self.setup.epoch;
        let lost_after = self.wall_ms(self.now).saturating_sub(u64::try_from(JOURNAL_LOST.as_millis()).unwrap_or(0));
        self.journal.retain(|entry| entry.epoch != epoch || entry.at_ms <= lost_after);
        self.call = None;
        self.wake_at = None;
        self.links.cut_all(self.now, &mut self.evi, &mut self.openai);
        self.stream_over(true);
    }

    /// Moves what goes between phone and node, and lets the caller act.
    fn move_phone(&mut self) {
        let now = self.now;
        let Some(stream) = self.streams.last_mut() else { return };
        while let Some(down) = stream.down.pop(now) {
            match down {
                Down::Text(text) => stream.phone.receive(now, &text),
                Down::Close => stream.phone.server_closed(now, Some(1000)),
            }
        }
        let mut left = Vec::new();
        while let Some(out) = stream.phone.poll(now) {
            left.push(out);
        }
        let listening = stream.started.is_some() && stream.phone.ended().is_none();
        let hung_up = stream.started.is_some() && self.caller.step(now, listening.then_some(&mut stream.phone));
        if hung_up && stream.phone.ended().is_none() {
            stream.phone.hang_up(now);
            self.lines.push((now - self.began, "phone   hangs up".to_owned()));
        }
        let Some(stream) = self.streams.last_mut() else { return };
        for out in left {
            match out {
                PhoneOut::Text(text) => {
                    stream.up.push(now, text);
                }
                PhoneOut::Close { .. } => {
                    stream.up.push(now, String::new());
                }
                PhoneOut::Ping => {}
            }
        }
        let mut arrived = Vec::new();
        while let Some(text) = stream.up.pop(now) {
            arrived.push(text);
        }
        for text in arrived {
            self.phone_says(&text);
        }
        let Some(stream) = self.streams.last_mut() else { return };
        if stream.phone.ended().is_some() && stream.ended.is_none() {
            stream.ended = Some(now);
            let by_server = matches!(stream.phone.ended(), Some(crate::phone::StreamEnd::ServerClosed(..)));
            if by_server {
                self.stream_over(false);
            }
        }
        let settled = self.streams.last().is_some_and(|stream| stream.ended.is_some() && stream.up.is_empty());
        if self.call.is_none() && settled && self.next_epoch_at.is_none() && hung_up {
            self.over = true;
        }
    }

    fn phone_says(&mut self, text: &str) {
        let now = self.now;
        if text.is_empty() {
            self.tell(|call| call.handle(now, Input::Phone(PhoneEvent::Lost)));
            return;
        }
        self.overhear(Wire::FromPhone, text);
        let mut payload = Vec::new();
        let event = match wire::twilio::stream::parse(text) {
            Ok(Inbound::Connected { .. }) => return,
            Ok(Inbound::Start(start)) => {
                let stream_sid = start.stream_sid.to_string();
                self.note("phone", "stream starts");
                return self
                    .tell(|call| call.handle(now, Input::Phone(PhoneEvent::Started { stream_sid: &stream_sid })));
            }
            Ok(Inbound::Media(media)) => match media.decode(&mut payload) {
                Ok(_) => PhoneEvent::Media { timestamp_ms: media.timestamp_ms, payload: &payload },
                Err(_) => PhoneEvent::Malformed,
            },
            Ok(Inbound::Dtmf(dtmf)) => {
                let digit = dtmf.digit.into_inner().into_owned();
                return self.tell(|call| call.handle(now, Input::Phone(PhoneEvent::Dtmf { digit: &digit })));
            }
            Ok(Inbound::Mark(mark)) => {
                let name = mark.name.into_owned();
                return self.tell(|call| call.handle(now, Input::Phone(PhoneEvent::Mark { name: &name })));
            }
            Ok(Inbound::Stop(_)) => PhoneEvent::Stopped,
            Ok(Inbound::Unknown { .. }) => PhoneEvent::Unknown,
            Err(_) => PhoneEvent::Malformed,
        };
        self.tell(|call| call.handle(now, Input::Phone(event)));
    }

    /// Gives the call an input and does all that it asks for.
    fn tell(&mut self, input: impl FnOnce(&mut Planted)) {
        let Some(mut call) = self.call.take() else { return };
        input(&mut call);
        loop {
            match call.poll() {
                Output::Wait(deadline) => {
                    if deadline <= self.now {
                        self.mistakes.push(format!("Wait lies in the past at {:?}", self.now - self.began));
                    }
                    self.wake_at = Some(deadline.max(self.now + Duration::from_micros(1)));
                    self.call = Some(call);
                    return;
                }
                Output::Finished => {
                    *self.outputs.entry("finished").or_default() += 1;
                    self.wake_at = None;
                    if let Some(stream) = self.streams.last_mut() {
                        stream.finished = Some(self.now);
                    }
                    if self.links.any_open() {
                        self.mistakes.push("the call finished with a link open".to_owned());
                    }
                    let never_came = self.streams.last().is_some_and(|stream| stream.started.is_none());
                    if never_came
                        || self.streams.last().is_some_and(|stream| stream.ended.is_some())
                            && self.next_epoch_at.is_none()
                    {
                        self.over = true;
                    }
                    return;
                }
                output @ (Output::Phone(_)
                | Output::ClosePhone
                | Output::Open { .. }
                | Output::Send { .. }
                | Output::SendBinary { .. }
                | Output::Close { .. }
                | Output::Tool(_)
                | Output::Journal(_)
                | Output::Record(_)
                | Output::NextStep(_)) => self.perform(output),
            }
        }
    }

    fn perform(&mut self, output: Output) {
        let now = self.now;
        *self.outputs.entry(planted::name(&output)).or_default() += 1;
        if let Some(line) = timeline::of_output(&output) {
            self.lines.push((now - self.began, line));
        }
        match output {
            Output::Phone(message) => {
                let mut text = String::new();
                message.write(&self.phone_config.stream_sid, &mut text);
                if self.bug == Some(Bug::ExtraKey) && matches!(message, Outbound::Mark { .. }) {
                    text = text.replacen('{', "{\"extra\":1,", 1);
                }
                self.overhear(Wire::ToPhone, &text);
                if let Some(stream) = self.streams.last_mut() {
                    stream.down.push(now, Down::Text(text));
                }
            }
            Output::ClosePhone => {
                self.phone_closed = true;
                if let Some(stream) = self.streams.last_mut() {
                    stream.down.push(now, Down::Close);
                }
            }
            Output::Open { link, request } => {
                if let LinkRequest::Hume(connect) = &request {
                    self.overhear(Wire::Handshake(EngineKind::Hume), &connect.path_and_query());
                }
                self.links.open(now, link, request);
            }
            Output::Send { link, text } => {
                if let Some(engine) = self.links.engine(link) {
                    self.overhear(Wire::ToEngine(engine), &text);
                }
                self.links.send(now, link, text);
            }
            // None of this world's vendors takes binary messages.
            Output::SendBinary { .. } => self.mistakes.push("a binary message was sent".to_owned()),
            Output::Close { link } => self.links.close(now, link),
            Output::Journal(entry) => self.keep(entry),
            Output::Record(recorded) => self.recorded.push((self.setup.epoch, recorded)),
            Output::NextStep(step) => {
                if self.phone_closed {
                    self.mistakes.push("the next step came after the phone's socket was closed".to_owned());
                }
                self.step = Some(step);
            }
            Output::Tool(_) | Output::Wait(_) | Output::Finished => {}
        }
    }

    fn overhear(&mut self, wire: Wire, text: &str) {
        if self.listens_in {
            self.overheard.push(Overheard { wire, text: text.to_owned() });
        }
    }

    fn keep(&mut self, entry: Entry) {
        let expected = self.journal.iter().rev().find(|kept| kept.epoch == entry.epoch).map_or(1, |kept| kept.seq + 1);
        if entry.seq != expected {
            self.mistakes.push(format!("journal entry {}.{} follows {}", entry.epoch, entry.seq, expected - 1));
        }
        if let Kind::StreamEnded { .. } = entry.kind {
            self.count_fault(timeline::end_name(&entry.kind));
        }
        self.journal.push(entry);
    }

    /// Twilio sees the stream end, and asks what is next.
    fn stream_over(&mut self, by_death: bool) {
        if let Some(stream) = self.streams.last_mut() {
            if by_death {
                stream.phone.server_closed(self.now, None);
                stream.ended.get_or_insert(self.now);
            }
            stream.finished.get_or_insert(self.now);
        }
        self.next_epoch_at = Some(self.now + NEXT_STEP_TAKES);
    }

    fn next_step(&mut self) {
        match self.step.take() {
            Some(NextStep::Continue) | None if self.setup.epoch < EPOCHS_MAX => {
                let conversation = Conversation::read(&self.journal);
                self.setup = Setup {
                    epoch: self.setup.epoch + 1,
                    offset_ms: conversation.offset_ms(self.wall_ms(self.now + STREAM_TAKES)),
                    greeted: conversation.greeted,
                    disclosed: conversation.disclosed,
                    history: conversation.history,
                    chat: conversation.chat,
                    ..self.setup.clone()
                };
                self.stream_at = Some(self.now + STREAM_TAKES);
                self.note("twilio", &format!("epoch {}", self.setup.epoch));
                self.begin_epoch();
            }
            step => {
                self.ended_with = step;
                self.over = true;
            }
        }
    }

    fn begin_epoch(&mut self) {
        self.phone_closed = false;
        let (up, down) = self.phone_ways.clone();
        self.streams.push(Stream {
            phone: Phone::new(self.phone_config.clone(), self.rng.u64(..)),
            started: None,
            finished: None,
            ended: None,
            up: DelayLine::new(up, self.rng.u64(..)),
            down: DelayLine::new(down, self.rng.u64(..)),
        });
        let seed = self.rng.u64(..);
        let call = Call::new(self.now, self.wall_ms(self.now), self.setup.clone(), seed);
        self.call = Some(Planted::new(call, self.bug, seed));
        self.tell(|_| {});
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
