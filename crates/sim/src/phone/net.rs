//! The network between the phone and the server, one direction of it: a line that delays and stalls but, being TCP,
//! neither loses nor reorders.
//!
//! Virtual time runs through two of these; behind real sockets they may be laid over the real network, to make
//! loopback feel like an ocean.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::config::{RandomStalls, Stall};

/// How one direction behaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DelaySettings {
    /// What every item takes.
    pub delay: Duration,
    /// Added at random, up to this.
    pub jitter: Duration,
    /// Times, after the first push, at which nothing arrives.
    pub stalls: Vec<Stall>,
    /// Stalls by chance; the chance is per item.
    pub random_stalls: Option<RandomStalls>,
}

/// Items under way. Not bounded: what is under way was sent by a bounded sender.
#[derive(Debug)]
pub struct DelayLine<T> {
    settings: DelaySettings,
    rng: Rng,
    opened: Option<Instant>,
    stalled_until: Option<Instant>,
    latest: Option<Instant>,
    items: VecDeque<(Instant, T)>,
}

impl<T> DelayLine<T> {
    /// An empty line. The seed decides about jitter and stalls.
    pub fn new(settings: DelaySettings, seed: u64) -> Self {
        Self {
            settings,
            rng: Rng::with_seed(seed),
            opened: None,
            stalled_until: None,
            latest: None,
            items: VecDeque::new(),
        }
    }

    /// Sends an item, and says when it will arrive.
    pub fn push(&mut self, now: Instant, item: T) -> Instant {
        let opened = *self.opened.get_or_insert(now);
        let mut at = now + self.settings.delay + self.settings.jitter.mul_f64(self.rng.f64());
        if let Some(stalls) = self.settings.random_stalls
            && self.rng.f64() < stalls.chance
        {
            self.stalled_until = Some(at + stalls.longest.mul_f64(self.rng.f64()));
        }
        if let Some(until) = self.stalled_until {
            at = at.max(until);
        }
        while let Some(stall) = self
            .settings
            .stalls
            .iter()
            .find(|stall| opened + stall.after <= at && at < opened + stall.after + stall.length)
        {
            at = opened + stall.after + stall.length;
        }
        if let Some(latest) = self.latest {
            at = at.max(latest);
        }
        self.latest = Some(at);
        self.items.push_back((at, item));
        at
    }

    /// The next item that has arrived.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        self.items.pop_front_if(|(at, _)| *at <= now).map(|(_, item)| item)
    }

    /// When the next item arrives.
    pub fn next_due(&self) -> Option<Instant> {
        self.items.front().map(|(at, _)| *at)
    }

    /// Forgets what is under way: the connection broke.
    pub fn cut(&mut self) {
        self.items.clear();
    }

    /// Items under way.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
