//! The simulated parts of a cascade in virtual time, from outside.

mod cartesia;
mod deepgram;
mod groq;

use std::time::{Duration, Instant};

use sim::line::server::{Handshake, Model, Refusal};
use sim::{deepgram as dg, evi};

use evi::{Frame, Out, SessionId};

/// A client of a model behind a WebSocket, with a clock that it moves itself.
pub(crate) struct Client<M> {
    pub(crate) model: M,
    pub(crate) session: SessionId,
    pub(crate) begun: Instant,
    pub(crate) now: Instant,
    /// What came, and when after the beginning.
    pub(crate) came: Vec<(Duration, Out)>,
}

pub(crate) fn handshake<'h>(path_and_query: &'h str, authorization: &'h str) -> Handshake<'h> {
    Handshake { path_and_query, authorization: Some(authorization), version: Some(wire::cartesia::connect::VERSION) }
}

impl<M: Model> Client<M> {
    pub(crate) fn connect(mut model: M, path_and_query: &str, authorization: &str) -> Self {
        let begun = Instant::now();
        let accepted = model.connect(begun, handshake(path_and_query, authorization)).expect("it is let in");
        Self { model, session: accepted.session, begun, now: begun, came: Vec::new() }
    }

    pub(crate) fn send(&mut self, frame: Frame) {
        self.model.receive(self.now, self.session, &frame);
        self.wait(Duration::ZERO);
    }

    /// Lets time pass, stopping wherever the model wants to be asked.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            while let Some(out) = self.model.poll(self.now, self.session) {
                self.came.push((self.now - self.begun, out));
            }
            match self.model.next_due(self.session).filter(|due| *due <= until) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
        }
        self.now = until;
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = (Duration, &str)> {
        self.came.iter().filter_map(|(at, out)| match out {
            Out::Text(text) => Some((*at, text.as_str())),
            Out::Binary(_) | Out::Close { .. } | Out::Drop => None,
        })
    }

    pub(crate) fn end(&self) -> Option<&Out> {
        self.came.iter().map(|(_, out)| out).find(|out| matches!(out, Out::Close { .. } | Out::Drop))
    }
}

/// The status of a refused handshake.
pub(crate) fn status<T>(answer: Result<T, Refusal>) -> u16 {
    match answer {
        Ok(_) => 101,
        Err(Refusal::Answered { status, .. }) => status,
        Err(Refusal::Silence) => 0,
    }
}

#[test]
fn a_key_that_is_not_known_is_refused_everywhere() {
    let now = Instant::now();
    let keys = || vec!["key".to_owned()];
    let mut ear =
        dg::Deepgram::new(dg::DeepgramConfig { api_keys: keys(), ..Default::default() }, Default::default(), 1);
    let query = "/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000";
    assert_eq!(status(ear.connect(now, handshake(query, "Token other"))), 401);
    assert_eq!(status(ear.connect(now, handshake(query, "Token key"))), 101);
    let config = sim::cartesia::CartesiaConfig { api_keys: keys(), ..Default::default() };
    let mut voice = sim::cartesia::Cartesia::new(config, Default::default(), 1);
    assert_eq!(status(voice.connect(now, handshake("/tts/websocket", "Bearer other"))), 401);
    assert_eq!(status(voice.connect(now, handshake("/tts/websocket", "Bearer key"))), 101);
    let config = sim::groq::GroqConfig { api_keys: keys(), ..Default::default() };
    let mut mind = sim::groq::Groq::new(config, Default::default(), 1);
    assert_eq!(status(mind.request(now, "/openai/v1/chat/completions", Some("Bearer other"), b"{}")), 401);
    assert_eq!(status(mind.request(now, "/openai/v1/chat/completions", Some("Bearer key"), b"{}")), 400);
}
