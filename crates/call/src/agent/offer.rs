//! What an engine offers to somebody who fills in an agent's form: voices, languages, and what values may be.

use serde::Serialize;

use super::EngineKind;

/// What an engine offers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Offer {
    /// The setting that chooses its voice, as the agent's file has it.
    pub voice_setting: &'static str,
    /// Voices that everybody has, the recommended ones first. Empty where voices belong to the account.
    pub voices: &'static [&'static str],
    /// Whether other values than those are voices too: ids of the account's own.
    pub other_voices: bool,
    /// What it is known to speak, as language tags without a region. Empty where the vendor names no list.
    pub languages: &'static [&'static str],
    /// The variable with its credentials.
    pub credentials_variable: &'static str,
}

/// A number that an agent may set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The setting.
    pub key: &'static str,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// Milliseconds, seconds, minutes, or nothing.
    pub unit: &'static str,
}

/// What the numbers of an agent may be. The checks of the agent say the same; a test holds them together.
pub const RANGES: [Range; 7] = [
    Range { key: "lead_ms", min: 40.0, max: 1_000.0, unit: "milliseconds" },
    Range { key: "openai.speed", min: 0.25, max: 1.5, unit: "" },
    Range { key: "turn_taking.end_of_turn_silence_ms", min: 200.0, max: 3_000.0, unit: "milliseconds" },
    Range { key: "turn_taking.speech_threshold", min: 0.0, max: 1.0, unit: "" },
    Range { key: "turn_taking.unplayed_ms_min", min: 0.0, max: 2_000.0, unit: "milliseconds" },
    Range { key: "limits.call_minutes_max", min: 1.0, max: 240.0, unit: "minutes" },
    Range { key: "limits.caller_silence_s_max", min: 10.0, max: 1_800.0, unit: "seconds" },
];

impl EngineKind {
    /// What it offers.
    #[must_use]
    pub const fn offer(self) -> Offer {
        match self {
            // EVI 3 speaks English, EVI 4-mini all of these (Hume: EVI version). Voices are the library's and one's own, by id.
            Self::Hume => Offer {
                voice_setting: "hume.voice_id",
                voices: &[],
                other_voices: true,
                languages: &["en", "ja", "ko", "es", "fr", "pt", "it", "de", "ru", "hi", "ar"],
                credentials_variable: "HUME_API_KEY",
            },
            // OpenAI: Realtime API reference, session, audio.output.voice.
            Self::OpenAi => Offer {
                voice_setting: "openai.voice",
                voices: &["marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"],
                other_voices: false,
                languages: &[],
                credentials_variable: "OPENAI_API_KEY",
            },
            // Voices are ids of Cartesia's library or one's own. Cartesia speaks many more languages; these are the ones whose
            // words it is known to time, so that what was heard is known to the word.
            Self::Cascade => Offer {
                voice_setting: "cascade.voice",
                voices: &[],
                other_voices: true,
                languages: &["en", "de", "es", "fr"],
                credentials_variable: "DEEPGRAM_API_KEY, GROQ_API_KEY, CARTESIA_API_KEY",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;

    #[test]
    fn what_a_form_is_told_is_what_an_agent_is_checked_for() {
        let text = "engines = [\"hume\"]\ninstructions = \"Be kind.\"\n[openai]\nspeed = 1.0\n";
        let agent = serde_json::to_value(Agent::parse("front", text).unwrap()).unwrap();
        for range in RANGES {
            let whole = !range.unit.is_empty();
            let step = if whole { 1.0 } else { 0.01 };
            for (value, fits) in
                [(range.min, true), (range.max, true), (range.min - step, false), (range.max + step, false)]
            {
                if value < 0.0 && whole {
                    continue;
                }
                let mut changed = agent.clone();
                let place = changed.pointer_mut(&format!("/{}", range.key.replace('.', "/"))).unwrap();
                #[expect(clippy::cast_possible_truncation, reason = "whole numbers of a small range")]
                let number = if whole { serde_json::json!(value as i64) } else { serde_json::json!(value) };
                *place = number;
                let changed: Agent = serde_json::from_value(changed).unwrap();
                assert_eq!(changed.problems().is_empty(), fits, "{} = {value}", range.key);
            }
        }
    }
}
