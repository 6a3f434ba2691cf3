//! What an engine reports, and what it says, as turns of the agent.

use std::time::{Duration, Instant};

use super::{Call, Phone};
use crate::engine::Event;
use crate::journal::Kind;
use crate::limits::{ASK_AFTER, GREETING_KEPT_MAX, SAMPLES_PER_MS};
use crate::timer::Timer;
use crate::words;

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
                if !self.only_a_line_plays(now) {
                    self.cut_off(now);
                }
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
            && !self.caller.has_spoken()
            && self.opening.is_over()
            && if self.caller.is_waiting_for_more() {
                // What it was asked to say may be the question that the greeting ended with.
                words::begins_like(&self.script.greeting, text)
            } else {
                words::repeats(&self.script.greeting, text)
            }
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
        self.bridged();
        self.seats.stalls = 0;
        self.seats.broke_off = None;
        self.caller.answers_aloud();
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
        let now_ms = self.call_ms(now);
        self.turns.note_arrival(now_ms);
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
            self.caller.answered(n);
        }
        self.opening_sent(now, spoken.is_some());
        self.goodbye_sent();
    }
}
