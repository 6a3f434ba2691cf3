//! A call while it lives: dialled or coming in, answered, led from document to document, ended.
//!
//! One task per call. Whatever the call is doing can be interrupted: by the person on the phone, by REST, by the time
//! limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Url;
use tokio::sync::mpsc;
use wire::twilio::form::{CallStatus, Direction};
use wire::twilio::sid::CallSid;
use wire::twilio::twiml::Webhook;

use super::callback::advance;
use super::config::{Callee, Pickup};
use super::document::{self, Flow};
use super::exchange::Exchange;
use super::fetch::{self, Fetched};
use super::fork::Fork;
use super::recording::Tape;
use crate::phone::Caller;

/// How long a callee's phone rings by default (Twilio: voice/api/call-resource).
const RING_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a call lasts at most by default; more is by arrangement.
const TIME_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// How often the person on the phone is asked what they do, while no stream does.
const TICK: Duration = Duration::from_millis(20);

/// What can be asked of a live call.
#[derive(Debug)]
pub(super) enum Command {
    /// Go on with another document.
    Redirect(Source),
    /// Take it back, if it is not answered.
    Cancel,
    /// End it, answered or not.
    Complete,
    /// The person on the phone hangs up.
    HangUp,
}

/// Where a document comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A webhook.
    Url(Webhook),
    /// The action of a verb that ended: the same, with more keys.
    Action(Webhook, Vec<(String, String)>),
    /// REST.
    Twiml(String),
}

/// Why something was not finished.
#[derive(Debug)]
pub(super) enum Interrupt {
    /// Go on elsewhere.
    Redirect(Source),
    /// The person on the phone is gone.
    HungUp,
    /// REST or the time limit ended the call.
    Ended,
}

/// An outbound call to make.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) fallback: Option<Webhook>,
    pub(super) ring_timeout: Option<Duration>,
    pub(super) time_limit: Option<Duration>,
    pub(super) wait: Duration,
    pub(super) callee: Callee,
}

/// A call under way.
pub(super) struct Live {
    pub(super) exchange: Arc<Exchange>,
    pub(super) sid: CallSid,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) caller: Caller,
    pub(super) fallback: Option<Webhook>,
    /// The address of the current document, which relative URLs start from; none if REST gave it.
    pub(super) base: Option<Url>,
    pub(super) ends_at: Instant,
    /// Streams that listen beside whatever the call does.
    pub(super) forks: Vec<Fork>,
    /// What the caller says, while it is being recorded.
    pub(super) tape: Option<Tape>,
}

impl Live {
    pub(super) fn new(
        exchange: Arc<Exchange>,
        sid: CallSid,
        commands: mpsc::UnboundedReceiver<Command>,
        caller: Caller,
        fallback: Option<Webhook>,
    ) -> Self {
        Self {
            exchange,
            sid,
            commands,
            caller,
            fallback,
            base: None,
            ends_at: Instant::now() + TIME_LIMIT,
            forks: Vec::new(),
            tape: None,
        }
    }

    /// An outbound call, from its place in the queue to its end.
    pub(super) async fn dial_out(mut self, plan: Plan) {
        let mut source = plan.source;
        let rings_for = plan.ring_timeout.unwrap_or(RING_TIMEOUT);
        let setup = self.exchange.config.timing.setup;
        if !self.unanswered(plan.wait, &mut source).await {
            return self.finish(&CallStatus::Canceled, None);
        }
        self.report(&CallStatus::Initiated);
        if !self.unanswered(setup, &mut source).await {
            return self.finish(&CallStatus::Canceled, None);
        }
        match plan.callee.pickup {
            Pickup::Busy => return self.finish(&CallStatus::Busy, Some(486)),
            Pickup::Fails(sip_code) => return self.finish(&CallStatus::Failed, Some(sip_code)),
            Pickup::Answers | Pickup::NeverAnswers => self.report(&CallStatus::Ringing),
        }
        let answers = plan.callee.pickup == Pickup::Answers && plan.callee.after <= rings_for;
        let rings = if answers { plan.callee.after } else { rings_for };
        if !self.unanswered(rings, &mut source).await {
            return self.finish(&CallStatus::Canceled, None);
        }
        if !answers {
            return self.finish(&CallStatus::NoAnswer, Some(487));
        }
        self.report(&CallStatus::InProgress);
        self.ends_at = Instant::now() + plan.time_limit.unwrap_or(TIME_LIMIT);
        self.run(source).await;
    }

    /// An inbound call, from its first ring to its end.
    pub(super) async fn come_in(mut self, source: Source) {
        self.run(source).await;
    }

    /// Moves on and reports it.
    pub(super) fn report(&self, status: &CallStatus) {
        advance(&self.exchange, self.sid, status, None);
    }

    /// Answers an inbound call, unless that was done already.
    pub(super) fn answer(&self) {
        if self.exchange.call(self.sid).is_some_and(|record| record.direction == Direction::Inbound) {
            self.report(&CallStatus::InProgress);
        }
    }

    /// The call is over.
    pub(super) fn finish(&self, status: &CallStatus, sip_code: Option<u16>) {
        let performed = self.caller.performed().to_vec();
        self.exchange.note(self.sid, |record| record.performed = performed);
        advance(&self.exchange, self.sid, status, sip_code);
    }

    /// The call is over, whichever way its state says.
    pub(super) fn finish_by_state(&self) {
        let answered = self.exchange.call(self.sid).is_some_and(|record| record.answered.is_some());
        // An inbound caller who gives up before the answer leaves a call nobody took.
        self.finish(if answered { &CallStatus::Completed } else { &CallStatus::NoAnswer }, Some(200));
    }

    async fn run(&mut self, first: Source) {
        let mut source = first;
        loop {
            let fetched = match fetch::document(self, &source).await {
                Fetched::Document(document) => document,
                Fetched::Nothing => return self.finish_unserved(),
                Fetched::Interrupted(Interrupt::Redirect(next)) => {
                    source = next;
                    continue;
                }
                Fetched::Interrupted(Interrupt::HungUp | Interrupt::Ended) => return self.finish_by_state(),
            };
            match document::perform(self, fetched).await {
                Flow::Next(next) => source = next,
                Flow::Over => {
                    self.answer();
                    return self.finish(&CallStatus::Completed, Some(200));
                }
                Flow::Rejected(status) => return self.finish(&status, None),
                Flow::Unserved => return self.finish_unserved(),
                Flow::Gone(after) => {
                    self.finish_by_state();
                    if let Some(action) = after {
                        // Twilio asks although nobody is there any more; whatever it is told is ignored.
                        let _ignored = fetch::document(self, &action).await;
                    }
                    return;
                }
            }
        }
    }

    /// Neither the URL nor its fallback had a document: the caller hears of an application error.
    fn finish_unserved(&self) {
        let record = self.exchange.call(self.sid);
        self.exchange.event(self.sid, "says    an application error has occurred".to_owned());
        let never_ran =
            record.is_none_or(|record| record.documents.is_empty() && record.direction == Direction::OutboundApi);
        if never_ran {
            self.finish(&CallStatus::Failed, None);
        } else {
            self.answer();
            self.finish(&CallStatus::Completed, Some(200));
        }
    }

    /// Waits before the answer. A redirect changes where the first document comes from; anything else ends the call.
    async fn unanswered(&mut self, length: Duration, source: &mut Source) -> bool {
        let until = Instant::now() + length;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => return true,
                command = self.commands.recv() => match command {
                    Some(Command::Redirect(next)) => *source = next,
                    Some(Command::Cancel | Command::Complete | Command::HangUp) | None => return false,
                },
            }
        }
    }

    /// Waits in the answered call, unless something interrupts.
    pub(super) async fn pause(&mut self, length: Duration) -> Option<Interrupt> {
        self.until(tokio::time::sleep(length)).await.err()
    }

    /// Does something in the answered call, unless something interrupts.
    pub(super) async fn until<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupt> {
        let mut work = std::pin::pin!(work);
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => {
                    if let Some(interrupt) = interrupt(command) {
                        return Err(interrupt);
                    }
                }
                done = &mut work => return Ok(done),
                _ = tick.tick() => {
                    if let Some(interrupt) = self.check(Instant::now()) {
                        return Err(interrupt);
                    }
                }
            }
        }
    }

    /// The next key that the caller presses within this time, unless something interrupts.
    pub(super) async fn key_within(&mut self, length: Duration) -> Result<Option<char>, Interrupt> {
        let until = Instant::now() + length;
        loop {
            if let Some(key) = self.caller.take_key() {
                return Ok(Some(key));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if let Some(interrupt) = self.pause(left.min(TICK)).await {
                return Err(interrupt);
            }
        }
    }

    /// Hands the caller's words to whoever listens beside the call.
    pub(super) fn spread_words(&mut self) {
        for (at, audio) in self.caller.take_words() {
            for fork in &self.forks {
                fork.hear(&audio);
            }
            if let Some(tape) = &mut self.tape {
                tape.hear(at, &audio);
            }
        }
    }

    fn check(&mut self, now: Instant) -> Option<Interrupt> {
        let hung_up = self.caller.step(now, None);
        self.spread_words();
        if hung_up {
            return Some(Interrupt::HungUp);
        }
        self.is_overdue(now).then_some(Interrupt::Ended)
    }

    /// Whether the call has reached its time limit, which is noted.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        let overdue = now >= self.ends_at;
        if overdue {
            self.exchange.notice(self.sid, 32015, "the longest time for a call");
        }
        overdue
    }
}

/// What a command means to an answered call. Taking back is too late then.
pub(super) fn interrupt(command: Option<Command>) -> Option<Interrupt> {
    match command {
        Some(Command::Redirect(source)) => Some(Interrupt::Redirect(source)),
        Some(Command::Cancel) => None,
        Some(Command::HangUp) => Some(Interrupt::HungUp),
        Some(Command::Complete) | None => Some(Interrupt::Ended),
    }
}
