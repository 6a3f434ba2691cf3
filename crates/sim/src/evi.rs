//! Hume EVI, simulated: strict where EVI is strict, and a switch for everything that Hume leaves open.
//!
//! [`Evi`] is the model of one account: handshakes, chats and the history they leave, in virtual time. It opens no
//! socket and reads no clock; the same seed and the same inputs give the same conversation, byte for byte.
//! [`server`] puts it behind real sockets.
//!
//! It understands the caller from the audio it receives and nothing else, and answers as a small booking assistant,
//! with complete WAV files, faster than real time. It keeps a [`Record`] of what each chat brought.
//!
//! **What can fail**, by script or by seed ([`fault`]): a handshake refused, slow or unanswered; a resume refused; the
//! socket dropped, closed or fallen silent at a chosen moment, to the millisecond of a sentence; oversized audio; frames
//! that are no JSON, binary, or of an unknown type; audio after an interruption; a turn that is never answered.
//!
//! **What does not fail**: messages stay in order; audio is never damaged or lost within a chat; the history is never
//! late or wrong; the model itself obeys its configuration.
//!
//! **What lies outside**: the network between client and engine (delay, loss and reordering belong to whoever moves the
//! frames); audio in containers (raw PCM only, else `I0116`); loudness thresholds as configured (the recogniser has its
//! own); the `/connect` observer, webhooks, and reconstructed audio; nudges; custom language models; what a real model
//! would say.

mod clock;
mod config;
pub mod fault;
mod history;
pub(crate) mod input;
mod listening;
pub(crate) mod mind;
mod record;
mod rest;
pub mod server;
mod session;
mod settings;
mod socket;
mod speaking;
mod turn;
mod wav;

pub use config::{AssistantInputMode, EviConfig, FinalChunk, ProsodyPlace, ResumeWhileOpen};
pub use history::PageRequest;
pub use record::{Record, Said};
pub use socket::{Accepted, Ended, Frame, Out, Refused, SessionId};
pub use wav::WavLayout;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wire::hume::client::{ClientError, ClientMessage};
use wire::hume::connect::{CHAT_PATH, Connect, credential_in_query};
use wire::hume::rest::{ChatGroupEvents, ChatGroupWithChats, ChatGroupsPage, ChatStatus, ChatWithEvents, ChatsPage};

use fault::{FaultCounts, Faults, HandshakeFault};
use history::History;
use mind::{Briefing, Mind};
use session::{House, Session, note_fault};

/// Ended chats whose record is kept; the oldest go. Tests look at a few, a long-running program at none.
const MOST_ENDED: usize = 256;

/// One account of a simulated EVI.
pub struct Evi {
    config: EviConfig,
    faults: Faults,
    counts: FaultCounts,
    rng: fastrand::Rng,
    /// Handshakes so far, refused ones included.
    attempts: u32,
    /// The first instant the model was told.
    origin: Option<Instant>,
    sessions: BTreeMap<SessionId, Session>,
    history: History,
}

/// Why a message over the control plane was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendRefused {
    /// There is no such chat, or it has ended. (Hume does not say which status this has.)
    UnknownChat,
    /// The message is malformed, or one that may not be sent this way: 422.
    Unprocessable(String),
}

impl Evi {
    /// An account without chats.
    #[must_use]
    pub fn new(config: EviConfig, faults: Faults, seed: u64) -> Self {
        Self {
            config,
            faults,
            counts: FaultCounts::new(),
            rng: fastrand::Rng::with_seed(seed),
            attempts: 0,
            origin: None,
            sessions: BTreeMap::new(),
            history: History::default(),
        }
    }

    /// Answers a handshake. `path_and_query` is as in the request line; `api_key` is the header's.
    ///
    /// # Errors
    /// If it is refused or never answered.
    pub fn connect(&mut self, now: Instant, path_and_query: &str, api_key: Option<&str>) -> Result<Accepted, Refused> {
        self.origin.get_or_insert(now);
        self.attempts += 1;
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let parsed = Connect::from_query(query);
        let resumes = parsed.as_ref().is_ok_and(|connect| connect.resumed_chat_group_id.is_some());
        let fate = self.faults.fate(self.attempts, resumes, &mut self.rng);
        let rng = self.rng.fork();
        let mut after = Duration::ZERO;
        if let Some(fault) = fate.handshake {
            note_fault(&mut self.counts, fault.name());
            match fault {
                HandshakeFault::Refuse(status) | HandshakeFault::RefuseResume(status) => {
                    return Err(Refused::Status(status));
                }
                HandshakeFault::Silence => return Err(Refused::Silence),
                HandshakeFault::Slow(delay) => after = delay,
            }
        }
        if path != CHAT_PATH {
            return Err(Refused::Status(404));
        }
        if !self.admits(api_key.map(str::to_owned).or_else(|| credential_in_query(query)).as_deref()) {
            return Err(Refused::Status(401));
        }
        let connect = parsed.map_err(|_| Refused::Status(400))?;
        let known = &self.config.config_ids;
        if connect.config_id.as_ref().is_some_and(|id| !known.is_empty() && !known.contains(id)) {
            return Err(Refused::Status(self.config.unknown_config_status));
        }
        if let Some((most, status)) = self.config.concurrency
            && self.sessions.values().filter(|session| !session.closed).count() >= most
        {
            return Err(Refused::Status(status));
        }
        let mind = match &connect.resumed_chat_group_id {
            Some(group) => self.resumed(now, group)?,
            None => Mind::new(Briefing::default()),
        };
        let group = connect.resumed_chat_group_id.clone();
        let id = SessionId(u64::from(self.attempts));
        let (mut house, _) = self.house(now);
        let session = Session::open(&mut house, now + after, connect, group, mind, fate.midway, rng);
        self.sessions.insert(id, session);
        self.forget_the_oldest();
        Ok(Accepted { session: id, after })
    }

    /// Takes a message from a client.
    pub fn receive(&mut self, now: Instant, session: SessionId, frame: Frame) {
        let (mut house, sessions) = self.house(now);
        if let Some(session) = sessions.get_mut(&session) {
            session.receive(&mut house, now, frame);
        }
    }

    /// The client closed its socket, or vanished.
    pub fn disconnect(&mut self, now: Instant, session: SessionId) {
        let (mut house, sessions) = self.house(now);
        if let Some(session) = sessions.get_mut(&session) {
            session.abandoned(&mut house, now);
        }
    }

    /// The next thing that happens on this socket, if anything does by now. To be called until there is nothing.
    pub fn poll(&mut self, now: Instant, session: SessionId) -> Option<Out> {
        let (mut house, sessions) = self.house(now);
        sessions.get_mut(&session)?.poll(&mut house, now)
    }

    /// When to poll this socket again, if nothing is received before.
    pub fn next_due(&mut self, session: SessionId) -> Option<Instant> {
        let now = self.origin?;
        let (house, sessions) = self.house(now);
        sessions.get(&session)?.next_due(&house)
    }

    /// `POST /v0/evi/chat/{id}/send`: a message into a running chat, by someone else than its client.
    ///
    /// # Errors
    /// If the chat is not running, or the message is not one for this purpose. (Hume: "Control Plane")
    pub fn send(&mut self, now: Instant, chat_id: &str, body: &str) -> Result<(), SendRefused> {
        let message =
            ClientMessage::parse(body).map_err(|error: ClientError| SendRefused::Unprocessable(error.to_string()))?;
        if let ClientMessage::AudioInput(_) = message {
            return Err(SendRefused::Unprocessable("audio_input cannot be sent over the control plane".to_owned()));
        }
        let (mut house, sessions) = self.house(now);
        let session = sessions.values_mut().find(|session| !session.closed && session.record.chat_id == chat_id);
        session.ok_or(SendRefused::UnknownChat)?.obey(&mut house, now, message);
        Ok(())
    }

    /// What a chat brought and said; kept for a while after its end.
    #[must_use]
    pub fn record(&self, session: SessionId) -> Option<&Record> {
        self.sessions.get(&session).map(|session| &session.record)
    }

    /// All records, in the order of the handshakes.
    pub fn records(&self) -> impl Iterator<Item = (SessionId, &Record)> {
        self.sessions.iter().map(|(id, session)| (*id, &session.record))
    }

    /// How often each fault took effect.
    #[must_use]
    pub fn fault_counts(&self) -> &FaultCounts {
        &self.counts
    }

    /// Handshakes so far, refused ones included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Adds to what goes wrong, for example in mid-test. Concerns connections that are yet to come.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Suffers this now, on this socket.
    pub fn strike(&mut self, now: Instant, session: SessionId, mishap: &fault::Mishap) {
        let (mut house, sessions) = self.house(now);
        if let Some(session) = sessions.get_mut(&session) {
            session.suffer(&mut house, now, mishap);
        }
    }

    /// `GET /v0/evi/chats`.
    #[must_use]
    pub fn chats(&self, config_id: Option<&str>, status: Option<ChatStatus>, page: PageRequest) -> ChatsPage {
        self.history.chats(config_id, status, page)
    }

    /// `GET /v0/evi/chats/{id}`.
    #[must_use]
    pub fn chat(&self, chat_id: &str, page: PageRequest) -> Option<ChatWithEvents> {
        self.history.chat(chat_id, page)
    }

    /// `GET /v0/evi/chat_groups`.
    #[must_use]
    pub fn chat_groups(&self, config_id: Option<&str>, page: PageRequest) -> ChatGroupsPage {
        self.history.groups(config_id, page)
    }

    /// `GET /v0/evi/chat_groups/{id}`.
    #[must_use]
    pub fn chat_group(&self, group_id: &str, page: PageRequest) -> Option<ChatGroupWithChats> {
        self.history.group(group_id, page)
    }

    /// `GET /v0/evi/chat_groups/{id}/events`.
    #[must_use]
    pub fn chat_group_events(&self, group_id: &str, page: PageRequest) -> Option<ChatGroupEvents> {
        self.history.group_events(group_id, page)
    }

    /// Whether this credential opens the account's doors.
    pub(crate) fn admits(&self, credential: Option<&str>) -> bool {
        credential.is_some_and(|key| {
            let known = self.config.api_keys.iter().any(|known| known == key);
            known || (self.config.api_keys.is_empty() && !key.is_empty())
        })
    }

    pub(crate) fn config(&self) -> &EviConfig {
        &self.config
    }

    /// What the group remembers, if it can be resumed.
    fn resumed(&mut self, now: Instant, group: &str) -> Result<Mind, Refused> {
        if !self.config.retention || !self.history.has_group(group) {
            return Err(Refused::Status(self.config.unknown_group_status));
        }
        let policy = self.config.resume_while_open;
        let (mut house, sessions) = self.house(now);
        let mut mind = Mind::new(Briefing::default());
        for session in sessions.values_mut().filter(|session| session.record.chat_group_id == group) {
            if !session.closed {
                match policy {
                    ResumeWhileOpen::Accept => {}
                    ResumeWhileOpen::CloseOld => {
                        session.close(&mut house, now, 1000, "resumed elsewhere", ChatStatus::UserEnded)
                    }
                    ResumeWhileOpen::Refuse(status) => return Err(Refused::Status(status)),
                }
            }
            // The latest chat knows what the earlier ones knew.
            mind = session.mind.resumed();
        }
        Ok(mind)
    }

    fn house(&mut self, now: Instant) -> (House<'_>, &mut BTreeMap<SessionId, Session>) {
        let origin = *self.origin.get_or_insert(now);
        (
            House { config: &self.config, history: &mut self.history, counts: &mut self.counts, origin },
            &mut self.sessions,
        )
    }

    fn forget_the_oldest(&mut self) {
        let ended: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| session.closed).map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(MOST_ENDED)) {
            self.sessions.remove(id);
        }
    }
}
