//! Hume EVI: one WebSocket, linear16 up, WAV chunks down.
//!
//! EVI sends a whole turn faster than it is spoken, as pairs of `assistant_message` and `audio_output` under one id, and
//! `assistant_end` when all was *sent*. It reports an interruption only while it is still sending; speech of the caller
//! after that comes as a `user_message` alone, and the call itself must cut (Hume: "Interruption", "Audio").

use std::time::Duration;

use wire::hume::client::{AssistantInput, ClientMessage, UserInput, write_audio_input};
use wire::hume::connect::{Connect, ConnectSettings};
use wire::hume::error::ErrorCode;
use wire::hume::server::{ServerMessage, UserMessage};
use wire::hume::session::{AudioConfiguration, SessionSettings};
use wire::hume::tool::{Tool, ToolCall, ToolError, ToolResponse, ToolType};

use super::{Beginning, CutSentence, DeadIds, Event, OneSocket, Outbox, SOCKET, conversation};
use crate::agent::Script;
use crate::audio::{mulaw, resample::Resampler, wav};
use crate::io::LinkRequest;
use crate::journal::{Expression, LinkCause};
use crate::limits::{HUME_SESSION_MAX, SAMPLES_PER_MS};

/// Expressions kept per turn of the caller: the strongest of EVI's 48.
const EXPRESSIONS_KEPT: usize = 3;

#[derive(Debug)]
pub(crate) struct Hume {
    connect: Connect,
    settings: SessionSettings,
    /// What was said so far, for a chat that does not know it.
    so_far: Option<String>,
    /// Whether anything was said on this socket.
    begun: bool,
    /// Counts sentences that came without an id.
    unnamed: u32,
    /// The turn that is being sent: its sentences' ids.
    turn: Vec<String>,
    /// After an interruption, until EVI says that the turn has ended: what still comes belongs to it.
    interrupted: bool,
    dead: DeadIds,
    voice: Voice,
    /// The last error that EVI reported: what it closes with, if it closes.
    failed: Option<String>,
}

impl Hume {
    pub(crate) fn new(beginning: &Beginning<'_>) -> Self {
        let script = beginning.script;
        let connect = Connect {
            config_id: script.hume.config_id.clone(),
            resumed_chat_group_id: beginning.group.clone(),
            // Interim words tell early that the caller speaks over audio which EVI has long sent.
            verbose_transcription: true,
            // Given here the format cannot come later than the first chunk of audio.
            session_settings: ConnectSettings {
                audio: Some(AudioConfiguration::telephone()),
                ..ConnectSettings::default()
            },
            ..Connect::default()
        };
        // A resumed group knows what was said; a fresh chat must be told.
        let so_far = (!beginning.history.is_empty()).then(|| conversation::so_far(beginning.history));
        let told = so_far.as_deref().filter(|_| beginning.group.is_none());
        Self {
            connect,
            settings: SessionSettings {
                custom_session_id: Some(beginning.call.to_string()),
                ..settings(script, prompt(&script.instructions, told))
            },
            so_far,
            begun: false,
            unnamed: 0,
            turn: Vec::new(),
            interrupted: false,
            dead: DeadIds::default(),
            voice: Voice::default(),
            failed: None,
        }
    }

    pub(crate) fn dial(&mut self, outbox: &mut Outbox<'_>) {
        outbox.open(SOCKET, LinkRequest::Hume(Box::new(self.connect.clone())));
    }
}

impl OneSocket for Hume {
    /// Settings do not survive a session, so they are the first message of each (Hume: "Session Settings").
    fn opened(&mut self, outbox: &mut Outbox<'_>) {
        send(outbox, &ClientMessage::SessionSettings(Box::new(self.settings.clone())));
    }

    fn receive(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        let Ok(message) = ServerMessage::parse(text) else { return outbox.event(Event::Malformed) };
        match message {
            ServerMessage::ChatMetadata(metadata) => {
                // Asked to resume one group and given another: this chat knows nothing of what was said.
                let asked = self.connect.resumed_chat_group_id.take();
                if asked.is_some_and(|asked| asked != metadata.chat_group_id) {
                    let instructions = self.settings.system_prompt.clone().unwrap_or_default();
                    self.instruct(&instructions, outbox);
                }
                outbox.event(Event::Ready { chat: Some(metadata.chat_id), group: Some(metadata.chat_group_id) });
            }
            ServerMessage::UserMessage(message) => self.caller(&message, outbox),
            ServerMessage::AssistantMessage(message) => {
                self.spoken();
                let id = message.id.clone().unwrap_or_else(|| {
                    self.unnamed += 1;
                    format!("unnamed-{}", self.unnamed)
                });
                if self.interrupted {
                    return self.dead.add(&id);
                }
                if self.dead.contains(&id) {
                    return;
                }
                self.begin(&id);
                outbox.event(Event::Sentence {
                    id: id.clone(),
                    text: message.message.text().to_owned(),
                    append: false,
                    scripted: message.from_text,
                });
                outbox.event(Event::SentenceEnd { id });
            }
            ServerMessage::AudioOutput(audio) => {
                if self.interrupted {
                    self.dead.add(&audio.id);
                }
                let Ok(mulaw) = self.voice.chunk(&audio) else { return outbox.event(Event::Malformed) };
                if self.dead.contains(&audio.id) {
                    let length = Duration::from_millis(mulaw.len() as u64 / SAMPLES_PER_MS);
                    return outbox.event(Event::LateAudio { length });
                }
                self.spoken();
                self.begin(&audio.id);
                outbox.event(Event::Audio { id: audio.id, mulaw, scripted: false });
            }
            ServerMessage::UserInterruption(_) => {
                self.interrupted = true;
                self.forget_turn();
                outbox.event(Event::Interrupted);
            }
            ServerMessage::AssistantEnd(_) => {
                let tail = self.voice.end();
                if !std::mem::take(&mut self.interrupted)
                    && let Some(id) = self.turn.last().filter(|id| !self.dead.contains(id) && !tail.is_empty())
                {
                    outbox.event(Event::Audio { id: id.clone(), mulaw: tail, scripted: false });
                }
                self.turn.clear();
                outbox.event(Event::TurnSent);
            }
            ServerMessage::ToolCall(call) => self.tool_call(call, outbox),
            // Settings that were refused are not applied, so this chat would run without prompt, tools and audio format.
            ServerMessage::Error(error) if !self.begun && error.code == ErrorCode::PayloadParse.code() => {
                outbox.event(Event::Lost(LinkCause::Failed { code: error.code }));
            }
            ServerMessage::Error(error) => {
                self.failed = Some(error.code.clone());
                outbox.event(Event::Trouble { code: error.code, message: error.message });
            }
            ServerMessage::AssistantProsody(_)
            | ServerMessage::ToolResponse(_)
            | ServerMessage::ToolError(_)
            | ServerMessage::SessionSettings(_) => {}
            ServerMessage::Unknown(_) => outbox.event(Event::Unknown),
        }
    }

    /// EVI ends a chat with an `error`, then close code 1000.
    fn closed(&self, code: Option<u16>) -> LinkCause {
        match (&self.failed, code) {
            (Some(failed), Some(1000)) => LinkCause::Failed { code: failed.clone() },
            (_, code) => LinkCause::Closed { code },
        }
    }
}

impl Hume {
    fn caller(&mut self, message: &UserMessage, outbox: &mut Outbox<'_>) {
        // What we typed in the caller's place was recorded when the caller said it.
        if message.from_text {
            return;
        }
        self.spoken();
        let text = message.message.text().to_owned();
        if message.interim {
            return outbox.event(Event::CallerWords { text });
        }
        if let Some(tag) = &message.language {
            outbox.event(Event::Language { tag: tag.clone() });
        }
        // The end of an interrupted turn may have been lost; a new turn of the caller ends it in any case.
        self.interrupted = false;
        let expressions = message.models.scores().map(|scores| scores.top(EXPRESSIONS_KEPT)).unwrap_or_default();
        outbox.event(Event::CallerTurn {
            item: None,
            span_ms: message.time.map(|time| (time.begin, time.end)),
            text: Some(text),
            expressions: expressions
                .into_iter()
                .map(|(name, score)| Expression { name: name.to_owned(), score })
                .collect(),
        });
    }

    fn tool_call(&mut self, call: ToolCall, outbox: &mut Outbox<'_>) {
        // Built-in tools are EVI's own to run; it only lets us know.
        match call.tool_type {
            ToolType::Function => {
                outbox.event(Event::Tool { id: call.tool_call_id, name: call.name, arguments: call.parameters });
            }
            ToolType::Builtin | ToolType::Other => {}
        }
    }

    pub(crate) fn hear(&mut self, mulaw: &[u8], outbox: &mut Outbox<'_>) {
        let mut linear = Vec::with_capacity(mulaw.len() * 2);
        mulaw::decode_to_le_bytes(mulaw, &mut linear);
        let mut text = String::with_capacity(40 + linear.len() * 4 / 3);
        write_audio_input(&linear, &mut text);
        outbox.text(SOCKET, text);
    }

    pub(crate) fn say(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        send(outbox, &ClientMessage::AssistantInput(AssistantInput { text: text.to_owned(), custom_session_id: None }));
    }

    pub(crate) fn answer(&mut self, words: &str, outbox: &mut Outbox<'_>) {
        send(outbox, &ClientMessage::UserInput(UserInput { text: words.to_owned(), custom_session_id: None }));
    }

    /// EVI speaks by itself only after words of the caller; so the note is typed in their place.
    pub(crate) fn take_up(&mut self, note: &str, outbox: &mut Outbox<'_>) {
        self.answer(&format!("[{note}]"), outbox);
    }

    pub(crate) fn instruct(&mut self, instructions: &str, outbox: &mut Outbox<'_>) {
        let system_prompt = Some(prompt(instructions, self.so_far.as_deref()));
        let change = SessionSettings { system_prompt, ..SessionSettings::default() };
        send(outbox, &ClientMessage::SessionSettings(Box::new(change)));
    }

    pub(crate) fn key(&mut self, keys: &str, outbox: &mut Outbox<'_>) {
        self.answer(&format!("[The caller pressed these keys: {keys}.]"), outbox);
    }

    pub(crate) fn tool(&mut self, id: &str, answer: Result<&str, &str>, outbox: &mut Outbox<'_>) {
        let tool_call_id = id.to_owned();
        let message = match answer {
            Ok(content) => ClientMessage::ToolResponse(ToolResponse {
                tool_call_id,
                content: content.to_owned(),
                ..ToolResponse::default()
            }),
            // The model is told in `content`; `error` is for logs alone.
            Err(error) => ClientMessage::ToolError(ToolError {
                tool_call_id,
                error: error.to_owned(),
                content: Some(error.to_owned()),
                ..ToolError::default()
            }),
        };
        send(outbox, &message);
    }

    /// EVI has no way to be told what was heard.
    pub(crate) fn cut(&mut self, sentences: &[CutSentence], _outbox: &mut Outbox<'_>) {
        for sentence in sentences {
            self.dead.add(&sentence.id);
        }
        self.forget_turn();
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.dead.add(id);
    }

    pub(crate) fn session_max(&self) -> Duration {
        HUME_SESSION_MAX
    }

    /// The conversation goes on: an error before this was not the end.
    fn spoken(&mut self) {
        self.begun = true;
        self.failed = None;
    }

    fn begin(&mut self, id: &str) {
        if self.turn.last().is_none_or(|last| last != id) {
            self.turn.push(id.to_owned());
        }
    }

    fn forget_turn(&mut self) {
        for id in self.turn.drain(..) {
            self.dead.add(&id);
        }
        self.voice = Voice::default();
    }
}

fn send(outbox: &mut Outbox<'_>, message: &ClientMessage<'_>) {
    outbox.text(SOCKET, message.to_json());
}

fn prompt(instructions: &str, so_far: Option<&str>) -> String {
    match so_far {
        Some(so_far) => format!("{instructions}\n\n{so_far}"),
        None => instructions.to_owned(),
    }
}

fn settings(script: &Script, prompt: String) -> SessionSettings {
    let tools = script.tools.iter().map(|tool| Tool {
        kind: ToolType::Function,
        name: tool.name.clone(),
        parameters: tool.schema().to_owned(),
        description: (!tool.description.is_empty()).then(|| tool.description.clone()),
        fallback_content: None,
    });
    SessionSettings {
        audio: Some(AudioConfiguration::telephone()),
        system_prompt: Some(prompt),
        voice_id: script.hume.voice_id.clone(),
        tools: Some(tools.collect()),
        ..SessionSettings::default()
    }
}

/// EVI's voice on its way to the phone: each chunk says its own rate; one filter runs through a whole turn.
#[derive(Debug, Default)]
struct Voice {
    resampler: Option<Resampler>,
    wav: Vec<u8>,
    linear: Vec<i16>,
}

/// A chunk that is not a WAV file we can play.
#[derive(Debug)]
struct Unplayable;

impl Voice {
    fn chunk(&mut self, audio: &wire::hume::server::AudioOutput<'_>) -> Result<Vec<u8>, Unplayable> {
        audio.decode_into(&mut self.wav).map_err(|_| Unplayable)?;
        let chunk = wav::read(&self.wav).map_err(|_| Unplayable)?;
        self.linear.clear();
        if self.resampler.as_ref().is_none_or(|resampler| resampler.rate() != chunk.rate) {
            // What the old filter still holds comes before the first sample of the new rate.
            if let Some(mut old) = self.resampler.take() {
                old.flush(&mut self.linear);
            }
            self.resampler = Some(Resampler::new(chunk.rate).map_err(|_| Unplayable)?);
        }
        if let Some(resampler) = &mut self.resampler {
            resampler.push(&chunk.samples, &mut self.linear);
        }
        Ok(mulaw::encoded(&self.linear))
    }

    /// What the filter still holds at the end of a turn.
    fn end(&mut self) -> Vec<u8> {
        self.linear.clear();
        if let Some(mut resampler) = self.resampler.take() {
            resampler.flush(&mut self.linear);
        }
        mulaw::encoded(&self.linear)
    }
}
