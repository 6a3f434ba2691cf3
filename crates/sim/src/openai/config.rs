//! How a simulated `OpenAI` Realtime behaves: a switch for everything that is not published.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use wire::openai::response::StatusReason;

/// Everything about a simulated `OpenAI` Realtime except its faults.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAiConfig {
    /// Accepted bearer tokens. Empty: any that is not empty.
    pub api_keys: Vec<String>,
    /// Known models, also listed by `GET /v1/models`. Empty: any.
    pub models: Vec<String>,
    /// Status for an unknown model. (Undocumented.)
    pub unknown_model_status: u16,
    /// From the request for a response to its `response.created`. A cancel that comes within finds nothing to cancel.
    pub created_delay: Duration,
    /// From `response.created` to the first audio.
    pub model_delay: Duration,
    /// Up to this much more, by seed.
    pub model_jitter: Duration,
    /// How many times faster than real time audio is sent.
    pub speed: u32,
    /// How many bytes an audio delta holds, by seed; made odd, because nobody promises whole frames.
    pub delta_bytes: Range<usize>,
    /// When the caller's words are transcribed, from the commit, by seed.
    pub transcription_delay: Range<Duration>,
    /// Probability that a transcription fails.
    pub transcription_failures: f64,
    /// The silence that ends a turn unless the client says otherwise. Published both as 200 ms and as 500 ms.
    pub silence_default: Duration,
    /// How responses end that are not simply completed, by their number on the connection, from 1.
    pub outcomes: BTreeMap<u32, Outcome>,
    /// What the model says when a response is asked for and there is nothing to answer.
    pub greeting: String,
    /// What it says when the caller was silent for `idle_timeout_ms`.
    pub nudge: String,
    /// The longest session: 60 minutes at the vendor's; shorter for tests.
    pub session_max: Duration,
    /// Whether an `error` event announces the end of the session. (Seen in the past.)
    pub expiry_error: bool,
    /// Whether `conversation.created` is sent after `session.created`. (In the union, not in the published flow.)
    pub conversation_created: bool,
    /// How often the server pings; never without. (Undocumented.) Used by the server only.
    pub ping_every: Option<Duration>,
    /// Probability that an event carries a field that no schema lists.
    pub extra_fields: f64,
    /// Probability that an event is followed by one of a type that no schema lists.
    pub unknown_events: f64,
    /// Whether the exact audio received is kept for inspection.
    pub keep_audio: bool,
    /// Wall-clock time at the first event, in Unix seconds.
    pub starts_at_unix_s: u64,
}

/// How a response ends that is not simply completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It fails before anything was said: a rate limit.
    Failed,
    /// It is cut in the middle, for this reason.
    Incomplete(StatusReason),
}

impl Default for OpenAiConfig {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            models: Vec::new(),
            unknown_model_status: 404,
            created_delay: Duration::from_millis(30),
            model_delay: Duration::from_millis(300),
            model_jitter: Duration::ZERO,
            speed: 5,
            delta_bytes: 800..4_000,
            transcription_delay: Duration::from_millis(50)..Duration::from_millis(1_500),
            transcription_failures: 0.0,
            silence_default: Duration::from_millis(500),
            outcomes: BTreeMap::new(),
            greeting: "Hello! How can I help you today?".to_owned(),
            nudge: "Are you still there?".to_owned(),
            session_max: wire::openai::MAX_SESSION_DURATION,
            expiry_error: false,
            conversation_created: false,
            ping_every: Some(Duration::from_secs(20)),
            extra_fields: 0.0,
            unknown_events: 0.0,
            keep_audio: true,
            starts_at_unix_s: 1_790_000_000,
        }
    }
}

impl OpenAiConfig {
    /// Documented behaviour throughout, and every unpublished switch thrown by seed.
    #[must_use]
    pub fn by_seed(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let smallest = rng.usize(20..2_000);
        Self {
            created_delay: Duration::from_millis(rng.u64(0..120)),
            model_delay: Duration::from_millis(rng.u64(150..900)),
            model_jitter: Duration::from_millis(rng.u64(0..300)),
            speed: rng.u32(2..12),
            delta_bytes: smallest..smallest + rng.usize(1..6_000),
            silence_default: Duration::from_millis(if rng.bool() { 200 } else { 500 }),
            expiry_error: rng.bool(),
            conversation_created: rng.bool(),
            extra_fields: 0.1,
            unknown_events: 0.02,
            ..Self::default()
        }
    }
}
