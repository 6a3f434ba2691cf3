//! The caller's audio on its way to the engine, on an unbroken clock.
//!
//! An engine's own clock is the audio it receives: without audio it never hears the silence that ends a turn. So what is
//! missing is filled with silence. A gap in the phone's timestamps is lost for good and is filled at once. Frames that
//! are merely late are replaced after a while ([`UPWARD_PATIENCE`]; longer in the middle of speech); that silence is a
//! *debt*: the late frames still go up, each one, and later *silent* frames are left out until the debt is repaid and
//! the delay is gone. The silence that ends a turn is never left out.
//!
//! Times here are media time: milliseconds by the phone's own counter.

use std::time::{Duration, Instant};

use crate::audio::mulaw;
use crate::limits::{
    FRAME, QUIET_AFTER, SAMPLES_PER_MS, SPEECH_ABOVE_DBFS, SPEECH_MIN, TURN_END_SILENCE, UPWARD_FILL_MAX,
    UPWARD_PATIENCE, UPWARD_PATIENCE_SPEAKING,
};

const FRAME_MS: u64 = 20;

/// How far the phone's counter may be ahead of the time that has passed since its last frame: frames may come late, but
/// hardly by this much.
const JUMP_MS_MAX: u64 = 5_000;

/// What to send up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Up {
    /// So much silence.
    Silence(Duration),
    /// The frame that came.
    Frame,
}

/// Figures since they were last taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UpwardCounts {
    /// Frames received.
    pub(crate) frames: u64,
    /// Audio that never came.
    pub(crate) missing_ms: u64,
    /// Silence sent in its place.
    pub(crate) filled_ms: u64,
    /// Silent frames left out.
    pub(crate) skipped_ms: u64,
    /// Longest time between two frames.
    pub(crate) interval_ms_max: u64,
}

/// The clock of the caller's audio.
#[derive(Debug)]
pub(crate) struct Upward {
    /// Media time behind the last frame that came.
    media_ms: u64,
    /// Media time behind the last audio that was sent up.
    sent_ms: u64,
    last_frame: Instant,
    /// When silence is next sent in place of a frame.
    fill_at: Instant,
    /// Silence sent in this stall.
    filled: Duration,
    /// How much speech came since the last pause, and when the last of it came.
    voiced: Duration,
    voiced_at: Option<Instant>,
    /// Silence sent up since the caller's last sound.
    silence_sent: Duration,
    /// Figures since they were last taken.
    pub(crate) counts: UpwardCounts,
}

impl Upward {
    /// The stream has just started.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            media_ms: 0,
            sent_ms: 0,
            last_frame: now,
            fill_at: now + UPWARD_PATIENCE,
            filled: Duration::ZERO,
            voiced: Duration::ZERO,
            voiced_at: None,
            silence_sent: Duration::ZERO,
            counts: UpwardCounts::default(),
        }
    }

    /// A frame came. Calls `up` with what is to be sent, in order.
    pub(crate) fn frame(&mut self, now: Instant, timestamp_ms: u64, payload: &[u8], mut up: impl FnMut(Up)) {
        let length_ms = payload.len() as u64 / SAMPLES_PER_MS;
        let interval = now.saturating_duration_since(self.last_frame);
        self.counts.frames += 1;
        self.counts.interval_ms_max = self.counts.interval_ms_max.max(millis(interval));
        self.last_frame = now;
        self.filled = Duration::ZERO;

        // A counter that jumps by more than the time that has passed is not a gap; the stream goes on from where it is.
        let timestamp_ms =
            if timestamp_ms > self.media_ms + millis(interval) + JUMP_MS_MAX { self.media_ms } else { timestamp_ms };
        let gap_ms = timestamp_ms.saturating_sub(self.media_ms);
        if gap_ms > 0 && self.counts.frames > 1 {
            self.counts.missing_ms += gap_ms;
        }
        if timestamp_ms > self.sent_ms {
            let missing_ms = (timestamp_ms - self.sent_ms).min(millis(UPWARD_FILL_MAX));
            if self.media_ms > 0 && missing_ms > 0 {
                self.counts.filled_ms += missing_ms;
                self.silence_sent += Duration::from_millis(missing_ms);
                up(Up::Silence(Duration::from_millis(missing_ms)));
            }
            self.sent_ms = timestamp_ms;
        }
        self.media_ms = self.media_ms.max(timestamp_ms + length_ms);

        let level = mulaw::level_dbfs(payload);
        let silent = level < mulaw::SILENCE_DBFS;
        let length = Duration::from_millis(length_ms);
        if silent {
            self.fill_at = now + UPWARD_PATIENCE;
        } else {
            self.fill_at = now + UPWARD_PATIENCE_SPEAKING;
            self.silence_sent = Duration::ZERO;
        }
        if level > SPEECH_ABOVE_DBFS {
            if self.voiced_at.is_none_or(|at| now > at + QUIET_AFTER) {
                self.voiced = Duration::ZERO;
            }
            self.voiced += length;
            self.voiced_at = Some(now);
        }
        // In debt, a silent frame is left out: the silence that stands for it was sent already.
        if silent && self.sent_ms >= timestamp_ms + length_ms && self.silence_sent >= TURN_END_SILENCE {
            self.counts.skipped_ms += length_ms;
            return;
        }
        if silent {
            self.silence_sent += length;
        }
        up(Up::Frame);
        // A late frame goes up beside the silence that stood for it: the debt stays until a silent frame is left out.
        self.sent_ms += length_ms;
    }

    /// When silence must be sent if no frame comes.
    #[must_use]
    pub(crate) fn next_due(&self) -> Instant {
        self.fill_at
    }

    /// The time of [`Upward::next_due`] has come. Whether a frame of silence goes up.
    pub(crate) fn fill(&mut self, now: Instant) -> bool {
        if now < self.fill_at {
            return false;
        }
        self.fill_at += FRAME;
        if self.filled >= UPWARD_FILL_MAX {
            self.fill_at = now + FRAME * 50;
            return false;
        }
        self.filled += FRAME;
        self.silence_sent += FRAME;
        self.sent_ms += FRAME_MS;
        self.counts.filled_ms += FRAME_MS;
        true
    }

    /// Media time behind the last frame that came.
    #[must_use]
    pub(crate) fn media_ms(&self) -> u64 {
        self.media_ms
    }

    /// Media time behind the last audio sent up: where the engine's own clock stands.
    #[must_use]
    pub(crate) fn sent_ms(&self) -> u64 {
        self.sent_ms
    }

    /// Whether the caller has been silent for a while.
    #[must_use]
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        self.voiced_at.is_none_or(|at| now > at + QUIET_AFTER)
    }

    /// When a sound of the caller last came.
    #[must_use]
    pub(crate) fn voiced_at(&self) -> Option<Instant> {
        self.voiced_at
    }

    /// When the caller last spoke for longer than a cough; none while speaking, or if nothing was said.
    #[must_use]
    pub(crate) fn spoke_until(&self, now: Instant) -> Option<Instant> {
        let at = self.voiced_at?;
        (self.voiced >= SPEECH_MIN && now > at + QUIET_AFTER).then_some(at)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
