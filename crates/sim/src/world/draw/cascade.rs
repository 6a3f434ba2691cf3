//! Worlds with the cascade by seed: each of its three links is cut, stalled and refused, and the call around it suffers
//! what it suffers with any engine.

use std::collections::BTreeMap;
use std::time::Duration;

use call::agent::EngineKind;

use super::{caller, node, phone, rough, setup, ways};
use crate::evi::fault::{Fault, Faults, HandshakeFault, Mishap, Moment, Odds, Scripted};
use crate::evi::{Evi, EviConfig};
use crate::groq::{GroqConfig, Outcome};
use crate::openai::{OpenAi, OpenAiConfig};
use crate::world::draw::Theme;
use crate::world::{Cascade, WorldConfig};

/// What a world with the cascade is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CascadeTheme {
    /// Nothing goes wrong, and the caller interrupts.
    Interrupted,
    /// The connection to Deepgram breaks once.
    EarsCut,
    /// Deepgram closes the connection properly, at a limit of its own.
    EarsEnd,
    /// Deepgram falls silent once.
    EarsStalled,
    /// And what was held back comes late.
    EarsPaused,
    /// Deepgram refuses from the start, and there is another engine.
    EarsRefused,
    /// One of the two sockets opens late.
    SlowStart,
    /// Or never, and there is another engine.
    NoHandshake,
    /// Groq's answer breaks off once, or fails in one of its other ways.
    MindBroken,
    /// Groq answers nothing once.
    MindStalled,
    /// Groq answers late, again and again.
    MindSlow,
    /// Groq's limit is reached in the middle of the call, for a second or for long.
    MindLimited,
    /// Groq fails with 500, 502 or 503, once or for long.
    MindDown,
    /// The connection to Cartesia breaks once.
    VoiceCut,
    /// Cartesia falls silent once.
    VoiceStalled,
    /// One of its contexts dies.
    ContextDies,
    /// The connection to Cartesia breaks and does not come back, and there is another engine.
    VoiceGone,
    /// Messages that cannot be read, and some that are huge.
    OddFrames,
    /// The caller interrupts, and audio of the cancelled context comes late.
    LateAudio,
    /// No engine is to be had, from the start or after a while.
    NoEngine,
    /// What any engine's call may meet, by the theme of that name.
    Around(Theme),
    /// Everything at once, by chance.
    Chance,
}

impl CascadeTheme {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::Interrupted,
        Self::EarsCut,
        Self::EarsEnd,
        Self::EarsStalled,
        Self::EarsPaused,
        Self::EarsRefused,
        Self::SlowStart,
        Self::NoHandshake,
        Self::MindBroken,
        Self::MindStalled,
        Self::MindSlow,
        Self::MindLimited,
        Self::MindDown,
        Self::VoiceCut,
        Self::VoiceStalled,
        Self::ContextDies,
        Self::VoiceGone,
        Self::OddFrames,
        Self::LateAudio,
        Self::NoEngine,
        Self::Around(Theme::NodeKilled),
        Self::Around(Theme::NodeDrained),
        Self::Around(Theme::PhoneLost),
        Self::Around(Theme::HangsUp),
        Self::Around(Theme::OperatorHangsUp),
        Self::Around(Theme::OperatorTransfers),
        Self::Around(Theme::OperatorSays),
        Self::Around(Theme::Limit),
        Self::Around(Theme::StoreSlow),
        Self::Around(Theme::MarksLost),
        Self::Chance,
    ];

    /// The theme of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let index = usize::try_from(seed % Self::ALL.len() as u64).unwrap_or(0);
        Self::ALL[index]
    }

    /// The theme of what is around the engine.
    fn around(self) -> Theme {
        match self {
            Self::Around(theme) => theme,
            Self::Interrupted | Self::LateAudio => Theme::LateAudio,
            Self::Chance => Theme::Chance,
            Self::EarsCut
            | Self::EarsEnd
            | Self::EarsStalled
            | Self::EarsPaused
            | Self::EarsRefused
            | Self::SlowStart
            | Self::NoHandshake
            | Self::MindBroken
            | Self::MindStalled
            | Self::MindSlow
            | Self::MindLimited
            | Self::MindDown
            | Self::VoiceCut
            | Self::VoiceStalled
            | Self::ContextDies
            | Self::VoiceGone
            | Self::OddFrames
            | Self::NoEngine => Theme::Dropped,
        }
    }

    /// Whether there is no other engine to go to.
    fn stands_alone(self) -> bool {
        matches!(self, Self::Interrupted | Self::OddFrames | Self::LateAudio | Self::MindSlow)
    }
}

/// What callers say; each call is long enough to meet its fault.
const DIALOGUES: [&[&str]; 2] = [
    &["caller-book", "caller-check-up", "caller-tuesday", "caller-name-alex", "caller-yes", "caller-thanks-bye"],
    &["caller-hours", "caller-book", "caller-thursday", "caller-name-jamie", "caller-right", "caller-goodbye"],
];

impl WorldConfig {
    /// The world of a seed, with the cascade first.
    #[must_use]
    pub fn cascade_by_seed(seed: u64) -> Self {
        let theme = CascadeTheme::of(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let other = if rng.bool() { EngineKind::Hume } else { EngineKind::OpenAi };
        let engines = if theme.stands_alone() { vec![EngineKind::Cascade] } else { vec![EngineKind::Cascade, other] };
        let (faults, outcomes) = faults(theme, &mut rng);
        let dialogue = DIALOGUES[rng.usize(0..DIALOGUES.len())];
        let groq = GroqConfig { outcomes, ..GroqConfig::default() };
        let mut setup = setup(0, &engines);
        if theme == CascadeTheme::Around(Theme::Limit) {
            setup.call_ms_max = rng.u64(3_000..12_000);
        }
        let others = if theme == CascadeTheme::NoEngine {
            Faults::scripted([Fault::Handshake(HandshakeFault::Refuse(503)).always()])
        } else {
            Faults::none()
        };
        let around = theme.around();
        Self {
            setup,
            phone: phone(if theme == CascadeTheme::Chance { Theme::Chance } else { Theme::Plain }, &mut rng),
            caller: caller(around, dialogue, &mut rng),
            evi: Evi::new(EviConfig::by_seed(rng.u64(..)), others.clone(), rng.u64(..)),
            openai: OpenAi::new(OpenAiConfig::by_seed(rng.u64(..)), others, rng.u64(..)),
            cascade: Cascade::with(faults, groq, rng.u64(..)),
            phone_ways: ways(rng.u64(10..60), rng.u64(0..15)),
            engine_ways: ways(rng.u64(5..60), rng.u64(0..10)),
            ringing: Duration::from_millis(rng.u64(50..1_500)),
            node: node(around, &mut rng),
            rough: rough(around),
            bug: None,
            at_most: Duration::from_secs(110),
            seed: rng.u64(..),
        }
    }
}

fn faults(theme: CascadeTheme, rng: &mut fastrand::Rng) -> ([Faults; 3], BTreeMap<u32, Outcome>) {
    let (mut hears, mut answers, mut speaks): (Vec<Scripted>, Vec<Scripted>, Vec<Scripted>) = Default::default();
    let mut outcomes = BTreeMap::new();
    let heard = Moment::Heard(Duration::from_millis(rng.u64(6_000..14_000)));
    let spoken = Moment::Spoken { nth: rng.u32(2..5), audio: Duration::from_millis(rng.u64(100..900)) };
    let nth = rng.u32(1..4);
    match theme {
        CascadeTheme::Interrupted | CascadeTheme::Around(_) => {}
        CascadeTheme::EarsCut => hears.push(Fault::midway(heard, Mishap::Drop).on(1)),
        CascadeTheme::EarsEnd => {
            let code = [1000, 1001, 1011][rng.usize(0..3)];
            hears.push(Fault::midway(heard, Mishap::Close { code, reason: "session over".to_owned() }).on(1));
        }
        CascadeTheme::EarsStalled => hears.push(Fault::midway(heard, Mishap::Stall(None)).on(1)),
        CascadeTheme::EarsPaused => {
            let pause = Duration::from_millis(rng.u64(200..1_500));
            hears.push(Fault::midway(heard, Mishap::Stall(Some(pause))).on(1));
        }
        CascadeTheme::EarsRefused => {
            let status = [401, 402, 403, 429][rng.usize(0..4)];
            hears.push(Fault::Handshake(HandshakeFault::Refuse(status)).always());
        }
        CascadeTheme::SlowStart => {
            let slow = Fault::Handshake(HandshakeFault::Slow(Duration::from_millis(rng.u64(300..2_000)))).on(1);
            if rng.bool() { hears.push(slow) } else { speaks.push(slow) }
        }
        CascadeTheme::NoHandshake => {
            let never = Fault::Handshake(HandshakeFault::Silence).always();
            if rng.bool() { hears.push(never) } else { speaks.push(never) }
        }
        CascadeTheme::MindBroken => {
            // One failure, or its fellow on the request that comes after the one that is made again.
            let tokens = rng.u32(0..12);
            outcomes.extend(match rng.u8(0..6) {
                0 => Some((nth, Outcome::ToolUseFailed)),
                1 => Some((nth, Outcome::ErrorObject(tokens))),
                2 => Some((nth, Outcome::ErrorEvent(tokens))),
                3 => Some((nth, Outcome::ErrorInChunk(tokens))),
                4 => Some((nth, Outcome::NoDone)),
                _ => None,
            });
            let midway = Moment::Open(Duration::from_millis(rng.u64(10..150)));
            answers.push(Fault::midway(midway, Mishap::Drop).on(nth + 1));
        }
        CascadeTheme::MindStalled => {
            let midway = Moment::Open(Duration::from_millis(rng.u64(0..300)));
            answers.push(Fault::midway(midway, Mishap::Stall(None)).on(nth));
        }
        CascadeTheme::MindSlow => {
            let slow = (1..40).map(|nth| {
                let slow = Duration::from_millis(rng.u64(200..1_500));
                Fault::Handshake(HandshakeFault::Slow(slow)).on(nth)
            });
            answers.extend(slow);
        }
        CascadeTheme::MindLimited => {
            let long = rng.bool();
            let wait = Duration::from_secs(if long { 30 } else { 1 });
            let last = if long { 60 } else { nth };
            outcomes.extend((nth..=last).map(|nth| (nth, Outcome::RateLimited(wait))));
        }
        CascadeTheme::MindDown => {
            let status = [500, 502, 503][rng.usize(0..3)];
            let last = if rng.bool() { 60 } else { nth };
            answers.extend((nth..=last).map(|nth| Fault::Handshake(HandshakeFault::Refuse(status)).on(nth)));
        }
        CascadeTheme::VoiceCut => speaks.push(Fault::midway(spoken, Mishap::Drop).on(1)),
        CascadeTheme::VoiceStalled => speaks.push(Fault::midway(spoken, Mishap::Stall(None)).on(1)),
        CascadeTheme::ContextDies => {
            let at = Moment::Sentence { nth: rng.u32(2..5), after: Duration::from_millis(rng.u64(0..60)) };
            speaks.push(Fault::midway(at, Mishap::FailedTurn).on(1));
        }
        CascadeTheme::VoiceGone => {
            speaks.push(Fault::midway(spoken, Mishap::Drop).on(1));
            speaks.extend((2..40).map(|n| Fault::Handshake(HandshakeFault::Refuse(503)).on(n)));
        }
        CascadeTheme::OddFrames => {
            let odd = [Mishap::MalformedJson, Mishap::BinaryFrame, Mishap::UnknownType, Mishap::HugeAudio];
            for (n, odd) in odd.into_iter().enumerate() {
                let at = Moment::Open(Duration::from_millis(2_000 + 700 * n as u64));
                hears.push(Fault::midway(at, odd.clone()).on(1));
                speaks.push(Fault::midway(at, odd).on(1));
            }
        }
        CascadeTheme::LateAudio => {
            let late = Mishap::LateAudio(Duration::from_millis(rng.u64(1..400)));
            speaks.push(Fault::midway(Moment::Open(Duration::ZERO), late).always());
        }
        CascadeTheme::NoEngine => {
            let first = if rng.bool() { 1 } else { 2 };
            hears.push(Fault::midway(heard, Mishap::Drop).on(1));
            hears.extend((first..40).map(|n| Fault::Handshake(HandshakeFault::Refuse(503)).on(n)));
        }
        CascadeTheme::Chance => {
            let odds = Odds::even(0.05);
            // One answer is one connection to Groq: there are many of them.
            let rarely = Odds::even(0.01);
            let faults = [Faults::by_chance(odds), Faults::by_chance(rarely), Faults::by_chance(odds)];
            return (faults, outcomes);
        }
    }
    ([Faults::scripted(hears), Faults::scripted(answers), Faults::scripted(speaks)], outcomes)
}
