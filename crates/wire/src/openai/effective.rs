//! The session as the server has it: what `session.created` and `session.updated` show.
//!
//! Read leniently, field by field: one that cannot be understood is absent, and the call goes on. The simulator keeps
//! one of these and applies updates to it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::{
    AudioFormat, AudioUpdate, Change, InputUpdate, MaxTokens, Modality, NoiseReduction, OutputUpdate, Reasoning,
    SessionUpdate, Tool, ToolChoice, Transcription, TurnDetection, Voice,
};
use crate::lenient::{if_understood, or_default, understood_items};

/// The effective session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// `realtime`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// `realtime.session`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub object: Option<String>,
    /// `sess_…`
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub id: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub model: Option<String>,
    /// When the socket will be closed, in Unix seconds. There is no earlier warning.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub expires_at: Option<u64>,
    /// The prompt.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub instructions: Option<String>,
    /// Audio or text.
    #[serde(default, deserialize_with = "understood_items")]
    pub output_modalities: Vec<Modality>,
    /// The longest response.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub max_output_tokens: Option<MaxTokens>,
    /// The function tools; those of other kinds are left out.
    #[serde(default, deserialize_with = "understood_items")]
    pub tools: Vec<Tool>,
    /// Whether the model may, must or must not call one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub tool_choice: Option<ToolChoice>,
    /// Reasoning models only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub parallel_tool_calls: Option<bool>,
    /// Reasoning models only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub reasoning: Option<Reasoning>,
    /// What else comes with events.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub include: Option<Vec<String>>,
    /// A stored prompt.
    #[serde(default, deserialize_with = "or_default")]
    pub prompt: Option<Value>,
    /// Tracing at the vendor's.
    #[serde(default, deserialize_with = "or_default")]
    pub tracing: Option<Value>,
    /// What happens when the context overflows.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub truncation: Option<Value>,
    /// Everything about sound.
    #[serde(default, deserialize_with = "or_default")]
    pub audio: Audio,
}

/// Everything about sound.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Audio {
    /// The caller's side.
    #[serde(default, deserialize_with = "or_default")]
    pub input: Input,
    /// The voice's side.
    #[serde(default, deserialize_with = "or_default")]
    pub output: Output,
}

/// The caller's side; what is off is `null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// What is appended.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub format: Option<AudioFormat>,
    /// Noise reduction.
    #[serde(default, deserialize_with = "if_understood")]
    pub noise_reduction: Option<NoiseReduction>,
    /// Transcription.
    #[serde(default, deserialize_with = "if_understood")]
    pub transcription: Option<Transcription>,
    /// Turn detection.
    #[serde(default, deserialize_with = "if_understood")]
    pub turn_detection: Option<TurnDetection>,
}

/// The voice's side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// What comes in deltas.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub format: Option<AudioFormat>,
    /// Who speaks.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub voice: Option<Voice>,
    /// How fast.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_understood")]
    pub speed: Option<f64>,
}

impl Session {
    /// Carries an update out: present fields change, the others stay. The model stays as it is in any case.
    ///
    /// A changed turn detection replaces the former one as a whole.
    pub fn apply(&mut self, update: &SessionUpdate) {
        let SessionUpdate {
            kind: _,
            model: _,
            instructions,
            output_modalities,
            max_output_tokens,
            tools,
            tool_choice,
            parallel_tool_calls,
            reasoning,
            include,
            prompt,
            tracing,
            truncation,
            audio,
        } = update;
        replace(&mut self.instructions, instructions);
        if let Some(modalities) = output_modalities {
            self.output_modalities.clone_from(modalities);
        }
        replace(&mut self.max_output_tokens, max_output_tokens);
        if let Some(tools) = tools {
            self.tools.clone_from(tools);
        }
        replace(&mut self.tool_choice, tool_choice);
        replace(&mut self.parallel_tool_calls, parallel_tool_calls);
        replace(&mut self.reasoning, reasoning);
        replace(&mut self.include, include);
        replace(&mut self.prompt, prompt);
        tracing.apply_to(&mut self.tracing);
        replace(&mut self.truncation, truncation);
        let Some(AudioUpdate { input, output }) = audio else { return };
        if let Some(InputUpdate { format, noise_reduction, transcription, turn_detection }) = input {
            replace(&mut self.audio.input.format, format);
            noise_reduction.apply_to(&mut self.audio.input.noise_reduction);
            transcription.apply_to(&mut self.audio.input.transcription);
            turn_detection.apply_to(&mut self.audio.input.turn_detection);
        }
        if let Some(OutputUpdate { format, voice, speed }) = output {
            replace(&mut self.audio.output.format, format);
            replace(&mut self.audio.output.voice, voice);
            replace(&mut self.audio.output.speed, speed);
        }
    }

    /// The session's settings as an update that would restore them on a new socket.
    #[must_use]
    pub fn to_update(&self) -> SessionUpdate {
        let Audio { input, output } = &self.audio;
        SessionUpdate {
            instructions: self.instructions.clone(),
            output_modalities: Some(self.output_modalities.clone()),
            max_output_tokens: self.max_output_tokens,
            tools: Some(self.tools.clone()),
            tool_choice: self.tool_choice.clone(),
            parallel_tool_calls: self.parallel_tool_calls,
            reasoning: self.reasoning.clone(),
            audio: Some(AudioUpdate {
                input: Some(InputUpdate {
                    format: input.format,
                    noise_reduction: change(input.noise_reduction.as_ref()),
                    transcription: change(input.transcription.as_ref()),
                    turn_detection: change(input.turn_detection.as_ref()),
                }),
                output: Some(OutputUpdate { format: output.format, voice: output.voice.clone(), speed: output.speed }),
            }),
            ..SessionUpdate::default()
        }
    }
}

fn replace<T: Clone>(field: &mut Option<T>, update: &Option<T>) {
    if update.is_some() {
        field.clone_from(update);
    }
}

fn change<T: Clone>(field: Option<&T>) -> Change<T> {
    field.cloned().map_or(Change::Clear, Change::Set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn update(session: Value) -> SessionUpdate {
        serde_json::from_value(session).expect("the update is well formed")
    }

    #[test]
    fn an_update_changes_what_it_names_and_null_switches_off() {
        let mut session = Session { instructions: Some("Be kind.".into()), ..Session::default() };
        session.apply(&update(json!({"type": "realtime", "audio": {
            "input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad", "threshold": 0.5}},
            "output": {"voice": "marin"},
        }})));
        assert_eq!(session.instructions.as_deref(), Some("Be kind."));
        assert_eq!(session.audio.input.format, Some(AudioFormat::Pcmu));
        assert!(matches!(session.audio.input.turn_detection, Some(TurnDetection::ServerVad(_))));

        session.apply(&update(
            json!({"type": "realtime", "instructions": "", "audio": {"input": {"turn_detection": null}}}),
        ));
        assert_eq!(session.instructions.as_deref(), Some(""));
        assert_eq!(session.audio.input.turn_detection, None);
        assert_eq!(session.audio.input.format, Some(AudioFormat::Pcmu));
        assert_eq!(session.audio.output.voice, Some(Voice::Name("marin".into())));
    }

    #[test]
    fn settings_move_to_a_new_session_as_one_update() {
        let mut old = Session::default();
        old.apply(&update(json!({"type": "realtime", "instructions": "Be kind.", "max_output_tokens": "inf",
            "tools": [{"type": "function", "name": "hang_up"}],
            "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}, "output": {"speed": 1.1}}})));
        let mut new = Session::default();
        new.apply(&old.to_update());
        assert_eq!(new, old);
    }

    #[test]
    fn misshapen_parts_are_left_out_and_the_rest_is_kept() {
        let session: Session = serde_json::from_value(json!({"id": "sess_1", "expires_at": 1_700_000_000, "tools": [
            {"type": "mcp", "server_label": "x"}, {"type": "function", "name": "f", "parameters": {}, "later": 1}],
            "tool_choice": {"type": "mcp"}, "max_output_tokens": 1.5, "audio": {"input": {"format": {"type": "audio/later"},
            "turn_detection": {"type": "later_vad"}}, "output": {"voice": 7, "speed": 1}}, "later": {}}))
        .unwrap();
        assert_eq!(session.id.as_deref(), Some("sess_1"));
        assert_eq!(session.expires_at, Some(1_700_000_000));
        assert_eq!(session.tools.len(), 1);
        assert_eq!((session.tool_choice, session.max_output_tokens), (None, None));
        assert_eq!(session.audio.input, Input::default());
        assert_eq!((session.audio.output.voice, session.audio.output.speed), (None, Some(1.0)));
    }
}
