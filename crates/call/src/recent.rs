//! What the caller said last, until an engine has told what it was.
//!
//! An engine that is lost takes with it what it heard and had not written down. So the caller's audio is kept from the
//! end of the last turn that was told, and given to the next engine once more: nobody needs to repeat himself. While
//! the caller is silent nothing but a short lead-in is kept.
//!
//! ```text
//!   forgotten | told to the engine, not told by it ........ | waiting for an engine, or for its pace | end
//!             |<------------------------ kept, at most eight seconds ------------------------------->|
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use crate::audio::mulaw;
use crate::limits::{FRAME_BYTES, RECENT_LEAD_IN, SPEECH_ABOVE_DBFS, UPWARD_KEPT_MAX, WORD_MIN};
use crate::playout::{duration, samples};

/// The caller's audio that may be needed again.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    bytes: VecDeque<u8>,
    /// The position behind the last byte, counted from the call's first audio.
    end: u64,
    /// How many bytes at the end no engine was given yet.
    waiting: usize,
    /// The position behind the last frame with a voice in it.
    voiced_to: u64,
    /// How much voice was kept since there was none.
    voiced: u64,
    /// Bytes that had to be dropped before any engine was given them.
    dropped: u64,
}

/// Room for the lead-in and what is pushed; doubled four times it is exactly room for the longest speech.
const LEAST_CAPACITY: usize = 4_096;

fn bytes_of(length: Duration) -> usize {
    usize::try_from(samples(length)).unwrap_or(usize::MAX)
}

impl Recent {
    /// More audio came; it waits. `voiced`: it is louder than the line.
    pub(crate) fn push(&mut self, mulaw: &[u8], voiced: bool) {
        if self.bytes.capacity() < LEAST_CAPACITY {
            self.bytes.reserve_exact(LEAST_CAPACITY - self.bytes.len());
        }
        self.bytes.extend(mulaw);
        self.waiting += mulaw.len();
        self.end += mulaw.len() as u64;
        if voiced {
            self.voiced_to = self.end;
            self.voiced += mulaw.len() as u64;
        }
        self.drop_oldest(bytes_of(UPWARD_KEPT_MAX));
    }

    /// Takes up to a frame of what waits, for the engine. It stays here until the engine tells what it was.
    pub(crate) fn next(&mut self, frame: &mut [u8; FRAME_BYTES]) -> usize {
        let length = self.waiting.min(FRAME_BYTES);
        let from = self.bytes.len() - self.waiting;
        for (into, byte) in frame.iter_mut().zip(self.bytes.range(from..from + length)) {
            *into = *byte;
        }
        self.waiting -= length;
        if !self.has_voice() {
            let spare = (self.bytes.len() - self.waiting).saturating_sub(bytes_of(RECENT_LEAD_IN));
            self.forget(spare);
        }
        length
    }

    /// The engine was lost: what it was given and has not told of waits for the next. Of silence nothing need be known.
    pub(crate) fn wait_again(&mut self) {
        if self.has_voice() {
            self.waiting = self.bytes.len();
        } else {
            self.forget(self.bytes.len() - self.waiting);
        }
    }

    /// What lies before this position was told, and is needed no more.
    pub(crate) fn told(&mut self, position: u64) {
        let begin = self.end - self.bytes.len() as u64;
        let told = usize::try_from(position.saturating_sub(begin)).unwrap_or(usize::MAX);
        self.forget(told.min(self.bytes.len() - self.waiting));
        // Engines place the end of a turn where they please: the last of its sound is no word of the next turn.
        let frames = self.bytes.make_contiguous().chunks(FRAME_BYTES);
        let voiced =
            frames.filter(|frame| mulaw::level_dbfs(frame) > SPEECH_ABOVE_DBFS).map(|frame| frame.len() as u64);
        self.voiced = voiced.sum();
        if self.voiced < samples(WORD_MIN) && self.voiced_to + samples(RECENT_LEAD_IN) < self.end {
            (self.voiced, self.voiced_to) = (0, 0);
        }
    }

    /// The position of what the engine was given last.
    pub(crate) fn given(&self) -> u64 {
        self.end - self.waiting as u64
    }

    /// How much waits.
    pub(crate) fn waiting(&self) -> Duration {
        duration(self.waiting as u64)
    }

    /// Whether a word may be in what is kept.
    pub(crate) fn has_words(&self) -> bool {
        self.has_voice() && self.voiced >= samples(WORD_MIN)
    }

    /// Makes what waits fit for an engine that can take in only so much at once: the pauses are left out first, then what
    /// was said first. Returns how much was dropped that was not silence, now and since this was last asked.
    pub(crate) fn fit(&mut self, most: Duration) -> Duration {
        let most = bytes_of(most);
        if self.waiting > most {
            self.forget(self.bytes.len() - self.waiting);
            let mut excess = (self.waiting - most).div_ceil(FRAME_BYTES);
            let kept: Vec<u8> = self.bytes.make_contiguous().to_vec();
            self.bytes.clear();
            for frame in kept.chunks(FRAME_BYTES) {
                if excess > 0 && mulaw::is_silent(frame) {
                    excess -= 1;
                } else {
                    self.bytes.extend(frame);
                }
            }
            self.waiting = self.bytes.len();
            self.drop_oldest(most);
        }
        duration(std::mem::take(&mut self.dropped))
    }

    fn has_voice(&self) -> bool {
        self.voiced_to > self.end - self.bytes.len() as u64
    }

    fn drop_oldest(&mut self, most: usize) {
        self.forget(self.bytes.len().saturating_sub(most));
        let dropped = self.waiting.saturating_sub(self.bytes.len());
        self.waiting -= dropped;
        self.dropped += dropped as u64;
    }

    fn forget(&mut self, bytes: usize) {
        self.bytes.drain(..bytes);
        if !self.has_voice() {
            self.voiced = 0;
            // A turn is long, and the pause after it longer: the memory is other calls' meanwhile.
            self.bytes.shrink_to(LEAST_CAPACITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: [u8; 160] = [mulaw::SILENCE; 160];
    const LOUD: [u8; 160] = [0x10; 160];

    fn give_all(recent: &mut Recent) -> usize {
        let mut frame = QUIET;
        std::iter::from_fn(|| Some(recent.next(&mut frame)).filter(|length| *length > 0)).sum()
    }

    fn hear(recent: &mut Recent, frames: usize, frame: [u8; 160]) {
        for _ in 0..frames {
            recent.push(&frame, frame == LOUD);
            assert_eq!(give_all(recent), 160);
        }
    }

    #[test]
    fn of_a_silent_caller_only_the_lead_in_is_kept_and_never_given_again() {
        let mut recent = Recent::default();
        hear(&mut recent, 1_000, QUIET);
        assert_eq!(recent.bytes.len(), 2_400);
        assert!(recent.bytes.capacity() <= LEAST_CAPACITY, "{}", recent.bytes.capacity());
        recent.wait_again();
        assert_eq!((recent.waiting(), recent.has_words()), (Duration::ZERO, false));
    }

    #[test]
    fn what_was_said_is_given_again_with_its_lead_in_until_it_was_told() {
        let mut recent = Recent::default();
        hear(&mut recent, 100, QUIET);
        hear(&mut recent, 50, LOUD);
        hear(&mut recent, 10, QUIET);
        recent.wait_again();
        assert!(recent.has_words());
        assert_eq!(recent.waiting(), Duration::from_millis(300 + 1_000 + 200));
        assert_eq!(give_all(&mut recent), 75 * 160);
        recent.wait_again();
        assert_eq!(give_all(&mut recent), 75 * 160, "as often as engines are lost");
        recent.told(recent.given());
        recent.wait_again();
        assert_eq!(give_all(&mut recent), 0);
        assert!(!recent.has_words());
    }

    #[test]
    fn what_came_after_the_turn_that_was_told_stays() {
        let mut recent = Recent::default();
        hear(&mut recent, 50, LOUD);
        let told = recent.given();
        hear(&mut recent, 20, LOUD);
        recent.told(told);
        recent.wait_again();
        assert_eq!(recent.waiting(), Duration::from_millis(400));
        recent.told(recent.end + 7);
        assert_eq!(recent.waiting(), Duration::from_millis(400), "nobody has told what nobody was given");
    }

    #[test]
    fn a_caller_without_end_is_kept_for_eight_seconds_and_what_nobody_heard_is_counted() {
        let mut recent = Recent::default();
        hear(&mut recent, 1_000, LOUD);
        assert!(recent.bytes.capacity() <= 1 << 16, "{}", recent.bytes.capacity());
        recent.wait_again();
        assert_eq!((recent.waiting(), recent.fit(UPWARD_KEPT_MAX)), (UPWARD_KEPT_MAX, Duration::ZERO));
        for _ in 0..50 {
            recent.push(&LOUD, true);
        }
        assert_eq!(recent.fit(UPWARD_KEPT_MAX), Duration::from_secs(1));
    }

    #[test]
    fn who_can_take_in_little_is_spared_the_pauses_first() {
        let mut recent = Recent::default();
        for frame in [LOUD, QUIET, LOUD] {
            for _ in 0..50 {
                recent.push(&frame, frame == LOUD);
            }
        }
        assert_eq!(recent.fit(Duration::from_secs(2)), Duration::ZERO);
        assert_eq!(recent.waiting(), Duration::from_secs(2));
        assert_eq!(recent.fit(Duration::from_millis(1_500)), Duration::from_millis(500));
        assert_eq!(recent.waiting(), Duration::from_millis(1_500));
    }
}
