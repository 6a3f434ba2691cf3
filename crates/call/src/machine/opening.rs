//! The agent's first words: the disclosure, then the greeting, each asked of the engine when the one before was sent.

use std::collections::VecDeque;
use std::time::Instant;

use super::Call;
use crate::agent::Script;
use crate::limits::OPENING_WITHIN;
use crate::timer::Timer;
use crate::turn::Purpose;

/// What is still to be said before the conversation is the engine's own.
#[derive(Debug)]
pub(super) struct Opening {
    waiting: VecDeque<(Purpose, String)>,
    saying: Option<(Purpose, String)>,
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
        Self { waiting, saying: None }
    }

    /// What the sentences that arrive now are for.
    pub(super) fn purpose(&self) -> Purpose {
        self.saying.as_ref().map_or(Purpose::Reply, |(purpose, _)| *purpose)
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
        let Some((purpose, text)) = self.opening.waiting.pop_front() else {
            return self.timers.clear(Timer::Opening);
        };
        self.with_engine(|engine, outbox| engine.say(&text, outbox));
        self.opening.saying = Some((purpose, text));
        self.timers.set(Timer::Opening, now + OPENING_WITHIN);
        self.expect_reply(now);
    }

    /// The engine has sent all of a turn.
    pub(super) fn opening_sent(&mut self, now: Instant) {
        self.opening.saying = None;
        self.go_on_opening(now);
    }

    /// The engine did not say when a part ended: what follows must not wait for ever.
    pub(super) fn opening_overdue(&mut self, now: Instant) {
        self.turns.complete();
        self.playout.end_turn();
        self.opening_sent(now);
    }

    pub(super) fn opening_lost(&mut self) {
        self.timers.clear(Timer::Opening);
        self.opening.lost();
    }
}
