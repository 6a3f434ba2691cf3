//! The links of one call: being dialled, or open.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use call::LinkId;
use call::journal::LinkCause;

use crate::engines::Way;
use crate::request::{Answer, Piece, Rejection};
use crate::socket::{Dialled, Full, Heard, Socket, TextFrame};

type Dialling = Pin<Box<dyn Future<Output = Result<Way, LinkCause>> + Send>>;

/// What was heard on a link. After a refusal, a loss or a message that was too big, the link is gone.
#[derive(Debug)]
pub(super) enum LinkHeard {
    Opened,
    Refused(LinkCause),
    Rejected(Rejection),
    Text(TextFrame),
    Binary,
    Body(Bytes),
    Ended,
    Quiet,
    /// With the socket, to be closed politely.
    TooBig(Box<Socket<Dialled>>),
    Lost(Option<u16>),
}

enum Link {
    Dialling(Dialling),
    Open(Box<Socket<Dialled>>),
    /// A streamed request whose answer is coming.
    Answering(Answer),
}

/// All links of a call. There are up to three at an engine, and as many while another is seated.
#[derive(Default)]
pub(super) struct Links(BTreeMap<LinkId, Link>);

impl Links {
    /// Begins to dial.
    pub(super) fn open(
        &mut self,
        link: LinkId,
        dialling: impl Future<Output = Result<Way, LinkCause>> + Send + 'static,
    ) {
        self.0.insert(link, Link::Dialling(Box::pin(dialling)));
    }

    /// Queues a message. A link that is not open has nobody to send it to.
    pub(super) fn send(&mut self, link: LinkId, text: String) -> Result<(), Full> {
        self.queue(link, |socket| socket.queue(text))
    }

    /// Queues a binary message.
    pub(super) fn send_binary(&mut self, link: LinkId, bytes: Bytes) -> Result<(), Full> {
        self.queue(link, |socket| socket.queue_binary(bytes))
    }

    fn queue(
        &mut self,
        link: LinkId,
        queue: impl FnOnce(&mut Socket<Dialled>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let Some(Link::Open(socket)) = self.0.get_mut(&link) else { return Ok(()) };
        let queued = queue(socket);
        if queued.is_err() {
            self.0.remove(&link);
        }
        queued
    }

    /// Takes a link out. A dial that is under way is given up, and so is a request with its answer.
    pub(super) fn take(&mut self, link: LinkId) -> Option<Socket<Dialled>> {
        match self.0.remove(&link)? {
            Link::Dialling(_) | Link::Answering(_) => None,
            Link::Open(socket) => Some(*socket),
        }
    }

    /// Everything that is still open.
    pub(super) fn take_all(&mut self) -> Vec<Socket<Dialled>> {
        let all: Vec<LinkId> = self.0.keys().copied().collect();
        all.into_iter().filter_map(|link| self.take(link)).collect()
    }

    /// What happens next on any of them. Nothing is lost if it is not waited for.
    pub(super) async fn next(&mut self) -> (LinkId, LinkHeard) {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(LinkId, LinkHeard)> {
        // All are polled, so that all write what they have queued; the first to have heard something is told.
        let mut heard = None;
        for (&id, link) in &mut self.0 {
            if heard.is_none()
                && let Poll::Ready(event) = link.poll(cx)
            {
                heard = Some((id, event));
            }
        }
        let Some((id, event)) = heard else { return Poll::Pending };
        let event = match event {
            Polled::Opened(Way::Socket(socket)) => {
                self.0.insert(id, Link::Open(Box::new(Socket::new(*socket, Instant::now()))));
                LinkHeard::Opened
            }
            Polled::Opened(Way::Answering(answer)) => {
                self.0.insert(id, Link::Answering(answer));
                LinkHeard::Opened
            }
            Polled::Opened(Way::Rejected(rejection)) => {
                self.0.remove(&id);
                LinkHeard::Rejected(rejection)
            }
            Polled::Answered(Piece::Bytes(bytes)) => LinkHeard::Body(bytes),
            Polled::Answered(Piece::End) => {
                self.0.remove(&id);
                LinkHeard::Ended
            }
            Polled::Answered(Piece::Broken) => {
                self.0.remove(&id);
                LinkHeard::Lost(None)
            }
            Polled::Refused(why) => {
                self.0.remove(&id);
                LinkHeard::Refused(why)
            }
            Polled::Heard(Heard::Text(text)) => LinkHeard::Text(text),
            Polled::Heard(Heard::Binary) => LinkHeard::Binary,
            Polled::Heard(Heard::Quiet) => LinkHeard::Quiet,
            Polled::Heard(Heard::TooBig) => {
                self.take(id).map_or(LinkHeard::Lost(None), |socket| LinkHeard::TooBig(Box::new(socket)))
            }
            Polled::Heard(Heard::Lost(code)) => {
                self.0.remove(&id);
                LinkHeard::Lost(code)
            }
        };
        Poll::Ready((id, event))
    }

    /// When [`watch`](Self::watch) is due.
    pub(super) fn watch_at(&self) -> Option<Instant> {
        self.sockets().map(Socket::watch_at).min()
    }

    /// Pings what is to be pinged, and drops the links that have been silent for too long.
    pub(super) fn watch(&mut self, now: Instant) -> Vec<LinkId> {
        let mut silent = Vec::new();
        for (&id, link) in &mut self.0 {
            if let Link::Open(socket) = link
                && socket.watch(now).is_err()
            {
                silent.push(id);
            }
        }
        for id in &silent {
            self.0.remove(id);
        }
        silent
    }

    fn sockets(&self) -> impl Iterator<Item = &Socket<Dialled>> {
        self.0.values().filter_map(|link| match link {
            Link::Dialling(_) | Link::Answering(_) => None,
            Link::Open(socket) => Some(&**socket),
        })
    }
}

enum Polled {
    Opened(Way),
    Answered(Piece),
    Refused(LinkCause),
    Heard(Heard<TextFrame>),
}

impl Link {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Polled> {
        match self {
            Self::Dialling(dialling) => dialling.as_mut().poll(cx).map(|dialled| match dialled {
                Ok(way) => Polled::Opened(way),
                Err(why) => Polled::Refused(why),
            }),
            Self::Open(socket) => socket.poll_next(cx).map(Polled::Heard),
            Self::Answering(answer) => answer.poll_next(cx).map(Polled::Answered),
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
