//! What the caller says, as the engine hears it: turns, their words, and whether anybody has answered them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Call;
use crate::journal::{Expression, Kind, Speaker, Turn};
use crate::timer::Timer;
use crate::words;

/// Turns of the caller whose words have not come yet. A transcription that is so far behind is lost.
const UNWRITTEN_MAX: usize = 16;

/// The caller, as the engine hears them.
#[derive(Debug)]
pub(super) struct Caller {
    /// Turns whose words will follow.
    unwritten: VecDeque<Unwritten>,
    /// What was said last, with its turn's number.
    last: Option<(u32, String)>,
    /// The agent's last turn that was sent to its end: what was said before it is answered.
    answered_n: u32,
    /// Whether the engine has said anything since the caller's last turn.
    answered_aloud: bool,
    /// From when on the caller is asked, at a quiet moment, to say it again: something may not have been heard.
    ask_again: Option<Instant>,
    /// Whether that is because a fresh engine hears it once more.
    heard_again: bool,
    /// Keys that were pressed and not told yet.
    keys: String,
    /// Keys that an engine was told, which has not said anything since.
    told_keys: String,
    /// When the engine last told of a turn of the caller.
    noticed_at: Instant,
    /// Whether the caller has spoken since the engine was seated.
    spoke: bool,
    /// When the caller last ended a turn that nothing has answered yet, in milliseconds of the call.
    ended_ms: Option<u64>,
    /// Whether the engine was asked to go on without words of the caller since it was seated.
    waits: bool,
}

#[derive(Debug)]
struct Unwritten {
    item: String,
    turn: Turn,
    /// Where it ends in the caller's audio, which is kept until it is written down.
    until: u64,
}

impl Caller {
    /// `last` is what the caller said last before this epoch, if nobody has answered it.
    pub(super) fn new(now: Instant, last: Option<(u32, String)>) -> Self {
        Self {
            unwritten: VecDeque::new(),
            last,
            answered_n: 0,
            answered_aloud: true,
            ask_again: None,
            heard_again: false,
            keys: String::new(),
            told_keys: String::new(),
            noticed_at: now,
            spoke: false,
            ended_ms: None,
            waits: false,
        }
    }

    pub(super) fn noticed_since(&self, time: Instant) -> bool {
        self.noticed_at >= time
    }

    /// What the caller said last, if no turn of the agent was sent to its end since.
    pub(super) fn unanswered(&self) -> Option<String> {
        self.last.as_ref().filter(|(n, _)| *n > self.answered_n).map(|(_, words)| words.clone())
    }

    pub(super) fn is_unanswered(&self) -> bool {
        self.last.as_ref().is_some_and(|(n, _)| *n > self.answered_n)
    }

    /// The agent asked for a tool: what it has said so far was not the answer.
    pub(super) fn not_answered_yet(&mut self) {
        if let Some((n, _)) = &self.last {
            self.answered_n = self.answered_n.min(n - 1);
        }
    }

    /// The agent's turn with this number was sent to its end.
    pub(super) fn answered(&mut self, n: u32) {
        self.answered_n = n;
    }

    /// The agent says something.
    pub(super) fn answers_aloud(&mut self) {
        self.answered_aloud = true;
        self.told_keys.clear();
    }

    /// Whether the caller has spoken since the engine was seated.
    pub(super) fn has_spoken(&self) -> bool {
        self.spoke
    }

    pub(super) fn answered_aloud(&self) -> bool {
        self.answered_aloud
    }

    /// Whether a turn of the caller has no words yet.
    pub(super) fn is_being_written(&self) -> bool {
        !self.unwritten.is_empty()
    }

    pub(super) fn ask_again(&mut self, at: Instant) {
        self.ask_again = Some(at);
        self.heard_again = false;
    }

    /// A fresh engine hears what was said last; if by then it has made nothing of it, something else is done.
    pub(super) fn is_heard_again(&mut self, until: Instant) {
        self.ask_again = Some(until);
        self.heard_again = true;
    }

    /// Whether a fresh engine heard what was said last.
    pub(super) fn was_heard_again(&self) -> bool {
        self.heard_again
    }

    pub(super) fn wants_asking(&self) -> Option<Instant> {
        self.ask_again
    }

    pub(super) fn need_not_be_asked(&mut self) {
        self.ask_again = None;
    }

    pub(super) fn keys_told(&mut self, keys: String) {
        self.told_keys = keys;
    }

    /// The engine that was told is gone: what it did not answer is told again.
    pub(super) fn keys_again(&mut self) {
        let told = std::mem::take(&mut self.told_keys);
        self.keys.insert_str(0, &told);
    }

    pub(super) fn keys(&mut self) -> &mut String {
        &mut self.keys
    }

    pub(super) fn engine_seated(&mut self) {
        self.spoke = false;
        self.waits = false;
    }

    /// The engine was asked to go on by itself.
    pub(super) fn waits_for_more(&mut self) {
        self.waits = true;
    }

    /// Whether the engine was asked to go on by itself, and not in answer to words.
    pub(super) fn is_waiting_for_more(&self) -> bool {
        self.waits
    }
}

impl Call {
    /// The engine hears that the caller says something. It still owes the end of the turn.
    pub(super) fn caller_noticed(&mut self, now: Instant) {
        self.timers.clear(Timer::Deaf);
        self.expect_caller(now);
    }

    /// The caller has so long from now on to say something.
    pub(super) fn expect_caller(&mut self, now: Instant) {
        if self.is_up() {
            let silence = Duration::from_secs(u64::from(self.script.limits.caller_silence_s_max));
            self.timers.set(Timer::CallerSilence, self.playout.heard_out_at(now) + silence);
        }
    }

    pub(super) fn caller_turn(
        &mut self,
        now: Instant,
        item: Option<String>,
        span_ms: Option<(u64, u64)>,
        text: Option<String>,
        expressions: Vec<Expression>,
    ) {
        self.caller_noticed(now);
        self.caller.noticed_at = now;
        self.caller.need_not_be_asked();
        let until = self.position_of(span_ms.map(|(_, end)| end));
        if text.is_some() {
            self.recent.told(until);
        }
        if let Some(text) = &text {
            self.cut_if_unplayed(now, text);
            if text.trim().is_empty() {
                return;
            }
        }
        let now_ms = self.call_ms(now);
        let (start_ms, end_ms) =
            span_ms.map_or((now_ms, now_ms), |(begin, end)| (self.heard_at_ms(begin), self.heard_at_ms(end)));
        let turn = Turn {
            n: self.next_turn_number(),
            speaker: Speaker::Caller,
            text: String::new(),
            heard_text: String::new(),
            approximate: false,
            start_ms,
            end_ms: end_ms.max(start_ms),
            heard_ms: end_ms.saturating_sub(start_ms),
            interrupted: false,
            engine: self.engine_kind(),
            expressions,
        };
        self.caller.ended_ms = Some(turn.end_ms);
        match (text, item) {
            (Some(text), _) => self.caller_said(now, turn, text),
            (None, Some(item)) => {
                if self.caller.unwritten.len() == UNWRITTEN_MAX
                    && let Some(oldest) = self.caller.unwritten.pop_front()
                {
                    self.remember(now, oldest.turn);
                }
                self.caller.unwritten.push_back(Unwritten { item, turn, until });
            }
            (None, None) => self.remember(now, turn),
        }
        self.caller.spoke = true;
        self.seats.broke_off = None;
        self.silence_over();
        self.caller.answered_aloud = false;
        self.expect_reply(now);
    }

    /// When the caller said the last word that the next sound answers. Told once.
    pub(super) fn answered_end_ms(&mut self) -> Option<u64> {
        self.caller.ended_ms.take()
    }

    pub(super) fn caller_text(&mut self, now: Instant, item: &str, text: String) {
        let Some(index) = self.caller.unwritten.iter().position(|unwritten| unwritten.item == item) else {
            self.measured.unknown += 1;
            return;
        };
        if let Some(unwritten) = self.caller.unwritten.remove(index) {
            self.recent.told(unwritten.until);
            self.caller_said(now, unwritten.turn, text);
        }
    }

    pub(super) fn caller_said(&mut self, now: Instant, mut turn: Turn, text: String) {
        self.caller_goes_on(now, &text);
        turn.text.clone_from(&text);
        turn.heard_text.clone_from(&text);
        if words::are_real(&text) && self.caller.last.as_ref().is_none_or(|(n, _)| *n < turn.n) {
            self.caller.last = Some((turn.n, text));
        }
        self.remember(now, turn);
    }

    /// Turns whose words never came are written down without them.
    pub(super) fn write_unwritten(&mut self, now: Instant) {
        while let Some(unwritten) = self.caller.unwritten.pop_front() {
            self.remember(now, unwritten.turn);
        }
    }

    /// The caller speaks another language than before. If the agent speaks it too, it does so from now on.
    pub(super) fn language_changed(&mut self, now: Instant, tag: String) {
        let Some(language) = self.script.language_like(&tag).filter(|language| *language != self.script.language)
        else {
            return;
        };
        let language = language.to_owned();
        self.with_engine(|engine, _| engine.speak(&language));
        self.script.language.clone_from(&language);
        self.journal(now, Kind::LanguageChanged { language });
    }
}
