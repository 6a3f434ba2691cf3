//! The long-running half: one loop per call, one await, one clock.
