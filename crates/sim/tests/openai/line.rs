//! A caller's line into a simulated `OpenAI` Realtime, in virtual time: 20 ms of mu-law every 20 ms.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sim::openai::fault::Faults;
use sim::openai::{Frame, OpenAi, OpenAiConfig, Out, Record, Refused, SessionId};

pub(crate) const PATH: &str = "/v1/realtime?model=gpt-realtime-2.1";

/// The first update of a telephone call.
pub(crate) const TELEPHONE: &str = r#"{"type":"session.update","session":{"type":"realtime","instructions":"Be brief.","audio":{
    "input":{"format":{"type":"audio/pcmu"},"transcription":{"model":"gpt-transcribe","language":"en"},
        "turn_detection":{"type":"server_vad","threshold":0.5,"prefix_padding_ms":300,"silence_duration_ms":500,
            "create_response":true,"interrupt_response":true,"idle_timeout_ms":null}},
    "output":{"format":{"type":"audio/pcmu"},"voice":"marin"}}}}"#;

const FRAME: Duration = Duration::from_millis(20);

pub(crate) struct Line {
    pub(crate) openai: OpenAi,
    pub(crate) malformed: usize,
    pub(crate) binary: usize,
    pub(crate) longest: usize,
    pub(crate) raw: Vec<String>,
    now: Instant,
    session: SessionId,
    start: Instant,
    speech: VecDeque<Vec<u8>>,
    received: Vec<(Duration, Value)>,
    end: Option<Out>,
}

pub(crate) fn decoded(delta: &Value) -> Vec<u8> {
    STANDARD.decode(delta["delta"].as_str().unwrap()).unwrap()
}

impl Line {
    /// A session that is set up for the telephone.
    pub(crate) fn open(config: OpenAiConfig) -> Self {
        let mut line = Self::open_at(config, Faults::none(), 1, PATH).unwrap();
        line.send(&serde_json::from_str(TELEPHONE).unwrap());
        line
    }

    pub(crate) fn open_at(config: OpenAiConfig, faults: Faults, seed: u64, path: &str) -> Result<Self, Refused> {
        let now = Instant::now();
        let mut openai = OpenAi::new(config, faults, seed);
        let session = openai.connect(now, path, Some("key"))?.session;
        let mut line = Self {
            openai,
            malformed: 0,
            binary: 0,
            longest: 0,
            raw: Vec::new(),
            now,
            session,
            start: now,
            speech: VecDeque::new(),
            received: Vec::new(),
            end: None,
        };
        line.poll();
        Ok(line)
    }

    pub(crate) fn send(&mut self, event: &Value) {
        self.openai.receive(self.now, self.session, &Frame::Text(event.to_string()));
        self.poll();
    }

    /// Sends what must be refused, and gives the error.
    pub(crate) fn refused(&mut self, event: &Value) -> Value {
        let before = self.all("error").len();
        self.send(event);
        let errors = self.all("error");
        assert_eq!(errors.len(), before + 1, "{event}");
        errors[before]["error"].clone()
    }

    /// Changes the turn detection.
    pub(crate) fn vad(&mut self, detection: &Value) {
        self.send(&json!({"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}}));
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.send(&json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode(bytes)}));
    }

    /// Queues a recording to be sent at its own pace.
    pub(crate) fn say(&mut self, id: &str) {
        let codes = sim::speech::utterance(id).unwrap_or_else(|| panic!("{id} is not recorded")).mulaw();
        self.speech.extend(codes.chunks(160).map(<[u8]>::to_vec));
    }

    /// Sends the queued speech and not a sample more.
    pub(crate) fn drain_speech(&mut self) {
        while !self.speech.is_empty() {
            self.tick();
        }
    }

    pub(crate) fn listen(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / FRAME.as_millis() {
            self.tick();
        }
    }

    pub(crate) fn listen_until(&mut self, kind: &str) {
        self.listen_until_nth(kind, 1);
    }

    /// Until there are so many events of this type; half a minute at most.
    pub(crate) fn listen_until_nth(&mut self, kind: &str, count: usize) {
        for _ in 0..1_500 {
            if self.all(kind).len() >= count {
                return;
            }
            self.tick();
        }
        panic!("no {kind}: {:?}", self.received.iter().map(|(_, event)| event["type"].clone()).collect::<Vec<_>>());
    }

    /// Lets time pass without audio, from one deadline of the engine to the next.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.openai.next_due(self.session).filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.poll();
        }
        self.now = until;
        self.poll();
    }

    fn tick(&mut self) {
        self.now += FRAME;
        if self.end.is_none() {
            let mut frame = self.speech.pop_front().unwrap_or_default();
            frame.resize(160, 0xFF);
            let mut text = String::new();
            wire::openai::client::write_append(&frame, &mut text);
            self.openai.receive(self.now, self.session, &Frame::Text(text));
        }
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(out) = self.openai.poll(self.now, self.session) {
            assert!(self.end.is_none(), "nothing follows the end");
            match out {
                Out::Text(text) => {
                    self.longest = self.longest.max(text.len());
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
        self.openai.record(self.session).unwrap()
    }

    pub(crate) fn event(&self, at: usize) -> &Value {
        &self.received[at].1
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        self.received.iter().filter(|(_, event)| event["type"] == kind).map(|(_, event)| event.clone()).collect()
    }

    pub(crate) fn first(&self, kind: &str) -> Value {
        self.all(kind).first().unwrap_or_else(|| panic!("no {kind}")).clone()
    }

    /// When the first event of this type came.
    pub(crate) fn at(&self, kind: &str) -> Duration {
        self.received[self.position(kind)].0
    }

    /// The place of the first event of this type.
    pub(crate) fn position(&self, kind: &str) -> usize {
        self.received.iter().position(|(_, event)| event["type"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    pub(crate) fn last_position(&self, kind: &str) -> usize {
        self.received.iter().rposition(|(_, event)| event["type"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    /// The first events of these types come in this order.
    pub(crate) fn in_order(&self, kinds: &[&str]) {
        let positions: Vec<usize> = kinds.iter().map(|kind| self.position(kind)).collect();
        assert!(positions.is_sorted(), "{kinds:?} at {positions:?}");
    }

    /// All sound received.
    pub(crate) fn sound(&self) -> Vec<u8> {
        self.all("response.output_audio.delta").iter().flat_map(decoded).collect()
    }
}
