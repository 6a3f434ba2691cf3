//! One chat: what arrives on its socket, and what follows from it.
//!
//! Messages are read as strictly as `wire` reads them; what is refused is answered with an `error` and changes nothing.
//! Speaking is in [`turn`](super::turn) and [`speaking`](super::speaking), time in [`clock`](super::clock).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use wire::hume::client::{ClientError, ClientMessage};
use wire::hume::connect::Connect;
use wire::hume::error::ErrorCode;
use wire::hume::rest::{ChatStatus, EventKind, UnixMillis};
use wire::hume::server::{ChatMetadata, ErrorMessage};
use wire::hume::session::SessionSettings;
use wire::hume::tool::BuiltinToolName;

use super::config::{AssistantInputMode, EviConfig};
use super::fault::{FaultCounts, Mishap, Moment};
use super::history::{Entry, History};
use super::input::Input;
use super::mind::{Briefing, Ear, Mind};
use super::record::{Record, note};
use super::settings::merge;
use super::socket::{Ended, Frame, Out};
pub(crate) use super::turn::Line;
use super::turn::{Chunk, Rotation, Turn};

/// More requests to speak are not kept while EVI is busy; a client that sends more is out of its mind.
const MOST_WAITING: usize = 32;

/// What a session can reach of the engine around it.
pub(crate) struct House<'a> {
    pub(crate) config: &'a EviConfig,
    pub(crate) history: &'a mut History,
    pub(crate) counts: &'a mut FaultCounts,
    /// The instant that stands for the configured wall-clock time.
    pub(crate) origin: Instant,
}

impl House<'_> {
    pub(crate) fn unix(&self, now: Instant) -> UnixMillis {
        let since = i64::try_from(now.saturating_duration_since(self.origin).as_millis()).unwrap_or(i64::MAX);
        UnixMillis(self.config.starts_at_unix_ms.saturating_add(since))
    }
}

/// Something EVI has yet to react to.
#[derive(Debug, Clone)]
pub(crate) enum Prompt {
    /// The caller's words.
    Said(String),
    /// Words to speak.
    Speak(String),
    /// The end of the silence that was allowed.
    Nudge(String),
}

/// Why nothing leaves at the moment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stall {
    For(Instant),
    ForEver,
}

/// One chat.
pub(crate) struct Session {
    pub(crate) out: VecDeque<Out>,
    pub(crate) record: Record,
    pub(crate) opened: Instant,
    pub(crate) closed: bool,
    pub(crate) verbose: bool,
    pub(crate) settings: SessionSettings,
    pub(crate) input: Input,
    pub(crate) ear: Ear,
    pub(crate) mind: Mind,
    pub(crate) turn: Option<Turn>,
    waiting: VecDeque<Prompt>,
    pub(crate) paused: bool,
    /// The last words said during a pause.
    pub(crate) unanswered: Option<String>,
    /// When the caller last said something.
    pub(crate) last_user: Instant,
    /// Until when an answer to the inactivity message counts.
    pub(crate) grace: Option<Instant>,
    pub(crate) farewell: bool,
    /// Sentences whose sound has begun.
    pub(crate) sentences: u32,
    pub(crate) caller_turns: u32,
    /// Whether this stretch of the caller's speech has already interrupted.
    pub(crate) interrupted: bool,
    /// The last interim transcript, and the input position it was made at.
    pub(crate) interim: Option<(String, Duration)>,
    pub(crate) fate: Vec<(Moment, Mishap)>,
    pub(crate) armed: Vec<(Instant, Mishap)>,
    pub(crate) stall: Option<Stall>,
    pub(crate) late_audio: Option<Duration>,
    pub(crate) late: Option<(Instant, Chunk)>,
    pub(crate) huge: bool,
    pub(crate) fails: bool,
    pub(crate) rotation: Rotation,
    pub(crate) rng: fastrand::Rng,
}

impl Session {
    /// A chat whose socket opens at `opened`. `group` is its own unless it resumes one.
    pub(crate) fn open(
        house: &mut House<'_>,
        opened: Instant,
        connect: Connect,
        group: Option<String>,
        mind: Mind,
        fate: Vec<(Moment, Mishap)>,
        mut rng: fastrand::Rng,
    ) -> Self {
        let resumed = group.is_some();
        let chat_id = uuid(&mut rng);
        let chat_group_id = group.unwrap_or_else(|| uuid(&mut rng));
        let (verbose, config) = (connect.verbose_transcription, connect.config_id.clone());
        let version = connect.config_version;
        let mut session = Self {
            out: VecDeque::new(),
            record: Record {
                chat_id: chat_id.clone(),
                chat_group_id: chat_group_id.clone(),
                resumed,
                ..Record::default()
            },
            opened,
            closed: false,
            verbose,
            settings: SessionSettings::default(),
            input: Input::default(),
            ear: Ear::new(house.config.end_of_turn_silence),
            mind,
            turn: None,
            waiting: VecDeque::new(),
            paused: false,
            unanswered: None,
            last_user: opened,
            grace: None,
            farewell: false,
            sentences: 0,
            caller_turns: 0,
            interrupted: false,
            interim: None,
            armed: Vec::new(),
            fate,
            stall: None,
            late_audio: None,
            late: None,
            huge: false,
            fails: false,
            rotation: Rotation::default(),
            rng,
        };
        let config = config.map(|id| wire::hume::rest::ConfigRef { id, version: Some(version.unwrap_or(0)) });
        house.history.open(&chat_id, &chat_group_id, config, house.unix(opened));
        session.remember(house, opened, EventKind::ChatStartMessage, None);
        // The identifier given at connect is already repeated in the first message.
        session.brief(house.config);
        let settings = connect.session_settings.into_settings();
        session.settings.custom_session_id.clone_from(&settings.custom_session_id);
        let request_id = Some(format!("{chat_id}{:06}", session.rng.u32(0..1_000_000)));
        let metadata = ChatMetadata { chat_group_id, chat_id, request_id, custom_session_id: None };
        session.send(house.config, &metadata);
        if settings != SessionSettings::default() {
            session.settle(house, opened, settings);
        }
        for at in 0..session.fate.len() {
            if let (Moment::Open(after), mishap) = &session.fate[at] {
                let armed = (opened + *after, mishap.clone());
                session.armed.push(armed);
            }
        }
        if let Some(greeting) = house.config.greeting.as_ref().filter(|_| !resumed || house.config.greets_on_resume) {
            let lines = lines(greeting, false);
            session.turn = Some(Turn::of(lines, opened + session.thinking(house.config)));
        }
        session
    }

    /// Takes a message from the client.
    pub(crate) fn receive(&mut self, house: &mut House<'_>, now: Instant, frame: Frame) {
        if self.closed {
            return;
        }
        match frame {
            Frame::Binary(bytes) => self.hear(house, now, &bytes),
            Frame::Text(text) => match ClientMessage::parse(&text) {
                Ok(ClientMessage::AudioInput(audio)) => match audio.decode() {
                    Ok(bytes) => self.hear(house, now, &bytes),
                    Err(error) => self.refuse(house.config, &error),
                },
                Ok(message) => self.obey(house, now, message),
                Err(error) => self.refuse(house.config, &error),
            },
        }
    }

    /// Carries out a message other than audio; also what comes over the control plane.
    pub(crate) fn obey(&mut self, house: &mut House<'_>, now: Instant, message: ClientMessage<'_>) {
        match message {
            // Audio has been taken care of where it came in; the control plane refuses it.
            ClientMessage::AudioInput(_) => {}
            ClientMessage::SessionSettings(settings) => self.settle(house, now, *settings),
            ClientMessage::UserInput(input) => {
                note(&mut self.record.user_inputs, input.text.clone());
                let at = self.input.position();
                self.understood(house, now, at, at, input.text, true);
            }
            ClientMessage::AssistantInput(input) => {
                note(&mut self.record.assistant_inputs, input.text.clone());
                if house.config.assistant_input == AssistantInputMode::Interrupts
                    && self.turn.as_ref().is_some_and(|turn| turn.tool.is_none())
                {
                    self.cut_turn(house, now);
                }
                self.prompt(house, now, Prompt::Speak(input.text));
            }
            ClientMessage::ToolResponse(response) => {
                let (call_id, content) = (response.tool_call_id.clone(), response.content.clone());
                note(&mut self.record.tool_responses, response);
                self.tool_answered(house, now, &call_id, Ok(content));
            }
            ClientMessage::ToolError(error) => {
                let (call_id, content) = (error.tool_call_id.clone(), error.content.clone());
                note(&mut self.record.tool_errors, error);
                self.tool_answered(house, now, &call_id, Err(content));
            }
            ClientMessage::Pause(_) => {
                self.remember(house, now, EventKind::PauseOnset, None);
                self.paused = true;
                if !house.config.audio_after_pause && self.turn.as_ref().is_some_and(|turn| turn.tool.is_none()) {
                    self.cut_turn(house, now);
                }
            }
            ClientMessage::Resume(_) => {
                self.remember(house, now, EventKind::ResumeOnset, None);
                self.paused = false;
                if let Some(text) = self.unanswered.take() {
                    self.prompt(house, now, Prompt::Said(text));
                }
            }
        }
    }

    /// The client is gone.
    pub(crate) fn abandoned(&mut self, house: &mut House<'_>, now: Instant) {
        if !self.closed {
            self.end(house, now, Ended::ByClient, ChatStatus::UserEnded);
        }
    }

    fn settle(&mut self, house: &mut House<'_>, now: Instant, update: SessionSettings) {
        note(&mut self.record.settings, update.clone());
        self.remember(house, now, EventKind::SessionSettings, None);
        if let Some(format) = &update.audio {
            self.input.declare(format);
        }
        let echo = house
            .config
            .echo_session_settings
            .then(|| SessionSettings { language_model_api_key: None, ..update.clone() });
        merge(&mut self.settings, update);
        self.record.custom_session_id.clone_from(&self.settings.custom_session_id);
        self.brief(house.config);
        if let Some(echo) = echo {
            self.send(house.config, &echo);
        }
    }

    /// Tells the assistant what it goes by. Without tools of the client's own it calls none.
    fn brief(&mut self, config: &EviConfig) {
        let prompt = self.settings.system_prompt.as_deref().unwrap_or(&config.system_prompt);
        let variables = self.settings.variables.iter();
        let instructions = variables.fold(prompt.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{{name}}}}}"), &value.to_string())
        });
        let own = self.settings.tools.iter().flatten().map(|tool| tool.name.clone());
        let tools = own.chain(self.has_builtin_hang_up().then(|| "hang_up".to_owned())).collect();
        self.mind.brief(Briefing { instructions, language: config.speaks.clone(), tools });
    }

    /// Whether EVI itself ends the chat when the assistant wants to hang up.
    pub(crate) fn has_builtin_hang_up(&self) -> bool {
        self.settings.builtin_tools.iter().flatten().any(|tool| tool.name == BuiltinToolName::HangUp)
    }

    /// Reacts now, or when the current turn is over.
    pub(crate) fn prompt(&mut self, house: &mut House<'_>, now: Instant, prompt: Prompt) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(prompt);
        }
        self.start_turn(house.config, now);
    }

    /// Begins the next turn if there is a reason for one and none is running.
    pub(crate) fn start_turn(&mut self, config: &EviConfig, now: Instant) {
        if self.closed || self.turn.is_some() {
            return;
        }
        let Some(prompt) = self.waiting.pop_front() else { return };
        let due = now + self.thinking(config);
        self.turn = match prompt {
            Prompt::Speak(text) => Some(Turn::of(lines(&text, true), due)),
            Prompt::Nudge(text) => Some(Turn::of(lines(&text, false), due)),
            Prompt::Said(_) if std::mem::take(&mut self.fails) => None,
            Prompt::Said(text) => self.answer(config, &text, due),
        };
        if self.turn.is_none() {
            self.start_turn(config, now);
        }
    }

    fn thinking(&mut self, config: &EviConfig) -> Duration {
        config.model_delay + config.model_jitter.mul_f64(self.rng.f64())
    }

    /// Sends a message, with what the configuration adds to any message.
    pub(crate) fn send<T: Serialize>(&mut self, config: &EviConfig, message: &T) {
        let mut value = serde_json::to_value(message).expect("invariant: messages have string keys and finite numbers");
        if let (Some(fields), Some(id)) = (value.as_object_mut(), &self.settings.custom_session_id) {
            fields.entry("custom_session_id").or_insert_with(|| Value::from(id.as_str()));
        }
        if let Some(fields) = value.as_object_mut().filter(|_| self.rng.f64() < config.extra_fields) {
            fields.insert("trace".to_owned(), serde_json::json!({"span": self.rng.u32(..), "sampled": null}));
        }
        self.out.push_back(Out::Text(value.to_string()));
        if self.rng.f64() < config.unknown_messages {
            self.out.push_back(Out::Text(r#"{"type":"speech_rate","words_per_minute":148,"window":null}"#.to_owned()));
        }
    }

    fn refuse(&mut self, config: &EviConfig, error: &ClientError) {
        let request_id = Some(self.record.chat_id.clone());
        let message = error.to_message(request_id);
        note(&mut self.record.errors, message.code.clone());
        self.send(config, &message);
    }

    /// Sends an `error`, which alone ends nothing.
    pub(crate) fn report(&mut self, config: &EviConfig, code: ErrorCode, why: &str) {
        note(&mut self.record.errors, code.code().to_owned());
        self.send(config, &ErrorMessage::new(code, why.to_owned(), Some(self.record.chat_id.clone())));
    }

    /// Closes the socket properly.
    pub(crate) fn close(&mut self, house: &mut House<'_>, now: Instant, code: u16, reason: &str, status: ChatStatus) {
        self.end(house, now, Ended::Closed(code), status);
        self.out.push_back(Out::Close { code, reason: reason.to_owned() });
    }

    pub(crate) fn end(&mut self, house: &mut House<'_>, now: Instant, how: Ended, status: ChatStatus) {
        self.closed = true;
        self.turn = None;
        self.waiting.clear();
        self.armed.clear();
        self.late = None;
        self.record.ended = Some((now, how));
        self.remember(house, now, EventKind::ChatEndMessage, None);
        house.history.close(&self.record.chat_id, status, house.unix(now));
    }

    pub(crate) fn entry(&mut self, house: &House<'_>, now: Instant, kind: EventKind) -> Entry {
        Entry::new(uuid(&mut self.rng), house.unix(now), kind)
    }

    pub(crate) fn remember(&mut self, house: &mut House<'_>, now: Instant, kind: EventKind, text: Option<String>) {
        let entry = Entry { text, ..self.entry(house, now, kind) };
        house.history.add(&self.record.chat_id, entry);
    }
}

/// A text as sentences to say.
pub(crate) fn lines(text: &str, from_text: bool) -> Vec<Line> {
    crate::speech::bank::sentences(text)
        .map(|sentence| Line { text: sentence.to_owned(), from_text, quick: false })
        .collect()
}

pub(crate) fn note_fault(counts: &mut FaultCounts, name: &'static str) {
    *counts.entry(name).or_default() += 1;
}

/// A random UUID, version 4.
pub(crate) fn uuid(rng: &mut fastrand::Rng) -> String {
    let bits = (rng.u128(..) & !(0xF << 76) | (0x4 << 76)) & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
