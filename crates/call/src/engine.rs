//! One vocabulary for all voice engines.
//!
//! An engine here is a codec and the rules of its vendor: it turns what comes over its links into [`Event`]s, and what
//! the call wants into messages. What differs between vendors stays inside its module. An engine decides nothing about
//! the phone, and dials nothing itself: a link that is lost ends it, and the call seats another.

mod hume;
mod openai;

use std::collections::VecDeque;
use std::time::Duration;

use crate::agent::{EngineKind, Script};
use crate::id::CallId;
use crate::io::{LinkId, LinkRequest, Output};
use crate::journal::{Expression, LinkCause, Speaker, Turn};
use crate::limits::{CONVERSATION_BYTES_MAX, DEAD_IDS_MAX};

/// What an engine reports.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// It is ready to listen and to speak.
    Ready {
        /// The vendor's id of this session.
        chat: Option<String>,
        /// The id by which the vendor lets the conversation be resumed.
        group: Option<String>,
    },
    /// The caller spoke over the agent, and the engine has stopped its turn.
    Interrupted,
    /// Words that the caller is saying right now. They may be corrected.
    CallerWords {
        /// So far.
        text: String,
    },
    /// The caller's turn is over.
    CallerTurn {
        /// Names the turn if its words follow later.
        item: Option<String>,
        /// When it was, in milliseconds of the audio this engine received.
        span_ms: Option<(u64, u64)>,
        /// The words, if they are known already.
        text: Option<String>,
        /// The strongest expressions in the voice.
        expressions: Vec<Expression>,
    },
    /// The words of an earlier turn of the caller.
    CallerText {
        /// The turn.
        item: String,
        /// Its words; empty if they could not be made out.
        text: String,
    },
    /// Words of the agent.
    Sentence {
        /// Names the sentence; its audio has the same id.
        id: String,
        /// The words.
        text: String,
        /// Whether they continue those that came before under this id.
        append: bool,
        /// Whether it says what it was asked to say, word for word.
        scripted: bool,
    },
    /// The words of a sentence are complete.
    SentenceEnd {
        /// Which.
        id: String,
    },
    /// The agent's voice.
    Audio {
        /// The sentence.
        id: String,
        /// 8 kHz.
        mulaw: Vec<u8>,
        /// Whether it says what the engine was asked to say, where that is known without the words.
        scripted: bool,
    },
    /// All of the agent's turn was sent.
    TurnSent,
    /// Audio of a turn that had been cut off was dropped.
    LateAudio {
        /// How much.
        length: Duration,
    },
    /// The model wants a tool.
    Tool {
        /// The engine's id of the request.
        id: String,
        /// Which tool.
        name: String,
        /// A JSON text, as the model wrote it.
        arguments: String,
    },
    /// Something went wrong, and the engine goes on.
    Trouble {
        /// Its own code.
        code: String,
        /// Its own words.
        message: String,
    },
    /// The engine is of no more use.
    Lost(LinkCause),
    /// A message could not be read.
    Malformed,
    /// A message is of a kind we do not know.
    Unknown,
}

/// Where an engine's events and messages go.
pub(crate) struct Outbox<'a> {
    pub(crate) seat: u32,
    pub(crate) out: &'a mut VecDeque<Output>,
    pub(crate) events: &'a mut VecDeque<Event>,
}

impl Outbox<'_> {
    fn open(&mut self, port: u8, request: LinkRequest) {
        self.out.push_back(Output::Open { link: LinkId { seat: self.seat, port }, request });
    }

    fn text(&mut self, port: u8, text: String) {
        self.out.push_back(Output::Send { link: LinkId { seat: self.seat, port }, text });
    }

    fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }
}

/// How an engine begins.
pub(crate) struct Beginning<'a> {
    /// The call: a vendor that takes a name for the session gets this one, and repeats it in its webhooks.
    pub(crate) call: CallId,
    /// The agent.
    pub(crate) script: &'a Script,
    /// What was said so far, as heard.
    pub(crate) history: &'a [Turn],
    /// The vendor's conversation to go on with.
    pub(crate) group: Option<String>,
}

/// What of a sentence was heard when it was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CutSentence {
    /// The engine's id.
    pub(crate) id: String,
    /// How much of its audio was heard.
    pub(crate) heard: Duration,
}

/// An engine at work.
#[derive(Debug)]
pub(crate) enum Engine {
    Hume(hume::Hume),
    OpenAi(openai::OpenAi),
}

macro_rules! each {
    ($self:ident, $engine:ident => $do:expr) => {
        match $self {
            Engine::Hume($engine) => $do,
            Engine::OpenAi($engine) => $do,
        }
    };
}

impl Engine {
    /// An engine that has yet to be dialled.
    pub(crate) fn new(kind: EngineKind, beginning: &Beginning<'_>) -> Self {
        match kind {
            EngineKind::Hume => Self::Hume(hume::Hume::new(beginning)),
            EngineKind::OpenAi => Self::OpenAi(openai::OpenAi::new(beginning)),
        }
    }

    /// Opens its links.
    pub(crate) fn dial(&mut self, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.dial(outbox));
    }

    /// A link is open.
    pub(crate) fn opened(&mut self, port: u8, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.opened(port, outbox));
    }

    /// A message came.
    pub(crate) fn receive(&mut self, port: u8, text: &str, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.receive(port, text, outbox));
    }

    /// Sends audio of the caller: mu-law, 8 kHz.
    pub(crate) fn hear(&mut self, mulaw: &[u8], outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.hear(mulaw, outbox));
    }

    /// Has the agent say exactly this.
    pub(crate) fn say(&mut self, text: &str, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.say(text, outbox));
    }

    /// Has the agent answer what the caller said last, which no engine has answered yet.
    pub(crate) fn answer(&mut self, words: &str, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.answer(words, outbox));
    }

    /// Replaces the instructions.
    pub(crate) fn instruct(&mut self, instructions: &str, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.instruct(instructions, outbox));
    }

    /// The caller pressed keys.
    pub(crate) fn key(&mut self, keys: &str, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.key(keys, outbox));
    }

    /// Answers a tool request.
    pub(crate) fn tool(&mut self, id: &str, answer: Result<&str, &str>, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.tool(id, answer, outbox));
    }

    /// The agent was cut off: these sentences were not heard to their end, and nothing more of them is wanted.
    pub(crate) fn cut(&mut self, sentences: &[CutSentence], outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.cut(sentences, outbox));
    }

    /// Nothing more of this sentence is wanted.
    pub(crate) fn forget(&mut self, id: &str) {
        each!(self, engine => engine.forget(id));
    }

    /// A link was closed: why, as far as the engine said so before.
    pub(crate) fn closed(&self, code: Option<u16>) -> LinkCause {
        each!(self, engine => engine.closed(code))
    }

    /// How long a session lasts at most.
    pub(crate) fn session_max(&self) -> Duration {
        each!(self, engine => engine.session_max())
    }
}

/// Ids of sentences of which nothing more is wanted. The oldest are forgotten first: their audio is long past.
#[derive(Debug, Default)]
struct DeadIds(VecDeque<String>);

impl DeadIds {
    fn add(&mut self, id: &str) {
        if !self.contains(id) {
            if self.0.len() == DEAD_IDS_MAX {
                self.0.pop_front();
            }
            self.0.push_back(id.to_owned());
        }
    }

    fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|dead| dead == id)
    }
}

/// What a model is told about a conversation that another session, or another engine, began.
fn conversation_so_far(history: &[Turn]) -> String {
    let mut text = String::from(
        "This conversation is already under way on the phone; the connection was renewed just now. Do not greet again and do not \
         mention the renewal. What was said so far, as the caller heard it:\n",
    );
    // The caller's words are quoted: they are what was said, not what the model is told to do.
    let mut said = VecDeque::new();
    let mut length = 0;
    for turn in history.iter().rev().filter(|turn| belongs_to_conversation(turn)) {
        let who = match turn.speaker {
            Speaker::Caller => "Caller",
            Speaker::Agent => "You",
        };
        let cut = if turn.interrupted { " [cut off by the caller]" } else { "" };
        let line = format!("{who}: \"{}\"{cut}\n", turn.heard_text.replace('"', "'"));
        length += line.len();
        if length > CONVERSATION_BYTES_MAX {
            break;
        }
        said.push_front(line);
    }
    text.extend(said);
    text
}

/// Whether a turn is part of what was said between caller and agent; our own lines are not.
fn belongs_to_conversation(turn: &Turn) -> bool {
    !turn.heard_text.trim().is_empty() && (turn.speaker == Speaker::Caller || turn.engine.is_some())
}
