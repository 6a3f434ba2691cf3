//! One vocabulary for all voice engines.
//!
//! An engine here is a codec and the rules of its vendor: it turns what comes over its links into [`Event`]s, and what
//! the call wants into messages. What differs between vendors stays inside its module. An engine decides nothing about
//! the phone, and dials nothing itself: a link that is lost ends it, and the call seats another.

mod cascade;
mod conversation;
mod hume;
mod openai;

pub(crate) use conversation::TakeUp;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::agent::{EngineKind, Script};
use crate::id::CallId;
use crate::io::{LinkEvent, LinkId, LinkRequest, Output};
use crate::journal::{Expression, LinkCause, Turn};
use crate::limits::{CATCH_UP_FRAMES, DEAD_IDS_MAX, ENGINE_MESSAGE_BYTES_MAX, UPWARD_KEPT_MAX};
use crate::turn::WordEnd;

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
    /// When words of a sentence are spoken, in their order: what was heard is then known exactly.
    WordEnds {
        /// The sentence.
        id: String,
        /// One per word.
        words: Vec<WordEnd>,
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
    /// A part of the engine failed, and the engine is getting it back by itself.
    Faltering,
    /// It has it back.
    Steady,
    /// The caller speaks another language from now on.
    Language {
        /// A BCP 47 tag.
        tag: String,
    },
    /// The engine is of no more use.
    Lost(LinkCause),
    /// A message could not be read.
    Malformed,
    /// A message is of a kind we do not know.
    Unknown,
}

/// Where an engine's events and messages go, and what it may know of the call.
pub(crate) struct Outbox<'a> {
    pub(crate) seat: u32,
    pub(crate) now: Instant,
    /// How much of the agent's voice the caller has yet to hear.
    pub(crate) unplayed: Duration,
    pub(crate) out: &'a mut VecDeque<Output>,
    pub(crate) events: &'a mut VecDeque<Event>,
}

impl Outbox<'_> {
    fn open(&mut self, port: u32, request: LinkRequest) {
        self.out.push_back(Output::Open { link: LinkId { seat: self.seat, port }, request });
    }

    fn text(&mut self, port: u32, text: String) {
        self.out.push_back(Output::Send { link: LinkId { seat: self.seat, port }, text });
    }

    fn binary(&mut self, port: u32, bytes: Bytes) {
        self.out.push_back(Output::SendBinary { link: LinkId { seat: self.seat, port }, bytes });
    }

    fn close(&mut self, port: u32) {
        self.out.push_back(Output::Close { link: LinkId { seat: self.seat, port } });
    }

    fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }
}

/// How an engine begins.
pub(crate) struct Beginning<'a> {
    /// The call: a vendor that takes a name for the session gets this one, and repeats it in its webhooks.
    pub(crate) call: CallId,
    /// The seat, which tells apart what the same call asks of the same vendor twice.
    pub(crate) seat: u32,
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
    /// Which of its words.
    pub(crate) heard_text: String,
}

/// An engine at work.
#[derive(Debug)]
pub(crate) enum Engine {
    Hume(hume::Hume),
    OpenAi(openai::OpenAi),
    Cascade(Box<cascade::Cascade>),
}

macro_rules! each {
    ($self:ident, $engine:ident => $do:expr) => {
        match $self {
            Engine::Hume($engine) => $do,
            Engine::OpenAi($engine) => $do,
            Engine::Cascade($engine) => $do,
        }
    };
}

impl Engine {
    /// An engine that has yet to be dialled.
    pub(crate) fn new(kind: EngineKind, beginning: &Beginning<'_>) -> Self {
        match kind {
            EngineKind::Hume => Self::Hume(hume::Hume::new(beginning)),
            EngineKind::OpenAi => Self::OpenAi(openai::OpenAi::new(beginning)),
            EngineKind::Cascade => Self::Cascade(Box::new(cascade::Cascade::new(beginning))),
        }
    }

    /// Opens its links.
    pub(crate) fn dial(&mut self, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.dial(outbox));
    }

    /// Something happened on one of its links.
    pub(crate) fn link(&mut self, port: u32, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
        match self {
            Self::Hume(hume) => socket_event(hume, port, event, outbox),
            Self::OpenAi(openai) => socket_event(openai, port, event, outbox),
            Self::Cascade(cascade) => cascade.link(port, event, outbox),
        }
    }

    /// Closes all its links, whatever state they are in.
    pub(crate) fn hang_up(&mut self, outbox: &mut Outbox<'_>) {
        match self {
            Self::Hume(_) | Self::OpenAi(_) => outbox.close(SOCKET),
            Self::Cascade(cascade) => cascade.hang_up(outbox),
        }
    }

    /// When it wants to be woken.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Hume(_) | Self::OpenAi(_) => None,
            Self::Cascade(cascade) => cascade.next_due(),
        }
    }

    /// The time of [`Engine::next_due`] has come.
    pub(crate) fn wake(&mut self, outbox: &mut Outbox<'_>) {
        match self {
            Self::Hume(_) | Self::OpenAi(_) => {}
            Self::Cascade(cascade) => cascade.wake(outbox),
        }
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

    /// Has the agent go on by itself with a conversation that was disturbed.
    pub(crate) fn take_up(&mut self, how: &TakeUp, outbox: &mut Outbox<'_>) {
        each!(self, engine => engine.take_up(&how.note(), outbox));
    }

    /// Replaces the instructions.
    pub(crate) fn instruct(&mut self, instructions: &str, outbox: &mut Outbox<'_>) {
        match self {
            Self::Hume(hume) => hume.instruct(instructions, outbox),
            Self::OpenAi(openai) => openai.instruct(instructions, outbox),
            Self::Cascade(cascade) => cascade.instruct(instructions),
        }
    }

    /// The caller speaks this language from now on, a BCP 47 tag, and the agent shall too.
    pub(crate) fn speak(&mut self, language: &str) {
        match self {
            // EVI answers in the language it hears, if its configuration lets it; OpenAI reports none.
            Self::Hume(_) | Self::OpenAi(_) => {}
            Self::Cascade(cascade) => cascade.speak(language),
        }
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
        match self {
            Self::Hume(hume) => hume.forget(id),
            Self::OpenAi(openai) => openai.forget(id),
            // It has no sentence of its own accord that a call would not want.
            Self::Cascade(_) => {}
        }
    }

    /// How much of what the caller said while nobody listened it can take in at once.
    pub(crate) fn backlog_max(&self) -> Duration {
        match self {
            Self::Hume(_) | Self::OpenAi(_) => UPWARD_KEPT_MAX,
            Self::Cascade(cascade) => cascade.backlog_max(),
        }
    }

    /// How many frames of what the caller said while nobody listened go up in the time of one.
    pub(crate) fn frames_at_once(&self) -> usize {
        match self {
            // Nothing is published about how far ahead of real time audio may be sent.
            Self::Hume(_) => CATCH_UP_FRAMES,
            // OpenAI's clock is the audio itself (OpenAI: "input_audio_buffer.append"); the cascade is given little at once.
            Self::OpenAi(_) | Self::Cascade(_) => usize::MAX,
        }
    }

    /// How many words of the caller it takes to cut off what the engine has already sent.
    pub(crate) fn words_to_cut(&self) -> usize {
        match self {
            Self::Hume(_) | Self::OpenAi(_) => 1,
            Self::Cascade(cascade) => cascade.words_to_cut(),
        }
    }

    /// Whether it has already tried, for as long as it may, to come back by itself.
    pub(crate) fn is_spent(&self) -> bool {
        match self {
            Self::Hume(_) | Self::OpenAi(_) => false,
            Self::Cascade(cascade) => cascade.is_spent(),
        }
    }

    /// How long a session lasts at most, if it has an end.
    pub(crate) fn session_max(&self) -> Option<Duration> {
        match self {
            Self::Hume(hume) => Some(hume.session_max()),
            Self::OpenAi(openai) => Some(openai.session_max()),
            // No vendor of the three publishes a limit.
            Self::Cascade(_) => None,
        }
    }
}

/// The one link of an engine that needs no more.
const SOCKET: u32 = 0;

/// An engine that is one WebSocket.
trait OneSocket {
    fn opened(&mut self, outbox: &mut Outbox<'_>);
    fn receive(&mut self, text: &str, outbox: &mut Outbox<'_>);
    /// Why the socket was closed, as far as the engine said so before.
    fn closed(&self, code: Option<u16>) -> LinkCause;
}

fn socket_event(engine: &mut impl OneSocket, port: u32, event: LinkEvent<'_>, outbox: &mut Outbox<'_>) {
    debug_assert_eq!(port, SOCKET, "the engine opened no other");
    match event {
        LinkEvent::Opened => engine.opened(outbox),
        LinkEvent::Text(text) if text.len() <= ENGINE_MESSAGE_BYTES_MAX => engine.receive(text, outbox),
        LinkEvent::Text(_) | LinkEvent::Binary | LinkEvent::Body(_) | LinkEvent::Ended => {
            outbox.event(Event::Malformed);
        }
        LinkEvent::Refused(why) => outbox.event(Event::Lost(why)),
        LinkEvent::Rejected { status, .. } => outbox.event(Event::Lost(LinkCause::Status { status })),
        LinkEvent::Lost(code) => outbox.event(Event::Lost(engine.closed(code))),
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
