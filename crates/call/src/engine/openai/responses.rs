//! One response at a time: what runs, what was asked for, what waits.

use std::collections::BTreeMap;

use wire::openai::client::{ClientEvent, ClientMessage, ResponseOverrides};
use wire::openai::item::Item;
use wire::openai::response::{Response, ResponseStatus};
use wire::openai::session::{ToolChoice, ToolChoiceMode};

use super::{FAILURES_MAX, OpenAi, code, is_fatal, send};
use crate::engine::{Event, Outbox, SOCKET};
use crate::journal::LinkCause;

/// Responses that may wait for the running one.
const WAITING_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: String,
    /// What was asked for; none if the server began it by itself.
    pub(super) ask: Option<Ask>,
    /// Whether the server, or we, have cancelled it: what still comes is not wanted.
    pub(super) cancelled: bool,
}

/// A response that we ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    /// What it shall say word for word; otherwise the model answers.
    pub(super) words: Option<String>,
    /// Names the request: the server repeats it in the response's metadata, and in an error.
    pub(super) name: String,
    /// Whether it was called off before the server had confirmed it.
    pub(super) cancelled: bool,
}

/// The key of a request's name in a response's metadata.
const ASK: &str = "ask";

impl OpenAi {
    /// A response has begun: the one we asked for, or one that the server began for the caller's turn.
    pub(super) fn response_created(&mut self, response: &Response, outbox: &mut Outbox<'_>) {
        let name = response.metadata.as_ref().and_then(|metadata| metadata.get(ASK));
        let ours = self.asked.as_ref().is_some_and(|asked| name.map_or(!self.answer_due, |name| *name == asked.name));
        let ask = if ours { self.asked.take() } else { None };
        if !ours {
            self.answer_due = false;
        }
        let cancelled = ask.as_ref().is_some_and(|ask| ask.cancelled);
        if cancelled {
            send(outbox, &ClientEvent::ResponseCancel { response_id: Some(response.id.clone()) });
        }
        self.running = Some(Running { id: response.id.clone(), ask, cancelled });
    }

    pub(super) fn response_done(&mut self, response: &Response, outbox: &mut Outbox<'_>) {
        let running = self.running.take_if(|running| running.id == response.id);
        match response.status {
            ResponseStatus::Failed => {
                let error =
                    response.status_details.as_ref().and_then(|details| details.error.clone()).unwrap_or_default();
                self.failures += 1;
                outbox.event(Event::Trouble { code: code(&error), message: error.message.clone() });
                if self.failures > FAILURES_MAX || is_fatal(&error) {
                    return outbox.event(Event::Lost(LinkCause::Failed { code: code(&error) }));
                }
                // The same once more: the caller waits for it, and the turn is not over.
                if !running.as_ref().is_some_and(|running| running.cancelled) {
                    self.waiting.push_front(running.and_then(|running| running.ask).unwrap_or_default());
                    return self.respond_next(outbox);
                }
                outbox.event(Event::TurnSent);
            }
            ResponseStatus::Completed | ResponseStatus::Incomplete => {
                self.failures = 0;
                // What was said is over before what was asked for begins.
                outbox.event(Event::TurnSent);
                // Arguments are sent even for a response that was cancelled; only a finished one counts.
                for item in response.output.iter().filter(|_| response.status == ResponseStatus::Completed) {
                    if let Item::FunctionCall(call) = item
                        && let Some(id) = &call.call_id
                    {
                        self.calls.push(id.clone());
                        outbox.event(Event::Tool {
                            id: id.clone(),
                            name: call.name.clone(),
                            arguments: call.arguments.clone(),
                        });
                    }
                }
            }
            ResponseStatus::Cancelled | ResponseStatus::InProgress | ResponseStatus::Other => {
                outbox.event(Event::TurnSent)
            }
        }
        self.respond_next(outbox);
    }

    /// Asks for a response, now or when the one that is running is over.
    pub(super) fn respond(&mut self, words: Option<String>, outbox: &mut Outbox<'_>) {
        if self.waiting.len() == WAITING_MAX {
            // The oldest is the least worth hearing.
            self.waiting.pop_front();
        }
        self.waiting.push_back(Ask { words, ..Ask::default() });
        self.respond_next(outbox);
    }

    pub(super) fn respond_next(&mut self, outbox: &mut Outbox<'_>) {
        if self.running.is_some() || self.asked.is_some() || self.caller_speaks || self.answer_due {
            return;
        }
        let Some(ask) = self.waiting.pop_front() else { return };
        self.ask_count += 1;
        let ask = Ask { name: format!("ask-{}", self.ask_count), cancelled: false, ..ask };
        let metadata = Some(BTreeMap::from([(ASK.to_owned(), ask.name.clone())]));
        let response = match &ask.words {
            Some(words) => ResponseOverrides {
                instructions: Some(format!("Say exactly these words, in their language, and nothing else: {words}")),
                tool_choice: Some(ToolChoice::Mode(ToolChoiceMode::None)),
                metadata,
                ..ResponseOverrides::default()
            },
            None => ResponseOverrides { metadata, ..ResponseOverrides::default() },
        };
        let event = ClientEvent::ResponseCreate { response: Some(Box::new(response)) };
        outbox.text(SOCKET, ClientMessage::with_id(event, ask.name.clone()).to_json());
        self.asked = Some(ask);
    }
}
