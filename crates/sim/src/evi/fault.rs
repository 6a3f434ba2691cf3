//! What goes wrong at a simulated engine, and when: by script, or by seed.
//!
//! Shared by both engines, because both fail in the same ways. A *script* names a connection and a moment ("drop the
//! second connection 0.7 s into its second sentence"). *Odds* draw the same faults from the engine's own seed, so that
//! one number reproduces a bad day. Each fault that takes effect is counted by name; a run can then show that none of
//! them was merely possible.

use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that shall go wrong at one engine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Faults at chosen connections and moments.
    pub script: Vec<Scripted>,
    /// Faults drawn by seed, for connections that the script leaves alone.
    pub odds: Odds,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Only the script.
    #[must_use]
    pub fn scripted(script: impl IntoIterator<Item = Scripted>) -> Self {
        Self { script: script.into_iter().collect(), odds: Odds::default() }
    }

    /// Only chance.
    #[must_use]
    pub fn by_chance(odds: Odds) -> Self {
        Self { script: Vec::new(), odds }
    }
}

/// One fault of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Scripted {
    /// The connections it concerns.
    pub connection: Connection,
    /// What happens.
    pub fault: Fault,
}

/// Which connections of an engine, counting every attempt since it started, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// All of them.
    Every,
    /// One.
    Nth(u32),
}

impl Connection {
    fn matches(self, ordinal: u32) -> bool {
        match self {
            Self::Every => true,
            Self::Nth(nth) => nth == ordinal,
        }
    }
}

/// A fault at the handshake, or one in mid-conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The handshake.
    Handshake(HandshakeFault),
    /// The open socket.
    Midway {
        /// When.
        at: Moment,
        /// What.
        what: Mishap,
    },
}

impl Fault {
    /// At this moment, this mishap.
    #[must_use]
    pub fn midway(at: Moment, what: Mishap) -> Self {
        Self::Midway { at, what }
    }

    /// On the given attempt only.
    #[must_use]
    pub fn on(self, nth: u32) -> Scripted {
        Scripted { connection: Connection::Nth(nth), fault: self }
    }

    /// On every attempt.
    #[must_use]
    pub fn always(self) -> Scripted {
        Scripted { connection: Connection::Every, fault: self }
    }
}

/// How a handshake fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFault {
    /// An HTTP status instead of 101; 401, 403, 404, 410 and 429 are the ones that matter.
    Refuse(u16),
    /// Answered properly, but late.
    Slow(Duration),
    /// Never answered, though the TCP connection stands.
    Silence,
    /// A resume is refused with this status; a fresh chat would be accepted.
    RefuseResume(u16),
}

/// A moment in the life of an open socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This long after the handshake.
    Open(Duration),
    /// This long after the first audio of the engine's nth spoken sentence (from 1) was sent.
    Sentence {
        /// Which sentence of this connection, from 1.
        nth: u32,
        /// How long after its first audio.
        after: Duration,
    },
    /// When exactly this much of the nth sentence's audio has been sent (from 1). The sentence's audio is cut there,
    /// however it is chunked.
    Spoken {
        /// Which sentence of this connection, from 1.
        nth: u32,
        /// How much of its audio has gone out.
        audio: Duration,
    },
    /// When the caller's nth utterance (from 1) has been understood, before anything is answered.
    CallerTurn(u32),
    /// When this much of the caller's audio has arrived.
    Heard(Duration),
}

/// What can go wrong on an open socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// The connection is gone without a close frame; a client sees 1006.
    Drop,
    /// An orderly close.
    Close {
        /// The close code.
        code: u16,
        /// The reason's text.
        reason: String,
    },
    /// No message leaves any more, though the socket stays open. With a duration: what was held back comes late.
    Stall(Option<Duration>),
    /// The next audio message is larger than 1 MiB, its audio unchanged.
    HugeAudio,
    /// A text frame that is not JSON.
    MalformedJson,
    /// A binary frame, which neither engine's dialect has.
    BinaryFrame,
    /// A well-formed message of a type that does not exist.
    UnknownType,
    /// After the next interruption, audio of the interrupted speech still arrives, this much later.
    LateAudio(Duration),
    /// The engine reports that it failed to answer, where its dialect can say so; otherwise it does not answer.
    FailedTurn,
}

impl Mishap {
    /// The name under which it is counted.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Close { .. } => "close",
            Self::Stall(None) => "stall",
            Self::Stall(Some(_)) => "pause",
            Self::HugeAudio => "huge audio",
            Self::MalformedJson => "malformed json",
            Self::BinaryFrame => "binary frame",
            Self::UnknownType => "unknown type",
            Self::LateAudio(_) => "late audio",
            Self::FailedTurn => "failed turn",
        }
    }
}

impl HandshakeFault {
    /// The name under which it is counted.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refuse(_) => "refused handshake",
            Self::Slow(_) => "slow handshake",
            Self::Silence => "unanswered handshake",
            Self::RefuseResume(_) => "refused resume",
        }
    }
}

/// The probability, from 0 to 1, that a connection suffers a fault of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Odds {
    /// Refused with one of 401, 403, 404, 410, 429.
    pub refuse: f64,
    /// Answered after up to five seconds.
    pub slow: f64,
    /// Never answered.
    pub silence: f64,
    /// A resume refused with 404; counts for resuming connections only.
    pub refuse_resume: f64,
    /// Dropped in mid-sentence.
    pub drop: f64,
    /// Closed with 1011 or 1013.
    pub close: f64,
    /// Silent for ever.
    pub stall: f64,
    /// Silent for up to three seconds.
    pub pause: f64,
    /// An oversized audio message.
    pub huge_audio: f64,
    /// One of: a frame that is not JSON, a binary frame, an unknown type.
    pub odd_frame: f64,
    /// Audio after an interruption.
    pub late_audio: f64,
    /// A turn that fails.
    pub failed_turn: f64,
}

impl Odds {
    /// Every sort with the same probability.
    #[must_use]
    pub fn even(each: f64) -> Self {
        Self {
            refuse: each,
            slow: each,
            silence: each,
            refuse_resume: each,
            drop: each,
            close: each,
            stall: each,
            pause: each,
            huge_audio: each,
            odd_frame: each,
            late_audio: each,
            failed_turn: each,
        }
    }
}

/// How often each fault took effect, by name.
pub type FaultCounts = BTreeMap<&'static str, u32>;

/// What one connection is going to suffer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fate {
    pub(crate) handshake: Option<HandshakeFault>,
    pub(crate) midway: Vec<(Moment, Mishap)>,
}

impl Faults {
    /// The fate of the attempt with this ordinal (from 1). Always draws the same amount of randomness.
    pub(crate) fn fate(&self, ordinal: u32, resumes: bool, rng: &mut fastrand::Rng) -> Fate {
        let drawn = self.drawn(resumes, &mut rng.fork());
        let mut fate = Fate::default();
        for scripted in self.script.iter().filter(|scripted| scripted.connection.matches(ordinal)) {
            match &scripted.fault {
                Fault::Handshake(HandshakeFault::RefuseResume(_)) if !resumes => {}
                Fault::Handshake(fault) => fate.handshake = Some(*fault),
                Fault::Midway { at, what } => fate.midway.push((*at, what.clone())),
            }
        }
        if fate == Fate::default() { drawn } else { fate }
    }

    fn drawn(&self, resumes: bool, rng: &mut fastrand::Rng) -> Fate {
        let odds = &self.odds;
        let mut fate = Fate::default();
        if rng.f64() < odds.refuse {
            let status = rng.choice([401, 403, 404, 410, 429]).unwrap_or(401);
            fate.handshake = Some(HandshakeFault::Refuse(status));
        }
        if rng.f64() < odds.slow {
            fate.handshake = Some(HandshakeFault::Slow(Duration::from_millis(rng.u64(200..5_000))));
        }
        if rng.f64() < odds.silence {
            fate.handshake = Some(HandshakeFault::Silence);
        }
        if rng.f64() < odds.refuse_resume && resumes {
            fate.handshake = Some(HandshakeFault::RefuseResume(404));
        }
        let close = if rng.bool() { 1011 } else { 1013 };
        let odd = [Mishap::MalformedJson, Mishap::BinaryFrame, Mishap::UnknownType];
        let odd = odd[rng.usize(0..odd.len())].clone();
        let pause = Duration::from_millis(rng.u64(200..3_000));
        let late = Duration::from_millis(rng.u64(1..400));
        let sorts = [
            (odds.drop, Mishap::Drop),
            (odds.close, Mishap::Close { code: close, reason: "try again later".to_owned() }),
            (odds.stall, Mishap::Stall(None)),
            (odds.pause, Mishap::Stall(Some(pause))),
            (odds.huge_audio, Mishap::HugeAudio),
            (odds.odd_frame, odd),
            (odds.failed_turn, Mishap::FailedTurn),
        ];
        for (chance, mishap) in sorts {
            let at = moment(rng);
            if rng.f64() < chance {
                fate.midway.push((at, mishap));
            }
        }
        if rng.f64() < odds.late_audio {
            // Armed from the start: it waits for the first interruption.
            fate.midway.push((Moment::Open(Duration::ZERO), Mishap::LateAudio(late)));
        }
        fate
    }
}

/// A moment that most conversations reach.
fn moment(rng: &mut fastrand::Rng) -> Moment {
    let within = Duration::from_millis(rng.u64(0..1_500));
    let nth = rng.u32(1..=4);
    match rng.u8(0..5) {
        0 => Moment::Open(within * 6),
        1 => Moment::Sentence { nth, after: within / 4 },
        2 => Moment::Spoken { nth, audio: within },
        3 => Moment::CallerTurn(nth.div_ceil(2)),
        _ => Moment::Heard(within * 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_wins_over_chance_and_only_where_it_speaks() {
        let mut faults = Faults::by_chance(Odds { drop: 1.0, ..Odds::default() });
        faults.script.push(Fault::Handshake(HandshakeFault::Refuse(429)).on(2));
        let mut rng = fastrand::Rng::with_seed(1);
        let first = faults.fate(1, false, &mut rng);
        assert!(first.handshake.is_none() && first.midway.iter().any(|(_, mishap)| *mishap == Mishap::Drop));
        let second = faults.fate(2, false, &mut rng);
        assert_eq!(second, Fate { handshake: Some(HandshakeFault::Refuse(429)), midway: Vec::new() });
    }

    #[test]
    fn the_same_seed_draws_the_same_fates() {
        let faults = Faults::by_chance(Odds::even(0.4));
        let fates = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            (1..50).map(|nth| faults.fate(nth, nth % 2 == 0, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }

    #[test]
    fn every_sort_of_fault_is_drawn_sooner_or_later() {
        let faults = Faults::by_chance(Odds::even(0.3));
        let mut rng = fastrand::Rng::with_seed(3);
        let mut seen = std::collections::BTreeSet::new();
        for nth in 1..400 {
            let fate = faults.fate(nth, true, &mut rng);
            seen.extend(fate.handshake.map(|fault| fault.name()));
            seen.extend(fate.midway.iter().map(|(_, mishap)| mishap.name()));
        }
        assert_eq!(seen.len(), 14, "{seen:?}");
    }

    #[test]
    fn a_refused_resume_leaves_fresh_chats_alone() {
        let faults = Faults::scripted([Fault::Handshake(HandshakeFault::RefuseResume(404)).always()]);
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(faults.fate(1, false, &mut rng).handshake, None);
        assert_eq!(faults.fate(2, true, &mut rng).handshake, Some(HandshakeFault::RefuseResume(404)));
    }
}
