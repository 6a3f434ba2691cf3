//! The caller's audio on its way up: to the engine that listens, or kept for the one that is being dialled.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Call, Phone};
use crate::audio::mulaw;
use crate::engine::Outbox;
use crate::io::{Output, Recorded};
use crate::journal::{Kind, Speaker};
use crate::limits::{FRAME, FRAME_BYTES, SAMPLES_PER_MS, UPWARD_KEPT_MAX};
use crate::timer::Timer;
use crate::upward::Up;

impl Call {
    pub(super) fn caller_audio(&mut self, now: Instant, timestamp_ms: u64, payload: &[u8]) {
        let Phone::Up { upward, .. } = &mut self.phone else {
            self.measured.malformed += 1;
            return;
        };
        if payload.is_empty() || payload.len() > FRAME_BYTES * 50 {
            self.measured.malformed += 1;
            return;
        }
        let mut silence = Duration::ZERO;
        let mut forward = false;
        upward.frame(now, timestamp_ms, payload, |up| match up {
            Up::Silence(length) => silence += length,
            Up::Frame => forward = true,
        });
        let voiced = upward.voiced_at() == Some(now);
        let at_ms = upward.media_ms().saturating_sub(payload.len() as u64 / SAMPLES_PER_MS);
        self.hear_silence(silence);
        if forward {
            self.hear(payload, voiced);
        }
        if self.script.recording && self.disclosed {
            let audio = Bytes::copy_from_slice(payload);
            self.out.push_back(Output::Record(Recorded { track: Speaker::Caller, at_ms, audio }));
        }
        self.watch_for_deafness(now);
    }

    /// Sends a frame of the caller up, or keeps it for the engine that is being dialled. `voiced`: it is louder than the line.
    pub(super) fn hear(&mut self, mulaw: &[u8], voiced: bool) {
        self.recent.push(mulaw, voiced);
        self.send_up(mulaw.len().div_ceil(FRAME_BYTES));
    }

    /// Gives the engine what waits for it, at the pace that it takes, in the time of so many frames.
    fn send_up(&mut self, frames: usize) {
        let Some(seat) = self.seats.current.as_mut().filter(|seat| seat.ready) else { return };
        let (seat_id, now, unplayed) = (seat.id, self.now, self.playout.unplayed(self.now));
        let mut frame = [mulaw::SILENCE; FRAME_BYTES];
        for _ in 0..frames.saturating_mul(seat.engine.frames_at_once()) {
            let length = self.recent.next(&mut frame);
            if length == 0 {
                return;
            }
            seat.engine.hear(
                &frame[..length],
                &mut Outbox { seat: seat_id, now, unplayed, out: &mut self.out, events: &mut self.events },
            );
            seat.heard_ms += length as u64 / SAMPLES_PER_MS;
        }
    }

    pub(super) fn hear_silence(&mut self, length: Duration) {
        for frame in silent_frames(length) {
            self.hear(&frame, false);
        }
    }

    /// The call's time of something that the engine places `ms` after the first audio it received.
    pub(super) fn heard_at_ms(&self, ms: u64) -> u64 {
        let heard_ms = self.seats.current.as_ref().map_or(0, |seat| seat.heard_ms);
        let waiting_ms = super::millis(self.recent.waiting());
        let sent_ms = match &self.phone {
            Phone::Up { upward, .. } => upward.sent_ms(),
            Phone::Awaited => 0,
        };
        self.offset_ms + (sent_ms + ms).saturating_sub(heard_ms + waiting_ms)
    }

    /// The position in the caller's audio of a turn's end, which the engine places `ms` after the first that it received.
    pub(super) fn position_of(&self, ms: Option<u64>) -> u64 {
        let heard_ms = self.seats.current.as_ref().map_or(0, |seat| seat.heard_ms);
        let since_ms = ms.map_or(0, |ms| heard_ms.saturating_sub(ms));
        self.recent.given().saturating_sub(since_ms * SAMPLES_PER_MS)
    }

    /// Sends up what the caller said while nobody listened, and what an engine that was lost has not told of.
    pub(super) fn hear_kept(&mut self, now: Instant) {
        let most = self.seats.current.as_ref().map_or(UPWARD_KEPT_MAX, |seat| seat.engine.backlog_max());
        let lost_ms = super::millis(self.recent.fit(most));
        if lost_ms > 0 {
            self.journal(now, Kind::Gap { what: "caller audio that no engine could hear in time".to_owned(), lost_ms });
        }
        self.send_up(1);
    }

    /// Sends silence in place of caller's audio that did not come, or that cannot come yet.
    pub(super) fn fill_upward(&mut self, now: Instant) {
        match &mut self.phone {
            Phone::Awaited => {
                self.hear_silence(FRAME);
                if self.has_engine() {
                    self.timers.set(Timer::Upward, now + FRAME);
                }
            }
            Phone::Up { upward, .. } => {
                let mut frames = 0;
                while upward.fill(now) {
                    frames += 1;
                }
                self.hear_silence(FRAME * frames);
            }
        }
    }
}

/// Silence as the phone's mu-law, frame by frame.
fn silent_frames(length: Duration) -> impl Iterator<Item = [u8; FRAME_BYTES]> {
    let frames = length.as_micros().div_ceil(FRAME.as_micros());
    (0..frames).map(|_| [mulaw::SILENCE; FRAME_BYTES])
}
