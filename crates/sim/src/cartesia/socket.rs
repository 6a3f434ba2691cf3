//! One socket: its contexts, and what leaves it when.

mod speaking;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use wire::cartesia::client::{ClientMessage, Encoding, Generate};
use wire::cartesia::error::{ErrorCode, Fault};
use wire::cartesia::server::{Done, FlushDone, ServerMessage};

use super::config::{CartesiaConfig, LateInput, Record, note};
use super::context::Context;
use super::fault::{FaultCounts, Mishap, Moment};
use crate::evi::{Frame, Out};
use crate::line::{Line, Special, uuid};

/// Names of contexts that are over, kept to know late input by; the oldest go.
const MOST_OVER: usize = 256;

/// One socket.
pub(crate) struct Socket {
    pub(crate) line: Line,
    pub(crate) record: Record,
    old_errors: bool,
    contexts: BTreeMap<String, Context>,
    over: VecDeque<String>,
    /// What is going to happen, by when, and in which order.
    schedule: BTreeMap<(Instant, u64), Event>,
    events: u64,
    sentences: u32,
    last_message: Instant,
    after_cancel: Option<Duration>,
    huge: bool,
    fails: bool,
    rng: fastrand::Rng,
}

/// Something of a context that is going to happen.
enum Event {
    Message { context: String, text: String, audio: bool },
    Sentence(u32),
    Suffer(Mishap),
    Done { context: String },
}

impl Socket {
    pub(crate) fn open(
        opened: Instant,
        version: String,
        old_errors: bool,
        fate: Vec<(Moment, Mishap)>,
        mut rng: fastrand::Rng,
    ) -> Self {
        Self {
            line: Line::open(opened, fate),
            record: Record { request_id: uuid(&mut rng), version, ..Record::default() },
            old_errors,
            contexts: BTreeMap::new(),
            over: VecDeque::new(),
            schedule: BTreeMap::new(),
            events: 0,
            sentences: 0,
            last_message: opened,
            after_cancel: None,
            huge: false,
            fails: false,
            rng,
        }
    }

    /// Contexts that count against the limit.
    pub(crate) fn active(&self) -> usize {
        if self.line.is_over() { 0 } else { self.contexts.len() }
    }

    pub(crate) fn abandoned(&mut self, now: Instant) {
        self.line.abandoned(now);
        self.contexts.clear();
        self.schedule.clear();
    }

    pub(crate) fn receive(
        &mut self,
        config: &CartesiaConfig,
        counts: &mut FaultCounts,
        now: Instant,
        frame: &Frame,
        elsewhere: usize,
    ) {
        self.catch_up(config, counts, now);
        if self.line.is_over() {
            return;
        }
        self.last_message = now;
        let message = match frame {
            Frame::Text(text) => ClientMessage::parse(text),
            Frame::Binary(_) => Err(Box::new(Fault::invalid(None, "messages are JSON text frames"))),
        };
        match message {
            Ok(ClientMessage::Generate(input)) => {
                if let Err(fault) = self.generate(config, now, &input, elsewhere) {
                    self.refuse(config, now, *fault);
                }
            }
            Ok(ClientMessage::Cancel(cancel)) => self.cancel(config, now, &cancel.context_id),
            Err(fault) => self.refuse(config, now, *fault),
        }
    }

    fn generate(
        &mut self,
        config: &CartesiaConfig,
        now: Instant,
        input: &Generate,
        elsewhere: usize,
    ) -> Result<(), Box<Fault>> {
        let id = input.context_id.clone();
        let fault = |status, code, title, message| Box::new(Fault::new(Some(id.clone()), status, code, title, message));
        let known = self.contexts.get(&id);
        let over =
            known.map_or_else(|| self.over.contains(&id), |context| !context.is_open || context.cancelled_at.is_some());
        if over {
            match config.late_input {
                LateInput::Refused => {
                    let message = "the context has expired or was closed; begin another one";
                    return Err(fault(400, ErrorCode::ContextClosed, "Context closed", message));
                }
                LateInput::Ignored => return Ok(()),
                LateInput::Begins => {
                    self.over.retain(|name| *name != id);
                    self.contexts.remove(&id);
                }
            }
        }
        if std::mem::take(&mut self.fails) {
            return Err(fault(500, ErrorCode::InvalidRequest, "Internal error", "the voice failed"));
        }
        if let Some(context) = self.contexts.get(&id) {
            if !input.continues(&context.first) {
                let message = "within a context only the transcript may change";
                return Err(fault(400, ErrorCode::InvalidRequest, "Invalid request", message));
            }
        } else {
            if !config.models.is_empty() && !config.models.contains(&input.model_id) {
                return Err(fault(404, ErrorCode::ModelNotFound, "Model not found", "there is no such model"));
            }
            if input.output_format.encoding == Encoding::Alaw {
                return Err(fault(400, ErrorCode::InvalidRequest, "Invalid request", "A-law is not simulated"));
            }
            if elsewhere + self.contexts.len() >= config.concurrency {
                let message = "the account's concurrency limit is reached";
                return Err(fault(429, ErrorCode::ConcurrencyLimited, "Too many requests", message));
            }
            self.contexts.insert(id.clone(), Context::new(input.clone()));
        }
        let Some(context) = self.contexts.get_mut(&id) else { return Ok(()) };
        context.write(now, &input.transcript);
        let flush = input.flush == Some(true);
        let last = !input.is_continued();
        let told = (flush || (config.flush_each && context.is_unbuffered())) && !last;
        let ready = context.ready(now, last || flush);
        if last {
            context.is_open = false;
        }
        self.speak(config, now, &id, ready);
        let Some(context) = self.contexts.get_mut(&id) else { return Ok(()) };
        let sent_at = context.sent_at.unwrap_or(now).max(now);
        if told {
            context.flushes += 1;
            let (context_id, flush_id) = (id.clone(), context.flushes);
            let done = FlushDone { context_id, done: false, flush_done: true, flush_id, status_code: 206 };
            let text = ServerMessage::FlushDone(done).to_json();
            self.schedule(sent_at, Event::Message { context: id.clone(), text, audio: false });
        }
        if last {
            self.schedule(sent_at, Event::Done { context: id });
        }
        Ok(())
    }

    fn cancel(&mut self, config: &CartesiaConfig, now: Instant, id: &str) {
        note(&mut self.record.cancelled, id.to_owned());
        let Some(context) = self.contexts.get_mut(id) else { return };
        if context.cancelled_at.is_some() {
            return;
        }
        context.cancelled_at = Some(now);
        // What is being made already still comes; the rest never does.
        let late = self.after_cancel.take().unwrap_or(config.after_cancel / config.speed.max(1));
        let of = |event: &Event| match event {
            Event::Message { context, .. } | Event::Done { context } => context == id,
            Event::Sentence(_) | Event::Suffer(_) => false,
        };
        self.schedule
            .retain(|(due, _), event| !of(event) || (*due <= now + late && !matches!(event, Event::Done { .. })));
        if config.cancel_is_told {
            self.schedule(now + late, Event::Done { context: id.to_owned() });
        } else {
            self.forget(id);
        }
    }

    fn refuse(&mut self, config: &CartesiaConfig, now: Instant, fault: Fault) {
        note(&mut self.record.errors, fault.text());
        let fault = Fault { request_id: Some(self.record.request_id.clone()), ..fault };
        if let Some(id) = &fault.context_id {
            let id = id.clone();
            self.schedule.retain(
                |_, event| !matches!(event, Event::Message { context, .. } | Event::Done { context } if *context == id),
            );
            self.forget(&id);
        }
        let fault = if self.old_errors { fault.into_old_shape() } else { fault };
        self.line.push(ServerMessage::Error(fault).to_json());
        if config.error_closes {
            self.line.close(now, 1011, "");
        }
    }

    fn forget(&mut self, id: &str) {
        self.contexts.remove(id);
        self.over.push_back(id.to_owned());
        if self.over.len() > MOST_OVER {
            self.over.pop_front();
        }
    }

    pub(crate) fn suffer(&mut self, counts: &mut FaultCounts, now: Instant, mishap: &Mishap) {
        match self.line.suffer(counts, now, mishap) {
            Some(Special::Huge) => self.huge = true,
            Some(Special::Late(by)) => self.after_cancel = Some(by),
            Some(Special::Failed) => self.fails = true,
            None => {}
        }
    }

    pub(crate) fn poll(&mut self, config: &CartesiaConfig, counts: &mut FaultCounts, now: Instant) -> Option<Out> {
        self.catch_up(config, counts, now);
        self.line.next(now)
    }

    pub(crate) fn next_due(&self, config: &CartesiaConfig) -> Option<Instant> {
        let event = self.schedule.keys().next().map(|(due, _)| *due);
        let waiting = self.contexts.values().filter_map(Context::due).min();
        let expiry = self.contexts.values().filter_map(|context| context.expires(config.context_expiry)).min();
        let idle = Some(self.idle_at(config));
        [event, waiting, expiry, idle].into_iter().flatten().min()
    }

    fn idle_at(&self, config: &CartesiaConfig) -> Instant {
        self.last_message + config.idle_max
    }

    /// Does what was due, in the order in which it was due, at the time at which it was due.
    fn catch_up(&mut self, config: &CartesiaConfig, counts: &mut FaultCounts, now: Instant) {
        while !self.line.is_over() {
            let due = [self.next_due(config), self.line.next_fault()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= now) else { return };
            if let Some(mishap) = self.line.take_fault(due) {
                self.suffer(counts, due, &mishap);
            } else if let Some(event) = self.schedule.first_entry().filter(|event| event.key().0 <= due) {
                let event = event.remove();
                self.happen(config, counts, due, event);
            } else if let Some(id) = self.first(|context| context.due().is_some_and(|at| at <= due)) {
                let ready = self.contexts.get_mut(&id).map(|context| context.ready(due, true)).unwrap_or_default();
                self.speak(config, due, &id, ready);
            } else if let Some(id) = self.first(|it| it.expires(config.context_expiry).is_some_and(|at| at <= due)) {
                note(&mut self.record.expired, id.clone());
                if config.expiry_is_told {
                    self.tell_done(config, &id);
                }
                self.forget(&id);
            } else {
                self.line.close(due, config.idle_close, "idle");
            }
        }
        self.contexts.clear();
    }

    fn first(&self, is: impl Fn(&Context) -> bool) -> Option<String> {
        self.contexts.iter().find(|(_, context)| is(context)).map(|(id, _)| id.clone())
    }

    fn happen(&mut self, config: &CartesiaConfig, counts: &mut FaultCounts, now: Instant, event: Event) {
        match event {
            Event::Message { mut text, audio, .. } => {
                self.last_message = now;
                if audio && std::mem::take(&mut self.huge) {
                    text.truncate(text.len() - 1);
                    text.push_str(&format!(",\"padding\":\"{}\"}}", "-".repeat(1_200_000)));
                }
                self.line.push(text);
            }
            Event::Sentence(number) => {
                self.line.reached(now, |moment| matches!(moment, Moment::Sentence { nth, .. } if *nth == number));
            }
            Event::Suffer(mishap) => self.suffer(counts, now, &mishap),
            Event::Done { context } => {
                note(&mut self.record.done, context.clone());
                self.tell_done(config, &context);
                self.forget(&context);
            }
        }
    }

    fn tell_done(&mut self, config: &CartesiaConfig, id: &str) {
        let done = Done { context_id: id.to_owned(), done: true, status_code: config.done_status };
        self.line.push(ServerMessage::Done(done).to_json());
    }

    fn schedule(&mut self, due: Instant, event: Event) {
        self.schedule.insert((due, self.events), event);
        self.events += 1;
    }
}
