//! What became of each frame that was sent: the strict ear.
//!
//! Tests that promise "every frame arrived once and in order" compare content here. A frame is found wherever its
//! bytes are, at any offset, so silence that was put in or left out between frames does not matter; silent frames
//! themselves are not looked for.

use call::audio::{FRAME_BYTES, mulaw};
use std::collections::{BTreeMap, BTreeSet};

/// Frames by their number in what was sent: frame *n* is its bytes from 160 *n*.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alignment {
    /// Non-silent frames that were sent.
    pub sent: usize,
    /// Of these, how many arrived in order.
    pub in_order: usize,
    /// Frames that arrived nowhere.
    pub lost: Vec<usize>,
    /// Frames that arrived more often than they were sent; once for each time too many.
    pub duplicated: Vec<usize>,
    /// Frames that arrived, but before or after their turn.
    pub reordered: Vec<usize>,
}

impl Alignment {
    /// Whether every non-silent frame arrived once and in order.
    #[must_use]
    pub fn is_perfect(&self) -> bool {
        self.in_order == self.sent && self.duplicated.is_empty()
    }
}

/// Compares mu-law that was sent, in 20 ms frames, with mu-law that was received.
#[must_use]
pub fn alignment(sent: &[u8], received: &[u8]) -> Alignment {
    let places = Places::of(received);
    let frames: Vec<(usize, &[u8; FRAME_BYTES])> =
        sent.as_chunks::<FRAME_BYTES>().0.iter().enumerate().filter(|(_, frame)| !mulaw::is_silent(*frame)).collect();
    let found: Vec<Vec<usize>> = frames.iter().map(|(_, frame)| places.find(received, frame)).collect();
    let chain = longest_chain(&found);

    let mut result = Alignment { sent: frames.len(), in_order: chain.len(), ..Alignment::default() };
    let mut taken: BTreeSet<usize> = chain.values().copied().collect();
    // Frames that are not part of the chain: did they arrive at some other moment?
    for (index, (number, _)) in frames.iter().enumerate() {
        if chain.contains_key(&index) {
            continue;
        }
        match found[index].iter().find(|place| !taken.contains(place)) {
            Some(&place) => {
                taken.insert(place);
                result.reordered.push(*number);
            }
            None => result.lost.push(*number),
        }
    }
    // Places that no sent frame accounts for.
    for (index, (number, _)) in frames.iter().enumerate() {
        for &place in &found[index] {
            if taken.insert(place) {
                result.duplicated.push(*number);
            }
        }
    }
    result
}

/// Where each run of eight bytes begins, so that a frame is found without reading everything.
struct Places(BTreeMap<[u8; 8], Vec<usize>>);

impl Places {
    fn of(received: &[u8]) -> Self {
        let mut places: BTreeMap<[u8; 8], Vec<usize>> = BTreeMap::new();
        for (at, window) in received.array_windows::<8>().enumerate() {
            // Silence is looked for by nobody, and there is much of it.
            if window.iter().any(|&code| code != mulaw::SILENCE) {
                places.entry(*window).or_default().push(at);
            }
        }
        Self(places)
    }

    /// Where the frame lies in `received`, without overlaps.
    fn find(&self, received: &[u8], frame: &[u8; FRAME_BYTES]) -> Vec<usize> {
        let Some(offset) =
            frame.array_windows::<8>().position(|window| window.iter().any(|&code| code != mulaw::SILENCE))
        else {
            return Vec::new();
        };
        let key = frame.array_windows::<8>().nth(offset).and_then(|window| self.0.get(window));
        let mut found: Vec<usize> = Vec::new();
        for begin in key.into_iter().flatten().filter_map(|at| at.checked_sub(offset)) {
            let follows = found.last().is_none_or(|last| begin >= last + FRAME_BYTES);
            if follows && received.get(begin..begin + FRAME_BYTES) == Some(frame.as_slice()) {
                found.push(begin);
            }
        }
        found
    }
}

/// The longest choice of places that rise with the frames' numbers: index of the frame → place.
fn longest_chain(found: &[Vec<usize>]) -> BTreeMap<usize, usize> {
    struct Link {
        frame: usize,
        place: usize,
        before: Option<usize>,
    }
    let mut links: Vec<Link> = Vec::new();
    // For each length, the chain of that length which ends earliest.
    let mut ends: Vec<usize> = Vec::new();
    for (frame, places) in found.iter().enumerate() {
        // From the last place to the first, so that a frame does not follow itself.
        for &place in places.iter().rev() {
            let length = ends.partition_point(|&link| links[link].place < place);
            let before = length.checked_sub(1).map(|shorter| ends[shorter]);
            links.push(Link { frame, place, before });
            let link = links.len() - 1;
            match ends.get_mut(length) {
                Some(end) => *end = link,
                None => ends.push(link),
            }
        }
    }
    let mut chain = BTreeMap::new();
    let mut next = ends.last().copied();
    while let Some(link) = next {
        chain.insert(links[link].frame, links[link].place);
        next = links[link].before;
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::super::bank::utterance;
    use super::*;

    fn said() -> Vec<u8> {
        let mut sent = vec![mulaw::SILENCE; 1_600];
        sent.extend(utterance("caller-book").unwrap().mulaw());
        sent.extend(vec![mulaw::SILENCE; 4_000]);
        // Twice the same words: their frames must not be taken for duplicates.
        sent.extend(vec![mulaw::SILENCE; FRAME_BYTES - sent.len() % FRAME_BYTES]);
        sent.extend(utterance("caller-yes").unwrap().mulaw());
        sent.extend(vec![mulaw::SILENCE; FRAME_BYTES - sent.len() % FRAME_BYTES]);
        sent.extend(utterance("caller-yes").unwrap().mulaw());
        sent.truncate(sent.len() / FRAME_BYTES * FRAME_BYTES);
        sent
    }

    fn frames(sent: &[u8]) -> Vec<Vec<u8>> {
        sent.chunks(FRAME_BYTES).map(<[u8]>::to_vec).collect()
    }

    /// The numbers of some frames that are not silent.
    fn loud(sent: &[u8]) -> Vec<usize> {
        frames(sent)
            .iter()
            .enumerate()
            .filter(|(_, frame)| !mulaw::is_silent(frame))
            .map(|(number, _)| number)
            .collect()
    }

    #[test]
    fn what_arrives_unchanged_is_perfect() {
        let sent = said();
        let result = alignment(&sent, &sent);
        assert!(result.is_perfect(), "{result:?}");
        assert_eq!(result.sent, loud(&sent).len());
        assert!(result.sent > 100);
    }

    #[test]
    fn silence_more_or_less_does_not_matter() {
        let sent = said();
        let mut received = vec![mulaw::SILENCE; 77];
        for frame in frames(&sent) {
            if !mulaw::is_silent(&frame) {
                received.extend(vec![mulaw::SILENCE; 40]);
                received.extend(frame);
            }
        }
        assert!(alignment(&sent, &received).is_perfect());
    }

    #[test]
    fn a_lost_frame_is_named() {
        let sent = said();
        let victim = loud(&sent)[20];
        let mut received = frames(&sent);
        received[victim].fill(mulaw::SILENCE);
        let result = alignment(&sent, &received.concat());
        assert_eq!((result.lost, result.duplicated, result.reordered), (vec![victim], vec![], vec![]));
    }

    #[test]
    fn a_frame_that_comes_twice_is_named() {
        let sent = said();
        let victim = loud(&sent)[20];
        let mut received = frames(&sent);
        received.insert(victim, received[victim].clone());
        let result = alignment(&sent, &received.concat());
        assert!(!result.is_perfect());
        assert_eq!((result.lost, result.duplicated, result.reordered), (vec![], vec![victim], vec![]));
    }

    #[test]
    fn a_frame_that_comes_late_is_named() {
        let sent = said();
        let victim = loud(&sent)[20];
        let mut received = frames(&sent);
        let late = received.remove(victim);
        received.insert(victim + 5, late);
        let result = alignment(&sent, &received.concat());
        assert!(!result.is_perfect());
        assert_eq!((result.lost, result.duplicated, result.reordered), (vec![], vec![], vec![victim]));
    }

    #[test]
    fn nothing_received_is_all_lost() {
        let sent = said();
        assert_eq!(alignment(&sent, &[]).lost, loud(&sent));
        assert_eq!(alignment(&[], &sent), Alignment::default());
    }
}
