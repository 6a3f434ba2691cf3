//! An agent: a named configuration that says who answers, how, and with which engines.
//!
//! This module holds the types. [`Agent::parse`] reads the text of `agents/<name>.toml` and reports everything that is
//! wrong with it, line by line; [`Agent::problems`] checks one that came by another way; [`Agent::script`] fills the
//! `{{variables}}` in for one call. What a call runs on is the [`Script`]: an agent saved later never changes a live
//! call. [`AgentBook`] holds the agents of one installation and says which of them answers a number.
//!
//! Reading files and keeping versions is left to others: here is only what an agent means.

pub mod address;
mod book;
mod check;
mod file;
mod installation;
pub mod offer;
pub(crate) mod schema;
mod script;
mod section;
mod template;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use book::{AgentBook, BookError};
pub use file::{AgentError, AgentProblem};
pub use installation::{Installation, PRIVATE_TOOLS_SETTING};
pub use script::{Script, ScriptError, ScriptProblem};
pub use template::{BUILT_IN_VARIABLES, Place, UsedAt};

/// The tools that we answer ourselves: they need no parameters in the agent's file.
pub const BUILT_IN_TOOLS: [&str; 3] = ["hang_up", "record_booking", "transfer_call"];

/// The voice engines that this program can bridge to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Hume's Empathic Voice Interface.
    Hume,
    /// OpenAI Realtime.
    OpenAi,
}

impl EngineKind {
    /// Every engine, in the order in which we would try them.
    pub const ALL: [Self; 2] = [Self::Hume, Self::OpenAi];

    /// The name used in files, in the API and in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hume => "hume",
            Self::OpenAi => "openai",
        }
    }

    /// The engine of this name, as [`Self::as_str`] writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.as_str() == name)
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When the engine of an outbound call is dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrepareAt {
    /// When the call is answered: no engine time is spent on calls that nobody takes.
    #[default]
    Answered,
    /// While it rings: the greeting starts without delay, but an unanswered call costs engine time.
    Ringing,
}

/// A named configuration, as `agents/<name>.toml` says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The agent's name: the file's stem; lower-case letters, digits and `-`.
    #[serde(default)]
    pub name: String,
    /// Whether this agent answers the numbers that no agent names, and places the calls that name no agent. At most
    /// one agent of an installation says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Our numbers (E.164) that this agent answers.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// The engines to try, in order.
    pub engines: Vec<EngineKind>,
    /// BCP 47 language tag, such as `en-US`.
    #[serde(default = "english")]
    pub language: String,
    /// What the model is told it is and shall do. May contain `{{variables}}`.
    pub instructions: String,
    /// What the agent says first. Empty when the engine's own configuration greets. May contain `{{variables}}`.
    #[serde(default)]
    pub greeting: String,
    /// Spoken before the greeting and journaled as heard: that this is an AI, and that the call is recorded.
    #[serde(default)]
    pub disclosure: String,
    /// Whether the call is recorded. Only allowed with a disclosure.
    #[serde(default)]
    pub recording: bool,
    /// When an outbound call's engine is dialled.
    #[serde(default)]
    pub prepare: PrepareAt,
    /// How far ahead of real time audio is sent to the phone, 40 to 1,000 ms.
    #[serde(default = "default_lead_ms")]
    pub lead_ms: u32,
    /// Values for `{{variables}}` that a call does not give itself.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Settings for Hume EVI.
    #[serde(default)]
    pub hume: HumeSettings,
    /// Settings for OpenAI Realtime.
    #[serde(default)]
    pub openai: OpenAiSettings,
    /// When a turn ends and what interrupts one.
    #[serde(default)]
    pub turn_taking: TurnTaking,
    /// What the model may ask for.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// How long things may take.
    #[serde(default)]
    pub limits: AgentLimits,
    /// Where the file uses each variable, for messages. Not part of what the agent is: it is neither stored nor compared.
    #[serde(skip)]
    pub used_at: UsedAt,
}

fn english() -> String {
    "en".to_owned()
}

const fn default_lead_ms() -> u32 {
    200
}

/// What Hume EVI needs beyond the agent's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HumeSettings {
    /// The EVI configuration; without it `HUME_CONFIG_ID`, without that Hume's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_id: Option<String>,
    /// The voice; without it the configuration's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice_id: Option<String>,
}

/// What OpenAI Realtime needs beyond the agent's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAiSettings {
    /// The voice's name, such as `marin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// 0.25 to 1.5; without it 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f32>,
    /// The model that writes down the caller's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcription_model: Option<String>,
}

/// When a turn ends and what interrupts one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnTaking {
    /// Silence after which the caller's turn is over, 200 to 3,000 ms. EVI takes it from its own configuration.
    pub end_of_turn_silence_ms: u32,
    /// How sure the engine must be that it hears speech, 0.0 to 1.0. EVI takes it from its own configuration.
    pub speech_threshold: f32,
    /// Words of the caller cut the agent off only if at least this much is still unplayed (see the second case of
    /// barge-in), 0 to 2,000 ms.
    pub unplayed_ms_min: u32,
}

impl Default for TurnTaking {
    fn default() -> Self {
        Self { end_of_turn_silence_ms: 500, speech_threshold: 0.5, unplayed_ms_min: 250 }
    }
}

/// Something the model may ask for in a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `hang_up`, `record_booking` and `transfer_call` are our own ([`BUILT_IN_TOOLS`]). Any other one has a URL.
    pub name: String,
    /// What it is for: the model chooses by this.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments, as a JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
    /// Where the node asks for it: a `POST` of JSON, signed (Standard Webhooks). None for our own tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// With whom `transfer_call` may connect the caller: what the model calls them, and their numbers (E.164).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub destinations: BTreeMap<String, String>,
    /// How long the tool may take, 500 to 20,000 ms.
    #[serde(default = "default_tool_ms")]
    pub timeout_ms: u32,
}

impl Tool {
    /// The tool as a call has it: what the model may choose of is written out.
    #[must_use]
    pub(crate) fn for_call(&self) -> Self {
        let mut tool = self.clone();
        if self.name == "transfer_call" {
            let whom: Vec<&String> = self.destinations.keys().collect();
            let to =
                serde_json::json!({ "type": "string", "enum": whom, "description": "whom to connect the caller with" });
            let schema = serde_json::json!({ "type": "object", "properties": { "to": to }, "required": ["to"] });
            tool.parameters = Some(schema.to_string());
        }
        tool
    }

    /// JSON Schema of the arguments: the agent's own, else that of our built-in tool, else an object of anything.
    #[must_use]
    pub fn schema(&self) -> &str {
        match (&self.parameters, self.name.as_str()) {
            (Some(parameters), _) => parameters,
            (None, "record_booking") => {
                r#"{"type":"object","properties":{"what":{"type":"string","description":"what was booked"},"when":{"type":"string","description":"day and time, as agreed"},"name":{"type":"string","description":"the caller's name"}},"required":["what","when","name"]}"#
            }
            (None, _) => r#"{"type":"object","properties":{}}"#,
        }
    }
}

const fn default_tool_ms() -> u32 {
    5_000
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentLimits {
    /// The longest call, 1 to 240 minutes; `MAX_CALL_MINUTES` bounds it further.
    pub call_minutes_max: u32,
    /// After so many seconds without a word of the caller the call is ended, 10 to 1,800.
    pub caller_silence_s_max: u32,
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self { call_minutes_max: 30, caller_silence_s_max: 120 }
    }
}
