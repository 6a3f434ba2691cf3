//! A caller's line into a simulated EVI, in virtual time: 20 ms of audio every 20 ms.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sim::evi::fault::Faults;
use sim::evi::{Evi, EviConfig, Frame, Out, Record, Refused, SessionId};

const FRAME: Duration = Duration::from_millis(20);

pub(crate) struct Line {
    pub(crate) evi: Evi,
    pub(crate) now: Instant,
    pub(crate) session: SessionId,
    pub(crate) malformed: usize,
    pub(crate) binary: usize,
    start: Instant,
    speech: VecDeque<Vec<u8>>,
    received: Vec<(Duration, Value)>,
    raw: Vec<String>,
    end: Option<Out>,
}

impl Line {
    /// An open chat whose audio format is declared.
    pub(crate) fn open(config: EviConfig) -> Self {
        let mut line = Self::open_at(config, Faults::none(), 1, "/v0/evi/chat").unwrap();
        line.settings();
        line
    }

    pub(crate) fn open_at(config: EviConfig, faults: Faults, seed: u64, path: &str) -> Result<Self, Refused> {
        let now = Instant::now();
        let mut evi = Evi::new(config, faults, seed);
        let session = evi.connect(now, path, (!path.contains("api_key")).then_some("key"))?.session;
        let mut line = Self {
            evi,
            now,
            session,
            malformed: 0,
            binary: 0,
            start: now,
            speech: VecDeque::new(),
            received: Vec::new(),
            raw: Vec::new(),
            end: None,
        };
        line.poll();
        Ok(line)
    }

    /// Another chat with the same EVI; what was received so far is forgotten.
    pub(crate) fn reconnect(&mut self, path: &str) -> Result<Value, Refused> {
        self.session = self.evi.connect(self.now, path, Some("key"))?.session;
        self.received.clear();
        self.end = None;
        self.poll();
        Ok(self.message(0).clone())
    }

    pub(crate) fn settings(&mut self) {
        self.text(r#"{"type":"session_settings","audio":{"encoding":"linear16","sample_rate":8000,"channels":1}}"#);
    }

    /// Offers functions of the client's own.
    pub(crate) fn offer(&mut self, names: &[&str]) {
        let tools: Vec<Value> =
            names.iter().map(|name| json!({"type": "function", "name": name, "parameters": "{}"})).collect();
        self.text(&json!({"type": "session_settings", "tools": tools}).to_string());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.frame(Frame::Text(text.to_owned()));
    }

    pub(crate) fn frame(&mut self, frame: Frame) {
        self.evi.receive(self.now, self.session, frame);
        self.poll();
    }

    pub(crate) fn hang_up(&mut self) {
        self.evi.disconnect(self.now, self.session);
    }

    /// Queues a recording to be sent at its own pace.
    pub(crate) fn say(&mut self, id: &str) {
        let samples = sim::speech::utterance(id).unwrap_or_else(|| panic!("{id} is not recorded")).pcm(8_000);
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.speech.extend(bytes.chunks(320).map(<[u8]>::to_vec));
    }

    /// Sends the queued speech and not a sample more.
    pub(crate) fn drain_speech(&mut self) {
        while !self.speech.is_empty() {
            self.tick(true);
        }
    }

    /// Lets time pass with audio, silent unless speech is queued.
    pub(crate) fn listen(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / FRAME.as_millis() {
            self.tick(true);
        }
    }

    pub(crate) fn listen_without_audio(&mut self, time: Duration) {
        self.wait(time);
    }

    pub(crate) fn listen_until(&mut self, kind: &str) {
        self.listen_until_nth(kind, 1);
    }

    /// Until there are so many messages of this type; half a minute at most.
    pub(crate) fn listen_until_nth(&mut self, kind: &str, count: usize) {
        for _ in 0..1_500 {
            if self.all(kind).len() >= count {
                return;
            }
            self.tick(true);
        }
        panic!("no {kind}: {:?}", self.received.iter().map(|(_, message)| message["type"].clone()).collect::<Vec<_>>());
    }

    /// Lets time pass without audio, from one deadline of the engine to the next.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.evi.next_due(self.session).filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.poll();
        }
        self.now = until;
        self.poll();
    }

    fn tick(&mut self, audio: bool) {
        self.now += FRAME;
        if audio && self.end.is_none() {
            let mut frame = self.speech.pop_front().unwrap_or_default();
            frame.resize(320, 0);
            self.evi.receive(self.now, self.session, Frame::Binary(frame));
        }
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(out) = self.evi.poll(self.now, self.session) {
            assert!(self.end.is_none(), "nothing follows the end");
            match out {
                Out::Text(text) => {
                    match serde_json::from_str(&text) {
                        Ok(value) => self.received.push((self.now - self.start, value)),
                        Err(_) => self.malformed += 1,
                    }
                    self.raw.push(text);
                }
                Out::Binary(_) => self.binary += 1,
                end @ (Out::Close { .. } | Out::Drop) => self.end = Some(end),
            }
        }
    }

    pub(crate) fn closing(&self) -> Option<Out> {
        self.end.clone()
    }

    pub(crate) fn record(&self) -> &Record {
        self.evi.record(self.session).unwrap()
    }

    pub(crate) fn message(&self, at: usize) -> &Value {
        &self.received[at].1
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        self.received
            .iter()
            .filter(|(_, message)| message["type"] == kind)
            .map(|(_, message)| message.clone())
            .collect()
    }

    pub(crate) fn first(&self, kind: &str) -> Value {
        self.all(kind).first().unwrap_or_else(|| panic!("no {kind}")).clone()
    }

    /// When the first message of this type came.
    pub(crate) fn at(&self, kind: &str) -> Duration {
        self.received.iter().find(|(_, message)| message["type"] == kind).unwrap_or_else(|| panic!("no {kind}")).0
    }

    /// The types of what came after the first message of this type.
    pub(crate) fn kinds_after(&self, kind: &str) -> Vec<String> {
        let at = self
            .received
            .iter()
            .position(|(_, message)| message["type"] == kind)
            .unwrap_or_else(|| panic!("no {kind}"));
        self.received[at + 1..].iter().map(|(_, message)| message["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Everything that came, and when.
    pub(crate) fn transcript(&self) -> (Vec<Duration>, Vec<String>, Option<Out>) {
        (self.received.iter().map(|(at, _)| *at).collect(), self.raw.clone(), self.end.clone())
    }
}
