//! What the simulated parts of a cascade have in common: one connection, what leaves it, and what it suffers.
//!
//! Recogniser and voice are a WebSocket each, the language model is an answer over HTTP that comes piece by piece; all
//! three fail in the same ways ([`crate::evi::fault`]). A [`Line`] holds what waits to be sent and the faults that are
//! to come; what a message means stays in the models. [`server`] puts a model that speaks over WebSockets behind real
//! ones.

pub mod server;

use std::collections::VecDeque;
use std::time::Instant;

use crate::evi::fault::{FaultCounts, Mishap, Moment};
use crate::evi::{Ended, Out};

/// Ended connections whose record is kept; the oldest go.
pub(crate) const MOST_ENDED: usize = 256;

/// One connection.
#[derive(Debug)]
pub(crate) struct Line {
    /// When the handshake was answered; nothing leaves before.
    pub(crate) opened: Instant,
    /// How it ended, if it has.
    pub(crate) ended: Option<(Instant, Ended)>,
    out: VecDeque<Out>,
    stall: Option<Stall>,
    armed: Vec<(Instant, Mishap)>,
    fate: Vec<(Moment, Mishap)>,
}

/// Why nothing leaves at the moment.
#[derive(Debug, Clone, Copy)]
enum Stall {
    Until(Instant),
    ForEver,
}

/// What a model has to say to a fault that lies in its dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Special {
    /// The next audio, or piece of an answer, is larger than 1 MiB.
    Huge,
    /// What was cancelled still comes.
    Late(std::time::Duration),
    /// The next answer fails.
    Failed,
}

impl Line {
    pub(crate) fn open(opened: Instant, fate: Vec<(Moment, Mishap)>) -> Self {
        let armed = fate.iter().filter_map(|(moment, mishap)| match moment {
            Moment::Open(after) => Some((opened + *after, mishap.clone())),
            Moment::Sentence { .. } | Moment::Spoken { .. } | Moment::CallerTurn(_) | Moment::Heard(_) => None,
        });
        let armed = armed.collect();
        Self { opened, ended: None, out: VecDeque::new(), stall: None, armed, fate }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    pub(crate) fn push(&mut self, text: String) {
        if !self.is_over() {
            self.out.push_back(Out::Text(text));
        }
    }

    /// Closes with this code; 1005 closes without one.
    pub(crate) fn close(&mut self, now: Instant, code: u16, reason: &str) {
        if !self.is_over() {
            self.out.push_back(Out::Close { code, reason: reason.to_owned() });
            self.ended = Some((now, Ended::Closed(code)));
        }
    }

    /// The client is gone.
    pub(crate) fn abandoned(&mut self, now: Instant) {
        self.ended.get_or_insert((now, Ended::ByClient));
    }

    /// What leaves now, if anything waits and may leave.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Out> {
        if now < self.opened || self.is_stalled(now) { None } else { self.out.pop_front() }
    }

    /// Whether anything waits.
    pub(crate) fn has_out(&self) -> bool {
        !self.out.is_empty()
    }

    fn is_stalled(&mut self, now: Instant) -> bool {
        match self.stall {
            Some(Stall::ForEver) => true,
            Some(Stall::Until(until)) if now < until => true,
            Some(Stall::Until(_)) => {
                self.stall = None;
                false
            }
            None => false,
        }
    }

    /// When something can leave, or a fault is due, or the model's own clock (`due`) says so.
    pub(crate) fn next_due(&self, due: Option<Instant>) -> Option<Instant> {
        let ready = match self.stall {
            Some(Stall::ForEver) => return self.next_fault(),
            Some(Stall::Until(until)) => return [Some(until), self.next_fault()].into_iter().flatten().min(),
            None => self.has_out().then_some(self.opened),
        };
        let due = due.filter(|_| !self.is_over()).map(|due| due.max(self.opened));
        [ready, self.next_fault(), due].into_iter().flatten().min()
    }

    /// When the next fault is due.
    pub(crate) fn next_fault(&self) -> Option<Instant> {
        let armed = self.armed.iter().map(|(due, _)| *due).min();
        armed.filter(|_| !self.is_over())
    }

    /// A fault that is due by now.
    pub(crate) fn take_fault(&mut self, now: Instant) -> Option<Mishap> {
        let at = (0..self.armed.len()).filter(|at| self.armed[*at].0 <= now).min_by_key(|at| self.armed[*at].0)?;
        Some(self.armed.remove(at).1)
    }

    /// Faults whose moment is now, as told by `is_now`; those that wait a while after it are armed.
    pub(crate) fn reached(&mut self, now: Instant, is_now: impl Fn(&Moment) -> bool) {
        for (moment, mishap) in self.fate.extract_if(.., |(moment, _)| is_now(moment)) {
            let after = match moment {
                Moment::Sentence { after, .. } => after,
                Moment::Open(_) | Moment::Spoken { .. } | Moment::CallerTurn(_) | Moment::Heard(_) => {
                    std::time::Duration::ZERO
                }
            };
            self.armed.push((now + after, mishap));
        }
    }

    /// Faults within the nth piece of speech, by how much of its audio goes out before.
    pub(crate) fn within(&mut self, sentence: u32) -> Vec<(std::time::Duration, Mishap)> {
        let of = |moment: &Moment| matches!(moment, Moment::Spoken { nth, .. } if *nth == sentence);
        let taken = self.fate.extract_if(.., |(moment, _)| of(moment));
        let mut within: Vec<_> = taken
            .filter_map(|(moment, mishap)| match moment {
                Moment::Spoken { audio, .. } => Some((audio, mishap)),
                Moment::Open(_) | Moment::Sentence { .. } | Moment::CallerTurn(_) | Moment::Heard(_) => None,
            })
            .collect();
        within.sort_by_key(|(audio, _)| *audio);
        within
    }

    /// A fault takes effect. What lies in the model's own dialect is handed back.
    pub(crate) fn suffer(&mut self, counts: &mut FaultCounts, now: Instant, mishap: &Mishap) -> Option<Special> {
        if self.is_over() {
            return None;
        }
        *counts.entry(mishap.name()).or_default() += 1;
        match mishap {
            Mishap::Drop => {
                self.out.push_back(Out::Drop);
                self.ended = Some((now, Ended::Dropped));
            }
            Mishap::Close { code, reason } => self.close(now, *code, reason),
            Mishap::Stall(None) => self.stall = Some(Stall::ForEver),
            Mishap::Stall(Some(pause)) => self.stall = Some(Stall::Until(now + *pause)),
            Mishap::MalformedJson => self.push(r#"{"type":"#.to_owned()),
            Mishap::BinaryFrame => self.out.push_back(Out::Binary(vec![0x00, 0xFF, 0x80, 0x7F])),
            Mishap::UnknownType => self.push(r#"{"type":"gesture","gesture":"nod"}"#.to_owned()),
            Mishap::HugeAudio => return Some(Special::Huge),
            Mishap::LateAudio(by) => return Some(Special::Late(*by)),
            Mishap::FailedTurn => return Some(Special::Failed),
        }
        None
    }
}

/// An id of a vendor's form: letters and digits.
pub(crate) fn letters(rng: &mut fastrand::Rng, count: usize) -> String {
    std::iter::repeat_with(|| rng.alphanumeric()).take(count).collect()
}

/// An id in the form of a UUID.
pub(crate) fn uuid(rng: &mut fastrand::Rng) -> String {
    let (a, b) = (rng.u64(..), rng.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xFFFF,
        a & 0xFFF,
        b >> 52,
        b & 0xFFFF_FFFF_FFFF
    )
}

/// Whether this key is one of those; any that is not empty, if none are configured.
pub(crate) fn admits(keys: &[String], key: Option<&str>) -> bool {
    key.is_some_and(|key| keys.iter().any(|known| known == key) || (keys.is_empty() && !key.is_empty()))
}
