//! OpenAI Realtime: one WebSocket, mu-law both ways.
//!
//! The server's VAD commits the caller's turns, answers them and cancels its answer when the caller speaks over it. Only
//! one response may run at a time, so those we ask for wait their turn. What of an answer was heard is told with
//! `conversation.item.truncate`: the server cannot know it, and forgets the rest.

mod responses;
mod session;

use std::collections::VecDeque;
use std::time::Duration;

use wire::openai::client::{ClientEvent, write_append};
use wire::openai::error::{ErrorCode, ErrorDetail, Severity};
use wire::openai::item::Item;
use wire::openai::server::{ServerEvent, ServerMessage};
use wire::openai::session::SessionUpdate;

use super::{Beginning, CutSentence, DeadIds, Event, OneSocket, Outbox, SOCKET};
use crate::io::LinkRequest;
use crate::journal::{LinkCause, Speaker};
use crate::limits::{OPENAI_SESSION_MAX, SAMPLES_PER_MS};
use responses::{Ask, Running};
use session::{item, update};

/// Responses that may fail one after the other before the engine is given up.
const FAILURES_MAX: u8 = 2;

/// Items whose length is remembered: more than a conversation has under way at once.
const RECEIVED_MAX: usize = 32;

#[derive(Debug)]
pub(crate) struct OpenAi {
    update: SessionUpdate,
    history: Vec<Item>,
    /// The caller's words at the end of that history, if it ends with them.
    last_words: Option<String>,
    ready: bool,
    /// The response that is running, as the server has confirmed it.
    running: Option<Running>,
    /// The one that was asked for and is not confirmed.
    asked: Option<Ask>,
    waiting: VecDeque<Ask>,
    ask_count: u64,
    /// Whether the caller is speaking: an answer asked for now would talk over them.
    caller_speaks: bool,
    /// Whether the server is about to answer the caller by itself.
    answer_due: bool,
    /// Tool requests of the last response that we have not answered.
    calls: Vec<String>,
    /// Audio received per item of the last responses, in samples: a truncation beyond it is an error.
    received: VecDeque<(String, u64)>,
    /// When the caller's present speech began, in milliseconds of the audio sent.
    speech_from_ms: u64,
    dead: DeadIds,
    failures: u8,
    failed: Option<String>,
}

impl OpenAi {
    pub(crate) fn new(beginning: &Beginning<'_>) -> Self {
        Self {
            update: update(beginning.script),
            history: beginning.history.iter().filter_map(item).collect(),
            last_words: beginning
                .history
                .last()
                .filter(|turn| turn.speaker == Speaker::Caller)
                .map(|turn| turn.heard_text.trim().to_owned()),
            ready: false,
            running: None,
            asked: None,
            waiting: VecDeque::new(),
            ask_count: 0,
            caller_speaks: false,
            answer_due: false,
            calls: Vec::new(),
            received: VecDeque::new(),
            speech_from_ms: 0,
            dead: DeadIds::default(),
            failures: 0,
            failed: None,
        }
    }

    pub(crate) fn dial(&mut self, outbox: &mut Outbox<'_>) {
        outbox.open(SOCKET, LinkRequest::OpenAi);
    }
}

impl OneSocket for OpenAi {
    /// The server speaks first: `session.created`.
    fn opened(&mut self, _outbox: &mut Outbox<'_>) {}

    fn receive(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        let Ok(message) = ServerMessage::parse(text) else { return outbox.event(Event::Malformed) };
        match message.event {
            ServerEvent::SessionCreated(_) => {
                send(outbox, &ClientEvent::SessionUpdate { session: Box::new(self.update.clone()) })
            }
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
                self.caller_speaks = true;
                // The server has cancelled what was running; what the phone still holds is the call's to clear. What it
                // has not begun yet it cannot cancel: that is cancelled by its id when it appears.
                if let Some(running) = &mut self.running {
                    running.cancelled = true;
                }
                if let Some(asked) = &mut self.asked {
                    asked.cancelled = true;
                }
                // The server answers what is said now by itself, and all that came before it.
                self.waiting.retain(|ask| ask.words.is_some());
                outbox.event(Event::Interrupted);
            }
            ServerEvent::SpeechStopped(speech) => {
                self.caller_speaks = false;
                self.answer_due = true;
                outbox.event(Event::CallerTurn {
                    item: Some(speech.item_id),
                    span_ms: Some((self.speech_from_ms, speech.audio_end_ms)),
                    text: None,
                    expressions: Vec::new(),
                });
            }
            ServerEvent::TranscriptionCompleted(done) => {
                self.answer_due = false;
                outbox.event(Event::CallerText { item: done.item_id, text: done.transcript.trim().to_owned() });
                self.respond_next(outbox);
            }
            ServerEvent::TranscriptionFailed(failed) => {
                self.answer_due = false;
                outbox.event(Event::Trouble { code: code(&failed.error), message: failed.error.message });
                outbox.event(Event::CallerText { item: failed.item_id, text: String::new() });
                self.respond_next(outbox);
            }
            ServerEvent::ResponseCreated(event) => self.response_created(&event.response, outbox),
            ServerEvent::TranscriptDelta(delta) => {
                if self.wants(&delta.response_id, &delta.item_id) {
                    let scripted = self.is_scripted();
                    outbox.event(Event::Sentence { id: delta.item_id, text: delta.delta, append: true, scripted });
                }
            }
            ServerEvent::TranscriptDone(done) => {
                if self.wants(&done.response_id, &done.item_id) {
                    let scripted = self.is_scripted();
                    outbox.event(Event::Sentence {
                        id: done.item_id.clone(),
                        text: done.transcript,
                        append: false,
                        scripted,
                    });
                    outbox.event(Event::SentenceEnd { id: done.item_id });
                }
            }
            ServerEvent::AudioDelta(delta) => {
                let mut mulaw = Vec::new();
                if delta.decode_into(&mut mulaw).is_err() {
                    return outbox.event(Event::Malformed);
                }
                if !self.wants(&delta.response_id, &delta.item_id) {
                    return outbox.event(Event::LateAudio {
                        length: Duration::from_millis(mulaw.len() as u64 / SAMPLES_PER_MS),
                    });
                }
                self.received(&delta.item_id, mulaw.len() as u64);
                let scripted = self.is_scripted();
                outbox.event(Event::Audio { id: delta.item_id, mulaw, scripted });
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

    fn closed(&self, code: Option<u16>) -> LinkCause {
        match &self.failed {
            Some(failed) => LinkCause::Failed { code: failed.clone() },
            None => LinkCause::Closed { code },
        }
    }
}

impl OpenAi {
    fn received(&mut self, item: &str, samples: u64) {
        if let Some((_, received)) = self.received.iter_mut().find(|(id, _)| id == item) {
            *received += samples;
            return;
        }
        // Items of responses long past can no longer be cut.
        if self.received.len() == RECEIVED_MAX {
            self.received.pop_front();
        }
        self.received.push_back((item.to_owned(), samples));
    }

    fn is_scripted(&self) -> bool {
        self.running.as_ref().and_then(|running| running.ask.as_ref()).is_some_and(|ask| ask.words.is_some())
    }

    fn wants(&self, response: &str, item: &str) -> bool {
        let cancelled = self.running.as_ref().is_some_and(|running| running.cancelled && running.id == response);
        !cancelled && !self.dead.contains(response) && !self.dead.contains(item)
    }

    fn error(&mut self, error: &ErrorDetail, outbox: &mut Outbox<'_>) {
        if error.is_idle_cancel() {
            return;
        }
        let busy = error.known_code() == Some(ErrorCode::ActiveResponse);
        if let Some(asked) = self.asked.take_if(|asked| busy || error.event_id.as_deref() == Some(asked.name.as_str()))
        {
            // Asked too early: the server was already answering. The end of its answer lets ours go.
            if busy && !asked.cancelled {
                self.waiting.push_front(asked);
            }
        }
        if busy {
            return;
        }
        let code = code(error);
        if is_fatal(error) || !self.ready {
            self.failed = Some(code.clone());
            return outbox.event(Event::Lost(LinkCause::Failed { code }));
        }
        outbox.event(Event::Trouble { code, message: error.message.clone() });
        self.respond_next(outbox);
    }

    pub(crate) fn hear(&mut self, mulaw: &[u8], outbox: &mut Outbox<'_>) {
        let mut text = String::with_capacity(64 + mulaw.len() * 4 / 3);
        write_append(mulaw, &mut text);
        outbox.text(SOCKET, text);
    }

    pub(crate) fn say(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        self.respond(Some(text.to_owned()), outbox);
    }

    /// The words are the last item of the history this session began with, unless they were written down later.
    pub(crate) fn answer(&mut self, words: &str, outbox: &mut Outbox<'_>) {
        if self.last_words.as_deref() != Some(words.trim()) {
            send(outbox, &ClientEvent::ItemCreate { previous_item_id: None, item: Item::user_text(words.trim()) });
        }
        self.respond(None, outbox);
    }

    /// Instructions of a single response would take the place of the agent's, so the note is part of the conversation.
    pub(crate) fn take_up(&mut self, note: &str, outbox: &mut Outbox<'_>) {
        send(outbox, &ClientEvent::ItemCreate { previous_item_id: None, item: Item::system_text(note) });
        self.respond(None, outbox);
    }

    pub(crate) fn instruct(&mut self, instructions: &str, outbox: &mut Outbox<'_>) {
        let session = SessionUpdate { instructions: Some(instructions.to_owned()), ..SessionUpdate::default() };
        send(outbox, &ClientEvent::SessionUpdate { session: Box::new(session) });
    }

    /// There is no event for a key over a WebSocket; the model reads about it.
    pub(crate) fn key(&mut self, keys: &str, outbox: &mut Outbox<'_>) {
        let item = Item::user_text(format!("[The caller pressed these keys: {keys}.]"));
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
            send(outbox, &ClientEvent::ResponseCancel { response_id: Some(running.id.clone()) });
        }
        if let Some(asked) = &mut self.asked {
            asked.cancelled = true;
        }
        for sentence in sentences {
            self.dead.add(&sentence.id);
            let Some((_, received)) = self.received.iter().find(|(id, _)| *id == sentence.id) else { continue };
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
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.dead.add(id);
    }

    pub(crate) fn session_max(&self) -> Duration {
        OPENAI_SESSION_MAX
    }
}

fn send(outbox: &mut Outbox<'_>, event: &ClientEvent<'_>) {
    outbox.text(SOCKET, event.to_json());
}

fn is_fatal(error: &ErrorDetail) -> bool {
    error.known_code().is_some_and(|known| known.severity() != Severity::Recoverable)
}

fn code(error: &ErrorDetail) -> String {
    error.code.clone().unwrap_or_else(|| error.kind.clone())
}
