//! One session: what arrives on its socket, and what follows from it.
//!
//! Events are read as strictly as `wire` reads them; what is refused is answered with an `error` and changes nothing.
//! Responses are in [`speaking`](super::speaking), time in [`clock`](super::clock).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;
use wire::hume::session::AudioConfiguration;
use wire::openai::client::{ClientEvent, ClientMessage, decode_append};
use wire::openai::effective::{Audio, Input as InputSettings, Output as OutputSettings, Session as Settings};
use wire::openai::error::{ErrorCode, ErrorDetail};
use wire::openai::item::{Item, Role};
use wire::openai::server::{
    Conversation as ConversationEvent, ConversationCreated, Empty, ErrorEvent, ItemEvent, ItemRef, ItemTruncated,
    ServerEvent, ServerMessage, SessionEvent,
};
use wire::openai::session::{
    AudioFormat, AudioUpdate, MaxTokens, Modality, ServerVad, SessionUpdate, Tool, ToolChoice, ToolChoiceMode,
    TurnDetection, Voice,
};

use super::config::OpenAiConfig;
use super::conversation::{Conversation, about};
use super::record::{Record, note};
use super::response::Running;
use crate::evi::fault::{FaultCounts, Mishap, Moment};
use crate::evi::input::Input;
use crate::evi::mind::{Briefing, Ear, Mind, Understood, is_note};
use crate::evi::{Ended, Frame, Out};

/// What a session can reach of the engine around it.
pub(crate) struct House<'a> {
    pub(crate) config: &'a OpenAiConfig,
    pub(crate) counts: &'a mut FaultCounts,
    /// The instant that stands for the configured wall-clock time.
    pub(crate) origin: Instant,
}

/// Why nothing leaves at the moment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stall {
    For(Instant),
    ForEver,
}

/// One session.
pub(crate) struct Session {
    pub(crate) out: VecDeque<Out>,
    pub(crate) record: Record,
    pub(crate) opened: Instant,
    pub(crate) closed: bool,
    pub(crate) settings: Settings,
    pub(crate) conversation: Conversation,
    pub(crate) conversation_id: String,
    /// Makes PCM into what the ear takes.
    pub(crate) pcm: Input,
    pub(crate) ear: Ear,
    pub(crate) mind: Mind,
    /// Bytes appended since the last commit.
    pub(crate) uncommitted: usize,
    /// Turns that ended since the last commit, where the client commits.
    pub(crate) turns: Vec<Understood>,
    /// The message that the caller's present speech will become.
    pub(crate) speech_item: Option<String>,
    /// The caller's words without an answer yet.
    pub(crate) unanswered: Option<String>,
    /// A tool's answer without a response yet.
    pub(crate) tool_output: Option<String>,
    pub(crate) response: Option<Running>,
    pub(crate) responses: u32,
    /// Whether the model has spoken: its voice is settled then.
    pub(crate) spoke: bool,
    /// Sentences begun, for faults.
    pub(crate) sentences: u32,
    pub(crate) caller_turns: u32,
    /// Events that come in their own time.
    pub(crate) scheduled: Vec<(Instant, ServerEvent<'static>)>,
    /// When the caller has been silent for too long.
    pub(crate) idle_at: Option<Instant>,
    pub(crate) fate: Vec<(Moment, Mishap)>,
    pub(crate) armed: Vec<(Instant, Mishap)>,
    pub(crate) stall: Option<Stall>,
    pub(crate) late_audio: Option<Duration>,
    pub(crate) huge: bool,
    pub(crate) fails: bool,
    pub(crate) rng: fastrand::Rng,
}

impl Session {
    pub(crate) fn open(
        house: &mut House<'_>,
        opened: Instant,
        model: String,
        fate: Vec<(Moment, Mishap)>,
        mut rng: fastrand::Rng,
    ) -> Self {
        let config = house.config;
        let id = name(&mut rng, "sess");
        let since = opened.saturating_duration_since(house.origin) + config.session_max;
        let settings = Settings {
            expires_at: Some(config.starts_at_unix_s + since.as_secs()),
            ..defaults(config, id.clone(), model.clone())
        };
        let mut session = Self {
            out: VecDeque::new(),
            record: Record { session_id: id, model, ..Record::default() },
            opened,
            closed: false,
            settings,
            conversation: Conversation::default(),
            conversation_id: name(&mut rng, "conv"),
            pcm: Input::default(),
            ear: Ear::new(config.silence_default),
            mind: Mind::new(Briefing::default()),
            uncommitted: 0,
            turns: Vec::new(),
            speech_item: None,
            unanswered: None,
            tool_output: None,
            response: None,
            responses: 0,
            spoke: false,
            sentences: 0,
            caller_turns: 0,
            scheduled: Vec::new(),
            idle_at: None,
            armed: Vec::new(),
            fate,
            stall: None,
            late_audio: None,
            huge: false,
            fails: false,
            rng,
        };
        session.pcm.declare(&AudioConfiguration { sample_rate: 24_000, ..AudioConfiguration::telephone() });
        session.send(config, ServerEvent::SessionCreated(session.shown()));
        if config.conversation_created {
            let conversation = ConversationEvent {
                id: Some(session.conversation_id.clone()),
                object: Some("realtime.conversation".to_owned()),
            };
            session.send(config, ServerEvent::ConversationCreated(ConversationCreated { conversation }));
        }
        let opening = session.fate.iter().filter_map(|(moment, mishap)| match moment {
            Moment::Open(after) => Some((opened + *after, mishap.clone())),
            Moment::Sentence { .. } | Moment::Spoken { .. } | Moment::CallerTurn(_) | Moment::Heard(_) => None,
        });
        session.armed = opening.collect();
        session
    }

    /// Takes a message from the client.
    pub(crate) fn receive(&mut self, house: &mut House<'_>, now: Instant, frame: &Frame) {
        if self.closed {
            return;
        }
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(_) => {
                let error = ErrorDetail::invalid_request(ErrorCode::InvalidEvent, "events are JSON text frames");
                return self.refuse(house.config, error, None);
            }
        };
        match ClientMessage::parse(text) {
            Ok(ClientMessage { event, event_id }) => {
                if let Err(error) = self.obey(house, now, event) {
                    self.refuse(house.config, error, event_id);
                }
            }
            Err(error) => {
                let event_id = error.event_id.clone();
                self.refuse(house.config, error, event_id);
            }
        }
    }

    fn obey(&mut self, house: &mut House<'_>, now: Instant, event: ClientEvent<'_>) -> Result<(), ErrorDetail> {
        let config = house.config;
        match event {
            ClientEvent::Append { audio } => self.append(house, now, &decode_append(&audio)?),
            ClientEvent::SessionUpdate { session } => self.update(config, *session),
            ClientEvent::Commit {} => {
                self.accepted("input_audio_buffer.commit");
                self.commit_by_client(house, now)
            }
            ClientEvent::Clear {} => {
                self.accepted("input_audio_buffer.clear");
                self.ear.finish();
                self.turns.clear();
                (self.uncommitted, self.speech_item) = (0, None);
                self.send(config, ServerEvent::Cleared(Empty {}));
                Ok(())
            }
            ClientEvent::ItemCreate { previous_item_id, item } => {
                self.create_item(config, previous_item_id.as_deref(), item)
            }
            ClientEvent::ItemTruncate { item_id, content_index, audio_end_ms } => {
                self.conversation.truncate(&item_id, content_index, audio_end_ms)?;
                self.accepted("conversation.item.truncate");
                note(&mut self.record.truncations, (item_id.clone(), audio_end_ms));
                self.send(config, ServerEvent::ItemTruncated(ItemTruncated { item_id, content_index, audio_end_ms }));
                Ok(())
            }
            ClientEvent::ItemDelete { item_id } => {
                self.conversation.delete(&item_id)?;
                self.accepted("conversation.item.delete");
                self.send(config, ServerEvent::ItemDeleted(ItemRef { item_id }));
                Ok(())
            }
            ClientEvent::ItemRetrieve { item_id } => {
                let item = self.conversation.item(&item_id)?.clone();
                self.accepted("conversation.item.retrieve");
                self.send(config, ServerEvent::ItemRetrieved(ItemEvent { previous_item_id: None, item }));
                Ok(())
            }
            ClientEvent::ResponseCreate { response } => {
                self.respond_to_client(house, now, response.as_deref())?;
                self.accepted("response.create");
                Ok(())
            }
            ClientEvent::ResponseCancel { response_id } => {
                self.cancel_for_client(house, now, response_id.as_deref())?;
                self.accepted("response.cancel");
                Ok(())
            }
        }
    }

    fn accepted(&mut self, kind: &str) {
        note(&mut self.record.events, kind.to_owned());
    }

    /// The client is gone.
    pub(crate) fn abandoned(&mut self, now: Instant) {
        if !self.closed {
            self.end(now, Ended::ByClient);
        }
    }

    fn update(&mut self, config: &OpenAiConfig, update: SessionUpdate) -> Result<(), ErrorDetail> {
        if update.model.is_some() && update.model != self.settings.model {
            return Err(about("session.model", "the model cannot be changed"));
        }
        if let Some(AudioUpdate { input, output }) = &update.audio {
            let formats =
                [input.as_ref().and_then(|input| input.format), output.as_ref().and_then(|output| output.format)];
            if formats.contains(&Some(AudioFormat::Pcma)) {
                return Err(about("session.audio", "audio/pcma is not simulated"));
            }
            if let Some(output) = output {
                if self.spoke && output.voice.is_some() && output.voice != self.settings.audio.output.voice {
                    return Err(about(
                        "session.audio.output.voice",
                        "cannot update a conversation's voice if assistant audio is present",
                    ));
                }
                if self.response.is_some() && output.speed.is_some() && output.speed != self.settings.audio.output.speed
                {
                    return Err(about("session.audio.output.speed", "the speed can only be changed between turns"));
                }
            }
        }
        self.settings.apply(&update);
        note(&mut self.record.updates, update);
        self.ear.set_end_of_turn_silence(self.silence(config));
        self.brief();
        self.send(config, ServerEvent::SessionUpdated(self.shown()));
        Ok(())
    }

    /// Tells the assistant what it goes by. It calls no tool that the client does not have.
    fn brief(&mut self) {
        let language =
            self.settings.audio.input.transcription.as_ref().and_then(|transcription| transcription.language.clone());
        self.mind.brief(Briefing {
            instructions: self.settings.instructions.clone().unwrap_or_default(),
            language: language.unwrap_or_else(|| "en".to_owned()),
            tools: self.settings.tools.iter().map(|Tool::Function(tool)| tool.name.clone()).collect(),
        });
    }

    fn create_item(&mut self, config: &OpenAiConfig, previous: Option<&str>, item: Item) -> Result<(), ErrorDetail> {
        let fresh = name(&mut self.rng, "item");
        let (id, item) = self.conversation.create(previous, item, fresh)?;
        self.accepted("conversation.item.create");
        match &item {
            Item::FunctionCallOutput(output) => {
                note(&mut self.record.tool_outputs, (output.call_id.clone(), output.output.clone()));
                self.tool_output = Some(output.output.clone());
            }
            Item::Message(message) => {
                let text: String = message.content.iter().filter_map(|part| part.text.as_deref()).collect();
                let role = match message.role {
                    Role::User => "user",
                    Role::Assistant => "assistant",
                    Role::System | Role::Other => "system",
                };
                match message.role {
                    Role::User => self.unanswered = Some(text.clone()),
                    // What the model said earlier answered what was before it.
                    Role::Assistant => {
                        let asked = self.unanswered.take();
                        self.mind.recall(asked.as_deref(), &text);
                    }
                    // A note about the line is answered where no words of the caller's are.
                    Role::System if self.unanswered.is_none() && is_note(&text) => {
                        self.unanswered = Some(text.clone());
                    }
                    Role::System | Role::Other => {}
                }
                note(&mut self.record.texts, (role.to_owned(), text));
            }
            Item::FunctionCall(_) | Item::ItemReference { .. } | Item::Other(_) => {}
        }
        self.announce_item(config, &id, &item);
        Ok(())
    }

    pub(crate) fn announce_item(&mut self, config: &OpenAiConfig, item_id: &str, item: &Item) {
        let previous_item_id = self.conversation.before(item_id);
        let event = ItemEvent { previous_item_id, item: item.clone() };
        self.send(config, ServerEvent::ItemAdded(event.clone()));
        self.send(config, ServerEvent::ItemDone(event));
    }

    pub(crate) fn position(&self) -> Duration {
        self.ear.position()
    }

    fn shown(&self) -> SessionEvent {
        SessionEvent { session: Box::new(self.settings.clone()) }
    }

    /// Sends an event in a message of more than one mebibyte.
    pub(crate) fn send_huge(&mut self, config: &OpenAiConfig, event: ServerEvent<'_>) {
        self.send(config, event);
        let Some(Out::Text(text)) =
            self.out.iter_mut().rev().find(|out| matches!(out, Out::Text(text) if text.contains("output_audio.delta")))
        else {
            return;
        };
        text.truncate(text.len() - 1);
        text.push_str(&format!(",\"padding\":\"{}\"}}", "-".repeat(1_200_000)));
    }

    /// Sends an event, with what the configuration adds to any event.
    pub(crate) fn send(&mut self, config: &OpenAiConfig, event: ServerEvent<'_>) {
        let message = ServerMessage::new(format!("event_{:016x}", self.rng.u64(..)), event);
        let mut value = serde_json::to_value(&message).expect("invariant: events have string keys and finite numbers");
        if let Some(fields) = value.as_object_mut().filter(|_| self.rng.f64() < config.extra_fields) {
            fields.insert("trace".to_owned(), serde_json::json!({"span": self.rng.u32(..), "sampled": null}));
        }
        self.out.push_back(Out::Text(value.to_string()));
        if self.rng.f64() < config.unknown_events {
            let id = self.rng.u64(..);
            self.out.push_back(Out::Text(format!(
                r#"{{"type":"session.metrics","event_id":"event_{id:016x}","load":null}}"#
            )));
        }
    }

    pub(crate) fn refuse(&mut self, config: &OpenAiConfig, error: ErrorDetail, event_id: Option<String>) {
        note(&mut self.record.errors, error.code.clone().unwrap_or_default());
        self.send(config, ServerEvent::Error(ErrorEvent { error: ErrorDetail { event_id, ..error } }));
    }

    pub(crate) fn close(&mut self, now: Instant, code: u16, reason: &str) {
        self.end(now, Ended::Closed(code));
        self.out.push_back(Out::Close { code, reason: reason.to_owned() });
    }

    pub(crate) fn end(&mut self, now: Instant, how: Ended) {
        self.closed = true;
        self.response = None;
        self.scheduled.clear();
        self.armed.clear();
        self.record.ended = Some((now, how));
    }
}

/// The session as it is before the client's first update: the published example.
fn defaults(config: &OpenAiConfig, id: String, model: String) -> Settings {
    let pcm = Some(AudioFormat::Pcm { rate: Some(24_000) });
    let vad = ServerVad {
        threshold: Some(0.5),
        prefix_padding_ms: Some(300),
        silence_duration_ms: u32::try_from(config.silence_default.as_millis()).ok(),
        create_response: Some(true),
        interrupt_response: Some(true),
        idle_timeout_ms: None,
    };
    Settings {
        kind: "realtime".to_owned(),
        object: Some("realtime.session".to_owned()),
        id: Some(id),
        model: Some(model),
        instructions: Some("You are a helpful, witty and friendly voice assistant.".to_owned()),
        output_modalities: vec![Modality::Audio],
        max_output_tokens: Some(MaxTokens::Infinite),
        tool_choice: Some(ToolChoice::Mode(ToolChoiceMode::Auto)),
        truncation: Some(Value::from("auto")),
        audio: Audio {
            input: InputSettings {
                format: pcm,
                turn_detection: Some(TurnDetection::ServerVad(vad)),
                ..InputSettings::default()
            },
            output: OutputSettings { format: pcm, voice: Some(Voice::Name("marin".to_owned())), speed: Some(1.0) },
        },
        ..Settings::default()
    }
}

/// An id of the vendor's form: a prefix and random letters.
pub(crate) fn name(rng: &mut fastrand::Rng, prefix: &str) -> String {
    let letters: String = std::iter::repeat_with(|| rng.alphanumeric()).take(21).collect();
    format!("{prefix}_{letters}")
}
