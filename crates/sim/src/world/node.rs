//! The node's part: what it suffers, and how it does what the call asks for.

use std::time::Duration;

use call::agent::EngineKind;
use call::journal::{EndedBy, Entry, Kind};
use call::{Command, Input, LinkRequest, Output, PhoneEvent};
use wire::twilio::stream::Outbound;

use super::planted::{self, Bug, Planted};
use super::stream::Down;
use super::vendors::Vendors;
use super::{NodeEvent, Order, Wire, World, timeline};

/// What the node may lose of its journal when it dies.
const JOURNAL_LOST: Duration = Duration::from_millis(250);

impl World {
    pub(super) fn suffer(&mut self) {
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
                    let (name, command) = match order {
                        Order::HangUp => ("operator hung up", Command::HangUp { by: EndedBy::Operator }),
                        Order::Transfer => {
                            ("operator transferred", Command::Transfer { to: "+12025550177".to_owned() })
                        }
                        Order::Say => {
                            ("operator spoke", Command::Say { text: "Please hold on for a moment.".to_owned() })
                        }
                    };
                    self.count_fault(name);
                    self.tell(|call| call.handle(now, Input::Command(command)));
                }
            }
        }
    }

    pub(super) fn node_dies(&mut self) {
        self.count_fault("node killed");
        self.note("node", "killed");
        let epoch = self.setup.epoch;
        let lost = JOURNAL_LOST + self.rough.store_lag;
        if !self.rough.store_lag.is_zero() {
            self.count_fault("store slow");
        }
        let lost_after = self.wall_ms(self.now).saturating_sub(u64::try_from(lost.as_millis()).unwrap_or(0));
        self.journal.retain(|entry| entry.epoch != epoch || entry.at_ms <= lost_after);
        self.call_over(None);
        self.wake_at = None;
        self.links.cut_all(
            self.now,
            &mut Vendors { evi: &mut self.evi, openai: &mut self.openai, cascade: &mut self.cascade },
        );
        self.stream_over(true);
    }

    /// Gives the call an input and does all that it asks for.
    pub(super) fn tell(&mut self, input: impl FnOnce(&mut Planted)) {
        let Some(mut call) = self.call.take() else { return };
        input(&mut call);
        loop {
            let output = call.poll();
            self.watches(&output);
            match output {
                Output::Wait(deadline) => {
                    self.step_over();
                    if deadline <= self.now {
                        self.mistakes.push(format!("Wait lies in the past at {:?}", self.now - self.began));
                    }
                    self.wake_at = Some(deadline.max(self.now + Duration::from_micros(1)));
                    self.call = Some(call);
                    return;
                }
                Output::Finished => {
                    self.step_over();
                    self.call_over(Some(call));
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

    pub(super) fn perform(&mut self, output: Output) {
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
            Output::SendBinary { link, bytes } => self.links.send_binary(now, link, bytes),
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

    pub(super) fn keep(&mut self, entry: Entry) {
        let expected = self.journal.iter().rev().find(|kept| kept.epoch == entry.epoch).map_or(1, |kept| kept.seq + 1);
        if entry.seq != expected {
            self.mistakes.push(format!("journal entry {}.{} follows {}", entry.epoch, entry.seq, expected - 1));
        }
        if let Kind::StreamEnded { .. } = entry.kind {
            self.count_fault(timeline::end_name(&entry.kind));
        }
        self.journal.push(entry);
    }

    fn watches(&mut self, output: &Output) {
        let wrong = self.watch.sees(self.now, output);
        self.mistakes.extend(wrong.map(|wrong| format!("{:.3} {wrong}", (self.now - self.began).as_secs_f64())));
    }

    fn step_over(&mut self) {
        let wrong = self.watch.step_over();
        self.mistakes.extend(wrong.map(|wrong| format!("{:.3} {wrong}", (self.now - self.began).as_secs_f64())));
    }

    /// The machine is gone: its tape is kept.
    fn call_over(&mut self, call: Option<Planted>) {
        let call = call.or_else(|| self.call.take());
        self.tapes.extend(call.and_then(Planted::into_tape));
    }
}
