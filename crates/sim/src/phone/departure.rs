//! When each frame of the caller's voice leaves, on a line that jitters, bunches, loses and stalls.

use std::time::Duration;

use fastrand::Rng;

use super::config::{Bunching, Pacing, Stall};
use super::samples::FRAME;
use super::sent::Fate;

/// Decides frame by frame; the same seed decides the same.
#[derive(Debug)]
pub(super) struct Departures {
    pacing: Pacing,
    rng: Rng,
    frame: u32,
    /// Until when the current bunch holds its frames back.
    bunch_until: Duration,
    latest: Duration,
}

/// One frame's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Departure {
    /// The frame, from 0.
    pub(super) frame: u32,
    /// When it leaves, since the stream began.
    pub(super) at: Duration,
    pub(super) fate: Fate,
}

impl Departures {
    pub(super) fn new(pacing: Pacing, rng: Rng) -> Self {
        Self { pacing, rng, frame: 0, bunch_until: Duration::ZERO, latest: Duration::ZERO }
    }

    /// The next frame. A frame leaves when its last sample was captured, at the earliest.
    pub(super) fn next(&mut self) -> Departure {
        let frame = self.frame;
        self.frame += 1;
        let captured = FRAME * self.frame;
        let jitter = self.pacing.jitter.mul_f64(self.rng.f64());
        if let Some(Bunching { chance, frames }) = self.pacing.bunching
            && captured > self.bunch_until
            && self.rng.f64() < chance
        {
            self.bunch_until = captured + FRAME * frames.saturating_sub(1);
        }
        if let Some(stalls) = self.pacing.random_stalls
            && self.rng.f64() < stalls.chance
        {
            let length = stalls.longest.mul_f64(self.rng.f64());
            // Only the last few can still matter, since time only moves forward.
            self.pacing.stalls.retain(|stall| stall.after + stall.length > self.latest);
            self.pacing.stalls.push(Stall { after: captured, length });
        }
        let fate = if self.rng.f64() < self.pacing.loss {
            Fate::LostOnLine
        } else if self.rng.f64() < self.pacing.congestion {
            Fate::DroppedUnderCongestion
        } else {
            Fate::Delivered
        };
        self.latest = self.through_stalls((captured + jitter).max(self.bunch_until).max(self.latest));
        Departure { frame, at: self.latest, fate }
    }

    /// The first moment from `at` on at which anything can leave.
    pub(super) fn through_stalls(&self, mut at: Duration) -> Duration {
        while let Some(stall) =
            self.pacing.stalls.iter().find(|stall| stall.after <= at && at < stall.after + stall.length)
        {
            at = stall.after + stall.length;
        }
        at
    }
}
