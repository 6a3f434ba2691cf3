//! Judges of single calls: each panics with what is wrong, and says so in the words of the rule.

use std::time::Instant;

use call::audio::mulaw;
use call::journal::{Entry, Kind, Speaker, Turn};
use sim::phone::{Heard, SentFrame};
use sim::speech::{Alignment, alignment};
use sim::twilio::StreamRecord;

/// What the phone said and heard on one stream, as it was when it was asked.
#[derive(Clone, Debug)]
pub struct PhoneSide {
    /// When the stream began.
    pub started: Instant,
    /// What reached the ear.
    pub heard: Heard,
    /// Every frame of the caller's side.
    pub sent: Vec<SentFrame>,
}

impl PhoneSide {
    /// Of this stream.
    ///
    /// # Panics
    /// It never began.
    #[must_use]
    pub fn of(stream: &StreamRecord) -> Self {
        let phone = stream.phone();
        let started = phone.started_at().expect("the stream began");
        Self { started, heard: phone.heard().clone(), sent: phone.sent().to_vec() }
    }
}

/// Every frame that left the phone, one after the other.
#[must_use]
pub fn sent_by(phone: &PhoneSide) -> Vec<u8> {
    phone.sent.iter().filter(|frame| frame.was_delivered()).flat_map(|frame| frame.audio).collect()
}

/// Linear samples, as EVI receives them, as the mu-law that they were made of.
#[must_use]
pub fn mulaw_of_linear16(bytes: &[u8]) -> Vec<u8> {
    bytes.as_chunks::<2>().0.iter().map(|pair| mulaw::encode(i16::from_le_bytes(*pair))).collect()
}

/// What became of the caller's frames on their way to the engine.
#[must_use]
pub fn frames(sent: &[u8], received: &[u8]) -> Alignment {
    // Negative zero is the one code that linear samples cannot keep.
    let plain =
        |codes: &[u8]| codes.iter().map(|&code| if code == 0x7F { mulaw::SILENCE } else { code }).collect::<Vec<_>>();
    alignment(&plain(sent), &plain(received))
}

/// Every epoch's numbers run from 1 without a hole, and its last entry says that the stream is over.
///
/// # Panics
/// If not.
pub fn is_complete(journal: &[Entry], what: &str) {
    let mut epochs: Vec<u32> = journal.iter().map(|entry| entry.epoch).filter(|epoch| *epoch > 0).collect();
    epochs.dedup();
    assert!(!epochs.is_empty(), "{what}: the journal is empty");
    for epoch in epochs {
        let entries: Vec<&Entry> = journal.iter().filter(|entry| entry.epoch == epoch).collect();
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
        let whole: Vec<u64> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, whole, "{what}: epoch {epoch} has holes");
        let last = entries.last().map(|entry| &entry.kind);
        assert!(matches!(last, Some(Kind::StreamEnded { .. })), "{what}: epoch {epoch} ends with {last:?}");
    }
}

/// What a speaker said, in order.
#[must_use]
pub fn words_of(turns: &[Turn], speaker: Speaker) -> Vec<&str> {
    turns.iter().filter(|turn| turn.speaker == speaker).map(|turn| turn.text.as_str()).collect()
}

/// The first entry that is looked for.
pub fn find<T>(journal: &[Entry], look: impl FnMut(&Entry) -> Option<T>) -> Option<T> {
    journal.iter().find_map(look)
}

/// A journal in short, for messages.
#[must_use]
pub fn outline(journal: &[Entry]) -> String {
    let line = |entry: &Entry| {
        let text = serde_json::to_value(&entry.kind).unwrap_or_default().to_string();
        format!("  {}.{} {} {text}", entry.epoch, entry.seq, entry.at_ms)
    };
    journal.iter().map(line).collect::<Vec<_>>().join("\n")
}
