//! OpenAI Realtime: one WebSocket, mu-law both ways.
//!
//! The server's VAD commits the caller's turns, answers them and cancels its answer when the caller speaks over it. Only
//! one response may run at a time, so those we ask for wait their turn. What of an answer was heard is told with
//! `conversation.item.truncate`: the server cannot know it, and forgets the rest.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use wire::openai::client::{ClientEvent, ResponseOverrides, write_append};
use wire::openai::error::{ErrorCode, ErrorDetail, Severity};
use wire::openai::item::Item;
use wire::openai::response::{Response, ResponseStatus};
use wire::openai::server::{ServerEvent, ServerMessage};
use wire::openai::session::{
    AudioUpdate, Change, FunctionTool, InputUpdate, OutputUpdate, ServerVad, SessionUpdate, Tool, ToolChoice, ToolChoiceMode,
    Transcription, TurnDetection, Voice,
};

use super::{Beginning, CutSentence, DeadIds, Event, Outbox};
use crate::agent::Script;
use crate::io::LinkRequest;
use crate::journal::{LinkCause, Speaker, Turn};
use crate::limits::{OPENAI_SESSION_MAX, SAMPLES_PER_MS};

const SESSION: u8 = 0;

/// Audio before the detected speech that belongs to it: the vendor's own default, set because defaults differ by source.
const PREFIX_PADDING_MS: u32 = 300;

/// The model that writes down the caller's words, unless the agent names one.
const TRANSCRIPTION_MODEL: &str = "gpt-transcribe";

/// Responses that may fail one after the other before the engine is given up.
const FAILURES_MAX: u8 = 2;

/// Responses that may wait for the running one.
const WAITING_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct OpenAi {
    update: SessionUpdate,
    history: Vec<Item>,
    ready: bool,
    /// The response that is running, from its request on.
    running: Option<Running>,
    waiting: VecDeque<Option<Box<ResponseOverrides>>>,
    /// Tool requests of the last response that we have not answered.
    calls: Vec<String>,
    /// Audio received per item of the last responses, in samples: a truncation beyond it is an error.
    received: BTreeMap<String, u64>,
    /// When the caller's present speech began, in milliseconds of the audio sent.
    speech_from_ms: u64,
    dead: DeadIds,
    failures: u8,
    failed: Option<String>,
}

#[derive(Debug)]
struct Running {
    /// None until the server has confirmed it.
    id: Option<String>,
    asked: Option<Box<ResponseOverrides>>,
    /// Whether the server, or we, have cancelled it: what still comes is not wanted.
    cancelled: bool,
}

impl OpenAi {
    pub(crate) fn new(beginning: &Beginning<'_>) -> Self {
        Self {
            update: update(beginning.script),
            history: beginning.history.iter().filter_map(item).collect(),
            ready: false,
            running: None,
            waiting: VecDeque::new(),
            calls: Vec::new(),
            received: BTreeMap::new(),
            speech_from_ms: 0,
            dead: DeadIds::default(),
            failures: 0,
            failed: None,
        }
    }

    pub(crate) fn dial(&mut self, outbox: &mut Outbox<'_>) {
        outbox.open(SESSION, LinkRequest::OpenAi);
    }

    /// The server speaks first: `session.created`.
    pub(crate) fn opened(&mut self, _port: u8, _outbox: &mut Outbox<'_>) {}

    pub(crate) fn receive(&mut self, _port: u8, text: &str, outbox: &mut Outbox<'_>) {
        let Ok(message) = ServerMessage::parse(text) else { return outbox.event(Event::Malformed) };
        match message.event {
            ServerEvent::SessionCreated(_) => send(outbox, &ClientEvent::SessionUpdate { session: Box::new(self.update.clone()) }),
            ServerEvent::SessionUpdated(event) => {
                if !std::mem::replace(&mut self.ready, true) {
                    for item in std::mem::take(&mut self.history) {
                        send(outbox, &ClientEvent::ItemCreate { previous_item_id: None, item });
                    }
                    outbox.event(Event::Ready { chat: event.session.id.clone(), group: None });
                }
            }
            ServerEvent::SpeechStarted(speech) => {
                self.speech_from_ms = speech.audio_start_ms;
                // The server has cancelled what was running; what the phone still holds is the call's to clear.
                if let Some(running) = &mut self.running {
                    running.cancelled = true;
                }
                outbox.event(Event::Interrupted);
            }
            ServerEvent::SpeechStopped(speech) => outbox.event(Event::CallerTurn {
                item: Some(speech.item_id),
                span_ms: Some((self.speech_from_ms, speech.audio_end_ms)),
                text: None,
                expressions: Vec::new(),
            }),
            ServerEvent::TranscriptionCompleted(done) => {
                outbox.event(Event::CallerText { item: done.item_id, text: done.transcript.trim().to_owned() });
            }
            ServerEvent::TranscriptionFailed(failed) => {
                outbox.event(Event::Trouble { code: code(&failed.error), message: failed.error.message });
                outbox.event(Event::CallerText { item: failed.item_id, text: String::new() });
            }
            ServerEvent::ResponseCreated(event) => self.response_created(event.response.id),
            ServerEvent::TranscriptDelta(delta) => {
                if self.wants(&delta.response_id, &delta.item_id) {
                    outbox.event(Event::Sentence { id: delta.item_id, text: delta.delta, append: true });
                }
            }
            ServerEvent::TranscriptDone(done) => {
                if self.wants(&done.response_id, &done.item_id) {
                    outbox.event(Event::Sentence { id: done.item_id.clone(), text: done.transcript, append: false });
                    outbox.event(Event::SentenceEnd { id: done.item_id });
                }
            }
            ServerEvent::AudioDelta(delta) => {
                let mut mulaw = Vec::new();
                if delta.decode_into(&mut mulaw).is_err() {
                    return outbox.event(Event::Malformed);
                }
                if !self.wants(&delta.response_id, &delta.item_id) {
                    return outbox.event(Event::LateAudio { length: Duration::from_millis(mulaw.len() as u64 / SAMPLES_PER_MS) });
                }
                *self.received.entry(delta.item_id.clone()).or_default() += mulaw.len() as u64;
                outbox.event(Event::Audio { id: delta.item_id, mulaw });
            }
            ServerEvent::ResponseDone(event) => self.response_done(&event.response, outbox),
            ServerEvent::Error(event) => self.error(&event.error, outbox),
            ServerEvent::Unknown(_) => outbox.event(Event::Unknown),
            ServerEvent::ConversationCreated(_)
            | ServerEvent::ItemAdded(_)
            | ServerEvent::ItemDone(_)
            | ServerEvent::ItemCreated(_)
            | ServerEvent::ItemRetrieved(_)
            | ServerEvent::ItemTruncated(_)
            | ServerEvent::ItemDeleted(_)
            | ServerEvent::TranscriptionDelta(_)
            | ServerEvent::TranscriptionSegment(_)
            | ServerEvent::Committed(_)
            | ServerEvent::Cleared(_)
            | ServerEvent::TimeoutTriggered(_)
            | ServerEvent::OutputItemAdded(_)
            | ServerEvent::OutputItemDone(_)
            | ServerEvent::ContentPartAdded(_)
            | ServerEvent::ContentPartDone(_)
            | ServerEvent::AudioDone(_)
            | ServerEvent::TextDelta(_)
            | ServerEvent::TextDone(_)
            | ServerEvent::ArgumentsDelta(_)
            | ServerEvent::ArgumentsDone(_)
            | ServerEvent::RateLimits(_) => {}
        }
    }

    fn response_created(&mut self, id: String) {
        match &mut self.running {
            Some(running) => running.id = Some(id),
            None => self.running = Some(Running { id: Some(id), asked: None, cancelled: false }),
        }
    }

    fn wants(&self, response: &str, item: &str) -> bool {
        let cancelled = self.running.as_ref().is_some_and(|running| running.cancelled && running.id.as_deref() == Some(response));
        !cancelled && !self.dead.contains(response) && !self.dead.contains(item)
    }

    fn response_done(&mut self, response: &Response, outbox: &mut Outbox<'_>) {
        let running = self.running.take();
        match response.status {
            ResponseStatus::Failed => {
                let error = response.status_details.as_ref().and_then(|details| details.error.clone()).unwrap_or_default();
                self.failures += 1;
                outbox.event(Event::Trouble { code: code(&error), message: error.message.clone() });
                if self.failures > FAILURES_MAX {
                    return outbox.event(Event::Lost(LinkCause::Failed { code: code(&error) }));
                }
                // The same once more: the caller waits for it.
                self.waiting.push_front(running.and_then(|running| running.asked));
            }
            ResponseStatus::Completed | ResponseStatus::Incomplete => {
                self.failures = 0;
                // Arguments are sent even for a response that was cancelled; only a finished one counts.
                for item in response.output.iter().filter(|_| response.status == ResponseStatus::Completed) {
                    if let Item::FunctionCall(call) = item
                        && let Some(id) = &call.call_id
                    {
                        self.calls.push(id.clone());
                        outbox.event(Event::Tool { id: id.clone(), name: call.name.clone(), arguments: call.arguments.clone() });
                    }
                }
            }
            ResponseStatus::Cancelled | ResponseStatus::InProgress | ResponseStatus::Other => {}
        }
        outbox.event(Event::TurnSent);
        self.respond_next(outbox);
    }

    fn error(&mut self, error: &ErrorDetail, outbox: &mut Outbox<'_>) {
        if error.is_idle_cancel() {
            return;
        }
        if error.known_code() == Some(ErrorCode::ActiveResponse) {
            // Asked too early: the server was already answering. Its answer's end lets ours go.
            if let Some(running) = self.running.as_mut().filter(|running| running.id.is_none()) {
                let asked = running.asked.take();
                self.running = Some(Running { id: None, asked: None, cancelled: false });
                self.waiting.push_front(asked);
            }
            return;
        }
        let code = code(error);
        if error.known_code().is_some_and(|known| known.severity() != Severity::Recoverable) || !self.ready {
            self.failed = Some(code.clone());
            return outbox.event(Event::Lost(LinkCause::Failed { code }));
        }
        outbox.event(Event::Trouble { code, message: error.message.clone() });
    }

    fn respond(&mut self, overrides: Option<Box<ResponseOverrides>>, outbox: &mut Outbox<'_>) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(overrides);
        }
        self.respond_next(outbox);
    }

    fn respond_next(&mut self, outbox: &mut Outbox<'_>) {
        if self.running.is_some() {
            return;
        }
        if let Some(response) = self.waiting.pop_front() {
            send(outbox, &ClientEvent::ResponseCreate { response: response.clone() });
            self.running = Some(Running { id: None, asked: response, cancelled: false });
        }
    }

    pub(crate) fn hear(&mut self, mulaw: &[u8], outbox: &mut Outbox<'_>) {
        let mut text = String::with_capacity(64 + mulaw.len() * 4 / 3);
        write_append(mulaw, &mut text);
        outbox.text(SESSION, text);
    }

    pub(crate) fn say(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        let instructions = format!("Say exactly these words, in their language, and nothing else: {text}");
        let overrides = ResponseOverrides {
            instructions: Some(instructions),
            tool_choice: Some(ToolChoice::Mode(ToolChoiceMode::None)),
            ..ResponseOverrides::default()
        };
        self.respond(Some(Box::new(overrides)), outbox);
    }

    /// The words are the last item of the history this session began with.
    pub(crate) fn answer(&mut self, _words: &str, outbox: &mut Outbox<'_>) {
        self.respond(None, outbox);
    }

    pub(crate) fn instruct(&mut self, instructions: &str, outbox: &mut Outbox<'_>) {
        let session = SessionUpdate { instructions: Some(instructions.to_owned()), ..SessionUpdate::default() };
        send(outbox, &ClientEvent::SessionUpdate { session: Box::new(session) });
    }

    /// There is no event for a key over a WebSocket; the model reads about it.
    pub(crate) fn key(&mut self, digit: &str, outbox: &mut Outbox<'_>) {
        let item = Item::user_text(format!("[The caller pressed the key {digit}.]"));
        send(outbox, &ClientEvent::ItemCreate { previous_item_id: None, item });
        self.respond(None, outbox);
    }

    pub(crate) fn tool(&mut self, id: &str, answer: Result<&str, &str>, outbox: &mut Outbox<'_>) {
        let output = match answer {
            Ok(content) => content.to_owned(),
            Err(error) => format!("Error: {error}"),
        };
        send(outbox, &ClientEvent::ItemCreate { previous_item_id: None, item: Item::tool_output(id, output) });
        self.calls.retain(|call| call != id);
        // Nothing is spoken until all is answered and a response is asked for.
        if self.calls.is_empty() {
            self.respond(None, outbox);
        }
    }

    pub(crate) fn cut(&mut self, sentences: &[CutSentence], outbox: &mut Outbox<'_>) {
        if let Some(running) = &mut self.running
            && !std::mem::replace(&mut running.cancelled, true)
        {
            send(outbox, &ClientEvent::ResponseCancel { response_id: running.id.clone() });
        }
        for sentence in sentences {
            self.dead.add(&sentence.id);
            let Some(received) = self.received.get(&sentence.id) else { continue };
            let heard_ms = u64::try_from(sentence.heard.as_millis()).unwrap_or(u64::MAX);
            send(
                outbox,
                &ClientEvent::ItemTruncate {
                    item_id: sentence.id.clone(),
                    content_index: 0,
                    audio_end_ms: heard_ms.min(received / SAMPLES_PER_MS),
                },
            );
        }
        self.received.clear();
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.dead.add(id);
    }

    pub(crate) fn session_max(&self) -> Duration {
        OPENAI_SESSION_MAX
    }

    pub(crate) fn closed(&self, code: Option<u16>) -> LinkCause {
        match &self.failed {
            Some(failed) => LinkCause::Failed { code: failed.clone() },
            None => LinkCause::Closed { code },
        }
    }
}

fn send(outbox: &mut Outbox<'_>, event: &ClientEvent<'_>) {
    outbox.text(SESSION, event.to_json());
}

fn code(error: &ErrorDetail) -> String {
    error.code.clone().unwrap_or_else(|| error.kind.clone())
}

/// A turn as an item of a new session's conversation. Assistant audio cannot be created, text can.
fn item(turn: &Turn) -> Option<Item> {
    let text = turn.heard_text.trim();
    if text.is_empty() {
        return None;
    }
    Some(match turn.speaker {
        Speaker::Caller => Item::user_text(text),
        Speaker::Agent => Item::assistant_text(text),
    })
}

fn update(script: &Script) -> SessionUpdate {
    let telephone = SessionUpdate::telephone();
    let AudioUpdate { input, output } = telephone.audio.clone().unwrap_or_default();
    let language = script.language.split('-').next().unwrap_or_default();
    let input = InputUpdate {
        transcription: Change::Set(Transcription {
            model: Some(script.openai.transcription_model.clone().unwrap_or_else(|| TRANSCRIPTION_MODEL.to_owned())),
            language: (!language.is_empty()).then(|| language.to_owned()),
            ..Transcription::default()
        }),
        turn_detection: Change::Set(TurnDetection::ServerVad(ServerVad {
            threshold: Some(f64::from(script.turn_taking.speech_threshold)),
            prefix_padding_ms: Some(PREFIX_PADDING_MS),
            silence_duration_ms: Some(script.turn_taking.end_of_turn_silence_ms),
            create_response: Some(true),
            interrupt_response: Some(true),
            idle_timeout_ms: None,
        })),
        ..input.unwrap_or_default()
    };
    let output = OutputUpdate {
        voice: script.openai.voice.clone().map(Voice::Name),
        speed: script.openai.speed.map(f64::from),
        ..output.unwrap_or_default()
    };
    let tools = script.tools.iter().map(|tool| {
        Tool::Function(FunctionTool {
            name: tool.name.clone(),
            description: (!tool.description.is_empty()).then(|| tool.description.clone()),
            parameters: serde_json::from_str(tool.schema()).ok(),
        })
    });
    SessionUpdate {
        instructions: Some(script.instructions.clone()),
        tools: Some(tools.collect()),
        audio: Some(AudioUpdate { input: Some(input), output: Some(output) }),
        ..telephone
    }
}
