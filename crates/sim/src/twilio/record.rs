//! What a simulated Twilio remembers of a call, for tests and for whoever watches.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use wire::twilio::form::{CallStatus, Direction, Form};
use wire::twilio::sid::{CallSid, PhoneNumberSid, StreamSid};

use crate::phone::{Performed, Phone};

/// Requests, documents and notices kept of one call. A call that redirects in a circle makes more; they are not kept.
pub(super) const ENTRIES_MAX: usize = 10_000;

/// A call, from its first moment to its last. Times without a zone are since the simulator's start.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// Its id.
    pub sid: CallSid,
    /// The leg that made this one.
    pub parent: Option<CallSid>,
    /// The calling party.
    pub from: String,
    /// The called party.
    pub to: String,
    /// Who called whom.
    pub direction: Direction,
    /// How far it has come.
    pub status: CallStatus,
    /// Every status it had, and since when.
    pub history: Vec<(Duration, CallStatus)>,
    /// When the record was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// When it was dialled, or came in.
    pub started: Option<Timestamp>,
    /// When it was answered.
    pub answered: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The owned number.
    pub number: Option<PhoneNumberSid>,
    /// How long it had to wait for its turn.
    pub queue_time: Duration,
    /// Every request Twilio made because of it.
    pub requests: Vec<RequestRecord>,
    /// Every document it was given, as received.
    pub documents: Vec<String>,
    /// Words that documents had it say.
    pub said: Vec<String>,
    /// Its two-way streams, in order.
    pub streams: Vec<StreamRecord>,
    /// Its streams that only listened, in order.
    pub one_way: Vec<OneWayRecord>,
    /// What was recorded of the caller, in order.
    pub recordings: Vec<Recording>,
    /// Errors and warnings in Twilio's numbers.
    pub notices: Vec<Notice>,
    /// What the person on the phone did.
    pub performed: Vec<Performed>,
}

/// One request that Twilio made, and how it was answered.
#[derive(Clone)]
pub struct RequestRecord {
    /// When it was sent.
    pub at: Duration,
    /// How long until the answer.
    pub took: Duration,
    /// Why.
    pub kind: RequestKind,
    /// Where to, as requested.
    pub url: String,
    /// The keys it carried.
    pub form: Form,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The header that all attempts of one request share.
    pub idempotency_token: Option<String>,
    /// How it was answered.
    pub answer: RequestAnswer,
}

impl fmt::Debug for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecord")
            .field("at", &self.at)
            .field("kind", &self.kind)
            .field("url", &self.url)
            .field("attempt", &self.attempt)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// Why a request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// For TwiML: the first, or one a document or the REST interface redirected to.
    Voice,
    /// For TwiML, because that failed.
    Fallback,
    /// For TwiML, when a verb with an action ended.
    Action,
    /// For a file to play.
    Media,
    /// To report a call's progress.
    Status,
    /// To report a stream's life.
    StreamStatus,
    /// To report a recording's life.
    RecordingStatus,
}

/// How a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestAnswer {
    /// With this HTTP status.
    Status(u16),
    /// Not at all, or not as it should be; with Twilio's number.
    Failed(u32),
    /// It was, but the answer was lost: a fault of the simulation.
    Lost,
    /// It was never sent: a fault of the simulation.
    NeverSent,
}

/// One stream of a call.
#[derive(Clone)]
pub struct StreamRecord {
    /// Its id.
    pub sid: StreamSid,
    /// Where it went.
    pub url: String,
    /// When it was dialled.
    pub dialled: Duration,
    /// When its server accepted.
    pub connected: Option<Duration>,
    /// When it ended.
    pub ended: Option<Duration>,
    /// Why it ended.
    pub outcome: Option<StreamOutcome>,
    phone: Arc<Mutex<Phone>>,
}

impl StreamRecord {
    pub(super) fn new(sid: StreamSid, url: &str, dialled: Duration, phone: Arc<Mutex<Phone>>) -> Self {
        Self { sid, url: url.to_owned(), dialled, connected: None, ended: None, outcome: None, phone }
    }

    /// The phone at this end: what was heard, said and violated, also while the stream lives.
    pub fn phone(&self) -> MutexGuard<'_, Phone> {
        lock(&self.phone)
    }
}

impl fmt::Debug for StreamRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRecord")
            .field("sid", &self.sid)
            .field("url", &self.url)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// One stream that only listened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneWayRecord {
    /// Its id.
    pub sid: StreamSid,
    /// The name that its document gave it.
    pub name: Option<String>,
    /// Why it ended, once it has.
    pub outcome: Option<StreamOutcome>,
}

/// What was recorded of the caller.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    /// Its id, `RE…`.
    pub sid: String,
    /// Mu-law bytes at 8 kHz.
    pub audio: Vec<u8>,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("sid", &self.sid).field("bytes", &self.audio.len()).finish()
    }
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOutcome {
    /// Its server closed it with this code, or ended the connection cleanly without one.
    ServerClosed(Option<u16>),
    /// It never came to be, or broke; with Twilio's number.
    Failed(u32),
    /// The person on the phone hung up.
    CallerHungUp,
    /// The call was sent elsewhere by REST.
    Redirected,
    /// The call was over: its document's end, REST, its time limit.
    CallEnded,
    /// A document stopped it; only a stream that listens can be stopped.
    Stopped,
}

/// An error or a warning, with Twilio's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// When.
    pub at: Duration,
    /// Which.
    pub code: u32,
    /// What about.
    pub detail: String,
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, since the simulator's start.
    pub at: Duration,
    /// Of which call.
    pub call: CallSid,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.3}  {}", self.at.as_secs_f64(), self.text)
    }
}

impl CallRecord {
    pub(super) fn new(
        sid: CallSid,
        from: &str,
        to: &str,
        direction: Direction,
        status: CallStatus,
        at: Duration,
    ) -> Self {
        let now = Timestamp::now();
        Self {
            sid,
            parent: None,
            from: from.to_owned(),
            to: to.to_owned(),
            direction,
            history: vec![(at, status.clone())],
            status,
            created: now,
            updated: now,
            started: None,
            answered: None,
            ended: None,
            number: None,
            queue_time: Duration::ZERO,
            requests: Vec::new(),
            documents: Vec::new(),
            said: Vec::new(),
            streams: Vec::new(),
            one_way: Vec::new(),
            recordings: Vec::new(),
            notices: Vec::new(),
            performed: Vec::new(),
        }
    }

    /// Whole seconds from the answer to the end; nothing if it was never answered or is not over.
    pub fn duration(&self) -> Option<Duration> {
        let (answered, ended) = (self.answered?, self.ended?);
        Some(Duration::from_secs(u64::try_from(ended.duration_since(answered).as_secs()).unwrap_or(0)))
    }

    /// The requests of one kind, in order.
    pub fn requests_of(&self, kind: RequestKind) -> Vec<&RequestRecord> {
        self.requests.iter().filter(|request| request.kind == kind).collect()
    }

    /// Twilio's numbers, in order.
    pub fn codes(&self) -> Vec<u32> {
        self.notices.iter().map(|notice| notice.code).collect()
    }
}

/// A lock whose holder panicked still holds what it held: a test that failed elsewhere should say so itself.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time since the simulator's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
