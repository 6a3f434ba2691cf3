//! Worlds by seed: who calls, what they say, which engines there are, and what goes wrong.
//!
//! A seed picks a [`Theme`], so that a run of some hundred seeds meets each fault often, and draws everything else.

#![expect(clippy::wildcard_enum_match_arm, reason = "most themes ask nothing of most parts of a world")]

mod cascade;

use std::time::Duration;

use call::agent::{Agent, EngineKind};
use call::{CallId, Setup};

use super::{Cascade, NodeEvent, Order, Rough, WorldConfig};
use crate::evi::fault::{Fault, Faults, HandshakeFault, Mishap, Moment, Odds, Scripted};
use crate::evi::{Evi, EviConfig};
use crate::openai::{OpenAi, OpenAiConfig};
use crate::phone::{Act, Bunching, CallerScript, Cue, DelaySettings, Line, Pacing, PhoneConfig, RandomStalls};
use crate::speech::utterance;
pub use cascade::CascadeTheme;

/// What a world is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Theme {
    /// Nothing goes wrong; one engine.
    Plain,
    /// The engine refuses at the start, and there is another.
    Refused,
    /// The connection to the engine breaks in the middle of a sentence.
    Dropped,
    /// And the vendor does not let the conversation be resumed.
    ResumeRefused,
    /// The engine falls silent.
    Stalled,
    /// For a while.
    Paused,
    /// The engine closes the connection properly, with a code that asks for another try.
    Closed,
    /// The engine answers its handshake late.
    SlowStart,
    /// Or never.
    NoHandshake,
    /// The connection breaks, and for some seconds there is no other.
    LongOutage,
    /// A turn of the engine fails.
    FailedTurn,
    /// No engine is to be had, from the start or after a while.
    NoEngine,
    /// The node dies.
    NodeKilled,
    /// The node is drained.
    NodeDrained,
    /// The phone's socket breaks without a word.
    PhoneLost,
    /// Frames that are no JSON, binary, unknown or huge.
    OddFrames,
    /// The caller hangs up at some moment.
    HangsUp,
    /// An operator ends the call.
    OperatorHangsUp,
    /// An operator transfers the call.
    OperatorTransfers,
    /// An operator has the agent say something.
    OperatorSays,
    /// The longest call is short.
    Limit,
    /// The stream never comes.
    NeverCame,
    /// The caller interrupts, and audio of the interrupted sentence comes late.
    LateAudio,
    /// The vendor ends the session at a limit that it does not announce.
    SessionEnds,
    /// The node dies while the store lags behind.
    StoreSlow,
    /// Marks do not come back.
    MarksLost,
    /// Everything at once, by chance.
    Chance,
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::Plain,
        Self::Refused,
        Self::Dropped,
        Self::ResumeRefused,
        Self::Stalled,
        Self::Paused,
        Self::Closed,
        Self::SlowStart,
        Self::NoHandshake,
        Self::LongOutage,
        Self::FailedTurn,
        Self::NoEngine,
        Self::NodeKilled,
        Self::NodeDrained,
        Self::PhoneLost,
        Self::OddFrames,
        Self::HangsUp,
        Self::OperatorHangsUp,
        Self::OperatorTransfers,
        Self::OperatorSays,
        Self::Limit,
        Self::NeverCame,
        Self::LateAudio,
        Self::LateAudio,
        Self::SessionEnds,
        Self::StoreSlow,
        Self::MarksLost,
        Self::Chance,
    ];

    /// The theme of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let index = usize::try_from(seed % Self::ALL.len() as u64).unwrap_or(0);
        Self::ALL[index]
    }
}

const AGENTS: [(&str, &str); 4] = [
    ("receptionist", include_str!("../../../../agents/receptionist.toml")),
    ("transit-booking", include_str!("../../../../agents/transit-booking.toml")),
    ("appointment-reminder", include_str!("../../../../agents/appointment-reminder.toml")),
    ("survey", include_str!("../../../../agents/survey.toml")),
];

/// What callers say, one list per dialogue.
const DIALOGUES: [(usize, &[&str]); 7] = [
    (0, &["caller-book", "caller-check-up", "caller-tuesday", "caller-name-alex", "caller-yes", "caller-thanks-bye"]),
    (0, &["caller-hours", "caller-book", "caller-thursday", "caller-name-jamie", "caller-right", "caller-goodbye"]),
    (0, &["caller-robot", "caller-cancel", "caller-that-is-all"]),
    (0, &["caller-wrong-number"]),
    (1, &["caller-clinic", "caller-station", "caller-yes", "caller-thanks-bye"]),
    (2, &["caller-yes", "caller-thanks-bye"]),
    (3, &["caller-yes", "caller-four", "caller-five", "caller-would", "caller-goodbye"]),
];

impl WorldConfig {
    /// The world of a seed.
    #[must_use]
    pub fn by_seed(seed: u64) -> Self {
        let theme = Theme::of(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let (agent, dialogue) = DIALOGUES[rng.usize(0..DIALOGUES.len())];
        let engines = engines(theme, seed);
        let (evi_faults, openai_faults) = faults(theme, engines[0], &mut rng);
        let mut setup = setup(agent, &engines);
        if theme == Theme::Limit {
            setup.call_ms_max = rng.u64(3_000..8_000);
        }
        let mut evi = EviConfig { keep_audio: true, ..EviConfig::by_seed(rng.u64(..)) };
        if theme == Theme::LateAudio {
            // Interruptions are reported only while a turn is still being sent.
            (evi.speed, evi.chunks_per_sentence, evi.min_interruption) = (1, 4, Duration::from_millis(300));
        }
        let mut openai = OpenAiConfig::by_seed(rng.u64(..));
        if theme == Theme::SessionEnds {
            let limit = Duration::from_millis(rng.u64(8_000..20_000));
            (evi.max_duration, openai.session_max) = (Some(limit), limit);
        }
        Self {
            setup,
            phone: phone(theme, &mut rng),
            caller: caller(theme, dialogue, &mut rng),
            evi: Evi::new(evi, evi_faults, rng.u64(..)),
            openai: OpenAi::new(openai, openai_faults, rng.u64(..)),
            cascade: Cascade::well(seed),
            phone_ways: ways(rng.u64(10..60), rng.u64(0..15)),
            engine_ways: ways(rng.u64(5..60), rng.u64(0..10)),
            ringing: if theme == Theme::NeverCame {
                Duration::from_secs(100)
            } else {
                Duration::from_millis(rng.u64(50..1_500))
            },
            node: node(theme, &mut rng),
            rough: rough(theme),
            bug: None,
            at_most: Duration::from_secs(110),
            seed: rng.u64(..),
        }
    }
}

/// One good call with this engine: a caller who books and hangs up after the goodbye. The same words with each.
#[must_use]
pub fn plain(engine: EngineKind) -> WorldConfig {
    let say = |id: &str| utterance(id).map(|utterance| utterance.mulaw()).unwrap_or_default();
    let caller = DIALOGUES[0].1.iter().fold(CallerScript::new(), |script, line| script.answers(say(line)));
    let mut rng = fastrand::Rng::with_seed(1);
    WorldConfig {
        setup: setup(0, &[engine]),
        phone: phone(Theme::Plain, &mut rng),
        caller: caller.hangs_up_after_goodbye(),
        evi: Evi::new(EviConfig::default(), Faults::none(), 1),
        openai: OpenAi::new(OpenAiConfig::default(), Faults::none(), 1),
        cascade: Cascade::well(1),
        phone_ways: ways(25, 5),
        engine_ways: ways(15, 5),
        ringing: Duration::from_millis(600),
        node: Vec::new(),
        rough: Rough::default(),
        bug: None,
        at_most: Duration::from_secs(110),
        seed: 1,
    }
}

/// Each engine is first in every other round of the themes.
fn engines(theme: Theme, seed: u64) -> Vec<EngineKind> {
    let order = if (seed / Theme::ALL.len() as u64).is_multiple_of(2) {
        [EngineKind::Hume, EngineKind::OpenAi]
    } else {
        [EngineKind::OpenAi, EngineKind::Hume]
    };
    match theme {
        Theme::Plain | Theme::HangsUp | Theme::OperatorSays | Theme::LongOutage => vec![order[0]],
        Theme::ResumeRefused | Theme::LateAudio => vec![EngineKind::Hume],
        _ => order.to_vec(),
    }
}

fn faults(theme: Theme, first: EngineKind, rng: &mut fastrand::Rng) -> (Faults, Faults) {
    let status = [401, 403, 404, 410, 429][rng.usize(0..5)];
    let nth = rng.u32(2..4);
    let spoken = Moment::Spoken { nth, audio: Duration::from_millis(rng.u64(100..900)) };
    let script: Vec<Scripted> = match theme {
        Theme::Refused => vec![Fault::Handshake(HandshakeFault::Refuse(status)).always()],
        Theme::Dropped => vec![Fault::midway(spoken, Mishap::Drop).on(1)],
        Theme::ResumeRefused => {
            vec![
                Fault::midway(spoken, Mishap::Drop).on(1),
                Fault::Handshake(HandshakeFault::RefuseResume(404)).always(),
            ]
        }
        Theme::Stalled => vec![Fault::midway(Moment::CallerTurn(rng.u32(1..3)), Mishap::Stall(None)).on(1)],
        Theme::LongOutage => {
            let again = (2..7).map(|n| Fault::Handshake(HandshakeFault::Refuse(503)).on(n));
            [Fault::midway(spoken, Mishap::Drop).on(1)].into_iter().chain(again).collect()
        }
        Theme::Paused => {
            let pause = Duration::from_millis(rng.u64(300..3_000));
            vec![Fault::midway(Moment::CallerTurn(1), Mishap::Stall(Some(pause))).on(1)]
        }
        Theme::Closed => {
            let close =
                Mishap::Close { code: if rng.bool() { 1011 } else { 1013 }, reason: "try again later".to_owned() };
            vec![Fault::midway(spoken, close).on(1)]
        }
        Theme::SlowStart => {
            vec![Fault::Handshake(HandshakeFault::Slow(Duration::from_millis(rng.u64(300..2_000)))).on(1)]
        }
        Theme::NoHandshake => vec![Fault::Handshake(HandshakeFault::Silence).always()],
        Theme::FailedTurn => vec![Fault::midway(Moment::CallerTurn(1), Mishap::FailedTurn).on(1)],
        Theme::OddFrames => {
            let odd = [Mishap::MalformedJson, Mishap::BinaryFrame, Mishap::UnknownType, Mishap::HugeAudio];
            odd.into_iter()
                .enumerate()
                .map(|(n, odd)| Fault::midway(Moment::Open(Duration::from_millis(2_000 + 700 * n as u64)), odd).on(1))
                .collect()
        }
        Theme::LateAudio => vec![
            Fault::midway(Moment::Open(Duration::ZERO), Mishap::LateAudio(Duration::from_millis(rng.u64(1..400))))
                .always(),
        ],
        Theme::NoEngine if rng.bool() => vec![Fault::Handshake(HandshakeFault::Refuse(status)).always()],
        Theme::NoEngine => {
            let again = (2..40).map(|n| Fault::Handshake(HandshakeFault::Refuse(503)).on(n));
            [Fault::midway(spoken, Mishap::Drop).on(1)].into_iter().chain(again).collect()
        }
        Theme::Chance => {
            let odds = Odds::even(0.08);
            return (Faults::by_chance(odds), Faults::by_chance(odds));
        }
        _ => Vec::new(),
    };
    let all_gone = Faults::scripted([Fault::Handshake(HandshakeFault::Refuse(status)).always()]);
    let other = if theme == Theme::NoEngine { all_gone } else { Faults::none() };
    match first {
        EngineKind::Hume => (Faults::scripted(script), other),
        EngineKind::OpenAi => (other, Faults::scripted(script)),
        EngineKind::Cascade => (other.clone(), other),
    }
}

fn setup(agent: usize, engines: &[EngineKind]) -> Setup {
    let (name, toml) = AGENTS[agent];
    let agent = Agent::parse(name, toml).expect("the agents that come with the program are well formed");
    let missing = agent.variables().into_iter().filter(|variable| !agent.variables.contains_key(variable));
    let given = missing.map(|variable| (variable, "Tuesday at ten".to_owned())).collect();
    Setup {
        call: CallId::new(1_790_000_000_000, 1),
        epoch: 1,
        script: agent.script(&given).expect("every variable is given"),
        engines: engines.to_vec(),
        history: Vec::new(),
        chat: None,
        offset_ms: 0,
        greeted: false,
        disclosed: false,
        call_ms_max: 1_800_000,
    }
}

fn phone(theme: Theme, rng: &mut fastrand::Rng) -> PhoneConfig {
    let sid = |prefix: &str| format!("{prefix}{:032x}", 1);
    let mut phone = PhoneConfig::new(
        sid("AC").parse().expect("well formed"),
        sid("CA").parse().expect("well formed"),
        sid("MZ").parse().expect("well formed"),
    );
    phone.line = if rng.bool() { Line::Silent } else { Line::Noisy };
    phone.pacing = Pacing {
        jitter: Duration::from_millis(rng.u64(0..15)),
        bunching: rng.bool().then(|| Bunching { chance: 0.02, frames: rng.u32(2..6) }),
        loss: if theme == Theme::Chance { 0.01 } else { 0.0 },
        random_stalls: (theme == Theme::Chance && rng.bool())
            .then(|| RandomStalls { chance: 0.002, longest: Duration::from_millis(800) }),
        ..Pacing::default()
    };
    phone
}

fn caller(theme: Theme, dialogue: &[&str], rng: &mut fastrand::Rng) -> CallerScript {
    let say = |id: &str| utterance(id).map(|utterance| utterance.mulaw()).unwrap_or_default();
    let mut script = CallerScript::new();
    let interrupts = theme == Theme::LateAudio || rng.u8(0..3) == 0;
    for (index, line) in dialogue.iter().enumerate() {
        if interrupts && (index == 1 || theme == Theme::LateAudio) {
            // Each time other words: frames are told apart by what is in them.
            let words = [
                "caller-not-tuesday",
                "caller-no",
                "caller-repeat",
                "caller-cannot-come",
                "caller-person",
                "caller-not-right",
            ];
            script =
                script.interrupts_after(Duration::from_millis(rng.u64(300..1_200)), say(words[index % words.len()]));
        }
        if rng.u8(0..12) == 0 {
            script = script.then(Cue::TURN, Act::Press(['4', '2', '#'][rng.usize(0..3)]));
        }
        script = script.answers(say(line));
    }
    if theme == Theme::HangsUp {
        let cut = rng.usize(0..=script.steps.len());
        script.steps.truncate(cut);
        return script.then(Cue::After(Duration::from_millis(rng.u64(200..5_000))), Act::HangUp);
    }
    script.hangs_up_after_goodbye()
}

fn node(theme: Theme, rng: &mut fastrand::Rng) -> Vec<(Duration, NodeEvent)> {
    let at = Duration::from_millis(rng.u64(2_500..11_000));
    match theme {
        Theme::NodeKilled | Theme::StoreSlow => vec![(at, NodeEvent::Dies)],
        Theme::NodeDrained => vec![(at, NodeEvent::Drains(Duration::from_millis(rng.u64(2_000..20_000))))],
        Theme::PhoneLost => vec![(at, NodeEvent::PhoneBreaks)],
        Theme::OperatorHangsUp => vec![(at, NodeEvent::Commanded(Order::HangUp))],
        Theme::OperatorTransfers => vec![(at, NodeEvent::Commanded(Order::Transfer))],
        Theme::OperatorSays => vec![(at, NodeEvent::Commanded(Order::Say))],
        Theme::Chance if rng.u8(0..3) == 0 => vec![(at, NodeEvent::Dies)],
        _ => Vec::new(),
    }
}

fn rough(theme: Theme) -> Rough {
    match theme {
        Theme::StoreSlow => Rough { store_lag: Duration::from_secs(2), ..Rough::default() },
        Theme::MarksLost => Rough { marks_lost: 0.2, ..Rough::default() },
        _ => Rough::default(),
    }
}

fn ways(ms: u64, jitter_ms: u64) -> (DelaySettings, DelaySettings) {
    let way = DelaySettings {
        delay: Duration::from_millis(ms),
        jitter: Duration::from_millis(jitter_ms),
        ..DelaySettings::default()
    };
    (way.clone(), way)
}
