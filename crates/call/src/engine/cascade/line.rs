//! One of the sockets, dialled again by itself when it is lost.
//!
//! A call that has lost one of three sockets has not lost its engine: the other two still stand, and so does everything
//! the engine knows. So the lost one is dialled again at once, then after growing pauses, for as long as the engine as a
//! whole may take to come back; only then is the engine given up.

use std::time::{Duration, Instant};

use crate::engine::Outbox;
use crate::io::LinkRequest;
use crate::journal::LinkCause;
use crate::limits::{CASCADE_REDIAL_FIRST, RESUME_WITHIN};

/// A socket and its state.
#[derive(Debug)]
pub(super) struct Line {
    state: State,
    /// Since when it is wanted and not there, after it once was.
    lost_at: Option<Instant>,
    attempts: u32,
}

#[derive(Debug)]
enum State {
    Closed,
    Dialling { port: u32, by: Instant },
    Open { port: u32 },
    Pausing { until: Instant },
}

/// What becomes of a socket that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is dialled again.
    Again,
    /// It had its time, or there is no point in trying.
    GivenUp(LinkCause),
}

impl Line {
    pub(super) const fn new() -> Self {
        Self { state: State::Closed, lost_at: None, attempts: 0 }
    }

    pub(super) fn dial(&mut self, port: u32, request: LinkRequest, within: Duration, outbox: &mut Outbox<'_>) {
        self.state = State::Dialling { port, by: outbox.now + within };
        outbox.open(port, request);
    }

    /// Whether the event on this port is about this socket.
    pub(super) fn is(&self, port: u32) -> bool {
        self.port() == Some(port)
    }

    /// The port, if the socket is open.
    pub(super) fn open_port(&self) -> Option<u32> {
        match self.state {
            State::Open { port } => Some(port),
            State::Closed | State::Dialling { .. } | State::Pausing { .. } => None,
        }
    }

    fn port(&self) -> Option<u32> {
        match self.state {
            State::Dialling { port, .. } | State::Open { port } => Some(port),
            State::Closed | State::Pausing { .. } => None,
        }
    }

    pub(super) fn opened(&mut self) {
        if let State::Dialling { port, .. } = self.state {
            self.state = State::Open { port };
        }
    }

    /// The socket is as it should be: what was lost is back.
    pub(super) fn steady(&mut self) {
        self.lost_at = None;
        self.attempts = 0;
    }

    /// Whether it is dialled again after a loss and is not back yet.
    pub(super) fn falters(&self) -> bool {
        self.lost_at.is_some()
    }

    /// The socket is gone, or is to go. `hopeless`: dialling it again would change nothing.
    pub(super) fn lost(&mut self, why: LinkCause, hopeless: bool, outbox: &mut Outbox<'_>) -> Fate {
        self.close(outbox);
        let lost_at = *self.lost_at.get_or_insert(outbox.now);
        // First at once, then after pauses that double.
        let pause = match self.attempts {
            0 => Duration::ZERO,
            n => CASCADE_REDIAL_FIRST.saturating_mul(1 << (n - 1).min(6)),
        };
        let until = outbox.now + pause;
        if hopeless || until >= lost_at + RESUME_WITHIN {
            return Fate::GivenUp(why);
        }
        self.attempts += 1;
        self.state = State::Pausing { until };
        Fate::Again
    }

    pub(super) fn close(&mut self, outbox: &mut Outbox<'_>) {
        if let Some(port) = self.port() {
            outbox.close(port);
        }
        self.state = State::Closed;
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        match self.state {
            State::Dialling { by, .. } => Some(by),
            State::Pausing { until } => Some(until),
            State::Closed | State::Open { .. } => None,
        }
    }

    /// Whether it is time to dial again.
    pub(super) fn wants_dialling(&self, now: Instant) -> bool {
        matches!(self.state, State::Pausing { until } if until <= now)
    }

    /// Whether the dial has had its time.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.state, State::Dialling { by, .. } if by <= now)
    }
}
