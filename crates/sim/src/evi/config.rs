//! How a simulated EVI behaves: what an account configures, and a switch for everything that Hume leaves open.

use std::time::Duration;

use super::wav::WavLayout;

/// Everything about a simulated EVI except its faults.
#[derive(Debug, Clone, PartialEq)]
pub struct EviConfig {
    /// Accepted API keys and access tokens. Empty: any credential that is not empty.
    pub api_keys: Vec<String>,
    /// Known configuration ids. Empty: any.
    pub config_ids: Vec<String>,
    /// Status for an unknown configuration. (Undocumented.)
    pub unknown_config_status: u16,
    /// How many chats may be open at once, and the status for one more. (Limits depend on the plan; the status is
    /// undocumented.)
    pub concurrency: Option<(usize, u16)>,
    /// Whether the account keeps data. Without it there is no resume and no history.
    pub retention: bool,
    /// Status for a resume of an unknown group, or without retention. (Undocumented.)
    pub unknown_group_status: u16,
    /// A resume while the group's last chat still looks open. (Undocumented.)
    pub resume_while_open: ResumeWhileOpen,

    /// The configuration's prompt, used until the client sends its own.
    pub system_prompt: String,
    /// The language the assistant speaks: `en`, `es` or `de`.
    pub speaks: String,
    /// What EVI says when a chat opens (`event_messages.on_new_chat`).
    pub greeting: Option<String>,
    /// Whether it greets on a resumed chat as well. (Undocumented.)
    pub greets_on_resume: bool,
    /// From the end of the caller's turn, or the request to speak, to the first sentence.
    pub model_delay: Duration,
    /// Up to this much more, by seed.
    pub model_jitter: Duration,
    /// How many times faster than real time audio is sent.
    pub speed: u32,
    /// In how many pieces a sentence's audio is sent.
    pub chunks_per_sentence: u32,
    /// Sample rates; each chunk takes the next one, so that two entries mean a mixture.
    pub output_rates: Vec<u32>,
    /// File layouts; each chunk takes the next one.
    pub wav_layouts: Vec<WavLayout>,
    /// The undocumented field `is_final_chunk`.
    pub final_chunk: FinalChunk,
    /// Where the expression of EVI's own voice is reported.
    pub prosody: ProsodyPlace,
    /// Whether a first short filler is marked `is_quick_response` (the configuration's `allow_short_responses`).
    pub quick_responses: bool,
    /// Whether messages say which `language` they are in; older traffic does not.
    pub language: bool,

    /// Silence that ends the caller's turn (`turn_detection.end_of_turn_silence_ms`, 500 to 3000 ms).
    pub end_of_turn_silence: Duration,
    /// Speech that interrupts (`interruption.min_interruption_ms`, 50 to 2000 ms).
    pub min_interruption: Duration,
    /// What an `assistant_input` does while EVI speaks. (Undocumented.)
    pub assistant_input: AssistantInputMode,
    /// Whether audio that was already made keeps coming after a pause. (Undocumented.)
    pub audio_after_pause: bool,
    /// How long EVI waits for a tool before it goes on with the fallback; for ever without. (Undocumented; one report
    /// says that the conversation stalls.)
    pub tool_patience: Option<Duration>,
    /// Whether settings are sent back. (Undocumented for the client's own messages.)
    pub echo_session_settings: bool,

    /// `timeouts.inactivity`; 120 s by default, 30 s at least.
    pub inactivity: Option<Duration>,
    /// What EVI says at the inactivity timeout, 15 s before it closes (`event_messages.on_inactivity_timeout`).
    pub inactivity_message: Option<String>,
    /// `timeouts.max_duration`.
    pub max_duration: Option<Duration>,
    /// What EVI says at the maximal duration (`event_messages.on_max_duration_timeout`).
    pub max_duration_message: Option<String>,
    /// The cap that no configuration lifts: 30 min at Hume. Shorter for tests.
    pub hard_cap: Duration,
    /// The close code after the built-in `hang_up`. (Undocumented.)
    pub hang_up_code: u16,
    /// How often the server pings; never without. (Undocumented.) Used by the server only.
    pub ping_every: Option<Duration>,

    /// Probability that a message carries a field that no schema lists.
    pub extra_fields: f64,
    /// Probability that a message is followed by one of a type that no schema lists.
    pub unknown_messages: f64,
    /// Whether the exact audio received is kept for inspection. Costs 1 MB a minute and chat.
    pub keep_audio: bool,
    /// Wall-clock time at the first event, in Unix milliseconds; times in the chat history are counted from it.
    pub starts_at_unix_ms: i64,
}

impl Default for EviConfig {
    /// As recorded and documented where that is known; the simpler of two ways where it is not.
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            config_ids: Vec::new(),
            unknown_config_status: 404,
            concurrency: None,
            retention: true,
            unknown_group_status: 404,
            resume_while_open: ResumeWhileOpen::Accept,
            system_prompt: String::new(),
            speaks: "en".to_owned(),
            greeting: None,
            greets_on_resume: false,
            model_delay: Duration::from_millis(300),
            model_jitter: Duration::ZERO,
            speed: 4,
            chunks_per_sentence: 1,
            output_rates: vec![48_000],
            wav_layouts: vec![WavLayout::Plain],
            final_chunk: FinalChunk::Absent,
            prosody: ProsodyPlace::Afterwards,
            quick_responses: false,
            language: true,
            end_of_turn_silence: Duration::from_millis(800),
            min_interruption: Duration::from_millis(800),
            assistant_input: AssistantInputMode::Queues,
            audio_after_pause: false,
            tool_patience: None,
            echo_session_settings: false,
            inactivity: Some(Duration::from_secs(120)),
            inactivity_message: None,
            max_duration: Some(Duration::from_secs(1800)),
            max_duration_message: None,
            hard_cap: wire::hume::MAX_CHAT_DURATION,
            hang_up_code: 1000,
            ping_every: Some(Duration::from_secs(20)),
            extra_fields: 0.0,
            unknown_messages: 0.0,
            keep_audio: true,
            starts_at_unix_ms: 1_790_000_000_000,
        }
    }
}

impl EviConfig {
    /// Documented behaviour throughout, and every undocumented switch thrown by seed.
    #[must_use]
    pub fn by_seed(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut rates = vec![24_000, 48_000];
        rates.truncate(rng.usize(1..=2));
        if rng.bool() {
            rates.reverse();
        }
        let layouts = [WavLayout::Plain, WavLayout::List, WavLayout::Extensible, WavLayout::UnknownSizes];
        Self {
            resume_while_open: if rng.bool() { ResumeWhileOpen::Accept } else { ResumeWhileOpen::CloseOld },
            model_delay: Duration::from_millis(rng.u64(150..900)),
            model_jitter: Duration::from_millis(rng.u64(0..300)),
            speed: rng.u32(2..12),
            chunks_per_sentence: rng.u32(1..5),
            output_rates: rates,
            wav_layouts: (0..rng.usize(1..4)).map(|_| layouts[rng.usize(0..layouts.len())]).collect(),
            final_chunk: [FinalChunk::Absent, FinalChunk::AlwaysFalse, FinalChunk::Truthful][rng.usize(0..3)],
            prosody: [ProsodyPlace::Nowhere, ProsodyPlace::Inside, ProsodyPlace::Afterwards][rng.usize(0..3)],
            language: rng.bool(),
            assistant_input: if rng.bool() { AssistantInputMode::Queues } else { AssistantInputMode::Interrupts },
            audio_after_pause: rng.bool(),
            echo_session_settings: rng.bool(),
            extra_fields: 0.1,
            unknown_messages: 0.02,
            ..Self::default()
        }
    }
}

/// What a resume does while the group's last chat still looks open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeWhileOpen {
    /// Both live on.
    Accept,
    /// The old chat is closed with 1000.
    CloseOld,
    /// The handshake is refused with this status.
    Refuse(u16),
}

/// What becomes of `is_final_chunk`, which no schema lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalChunk {
    /// It is not sent.
    Absent,
    /// It is false on every chunk, as recorded.
    AlwaysFalse,
    /// It is true on the last chunk.
    Truthful,
}

/// Where the expression of EVI's own voice is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProsodyPlace {
    /// Not at all.
    Nowhere,
    /// In the `assistant_message`, as in older traffic.
    Inside,
    /// As `assistant_prosody`, after the audio.
    Afterwards,
}

/// What an `assistant_input` does while EVI speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssistantInputMode {
    /// It is spoken when the turn is over.
    Queues,
    /// The rest of the turn is dropped.
    Interrupts,
}
