//! The agent's turn: asked of Groq, handed to Cartesia clause by clause, and what it asks for in the end.

use wire::groq::request::{ChatRequest, Message};

use super::thought::Thought;
use super::voice::Spoken;
use super::{Cascade, GO_ON, SHORTENED, Turn, UNDER_WAY};
use crate::engine::{Event, Outbox};
use crate::io::LinkEvent;
use crate::journal::LinkCause;
use crate::limits::{CASCADE_EARLY_KEPT_MAX, ENGINE_MESSAGE_BYTES_MAX};
use crate::playout::samples;

impl Cascade {
    pub(super) fn mind_event(&mut self, port: u32, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
        let mut thoughts = Vec::new();
        let each = |thought| thoughts.push(thought);
        match event {
            LinkEvent::Opened => {}
            LinkEvent::Body(bytes) => self.mind.receive(port, bytes, outbox, each),
            LinkEvent::Rejected { status, retry_after, body } => {
                self.mind.rejected(status, retry_after, body, outbox, each);
            }
            LinkEvent::Ended | LinkEvent::Lost(_) => self.mind.closed(port, outbox, each),
            LinkEvent::Refused(why) => self.mind.unreachable(why, outbox, each),
            LinkEvent::Text(_) | LinkEvent::Binary => thoughts.push(Thought::Malformed),
        }
        self.thought(thoughts, outbox);
    }

    pub(super) fn voice_event(&mut self, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
        let mut spoken = Vec::new();
        let why = match event {
            LinkEvent::Opened => {
                self.voice.opened(outbox, |each| spoken.push(each));
                self.spoken(spoken, outbox);
                return self.look_whether_steady(outbox);
            }
            LinkEvent::Text(text) if text.len() <= ENGINE_MESSAGE_BYTES_MAX => {
                self.voice.receive(text, outbox, |each| spoken.push(each));
                return self.spoken(spoken, outbox);
            }
            LinkEvent::Text(_) | LinkEvent::Binary | LinkEvent::Body(_) | LinkEvent::Ended => {
                return outbox.event(Event::Malformed);
            }
            LinkEvent::Refused(why) => why,
            LinkEvent::Rejected { status, .. } => LinkCause::Status { status },
            LinkEvent::Lost(code) => LinkCause::Closed { code },
        };
        self.voice_lost(why, outbox);
    }

    pub(super) fn ask(&mut self, outbox: &mut Outbox<'_>) {
        let port = self.port();
        let mut messages = vec![Message::System { content: self.prompt() }];
        self.history.messages(&mut messages);
        if let Some(note) = &self.note {
            messages.push(Message::System { content: note.clone() });
        }
        if self.broke_off {
            messages.push(Message::System { content: GO_ON.to_owned() });
        }
        let mut request = ChatRequest::streamed(self.model.clone(), messages);
        request.max_completion_tokens = Some(self.tokens_max);
        request.tools.clone_from(&self.tools);
        self.mind.ask(port, request, outbox);
    }

    pub(super) fn prompt(&self) -> String {
        let mut prompt = self.instructions.clone();
        let mut add = |text: &str| {
            prompt.push_str("\n\n");
            prompt.push_str(text);
        };
        if self.begun_before {
            add(UNDER_WAY);
        }
        if self.history.is_shortened() {
            add(SHORTENED);
        }
        if self.language != self.own_language {
            add(&format!("The caller now speaks another language. Answer in this one: {}.", self.language));
        }
        prompt
    }

    pub(super) fn thought(&mut self, thoughts: Vec<Thought>, outbox: &mut Outbox<'_>) {
        for thought in thoughts {
            match thought {
                Thought::Words(text) => {
                    self.look_whether_steady(outbox);
                    let Some(turn) = &mut self.turn else { continue };
                    turn.clauses.push(&text);
                    while let Some(clause) = self.turn.as_mut().and_then(|turn| turn.clauses.take()) {
                        self.utter(&clause, outbox);
                    }
                }
                Thought::Over { calls } => {
                    self.look_whether_steady(outbox);
                    let Some(turn) = &mut self.turn else { continue };
                    turn.calls.extend(calls);
                    self.broke_off = false;
                    self.note = None;
                    self.worded(outbox);
                }
                Thought::Failed { falters, code, message, .. } => {
                    outbox.event(Event::Trouble { code, message });
                    self.answer_broke_off(outbox);
                    if falters {
                        self.falter(outbox);
                    }
                }
                Thought::GivenUp(why) => self.give_up(why, outbox),
                Thought::Malformed => outbox.event(Event::Malformed),
                Thought::Unknown => outbox.event(Event::Unknown),
            }
        }
    }

    /// What the answer had said when it broke off is said, and the next one goes on from there.
    pub(super) fn answer_broke_off(&mut self, outbox: &mut Outbox<'_>) {
        let Some(turn) = &mut self.turn else { return };
        let begun = !turn.sentences.is_empty() || self.voice.is_busy();
        let rest = turn.clauses.rest();
        if begun {
            if let Some(rest) = rest {
                self.utter(&rest, outbox);
            }
            self.broke_off = true;
        }
    }

    /// Hands a piece of the turn to the voice.
    pub(super) fn utter(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        let mut spoken = Vec::new();
        self.voice.say(text, outbox, |each| spoken.push(each));
        self.spoken(spoken, outbox);
    }

    /// All words of the turn have come.
    pub(super) fn worded(&mut self, outbox: &mut Outbox<'_>) {
        let Some(turn) = &mut self.turn else { return };
        turn.worded = true;
        let rest = turn.clauses.rest().unwrap_or_default();
        let mut spoken = Vec::new();
        self.voice.end(&rest, outbox, |each| spoken.push(each));
        self.spoken(spoken, outbox);
    }

    pub(super) fn spoken(&mut self, spoken: Vec<Spoken>, outbox: &mut Outbox<'_>) {
        for spoken in spoken {
            match spoken {
                Spoken::Words { id, text } => {
                    let Some(turn) = &mut self.turn else { continue };
                    if !turn.sentences.contains(&id) {
                        turn.sentences.push(id.clone());
                    }
                    let (scripted, early) = (turn.scripted, turn.early.is_some());
                    self.history.agent(&id, &text, early);
                    self.emit(Event::Sentence { id, text, append: true, scripted }, outbox);
                }
                Spoken::Audio { id, mulaw } => {
                    let Some(turn) = &mut self.turn else { continue };
                    if turn.early.is_some() {
                        turn.held_samples += mulaw.len() as u64;
                    } else {
                        turn.audible = true;
                    }
                    let (scripted, too_much) = (turn.scripted, turn.held_samples > samples(CASCADE_EARLY_KEPT_MAX));
                    if too_much {
                        self.withdraw(outbox);
                        continue;
                    }
                    self.emit(Event::Audio { id, mulaw, scripted }, outbox);
                }
                Spoken::Ends { id, words } => self.emit(Event::WordEnds { id, words }, outbox),
                Spoken::BrokeOff { id, spoken } => {
                    self.history.cut(&id, &spoken);
                    let scripted = self.turn.as_ref().is_some_and(|turn| turn.scripted);
                    self.emit(Event::Sentence { id, text: spoken, append: false, scripted }, outbox);
                }
                Spoken::WordsEnd { id } => self.emit(Event::SentenceEnd { id }, outbox),
                Spoken::Done => {
                    if self.turn.as_ref().is_some_and(|turn| turn.worded && turn.early.is_none()) {
                        self.turn_over(outbox);
                    }
                }
                Spoken::Late(length) => outbox.event(Event::LateAudio { length }),
                Spoken::Trouble { code, message } => {
                    outbox.event(Event::Trouble { code, message });
                    self.falter(outbox);
                }
                Spoken::Failed(why) => self.give_up(why, outbox),
                Spoken::Malformed => outbox.event(Event::Malformed),
                Spoken::Unknown => outbox.event(Event::Unknown),
            }
        }
        self.look_whether_steady(outbox);
    }

    /// Reports something of the turn, or keeps it back.
    pub(super) fn emit(&mut self, event: Event, outbox: &mut Outbox<'_>) {
        match self.turn.as_mut().filter(|turn| turn.early.is_some()) {
            Some(turn) => turn.held.push(event),
            None => outbox.event(event),
        }
    }

    /// All of the turn was handed on: now its tools are asked for, and what waited is next.
    pub(super) fn turn_over(&mut self, outbox: &mut Outbox<'_>) {
        let Some(turn) = self.turn.take() else { return };
        outbox.event(Event::TurnSent);
        if !turn.calls.is_empty() {
            self.history.calls(turn.calls.clone(), false);
        }
        for call in turn.calls {
            outbox.event(Event::Tool { id: call.id, name: call.function.name, arguments: call.function.arguments });
        }
        self.go_on(outbox);
    }

    /// Begins what waits, if nothing is under way.
    pub(super) fn go_on(&mut self, outbox: &mut Outbox<'_>) {
        if self.turn.is_some() || self.spent {
            return;
        }
        if let Some(text) = self.say_next.pop_front() {
            let mut turn = Turn::new(true, None);
            turn.clauses.push(&text);
            self.turn = Some(turn);
            self.worded(outbox);
        } else if self.answer_due && !self.ears.in_turn() {
            self.answer_due = false;
            self.turn = Some(Turn::new(false, None));
            self.mind.afresh();
            self.ask(outbox);
        }
    }

    /// Nothing more is wanted of the turn that is under way.
    pub(super) fn stop(&mut self, outbox: &mut Outbox<'_>) {
        self.broke_off = false;
        self.note = None;
        self.mind.stop(outbox);
        self.voice.cancel(outbox);
        self.turn = None;
    }
}
