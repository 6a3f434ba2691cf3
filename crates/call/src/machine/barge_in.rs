//! The caller speaks over the agent: what was not heard is dropped, and the engine is told where it can be told.

use std::time::{Duration, Instant};

use wire::twilio::stream::Outbound;

use super::{Call, Phone};
use crate::engine::CutSentence;
use crate::io::Output;
use crate::journal::Kind;
use crate::limits::SAMPLES_PER_MS;
use crate::playout::duration;
use crate::turn::{AgentTurn, Purpose};
use crate::words;

impl Call {
    pub(super) fn words_to_cut(&self) -> usize {
        self.seats.current.as_ref().map_or(1, |seat| seat.engine.words_to_cut())
    }

    /// The second case of barge-in: the engine has long sent its turn, but the phone still plays it. While it is still
    /// sending, the engine itself decides what interrupts it.
    pub(super) fn cut_if_unplayed(&mut self, now: Instant, text: &str) {
        let least = Duration::from_millis(u64::from(self.script.turn_taking.unplayed_ms_min));
        let enough = words::count_real(text) >= self.words_to_cut();
        let sent = self.turns.arriving().is_none() && !self.only_a_line_plays(now);
        if enough && sent && self.playout.unplayed(now) > least {
            self.cut_off(now);
        }
    }

    /// Whether what plays is a line of ours, and the caller is silent: what an engine hears now was said before the line.
    pub(super) fn only_a_line_plays(&self, now: Instant) -> bool {
        let Phone::Up { upward, .. } = &self.phone else { return false };
        self.turns.are_lines() && upward.is_quiet(now)
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

    pub(super) fn turn_cut(&mut self, now: Instant, turn: &AgentTurn, heard: u64, cut: &mut Vec<CutSentence>) {
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
