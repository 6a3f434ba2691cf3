//! Links of the cascade that are lost, dialled again, and given up in the end.

use std::time::Instant;

use super::Cascade;
use super::line::Fate;
use crate::engine::{Event, Outbox};
use crate::journal::LinkCause;
use crate::limits::CASCADE_DIAL_WITHIN;

impl Cascade {
    pub(super) fn ears_lost(&mut self, why: LinkCause, outbox: &mut Outbox<'_>) {
        if !self.ready {
            return self.give_up(why, outbox);
        }
        // What was begun early may not be what the caller said in the end.
        self.withdraw(outbox);
        match self.ears.lost(why, outbox) {
            Fate::Again => self.falter(outbox),
            Fate::GivenUp(why) => self.give_up(why, outbox),
        }
    }

    pub(super) fn voice_lost(&mut self, why: LinkCause, outbox: &mut Outbox<'_>) {
        if !self.ready {
            return self.give_up(why, outbox);
        }
        let mut spoken = Vec::new();
        let fate = self.voice.lost(why, outbox, |each| spoken.push(each));
        self.spoken(spoken, outbox);
        match fate {
            Fate::Again => self.falter(outbox),
            Fate::GivenUp(why) => self.give_up(why, outbox),
        }
    }

    pub(super) fn falter(&mut self, outbox: &mut Outbox<'_>) {
        if !std::mem::replace(&mut self.faltering, true) {
            outbox.event(Event::Faltering);
        }
    }

    pub(super) fn look_whether_steady(&mut self, outbox: &mut Outbox<'_>) {
        let stands = self.ears.is_connected() && self.voice.line.open_port().is_some();
        if !stands || self.spent {
            return;
        }
        if !std::mem::replace(&mut self.ready, true) {
            outbox.event(Event::Ready { chat: Some(self.stream.clone()), group: None });
        }
        let falters =
            self.ears.line.falters() || self.voice.line.falters() || self.voice.falters() || self.mind.falters();
        if !falters && std::mem::take(&mut self.faltering) {
            outbox.event(Event::Steady);
        }
    }

    pub(super) fn give_up(&mut self, why: LinkCause, outbox: &mut Outbox<'_>) {
        if !std::mem::replace(&mut self.spent, true) {
            outbox.event(Event::Lost(why));
        }
    }

    /// Whether it has tried everything to get a part of itself back.
    pub(in crate::engine) fn is_spent(&self) -> bool {
        self.spent && self.ready
    }

    pub(in crate::engine) fn hang_up(&mut self, outbox: &mut Outbox<'_>) {
        self.spent = true;
        self.mind.hang_up(outbox);
        self.ears.line.close(outbox);
        self.voice.line.close(outbox);
    }

    pub(in crate::engine) fn next_due(&self) -> Option<Instant> {
        if self.spent {
            return None;
        }
        [self.ears.next_due(), self.mind.next_due(), self.voice.next_due()].into_iter().flatten().min()
    }

    pub(in crate::engine) fn wake(&mut self, outbox: &mut Outbox<'_>) {
        if self.spent {
            return;
        }
        let now = outbox.now;
        if self.ears.line.is_overdue(now) {
            self.ears_lost(LinkCause::Timeout, outbox);
        }
        if self.ears.line.wants_dialling(now) {
            let port = self.port();
            self.ears.dial(port, CASCADE_DIAL_WITHIN, outbox);
        }
        let mut heard = Vec::new();
        self.ears.rest_overdue(now, |each| heard.push(each));
        self.heard(heard, outbox);
        if self.voice.line.is_overdue(now) {
            self.voice_lost(LinkCause::Timeout, outbox);
        }
        if self.voice.line.wants_dialling(now) {
            let port = self.port();
            self.voice.dial(port, CASCADE_DIAL_WITHIN, outbox);
        }
        if self.voice.is_stale(now) {
            self.voice.line.close(outbox);
            let port = self.port();
            self.voice.dial(port, CASCADE_DIAL_WITHIN, outbox);
        }
        let mut spoken = Vec::new();
        self.voice.wake(outbox, |each| spoken.push(each));
        self.spoken(spoken, outbox);
        let mut thoughts = Vec::new();
        self.mind.wake(outbox, |thought| thoughts.push(thought));
        self.thought(thoughts, outbox);
        if self.mind.wants_asking(now) && !self.spent {
            self.ask(outbox);
        }
    }
}
