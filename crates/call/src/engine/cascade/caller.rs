//! What Deepgram heard, as turns of the caller: an answer begun early, withdrawn, or let go.

use super::ears::Heard;
use super::{Cascade, Turn};
use crate::engine::{Event, Outbox};
use crate::io::LinkEvent;
use crate::journal::LinkCause;
use crate::limits::{CASCADE_EARLY_MAX, ENGINE_MESSAGE_BYTES_MAX};
use crate::words;

impl Cascade {
    pub(super) fn ears_event(&mut self, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
        let why = match event {
            // The stream is open when it says so.
            LinkEvent::Opened => return,
            LinkEvent::Text(text) if text.len() <= ENGINE_MESSAGE_BYTES_MAX => {
                let mut heard = Vec::new();
                self.ears.receive(text, outbox, |each| heard.push(each));
                return self.heard(heard, outbox);
            }
            LinkEvent::Text(_) | LinkEvent::Binary | LinkEvent::Body(_) | LinkEvent::Ended => {
                return outbox.event(Event::Malformed);
            }
            LinkEvent::Refused(why) => why,
            LinkEvent::Rejected { status, .. } => LinkCause::Status { status },
            LinkEvent::Lost(code) => LinkCause::Closed { code },
        };
        self.ears_lost(why, outbox);
    }

    pub(in crate::engine) fn hear(&mut self, mulaw: &[u8], outbox: &mut Outbox<'_>) {
        self.ears.hear(mulaw, outbox);
        if self.ears.is_deaf(outbox.now) {
            self.ears_lost(LinkCause::Stalled, outbox);
        }
    }

    pub(super) fn heard(&mut self, heard: Vec<Heard>, outbox: &mut Outbox<'_>) {
        for heard in heard {
            match heard {
                Heard::Connected { stream } => self.stream = stream,
                Heard::Words(text) => self.caller_words(text, outbox),
                Heard::MaybeOver(text) => self.maybe_over(text, outbox),
                Heard::GoesOn => self.withdraw(outbox),
                Heard::Turn { text, span_ms } => self.caller_turn(text, span_ms, outbox),
                Heard::Language(tag) => outbox.event(Event::Language { tag }),
                Heard::Trouble { code, message } => outbox.event(Event::Trouble { code, message }),
                Heard::Failed { why } => self.ears_lost(why, outbox),
                Heard::Malformed => outbox.event(Event::Malformed),
                Heard::Unknown => outbox.event(Event::Unknown),
            }
        }
        self.look_whether_steady(outbox);
    }

    pub(super) fn caller_words(&mut self, text: String, outbox: &mut Outbox<'_>) {
        let count = words::count_real(&text);
        outbox.event(Event::CallerWords { text });
        let Some(turn) = self.turn.as_ref().filter(|turn| turn.early.is_none() && !turn.scripted) else { return };
        // Nothing of the answer was heard yet: the caller has simply gone on, and will be answered later.
        let unheard = !turn.audible && outbox.unplayed.is_zero();
        if count >= self.words_min || unheard && count > 0 {
            self.stop(outbox);
            outbox.event(Event::Interrupted);
        }
    }

    /// The caller's turn may be over: the answer is begun, and kept back.
    pub(super) fn maybe_over(&mut self, text: String, outbox: &mut Outbox<'_>) {
        let audible = !outbox.unplayed.is_zero();
        let counts = words::count_real(&text) >= if audible { self.words_min } else { 1 };
        if self.turn.is_some() || !counts || self.early_count >= CASCADE_EARLY_MAX || !self.say_next.is_empty() {
            return;
        }
        self.early_count += 1;
        self.history.caller(&text, true);
        self.turn = Some(Turn::new(false, Some(text)));
        self.mind.afresh();
        self.ask(outbox);
    }

    /// The caller goes on: what was begun early was never said.
    pub(super) fn withdraw(&mut self, outbox: &mut Outbox<'_>) {
        if self.turn.as_ref().is_some_and(|turn| turn.early.is_some()) {
            self.stop(outbox);
            self.history.drop_early();
        }
    }

    pub(super) fn caller_turn(&mut self, text: String, span_ms: (u64, u64), outbox: &mut Outbox<'_>) {
        self.early_count = 0;
        let audible = self.turn.as_ref().is_some_and(|turn| turn.early.is_none()) || !outbox.unplayed.is_zero();
        // A sound that people make while they listen asks for nothing, unless it is all the answer the agent gets.
        if text.is_empty() || audible && !words::are_real(&text) {
            self.withdraw(outbox);
            let (item, text, expressions) = (None, Some(String::new()), Vec::new());
            outbox.event(Event::CallerTurn { item, span_ms: Some(span_ms), text, expressions });
            return self.go_on(outbox);
        }
        let begun = self.turn.as_ref().is_some_and(|turn| turn.early.as_ref() == Some(&text));
        if !begun {
            self.withdraw(outbox);
            self.history.caller(&text, false);
        }
        outbox.event(Event::CallerTurn {
            item: None,
            span_ms: Some(span_ms),
            text: Some(text),
            expressions: Vec::new(),
        });
        if begun {
            return self.release(outbox);
        }
        self.answer_due = true;
        self.go_on(outbox);
    }

    /// The caller's turn is over as it was thought to be: what was kept back is said.
    pub(super) fn release(&mut self, outbox: &mut Outbox<'_>) {
        self.history.keep_early();
        let Some(turn) = &mut self.turn else { return };
        turn.early = None;
        turn.audible = turn.held_samples > 0;
        let over = turn.worded && !self.voice.is_busy();
        for event in std::mem::take(&mut turn.held) {
            outbox.event(event);
        }
        if over {
            self.turn_over(outbox);
        }
    }
}
