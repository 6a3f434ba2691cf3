//! How many sockets of a kind there may be at once: each takes a place before its upgrade, and gives it back when it is
//! gone, also if the upgrade never comes about.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bounded number of places.
#[derive(Debug)]
pub(crate) struct Room {
    taken: Arc<AtomicU64>,
    max: u64,
}

/// One of them, until it is dropped.
#[derive(Debug)]
#[must_use = "a place that is dropped is free again"]
pub(crate) struct Place(Arc<AtomicU64>);

impl Room {
    pub(crate) fn new(max: u64) -> Self {
        Self { taken: Arc::default(), max }
    }

    /// Takes a place, if one is free.
    pub(crate) fn take(&self) -> Option<Place> {
        let more = |taken| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Place(Arc::clone(&self.taken)))
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped_and_there_are_no_more_than_so_many() {
        let room = Room::new(2);
        let (first, second) = (room.take(), room.take());
        assert!(first.is_some() && second.is_some() && room.take().is_none());
        drop(first);
        assert_eq!(room.taken(), 1);
        assert!(room.take().is_some());
    }
}
