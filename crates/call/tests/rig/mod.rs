//! Drives one call by hand: what happens, when, and what the call does about it, as a timeline.

#![expect(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses what it needs, and may stop at the first surprise"
)]

use std::time::{Duration, Instant};

use call::agent::{Agent, EngineKind, Script};
use call::audio::mulaw;
use call::journal::{Entry, Kind, NextStep, Turn};
use call::{Call, CallId, ChatRef, Command, Input, LinkEvent, LinkId, LinkRequest, Output, PhoneEvent, Setup};
use wire::hume::server::{
    AssistantEnd, AssistantMessage, AudioOutput, ChatMessage, ChatMetadata, Interval, Role, ServerMessage,
    UserInterruption, UserMessage,
};
use wire::twilio::stream::Outbound;

/// What the call did, and when, in milliseconds since the rig began.
#[derive(Clone, Debug, PartialEq)]
pub enum Did {
    Frame(Vec<u8>),
    Mark(String),
    Clear,
    ClosePhone,
    Open(LinkId, LinkRequest),
    Send(LinkId, String),
    Close(LinkId),
    Tool(String),
    Journal(Entry),
    Record(call::journal::Speaker, u64, Vec<u8>),
    NextStep(NextStep),
    Finished,
}

pub struct Rig {
    pub call: Call,
    start: Instant,
    now: Instant,
    wait: Option<Instant>,
    pub did: Vec<(u64, Did)>,
    /// Whether marks come back by themselves, and after how long.
    pub mark_way: Option<Duration>,
    marks: Vec<(Instant, String)>,
    media_ms: u64,
    /// When the phone has played all frames so far, if each started as soon as it could.
    dry: Instant,
    /// The keys of the tools that were asked for.
    pub keys: Vec<String>,
    pub finished: bool,
}

pub fn agent(toml: &str) -> Script {
    Agent::parse("test", toml).unwrap().script(&Default::default()).unwrap()
}

pub const PLAIN: &str = r#"
engines = ["hume", "openai"]
instructions = "Answer the phone."
greeting = "Hello, this is Riverside Dental. How can I help?"
tools = [{ name = "hang_up", description = "Ends the call." }, { name = "look_up", description = "Looks up.", parameters = '{"type":"object","properties":{}}', url = "https://tools.example.com/look_up", timeout_ms = 2000 }]
"#;

pub fn setup(script: Script, engines: &[EngineKind]) -> Setup {
    Setup {
        call: CallId::new(1_700_000_000_000, 1),
        epoch: 1,
        script,
        engines: engines.to_vec(),
        history: Vec::new(),
        chat: None,
        offset_ms: 0,
        greeted: false,
        disclosed: false,
        call_ms_max: 1_800_000,
    }
}

impl Rig {
    pub fn new(setup: Setup) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the clock: any instant will do as the origin"
        )]
        let start = Instant::now();
        let call = Call::new(start, 1_700_000_000_000, setup, 7);
        let mut rig = Self {
            call,
            start,
            now: start,
            wait: None,
            did: Vec::new(),
            mark_way: Some(Duration::from_millis(80)),
            marks: Vec::new(),
            media_ms: 0,
            dry: start,
            keys: Vec::new(),
            finished: false,
        };
        rig.drain();
        rig
    }

    /// A call with Hume ready and the greeting asked for, before the stream.
    pub fn ready() -> Self {
        let mut rig = Self::new(setup(agent(PLAIN), &[EngineKind::Hume]));
        rig.hume_ready("group-1");
        rig
    }

    /// A call whose greeting was heard to the end.
    pub fn greeted() -> Self {
        Self::greeted_with(setup(agent(PLAIN), &[EngineKind::Hume]))
    }

    pub fn greeted_with(setup: Setup) -> Self {
        let mut rig = Self::new(setup);
        rig.hume_ready("group-1");
        rig.hume_says("greet", "Hello, this is Riverside Dental. How can I help?", 1_000);
        rig.hume(&ServerMessage::AssistantEnd(AssistantEnd::default()));
        rig.start_stream();
        rig.run_quiet(2_000);
        rig
    }

    pub fn ms(&self) -> u64 {
        u64::try_from((self.now - self.start).as_millis()).unwrap()
    }

    pub fn input(&mut self, input: Input<'_>) {
        self.call.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let ms = self.ms();
        loop {
            let did = match self.call.poll() {
                Output::Phone(Outbound::Media { payload }) => {
                    self.dry = self.dry.max(self.now) + Duration::from_millis(payload.len() as u64 / 8);
                    Did::Frame(payload.to_vec())
                }
                Output::Phone(Outbound::Mark { name }) => {
                    if let Some(way) = self.mark_way {
                        // Played when all before it was: the rig's phone plays what it gets without delay.
                        let due = self.dry.max(self.now) + way;
                        self.marks.push((due, name.clone()));
                    }
                    Did::Mark(name)
                }
                Output::Phone(Outbound::Clear) => {
                    // Twilio returns all marks at once.
                    let now = self.now;
                    self.dry = now;
                    for mark in &mut self.marks {
                        mark.0 = mark.0.min(now + Duration::from_millis(40));
                    }
                    Did::Clear
                }
                Output::ClosePhone => Did::ClosePhone,
                Output::Open { link, request } => Did::Open(link, request),
                Output::Send { link, text } => Did::Send(link, text),
                Output::Close { link } => Did::Close(link),
                Output::Tool(tool) => {
                    self.keys.push(tool.key);
                    Did::Tool(tool.id)
                }
                Output::Journal(entry) => Did::Journal(entry),
                Output::Record(recorded) => Did::Record(recorded.track, recorded.at_ms, recorded.audio.to_vec()),
                Output::NextStep(step) => Did::NextStep(step),
                Output::Wait(deadline) => {
                    assert!(deadline > self.now, "Wait lies in the future");
                    self.wait = Some(deadline);
                    return;
                }
                Output::Finished => {
                    self.wait = None;
                    if !self.finished {
                        self.finished = true;
                        self.did.push((ms, Did::Finished));
                    }
                    return;
                }
            };
            self.did.push((ms, did));
        }
    }

    /// Lets `ms` milliseconds pass without anything happening but wakes and marks.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while !self.finished {
            let mark = self.marks.iter().map(|(due, _)| *due).min();
            let next = [self.wait, mark].into_iter().flatten().min().unwrap_or(end);
            if next > end {
                break;
            }
            self.now = next.max(self.now);
            if mark.is_some_and(|due| due <= self.now) {
                let index = self.marks.iter().position(|(due, _)| *due <= self.now).unwrap();
                let (_, name) = self.marks.remove(index);
                self.input(Input::Phone(PhoneEvent::Mark { name: &name }));
            } else {
                self.input(Input::Wake);
            }
        }
        self.now = end;
    }

    /// Lets time pass while the phone sends silence, frame by frame.
    pub fn run_quiet(&mut self, ms: u64) {
        self.run_audio(ms, &[mulaw::SILENCE; 160]);
    }

    pub fn run_speaking(&mut self, ms: u64) {
        self.run_audio(ms, &voice());
    }

    fn run_audio(&mut self, ms: u64, frame: &[u8]) {
        for _ in 0..ms / 20 {
            self.run(20);
            self.media(frame);
        }
    }

    pub fn media(&mut self, frame: &[u8]) {
        let timestamp_ms = self.media_ms;
        self.media_ms += 20;
        self.input(Input::Phone(PhoneEvent::Media { timestamp_ms, payload: frame }));
    }

    /// Lets time pass while every dial is refused.
    pub fn run_refused(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.run_quiet(100);
            let link = self.open_link();
            if !self.did.iter().any(|(_, did)| *did == Did::Close(link)) {
                self.input(Input::Link(link, LinkEvent::Refused(call::journal::LinkCause::Unreachable)));
            }
        }
    }

    pub fn start_stream(&mut self) {
        self.input(Input::Phone(PhoneEvent::Started { stream_sid: "MZ00000000000000000000000000000001" }));
    }

    pub fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    pub fn link(&mut self, event: LinkEvent<'_>) {
        let link = self.open_link();
        self.input(Input::Link(link, event));
    }

    /// The link that was opened last.
    pub fn open_link(&self) -> LinkId {
        self.did
            .iter()
            .rev()
            .find_map(|(_, did)| if let Did::Open(link, _) = did { Some(*link) } else { None })
            .unwrap()
    }

    pub fn hume_ready(&mut self, group: &str) {
        self.link(LinkEvent::Opened);
        let metadata =
            ChatMetadata { chat_group_id: group.into(), chat_id: "chat-1".into(), ..ChatMetadata::default() };
        self.hume(&ServerMessage::ChatMetadata(metadata));
    }

    pub fn hume(&mut self, message: &ServerMessage<'_>) {
        let text = message.to_json();
        self.link(LinkEvent::Text(&text));
    }

    /// A sentence and all of its audio, at 24 kHz.
    pub fn hume_says(&mut self, id: &str, text: &str, ms: u64) {
        self.hume(&ServerMessage::AssistantMessage(AssistantMessage {
            id: Some(id.into()),
            message: ChatMessage::new(Role::Assistant, text),
            ..AssistantMessage::default()
        }));
        self.hume_audio(id, ms);
    }

    pub fn hume_audio(&mut self, id: &str, ms: u64) {
        let samples: Vec<i16> = (0..ms * 24).map(|n| if n % 48 < 24 { 6_000 } else { -6_000 }).collect();
        let wav = call::audio::wav::write_pcm16(24_000, &samples);
        self.hume(&ServerMessage::AudioOutput(AudioOutput::from_wav(id, 0, &wav)));
    }

    pub fn hume_end(&mut self) {
        self.hume(&ServerMessage::AssistantEnd(AssistantEnd::default()));
    }

    pub fn hume_interrupted(&mut self) {
        self.hume(&ServerMessage::UserInterruption(UserInterruption::default()));
    }

    pub fn hume_hears(&mut self, text: &str, interim: bool) {
        self.hume(&ServerMessage::UserMessage(UserMessage {
            message: ChatMessage::new(Role::User, text),
            time: Some(Interval { begin: 100, end: 900 }),
            interim,
            ..UserMessage::default()
        }));
    }

    pub fn frames(&self) -> usize {
        self.did.iter().filter(|(_, did)| matches!(did, Did::Frame(_))).count()
    }

    pub fn journal(&self) -> Vec<&Kind> {
        self.did
            .iter()
            .filter_map(|(_, did)| if let Did::Journal(entry) = did { Some(&entry.kind) } else { None })
            .collect()
    }

    pub fn turns(&self) -> Vec<Turn> {
        self.journal()
            .into_iter()
            .filter_map(|kind| if let Kind::Turn(turn) = kind { Some(turn.clone()) } else { None })
            .collect()
    }

    /// What was sent to engines, audio left out.
    pub fn sent(&self) -> Vec<&str> {
        let texts = self
            .did
            .iter()
            .filter_map(|(_, did)| if let Did::Send(_, text) = did { Some(text.as_str()) } else { None });
        texts.filter(|text| !text.contains("audio_input") && !text.contains("input_audio_buffer.append")).collect()
    }

    pub fn audio_sent(&self) -> usize {
        let texts = self
            .did
            .iter()
            .filter_map(|(_, did)| if let Did::Send(_, text) = did { Some(text.as_str()) } else { None });
        texts.filter(|text| text.contains("audio_input") || text.contains("input_audio_buffer.append")).count()
    }

    /// Forgets what was done so far.
    pub fn forget(&mut self) {
        self.did.retain(|(_, did)| matches!(did, Did::Open(..)));
    }

    pub fn first(&self, what: impl Fn(&Did) -> bool) -> Option<u64> {
        self.did.iter().find(|(_, did)| what(did)).map(|(ms, _)| *ms)
    }
}

/// 20 ms of something loud.
pub fn voice() -> [u8; 160] {
    std::array::from_fn(|n| mulaw::encode(if n % 16 < 8 { 8_000 } else { -8_000 }))
}

pub fn chat(group: &str) -> ChatRef {
    ChatRef { engine: EngineKind::Hume, group: group.into() }
}
