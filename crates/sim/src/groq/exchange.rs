//! One request and its stream: what is sent when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::groq::error::ApiError;
use wire::groq::request::{ChatRequest, FunctionKind};
use wire::groq::stream::{
    ChatChunk, Choice, Delta, FinishReason, FunctionDelta, StreamEvent, ToolCallDelta, Usage, XGroq,
};

use super::config::{GroqConfig, Outcome, Record};
use super::fault::{FaultCounts, Mishap, Moment};
use super::mind;
use crate::evi::Out;
use crate::line::{Line, Special, letters};

/// One request and its stream.
pub(crate) struct Exchange {
    pub(crate) line: Line,
    pub(crate) record: Record,
    steps: VecDeque<(Instant, Step)>,
    /// Whether the next piece is larger than 1 MiB.
    huge: bool,
}

/// One thing that is sent.
enum Step {
    /// Words, as the stream says them.
    Words(String, String),
    /// Anything else of the stream.
    Text(String),
    /// The nth sentence begins, for faults.
    Sentence(u32),
    /// That was all.
    End { done: bool },
}

impl Exchange {
    pub(crate) fn begin(
        config: &GroqConfig,
        opened: Instant,
        request: ChatRequest,
        fate: Vec<(Moment, Mishap)>,
        outcome: Option<Outcome>,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let reply = mind::reply(&request, &config.language);
        let text = reply.text();
        let head = ChatChunk {
            id: format!("chatcmpl-{}", crate::line::uuid(rng)),
            object: "chat.completion.chunk".to_owned(),
            created: config.created_unix_s,
            model: request.model.clone(),
            system_fingerprint: Some("fp_sim".to_owned()),
            ..ChatChunk::default()
        };
        let mut script = Script { config, head, at: opened + config.queue, steps: VecDeque::new(), rng };
        let tool = reply.tool.map(|tool| (tool.name.to_owned(), tool.arguments.to_string()));
        script.write(&request, &text, tool.as_ref(), outcome);
        let steps = script.steps;
        let record = Record { request, reply: text, tool: tool.map(|(name, _)| name), ..Record::default() };
        Self { line: Line::open(opened, fate), record, steps, huge: false }
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.steps.front().map(|(due, _)| *due)
    }

    pub(crate) fn poll(&mut self, counts: &mut FaultCounts, now: Instant) -> Option<Out> {
        while !self.line.is_over() && !self.line.has_out() {
            let due = [self.next_due(), self.line.next_fault()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= now) else { break };
            if let Some(mishap) = self.line.take_fault(due) {
                self.suffer(counts, due, &mishap);
            } else if let Some((_, step)) = self.steps.pop_front() {
                self.step(due, step);
            }
        }
        self.line.next(now)
    }

    fn step(&mut self, now: Instant, step: Step) {
        match step {
            Step::Words(words, text) => {
                self.record.sent.push_str(&words);
                self.send(text);
            }
            Step::Text(text) => self.send(text),
            Step::Sentence(number) => {
                self.line.reached(now, |moment| {
                    matches!(moment, Moment::Sentence { nth, .. } | Moment::Spoken { nth, .. } if *nth == number)
                });
            }
            Step::End { done } => {
                self.record.done = done;
                self.line.close(now, 1000, "");
            }
        }
    }

    fn send(&mut self, text: String) {
        if std::mem::take(&mut self.huge) {
            self.line.push(format!(": {}\n", "-".repeat(1_200_000)));
        }
        self.line.push(text);
    }

    pub(crate) fn suffer(&mut self, counts: &mut FaultCounts, now: Instant, mishap: &Mishap) {
        // The words that stand for these on a WebSocket mean nothing in a stream of events.
        let text = match mishap {
            Mishap::MalformedJson => Some("data: {\"id\":\n\n".to_owned()),
            Mishap::UnknownType => Some("event: metrics\ndata: {\"load\":1}\n\n".to_owned()),
            Mishap::BinaryFrame => Some("data: \u{0}\u{FFFD}\n\n".to_owned()),
            Mishap::Drop
            | Mishap::Close { .. }
            | Mishap::Stall(_)
            | Mishap::HugeAudio
            | Mishap::LateAudio(_)
            | Mishap::FailedTurn => None,
        };
        if let Some(text) = text {
            *counts.entry(mishap.name()).or_default() += 1;
            return self.line.push(text);
        }
        match self.line.suffer(counts, now, mishap) {
            Some(Special::Huge) => self.huge = true,
            Some(Special::Failed) => {
                self.line.push(StreamEvent::Error(failure()).to_sse());
                self.line.close(now, 1000, "");
            }
            // What was stopped is gone with its connection.
            Some(Special::Late(_)) | None => {}
        }
    }
}

fn failure() -> ApiError {
    let (message, kind) = ("the model failed".to_owned(), "internal_server_error".to_owned());
    ApiError { message, kind, ..ApiError::default() }
}

/// A stream under construction.
struct Script<'s> {
    config: &'s GroqConfig,
    head: ChatChunk,
    at: Instant,
    steps: VecDeque<(Instant, Step)>,
    rng: &'s mut fastrand::Rng,
}

impl Script<'_> {
    fn write(&mut self, request: &ChatRequest, text: &str, tool: Option<&(String, String)>, outcome: Option<Outcome>) {
        let id = format!("req_{}", letters(self.rng, 26).to_lowercase());
        let first = Delta { role: Some("assistant".to_owned()), content: Some(String::new()), ..Delta::default() };
        let mut chunk = self.chunk(first, None);
        chunk.x_groq = Some(XGroq { id: Some(id.clone()), ..XGroq::default() });
        self.push(&chunk);
        if self.config.comments {
            self.steps.push_back((self.at, Step::Text(": waiting\n\n".to_owned())));
        }
        self.at += self.config.first_token;
        if self.config.reasons && request.include_reasoning != Some(false) && request.reasoning_effort.is_some() {
            for thought in ["The caller ", "wants something."] {
                let delta = Delta { reasoning: Some(thought.to_owned()), ..Delta::default() };
                let chunk = self.chunk(delta, None);
                self.push(&chunk);
                self.at += self.config.token_every;
            }
        }
        let limit = request.max_completion_tokens;
        let (mut tokens, mut sentences) = (0, 0);
        for sentence in text.split_inclusive(['.', '?', '!']) {
            sentences += 1;
            self.steps.push_back((self.at, Step::Sentence(sentences)));
            for token in self.tokens(sentence) {
                match outcome {
                    Some(Outcome::ErrorObject(after)) if tokens >= after => {
                        return self.end_with(StreamEvent::Error(failure()).to_sse());
                    }
                    Some(Outcome::ErrorEvent(after)) if tokens >= after => {
                        return self.end_with(StreamEvent::error_event(&failure()));
                    }
                    Some(Outcome::ErrorInChunk(after)) if tokens >= after => {
                        let mut chunk = self.chunk(Delta::default(), Some(FinishReason::Stop));
                        let error = Some("over capacity".to_owned());
                        chunk.x_groq = Some(XGroq { id: Some(id), error, ..XGroq::default() });
                        self.push(&chunk);
                        return self.end(true);
                    }
                    Some(Outcome::TooLong(after)) if tokens >= after => {
                        return self.finish(id, FinishReason::Length, tokens, true);
                    }
                    _ if limit.is_some_and(|limit| tokens >= limit) => {
                        return self.finish(id, FinishReason::Length, tokens, true);
                    }
                    _ => {}
                }
                tokens += 1;
                let chunk = self.chunk(Delta { content: Some(token.clone()), ..Delta::default() }, None);
                let text = StreamEvent::Chunk(Box::new(chunk)).to_sse();
                self.steps.push_back((self.at, Step::Words(token, text)));
                self.at += self.config.token_every;
            }
        }
        if let Some((name, arguments)) = tool {
            let broken = outcome == Some(Outcome::BrokenArguments);
            let arguments = if broken { &arguments[..arguments.len() / 2] } else { arguments };
            self.call(name, arguments);
        }
        let finish = if tool.is_some() { FinishReason::ToolCalls } else { FinishReason::Stop };
        self.finish(id, finish, tokens, outcome != Some(Outcome::NoDone));
    }

    fn call(&mut self, name: &str, arguments: &str) {
        let id = format!("call_{}", letters(self.rng, 24));
        let pieces: Vec<String> =
            if self.config.splits_arguments { self.tokens(arguments) } else { vec![arguments.to_owned()] };
        for (at, piece) in pieces.into_iter().enumerate() {
            let first = at == 0;
            let function = FunctionDelta { name: first.then(|| name.to_owned()), arguments: Some(piece) };
            let call = ToolCallDelta {
                index: 0,
                id: first.then(|| id.clone()),
                kind: first.then_some(FunctionKind::Function),
                function: Some(function),
            };
            let chunk = self.chunk(Delta { tool_calls: vec![call], ..Delta::default() }, None);
            self.push(&chunk);
            self.at += self.config.token_every;
        }
    }

    /// Pieces of odd sizes, all of the text together.
    fn tokens(&mut self, text: &str) -> Vec<String> {
        let (least, most) = (self.config.token_chars.start.max(1), self.config.token_chars.end.max(2));
        let mut letters = text.chars().peekable();
        let mut tokens = Vec::new();
        while letters.peek().is_some() {
            let length = self.rng.usize(least..most.max(least + 1));
            tokens.push(letters.by_ref().take(length).collect());
        }
        tokens
    }

    fn finish(&mut self, id: String, reason: FinishReason, tokens: u32, done: bool) {
        let completion_tokens = u64::from(tokens);
        let seconds = |time: Duration| Some(time.as_secs_f64());
        let usage = Usage {
            prompt_tokens: 100,
            completion_tokens,
            total_tokens: 100 + completion_tokens,
            queue_time: seconds(self.config.queue),
            prompt_time: seconds(self.config.first_token),
            completion_time: seconds(self.config.token_every * tokens),
            total_time: seconds(self.config.first_token + self.config.token_every * tokens),
        };
        let mut chunk = self.chunk(Delta::default(), Some(reason));
        chunk.x_groq = Some(XGroq { id: Some(id), usage: Some(usage), ..XGroq::default() });
        self.push(&chunk);
        if self.config.usage_chunk {
            let chunk = ChatChunk { usage: Some(usage), ..self.head.clone() };
            self.push(&chunk);
        }
        self.end(done);
    }

    fn end_with(&mut self, text: String) {
        self.steps.push_back((self.at, Step::Text(text)));
        self.steps.push_back((self.at, Step::End { done: false }));
    }

    fn end(&mut self, done: bool) {
        if done {
            self.steps.push_back((self.at, Step::Text(StreamEvent::Done.to_sse())));
        }
        self.steps.push_back((self.at, Step::End { done }));
    }

    fn chunk(&self, delta: Delta, finish_reason: Option<FinishReason>) -> ChatChunk {
        ChatChunk { choices: vec![Choice { delta, finish_reason, ..Choice::default() }], ..self.head.clone() }
    }

    fn push(&mut self, chunk: &ChatChunk) {
        let text = StreamEvent::Chunk(Box::new(chunk.clone())).to_sse();
        self.steps.push_back((self.at, Step::Text(text)));
    }
}
