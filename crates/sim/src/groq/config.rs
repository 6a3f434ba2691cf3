//! How a simulated Groq behaves, and what it keeps of a request.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::groq::request::ChatRequest;

/// Everything about a simulated Groq except its faults: a switch for everything that is not published.
#[derive(Debug, Clone, PartialEq)]
pub struct GroqConfig {
    /// Accepted keys. Empty: any that is not empty.
    pub api_keys: Vec<String>,
    /// Known models; any other is answered with 404. Empty: any.
    pub models: Vec<String>,
    /// From the request to the first chunk, with no words yet.
    pub queue: Duration,
    /// From the first chunk to the first token.
    pub first_token: Duration,
    /// From token to token.
    pub token_every: Duration,
    /// How many characters a token has, by seed.
    pub token_chars: std::ops::Range<usize>,
    /// Whether thoughts come before the words, where the request does not refuse them.
    pub reasons: bool,
    /// Whether a tool call's arguments come in pieces, or in one.
    pub splits_arguments: bool,
    /// Whether the last chunk's usage stands at its top as well, in a chunk without choices.
    pub usage_chunk: bool,
    /// Whether comments keep the stream alive before the first token.
    pub comments: bool,
    /// The assistant's language where the instructions name none: `en`, `es`, `de`.
    pub language: String,
    /// What becomes of the nth request (from 1).
    pub outcomes: BTreeMap<u32, Outcome>,
    /// The wall-clock time of replies, in Unix seconds.
    pub created_unix_s: u64,
}

impl Default for GroqConfig {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            models: vec!["openai/gpt-oss-120b".to_owned(), "openai/gpt-oss-20b".to_owned()],
            queue: Duration::from_millis(40),
            first_token: Duration::from_millis(110),
            token_every: Duration::from_millis(4),
            token_chars: 1..7,
            reasons: true,
            splits_arguments: true,
            usage_chunk: false,
            comments: false,
            language: "en".to_owned(),
            outcomes: BTreeMap::new(),
            created_unix_s: 1_790_000_000,
        }
    }
}

/// What becomes of a request that would otherwise be answered well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 400: the model wrote a tool call that is none.
    ToolUseFailed,
    /// 429, with so long to wait.
    RateLimited(Duration),
    /// After so many tokens, an object with an `error` in place of a chunk.
    ErrorObject(u32),
    /// After so many tokens, an event of the kind `error`.
    ErrorEvent(u32),
    /// After so many tokens, a last chunk that says why it is the last.
    ErrorInChunk(u32),
    /// After so many tokens it is too long.
    TooLong(u32),
    /// All comes but the `[DONE]`.
    NoDone,
    /// The arguments of a tool call are no JSON.
    BrokenArguments,
}

/// What one request asked, and was answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// What was asked.
    pub request: ChatRequest,
    /// All that would be said.
    pub reply: String,
    /// The tool that would be called.
    pub tool: Option<String>,
    /// How much of the reply was sent.
    pub sent: String,
    /// Whether the stream came to its end.
    pub done: bool,
}
