//! How long the caller waits for an answer, and for whom, read from a call's journal.
//!
//! ```text
//!   the caller's last word                                                   the first sound heard
//!          │ phone up        │ engine                      │ node │ phone down       │
//!          ├────────────────►├────────────────────────────►├─────►├─────────────────►│
//!                            the word came to us           the sound came from the engine
//! ```
//!
//! The way to the phone and back is what the marks say; nobody can tell its two halves apart from one end, so each is
//! taken for half of it: down as the marks measure it, up as an estimate. An answer that begins before the caller has
//! ended (both speak) is not measured: nobody waited.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::EngineKind;
use crate::journal::{Entry, Kind};

/// The parts of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The caller's words on their way to us; an estimate.
    PhoneUp,
    /// From the words' arrival until the engine's first sound, with the engine's wait for the end of the turn.
    Engine,
    /// From the sound's arrival until it is its time to be played.
    Node,
    /// The sound on its way to the ear, by the marks.
    PhoneDown,
}

impl Part {
    /// All, in the order of time.
    pub const ALL: [Self; 4] = [Self::PhoneUp, Self::Engine, Self::Node, Self::PhoneDown];

    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PhoneUp => "phone_up",
            Self::Engine => "engine",
            Self::Node => "node",
            Self::PhoneDown => "phone_down",
        }
    }
}

/// One wait for an answer, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// The agent's turn that ended it.
    pub n: u32,
    /// Which engine answered; none for a bundled line, and for a turn that the journal does not tell of.
    pub engine: Option<EngineKind>,
    /// The caller's words on their way to us.
    pub phone_up_ms: u64,
    /// The engine.
    pub engine_ms: u64,
    /// The node.
    pub node_ms: u64,
    /// The sound on its way to the ear.
    pub phone_down_ms: u64,
    /// All of it.
    pub total_ms: u64,
    /// Whether no mark had come back yet, so that the ways of the phone are not in it.
    pub without_phone: bool,
}

impl Wait {
    /// A part of it.
    #[must_use]
    pub const fn part_ms(&self, part: Part) -> u64 {
        match part {
            Part::PhoneUp => self.phone_up_ms,
            Part::Engine => self.engine_ms,
            Part::Node => self.node_ms,
            Part::PhoneDown => self.phone_down_ms,
        }
    }
}

/// How long the caller of one call waited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// From the start of the stream to the first word that was played; none when nothing was.
    pub first_word_ms: Option<u64>,
    /// Which engine spoke it.
    #[serde(skip)]
    pub first_engine: Option<EngineKind>,
    /// Each wait for an answer, in order.
    pub turns: Vec<Wait>,
}

impl Latency {
    /// Reads it from a journal.
    #[must_use]
    pub fn read(entries: &[Entry]) -> Self {
        let turns = entries.iter().filter_map(|entry| {
            let Kind::Turn(turn) = &entry.kind else { return None };
            Some((turn.n, turn.engine?))
        });
        let engines: BTreeMap<u32, EngineKind> = turns.collect();
        let mut latency = Self::default();
        for entry in entries {
            let Kind::FirstSound { n, caller_end_ms, arrived_ms, played_ms, way_ms } = &entry.kind else { continue };
            let (arrived_ms, played_ms) = (*arrived_ms, (*played_ms).max(*arrived_ms));
            let engine = engines.get(n).copied();
            if latency.first_word_ms.is_none() {
                (latency.first_word_ms, latency.first_engine) = (Some(played_ms), engine);
            }
            let Some(end_ms) = caller_end_ms.filter(|end_ms| *end_ms <= arrived_ms) else { continue };
            let phone_up_ms = way_ms.unwrap_or(0) / 2;
            let phone_down_ms = way_ms.unwrap_or(0) - phone_up_ms;
            let (engine_ms, node_ms) = (arrived_ms - end_ms, played_ms - arrived_ms);
            latency.turns.push(Wait {
                n: *n,
                engine,
                phone_up_ms,
                engine_ms,
                node_ms,
                phone_down_ms,
                total_ms: phone_up_ms + engine_ms + node_ms + phone_down_ms,
                without_phone: way_ms.is_none(),
            });
        }
        latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_sound(n: u32, end: Option<u64>, arrived: u64, played: u64, way: Option<u64>) -> Entry {
        let kind = Kind::FirstSound { n, caller_end_ms: end, arrived_ms: arrived, played_ms: played, way_ms: way };
        Entry { epoch: 1, seq: u64::from(n), at_ms: 0, kind }
    }

    #[test]
    fn a_wait_is_the_sum_of_its_parts() {
        let entries = [
            first_sound(1, None, 10, 30, None),
            first_sound(3, Some(2_000), 2_600, 2_620, Some(81)),
            first_sound(5, Some(5_000), 5_400, 5_400, None),
        ];
        let latency = Latency::read(&entries);
        assert_eq!(latency.first_word_ms, Some(30));
        let [third, fifth] = latency.turns.as_slice() else { panic!("{latency:?}") };
        assert_eq!(
            Part::ALL.map(|part| third.part_ms(part)),
            [40, 600, 20, 41],
            "the ways of the phone are the two halves of what the marks say"
        );
        assert_eq!((third.total_ms, third.without_phone), (701, false));
        assert_eq!((fifth.total_ms, fifth.without_phone), (400, true));
    }

    #[test]
    fn who_speaks_while_the_other_does_has_not_waited() {
        let latency = Latency::read(&[first_sound(2, Some(900), 800, 1_000, Some(50))]);
        assert_eq!(latency.turns, []);
    }
}
