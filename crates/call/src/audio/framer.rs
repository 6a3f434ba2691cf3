//! Cuts runs of mu-law of any length into 20 ms frames.
//!
//! The remainder of a run waits for the next one, so that sentences which arrive in chunks join without a gap; only
//! [`Framer::finish`] fills up with silence. Pacing is left to the playout.

use super::{FRAME_BYTES, Frame, mulaw};

/// Holds less than one frame between two runs.
#[derive(Debug, Clone)]
pub struct Framer {
    rest: Frame,
    filled: usize,
}

impl Framer {
    /// A framer with nothing left over.
    #[must_use]
    pub fn new() -> Self {
        Self { rest: super::SILENT_FRAME, filled: 0 }
    }

    /// Appends every frame that `run` completes; what is left waits.
    pub fn push(&mut self, run: &[u8], frames: &mut impl Extend<Frame>) {
        let mut run = run;
        if self.filled > 0 {
            let taken = run.len().min(FRAME_BYTES - self.filled);
            let (head, tail) = run.split_at(taken);
            self.rest[self.filled..self.filled + taken].copy_from_slice(head);
            self.filled += taken;
            if self.filled < FRAME_BYTES {
                return;
            }
            frames.extend([self.rest]);
            self.filled = 0;
            run = tail;
        }
        let (whole, tail) = run.as_chunks::<FRAME_BYTES>();
        frames.extend(whole.iter().copied());
        self.rest[..tail.len()].copy_from_slice(tail);
        self.filled = tail.len();
    }

    /// The last, partial frame, filled up with silence; `None` if nothing is left over.
    pub fn finish(&mut self) -> Option<Frame> {
        if self.filled == 0 {
            return None;
        }
        self.rest[self.filled..].fill(mulaw::SILENCE);
        self.filled = 0;
        Some(self.rest)
    }

    /// Forgets what is left over: an interrupted turn has no rest.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Bytes that wait for the next run.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.filled
    }
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_in_means_nothing_out() {
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        framer.push(&[], &mut frames);
        assert!(frames.is_empty());
        assert_eq!(framer.finish(), None);
    }

    #[test]
    fn the_last_frame_is_filled_with_silence_and_comes_once() {
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        framer.push(&[3; 170], &mut frames);
        assert_eq!(frames, [[3; FRAME_BYTES]]);
        assert_eq!(framer.pending_bytes(), 10);
        let last = framer.finish().unwrap();
        assert_eq!(last[..10], [3; 10]);
        assert_eq!(last[10..], [mulaw::SILENCE; 150]);
        assert_eq!(framer.finish(), None);
    }

    #[test]
    fn a_cleared_rest_is_not_heard_in_the_next_turn() {
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        framer.push(&[1; 100], &mut frames);
        framer.clear();
        framer.push(&[2; 160], &mut frames);
        assert_eq!(frames, [[2; FRAME_BYTES]]);
    }

    proptest! {
        #[test]
        fn bytes_come_out_once_in_order_however_they_were_cut(
            runs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..12),
        ) {
            let mut framer = Framer::new();
            let mut frames: Vec<Frame> = Vec::new();
            for run in &runs {
                framer.push(run, &mut frames);
            }
            frames.extend(framer.finish());
            let sent: Vec<u8> = runs.concat();
            let received: Vec<u8> = frames.concat();
            prop_assert_eq!(received.len(), sent.len().next_multiple_of(FRAME_BYTES));
            prop_assert_eq!(&received[..sent.len()], &sent[..]);
            prop_assert!(received[sent.len()..].iter().all(|&byte| byte == mulaw::SILENCE));
        }
    }
}
