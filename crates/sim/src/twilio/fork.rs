//! `<Start><Stream>`: a stream that listens beside whatever the call does, until `<Stop><Stream>` or the call's end
//! (Twilio: voice/twiml/stream).
//!
//! It carries the caller's words, and a silent outbound track: this simulation speaks no text. A server that answers on
//! it breaks the protocol (31924); keys are not told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use wire::twilio::form::StreamEvent;
use wire::twilio::sid::{CallSid, StreamSid};
use wire::twilio::stream::phone::Phone as Writer;
use wire::twilio::twiml::read::{OneWay, Track};

use super::callback::stream_event;
use super::document::absolute;
use super::exchange::Exchange;
use super::live::Live;
use super::record::{OneWayRecord, StreamOutcome, lock};
use super::stream::{FAREWELL, OUTGOING_MAX, Socket, connect, error_of, title};

/// Twilio's frames.
const FRAME: Duration = Duration::from_millis(20);

/// Mu-law bytes in one.
const FRAME_BYTES: usize = 160;

/// So many tracks of one call may be listened to.
const TRACKS_MAX: usize = 4;

/// A running stream that listens. When it is dropped, the call is over.
pub(super) struct Fork {
    sid: StreamSid,
    name: Option<String>,
    tracks: usize,
    /// Words that have not been sent yet.
    words: Arc<Mutex<VecDeque<u8>>>,
    stop: oneshot::Sender<()>,
}

impl Fork {
    pub(super) fn hear(&self, audio: &[u8]) {
        lock(&self.words).extend(audio);
    }
}

/// Begins one. The document goes on at once.
pub(super) fn start(live: &mut Live, mut one_way: OneWay) {
    let exchange = Arc::clone(&live.exchange);
    live.forks.retain(|fork| !fork.stop.is_closed());
    let running: usize = live.forks.iter().map(|fork| fork.tracks).sum();
    let name = one_way.stream.name.clone();
    let taken = name.is_some() && live.forks.iter().any(|fork| fork.name == name);
    if taken || running + one_way.tracks.len() > TRACKS_MAX {
        let why = if taken { "its name is taken" } else { "four tracks are listened to" };
        exchange.event(live.sid, format!("stream  listens not: {why}"));
        return;
    }
    // The reports' address may be relative to the document, which changes while the stream goes on.
    if let Some(callback) = one_way.stream.status_callback.take() {
        one_way.stream.status_callback = absolute(live, &callback);
    }
    let sid = exchange.new_stream_sid();
    let (stop, stopped) = oneshot::channel();
    let words = Arc::default();
    exchange.note(live.sid, |call| call.one_way.push(OneWayRecord { sid, name: name.clone(), outcome: None }));
    exchange.event(live.sid, format!("stream  dials {} to listen", one_way.stream.url));
    live.forks.push(Fork { sid, name, tracks: one_way.tracks.len(), words: Arc::clone(&words), stop });
    live.caller.listen_in(true);
    let listening = listen(Arc::clone(&exchange), live.sid, sid, one_way, words, stopped);
    exchange.keep_task(tokio::spawn(listening).abort_handle());
}

/// Ends the one of this name.
pub(super) fn stop(live: &mut Live, name: &str) {
    let Some(at) = live.forks.iter().position(|fork| fork.name.as_deref() == Some(name)) else {
        live.exchange.event(live.sid, format!("twiml   <Stop> of a stream that is not there: {name}"));
        return;
    };
    let fork = live.forks.swap_remove(at);
    live.exchange.event(live.sid, format!("twiml   <Stop> of stream {}", fork.sid));
    // It may have ended by itself.
    let _gone = fork.stop.send(());
    live.caller.listen_in(!live.forks.is_empty());
}

async fn listen(
    exchange: Arc<Exchange>,
    call: CallSid,
    sid: StreamSid,
    OneWay { stream, tracks }: OneWay,
    words: Arc<Mutex<VecDeque<u8>>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let unknowns = &exchange.config.unknowns;
    let connecting = connect(&stream, &exchange.config.auth_token, unknowns.signed_stream_url);
    let connecting = tokio::time::timeout(unknowns.connect_timeout, connecting);
    let outcome = tokio::select! {
        connected = connecting => match connected.unwrap_or(Err(31901)) {
            Err(code) => StreamOutcome::Failed(code),
            Ok(socket) => {
                stream_event(&exchange, call, sid, &stream, &StreamEvent::Started, None);
                let mut writer = Writer::new(sid, exchange.config.account_sid, call);
                let mut text = String::new();
                writer.connected(&mut text);
                let mut first = vec![std::mem::take(&mut text)];
                writer.start_of(&tracks, &stream.parameters.iter().cloned().collect(), &mut text);
                first.push(text);
                let talk = Talk { exchange: &exchange, call, writer, tracks, words };
                talk.run(socket, first, &mut stopped).await
            }
        },
        end = &mut stopped => ended(end),
    };
    exchange.event(call, format!("stream  ended: {outcome:?}"));
    exchange.note(call, |record| {
        if let Some(kept) = record.one_way.iter_mut().find(|kept| kept.sid == sid) {
            kept.outcome = Some(outcome);
        }
    });
    match error_of(&exchange, outcome) {
        Some(code) => {
            exchange.notice(call, code, format!("stream: {}", title(code)));
            let text = format!("{code} {}", title(code));
            stream_event(&exchange, call, sid, &stream, &StreamEvent::Error, Some(text));
        }
        None => stream_event(&exchange, call, sid, &stream, &StreamEvent::Stopped, None),
    }
}

/// What a stop means: said by a document, or by the call's end.
fn ended(stopped: Result<(), oneshot::error::RecvError>) -> StreamOutcome {
    if stopped.is_ok() { StreamOutcome::Stopped } else { StreamOutcome::CallEnded }
}

/// The stream's own messages.
struct Talk<'a> {
    exchange: &'a Exchange,
    call: CallSid,
    writer: Writer,
    tracks: Vec<Track>,
    words: Arc<Mutex<VecDeque<u8>>>,
}

impl Talk<'_> {
    async fn run(mut self, socket: Socket, first: Vec<String>, stopped: &mut oneshot::Receiver<()>) -> StreamOutcome {
        let (mut sink, mut source) = socket.split();
        let (outgoing, mut waiting) = mpsc::channel::<Message>(OUTGOING_MAX);
        let mut socket_writer = tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if sink.send(message).await.is_err() {
                    // The reading half learns why.
                    return;
                }
            }
            // The close may find the other side gone already.
            let _gone = sink.close().await;
        });
        self.exchange.keep_task(socket_writer.abort_handle());
        for text in first {
            self.send(&outgoing, text);
        }
        let mut frames = tokio::time::interval(FRAME);
        let mut sent = 0;
        let outcome = loop {
            tokio::select! {
                biased;
                end = &mut *stopped => {
                    let mut text = String::new();
                    self.writer.stop(&mut text);
                    self.send(&outgoing, text);
                    break ended(end);
                }
                message = source.next() => match message {
                    Some(Ok(Message::Close(frame))) => {
                        break StreamOutcome::ServerClosed(frame.map(|frame| frame.code.into()));
                    }
                    Some(Ok(Message::Text(_) | Message::Binary(_))) => break StreamOutcome::Failed(31924),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Err(_)) | None => break StreamOutcome::Failed(31903),
                },
                _ = frames.tick() => {
                    self.frame(&outgoing, sent * 20);
                    sent += 1;
                }
            }
        };
        drop(outgoing);
        if tokio::time::timeout(FAREWELL, &mut socket_writer).await.is_err() {
            socket_writer.abort();
        }
        outcome
    }

    /// One frame of each track.
    fn frame(&mut self, outgoing: &mpsc::Sender<Message>, timestamp_ms: u64) {
        for track in self.tracks.clone() {
            let mut payload = Vec::with_capacity(FRAME_BYTES);
            if track == Track::Inbound {
                let mut words = lock(&self.words);
                let ready = words.len().min(FRAME_BYTES);
                payload.extend(words.drain(..ready));
            }
            payload.resize(FRAME_BYTES, 0xFF);
            let mut text = String::new();
            self.writer.media_of(track, timestamp_ms, &payload, &mut text);
            self.send(outgoing, text);
        }
    }

    /// What does not fit is dropped: Twilio does not wait for a server that does not read.
    fn send(&self, outgoing: &mpsc::Sender<Message>, text: String) {
        if let Err(mpsc::error::TrySendError::Full(_)) = outgoing.try_send(Message::text(text))
            && self.exchange.call(self.call).is_some_and(|record| !record.codes().contains(&31930))
        {
            self.exchange.notice(self.call, 31930, "the server does not read; audio is dropped");
        }
    }
}
