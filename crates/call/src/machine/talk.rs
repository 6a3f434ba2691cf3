//! What an engine hears and says, as turns; and the cut when the caller speaks over the agent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::twilio::stream::Outbound;

use super::{Call, Phone};
use crate::engine::{CutSentence, Event};
use crate::io::Output;
use crate::journal::{Expression, Kind, Speaker, Turn};
use crate::limits::{ASK_AFTER, GREETING_KEPT_MAX, SAMPLES_PER_MS};
use crate::playout::duration;
use crate::timer::Timer;
use crate::turn::{AgentTurn, Purpose};
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
    /// Keys that were pressed and not told yet.
    keys: String,
    /// When the engine last told of a turn of the caller.
    noticed_at: Instant,
    /// Whether the caller has spoken since the engine was seated.
    spoke: bool,
}

#[derive(Debug)]
struct Unwritten {
    item: String,
    turn: Turn,
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
            keys: String::new(),
            noticed_at: now,
            spoke: false,
        }
    }

    pub(super) fn noticed_since(&self, time: Instant) -> bool {
        self.noticed_at >= time
    }

    pub(super) fn unanswered(&mut self) -> Option<String> {
        self.last.take_if(|(n, _)| *n > self.answered_n).map(|(_, words)| words)
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

    pub(super) fn answered_aloud(&self) -> bool {
        self.answered_aloud
    }

    /// Whether a turn of the caller has no words yet.
    pub(super) fn is_being_written(&self) -> bool {
        !self.unwritten.is_empty()
    }

    pub(super) fn ask_again(&mut self, at: Instant) {
        self.ask_again = Some(at);
    }

    pub(super) fn wants_asking(&self) -> Option<Instant> {
        self.ask_again
    }

    pub(super) fn need_not_be_asked(&mut self) {
        self.ask_again = None;
    }

    pub(super) fn keys(&mut self) -> &mut String {
        &mut self.keys
    }

    pub(super) fn engine_seated(&mut self) {
        self.spoke = false;
    }
}

impl Call {
    /// Handles what the current engine reported.
    pub(super) fn engine_events(&mut self, now: Instant) {
        while let Some(event) = self.events.pop_front() {
            if self.over {
                self.events.clear();
                return;
            }
            self.engine_event(now, event);
        }
    }

    fn engine_event(&mut self, now: Instant, event: Event) {
        if self.ending.mutes(&event) {
            return;
        }
        match event {
            Event::Ready { chat, group } => self.engine_ready(now, chat, group),
            Event::Interrupted => {
                self.caller_noticed(now);
                self.cut_off(now);
                // A cough may have been taken for speech: if no words follow, nobody would say anything any more.
                self.caller.ask_again(now + ASK_AFTER);
            }
            Event::CallerWords { text } => {
                self.caller_noticed(now);
                self.cut_if_unplayed(now, &text);
            }
            Event::CallerTurn { item, span_ms, text, expressions } => {
                self.caller_turn(now, item, span_ms, text, expressions)
            }
            Event::CallerText { item, text } => self.caller_text(now, &item, text),
            Event::Sentence { id, text, append, scripted } => self.sentence(&id, &text, append, scripted),
            Event::WordEnds { id, words } => self.turns.word_ends(&id, &words),
            Event::SentenceEnd { id } => self.sentence_end(now, &id),
            Event::Audio { id, mulaw, scripted } => self.agent_audio(now, &id, &mulaw, scripted),
            Event::TurnSent => self.turn_sent(now),
            Event::LateAudio { length } => self.measured.late_audio_ms += super::millis(length),
            Event::Tool { id, name, arguments } => self.tool_called(now, id, name, arguments),
            Event::Trouble { code, message } => {
                if let Some(engine) = self.engine_kind() {
                    self.journal(now, Kind::EngineError { engine, code, message });
                }
            }
            Event::Faltering => self.engine_falters(now),
            Event::Steady => self.engine_steady(),
            Event::Language { tag } => self.language_changed(now, tag),
            Event::Lost(why) => self.current_failed(now, why),
            Event::Malformed => self.measured.malformed += 1,
            Event::Unknown => self.measured.unknown += 1,
        }
    }

    /// The engine hears that the caller says something. It still owes the end of the turn.
    fn caller_noticed(&mut self, now: Instant) {
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

    fn caller_turn(
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
        match (text, item) {
            (Some(text), _) => self.caller_said(now, turn, text),
            (None, Some(item)) => {
                if self.caller.unwritten.len() == UNWRITTEN_MAX
                    && let Some(oldest) = self.caller.unwritten.pop_front()
                {
                    self.remember(now, oldest.turn);
                }
                self.caller.unwritten.push_back(Unwritten { item, turn });
            }
            (None, None) => self.remember(now, turn),
        }
        self.caller.spoke = true;
        self.caller.answered_aloud = false;
        self.expect_reply(now);
    }

    fn caller_text(&mut self, now: Instant, item: &str, text: String) {
        let Some(index) = self.caller.unwritten.iter().position(|unwritten| unwritten.item == item) else {
            self.measured.unknown += 1;
            return;
        };
        if let Some(unwritten) = self.caller.unwritten.remove(index) {
            self.caller_said(now, unwritten.turn, text);
        }
    }

    fn caller_said(&mut self, now: Instant, mut turn: Turn, text: String) {
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

    fn sentence(&mut self, id: &str, text: &str, append: bool, scripted: bool) {
        if self.repeats_greeting(text) && !append {
            self.with_engine(|engine, _| engine.forget(id));
            return;
        }
        self.open_turn();
        let purpose = self.opening.purpose(scripted || self.opening.says(text));
        self.turns.text(id, text, append, purpose);
    }

    /// A resumed engine may greet once more, before the caller has said another word.
    fn repeats_greeting(&self, text: &str) -> bool {
        self.seats.current_resumed()
            && !self.caller.spoke
            && self.opening.is_over()
            && words::repeats(&self.script.greeting, text)
    }

    fn sentence_end(&mut self, now: Instant, id: &str) {
        let Some(turn) = self.turns.arriving() else { return };
        let n = turn.n;
        if let Some(text) =
            turn.sentences.iter().find(|sentence| sentence.id == id).map(|sentence| sentence.text.clone())
        {
            self.journal(now, Kind::Speaking { n, text });
        }
    }

    fn agent_audio(&mut self, now: Instant, id: &str, mulaw: &[u8], scripted: bool) {
        self.open_turn();
        self.owed_nothing();
        self.seats.stalls = 0;
        self.caller.answered_aloud = true;
        self.caller.need_not_be_asked();
        self.timers.clear(Timer::Deaf);
        let room = match self.phone {
            Phone::Up { .. } => Duration::MAX,
            Phone::Awaited => GREETING_KEPT_MAX.saturating_sub(self.playout.queued()),
        };
        let fits = usize::try_from(crate::playout::samples(room)).unwrap_or(usize::MAX).min(mulaw.len());
        let position = self.playout.end();
        let dropped = self.playout.push(&mulaw[..fits]) + mulaw.len() - fits;
        let purpose = self.opening.purpose(scripted);
        self.turns.audio(id, position, (mulaw.len() - dropped) as u64, purpose);
        let purpose = self.turns.purpose_of(id).unwrap_or(purpose);
        self.opening_arrives(now, purpose);
        self.ending_moves(now);
        if dropped > 0 {
            self.measured.dropped_ms += dropped as u64 / SAMPLES_PER_MS;
            self.turns.cut_short();
        }
    }

    fn open_turn(&mut self) {
        if self.turns.arriving().is_none() {
            let n = self.next_turn_number();
            let engine = self.engine_kind();
            self.turns.open(n, engine);
        }
    }

    fn turn_sent(&mut self, now: Instant) {
        let spoken = self.turns.arriving().filter(|turn| turn.end().is_some()).map(|turn| turn.n);
        self.turns.complete();
        self.playout.end_turn();
        if let Some(n) = spoken {
            self.caller.answered_n = n;
        }
        self.opening_sent(now, spoken.is_some());
        self.goodbye_sent();
    }

    fn words_to_cut(&self) -> usize {
        self.seats.current.as_ref().map_or(1, |seat| seat.engine.words_to_cut())
    }

    /// The caller speaks another language than before. If the agent speaks it too, it does so from now on.
    fn language_changed(&mut self, now: Instant, tag: String) {
        let Some(language) = self.script.language_like(&tag).filter(|language| *language != self.script.language)
        else {
            return;
        };
        let language = language.to_owned();
        self.with_engine(|engine, _| engine.speak(&language));
        self.script.language.clone_from(&language);
        self.journal(now, Kind::LanguageChanged { language });
    }

    /// The second case of barge-in: the engine has long sent its turn, but the phone still plays it. While it is still
    /// sending, the engine itself decides what interrupts it.
    fn cut_if_unplayed(&mut self, now: Instant, text: &str) {
        let least = Duration::from_millis(u64::from(self.script.turn_taking.unplayed_ms_min));
        let enough = words::count_real(text) >= self.words_to_cut();
        if enough && self.turns.arriving().is_none() && self.playout.unplayed(now) > least {
            self.cut_off(now);
        }
    }

    /// Cuts the agent off: nothing that the caller has not heard yet will be heard, but for a disclosure.
    pub(super) fn cut_off(&mut self, now: Instant) {
        self.owed_nothing();
        if self.turns.is_empty() && self.playout.is_dry(now) {
            return;
        }
        let heard = self.playout.heard(now);
        // A disclosure is finished first. If the engine stopped in the middle of it, it is said again later.
        let cut_turns = match self.turns.protected_until(heard) {
            Some(until) if !self.opening.is_disclosing() => {
                self.playout.cut_beyond(until);
                self.turns.take_beyond(until)
            }
            Some(_) | None => {
                let cut = self.playout.cut(now);
                if cut.in_phone {
                    self.out.push_back(Output::Phone(Outbound::Clear));
                }
                self.turns.take_all()
            }
        };
        self.opening.cut();
        self.ending.interrupted();
        let mut sentences = Vec::new();
        for turn in cut_turns {
            self.turn_cut(now, &turn, heard, &mut sentences);
        }
        if !sentences.is_empty() {
            self.with_engine(|engine, outbox| engine.cut(&sentences, outbox));
        }
    }

    fn turn_cut(&mut self, now: Instant, turn: &AgentTurn, heard: u64, cut: &mut Vec<CutSentence>) {
        let record = turn.record(heard, self.call_ms(now), true);
        let parts = turn.heard_parts(heard, true);
        let whole: u64 = turn.sentences.iter().map(crate::turn::Sentence::samples).sum();
        let heard_samples: u64 = turn.sentences.iter().map(|sentence| sentence.heard(heard)).sum();
        let unheard = turn.sentences.iter().zip(parts).filter(|(sentence, _)| {
            sentence.purpose != Purpose::Line && (!turn.complete || sentence.heard(heard) < sentence.samples())
        });
        cut.extend(unheard.map(|(sentence, part)| CutSentence {
            id: sentence.id.clone(),
            heard: duration(sentence.heard(heard)),
            heard_text: part.text.to_owned(),
        }));
        let dropped_ms = (whole - heard_samples) / SAMPLES_PER_MS;
        self.journal(now, Kind::Interrupted { n: turn.n, heard_ms: record.heard_ms, dropped_ms });
        self.remember(now, record);
    }
}
