//! Cartesia: the agent's words up, the agent's voice down, as the phone's own mu-law.
//!
//! One socket carries one context at a time: all pieces of a turn, as long as they come fast enough. A context ends a
//! second after its last audio (Cartesia: "Contexts"), so words that come late get a context of their own. Words come with
//! their times: what was spoken of a context that dies is known to the word, and only the rest is said again.

mod context;

use std::time::{Duration, Instant};

use wire::cartesia::client::{ClientMessage, Generate, GenerationConfig};
use wire::cartesia::error::Fault;
use wire::cartesia::server::ServerMessage;

use super::line::{Fate, Line};
use crate::agent::Script;
use crate::engine::Outbox;
use crate::io::LinkRequest;
use crate::journal::LinkCause;
use crate::limits::{CARTESIA_IDLE_MAX, CASCADE_VOICE_FAILURES_MAX, SAMPLES_PER_MS};
use crate::turn::WordEnd;
use context::Context;

/// What came of the voice.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spoken {
    /// A piece was handed to the voice.
    Words {
        /// The context.
        id: String,
        /// The piece.
        text: String,
    },
    /// Audio.
    Audio {
        /// The context.
        id: String,
        /// 8 kHz.
        mulaw: Vec<u8>,
    },
    /// When words end.
    Ends {
        /// The context.
        id: String,
        /// One per word that was found in the text.
        words: Vec<WordEnd>,
    },
    /// The context broke off: so much of its text was spoken.
    BrokeOff {
        /// The context.
        id: String,
        /// What was spoken.
        spoken: String,
    },
    /// All of a context's text is in the voice's hands.
    WordsEnd {
        /// The context.
        id: String,
    },
    /// All that there was to say was said.
    Done,
    /// Audio of a context that nobody wants any more.
    Late(Duration),
    /// Something went wrong.
    Trouble {
        /// The vendor's code.
        code: String,
        /// The vendor's words.
        message: String,
    },
    /// The voice is of no more use.
    Failed(LinkCause),
    /// A message that could not be read.
    Malformed,
    /// A message that came later than this program.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Voice {
    pub(super) line: Line,
    form: Generate,
    names: String,
    count: u32,
    context: Option<Context>,
    /// Words that wait for a context.
    waiting: String,
    /// Whether nothing follows what waits.
    complete: bool,
    /// Contexts in a row that gave no sound.
    failures: u32,
    /// When words that wait may be tried again.
    again_at: Option<Instant>,
    used_at: Option<Instant>,
}

impl Voice {
    /// `names` makes its contexts' names unique within the call.
    pub(super) fn new(script: &Script, names: String) -> Self {
        let cascade = &script.cascade;
        let mut form = Generate::telephone(cascade.voice_model.clone(), cascade.voice.clone());
        // We hand over whole clauses: nothing is gained by the vendor's own waiting.
        form.max_buffer_delay_ms = Some(0);
        form.generation_config = cascade
            .speed
            .map(|speed| GenerationConfig { speed: Some(f64::from(speed)), ..GenerationConfig::default() });
        let mut voice = Self {
            line: Line::new(),
            form,
            names,
            count: 0,
            context: None,
            waiting: String::new(),
            complete: false,
            failures: 0,
            again_at: None,
            used_at: None,
        };
        voice.speak(&script.language);
        voice
    }

    /// The language of the contexts that are yet to come.
    pub(super) fn speak(&mut self, language: &str) {
        self.form.language = language.split(['-', '_']).next().map(str::to_ascii_lowercase);
    }

    pub(super) fn dial(&mut self, port: u32, within: Duration, outbox: &mut Outbox<'_>) {
        self.line.dial(port, LinkRequest::Cartesia, within, outbox);
    }

    /// Whether a context is at work, or words wait for one.
    pub(super) fn is_busy(&self) -> bool {
        self.context.is_some() || !self.waiting.trim().is_empty()
    }

    /// Whether its contexts have died lately.
    pub(super) fn falters(&self) -> bool {
        self.failures > 0
    }

    /// Says more; and more follows.
    pub(super) fn say(&mut self, text: &str, outbox: &mut Outbox<'_>, each: impl FnMut(Spoken)) {
        self.waiting.push_str(text);
        self.hand_over(outbox, each);
    }

    /// Says the last of it: nothing follows.
    pub(super) fn end(&mut self, text: &str, outbox: &mut Outbox<'_>, each: impl FnMut(Spoken)) {
        self.waiting.push_str(text);
        self.complete = true;
        self.hand_over(outbox, each);
    }

    /// Hands what waits to a context, if it can be.
    pub(super) fn hand_over(&mut self, outbox: &mut Outbox<'_>, mut each: impl FnMut(Spoken)) {
        let Some(port) = self.line.open_port() else { return };
        if self.again_at.is_some_and(|at| at > outbox.now) {
            return;
        }
        self.again_at = None;
        self.end_if_stale(outbox, &mut each);
        let text = std::mem::take(&mut self.waiting);
        let silent = text.trim().is_empty();
        match &mut self.context {
            None if silent => {
                if std::mem::take(&mut self.complete) {
                    each(Spoken::Done);
                }
                return;
            }
            None => {
                self.count += 1;
                let id = format!("{}.{}", self.names, self.count);
                let now = outbox.now;
                let context = Context {
                    id: id.clone(),
                    text: text.clone(),
                    aligned: 0,
                    words: Vec::new(),
                    audio: 0,
                    begun_at: now,
                    moved_at: now,
                    closed: self.complete,
                };
                self.context = Some(context);
                let message = if self.complete { self.form.last(&id, &text) } else { self.form.more(&id, &text) };
                outbox.text(port, written(message));
                each(Spoken::Words { id: id.clone(), text });
                if self.complete {
                    each(Spoken::WordsEnd { id });
                }
            }
            // It was closed: what came since waits until it is done.
            Some(context) if context.closed => self.waiting = text,
            Some(context) => {
                if self.complete {
                    context.closed = true;
                    context.moved_at = outbox.now;
                    context.text.push_str(&text);
                    outbox.text(port, written(self.form.last(&context.id, &text)));
                    if !silent {
                        each(Spoken::Words { id: context.id.clone(), text });
                    }
                    each(Spoken::WordsEnd { id: context.id.clone() });
                } else if !silent {
                    context.moved_at = outbox.now;
                    context.text.push_str(&text);
                    outbox.text(port, written(self.form.more(&context.id, &text)));
                    each(Spoken::Words { id: context.id.clone(), text });
                } else {
                    self.waiting = text;
                }
            }
        }
        self.used_at = Some(outbox.now);
    }

    /// Nothing more of this is wanted: neither of what is being spoken nor of what waits.
    pub(super) fn cancel(&mut self, outbox: &mut Outbox<'_>) {
        self.waiting.clear();
        self.complete = false;
        self.again_at = None;
        self.cancel_context(outbox);
    }

    fn cancel_context(&mut self, outbox: &mut Outbox<'_>) {
        if let (Some(context), Some(port)) = (self.context.take(), self.line.open_port()) {
            outbox.text(port, ClientMessage::cancel(&context.id).to_json());
        }
    }

    pub(super) fn receive(&mut self, text: &str, outbox: &mut Outbox<'_>, mut each: impl FnMut(Spoken)) {
        let Ok(message) = ServerMessage::parse(text) else { return each(Spoken::Malformed) };
        self.used_at = Some(outbox.now);
        let ours = self.context.as_mut().filter(|context| message.context_id() == Some(context.id.as_str()));
        match (message, ours) {
            (ServerMessage::Chunk(chunk), ours) => {
                let mut mulaw = Vec::new();
                if chunk.decode(&mut mulaw).is_err() {
                    return each(Spoken::Malformed);
                }
                let Some(context) = ours else {
                    return each(Spoken::Late(Duration::from_millis(mulaw.len() as u64 / SAMPLES_PER_MS)));
                };
                context.audio += mulaw.len() as u64;
                context.moved_at = outbox.now;
                self.failures = 0;
                each(Spoken::Audio { id: context.id.clone(), mulaw });
            }
            (ServerMessage::Timestamps(times), Some(context)) => {
                let words = context.align(&times.word_timestamps.unwrap_or_default());
                if !words.is_empty() {
                    each(Spoken::Ends { id: context.id.clone(), words });
                }
            }
            (ServerMessage::Done(_), Some(_)) => {
                self.context = None;
                self.hand_over(outbox, each);
            }
            (ServerMessage::Error(fault), ours) => {
                let about_ours = ours.is_some() || fault.context_id.is_none() && self.context.is_some();
                self.fault(&fault, about_ours, outbox, each);
            }
            (ServerMessage::Unknown(_), _) => each(Spoken::Unknown),
            (
                ServerMessage::Timestamps(_)
                | ServerMessage::PhonemeTimestamps(_)
                | ServerMessage::FlushDone(_)
                | ServerMessage::Done(_),
                _,
            ) => {}
        }
    }

    fn fault(&mut self, fault: &Fault, ours: bool, outbox: &mut Outbox<'_>, mut each: impl FnMut(Spoken)) {
        let code = fault.error_code.clone().unwrap_or_else(|| fault.status_code.to_string());
        each(Spoken::Trouble { code: code.clone(), message: fault.text() });
        if fault.verdict() == wire::Verdict::Refused && fault.status_code != 400 {
            return each(Spoken::Failed(LinkCause::Failed { code }));
        }
        if ours {
            // An error ends the context: there is nothing to cancel.
            self.broke_off(&mut each);
            self.failed(LinkCause::Failed { code }, outbox, each);
        }
    }

    /// A context gave up: what it has not spoken is said again, a bounded number of times.
    fn failed(&mut self, why: LinkCause, outbox: &mut Outbox<'_>, mut each: impl FnMut(Spoken)) {
        self.failures += 1;
        if self.failures > CASCADE_VOICE_FAILURES_MAX {
            return each(Spoken::Failed(why));
        }
        self.again_at = Some(outbox.now + crate::limits::CASCADE_REDIAL_FIRST * self.failures);
    }

    /// What the context has not spoken waits again.
    fn broke_off(&mut self, each: &mut impl FnMut(Spoken)) {
        let Some(context) = self.context.take() else { return };
        let spoken = context.spoken().to_owned();
        let rest = context.text[spoken.len()..].trim_start();
        self.waiting = format!("{rest}{}", self.waiting);
        each(Spoken::BrokeOff { id: context.id, spoken });
    }

    /// The socket is gone, and its contexts with it.
    pub(super) fn lost(&mut self, why: LinkCause, outbox: &mut Outbox<'_>, mut each: impl FnMut(Spoken)) -> Fate {
        self.broke_off(&mut each);
        self.again_at = None;
        let hopeless = match &why {
            LinkCause::Status { status } => wire::Verdict::of_status(*status) == wire::Verdict::Refused,
            LinkCause::Closed { code } => !wire::cartesia::error::is_worth_redialling(*code),
            LinkCause::Dns | LinkCause::Tls => true,
            LinkCause::Timeout
            | LinkCause::Unreachable
            | LinkCause::Stalled
            | LinkCause::Failed { .. }
            | LinkCause::RolledOver => false,
        };
        self.line.lost(why, hopeless, outbox)
    }

    /// Whether the socket has been idle for so long that the vendor is about to close it.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        !self.is_busy()
            && self.line.open_port().is_some()
            && self.used_at.is_some_and(|at| now >= at + CARTESIA_IDLE_MAX)
    }

    pub(super) fn opened(&mut self, outbox: &mut Outbox<'_>, each: impl FnMut(Spoken)) {
        self.line.opened();
        self.line.steady();
        self.used_at = Some(outbox.now);
        self.hand_over(outbox, each);
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        let idle = self.used_at.filter(|_| !self.is_busy() && self.line.open_port().is_some());
        let stall = self.context.as_ref().and_then(Context::due);
        let stale = self.context.as_ref().and_then(Context::goes_stale).filter(|_| self.line.open_port().is_some());
        let idle = idle.map(|at| at + CARTESIA_IDLE_MAX);
        [self.line.next_due(), idle, stall, stale, self.again_at].into_iter().flatten().min()
    }

    /// Says again what waits, ends a context to which nothing was added for long, and gives one up that has fallen silent.
    pub(super) fn wake(&mut self, outbox: &mut Outbox<'_>, mut each: impl FnMut(Spoken)) {
        let silent = self.context.as_ref().and_then(Context::due).is_some_and(|due| due <= outbox.now);
        if silent {
            if let (Some(context), Some(port)) = (&self.context, self.line.open_port()) {
                outbox.text(port, ClientMessage::cancel(&context.id).to_json());
            }
            self.broke_off(&mut each);
            self.failed(LinkCause::Stalled, outbox, &mut each);
        }
        self.end_if_stale(outbox, &mut each);
        if self.again_at.is_some_and(|at| at <= outbox.now) {
            self.again_at = None;
            self.hand_over(outbox, each);
        }
    }
}

impl Voice {
    /// Words that come late get a context of their own: the vendor ends this one at any moment, and would refuse them.
    fn end_if_stale(&mut self, outbox: &mut Outbox<'_>, each: &mut impl FnMut(Spoken)) {
        let Some(port) = self.line.open_port() else { return };
        let stale = |context: &&mut Context| context.goes_stale().is_some_and(|at| at <= outbox.now);
        let Some(context) = self.context.as_mut().filter(stale) else { return };
        context.closed = true;
        context.moved_at = outbox.now;
        outbox.text(port, written(self.form.last(&context.id, "")));
        each(Spoken::WordsEnd { id: context.id.clone() });
    }
}

fn written(generate: Generate) -> String {
    ClientMessage::Generate(Box::new(generate)).to_json()
}
