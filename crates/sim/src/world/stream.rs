//! One epoch's stream, and what goes between phone and node.

use std::time::Instant;

use call::{Input, PhoneEvent};
use wire::twilio::stream::Inbound;

use super::{Wire, World};
use crate::phone::{DelayLine, Phone, PhoneOut, StreamEnd};

/// One epoch's stream.
pub struct Stream {
    /// The phone, with all that it heard and said.
    pub phone: Phone,
    /// When the stream started; none if it never did.
    pub started: Option<Instant>,
    /// When its call was finished by the node, or its node died.
    pub finished: Option<Instant>,
    /// When the phone's side ended.
    pub ended: Option<Instant>,
    pub(super) up: DelayLine<String>,
    pub(super) down: DelayLine<Down>,
}

pub(super) enum Down {
    Text(String),
    Close,
}

impl World {
    /// Moves what goes between phone and node, and lets the caller act.
    pub(super) fn move_phone(&mut self) {
        let now = self.now;
        let Some(stream) = self.streams.last_mut() else { return };
        while let Some(down) = stream.down.pop(now) {
            match down {
                Down::Text(text) => stream.phone.receive(now, &text),
                Down::Close => stream.phone.server_closed(now, Some(1000)),
            }
        }
        let mut left = Vec::new();
        while let Some(out) = stream.phone.poll(now) {
            left.push(out);
        }
        let listening = stream.started.is_some() && stream.phone.ended().is_none();
        let hung_up = stream.started.is_some() && self.caller.step(now, listening.then_some(&mut stream.phone));
        if hung_up && stream.phone.ended().is_none() {
            stream.phone.hang_up(now);
            self.lines.push((now - self.began, "phone   hangs up".to_owned()));
        }
        let Some(stream) = self.streams.last_mut() else { return };
        for out in left {
            match out {
                PhoneOut::Text(text) => {
                    stream.up.push(now, text);
                }
                PhoneOut::Close { .. } => {
                    stream.up.push(now, String::new());
                }
                PhoneOut::Ping => {}
            }
        }
        let mut arrived = Vec::new();
        while let Some(text) = stream.up.pop(now) {
            arrived.push(text);
        }
        for text in arrived {
            self.phone_says(&text);
        }
        let Some(stream) = self.streams.last_mut() else { return };
        if stream.phone.ended().is_some() && stream.ended.is_none() {
            stream.ended = Some(now);
            let by_server = matches!(stream.phone.ended(), Some(StreamEnd::ServerClosed(..)));
            if by_server {
                self.stream_over(false);
            }
        }
        let settled = self.streams.last().is_some_and(|stream| stream.ended.is_some() && stream.up.is_empty());
        if self.call.is_none() && settled && self.next_epoch_at.is_none() && hung_up {
            self.over = true;
        }
    }

    pub(super) fn phone_says(&mut self, text: &str) {
        let now = self.now;
        if text.is_empty() {
            self.tell(|call| call.handle(now, Input::Phone(PhoneEvent::Lost)));
            return;
        }
        self.overhear(Wire::FromPhone, text);
        let mut payload = Vec::new();
        let event = match wire::twilio::stream::parse(text) {
            Ok(Inbound::Connected { .. }) => return,
            Ok(Inbound::Start(start)) => {
                let stream_sid = start.stream_sid.to_string();
                self.note("phone", "stream starts");
                return self
                    .tell(|call| call.handle(now, Input::Phone(PhoneEvent::Started { stream_sid: &stream_sid })));
            }
            Ok(Inbound::Media(media)) => match media.decode(&mut payload) {
                Ok(_) => PhoneEvent::Media { timestamp_ms: media.timestamp_ms, payload: &payload },
                Err(_) => PhoneEvent::Malformed,
            },
            Ok(Inbound::Dtmf(dtmf)) => {
                let digit = dtmf.digit.into_inner().into_owned();
                return self.tell(|call| call.handle(now, Input::Phone(PhoneEvent::Dtmf { digit: &digit })));
            }
            Ok(Inbound::Mark(_)) if self.rough.marks_lost > 0.0 && self.rng.f64() < self.rough.marks_lost => {
                return self.count_fault("mark lost");
            }
            Ok(Inbound::Mark(mark)) => {
                let name = mark.name.into_owned();
                return self.tell(|call| call.handle(now, Input::Phone(PhoneEvent::Mark { name: &name })));
            }
            Ok(Inbound::Stop(_)) => PhoneEvent::Stopped,
            Ok(Inbound::Unknown { .. }) => PhoneEvent::Unknown,
            Err(_) => PhoneEvent::Malformed,
        };
        self.tell(|call| call.handle(now, Input::Phone(event)));
    }
}
