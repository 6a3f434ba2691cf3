//! Which engines a node still offers to new calls.
//!
//! An engine that refuses at start costs each caller its waiting time, so a node that has seen one refusal leaves that
//! engine alone for [`LEFT_ALONE_FOR`]. Then a single call tries it again: if it answers, it is back; if not, the time
//! begins anew. What happened is learned from the journals of the node's calls, so there is nothing to report twice.
//!
//! An engine that worked in a call, was lost, and could not be had again in time is another matter: it takes our
//! credentials, and something on the way broke. It is left alone for [`LEFT_ALONE_AFTER_LOSS`] only.
//!
//! Promises: an engine without credentials is never offered; as long as a call's list names one that has them, there is
//! always one to try, because a bad engine is better than none. Order is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use wire::openai::error::{ErrorCode, Severity};

use crate::agent::EngineKind;
use crate::journal::{Kind, LinkCause};
use crate::limits::ENGINE_READY_WITHIN;

/// How long an engine that refused is left alone. A revoked key or an exhausted quota is put right by a person, in
/// minutes at best; much longer would keep an engine out that is well again.
pub const LEFT_ALONE_FOR: Duration = Duration::from_secs(600);

/// How long an engine is left alone that was lost in a call and could not be had again. A vendor's restart, or a broken
/// way, takes about so long; and the calls that come meanwhile need not all find out by themselves.
pub const LEFT_ALONE_AFTER_LOSS: Duration = Duration::from_secs(45);

/// A call that tries an engine again has its result after this; until then the others stay away.
const TRIAL_MAX: Duration = ENGINE_READY_WITHIN.saturating_mul(2);

/// None of the engines that a call names can be dialled from here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("find credentials for any of the call's engines ({}): set {}", names(.0), remedies(.0))]
pub struct NoCredentials(pub Vec<EngineKind>);

/// What a node knows of its engines.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    known: BTreeMap<EngineKind, State>,
}

/// What one call has met so far: a refusal means something else once the engine has worked.
#[derive(Clone, Debug, Default)]
pub struct Experience {
    worked: BTreeSet<EngineKind>,
}

/// Whether an engine is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Closed,
    /// Not before then.
    Open {
        /// When it is tried again.
        until: Instant,
    },
    /// One call is trying it; others wait for the result, but not for longer than this.
    Trial {
        /// When another call may try.
        until: Instant,
    },
}

impl Breaker {
    /// Nothing has failed yet. `credentialed` are the engines that this node has credentials for.
    #[must_use]
    pub fn new(credentialed: impl IntoIterator<Item = EngineKind>) -> Self {
        Self { known: credentialed.into_iter().map(|engine| (engine, State::Closed)).collect() }
    }

    /// The engines that have credentials, with their states.
    pub fn states(&self) -> impl Iterator<Item = (EngineKind, State)> {
        self.known.iter().map(|(&engine, &state)| (engine, state))
    }

    /// Which of a call's engines it shall try, in its own order.
    ///
    /// # Errors
    /// If none of them has credentials.
    pub fn filter(&mut self, engines: &[EngineKind], now: Instant) -> Result<Vec<EngineKind>, NoCredentials> {
        let mut offered = Vec::new();
        for &engine in engines {
            let Some(state) = self.known.get_mut(&engine).filter(|_| !offered.contains(&engine)) else { continue };
            match *state {
                State::Closed => offered.push(engine),
                State::Open { until } | State::Trial { until } if until <= now => {
                    *state = State::Trial { until: now + TRIAL_MAX };
                    offered.push(engine);
                }
                State::Open { .. } | State::Trial { .. } => {}
            }
        }
        if offered.is_empty() {
            let nearest = engines.iter().filter_map(|engine| Some((self.known.get(engine)?.until()?, *engine))).min();
            let (_, engine) = nearest.ok_or_else(|| NoCredentials(engines.to_vec()))?;
            offered.push(engine);
        }
        Ok(offered)
    }

    /// Takes note of what a call's journal says about an engine. `call` is what this call has met before.
    pub fn learn(&mut self, call: &mut Experience, kind: &Kind, now: Instant) {
        if let Kind::EngineReady { engine, .. } = kind {
            call.worked.insert(*engine);
            if let Some(known) = self.known.get_mut(engine) {
                *known = State::Closed;
            }
        } else if let Kind::EngineRefused { engine, why } | Kind::EngineLost { engine, why } = kind
            && let Some(pause) = pause(why, call.worked.contains(engine))
        {
            self.leave_alone(*engine, now + pause);
        }
    }

    /// A short pause does not shorten a long one that another call has found reason for.
    fn leave_alone(&mut self, engine: EngineKind, until: Instant) {
        let Some(known) = self.known.get_mut(&engine) else { return };
        *known = match *known {
            State::Open { until: other } => State::Open { until: until.max(other) },
            State::Closed | State::Trial { .. } => State::Open { until },
        };
    }
}

impl State {
    fn until(self) -> Option<Instant> {
        match self {
            Self::Closed => None,
            Self::Open { until } | Self::Trial { until } => Some(until),
        }
    }
}

/// For how long the next calls would most likely be refused as well; none for a server's passing failure (5xx), a
/// connection that broke, or an error inside a session, which say nothing about the next one. `worked`: in this call.
fn pause(why: &LinkCause, worked: bool) -> Option<Duration> {
    match why {
        LinkCause::Status { status } => matches!(status, 401 | 403 | 404 | 410 | 429).then_some(LEFT_ALONE_FOR),
        LinkCause::Dns | LinkCause::Tls => Some(LEFT_ALONE_FOR),
        LinkCause::Timeout => Some(if worked { LEFT_ALONE_AFTER_LOSS } else { LEFT_ALONE_FOR }),
        // No session will work until a person acts.
        LinkCause::Failed { code } => {
            let fatal = ErrorCode::parse(code).is_some_and(|code| code.severity() == Severity::Fatal);
            fatal.then_some(LEFT_ALONE_FOR)
        }
        LinkCause::Unreachable | LinkCause::Closed { .. } | LinkCause::Stalled | LinkCause::RolledOver => None,
    }
}

fn names(engines: &[EngineKind]) -> String {
    engines.iter().map(|engine| engine.as_str()).collect::<Vec<_>>().join(", ")
}

fn remedies(engines: &[EngineKind]) -> String {
    let key = |engine: &EngineKind| match engine {
        EngineKind::Hume => "HUME_API_KEY",
        EngineKind::OpenAi => "OPENAI_API_KEY",
        EngineKind::Cascade => "DEEPGRAM_API_KEY, GROQ_API_KEY and CARTESIA_API_KEY",
    };
    engines.iter().map(key).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use EngineKind::{Hume, OpenAi};

    fn refused(engine: EngineKind, why: LinkCause) -> Kind {
        Kind::EngineRefused { engine, why }
    }

    fn ready(engine: EngineKind) -> Kind {
        Kind::EngineReady { engine, resumed: false, chat_group: None, chat: None, took_ms: 1 }
    }

    fn status(status: u16) -> LinkCause {
        LinkCause::Status { status }
    }

    #[test]
    fn an_engine_that_refused_is_left_alone_for_ten_minutes() {
        let now = Instant::now();
        let mut breaker = Breaker::new([Hume, OpenAi]);
        breaker.learn(&mut Experience::default(), &refused(Hume, status(410)), now);
        assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(vec![OpenAi]));
        assert_eq!(breaker.filter(&[Hume, OpenAi], now + Duration::from_secs(599)), Ok(vec![OpenAi]));
        assert_eq!(breaker.filter(&[Hume, OpenAi], now + LEFT_ALONE_FOR), Ok(vec![Hume, OpenAi]));
    }

    #[test]
    fn after_ten_minutes_one_call_tries_and_the_others_wait_for_its_result() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new([Hume, OpenAi]);
        breaker.learn(&mut Experience::default(), &refused(Hume, LinkCause::Dns), now);
        now += LEFT_ALONE_FOR;
        assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(vec![Hume, OpenAi]));
        assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(vec![OpenAi]), "someone is trying already");
        assert_eq!(breaker.filter(&[Hume, OpenAi], now + TRIAL_MAX), Ok(vec![Hume, OpenAi]), "it never told");
        breaker.learn(&mut Experience::default(), &ready(Hume), now);
        assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(vec![Hume, OpenAi]));
        assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(vec![Hume, OpenAi]));
        breaker.learn(&mut Experience::default(), &refused(Hume, LinkCause::Tls), now);
        assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(vec![OpenAi]));
    }

    #[test]
    fn an_engine_that_worked_in_the_call_and_could_not_be_had_again_is_left_alone_for_less() {
        let now = Instant::now();
        let (mut breaker, mut call) = (Breaker::new([Hume, OpenAi]), Experience::default());
        breaker.learn(&mut call, &ready(Hume), now);
        breaker.learn(&mut call, &Kind::EngineLost { engine: Hume, why: LinkCause::Closed { code: Some(1006) } }, now);
        assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(vec![Hume, OpenAi]), "a broken link alone says little");
        breaker.learn(&mut call, &refused(Hume, LinkCause::Timeout), now);
        let soon = now + LEFT_ALONE_AFTER_LOSS;
        assert_eq!(breaker.filter(&[Hume, OpenAi], soon - Duration::from_secs(1)), Ok(vec![OpenAi]));
        assert_eq!(breaker.filter(&[Hume, OpenAi], soon), Ok(vec![Hume, OpenAi]));
        // A key that was revoked meanwhile is a matter of minutes, and the short pause does not shorten that.
        breaker.learn(&mut call, &refused(Hume, status(401)), now);
        breaker.learn(&mut call, &refused(Hume, LinkCause::Timeout), now);
        assert_eq!(breaker.filter(&[Hume, OpenAi], now + Duration::from_secs(599)), Ok(vec![OpenAi]));
    }

    #[test]
    fn with_all_left_alone_the_nearest_is_tried_all_the_same() {
        let now = Instant::now();
        let mut breaker = Breaker::new([Hume, OpenAi]);
        breaker.learn(&mut Experience::default(), &refused(OpenAi, status(429)), now);
        breaker.learn(&mut Experience::default(), &refused(Hume, status(401)), now + Duration::from_secs(1));
        assert_eq!(breaker.filter(&[Hume, OpenAi], now + Duration::from_secs(2)), Ok(vec![OpenAi]));
        assert_eq!(breaker.filter(&[Hume], now + Duration::from_secs(2)), Ok(vec![Hume]));
    }

    #[test]
    fn an_engine_without_credentials_is_never_offered() {
        let now = Instant::now();
        let mut breaker = Breaker::new([OpenAi]);
        breaker.learn(&mut Experience::default(), &ready(Hume), now);
        assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(vec![OpenAi]));
        let none = breaker.filter(&[Hume], now).unwrap_err();
        assert!(none.to_string().contains("set HUME_API_KEY"), "{none}");
    }

    #[test]
    fn only_what_the_next_call_would_meet_as_well_counts() {
        let now = Instant::now();
        for (why, counts) in [
            (status(401), true),
            (status(403), true),
            (status(404), true),
            (status(410), true),
            (status(429), true),
            (LinkCause::Timeout, true),
            (status(400), false),
            (status(500), false),
            (status(503), false),
            (LinkCause::Unreachable, false),
            (LinkCause::Closed { code: Some(1011) }, false),
            (LinkCause::Failed { code: "E0714".to_owned() }, false),
            (LinkCause::Failed { code: "insufficient_quota".to_owned() }, true),
        ] {
            let mut breaker = Breaker::new([Hume, OpenAi]);
            breaker.learn(&mut Experience::default(), &refused(Hume, why.clone()), now);
            let expected = if counts { vec![OpenAi] } else { vec![Hume, OpenAi] };
            assert_eq!(breaker.filter(&[Hume, OpenAi], now), Ok(expected), "{why:?}");
        }
    }

    proptest! {
        #[test]
        fn there_is_always_an_engine_to_try_and_the_calls_order_is_kept(
            steps in proptest::collection::vec((0_u8..4, 0_u64..700), 0..40),
        ) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new([Hume, OpenAi]);
            for (what, seconds) in steps {
                now += Duration::from_secs(seconds);
                let engine = if what % 2 == 0 { Hume } else { OpenAi };
                breaker.learn(&mut Experience::default(), &if what < 2 { ready(engine) } else { refused(engine, status(403)) }, now);
                let offered = breaker.filter(&[OpenAi, Hume], now).unwrap();
                prop_assert!(!offered.is_empty());
                prop_assert!([vec![OpenAi, Hume], vec![OpenAi], vec![Hume]].contains(&offered));
            }
        }
    }
}
