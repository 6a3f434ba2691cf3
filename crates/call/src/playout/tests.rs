//! What was heard, by marks that tremble and marks that tell of a stall.

use super::*;

/// Plays two seconds whose marks come back after the given lags, and says when each frame was heard, in milliseconds.
fn heard_at(lags_ms: [u64; 4]) -> Vec<u128> {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the origin")]
    let start = Instant::now();
    let mut playout = Playout::new(Duration::from_millis(200), 1);
    playout.push(&[0x20; FRAME_BYTES * 100]);
    playout.end_turn();
    let mut lags = lags_ms.iter().copied().map(Duration::from_millis);
    let (mut returning, mut heard) = (VecDeque::new(), Vec::new());
    for tick in 0..3_000 {
        let now = start + Duration::from_millis(tick);
        while let Some(send) = playout.poll(now) {
            if let Send::Mark(name) = send {
                returning.push_back((playout.dry_at.unwrap() + lags.next().unwrap(), name));
            }
        }
        while let Some((_, name)) = returning.pop_front_if(|(at, _)| *at <= now) {
            playout.marked(now, &name);
        }
        while let Some(frame) = playout.take_heard(now) {
            heard.push(frame.slot.duration_since(start).as_millis());
        }
    }
    heard
}

#[test]
fn marks_that_tremble_leave_no_holes_and_no_overlaps_in_what_was_heard() {
    let heard = heard_at([5, 8, 4, 11]);
    assert_eq!(heard, (0..100).map(|frame| frame * 20).collect::<Vec<_>>());
}

#[test]
fn a_phone_that_stood_still_is_heard_later_and_never_twice_at_once() {
    let heard = heard_at([5, 305, 305, 305]);
    assert_eq!(heard.len(), 100);
    assert!(heard.windows(2).all(|pair| pair[1] >= pair[0] + 20), "{heard:?}");
    assert!(heard[99] >= 99 * 20 + 290, "{heard:?}");
}
