//! The cascade: Deepgram hears, Groq answers, Cartesia speaks. A small machine over three links.
//!
//! ```text
//!   caller's audio ──> Ears ── turns ──> Cascade ── requests ──> Mind
//!                                          │  ▲                   │ words, tool calls
//!                        phone  <── Voice <┘  └───────────────────┘
//! ```
//!
//! An answer may be begun when the caller's turn *may* be over: it is thought, and spoken, and kept back until the turn
//! is over for certain; if the caller goes on it was never said. One answer is under way at a time. It is handed to the
//! voice clause by clause, so that its first words are heard while the last are still being thought.
//!
//! What ends a turn is Deepgram's to say; what interrupts the agent is ours: so many words of the caller, while the
//! agent can be heard. Sentences of ours that the engine is asked to say word for word (greeting, disclosure) are not
//! stopped while they are on their way; the call itself cuts them when they are.
//!
//! A link that is lost is dialled again here, and the other two stand. Only when that fails is the engine lost.

mod clauses;
mod ears;
mod history;
mod line;
mod thought;
mod voice;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::groq::request::{ChatRequest, Function, Message, Tool, ToolCall};

use super::{Beginning, CutSentence, Event, Outbox};
use crate::agent::Script;
use crate::io::LinkEvent;
use crate::journal::LinkCause;
use crate::limits::{
    CASCADE_BACKLOG_MAX, CASCADE_DIAL_WITHIN, CASCADE_EARLY_KEPT_MAX, CASCADE_EARLY_MAX, ENGINE_MESSAGE_BYTES_MAX,
    ENGINE_READY_WITHIN, SAY_LATER_MAX,
};
use crate::playout::samples;
use crate::words;
use clauses::Clauses;
use ears::{Ears, Heard};
use history::History;
use line::Fate;
use thought::{Mind, Thought};
use voice::{Spoken, Voice};

/// What the model reads when a conversation is already under way.
const UNDER_WAY: &str = "This conversation is already under way on the phone. Do not greet again, and do not mention any \
                         interruption of the line.";

/// What it reads when the beginning of a long conversation was left out.
const SHORTENED: &str = "The beginning of this conversation is left out.";

/// What it reads when an answer broke off in the middle.
const GO_ON: &str =
    "Your last sentence broke off for a technical reason. Go on from there, without repeating anything.";

#[derive(Debug)]
pub(crate) struct Cascade {
    instructions: String,
    language: String,
    /// The language the conversation began in.
    own_language: String,
    model: String,
    tokens_max: u32,
    words_min: usize,
    tools: Vec<Tool>,
    begun_before: bool,
    ports: u32,
    ears: Ears,
    mind: Mind,
    voice: Voice,
    history: History,
    /// What the agent is saying, or about to say.
    turn: Option<Turn>,
    /// Sentences to be said word for word, after that.
    say_next: VecDeque<String>,
    /// Whether an answer is due after that.
    answer_due: bool,
    /// Answers begun early in this turn of the caller.
    early_count: u32,
    ready: bool,
    stream: String,
    faltering: bool,
    /// Whether the answer broke off, and the next request goes on from there.
    broke_off: bool,
    /// Whether it has tried everything.
    spent: bool,
}

/// A turn of the agent.
#[derive(Debug)]
struct Turn {
    /// Whether it says what it was asked to say.
    scripted: bool,
    /// The words of the caller that it answers, while these may go on.
    early: Option<String>,
    /// What is kept back until they certainly do not.
    held: Vec<Event>,
    held_samples: u64,
    clauses: Clauses,
    /// Its contexts.
    sentences: Vec<String>,
    /// Whether any sound of it has been handed on.
    audible: bool,
    /// Whether all its words have come.
    worded: bool,
    /// What it asks for, when it was spoken.
    calls: Vec<ToolCall>,
}

impl Turn {
    fn new(scripted: bool, early: Option<String>) -> Self {
        Self {
            scripted,
            early,
            held: Vec::new(),
            held_samples: 0,
            clauses: Clauses::default(),
            sentences: Vec::new(),
            audible: false,
            worded: false,
            calls: Vec::new(),
        }
    }
}

impl Cascade {
    pub(crate) fn new(beginning: &Beginning<'_>) -> Self {
        let script = beginning.script;
        Self {
            instructions: script.instructions.clone(),
            language: script.language.clone(),
            own_language: script.language.clone(),
            model: script.cascade.model.clone(),
            tokens_max: script.cascade.answer_tokens_max,
            words_min: usize::try_from(script.cascade.interrupt_words_min).unwrap_or(1),
            tools: tools(script),
            begun_before: beginning.history.iter().any(|turn| turn.engine.is_some()),
            ports: 0,
            ears: Ears::new(script),
            mind: Mind::default(),
            voice: Voice::new(script, format!("{}-{}", beginning.call, beginning.seat)),
            history: History::new(beginning.history),
            turn: None,
            say_next: VecDeque::new(),
            answer_due: false,
            early_count: 0,
            ready: false,
            stream: String::new(),
            faltering: false,
            broke_off: false,
            spent: false,
        }
    }

    pub(crate) fn dial(&mut self, outbox: &mut Outbox<'_>) {
        let (ears, voice) = (self.port(), self.port());
        // Whether the engine comes at all in time is for the call to see.
        self.ears.dial(ears, ENGINE_READY_WITHIN * 2, outbox);
        self.voice.dial(voice, ENGINE_READY_WITHIN * 2, outbox);
    }

    fn port(&mut self) -> u32 {
        self.ports += 1;
        self.ports - 1
    }

    pub(crate) fn link(&mut self, port: u32, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
        if self.spent {
            return;
        }
        if self.ears.line.is(port) {
            self.ears_event(event, outbox);
        } else if self.voice.line.is(port) {
            self.voice_event(event, outbox);
        } else if self.mind.is(port) {
            self.mind_event(port, event, outbox);
        }
        // Anything else is a link that was given up: what still comes from it is of no interest.
    }

    fn ears_event(&mut self, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
        let why = match event {
            // The stream is open when it says so.
            LinkEvent::Opened => return,
            LinkEvent::Text(text) if text.len() <= ENGINE_MESSAGE_BYTES_MAX => {
                let mut heard = Vec::new();
                self.ears.receive(text, outbox, |each| heard.push(each));
                return self.heard(heard, outbox);
            }
            LinkEvent::Text(_) | LinkEvent::Binary | LinkEvent::Body(_) | LinkEvent::Ended => {
                return outbox.event(Event::Malformed);
            }
            LinkEvent::Refused(why) => why,
            LinkEvent::Rejected { status, .. } => LinkCause::Status { status },
            LinkEvent::Lost(code) => LinkCause::Closed { code },
        };
        self.ears_lost(why, outbox);
    }

    fn voice_event(&mut self, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
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

    fn mind_event(&mut self, port: u32, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
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

    // --- the caller ---------------------------------------------------------------------------------------------

    pub(crate) fn hear(&mut self, mulaw: &[u8], outbox: &mut Outbox<'_>) {
        self.ears.hear(mulaw, outbox);
        if self.ears.is_deaf(outbox.now) {
            self.ears_lost(LinkCause::Stalled, outbox);
        }
    }

    fn heard(&mut self, heard: Vec<Heard>, outbox: &mut Outbox<'_>) {
        for heard in heard {
            match heard {
                Heard::Connected { stream } => self.stream = stream,
                Heard::Words(text) => self.caller_words(text, outbox),
                Heard::MaybeOver(text) => self.maybe_over(text, outbox),
                Heard::GoesOn => self.withdraw(outbox),
                Heard::Turn { text, span_ms } => self.caller_turn(text, span_ms, outbox),
                Heard::Language(tag) => outbox.event(Event::Language { tag }),
                Heard::Trouble { code, message } => outbox.event(Event::Trouble { code, message }),
                Heard::Failed { why } => self.ears_lost(why, outbox),
                Heard::Malformed => outbox.event(Event::Malformed),
                Heard::Unknown => outbox.event(Event::Unknown),
            }
        }
        self.look_whether_steady(outbox);
    }

    fn caller_words(&mut self, text: String, outbox: &mut Outbox<'_>) {
        let count = words::count_real(&text);
        outbox.event(Event::CallerWords { text });
        let Some(turn) = self.turn.as_ref().filter(|turn| turn.early.is_none() && !turn.scripted) else { return };
        // Nothing of the answer was heard yet: the caller has simply gone on, and will be answered later.
        let unheard = !turn.audible && outbox.unplayed.is_zero();
        if count >= self.words_min || unheard && count > 0 {
            self.stop(outbox);
            outbox.event(Event::Interrupted);
        }
    }

    /// The caller's turn may be over: the answer is begun, and kept back.
    fn maybe_over(&mut self, text: String, outbox: &mut Outbox<'_>) {
        let audible = !outbox.unplayed.is_zero();
        let counts = words::count_real(&text) >= if audible { self.words_min } else { 1 };
        if self.turn.is_some() || !counts || self.early_count >= CASCADE_EARLY_MAX || !self.say_next.is_empty() {
            return;
        }
        self.early_count += 1;
        self.history.caller(&text, true);
        self.turn = Some(Turn::new(false, Some(text)));
        self.mind.afresh();
        self.ask(outbox);
    }

    /// The caller goes on: what was begun early was never said.
    fn withdraw(&mut self, outbox: &mut Outbox<'_>) {
        if self.turn.as_ref().is_some_and(|turn| turn.early.is_some()) {
            self.stop(outbox);
            self.history.drop_early();
        }
    }

    fn caller_turn(&mut self, text: String, span_ms: (u64, u64), outbox: &mut Outbox<'_>) {
        self.early_count = 0;
        let audible = self.turn.as_ref().is_some_and(|turn| turn.early.is_none()) || !outbox.unplayed.is_zero();
        // A sound that people make while they listen asks for nothing, unless it is all the answer the agent gets.
        if text.is_empty() || audible && !words::are_real(&text) {
            self.withdraw(outbox);
            return self.go_on(outbox);
        }
        let begun = self.turn.as_ref().is_some_and(|turn| turn.early.as_ref() == Some(&text));
        if !begun {
            self.withdraw(outbox);
            self.history.caller(&text, false);
        }
        outbox.event(Event::CallerTurn {
            item: None,
            span_ms: Some(span_ms),
            text: Some(text),
            expressions: Vec::new(),
        });
        if begun {
            return self.release(outbox);
        }
        self.answer_due = true;
        self.go_on(outbox);
    }

    /// The caller's turn is over as it was thought to be: what was kept back is said.
    fn release(&mut self, outbox: &mut Outbox<'_>) {
        self.history.keep_early();
        let Some(turn) = &mut self.turn else { return };
        turn.early = None;
        turn.audible = turn.held_samples > 0;
        let over = turn.worded && !self.voice.is_busy();
        for event in std::mem::take(&mut turn.held) {
            outbox.event(event);
        }
        if over {
            self.turn_over(outbox);
        }
    }

    // --- the answer ---------------------------------------------------------------------------------------------

    fn ask(&mut self, outbox: &mut Outbox<'_>) {
        let port = self.port();
        let mut messages = vec![Message::System { content: self.prompt() }];
        self.history.messages(&mut messages);
        if self.broke_off {
            messages.push(Message::System { content: GO_ON.to_owned() });
        }
        let mut request = ChatRequest::streamed(self.model.clone(), messages);
        request.max_completion_tokens = Some(self.tokens_max);
        request.tools.clone_from(&self.tools);
        self.mind.ask(port, request, outbox);
    }

    fn prompt(&self) -> String {
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

    fn thought(&mut self, thoughts: Vec<Thought>, outbox: &mut Outbox<'_>) {
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
    fn answer_broke_off(&mut self, outbox: &mut Outbox<'_>) {
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
    fn utter(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        let mut spoken = Vec::new();
        self.voice.say(text, outbox, |each| spoken.push(each));
        self.spoken(spoken, outbox);
    }

    /// All words of the turn have come.
    fn worded(&mut self, outbox: &mut Outbox<'_>) {
        let Some(turn) = &mut self.turn else { return };
        turn.worded = true;
        let rest = turn.clauses.rest().unwrap_or_default();
        let mut spoken = Vec::new();
        self.voice.end(&rest, outbox, |each| spoken.push(each));
        self.spoken(spoken, outbox);
    }

    fn spoken(&mut self, spoken: Vec<Spoken>, outbox: &mut Outbox<'_>) {
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
    fn emit(&mut self, event: Event, outbox: &mut Outbox<'_>) {
        match self.turn.as_mut().filter(|turn| turn.early.is_some()) {
            Some(turn) => turn.held.push(event),
            None => outbox.event(event),
        }
    }

    /// All of the turn was handed on: now its tools are asked for, and what waited is next.
    fn turn_over(&mut self, outbox: &mut Outbox<'_>) {
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
    fn go_on(&mut self, outbox: &mut Outbox<'_>) {
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
    fn stop(&mut self, outbox: &mut Outbox<'_>) {
        self.broke_off = false;
        self.mind.stop(outbox);
        self.voice.cancel(outbox);
        self.turn = None;
    }

    // --- what the call wants ------------------------------------------------------------------------------------

    pub(crate) fn say(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        if self.say_next.len() == SAY_LATER_MAX {
            self.say_next.pop_front();
        }
        self.say_next.push_back(text.to_owned());
        self.go_on(outbox);
    }

    pub(crate) fn answer(&mut self, words: &str, outbox: &mut Outbox<'_>) {
        if self.history.last_words() != Some(words.trim()) {
            self.history.caller(words.trim(), false);
        }
        self.answer_due = true;
        self.go_on(outbox);
    }

    pub(crate) fn instruct(&mut self, instructions: &str) {
        instructions.clone_into(&mut self.instructions);
    }

    pub(crate) fn speak(&mut self, language: &str) {
        language.clone_into(&mut self.language);
        self.voice.speak(language);
    }

    pub(crate) fn key(&mut self, keys: &str, outbox: &mut Outbox<'_>) {
        self.history.caller(&format!("[The caller pressed these keys: {keys}.]"), false);
        self.answer_due = true;
        self.go_on(outbox);
    }

    pub(crate) fn tool(&mut self, id: &str, answer: Result<&str, &str>, outbox: &mut Outbox<'_>) {
        let answer = match answer {
            Ok(content) => content.to_owned(),
            Err(error) => format!("Error: {error}"),
        };
        // Nothing is said until all is answered.
        if self.history.answer(id, answer) {
            self.answer_due = true;
            self.go_on(outbox);
        }
    }

    pub(crate) fn cut(&mut self, sentences: &[CutSentence], outbox: &mut Outbox<'_>) {
        let under_way = self.turn.as_ref().filter(|turn| turn.early.is_none());
        if under_way.is_some_and(|turn| sentences.iter().any(|cut| turn.sentences.contains(&cut.id))) {
            self.stop(outbox);
        }
        for sentence in sentences {
            self.history.cut(&sentence.id, &sentence.heard_text);
        }
    }

    // --- links --------------------------------------------------------------------------------------------------

    fn ears_lost(&mut self, why: LinkCause, outbox: &mut Outbox<'_>) {
        if !self.ready {
            return self.give_up(why, outbox);
        }
        // What was begun early may not be what the caller said in the end.
        self.withdraw(outbox);
        match self.ears.lost(why, outbox) {
            Fate::Again => self.falter(outbox),
            Fate::GivenUp(why) => self.give_up(why, outbox),
        }
    }

    fn voice_lost(&mut self, why: LinkCause, outbox: &mut Outbox<'_>) {
        if !self.ready {
            return self.give_up(why, outbox);
        }
        let mut spoken = Vec::new();
        let fate = self.voice.lost(why, outbox, |each| spoken.push(each));
        self.spoken(spoken, outbox);
        match fate {
            Fate::Again => self.falter(outbox),
            Fate::GivenUp(why) => self.give_up(why, outbox),
        }
    }

    fn falter(&mut self, outbox: &mut Outbox<'_>) {
        if !std::mem::replace(&mut self.faltering, true) {
            outbox.event(Event::Faltering);
        }
    }

    fn look_whether_steady(&mut self, outbox: &mut Outbox<'_>) {
        let stands = self.ears.is_connected() && self.voice.line.open_port().is_some();
        if !stands || self.spent {
            return;
        }
        if !std::mem::replace(&mut self.ready, true) {
            outbox.event(Event::Ready { chat: Some(self.stream.clone()), group: None });
        }
        let falters =
            self.ears.line.falters() || self.voice.line.falters() || self.voice.falters() || self.mind.falters();
        if !falters && std::mem::take(&mut self.faltering) {
            outbox.event(Event::Steady);
        }
    }

    fn give_up(&mut self, why: LinkCause, outbox: &mut Outbox<'_>) {
        if !std::mem::replace(&mut self.spent, true) {
            outbox.event(Event::Lost(why));
        }
    }

    /// Whether it has tried everything to get a part of itself back.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent && self.ready
    }

    pub(crate) fn hang_up(&mut self, outbox: &mut Outbox<'_>) {
        self.spent = true;
        self.mind.hang_up(outbox);
        self.ears.line.close(outbox);
        self.voice.line.close(outbox);
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.spent {
            return None;
        }
        [self.ears.next_due(), self.mind.next_due(), self.voice.next_due()].into_iter().flatten().min()
    }

    pub(crate) fn wake(&mut self, outbox: &mut Outbox<'_>) {
        if self.spent {
            return;
        }
        let now = outbox.now;
        if self.ears.line.is_overdue(now) {
            self.ears_lost(LinkCause::Timeout, outbox);
        }
        if self.ears.line.wants_dialling(now) {
            let port = self.port();
            self.ears.dial(port, CASCADE_DIAL_WITHIN, outbox);
        }
        let mut heard = Vec::new();
        self.ears.rest_overdue(now, |each| heard.push(each));
        self.heard(heard, outbox);
        if self.voice.line.is_overdue(now) {
            self.voice_lost(LinkCause::Timeout, outbox);
        }
        if self.voice.line.wants_dialling(now) {
            let port = self.port();
            self.voice.dial(port, CASCADE_DIAL_WITHIN, outbox);
        }
        if self.voice.is_stale(now) {
            self.voice.line.close(outbox);
            let port = self.port();
            self.voice.dial(port, CASCADE_DIAL_WITHIN, outbox);
        }
        let mut spoken = Vec::new();
        self.voice.wake(outbox, |each| spoken.push(each));
        self.spoken(spoken, outbox);
        let mut thoughts = Vec::new();
        self.mind.wake(outbox, |thought| thoughts.push(thought));
        self.thought(thoughts, outbox);
        if self.mind.wants_asking(now) && !self.spent {
            self.ask(outbox);
        }
    }

    pub(crate) fn backlog_max(&self) -> Duration {
        CASCADE_BACKLOG_MAX
    }

    pub(crate) fn words_to_cut(&self) -> usize {
        self.words_min
    }
}

fn tools(script: &Script) -> Vec<Tool> {
    let tools = script.tools.iter().map(|tool| Tool {
        function: Function {
            name: tool.name.clone(),
            description: (!tool.description.is_empty()).then(|| tool.description.clone()),
            parameters: serde_json::from_str(tool.schema()).ok(),
            strict: None,
        },
        ..Tool::default()
    });
    tools.collect()
}
