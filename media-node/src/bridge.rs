//! The loop around one call: one task, one await, one clock. It decides nothing.
//!
//! One input goes into the machine, then everything the machine says is done, in order, without waiting; then the loop
//! waits for the next input, and whatever is queued is written meanwhile. What cannot be done (a socket that takes
//! nothing) becomes the next input.
//!
//! Only the very end waits for others: the next step is in the store, or 300 ms have passed, before the phone's socket is
//! closed, because Twilio then asks for it.

mod ending;
mod links;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{Utf8Bytes, WebSocket};
use call::breaker::Experience;
use call::journal::{Kind, NextStep};
use call::{Call, Input, LinkEvent, LinkId, Output, PhoneEvent, Setup, ToolRequest};
use store::Claim;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;
use wire::twilio::StreamSid;
use wire::twilio::stream::{self, Inbound, Track};

use self::links::{LinkHeard, Links};
use crate::journal::Writer;
use crate::levels::Levels;
use crate::node::Inner;
use crate::recording::Recorder;
use crate::request::Rejection;
use crate::sessions::{Request, Session};
use crate::socket::{Heard, Socket, code};
use crate::tools;

/// The runtime's timers count in milliseconds and fire late rather than early. The loop asks for a millisecond less, and
/// takes a deadline that is this near for reached: a frame then leaves up to a millisecond before its time, which the
/// phone's buffer does not notice, instead of after it.
const TIMER_GRAIN: Duration = Duration::from_millis(1);

/// The store has so long to tell whose stream it is, while the audio flows; then the node's memory decides.
const CLAIM_WITHIN: Duration = Duration::from_secs(2);

/// What a call's loop holds.
struct Bridge {
    node: Arc<Inner>,
    session: Arc<Session>,
    call: Call,
    /// The machine's time never goes back, also when a deadline was taken for reached.
    now: Instant,
    phone: Option<Phone>,
    links: Links,
    journal: Writer,
    recorder: Option<Recorder>,
    levels: Levels,
    claim: Claimed,
    /// What it has met of engines.
    experience: Experience,
    /// What could not be done, to be told to the machine.
    owed: VecDeque<Owed>,
    step: Option<JoinHandle<()>>,
    /// A frame's audio, decoded.
    audio: Vec<u8>,
}

struct Phone {
    socket: Socket<WebSocket>,
    stream: StreamSid,
}

/// Whose epoch this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claimed {
    /// No stream has come.
    NotYet,
    /// The store is being asked.
    Asked,
    /// Ours, by the store or for lack of it.
    Ours,
    /// Another node's, or another stream's.
    Others,
}

/// Something that the machine believes and that is not so.
enum Owed {
    PhoneLost,
    LinkLost(LinkId),
}

/// Prepares a call and sees it through to its end, among the node's tasks.
pub(crate) fn start(node: &Arc<Inner>, session: Arc<Session>, setup: Setup, inbox: mpsc::Receiver<Request>) {
    let (call, epoch) = session.key;
    let span = tracing::info_span!("call", call.id = %call, call.epoch = epoch);
    let now = Instant::now();
    let bridge = Bridge {
        call: Call::new(now, node.store.now().as_ms(), setup, fastrand::u64(..)),
        now,
        phone: None,
        links: Links::default(),
        journal: node.journal.open(call, epoch, &node.tasks),
        recorder: None,
        levels: Levels::default(),
        claim: Claimed::NotYet,
        experience: Experience::default(),
        owed: VecDeque::new(),
        step: None,
        audio: Vec::with_capacity(stream::FRAME_BYTES),
        session,
        node: Arc::clone(node),
    };
    node.tasks.spawn(bridge.run(inbox).instrument(span));
}

impl Bridge {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let leave = ending::Leave::new(&self.node, self.session.key);
        let sleep = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(sleep);
        while let Some(wake_at) = self.do_what_it_says() {
            if let Some(owed) = self.owed.pop_front() {
                self.tell(owed);
                continue;
            }
            let watch_at = self.phone.iter().map(|phone| phone.socket.watch_at()).chain(self.links.watch_at()).min();
            let deadline = watch_at.map_or(wake_at, |watch_at| watch_at.min(wake_at));
            let timer_at = deadline.checked_sub(TIMER_GRAIN).unwrap_or(deadline).into();
            if sleep.deadline() != timer_at {
                sleep.as_mut().reset(timer_at);
            }
            tokio::select! {
                biased;
                () = &mut sleep => self.wake(deadline),
                heard = hear(&mut self.phone) => self.phone_heard(heard),
                (link, heard) = self.links.next() => self.link_heard(link, heard),
                Some(request) = inbox.recv() => self.asked(request),
            }
        }
        self.finish(inbox, leave).await;
    }

    /// Takes everything out of the machine, until it has nothing more to say: then it says when to wake it.
    fn do_what_it_says(&mut self) -> Option<Instant> {
        loop {
            match self.call.poll() {
                Output::Phone(message) => self.send_phone(&message),
                Output::Send { link, text } => {
                    if self.links.send(link, text).is_err() {
                        self.node.figures.links_overflowed.one();
                        self.owed.push_back(Owed::LinkLost(link));
                    }
                }
                Output::SendBinary { link, bytes } => {
                    if self.links.send_binary(link, bytes).is_err() {
                        self.node.figures.links_overflowed.one();
                        self.owed.push_back(Owed::LinkLost(link));
                    }
                }
                Output::Journal(entry) => {
                    self.observe(&entry.kind);
                    self.journal.write(entry);
                }
                Output::Record(frame) => {
                    let (call, epoch) = self.session.key;
                    let open = || self.node.recordings.open(call, epoch, &self.node.tasks);
                    self.recorder.get_or_insert_with(open).push(&frame);
                }
                Output::Open { link, request } => {
                    let dialler = self.node.dialler.clone();
                    self.links.open(link, async move { dialler.open(&request).await });
                }
                Output::Close { link } => {
                    if let Some(socket) = self.links.take(link) {
                        self.node.tasks.spawn(socket.close(code::NORMAL, ""));
                    }
                }
                Output::Tool(request) => self.run_tool(request),
                Output::NextStep(step) => self.keep_step(step),
                // The end of the loop closes it, when the step is written.
                Output::ClosePhone => {}
                Output::Wait(deadline) => return Some(deadline),
                Output::Finished => return None,
            }
        }
    }

    fn send_phone(&mut self, message: &stream::Outbound) {
        let Some(phone) = &mut self.phone else { return };
        if let stream::Outbound::Media { payload } = message
            && self.node.live.wants_levels()
        {
            self.levels.agent(payload);
        }
        let mut text = String::new();
        message.write(&phone.stream, &mut text);
        if phone.socket.queue(text).is_err() {
            self.node.figures.phones_overflowed.one();
            tracing::warn!("the phone takes no more audio; it is given up");
            self.phone = None;
            self.owed.push_back(Owed::PhoneLost);
        }
    }

    fn wake(&mut self, deadline: Instant) {
        let now = Instant::now();
        self.node.figures.lateness.add(now.saturating_duration_since(deadline));
        self.now = self.now.max(now).max(deadline);
        if let Some(phone) = &mut self.phone
            && phone.socket.watch(self.now).is_err()
        {
            tracing::warn!("the phone has been silent for too long; it is given up");
            self.node.figures.peers_silent.one();
            self.phone = None;
            self.handle(Input::Phone(PhoneEvent::Lost));
        }
        for link in self.links.watch(self.now) {
            self.node.figures.peers_silent.one();
            self.handle(Input::Link(link, LinkEvent::Lost(None)));
        }
        self.handle(Input::Wake);
    }

    fn tell(&mut self, owed: Owed) {
        self.tick();
        match owed {
            Owed::PhoneLost => self.handle(Input::Phone(PhoneEvent::Lost)),
            Owed::LinkLost(link) => self.handle(Input::Link(link, LinkEvent::Lost(None))),
        }
    }

    fn asked(&mut self, request: Request) {
        self.tick();
        match request {
            Request::Join(socket, stream) => {
                self.claim(stream);
                self.phone = Some(Phone { socket: *socket, stream });
                self.handle(Input::Phone(PhoneEvent::Started { stream_sid: stream.as_str() }));
            }
            Request::Claimed(ours) => self.claimed(ours),
            Request::Command(command) => self.handle(Input::Command(command)),
            Request::Tool(id, answer) => {
                let answer = answer.as_deref().map_err(String::as_str);
                self.handle(Input::Tool { id: &id, answer });
            }
        }
    }

    /// Runs a tool beside the loop. Its answer comes like any other request; one that finds the loop busy or over is
    /// missed like one that comes too late.
    fn run_tool(&self, request: ToolRequest) {
        let (node, session) = (Arc::clone(&self.node), Arc::clone(&self.session));
        let asking = async move {
            let id = request.id.clone();
            let answer = tools::run(node, session.key.0, request).await;
            session.ask(Request::Tool(id, answer)).ok();
        };
        self.node.tasks.spawn(asking.in_current_span());
    }

    /// Asks the store whose epoch this is, beside the audio.
    fn claim(&mut self, stream: StreamSid) {
        self.claim = Claimed::Asked;
        let (node, session, (call, epoch)) = (Arc::clone(&self.node), Arc::clone(&self.session), self.session.key);
        self.node.tasks.spawn(async move {
            let claim = node.store.claim_stream(call, epoch, &node.config.node, stream);
            let ours = match tokio::time::timeout(CLAIM_WITHIN, claim).await {
                Ok(Ok(Claim::Won)) => true,
                Ok(Ok(Claim::Lost)) => false,
                Ok(Err(error)) => {
                    tracing::warn!(call.id = %call, %error, "failed to claim the stream in the store; it is ours by memory");
                    true
                }
                Err(_) => {
                    tracing::warn!(call.id = %call, "failed to claim the stream in time; it is ours by memory");
                    true
                }
            };
            // A loop that is over has no use for it.
            session.ask(Request::Claimed(ours)).ok();
        });
    }

    fn claimed(&mut self, ours: bool) {
        if ours {
            self.claim = Claimed::Ours;
            return self.journal.release();
        }
        tracing::warn!("another stream has this epoch; ours is closed");
        self.node.figures.streams_disowned.one();
        self.claim = Claimed::Others;
        if let Some(phone) = self.phone.take() {
            self.node.tasks.spawn(phone.socket.close(code::POLICY, "another stream has this call"));
        }
        self.handle(Input::Phone(PhoneEvent::Lost));
    }

    fn phone_heard(&mut self, heard: Heard<Utf8Bytes>) {
        self.tick();
        match heard {
            Heard::Text(text) => self.phone_said(&text),
            Heard::Binary => self.handle(Input::Phone(PhoneEvent::Malformed)),
            Heard::Quiet => {}
            Heard::TooBig => {
                self.node.figures.messages_too_big.one();
                if let Some(phone) = self.phone.take() {
                    self.node.tasks.spawn(phone.socket.close(code::TOO_BIG, "message too big"));
                }
                self.handle(Input::Phone(PhoneEvent::Lost));
            }
            Heard::Lost(_) => {
                self.phone = None;
                self.handle(Input::Phone(PhoneEvent::Lost));
            }
        }
    }

    fn phone_said(&mut self, text: &str) {
        let Some(ours) = self.phone.as_ref().map(|phone| phone.stream) else { return };
        let mut audio = std::mem::take(&mut self.audio);
        audio.clear();
        let event = match stream::parse(text) {
            Err(_) => PhoneEvent::Malformed,
            Ok(Inbound::Media(media)) => match media.track {
                Track::Inbound
                    if media.stream_sid.is_some_and(|sid| sid != ours) || media.decode(&mut audio).is_err() =>
                {
                    PhoneEvent::Malformed
                }
                Track::Inbound => PhoneEvent::Media { timestamp_ms: media.timestamp_ms, payload: &audio },
                Track::Outbound | Track::Other(_) => PhoneEvent::Unknown,
            },
            Ok(Inbound::Dtmf(key)) => {
                self.handle(Input::Phone(PhoneEvent::Dtmf { digit: &key.digit }));
                self.audio = audio;
                return;
            }
            Ok(Inbound::Mark(mark)) => {
                self.handle(Input::Phone(PhoneEvent::Mark { name: &mark.name }));
                self.audio = audio;
                return;
            }
            Ok(Inbound::Stop(_)) => PhoneEvent::Stopped,
            Ok(Inbound::Connected { .. } | Inbound::Start(_)) => PhoneEvent::Malformed,
            Ok(Inbound::Unknown { .. }) => PhoneEvent::Unknown,
        };
        self.call.handle(self.now, Input::Phone(event));
        self.audio = audio;
        self.show_levels();
    }

    /// Shows how loud the voices are to whoever watches, after a frame of the caller.
    fn show_levels(&mut self) {
        if !self.node.live.wants_levels() {
            return;
        }
        self.levels.caller(&self.audio);
        if let Some(levels) = self.levels.due(self.now) {
            self.node.live.publish_levels(self.session.key.0, levels);
        }
    }

    fn link_heard(&mut self, link: LinkId, heard: LinkHeard) {
        self.tick();
        let event = match &heard {
            LinkHeard::Opened => LinkEvent::Opened,
            LinkHeard::Refused(why) => LinkEvent::Refused(why.clone()),
            LinkHeard::Rejected(Rejection { status, retry_after, body }) => {
                LinkEvent::Rejected { status: *status, retry_after: *retry_after, body }
            }
            LinkHeard::Text(text) => LinkEvent::Text(text),
            LinkHeard::Body(bytes) => LinkEvent::Body(bytes),
            LinkHeard::Ended => LinkEvent::Ended,
            LinkHeard::Binary => LinkEvent::Binary,
            LinkHeard::Quiet => return,
            LinkHeard::TooBig(_) | LinkHeard::Lost(None) => LinkEvent::Lost(None),
            LinkHeard::Lost(code) => LinkEvent::Lost(*code),
        };
        self.call.handle(self.now, Input::Link(link, event));
        if let LinkHeard::TooBig(socket) = heard {
            self.node.figures.messages_too_big.one();
            self.node.tasks.spawn(socket.close(code::TOO_BIG, "message too big"));
        }
    }

    /// What the node learns from a call, and what a person reads in the log.
    fn observe(&mut self, kind: &Kind) {
        self.node.figures.observe(kind);
        self.node.breaker().learn(&mut self.experience, kind, self.now);
        if let Kind::StreamStarted { stream_sid } = kind {
            let waited = self.now.saturating_duration_since(self.session.since);
            tracing::info!(stream.sid = stream_sid, waited_ms = waited.as_millis(), "the phone's audio begins");
        } else if let Kind::EngineReady { engine, resumed, took_ms, .. } = kind {
            tracing::info!(%engine, resumed, took_ms, "engine ready");
        } else if let Kind::EngineRefused { engine, why } = kind {
            tracing::warn!(%engine, ?why, "engine refused");
        } else if let Kind::EngineLost { engine, why } = kind {
            tracing::info!(%engine, ?why, "engine lost");
        } else if let Kind::StreamEnded { why } = kind {
            tracing::info!(?why, "the stream is over");
        }
    }

    /// Writes the step down and keeps it: Twilio's next question is answered from either.
    fn keep_step(&mut self, step: NextStep) {
        let (node, (call, epoch)) = (Arc::clone(&self.node), self.session.key);
        node.sessions.keep(self.session.key, step.clone(), self.now);
        match self.claim {
            Claimed::Ours | Claimed::Asked => {
                self.step = Some(self.node.tasks.spawn(async move {
                    if let Err(error) = node.store.put_next_step(call, epoch, &step).await {
                        tracing::warn!(call.id = %call, %error, "failed to store the next step; it is kept here for a minute");
                    }
                }));
            }
            // Of an epoch that is another's, nothing is ours to say. Without a stream it may be: the journal says the
            // step, if the epoch turns out to be ours.
            Claimed::NotYet | Claimed::Others => {}
        }
    }

    fn tick(&mut self) {
        self.now = self.now.max(Instant::now());
    }

    fn handle(&mut self, input: Input<'_>) {
        self.call.handle(self.now, input);
    }
}

async fn hear(phone: &mut Option<Phone>) -> Heard<Utf8Bytes> {
    match phone {
        Some(phone) => phone.socket.next().await,
        None => pending().await,
    }
}
