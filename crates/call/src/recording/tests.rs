use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::audio::wav;

fn frame(track: Speaker, at_ms: u64, code: u8) -> Recorded {
    Recorded { track, at_ms, audio: Bytes::from(vec![code; 160]) }
}

fn cut(frames: &[Recorded], piece_ms: u64) -> (Vec<Piece>, Lost) {
    let mut segmenter = Segmenter::new(piece_ms);
    let mut pieces = Vec::new();
    for frame in frames {
        segmenter.push(frame, |piece| pieces.push(piece));
    }
    let lost = segmenter.finish(|piece| pieces.push(piece));
    (pieces, lost)
}

fn whole(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.audio.iter().copied()).collect()
}

#[test]
fn the_caller_is_left_and_the_agent_right_and_nothing_is_silence() {
    let (pieces, lost) = cut(&[frame(Speaker::Caller, 0, 1), frame(Speaker::Agent, 20, 2)], 1_000);
    assert_eq!((pieces.len(), pieces[0].n, lost), (1, 0, Lost::default()));
    let audio = &pieces[0].audio;
    assert_eq!(audio.len(), 4 * 160);
    assert!(audio[..320].chunks(2).all(|moment| moment == [1, 0xFF]));
    assert!(audio[320..].chunks(2).all(|moment| moment == [0xFF, 2]));
}

#[test]
fn a_piece_is_handed_out_when_nothing_can_be_added_any_more() {
    let mut segmenter = Segmenter::new(SEGMENT_MS);
    let mut pieces = Vec::new();
    for at_ms in (0..SEGMENT_MS + LATE_MAX_MS - 20).step_by(20) {
        segmenter.push(&frame(Speaker::Caller, at_ms, 7), |piece| pieces.push(piece));
    }
    assert!(pieces.is_empty());
    segmenter.push(&frame(Speaker::Caller, SEGMENT_MS + LATE_MAX_MS - 20, 7), |piece| pieces.push(piece));
    assert_eq!(pieces.len(), 1);
    assert_eq!((pieces[0].n, pieces[0].audio.len()), (0, SEGMENT_BYTES));
    segmenter.finish(|piece| pieces.push(piece));
    assert_eq!((pieces[1].n, pieces[1].audio.len()), (1, bytes_of(LATE_MAX_MS)));
}

#[test]
fn late_and_implausible_frames_are_counted() {
    let frames = [
        frame(Speaker::Caller, 0, 1),
        frame(Speaker::Caller, 5_000, 1),
        frame(Speaker::Caller, 100, 9),
        frame(Speaker::Caller, u64::MAX, 9),
        frame(Speaker::Caller, 5_020 + AHEAD_MAX_MS + 1, 9),
    ];
    let (pieces, lost) = cut(&frames, 1_000);
    assert_eq!(lost, Lost { late: 1, ahead: 2 });
    assert!(!whole(&pieces).contains(&9));
    assert_eq!(whole(&pieces).len(), bytes_of(5_020));
}

#[test]
fn a_frame_across_a_border_is_in_both_pieces() {
    let (pieces, _) = cut(&[frame(Speaker::Agent, 990, 3), frame(Speaker::Caller, 3_500, 4)], 1_000);
    assert_eq!(pieces[0].audio[bytes_of(990)..].iter().filter(|code| **code == 3).count(), 80);
    assert_eq!(pieces[1].audio[..bytes_of(10)].iter().filter(|code| **code == 3).count(), 80);
    assert_eq!(pieces.iter().map(|piece| piece.n).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_recording_goes_on_behind_the_pieces_that_are_finished() {
    let mut segmenter = Segmenter::resuming(1_000, 3);
    segmenter.push(&frame(Speaker::Caller, 2_990, 5), |_| panic!("nothing is finished yet"));
    let mut pieces = Vec::new();
    let lost = segmenter.finish(|piece| pieces.push(piece));
    assert_eq!((pieces.len(), pieces[0].n, pieces[0].audio.len(), lost.late), (1, 3, bytes_of(10), 1));
}

/// An epoch's offset and its segments.
type Stored<'a> = (u64, Vec<(u32, &'a [u8])>);

/// The segments themselves.
type Owned = Vec<(u32, Vec<u8>)>;

/// Makes the file as its plan says, and the waveform of what was written.
fn join(epochs: &[Stored<'_>]) -> (Vec<u8>, Waveform) {
    let sizes = |(offset_ms, segments): &Stored<'_>| Epoch {
        offset_ms: *offset_ms,
        segments: segments.iter().map(|(n, audio)| (*n, audio.len() as u64)).collect(),
    };
    let plan = Plan::new(&(1..).zip(epochs.iter().map(sizes)).collect());
    let (mut file, mut peaks) = (plan.header(), plan.peaks());
    for stretch in plan.stretches() {
        let sound = match stretch {
            Stretch::Silence { bytes } => vec![SILENCE; *bytes],
            Stretch::Audio { epoch, n, range } => {
                let (_, segments) = &epochs[*epoch as usize - 1];
                segments.iter().find(|(number, _)| number == n).unwrap().1[range.clone()].to_vec()
            }
        };
        assert_eq!(sound.len(), stretch.bytes());
        peaks.hear(&sound);
        file.extend(sound);
    }
    (file, peaks.finish())
}

#[test]
fn epochs_are_joined_with_silence_between_them() {
    let (first, second) = (vec![0x80; bytes_of(1_000)], vec![0x01; bytes_of(500)]);
    let (wav, waveform) = join(&[(0, vec![(0, &first)]), (3_000, vec![(0, &second)])]);
    let layout = wav::layout(&wav).unwrap();
    assert_eq!((layout.encoding, layout.rate, layout.channels), (wav::Encoding::MuLaw, 8_000, 2));
    let sound = &wav[layout.data];
    assert_eq!(sound.len(), bytes_of(3_500));
    assert!(sound[bytes_of(1_000)..bytes_of(3_000)].iter().all(|code| *code == SILENCE));
    assert!(sound[bytes_of(3_000)..].iter().all(|code| *code == 1));
    let Waveform { step_ms, caller, agent } = waveform;
    assert_eq!((step_ms, caller.len(), agent.len()), (20, 175, 175));
    assert!(caller[..50].iter().all(|peak| *peak > 200) && caller[50..150].iter().all(|peak| *peak == 0));
}

#[test]
fn a_missing_segment_is_silence_and_an_absurd_place_is_left_out() {
    let audio = vec![2; bytes_of(20)];
    let (wav, _) = join(&[(0, vec![(1, &audio), (u32::MAX, &audio)])]);
    assert_eq!(wav.len() - 58, SEGMENT_BYTES + bytes_of(20));
    assert_eq!(join(&[]).0.len(), 58);
    assert_eq!(join(&[(u64::MAX, vec![(0, &audio)])]).0.len(), 58);
}

#[test]
fn a_long_calls_waveform_is_coarser() {
    let hour = vec![SILENCE; SEGMENT_BYTES];
    let segments = (0..360).map(|n| (n, hour.as_slice())).collect();
    let (_, waveform) = join(&[(0, segments)]);
    assert_eq!((waveform.step_ms, waveform.caller.len()), (100, 36_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Frames of both voices, each displaced by less than the tolerance, give the file that they give in order.
    #[test]
    fn any_order_within_tolerance_gives_the_same_file(
        frames in proptest::collection::vec((0_u64..8_000, any::<bool>(), 1_u64..LATE_MAX_MS - 40), 1..300),
        piece_ms in prop_oneof![Just(1_000_u64), Just(3_000), Just(SEGMENT_MS)],
    ) {
        let mut frames: Vec<(Recorded, u64)> = frames
            .into_iter()
            .map(|(at_ms, caller, delay)| {
                let at_ms = at_ms / 20 * 20;
                let track = if caller { Speaker::Caller } else { Speaker::Agent };
                // One moment, one code: what is written twice is the same.
                let code = u8::try_from(at_ms / 20 % 251).unwrap();
                (frame(track, at_ms, code), delay)
            })
            .collect();
        frames.sort_by_key(|(frame, _)| frame.at_ms);
        let in_order: Vec<Recorded> = frames.iter().map(|(frame, _)| frame.clone()).collect();
        frames.sort_by_key(|(frame, delay)| frame.at_ms + delay);
        let shuffled: Vec<Recorded> = frames.into_iter().map(|(frame, _)| frame).collect();
        let (expected, lost) = cut(&in_order, piece_ms);
        prop_assert_eq!(lost, Lost::default());
        let (got, lost) = cut(&shuffled, piece_ms);
        prop_assert_eq!(lost, Lost::default());
        prop_assert_eq!(whole(&got), whole(&expected));
        prop_assert!(got.iter().enumerate().all(|(at, piece)| piece.n as usize == at));
        prop_assert!(got.iter().rev().skip(1).all(|piece| piece.audio.len() == bytes_of(piece_ms)));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// What the plan makes is what one gets by laying the segments over silence, one after the other.
    #[test]
    fn a_plan_is_an_overlay_of_all_segments(
        epochs in proptest::collection::vec(
            (0_u64..40, proptest::collection::btree_map(0_u32..4, 0_usize..SEGMENT_BYTES / 2, 0..4)),
            0..4,
        ),
    ) {
        let mut code = 0;
        let epochs: Vec<(u64, Owned)> = epochs
            .into_iter()
            .map(|(seconds, segments)| {
                let audio = segments.into_iter().map(|(n, moments)| {
                    code += 1;
                    (n, vec![code; moments * MOMENT_BYTES])
                });
                (seconds * 1_000, audio.collect())
            })
            .collect();
        let mut laid: Vec<u8> = Vec::new();
        for (offset_ms, segments) in &epochs {
            for (n, audio) in segments {
                let at = bytes_of(*offset_ms) + *n as usize * SEGMENT_BYTES;
                if !audio.is_empty() {
                    laid.resize(laid.len().max(at + audio.len()), SILENCE);
                    laid[at..at + audio.len()].copy_from_slice(audio);
                }
            }
        }
        let stored: Vec<Stored<'_>> = epochs
            .iter()
            .map(|(offset_ms, segments)| (*offset_ms, segments.iter().map(|(n, audio)| (*n, &audio[..])).collect()))
            .collect();
        let (wav, _) = join(&stored);
        prop_assert!(wav[58..] == laid[..]);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_frame_makes_it_panic_or_grow(
        frames in proptest::collection::vec((any::<u64>(), 0_usize..400, any::<bool>()), 0..60),
    ) {
        let frames: Vec<Recorded> = frames
            .into_iter()
            .map(|(at_ms, length, caller)| Recorded {
                track: if caller { Speaker::Caller } else { Speaker::Agent },
                at_ms,
                audio: Bytes::from(vec![0; length]),
            })
            .collect();
        let mut segmenter = Segmenter::new(1_000);
        for frame in &frames {
            segmenter.push(frame, drop);
            prop_assert!(segmenter.open.len() <= bytes_of(1_000 + LATE_MAX_MS + AHEAD_MAX_MS) + 800);
        }
    }
}
