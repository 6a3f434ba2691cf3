//! The agent's first words: the disclosure, then the greeting, each asked of the engine when the one before was sent.

use std::collections::VecDeque;
use std::time::Instant;

use super::Call;
use crate::agent::Script;
use crate::journal::LinkCause;
use crate::limits::{GREETING_AHEAD, OPENING_WITHIN};
use crate::timer::Timer;
use crate::turn::Purpose;
use crate::words;

/// What is still to be said before the conversation is the engine's own.
#[derive(Debug)]
pub(super) struct Opening {
    waiting: VecDeque<(Purpose, String)>,
    saying: Option<(Purpose, String)>,
    /// Whether any of it has arrived.
    arrives: bool,
    /// Whether the engine has said something else since.
    overtaken: bool,
}

impl Opening {
    pub(super) fn new(script: &Script, greeted: bool, disclosed: bool) -> Self {
        let mut waiting = VecDeque::new();
        if !disclosed && !script.disclosure.is_empty() {
            waiting.push_back((Purpose::Disclosure, script.disclosure.clone()));
        }
        if !greeted && !script.greeting.is_empty() {
            waiting.push_back((Purpose::Greeting, script.greeting.clone()));
        }
        Self { waiting, saying: None, arrives: false, overtaken: false }
    }

    /// What a sentence that arrives now is for. `scripted`: it says what the engine was asked to say.
    pub(super) fn purpose(&self, scripted: bool) -> Purpose {
        self.saying.as_ref().filter(|_| scripted).map_or(Purpose::Reply, |(purpose, _)| *purpose)
    }

    /// Whether these are words of the part that is being said.
    pub(super) fn says(&self, text: &str) -> bool {
        self.saying.as_ref().is_some_and(|(_, part)| !text.trim().is_empty() && words::contains(part, text))
    }

    /// Whether the disclosure is being said, and not all of it has come.
    pub(super) fn is_disclosing(&self) -> bool {
        matches!(self.saying, Some((Purpose::Disclosure, _)))
    }

    pub(super) fn is_over(&self) -> bool {
        self.saying.is_none() && self.waiting.is_empty()
    }

    /// The disclosure was heard; it is not said again.
    pub(super) fn disclosed(&mut self) {
        self.waiting.retain(|(purpose, _)| *purpose != Purpose::Disclosure);
    }

    /// The caller cut in. A greeting is then pointless, a disclosure still due.
    pub(super) fn cut(&mut self) {
        self.waiting.retain(|(purpose, _)| *purpose == Purpose::Disclosure);
        if let Some(part @ (Purpose::Disclosure, _)) = self.saying.take() {
            self.waiting.push_front(part);
        }
    }

    /// The engine was lost: what it was saying is to be said again by the next.
    fn lost(&mut self) {
        if let Some(part) = self.saying.take() {
            self.waiting.push_front(part);
        }
    }
}

impl Call {
    /// Has the engine say the next part, if it is not busy with one.
    pub(super) fn go_on_opening(&mut self, now: Instant) {
        if self.opening.saying.is_some() {
            return;
        }
        // What waits for a stream is kept within bounds; the rest is asked for when somebody can hear it.
        if !self.is_up() && self.playout.queued() > GREETING_AHEAD {
            return self.timers.clear(Timer::Opening);
        }
        let Some((purpose, text)) = self.opening.waiting.pop_front() else {
            return self.timers.clear(Timer::Opening);
        };
        self.with_engine(|engine, outbox| engine.say(&text, outbox));
        self.opening.saying = Some((purpose, text));
        self.opening.arrives = false;
        self.opening.overtaken = false;
        self.timers.set(Timer::Opening, now + OPENING_WITHIN);
        self.expect_reply(now);
    }

    /// Some of the part that is being said has arrived.
    pub(super) fn opening_arrives(&mut self, now: Instant, purpose: Purpose) {
        if self.opening.saying.as_ref().is_some_and(|(saying, _)| *saying == purpose) {
            self.opening.arrives = true;
            self.timers.set(Timer::Opening, now + OPENING_WITHIN);
        }
    }

    /// The engine has sent all of a turn. A turn of its own, in between, does not end what it was asked to say; one
    /// without a sound is a part that was called off.
    pub(super) fn opening_sent(&mut self, now: Instant, spoke: bool) {
        if self.opening.saying.is_none() || self.opening.arrives {
            self.opening.saying = None;
        } else if !spoke {
            self.opening.cut();
        } else {
            self.opening.overtaken = true;
            return;
        }
        self.go_on_opening(now);
    }

    /// The engine has been silent in the middle of a part: what follows must not wait for ever. One that has not even
    /// begun, by an engine that has said nothing else either, says that the engine is of no use.
    pub(super) fn opening_overdue(&mut self, now: Instant) {
        if self.opening.overtaken {
            self.opening.cut();
            return self.go_on_opening(now);
        }
        if self.opening.saying.is_some() && !self.opening.arrives {
            return self.current_failed(now, LinkCause::Stalled);
        }
        self.turns.complete();
        self.playout.end_turn();
        self.opening_sent(now, true);
    }

    pub(super) fn opening_lost(&mut self) {
        self.timers.clear(Timer::Opening);
        self.opening.lost();
    }
}
