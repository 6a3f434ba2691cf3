//! Reading client messages as strictly as the vendor's server does, for the simulator.
//!
//! A message is refused with the `error` that a client would see: always `invalid_request_error`, with the path of the
//! field it is about. That both speech and text, a missing `session.type`, unknown fields and out-of-range values are
//! refused is documented; the codes for single fields are not, see [`ErrorCode::as_str`].

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::Value;

use super::client::{ClientEvent, ClientMessage, ResponseOverrides};
use super::error::{ErrorCode, ErrorDetail};
use super::item::{ContentKind, Item, Message, Role};
use super::session::{AudioFormat, AudioUpdate, Change, MaxTokens, Modality, SessionUpdate, Tool, TurnDetection};
use crate::faithful::{Difference, first_difference};

/// The messages there are, each with the fields it must have.
const REQUIRED: [(&str, &[&str]); 10] = [
    ("session.update", &["session", "session.type"]),
    ("input_audio_buffer.append", &["audio"]),
    ("input_audio_buffer.commit", &[]),
    ("input_audio_buffer.clear", &[]),
    ("conversation.item.create", &["item", "item.type"]),
    ("conversation.item.truncate", &["item_id", "content_index", "audio_end_ms"]),
    ("conversation.item.delete", &["item_id"]),
    ("conversation.item.retrieve", &["item_id"]),
    ("response.create", &[]),
    ("response.cancel", &[]),
];

/// Fields for which `null` says the same as leaving them out.
const NULLABLE: [&str; 5] = ["idle_timeout_ms", "metadata", "prompt", "strength", "previous_item_id"];

impl<'a> ClientMessage<'a> {
    /// Reads a message strictly.
    ///
    /// # Errors
    /// With what the server answers in an `error` event; the session goes on.
    pub fn parse(text: &'a str) -> Result<Self, ErrorDetail> {
        // Fifty of these come per second and call: read without building a tree, and with care only if that fails.
        if let Ok(Append { kind: AppendKind::Append, audio, event_id }) = serde_json::from_str(text) {
            return Ok(Self { event: ClientEvent::Append { audio }, event_id });
        }
        let mut received: Value = serde_json::from_str(text)
            .map_err(|_| invalid(ErrorCode::InvalidEvent, None, "the message is not valid JSON"))?;
        let fields = received
            .as_object_mut()
            .ok_or_else(|| invalid(ErrorCode::InvalidEvent, None, "the message is not an object"))?;
        let event_id = match fields.remove("event_id") {
            None => None,
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(invalid(ErrorCode::InvalidType, Some("event_id"), "expected a string")),
        };
        match read(&received) {
            Ok(event) => Ok(Self { event, event_id }),
            Err(error) => Err(ErrorDetail { event_id, ..error }),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Append<'a> {
    #[serde(rename = "type")]
    kind: AppendKind,
    #[serde(borrow)]
    audio: Cow<'a, str>,
    #[serde(default)]
    event_id: Option<String>,
}

#[derive(Deserialize)]
enum AppendKind {
    #[serde(rename = "input_audio_buffer.append")]
    Append,
}

fn read(received: &Value) -> Result<ClientEvent<'static>, ErrorDetail> {
    let kind = received.get("type").and_then(Value::as_str);
    let kind = kind.ok_or_else(|| invalid(ErrorCode::InvalidEvent, Some("type"), "the type field is missing"))?;
    let Some((_, required)) = REQUIRED.iter().find(|(known, _)| *known == kind) else {
        let shown: String = kind.chars().take(64).collect();
        return Err(invalid(ErrorCode::InvalidEvent, Some("type"), &format!("unknown event type '{shown}'")));
    };
    for path in *required {
        if path.split('.').try_fold(received, |value, name| value.get(name)).is_none() {
            return Err(invalid(
                ErrorCode::MissingParameter,
                Some(path),
                &format!("missing required parameter '{path}'"),
            ));
        }
    }
    let event = ClientEvent::deserialize(received).map_err(|error| {
        let path = misfit(received);
        let problem: String = error.to_string().chars().take(200).collect();
        invalid(ErrorCode::InvalidType, path.as_deref(), &problem)
    })?;
    let understood =
        serde_json::to_value(&event).map_err(|error| invalid(ErrorCode::InvalidType, None, &error.to_string()))?;
    match first_difference(received, &understood, &|name| NULLABLE.contains(&name)) {
        None => {}
        Some(Difference::Unknown(path)) => {
            return Err(invalid(ErrorCode::UnknownParameter, Some(&path), &format!("unknown parameter '{path}'")));
        }
        Some(Difference::Value(path)) => return Err(impossible(&path)),
        Some(Difference::Null(path)) => {
            return Err(invalid(ErrorCode::InvalidType, Some(&path), &format!("'{path}' must not be null")));
        }
    }
    check(&event)?;
    Ok(event)
}

/// The path of the one value without which the message could be read. Serde does not tell where it stopped.
fn misfit(received: &Value) -> Option<String> {
    /// More than any honest message has; each costs a copy of the message.
    const MOST_TRIES: usize = 64;
    let mut pointers = Vec::new();
    leaves(received, &mut String::new(), &mut pointers, MOST_TRIES);
    let culprit = pointers.into_iter().find(|pointer| {
        let mut without = received.clone();
        let removed = pointer
            .rsplit_once('/')
            .and_then(|(parent, name)| without.pointer_mut(parent)?.as_object_mut()?.remove(name));
        removed.is_some() && ClientEvent::deserialize(&without).is_ok()
    })?;
    Some(culprit.trim_start_matches('/').replace('/', "."))
}

fn leaves(value: &Value, pointer: &mut String, found: &mut Vec<String>, most: usize) {
    let Some(fields) = value.as_object() else { return };
    for (name, value) in fields.iter().filter(|(name, _)| !name.contains(['/', '~'])) {
        if found.len() >= most {
            return;
        }
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(name);
        leaves(value, pointer, found, most);
        found.push(pointer.clone());
        pointer.truncate(length);
    }
}

/// What types alone do not tell.
fn check(event: &ClientEvent<'_>) -> Result<(), ErrorDetail> {
    match event {
        ClientEvent::SessionUpdate { session } => check_session(session),
        ClientEvent::ItemCreate { item, .. } => match item {
            Item::ItemReference { .. } => Err(impossible("item.type")),
            Item::Message(_) | Item::FunctionCall(_) | Item::FunctionCallOutput(_) | Item::Other(_) => {
                check_item(item, "item")
            }
        },
        ClientEvent::ResponseCreate { response: Some(response) } => check_response(response),
        ClientEvent::Append { .. }
        | ClientEvent::Commit {}
        | ClientEvent::Clear {}
        | ClientEvent::ItemTruncate { .. }
        | ClientEvent::ItemDelete { .. }
        | ClientEvent::ItemRetrieve { .. }
        | ClientEvent::ResponseCreate { response: None }
        | ClientEvent::ResponseCancel { .. } => Ok(()),
    }
}

fn check_session(session: &SessionUpdate) -> Result<(), ErrorDetail> {
    check_modalities(session.output_modalities.as_deref(), "session.output_modalities")?;
    check_tokens(session.max_output_tokens, "session.max_output_tokens")?;
    check_tools(session.tools.as_deref(), "session.tools")?;
    let Some(AudioUpdate { input, output }) = &session.audio else { return Ok(()) };
    if let Some(input) = input {
        check_format(input.format, "session.audio.input.format.rate")?;
        if let Change::Set(TurnDetection::ServerVad(vad)) = &input.turn_detection {
            check_range(vad.threshold, 0.0..=1.0, "session.audio.input.turn_detection.threshold")?;
        }
    }
    if let Some(output) = output {
        check_format(output.format, "session.audio.output.format.rate")?;
        check_range(output.speed, 0.25..=1.5, "session.audio.output.speed")?;
    }
    Ok(())
}

fn check_response(response: &ResponseOverrides) -> Result<(), ErrorDetail> {
    check_modalities(response.output_modalities.as_deref(), "response.output_modalities")?;
    check_tokens(response.max_output_tokens, "response.max_output_tokens")?;
    check_tools(response.tools.as_deref(), "response.tools")?;
    for (index, item) in response.input.iter().flatten().enumerate() {
        check_item(item, &format!("response.input[{index}]"))?;
    }
    let metadata = response.metadata.as_ref();
    let fits = metadata.is_none_or(|pairs| {
        pairs.len() <= 16 && pairs.iter().all(|(key, value)| key.chars().count() <= 64 && value.chars().count() <= 512)
    });
    if fits { Ok(()) } else { Err(impossible("response.metadata")) }
}

fn check_item(item: &Item, path: &str) -> Result<(), ErrorDetail> {
    match item {
        Item::Message(Message { role, content, .. }) => {
            let allowed: &[ContentKind] = match role {
                Role::User => &[ContentKind::InputText, ContentKind::InputAudio],
                Role::System => &[ContentKind::InputText],
                // Audio of the assistant cannot be put in.
                Role::Assistant => &[ContentKind::OutputText],
                Role::Other => return Err(impossible(&format!("{path}.role"))),
            };
            for (index, part) in content.iter().enumerate() {
                if !allowed.contains(&part.kind) {
                    return Err(impossible(&format!("{path}.content[{index}].type")));
                }
                let (name, value) = match part.kind {
                    ContentKind::InputAudio => ("audio", &part.audio),
                    ContentKind::InputText
                    | ContentKind::OutputText
                    | ContentKind::OutputAudio
                    | ContentKind::Text
                    | ContentKind::Audio
                    | ContentKind::Other => ("text", &part.text),
                };
                if value.is_none() {
                    let path = format!("{path}.content[{index}].{name}");
                    return Err(invalid(
                        ErrorCode::MissingParameter,
                        Some(&path),
                        &format!("missing required parameter '{path}'"),
                    ));
                }
            }
            Ok(())
        }
        Item::FunctionCall(_) | Item::FunctionCallOutput(_) | Item::ItemReference { .. } => Ok(()),
        // Either of an unknown type, or of a known one with fields that do not fit it.
        Item::Other(_) => Err(impossible(path)),
    }
}

fn check_modalities(modalities: Option<&[Modality]>, path: &str) -> Result<(), ErrorDetail> {
    match modalities {
        None | Some([Modality::Audio | Modality::Text]) => Ok(()),
        Some(_) => {
            Err(invalid(ErrorCode::InvalidValue, Some(path), &format!("'{path}' must be [\"audio\"] or [\"text\"]")))
        }
    }
}

fn check_tokens(tokens: Option<MaxTokens>, path: &str) -> Result<(), ErrorDetail> {
    match tokens {
        None | Some(MaxTokens::Infinite | MaxTokens::Limit(1..=4096)) => Ok(()),
        Some(MaxTokens::Limit(_)) => Err(impossible(path)),
    }
}

fn check_tools(tools: Option<&[Tool]>, path: &str) -> Result<(), ErrorDetail> {
    for (index, Tool::Function(tool)) in tools.unwrap_or_default().iter().enumerate() {
        if tool.name.is_empty() {
            return Err(impossible(&format!("{path}[{index}].name")));
        }
        if tool.parameters.as_ref().is_some_and(|parameters| !parameters.is_object()) {
            return Err(impossible(&format!("{path}[{index}].parameters")));
        }
    }
    Ok(())
}

fn check_format(format: Option<AudioFormat>, path: &str) -> Result<(), ErrorDetail> {
    match format {
        None | Some(AudioFormat::Pcmu | AudioFormat::Pcma | AudioFormat::Pcm { rate: None | Some(24_000) }) => Ok(()),
        Some(AudioFormat::Pcm { rate: Some(_) }) => Err(impossible(path)),
    }
}

fn check_range(value: Option<f64>, range: RangeInclusive<f64>, path: &str) -> Result<(), ErrorDetail> {
    if value.is_none_or(|value| range.contains(&value)) { Ok(()) } else { Err(impossible(path)) }
}

fn impossible(path: &str) -> ErrorDetail {
    invalid(ErrorCode::InvalidValue, Some(path), &format!("invalid value of '{path}'"))
}

fn invalid(code: ErrorCode, path: Option<&str>, message: &str) -> ErrorDetail {
    ErrorDetail { param: path.map(str::to_owned), ..ErrorDetail::invalid_request(code, message) }
}
