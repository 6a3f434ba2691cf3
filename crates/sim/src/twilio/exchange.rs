//! What all parts of a simulated Twilio share: its configuration, its numbers and calls, its dice, its timeline.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fastrand::Rng;
use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::AbortHandle;
use wire::twilio::form::CallStatus;
use wire::twilio::rest::CallEvent;
use wire::twilio::sid::{CallSid, StreamSid};
use wire::twilio::twiml::Webhook;

use super::callback::Delivery;
use super::config::{Callee, Faults, OwnedNumber, RestFault, TwilioConfig};
use super::live::Command;
use super::record::{CallRecord, Clock, ENTRIES_MAX, Event, Notice, RequestRecord, StreamOutcome, StreamRecord, lock};
use super::webhook::Clients;

/// Lines of the timeline that are kept; an hour of many calls.
const EVENTS_MAX: usize = 100_000;

/// Lines that a slow watcher may fall behind before it misses some.
const WATCH_BACKLOG: usize = 4096;

/// One account's exchange.
pub(super) struct Exchange {
    pub(super) config: TwilioConfig,
    pub(super) clients: Clients,
    clock: Clock,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    watchers: broadcast::Sender<Event>,
    tasks: Mutex<Vec<AbortHandle>>,
}

struct State {
    numbers: Vec<OwnedNumber>,
    callees: BTreeMap<String, Callee>,
    calls: BTreeMap<CallSid, Call>,
    /// In the order they were made.
    order: Vec<CallSid>,
    timeline: Vec<Event>,
    faults: Faults,
    next_rest_faults: VecDeque<RestFault>,
    next_dial: Option<Instant>,
    rng: Rng,
}

/// A call and what only the exchange needs to know of it.
struct Call {
    record: CallRecord,
    commands: mpsc::UnboundedSender<Command>,
    deliveries: mpsc::UnboundedSender<Delivery>,
    subscription: Option<Subscription>,
    sequence: u64,
}

/// Who wants to know of a call's progress, and of which.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) webhook: Webhook,
    pub(super) events: Vec<CallEvent>,
}

impl Exchange {
    pub(super) fn new(config: TwilioConfig) -> Self {
        let state = State {
            numbers: config.numbers.clone(),
            callees: config.callees.clone(),
            calls: BTreeMap::new(),
            order: Vec::new(),
            timeline: Vec::new(),
            faults: config.faults.clone(),
            next_rest_faults: VecDeque::new(),
            next_dial: None,
            rng: Rng::with_seed(config.seed),
        };
        Self {
            config,
            clients: Clients::default(),
            clock: Clock::start(),
            state: Mutex::new(state),
            changed: watch::channel(0).0,
            watchers: broadcast::channel(WATCH_BACKLOG).0,
            tasks: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(super) fn random<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut lock(&self.state).rng)
    }

    pub(super) fn chance(&self, chance: f64) -> bool {
        chance > 0.0 && self.random(Rng::f64) < chance
    }

    /// A random part of a time.
    pub(super) fn part_of(&self, longest: Duration) -> Duration {
        if longest.is_zero() { longest } else { longest.mul_f64(self.random(Rng::f64)) }
    }

    pub(super) fn new_call_sid(&self) -> CallSid {
        CallSid::from_number(self.random(|rng| rng.u128(..)))
    }

    pub(super) fn new_stream_sid(&self) -> StreamSid {
        StreamSid::from_number(self.random(|rng| rng.u128(..)))
    }

    pub(super) fn faults(&self) -> Faults {
        lock(&self.state).faults.clone()
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        lock(&self.state).faults = faults;
    }

    pub(super) fn inject(&self, fault: RestFault) {
        lock(&self.state).next_rest_faults.push_back(fault);
    }

    /// The fault that the next REST request was promised, or that chance has for it.
    pub(super) fn next_rest_fault(&self) -> Option<RestFault> {
        let mut state = lock(&self.state);
        if let Some(fault) = state.next_rest_faults.pop_front() {
            return Some(fault);
        }
        let rest = state.faults.rest.clone();
        [
            (rest.too_many, RestFault::TooMany),
            (rest.unavailable, RestFault::Unavailable),
            (rest.lose_answer, RestFault::LoseAnswer),
        ]
        .into_iter()
        .find(|(chance, _)| *chance > 0.0 && state.rng.f64() < *chance)
        .map(|(_, fault)| fault)
    }

    pub(super) fn numbers(&self) -> Vec<OwnedNumber> {
        lock(&self.state).numbers.clone()
    }

    pub(super) fn number(&self, phone_number: &str) -> Option<OwnedNumber> {
        lock(&self.state).numbers.iter().find(|number| number.phone_number == phone_number).cloned()
    }

    pub(super) fn change_number<T>(&self, sid: &str, change: impl FnOnce(&mut OwnedNumber) -> T) -> Option<T> {
        lock(&self.state).numbers.iter_mut().find(|number| number.sid.as_str() == sid).map(change)
    }

    pub(super) fn callee(&self, phone_number: &str) -> Callee {
        lock(&self.state).callees.get(phone_number).cloned().unwrap_or_else(|| self.config.default_callee.clone())
    }

    pub(super) fn set_callee(&self, phone_number: &str, callee: Callee) {
        lock(&self.state).callees.insert(phone_number.to_owned(), callee);
    }

    /// How long a new outbound call has to wait for its turn; the turn is then taken.
    pub(super) fn take_turn(&self) -> Duration {
        let mut state = lock(&self.state);
        let now = Instant::now();
        let turn = state.next_dial.map_or(now, |next| next.max(now));
        state.next_dial = Some(turn + self.config.call_interval);
        turn - now
    }

    pub(super) fn add_call(
        &self,
        record: CallRecord,
        subscription: Option<Subscription>,
        commands: mpsc::UnboundedSender<Command>,
        deliveries: mpsc::UnboundedSender<Delivery>,
    ) {
        let mut state = lock(&self.state);
        state.order.push(record.sid);
        state.calls.insert(record.sid, Call { record, commands, deliveries, subscription, sequence: 0 });
    }

    pub(super) fn forget_call(&self, sid: CallSid) -> bool {
        let mut state = lock(&self.state);
        state.order.retain(|kept| *kept != sid);
        state.calls.remove(&sid).is_some()
    }

    /// Every call, the newest first.
    pub(super) fn calls(&self) -> Vec<CallRecord> {
        let state = lock(&self.state);
        state.order.iter().rev().filter_map(|sid| state.calls.get(sid)).map(|call| call.record.clone()).collect()
    }

    pub(super) fn call(&self, sid: CallSid) -> Option<CallRecord> {
        lock(&self.state).calls.get(&sid).map(|call| call.record.clone())
    }

    pub(super) fn command(&self, sid: CallSid, command: Command) -> bool {
        lock(&self.state).calls.get(&sid).is_some_and(|call| call.commands.send(command).is_ok())
    }

    /// Moves a call on, if it moves forward, and says whether it did, with the subscription and the number of the
    /// callback that this is worth.
    pub(super) fn advance(&self, sid: CallSid, status: &CallStatus) -> Option<Option<(Subscription, u64)>> {
        let at = self.elapsed();
        let worth = {
            let mut state = lock(&self.state);
            let call = state.calls.get_mut(&sid)?;
            if !status.supersedes(&call.record.status) {
                return None;
            }
            let now = Timestamp::now();
            let record = &mut call.record;
            record.status = status.clone();
            record.updated = now;
            record.history.push((at, status.clone()));
            if *status == CallStatus::Initiated {
                record.started = Some(now);
            }
            if *status == CallStatus::InProgress {
                record.answered = Some(now);
                record.started.get_or_insert(now);
            }
            if status.is_final() {
                record.ended = Some(now);
            }
            let event = match status {
                CallStatus::Initiated => Some(CallEvent::Initiated),
                CallStatus::Ringing => Some(CallEvent::Ringing),
                CallStatus::InProgress => Some(CallEvent::Answered),
                CallStatus::Completed
                | CallStatus::Busy
                | CallStatus::NoAnswer
                | CallStatus::Failed
                | CallStatus::Canceled => Some(CallEvent::Completed),
                CallStatus::Queued | CallStatus::Other(_) => None,
            };
            let subscribed = call
                .subscription
                .clone()
                .filter(|subscription| event.is_some_and(|event| subscription.events.contains(&event)));
            subscribed.map(|subscription| {
                let sequence = call.sequence;
                call.sequence += 1;
                (subscription, sequence)
            })
        };
        self.event(sid, format!("call    {status}"));
        Some(worth)
    }

    pub(super) fn deliver(&self, sid: CallSid, delivery: Delivery) {
        if let Some(call) = lock(&self.state).calls.get(&sid) {
            // Nobody listens any more only when the simulator is being taken down.
            let _gone = call.deliveries.send(delivery);
        }
    }

    pub(super) fn note<T>(&self, sid: CallSid, change: impl FnOnce(&mut CallRecord) -> T) -> Option<T> {
        let done = lock(&self.state).calls.get_mut(&sid).map(|call| change(&mut call.record));
        self.changed.send_modify(|version| *version += 1);
        done
    }

    pub(super) fn notice(&self, sid: CallSid, code: u32, detail: impl Into<String>) {
        let (at, detail) = (self.elapsed(), detail.into());
        self.event(sid, format!("notice  {code} {detail}"));
        self.note(sid, |record| {
            if record.notices.len() < ENTRIES_MAX {
                record.notices.push(Notice { at, code, detail });
            }
        });
    }

    pub(super) fn requested(&self, sid: CallSid, request: RequestRecord) {
        self.note(sid, |record| {
            if record.requests.len() < ENTRIES_MAX {
                record.requests.push(request);
            }
        });
    }

    pub(super) fn stream(&self, sid: CallSid, stream: StreamSid, change: impl FnOnce(&mut StreamRecord)) {
        self.note(sid, |record| {
            if let Some(stream) = record.streams.iter_mut().find(|kept| kept.sid == stream) {
                change(stream);
            }
        });
    }

    pub(super) fn stream_ended(&self, sid: CallSid, stream: StreamSid, outcome: StreamOutcome) {
        let at = self.elapsed();
        self.event(sid, format!("stream  ended: {outcome:?}"));
        self.stream(sid, stream, |record| {
            record.ended = Some(at);
            record.outcome = Some(outcome);
        });
    }

    pub(super) fn event(&self, call: CallSid, text: String) {
        let event = Event { at: self.elapsed(), call, text };
        {
            let mut state = lock(&self.state);
            if state.timeline.len() < EVENTS_MAX {
                state.timeline.push(event.clone());
            }
        }
        // Having no watcher is normal.
        let _watchers = self.watchers.send(event);
        self.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn timeline(&self) -> Vec<Event> {
        lock(&self.state).timeline.clone()
    }

    pub(super) fn watch(&self) -> broadcast::Receiver<Event> {
        self.watchers.subscribe()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn keep_task(&self, task: AbortHandle) {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    pub(super) fn abort_tasks(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }
}
