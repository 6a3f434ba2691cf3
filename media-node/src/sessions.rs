//! The calls of this node: who is prepared, who is live, and what became of those that ended within the last minute.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::WebSocket;
use call::journal::NextStep;
use call::{CallId, Command};
use tokio::sync::mpsc;
use wire::twilio::{AccountSid, CallSid, StreamSid};

use crate::socket::Socket;

/// What may wait for a call's loop, which looks every few milliseconds.
const REQUESTS_MAX: usize = 32;

/// What became of a call is known for so long after its end: Twilio asks the control plane within seconds.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Of its capacity, a node keeps at most this share (one in so many) for calls whose stream has not come, but always
/// [`UNUSED_MIN`]: streams come within seconds, and engines that nobody talks to cost money.
const UNUSED_SHARE: usize = 4;
const UNUSED_MIN: usize = 8;

/// One epoch of one call.
pub(crate) type Key = (CallId, u32);

/// Something for a call's loop.
#[derive(Debug)]
pub(crate) enum Request {
    /// The phone is here.
    Join(Box<Socket<WebSocket>>, StreamSid),
    /// Whether the epoch is ours, by the store.
    Claimed(bool),
    /// Somebody asks for something.
    Command(Command),
    /// A tool has answered, or has not: by the engine's id of the request.
    Tool(String, Result<String, String>),
}

/// One epoch of one call, seen from outside its loop.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: Key,
    pub(crate) account_sid: AccountSid,
    pub(crate) call_sid: Option<CallSid>,
    pub(crate) since: Instant,
    requests: mpsc::Sender<Request>,
    taken: AtomicBool,
}

/// The call's loop takes no more requests.
#[derive(Debug)]
pub(crate) struct Busy;

impl Session {
    /// Takes the epoch for a stream. True once.
    pub(crate) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    /// Hands a request to the call's loop, without waiting.
    pub(crate) fn ask(&self, request: Request) -> Result<(), Busy> {
        self.requests.try_send(request).map_err(|_| Busy)
    }
}

/// What became of the wish to prepare a call.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It shall be started.
    New(Arc<Session>, mpsc::Receiver<Request>),
    /// It was prepared before.
    Known,
    /// There is no room.
    Full,
    /// The node is going down.
    Draining,
}

#[derive(Debug)]
struct Ended {
    at: Instant,
    next: Option<NextStep>,
}

#[derive(Debug, Default)]
struct Table {
    live: BTreeMap<Key, Arc<Session>>,
    ended: BTreeMap<Key, Ended>,
    draining: bool,
}

/// The calls of this node.
#[derive(Debug)]
pub(crate) struct Sessions {
    capacity: usize,
    table: Mutex<Table>,
}

impl Sessions {
    pub(crate) fn new(capacity: u32) -> Self {
        Self { capacity: capacity as usize, table: Mutex::default() }
    }

    /// Whether there is room for this epoch, which is then taken.
    pub(crate) fn admit(
        &self,
        key: Key,
        account_sid: AccountSid,
        call_sid: Option<CallSid>,
        now: Instant,
    ) -> Admission {
        let mut table = self.table();
        table.ended.retain(|_, ended| now < ended.at + KEPT_FOR);
        if table.live.contains_key(&key) || table.ended.contains_key(&key) {
            return Admission::Known;
        }
        if table.draining {
            return Admission::Draining;
        }
        let unused = table.live.values().filter(|session| !session.is_taken()).count();
        if table.live.len() >= self.capacity || unused >= (self.capacity / UNUSED_SHARE).max(UNUSED_MIN) {
            return Admission::Full;
        }
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let session = Session { key, account_sid, call_sid, since: now, requests, taken: AtomicBool::new(false) };
        let session = Arc::new(session);
        table.live.insert(key, Arc::clone(&session));
        Admission::New(session, inbox)
    }

    /// The session of this epoch.
    pub(crate) fn find(&self, key: Key) -> Option<Arc<Session>> {
        self.table().live.get(&key).cloned()
    }

    /// The newest epoch of a call.
    pub(crate) fn newest(&self, call: CallId) -> Option<Arc<Session>> {
        self.table().live.range((call, 0)..=(call, u32::MAX)).next_back().map(|(_, session)| Arc::clone(session))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.table().live.values().cloned().collect()
    }

    /// Keeps what Twilio shall be told when the stream has ended.
    pub(crate) fn keep(&self, key: Key, next: NextStep, now: Instant) {
        self.table().ended.insert(key, Ended { at: now, next: Some(next) });
    }

    /// The epoch is over.
    pub(crate) fn end(&self, key: Key, now: Instant) {
        let mut table = self.table();
        table.live.remove(&key);
        table.ended.entry(key).or_insert(Ended { at: now, next: None }).at = now;
    }

    /// The epoch was admitted and could not be started: as if it had never come.
    pub(crate) fn forget(&self, key: Key) {
        self.table().live.remove(&key);
    }

    /// The step that was kept for an epoch: none if the node does not know the epoch, `Some(None)` if it has no step.
    pub(crate) fn kept(&self, key: Key, now: Instant) -> Option<Option<NextStep>> {
        let table = self.table();
        match table.ended.get(&key).filter(|ended| now < ended.at + KEPT_FOR) {
            Some(ended) => Some(ended.next.clone()),
            None => table.live.contains_key(&key).then_some(None),
        }
    }

    /// Takes no more calls.
    pub(crate) fn drain(&self) {
        self.table().draining = true;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.table().draining
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use call::journal::{EndReason, EndedBy};

    fn admit(sessions: &Sessions, n: u128, now: Instant) -> Admission {
        sessions.admit((CallId::new(1, n), 1), AccountSid::from_number(1), None, now)
    }

    #[test]
    fn an_epoch_is_admitted_once_also_after_its_end() {
        let (sessions, now) = (Sessions::new(10), Instant::now());
        assert!(matches!(admit(&sessions, 1, now), Admission::New(..)));
        assert!(matches!(admit(&sessions, 1, now), Admission::Known));
        sessions.end((CallId::new(1, 1), 1), now);
        assert!(matches!(admit(&sessions, 1, now), Admission::Known));
        assert!(matches!(admit(&sessions, 1, now + KEPT_FOR), Admission::New(..)));
    }

    #[test]
    fn there_is_a_bound_on_calls_and_on_prepared_ones() {
        let (sessions, now) = (Sessions::new(12), Instant::now());
        let taken: Vec<_> = (0..8)
            .map(|n| match admit(&sessions, n, now) {
                Admission::New(session, inbox) => (session, inbox),
                other @ (Admission::Known | Admission::Full | Admission::Draining) => panic!("{other:?}"),
            })
            .collect();
        assert!(matches!(admit(&sessions, 8, now), Admission::Full), "eight streams are awaited");
        assert!(taken.iter().all(|(session, _)| session.take() && !session.take()));
        for n in 8..12 {
            assert!(matches!(admit(&sessions, n, now), Admission::New(..)));
        }
        assert!(matches!(admit(&sessions, 12, now), Admission::Full));
        sessions.end((CallId::new(1, 0), 1), now);
        sessions.drain();
        assert!(matches!(admit(&sessions, 12, now), Admission::Draining));
    }

    #[test]
    fn a_next_step_is_kept_for_a_minute_after_the_end() {
        let (sessions, now) = (Sessions::new(10), Instant::now());
        let key = (CallId::new(1, 1), 1);
        assert_eq!(sessions.kept(key, now), None);
        let _call = admit(&sessions, 1, now);
        assert_eq!(sessions.kept(key, now), Some(None));
        let step = NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye };
        sessions.keep(key, step.clone(), now);
        sessions.end(key, now + Duration::from_secs(1));
        assert_eq!(sessions.kept(key, now + Duration::from_secs(60)), Some(Some(step)));
        assert_eq!(sessions.kept(key, now + Duration::from_secs(61)), None);
    }

    #[test]
    fn commands_go_to_the_newest_epoch() {
        let (sessions, now) = (Sessions::new(10), Instant::now());
        let call = CallId::new(1, 1);
        for epoch in [1, 3, 2] {
            drop(sessions.admit((call, epoch), AccountSid::from_number(1), None, now));
        }
        assert_eq!(sessions.newest(call).unwrap().key, (call, 3));
        assert!(sessions.newest(CallId::new(1, 2)).is_none());
    }
}
