//! What leaves Twilio next, and when: audio, returned marks, keys, pings and the farewell, in the order of their times.

use std::time::Instant;

use super::departure::Departure;
use super::playout::Playout;
use super::samples::{FRAME, FRAME_BYTES};
use super::sent::{Fate, SentFrame};
use super::{Phase, Phone, PhoneOut};

/// The next thing that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Connected,
    Start,
    Frame,
    Echo,
    /// A mark will be reached: nothing leaves yet, but someone has to look.
    MarkReached,
    Key,
    Ping,
    Stop,
    Close,
}

impl Phone {
    pub(super) fn next(&self) -> Option<(Instant, Due)> {
        match self.phase {
            Phase::New | Phase::Ended => None,
            Phase::Connecting(started) => Some((started, Due::Connected)),
            Phase::Starting(started) => Some((started, Due::Start)),
            Phase::Closing(at) => Some((at, Due::Close)),
            Phase::Flowing { started, stop } => {
                let gated = |at: Instant| started + self.departures.through_stalls(at - started);
                let mark = self.playout.as_ref().and_then(Playout::next_mark_at);
                [
                    Some((started + self.next_frame.at, Due::Frame)),
                    self.echoes.front().map(|echo| (gated(echo.at), Due::Echo)),
                    mark.map(|at| (gated(at), Due::MarkReached)),
                    self.keys.front().map(|(at, _)| (gated((*at).max(started)), Due::Key)),
                    self.next_ping.map(|at| (gated(at), Due::Ping)),
                ]
                .into_iter()
                .flatten()
                .filter(|(at, due)| stop.is_none_or(|stop| *at <= stop && *due != Due::MarkReached))
                .min_by_key(|(at, _)| *at)
                .or(stop.map(|stop| (gated(stop), Due::Stop)))
            }
        }
    }

    pub(super) fn perform(&mut self, at: Instant, due: Due) -> Option<PhoneOut> {
        let mut text = String::new();
        match (due, self.phase) {
            (Due::Connected, Phase::Connecting(started)) => {
                self.writer.connected(&mut text);
                self.phase = Phase::Starting(started);
            }
            (Due::Start, Phase::Starting(started)) => {
                self.writer.start(&self.config.custom_parameters, &mut text);
                self.phase = Phase::Flowing { started, stop: None };
            }
            (Due::Frame, _) => return self.frame(at),
            (Due::Echo, _) => {
                let echo = self.echoes.pop_front()?;
                self.writer.mark(&echo.name, &mut text);
            }
            (Due::Key, _) => {
                let (_, digit) = self.keys.pop_front()?;
                self.writer.dtmf(digit, &mut text);
            }
            (Due::Ping, _) => {
                self.next_ping = self.config.unknowns.ping_every.map(|every| at + every);
                return Some(PhoneOut::Ping);
            }
            (Due::Stop, _) => {
                self.writer.stop(&mut text);
                self.phase = Phase::Closing(at + self.config.unknowns.close_delay_after_stop);
            }
            (Due::Close, _) => {
                self.phase = Phase::Ended;
                return Some(PhoneOut::Close { code: self.config.unknowns.close_code_after_stop });
            }
            // `poll` advanced the playout first, so a mark that is due has become an echo by now, unless a stall holds
            // the echo back too.
            (Due::MarkReached | Due::Connected | Due::Start, _) => return None,
        }
        Some(PhoneOut::Text(text))
    }

    fn frame(&mut self, at: Instant) -> Option<PhoneOut> {
        let Departure { frame, fate, .. } = self.next_frame;
        self.next_frame = self.departures.next();
        let (audio, speech) = self.voice.frame(u64::from(frame) * FRAME_BYTES);
        let timestamp = self.config.unknowns.first_timestamp + FRAME * frame;
        let mut text = String::new();
        match fate {
            Fate::Delivered => {
                self.chunk += 1;
                let timestamp_ms = u64::try_from(timestamp.as_millis()).expect("invariant: a call lasts hours");
                self.writer.media(timestamp_ms, &audio, &mut text);
            }
            Fate::DroppedUnderCongestion => {
                self.chunk += 1;
                self.writer.drop_media();
            }
            Fate::LostOnLine => {}
        }
        let chunk = if fate == Fate::LostOnLine { 0 } else { self.chunk };
        self.sent.add(SentFrame { at, timestamp, chunk, audio, speech, fate });
        (fate == Fate::Delivered).then_some(PhoneOut::Text(text))
    }
}
