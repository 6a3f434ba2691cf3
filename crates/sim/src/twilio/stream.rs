//! A media stream behind a real WebSocket: the same [`Phone`] as in virtual time, driven by the real clock.
//!
//! The upgrade is Twilio's: signed, without a query, without extensions or subprotocols (as captured on live traffic).
//! A server that does not read in time costs the caller's audio (31930), never Twilio's patience.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use wire::twilio::form::StreamEvent;
use wire::twilio::signature;
use wire::twilio::twiml::Stream;

use super::callback::stream_event;
use super::config::SignedUrl;
use super::exchange::Exchange;
use super::live::{Interrupt, Live, Source, interrupt};
use super::record::{StreamOutcome, StreamRecord, lock};
use crate::phone::{Caller, DelayLine, Phone, PhoneConfig, PhoneOut};

/// Messages that may wait for the socket: five seconds of audio. More is congestion.
pub(super) const OUTGOING_MAX: usize = 250;

/// How long the socket may take to let the last messages out.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// How a stream ended, and where the call goes if it was sent elsewhere.
pub(super) struct StreamEnd {
    pub(super) outcome: StreamOutcome,
    pub(super) redirect: Option<Source>,
}

/// What comes from the server.
enum Incoming {
    Text(String),
    Binary,
    Closed(Option<u16>),
    Broken(u32),
}

/// Connects a stream, and lives through it.
pub(super) async fn run(live: &mut Live, stream: &Stream) -> StreamEnd {
    let exchange = Arc::clone(&live.exchange);
    let sid = exchange.new_stream_sid();
    let network = &exchange.config.network;
    let phone = PhoneConfig {
        custom_parameters: stream.parameters.iter().cloned().collect(),
        pacing: network.pacing.clone(),
        line: network.line,
        keep: network.keep,
        unknowns: exchange.config.unknowns.stream.clone(),
        ..PhoneConfig::new(exchange.config.account_sid, live.sid, sid)
    };
    let phone = Arc::new(Mutex::new(Phone::new(phone, exchange.random(|rng| rng.u64(..)))));
    let record = StreamRecord::new(sid, &stream.url, exchange.elapsed(), Arc::clone(&phone));
    exchange.note(live.sid, |call| call.streams.push(record));
    exchange.event(live.sid, format!("stream  dials {}", stream.url));

    let connecting = connect(stream, &exchange.config.auth_token, exchange.config.unknowns.signed_stream_url);
    let connecting = tokio::time::timeout(exchange.config.unknowns.connect_timeout, connecting);
    let end = match live.until(connecting).await {
        Err(interrupt) => interrupted(interrupt),
        Ok(connected) => match connected.unwrap_or(Err(31901)) {
            Err(code) => StreamEnd { outcome: StreamOutcome::Failed(code), redirect: None },
            Ok(socket) => {
                let connected = exchange.elapsed();
                exchange.stream(live.sid, sid, |record| record.connected = Some(connected));
                stream_event(&exchange, live.sid, sid, stream, &StreamEvent::Started, None);
                converse(live, &phone, socket).await
            }
        },
    };

    exchange.stream_ended(live.sid, sid, end.outcome);
    let error = error_of(&exchange, end.outcome);
    for violation in lock(&phone).violations().iter().filter(|violation| violation.raised) {
        exchange.notice(live.sid, u32::from(violation.code), format!("a message {}", violation.detail));
    }
    match error {
        Some(code) => {
            exchange.notice(live.sid, code, format!("stream: {}", title(code)));
            let text = format!("{code} {}", title(code));
            stream_event(&exchange, live.sid, sid, stream, &StreamEvent::Error, Some(text));
        }
        None => stream_event(&exchange, live.sid, sid, stream, &StreamEvent::Stopped, None),
    }
    end
}

/// The number with which an end is reported; none if it was as it should be.
pub(super) fn error_of(exchange: &Exchange, outcome: StreamOutcome) -> Option<u32> {
    match outcome {
        StreamOutcome::Failed(code) => Some(code),
        // A clean close is one without an error, unless the switch says that Twilio reports it all the same.
        StreamOutcome::ServerClosed(Some(1000)) if !exchange.config.unknowns.clean_close_is_an_error => None,
        StreamOutcome::ServerClosed(_) => Some(31921),
        StreamOutcome::CallerHungUp | StreamOutcome::Redirected | StreamOutcome::CallEnded | StreamOutcome::Stopped => {
            None
        }
    }
}

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens the socket, or says with which of Twilio's numbers it could not be.
pub(super) async fn connect(stream: &Stream, auth_token: &str, signed_as: SignedUrl) -> Result<Socket, u32> {
    // The reader has already cut the query off and checked scheme and host.
    let url = stream.url.as_str();
    let mut request: Request<()> = url.into_client_request().map_err(|_| 31923_u32)?;
    let signed = match signed_as {
        SignedUrl::AsWritten => url.to_owned(),
        SignedUrl::WithSlash => format!("{}/", url.trim_end_matches('/')),
        SignedUrl::AsHttp => url.replacen("ws", "http", 1),
    };
    let headers = request.headers_mut();
    let signature = signature::sign(auth_token, &signed, []);
    headers.insert(signature::HEADER, HeaderValue::from_str(&signature).map_err(|_| 31900_u32)?);
    headers.insert("user-agent", HeaderValue::from_static("Twilio.TmeWs/1.0"));
    headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    // Frames are small, and a telephone network does not keep one back until the last is acknowledged.
    match connect_async_with_config(request, None, true).await {
        Ok((socket, _)) => Ok(socket),
        Err(error) => Err(refusal(&error)),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other failure to connect is one that Twilio has no name for")]
fn refusal(error: &Error) -> u32 {
    match error {
        Error::Io(error) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => 31902,
            std::io::ErrorKind::TimedOut => 31901,
            std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => 31903,
            std::io::ErrorKind::InvalidData => 31910,
            _ => 31904,
        },
        Error::Tls(_) => 31910,
        Error::Http(_) => 31920,
        Error::Url(_) => 31923,
        Error::Protocol(ProtocolError::HandshakeIncomplete) => 31903,
        Error::Protocol(_) => 31924,
        _ => 31900,
    }
}

/// What Twilio calls it.
pub(super) fn title(code: u32) -> &'static str {
    match code {
        31901 => "no answer to the connect",
        31902 => "connection refused",
        31903 => "connection broken",
        31904 => "host unreachable",
        31910 => "TLS",
        31920 => "handshake answered with another status than 101",
        31921 => "closed by the server",
        31923 => "malformed URL",
        31924 => "WebSocket protocol violated",
        _ => "failed",
    }
}

fn interrupted(interrupt: Interrupt) -> StreamEnd {
    match interrupt {
        Interrupt::HungUp => StreamEnd { outcome: StreamOutcome::CallerHungUp, redirect: None },
        Interrupt::Ended => StreamEnd { outcome: StreamOutcome::CallEnded, redirect: None },
        Interrupt::Redirect(source) => StreamEnd { outcome: StreamOutcome::Redirected, redirect: Some(source) },
    }
}

/// Drives the phone by the real clock until one side ends the stream.
async fn converse(live: &mut Live, phone: &Mutex<Phone>, socket: Socket) -> StreamEnd {
    let exchange = Arc::clone(&live.exchange);
    let (mut sink, mut source) = socket.split();
    let (outgoing, mut waiting) = mpsc::channel::<Message>(OUTGOING_MAX);
    let mut writer = tokio::spawn(async move {
        while let Some(message) = waiting.recv().await {
            if sink.send(message).await.is_err() {
                // The reading half learns why.
                return;
            }
        }
    });
    exchange.keep_task(writer.abort_handle());
    let network = &exchange.config.network;
    let mut up = DelayLine::new(network.up.clone(), exchange.random(|rng| rng.u64(..)));
    let mut down = DelayLine::new(network.down.clone(), exchange.random(|rng| rng.u64(..)));
    let mut mouth = Outgoing { sender: Some(outgoing), congested: false };
    let mut end: Option<StreamEnd> = None;
    let mut server_gone = false;
    lock(phone).started(Instant::now());
    loop {
        let now = Instant::now();
        while let Some(incoming) = down.pop(now) {
            if let Some(ended) = take(&mut lock(phone), now, incoming) {
                end.get_or_insert(ended);
            }
        }
        let due = {
            let mut phone = lock(phone);
            let over = if end.is_some() { None } else { over(live, &mut phone, now) };
            if let Some(over) = over {
                phone.stop(now);
                end = Some(interrupted(over));
            }
            while let Some(out) = phone.poll(now) {
                up.push(now, out);
            }
            while let Some(out) = up.pop(now) {
                mouth.send(out, &mut phone);
            }
            [phone.next_due(), up.next_due(), down.next_due()].into_iter().flatten().min()
        };
        if mouth.congested {
            mouth.congested = false;
            if exchange.call(live.sid).is_some_and(|record| !record.codes().contains(&31930)) {
                exchange.notice(live.sid, 31930, "the server does not read; caller audio is dropped");
            }
        }
        let Some(due) = due else {
            break;
        };
        tokio::select! {
            biased;
            message = source.next(), if !server_gone => {
                let incoming = understand(message);
                server_gone = matches!(incoming, Some(Incoming::Closed(_) | Incoming::Broken(_)));
                if let Some(incoming) = incoming {
                    down.push(Instant::now(), incoming);
                }
            }
            command = live.commands.recv(), if end.is_none() => {
                if let Some(interrupt) = interrupt(command) {
                    lock(phone).stop(Instant::now());
                    end = Some(interrupted(interrupt));
                }
            }
            () = tokio::time::sleep_until(due.into()) => {}
        }
    }
    drop(mouth);
    if tokio::time::timeout(FAREWELL, &mut writer).await.is_err() {
        writer.abort();
    }
    end.unwrap_or(StreamEnd { outcome: StreamOutcome::ServerClosed(None), redirect: None })
}

/// Whether the person on the phone or the time limit ends the stream.
fn over(live: &mut Live, phone: &mut Phone, now: Instant) -> Option<Interrupt> {
    let caller: &mut Caller = &mut live.caller;
    let acts_before = caller.performed().len();
    let hung_up = caller.step(now, Some(phone));
    if caller.performed().len() > acts_before {
        live.exchange.event(live.sid, format!("caller  step {}", caller.performed().len()));
    }
    live.spread_words();
    if hung_up {
        return Some(Interrupt::HungUp);
    }
    live.is_overdue(now).then_some(Interrupt::Ended)
}

fn take(phone: &mut Phone, now: Instant, incoming: Incoming) -> Option<StreamEnd> {
    let (code, outcome) = match incoming {
        Incoming::Text(text) => {
            phone.receive(now, &text);
            return None;
        }
        Incoming::Binary => {
            phone.receive_binary(now);
            return None;
        }
        Incoming::Closed(code) => (code, StreamOutcome::ServerClosed(code)),
        Incoming::Broken(code) => (None, StreamOutcome::Failed(code)),
    };
    phone.server_closed(now, code);
    Some(StreamEnd { outcome, redirect: None })
}

fn understand(message: Option<Result<Message, Error>>) -> Option<Incoming> {
    match message {
        Some(Ok(Message::Text(text))) => Some(Incoming::Text(text.to_string())),
        Some(Ok(Message::Binary(_))) => Some(Incoming::Binary),
        Some(Ok(Message::Close(frame))) => Some(Incoming::Closed(frame.map(|frame| frame.code.into()))),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => None,
        Some(Err(Error::ConnectionClosed)) => Some(Incoming::Closed(None)),
        Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) | None => Some(Incoming::Broken(31903)),
        Some(Err(Error::Protocol(_))) => Some(Incoming::Broken(31924)),
        Some(Err(_)) => Some(Incoming::Broken(31903)),
    }
}

/// The way out. What does not fit is dropped: Twilio does not wait for a server that does not read.
struct Outgoing {
    sender: Option<mpsc::Sender<Message>>,
    congested: bool,
}

impl Outgoing {
    fn send(&mut self, out: PhoneOut, phone: &mut Phone) {
        let Some(sender) = &self.sender else {
            return;
        };
        let (message, last) = match out {
            PhoneOut::Text(text) => (Message::text(text), false),
            PhoneOut::Ping => (Message::Ping(Vec::new().into()), false),
            PhoneOut::Close { code: Some(code) } => {
                (Message::Close(Some(CloseFrame { code: CloseCode::from(code), reason: "".into() })), true)
            }
            PhoneOut::Close { code: None } => {
                self.sender = None;
                return;
            }
        };
        match sender.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => {
                self.congested = true;
                if let Message::Text(text) = message {
                    phone.refused(&text);
                }
            }
            // The socket broke; the reading half says so.
            Err(TrySendError::Closed(_)) => {}
        }
        if last {
            self.sender = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::twilio::sid::{AccountSid, CallSid, StreamSid};

    use super::*;
    use crate::phone::Fate;

    #[tokio::test]
    async fn a_server_that_does_not_read_loses_audio_and_nothing_waits_for_it() {
        let config = PhoneConfig::new(AccountSid::from_number(1), CallSid::from_number(2), StreamSid::from_number(3));
        let mut phone = Phone::new(config, 1);
        let origin = Instant::now();
        phone.started(origin);
        // Nobody takes messages out, as when the socket is full.
        let (sender, _socket) = mpsc::channel(OUTGOING_MAX);
        let mut outgoing = Outgoing { sender: Some(sender), congested: false };
        let mut now = origin;
        while phone.sent().len() < 300 {
            while let Some(out) = phone.poll(now) {
                outgoing.send(out, &mut phone);
            }
            now += Duration::from_millis(20);
        }
        assert!(outgoing.congested);
        let dropped: Vec<_> = phone
            .sent()
            .iter()
            .filter(|frame| frame.fate == Fate::DroppedUnderCongestion)
            .map(|frame| frame.chunk)
            .collect();
        // Two of the places were taken by `connected` and `start`.
        assert_eq!(dropped, (249..=300).collect::<Vec<_>>());
        assert_eq!(phone.frames_delivered(), 248);
    }
}
