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

mod answer;
mod caller;
mod clauses;
mod ears;
mod history;
mod line;
mod links;
mod thought;
mod voice;

use std::collections::VecDeque;
use std::time::Duration;

use wire::groq::request::{Function, Tool, ToolCall};

use super::{Beginning, CutSentence, Event, Outbox};
use crate::agent::Script;
use crate::io::LinkEvent;
use crate::limits::{CASCADE_BACKLOG_MAX, ENGINE_READY_WITHIN, SAY_LATER_MAX};
use clauses::Clauses;
use ears::Ears;
use history::History;
use thought::Mind;
use voice::Voice;

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
    /// What the next request says about a conversation that is taken up.
    note: Option<String>,
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
            note: None,
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

    pub(crate) fn take_up(&mut self, note: &str, outbox: &mut Outbox<'_>) {
        self.note = Some(note.to_owned());
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
        let mut news = false;
        for sentence in sentences {
            news |= self.history.cut(&sentence.id, &sentence.heard_text);
        }
        // An answer that was begun early was told more than was heard: it is begun again.
        if let Some(words) = self.turn.as_ref().and_then(|turn| turn.early.clone()).filter(|_| news) {
            self.withdraw(outbox);
            self.early_count = self.early_count.saturating_sub(1);
            self.maybe_over(words, outbox);
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
