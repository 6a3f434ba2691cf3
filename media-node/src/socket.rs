//! A WebSocket as a call's loop uses it: read and written by one poll, never waited for.
//!
//! What is sent is queued, and written whenever the loop waits for something to read: so there is no second task, and a
//! peer that takes nothing stalls nobody. The queue has a bound; reaching it means that the peer is lost. So does silence:
//! each side is pinged, and one that sends nothing at all for [`SILENCE_MAX`] is gone although its socket is open (Twilio
//! publishes no ping of its own: voice/media-streams).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::Deref;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::extract::ws as phone_ws;
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio_tungstenite::tungstenite;

/// A peer is pinged this often.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A peer that has sent nothing for so long, not even an answer to a ping, is lost.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Messages that may wait to be written: ten seconds of frames. Who has taken nothing for ten seconds has heard nothing
/// for ten seconds, or more.
const QUEUED_MAX: usize = 512;

/// Saying goodbye takes no longer.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// The socket's own read buffer. The default of 128 KiB costs more than all else that a call needs.
pub(crate) const READ_BUFFER_BYTES: usize = 4_096;

/// What the socket itself may hold back; beyond it our own queue begins.
pub(crate) const WRITE_BUFFER_BYTES_MAX: usize = 256 << 10;

/// Close codes (RFC 6455, section 7.4.1).
pub(crate) mod code {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const GOING_AWAY: u16 = 1001;
    pub(crate) const POLICY: u16 = 1008;
    pub(crate) const TOO_BIG: u16 = 1009;
    pub(crate) const TRY_AGAIN: u16 = 1013;
}

/// What was heard from the other side.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    /// A text message.
    Text(T),
    /// A binary one.
    Binary,
    /// A sign of life without a meaning of its own.
    Quiet,
    /// A message larger than this socket takes. Nothing more can be read.
    TooBig,
    /// The socket is gone, with the close code if there was one.
    Lost(Option<u16>),
}

/// Too much waits to be written.
#[derive(Debug)]
pub(crate) struct Full;

/// The other side has said nothing for too long.
#[derive(Debug)]
pub(crate) struct Silent;

/// A socket that carries messages: axum's towards Twilio, tungstenite's towards an engine.
pub(crate) trait Frames:
    Stream<Item = Result<Self::Message, Self::Failure>>
    + Sink<Self::Message, Error = Self::Failure>
    + Unpin
    + Send
    + 'static
{
    type Message: Send;
    type Failure: Send;
    type Text: Deref<Target = str> + Send;

    fn text(text: String) -> Self::Message;
    fn binary(bytes: Bytes) -> Self::Message;
    fn ping() -> Self::Message;
    fn close(code: u16, reason: &'static str) -> Self::Message;
    fn read(message: Self::Message) -> Heard<Self::Text>;
    fn is_too_big(failure: Self::Failure) -> bool;
}

/// One side of a call.
#[derive(Debug)]
pub(crate) struct Socket<F: Frames> {
    frames: F,
    queue: VecDeque<F::Message>,
    /// Whether something was handed to the socket and not flushed.
    unflushed: bool,
    heard_at: Instant,
    ping_at: Instant,
}

impl<F: Frames> Socket<F> {
    pub(crate) fn new(frames: F, now: Instant) -> Self {
        Self { frames, queue: VecDeque::new(), unflushed: false, heard_at: now, ping_at: now + PING_EVERY }
    }

    /// Sends a text, as soon as the other side takes it.
    pub(crate) fn queue(&mut self, text: String) -> Result<(), Full> {
        self.push(F::text(text))
    }

    /// Sends bytes as one binary message, as soon as the other side takes it.
    pub(crate) fn queue_binary(&mut self, bytes: Bytes) -> Result<(), Full> {
        self.push(F::binary(bytes))
    }

    fn push(&mut self, message: F::Message) -> Result<(), Full> {
        if self.queue.len() >= QUEUED_MAX {
            return Err(Full);
        }
        self.queue.push_back(message);
        Ok(())
    }

    /// What the other side says next. Writes what is queued meanwhile. Nothing is lost if it is not waited for.
    pub(crate) async fn next(&mut self) -> Heard<F::Text> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard<F::Text>> {
        if let Poll::Ready(Err(_)) = self.poll_write(cx) {
            return Poll::Ready(Heard::Lost(None));
        }
        match ready!(self.frames.poll_next_unpin(cx)) {
            Some(Ok(message)) => {
                self.heard_at = Instant::now();
                Poll::Ready(F::read(message))
            }
            Some(Err(failure)) => Poll::Ready(if F::is_too_big(failure) { Heard::TooBig } else { Heard::Lost(None) }),
            None => Poll::Ready(Heard::Lost(None)),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), F::Failure>> {
        while !self.queue.is_empty() {
            ready!(self.frames.poll_ready_unpin(cx))?;
            if let Some(message) = self.queue.pop_front() {
                self.frames.start_send_unpin(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed {
            ready!(self.frames.poll_flush_unpin(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// When [`watch`](Self::watch) is due.
    pub(crate) fn watch_at(&self) -> Instant {
        self.ping_at.min(self.heard_at + SILENCE_MAX)
    }

    /// Pings the other side when it is time to, and tells when it has been silent for too long.
    pub(crate) fn watch(&mut self, now: Instant) -> Result<(), Silent> {
        if now >= self.heard_at + SILENCE_MAX {
            return Err(Silent);
        }
        if now >= self.ping_at {
            self.ping_at = now + PING_EVERY;
            self.queue.push_back(F::ping());
        }
        Ok(())
    }

    /// Sends what is queued, says goodbye, and waits for the other side to say it too: [`CLOSE_WITHIN`] at most.
    pub(crate) async fn close(mut self, code: u16, reason: &'static str) {
        self.queue.push_back(F::close(code, reason));
        let goodbye = async {
            poll_fn(|cx| self.poll_write(cx)).await.ok();
            while let Some(Ok(_)) = self.frames.next().await {}
        };
        // A peer that does not answer is left without an answer.
        drop(tokio::time::timeout(CLOSE_WITHIN, goodbye).await);
    }
}

impl Frames for phone_ws::WebSocket {
    type Message = phone_ws::Message;
    type Failure = axum::Error;
    type Text = phone_ws::Utf8Bytes;

    fn text(text: String) -> Self::Message {
        phone_ws::Message::Text(text.into())
    }

    fn binary(bytes: Bytes) -> Self::Message {
        phone_ws::Message::Binary(bytes)
    }

    fn ping() -> Self::Message {
        phone_ws::Message::Ping(Bytes::new())
    }

    fn close(code: u16, reason: &'static str) -> Self::Message {
        phone_ws::Message::Close(Some(phone_ws::CloseFrame { code, reason: phone_ws::Utf8Bytes::from_static(reason) }))
    }

    fn read(message: Self::Message) -> Heard<Self::Text> {
        match message {
            phone_ws::Message::Text(text) => Heard::Text(text),
            phone_ws::Message::Binary(_) => Heard::Binary,
            phone_ws::Message::Ping(_) | phone_ws::Message::Pong(_) => Heard::Quiet,
            phone_ws::Message::Close(frame) => Heard::Lost(frame.map(|frame| frame.code)),
        }
    }

    fn is_too_big(failure: Self::Failure) -> bool {
        failure.into_inner().downcast_ref::<tungstenite::Error>().is_some_and(is_capacity)
    }
}

/// A socket that we opened.
pub(crate) type Dialled = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

impl Frames for Dialled {
    type Message = tungstenite::Message;
    type Failure = tungstenite::Error;
    type Text = TextFrame;

    fn text(text: String) -> Self::Message {
        tungstenite::Message::Text(text.into())
    }

    fn binary(bytes: Bytes) -> Self::Message {
        tungstenite::Message::Binary(bytes)
    }

    fn ping() -> Self::Message {
        tungstenite::Message::Ping(Bytes::new())
    }

    fn close(code: u16, reason: &'static str) -> Self::Message {
        let reason = tungstenite::Utf8Bytes::from_static(reason);
        tungstenite::Message::Close(Some(tungstenite::protocol::CloseFrame { code: code.into(), reason }))
    }

    fn read(message: Self::Message) -> Heard<Self::Text> {
        match message {
            tungstenite::Message::Text(text) => Heard::Text(TextFrame(text)),
            tungstenite::Message::Binary(_) => Heard::Binary,
            tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) | tungstenite::Message::Frame(_) => {
                Heard::Quiet
            }
            tungstenite::Message::Close(frame) => Heard::Lost(frame.map(|frame| frame.code.into())),
        }
    }

    fn is_too_big(failure: Self::Failure) -> bool {
        is_capacity(&failure)
    }
}

/// A text message of a socket that we opened.
#[derive(Debug)]
pub(crate) struct TextFrame(tungstenite::Utf8Bytes);

impl Deref for TextFrame {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

fn is_capacity(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Capacity(_))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
    use tungstenite::protocol::{Role, WebSocketConfig};

    use super::*;

    async fn pair() -> (Socket<Dialled>, WebSocketStream<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let config = WebSocketConfig::default().write_buffer_size(0).max_write_buffer_size(WRITE_BUFFER_BYTES_MAX);
        let near = WebSocketStream::from_raw_socket(MaybeTlsStream::Plain(near), Role::Client, Some(config)).await;
        let far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        (Socket::new(near, Instant::now()), far)
    }

    #[tokio::test]
    async fn a_silent_peer_is_pinged_and_then_lost() {
        let (mut socket, mut far) = pair().await;
        let start = Instant::now();
        assert!(socket.watch_at() <= start + PING_EVERY);
        socket.watch(start + Duration::from_secs(1)).unwrap();
        assert!(socket.queue.is_empty());
        socket.watch(start + PING_EVERY).unwrap();
        assert_eq!(socket.queue.len(), 1);
        tokio::select! {
            heard = far.next() => assert!(matches!(heard, Some(Ok(tungstenite::Message::Ping(_))))),
            heard = socket.next() => panic!("{heard:?}"),
        }
        assert!(socket.watch(start + SILENCE_MAX + Duration::from_millis(1)).is_err());
        // Its answer to the ping is a sign of life.
        far.flush().await.unwrap();
        assert!(matches!(socket.next().await, Heard::Quiet));
        socket.watch(start + SILENCE_MAX).unwrap();
    }

    #[tokio::test]
    async fn what_is_queued_is_written_in_order_while_the_loop_waits() {
        let (mut socket, mut far) = pair().await;
        for n in 0..100 {
            socket.queue(n.to_string()).unwrap();
        }
        for n in 0..100 {
            tokio::select! {
                biased;
                heard = socket.next() => panic!("{heard:?}"),
                heard = far.next() => assert_eq!(heard.unwrap().unwrap().to_text().unwrap(), n.to_string()),
            }
        }
        let (closed, ()) = tokio::join!(far.next(), socket.close(code::POLICY, "enough"));
        assert!(
            matches!(closed, Some(Ok(tungstenite::Message::Close(Some(frame)))) if u16::from(frame.code) == code::POLICY)
        );
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_fills_the_queue_and_no_more() {
        let (mut socket, _far) = pair().await;
        let message = "x".repeat(64 << 10);
        let mut queued = 0;
        while socket.queue(message.clone()).is_ok() {
            queued += 1;
            assert!(queued < 10_000, "the queue has no end");
            // The loop waits, and writes what the other side's buffers take.
            drop(tokio::time::timeout(Duration::ZERO, socket.next()).await);
        }
        assert!(queued >= QUEUED_MAX);
        assert_eq!(socket.queue.len(), QUEUED_MAX);
    }
}
