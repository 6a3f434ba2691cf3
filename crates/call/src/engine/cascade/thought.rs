//! Groq: one request, one answer, word by word.
//!
//! Each answer is an HTTP request of its own with the whole conversation in it; to drop the connection is to stop the
//! answer. A request that fails is made again a bounded number of times; a tool call that the model garbled (Groq:
//! "Tool use", `tool_use_failed`) is asked for again with a cooler head, then without tools.

use std::time::{Duration, Instant};

use wire::Verdict;
use wire::groq::error::{ApiError, ErrorCode};
use wire::groq::reply::Reply;
use wire::groq::request::{ChatRequest, Message, ToolCall, ToolChoice, ToolChoiceMode};
use wire::groq::sse::SseReader;
use wire::groq::stream::StreamEvent;

use super::GO_ON;
use crate::engine::Outbox;
use crate::io::LinkRequest;
use crate::journal::LinkCause;
use crate::limits::{
    CASCADE_REDIAL_FIRST, GROQ_DRAINING_MAX, GROQ_FAILURES_MAX, GROQ_FIRST_WORD_WITHIN, GROQ_NEXT_WORD_WITHIN,
    GROQ_RETRY_AFTER_MAX,
};

/// How warm a second try at a garbled tool call is.
const COOLER: f64 = 0.2;

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Thought {
    /// More words of the answer.
    Words(String),
    /// The answer is complete, with what it asks for.
    Over {
        /// The tools.
        calls: Vec<ToolCall>,
    },
    /// It failed, and is asked for again at this time.
    Failed {
        /// When.
        again_at: Instant,
        /// Whether the vendor was at fault, and not the model's spelling.
        falters: bool,
        /// The vendor's code.
        code: String,
        /// The vendor's words.
        message: String,
    },
    /// It failed for good.
    GivenUp(LinkCause),
    /// A message that could not be read.
    Malformed,
    /// A message that came later than this program.
    Unknown,
}

/// The one who thinks: at most one request is being answered.
#[derive(Debug, Default)]
pub(super) struct Mind {
    asked: Option<Asked>,
    /// Requests whose answer was complete, and whose connection is not yet.
    draining: Vec<u32>,
    /// Failures since the last answer that was complete.
    failures: u32,
    garbled: u32,
    again_at: Option<Instant>,
}

#[derive(Debug)]
struct Asked {
    port: u32,
    reader: SseReader,
    reply: Reply,
    /// When the next of it must have come.
    by: Instant,
    /// Whether it goes on with an answer that broke off, of which nothing may be left.
    goes_on: bool,
}

impl Mind {
    pub(super) fn is(&self, port: u32) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.port == port) || self.draining.contains(&port)
    }

    /// Whether the last request failed, and no word of the next has come.
    pub(super) fn falters(&self) -> bool {
        self.failures > 0 && self.asked.as_ref().is_none_or(|asked| asked.reply.content.is_empty())
    }

    pub(super) fn ask(&mut self, port: u32, mut request: ChatRequest, outbox: &mut Outbox<'_>) {
        self.stop(outbox);
        match self.garbled {
            0 => {}
            1 => request.temperature = Some(COOLER),
            _ if request.tools.is_empty() => {}
            _ => request.tool_choice = Some(ToolChoice::Mode(ToolChoiceMode::None)),
        }
        outbox.open(port, LinkRequest::Groq(request.to_json()));
        let by = outbox.now + GROQ_FIRST_WORD_WITHIN;
        let goes_on = matches!(request.messages.last(), Some(Message::System { content }) if content == GO_ON);
        self.asked = Some(Asked { port, reader: SseReader::default(), reply: Reply::default(), by, goes_on });
    }

    /// Nobody wants the answer any more.
    pub(super) fn stop(&mut self, outbox: &mut Outbox<'_>) {
        self.again_at = None;
        if let Some(asked) = self.asked.take() {
            outbox.close(asked.port);
        }
    }

    /// Another answer begins: what went wrong with the last one is forgotten.
    pub(super) fn afresh(&mut self) {
        self.failures = 0;
        self.garbled = 0;
    }

    pub(super) fn hang_up(&mut self, outbox: &mut Outbox<'_>) {
        self.stop(outbox);
        for port in self.draining.drain(..) {
            outbox.close(port);
        }
    }

    /// More of an answer came.
    pub(super) fn receive(&mut self, port: u32, bytes: &[u8], outbox: &mut Outbox<'_>, mut each: impl FnMut(Thought)) {
        let Some(asked) = self.asked.as_mut().filter(|asked| asked.port == port) else { return };
        asked.by = outbox.now + GROQ_NEXT_WORD_WITHIN;
        let mut broken: Option<ApiError> = None;
        let mut done = false;
        let reply = &mut asked.reply;
        asked.reader.push(bytes, |event| {
            if broken.is_some() || done {
                return;
            }
            let Ok(event) = event.map(|event| StreamEvent::parse(&event)) else { return each(Thought::Malformed) };
            match event {
                Ok(StreamEvent::Chunk(chunk)) => {
                    if reply.add(&chunk).is_err() {
                        broken = Some(ApiError { message: "the answer is too long".to_owned(), ..ApiError::default() });
                    } else if !chunk.content().is_empty() {
                        each(Thought::Words(chunk.content().to_owned()));
                    }
                    if let Some(told) = &reply.error {
                        broken = Some(ApiError { message: told.clone(), ..ApiError::default() });
                    }
                    done |= reply.finish.is_some();
                }
                Ok(StreamEvent::Error(error)) => broken = Some(error),
                Ok(StreamEvent::Done) => done = true,
                Ok(StreamEvent::Unknown) => each(Thought::Unknown),
                Err(_) => each(Thought::Malformed),
            }
        });
        if let Some(error) = broken {
            return self.failed(&error, 0, None, outbox, each);
        }
        if done {
            self.over(outbox, each);
        }
    }

    fn over(&mut self, outbox: &mut Outbox<'_>, mut each: impl FnMut(Thought)) {
        let Some(Asked { port, reply, goes_on, .. }) = self.asked.take() else { return };
        // The connection is left to come to its own end: the next request can then use it.
        if self.draining.len() == GROQ_DRAINING_MAX {
            outbox.close(self.draining.remove(0));
        }
        self.draining.push(port);
        let calls = reply.tool_calls();
        if calls.is_empty() && reply.content.trim().is_empty() && !goes_on {
            let error = ApiError { message: "the model said nothing".to_owned(), ..ApiError::default() };
            return self.failed(&error, 0, None, outbox, each);
        }
        self.afresh();
        each(Thought::Over { calls });
    }

    /// The answer has come to its end, or broke off.
    pub(super) fn closed(&mut self, port: u32, outbox: &mut Outbox<'_>, each: impl FnMut(Thought)) {
        if let Some(index) = self.draining.iter().position(|draining| *draining == port) {
            self.draining.remove(index);
            return outbox.close(port);
        }
        let error = ApiError { message: "the answer broke off".to_owned(), ..ApiError::default() };
        self.failed(&error, 0, None, outbox, each);
    }

    /// The request was answered with something else than success.
    pub(super) fn rejected(
        &mut self,
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
        outbox: &mut Outbox<'_>,
        each: impl FnMut(Thought),
    ) {
        self.failed(&ApiError::parse(body), status, retry_after, outbox, each);
    }

    /// There was no way to the vendor.
    pub(super) fn unreachable(&mut self, why: LinkCause, outbox: &mut Outbox<'_>, mut each: impl FnMut(Thought)) {
        match why {
            LinkCause::Dns | LinkCause::Tls => {
                self.stop(outbox);
                each(Thought::GivenUp(why));
            }
            LinkCause::Status { .. }
            | LinkCause::Timeout
            | LinkCause::Unreachable
            | LinkCause::Closed { .. }
            | LinkCause::Stalled
            | LinkCause::Failed { .. }
            | LinkCause::RolledOver => {
                let error = ApiError { message: "Groq cannot be reached".to_owned(), ..ApiError::default() };
                self.failed(&error, 0, None, outbox, each);
            }
        }
    }

    fn failed(
        &mut self,
        error: &ApiError,
        status: u16,
        retry_after: Option<Duration>,
        outbox: &mut Outbox<'_>,
        mut each: impl FnMut(Thought),
    ) {
        self.stop(outbox);
        let code = error.code.clone().unwrap_or_else(|| match status {
            0 => "broken_off".to_owned(),
            status => status.to_string(),
        });
        let message = error.message.clone();
        let given_up = match status {
            0 => LinkCause::Failed { code: code.clone() },
            status => LinkCause::Status { status },
        };
        let garbled = error.known_code() == Some(ErrorCode::ToolUseFailed);
        let verdict = if status == 0 && !garbled { Verdict::Retry } else { error.verdict(status) };
        let pause = match (verdict, retry_after) {
            (Verdict::Refused, _) => return each(Thought::GivenUp(given_up)),
            (_, Some(pause)) if pause > GROQ_RETRY_AFTER_MAX => return each(Thought::GivenUp(given_up)),
            (_, Some(pause)) => pause,
            // Too much at once, and no word of when it is less: another engine is quicker.
            (Verdict::OverLimit, None) => return each(Thought::GivenUp(given_up)),
            (Verdict::Retry, None) if self.failures == 0 => Duration::ZERO,
            (Verdict::Retry, None) => CASCADE_REDIAL_FIRST * self.failures,
        };
        if garbled {
            self.garbled += 1;
        } else {
            self.failures += 1;
        }
        if self.failures > GROQ_FAILURES_MAX || self.garbled > GROQ_FAILURES_MAX {
            return each(Thought::GivenUp(given_up));
        }
        let again_at = outbox.now + pause;
        self.again_at = Some(again_at);
        each(Thought::Failed { again_at, falters: !garbled, code, message });
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.again_at.or_else(|| self.asked.as_ref().map(|asked| asked.by))
    }

    /// Whether the request is to be made again now.
    pub(super) fn wants_asking(&self, now: Instant) -> bool {
        self.again_at.is_some_and(|at| at <= now)
    }

    /// Gives up on an answer of which nothing came in time.
    pub(super) fn wake(&mut self, outbox: &mut Outbox<'_>, each: impl FnMut(Thought)) {
        if self.asked.as_ref().is_some_and(|asked| asked.by <= outbox.now) {
            let error = ApiError { code: Some("stalled".to_owned()), ..ApiError::default() };
            self.failed(&error, 0, None, outbox, each);
        }
    }
}
