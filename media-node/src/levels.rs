//! How loud both voices are, for whoever watches a call: a few times a second, and only while somebody does.

use std::time::{Duration, Instant};

use call::audio::mulaw;

/// Levels are shown so often: a needle that moves, and a hundredth of what the audio itself would be.
const EVERY: Duration = Duration::from_millis(200);

/// What is below this is not shown at all, in decibels below full scale; what is 60 dB above it is shown as 100.
const FLOOR_DBFS: f32 = -60.0;

/// The loudest of both voices since they were last shown.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    caller: u8,
    agent: u8,
    shown_at: Option<Instant>,
}

impl Levels {
    /// The caller's audio, as it comes.
    pub(crate) fn caller(&mut self, codes: &[u8]) {
        self.caller = self.caller.max(level(codes));
    }

    /// The agent's audio, as it goes to the phone.
    pub(crate) fn agent(&mut self, codes: &[u8]) {
        self.agent = self.agent.max(level(codes));
    }

    /// The caller's level and the agent's, 0 to 100, when it is time to show them.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(u8, u8)> {
        if self.shown_at.is_some_and(|at| now.saturating_duration_since(at) < EVERY) {
            return None;
        }
        self.shown_at = Some(now);
        Some((std::mem::take(&mut self.caller), std::mem::take(&mut self.agent)))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 100")]
fn level(codes: &[u8]) -> u8 {
    let share = (mulaw::level_dbfs(codes) - FLOOR_DBFS) / -FLOOR_DBFS;
    (share.clamp(0.0, 1.0) * 100.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_go_from_silence_to_full_scale_and_are_due_five_times_a_second() {
        let start = Instant::now();
        let mut levels = Levels::default();
        levels.caller(&[0xFF; 160]);
        assert_eq!(levels.due(start), Some((0, 0)));
        levels.agent(&[0x80; 160]);
        levels.agent(&[0xFF; 160]);
        assert_eq!(levels.due(start + Duration::from_millis(199)), None);
        let (caller, agent) = levels.due(start + EVERY).unwrap();
        assert!(caller == 0 && agent > 95, "{agent}");
        assert_eq!(levels.due(start + EVERY * 2), Some((0, 0)));
    }
}
