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
        let at_ms = upward.media_ms().saturating_sub(payload.len() as u64 / SAMPLES_PER_MS);
        self.hear_silence(silence);
        if forward {
            self.hear(payload);
        }
        if self.script.recording && self.disclosed {
            let audio = Bytes::copy_from_slice(payload);
            self.out.push_back(Output::Record(Recorded { track: Speaker::Caller, at_ms, audio }));
        }
        self.watch_for_deafness(now);
    }

    /// Sends a frame of the caller up, or keeps it for the engine that is being dialled.
    pub(super) fn hear(&mut self, mulaw: &[u8]) {
        if let Some(seat) = self.seats.current.as_mut().filter(|seat| seat.ready) {
            let (seat_id, now, unplayed) = (seat.id, self.now, self.playout.unplayed(self.now));
            seat.engine.hear(
                mulaw,
                &mut Outbox { seat: seat_id, now, unplayed, out: &mut self.out, events: &mut self.events },
            );
            seat.heard_ms += mulaw.len() as u64 / SAMPLES_PER_MS;
            return;
        }
        for chunk in mulaw.chunks(FRAME_BYTES) {
            let mut frame = [mulaw::SILENCE; FRAME_BYTES];
            frame[..chunk.len()].copy_from_slice(chunk);
            if self.seats.kept.len() as u128 >= UPWARD_KEPT_MAX.as_millis() / 20 {
                self.seats.kept.pop_front();
                self.seats.dropped_ms += 20;
            }
            self.seats.kept.push_back(frame);
        }
    }

    pub(super) fn hear_silence(&mut self, length: Duration) {
        for frame in silent_frames(length) {
            self.hear(&frame);
        }
    }

    /// The call's time of something that the engine places `ms` after the first audio it received.
    pub(super) fn heard_at_ms(&self, ms: u64) -> u64 {
        let heard_ms = self.seats.current.as_ref().map_or(0, |seat| seat.heard_ms);
        let sent_ms = match &self.phone {
            Phone::Up { upward, .. } => upward.sent_ms(),
            Phone::Awaited => 0,
        };
        self.offset_ms + (sent_ms + ms).saturating_sub(heard_ms)
    }

    /// Sends up what the caller said while nobody listened.
    pub(super) fn hear_kept(&mut self, now: Instant) {
        let mut kept = std::mem::take(&mut self.seats.kept);
        let backlog_max = self.seats.current.as_ref().map_or(UPWARD_KEPT_MAX, |seat| seat.engine.backlog_max());
        let frames_max = usize::try_from(backlog_max.as_millis() / FRAME.as_millis()).unwrap_or(usize::MAX);
        // An engine that cannot take in all of it at once is spared the pauses first, then what was said first.
        let mut excess = kept.len().saturating_sub(frames_max);
        kept.retain(|frame| {
            excess == 0 || mulaw::level_dbfs(frame) >= mulaw::SILENCE_DBFS || {
                excess -= 1;
                false
            }
        });
        kept.drain(..excess.min(kept.len()));
        for frame in kept {
            self.hear(&frame);
        }
        let lost_ms = std::mem::take(&mut self.seats.dropped_ms) + 20 * excess as u64;
        if lost_ms > 0 {
            self.journal(now, Kind::Gap { what: "caller audio that no engine could hear in time".to_owned(), lost_ms });
        }
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
