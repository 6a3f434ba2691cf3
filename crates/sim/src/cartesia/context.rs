//! One context: text that waits, and what of it is ready to be spoken.

use std::time::{Duration, Instant};

use wire::cartesia::BUFFER_DELAY_MS_DEFAULT;
use wire::cartesia::client::{Encoding, Generate};

use crate::speech::Speech;

/// One context.
pub(crate) struct Context {
    /// Its first input: what every other one must agree with.
    pub(crate) first: Generate,
    /// Text that is not spoken yet.
    text: String,
    /// Since when it waits.
    waits_since: Option<Instant>,
    /// Whether more text may come.
    pub(crate) is_open: bool,
    /// Flushes so far.
    pub(crate) flushes: u64,
    /// Audio so far, in time: where the next piece begins.
    pub(crate) length: Duration,
    /// When the last of its audio goes out.
    pub(crate) sent_at: Option<Instant>,
    /// When it was cancelled.
    pub(crate) cancelled_at: Option<Instant>,
}

impl Context {
    pub(crate) fn new(first: Generate) -> Self {
        Self {
            first,
            text: String::new(),
            waits_since: None,
            is_open: true,
            flushes: 0,
            length: Duration::ZERO,
            sent_at: None,
            cancelled_at: None,
        }
    }

    /// How long text may wait for more of it.
    fn patience(&self) -> Duration {
        Duration::from_millis(u64::from(self.first.max_buffer_delay_ms.unwrap_or(BUFFER_DELAY_MS_DEFAULT)))
    }

    /// Whether text is spoken as it comes.
    pub(crate) fn is_unbuffered(&self) -> bool {
        self.patience().is_zero()
    }

    pub(crate) fn write(&mut self, now: Instant, text: &str) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.waits_since.get_or_insert(now);
        }
    }

    /// When the text that waits is spoken, though nothing more came.
    pub(crate) fn due(&self) -> Option<Instant> {
        Some(self.waits_since? + self.patience())
    }

    /// When it is over, because nothing more came.
    pub(crate) fn expires(&self, after: Duration) -> Option<Instant> {
        (self.is_open && self.waits_since.is_none() && self.cancelled_at.is_none()).then_some(self.sent_at? + after)
    }

    /// The texts that are ready: all, or the sentences that are certainly over.
    pub(crate) fn ready(&mut self, now: Instant, all: bool) -> Vec<String> {
        let all = all || self.due().is_some_and(|due| due <= now);
        let end = if all { self.text.len() } else { whole_sentences(&self.text) };
        let rest = self.text.split_off(end);
        let ready = std::mem::replace(&mut self.text, rest);
        if self.text.is_empty() {
            self.waits_since = None;
        }
        if self.is_unbuffered() {
            return Some(ready).filter(|text| !text.trim().is_empty()).into_iter().collect();
        }
        crate::speech::bank::sentences(&ready).map(str::to_owned).collect()
    }
}

/// How much of a text is sentences that end: a full stop is one only when something follows it.
fn whole_sentences(text: &str) -> usize {
    let letters = text.char_indices().zip(text.chars().skip(1));
    letters
        .filter(|((_, letter), next)| matches!(letter, '.' | '?' | '!' | '…') && next.is_whitespace())
        .map(|((at, letter), _)| at + letter.len_utf8())
        .last()
        .unwrap_or(0)
}

/// Bytes of one sample, and how samples become bytes. A-law is not simulated.
pub(crate) fn encoded(encoding: Encoding, speech: &Speech) -> Option<(usize, Vec<u8>)> {
    let samples = &speech.samples;
    Some(match encoding {
        Encoding::Mulaw => (1, call::audio::mulaw::encoded(samples)),
        Encoding::Linear16 => (2, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()),
        Encoding::Float32 => {
            (4, samples.iter().flat_map(|sample| (f32::from(*sample) / 32_768.0).to_le_bytes()).collect())
        }
        Encoding::Alaw => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_over_when_something_follows_it() {
        let now = Instant::now();
        let mut context = Context::new(Generate::telephone("m", "v"));
        for (text, ready) in [("Hello. At 3.5", vec!["Hello."]), ("0. So", vec!["At 3.50."]), ("?", vec![])] {
            context.write(now, text);
            assert_eq!(context.ready(now, false), ready, "{text}");
        }
        assert_eq!(context.ready(now, true), ["So?"]);
        assert_eq!(context.due(), None);
    }

    #[test]
    fn text_that_waited_long_enough_is_spoken_as_it_is() {
        let now = Instant::now();
        let mut context = Context::new(Generate::telephone("m", "v"));
        context.write(now, "So I");
        assert!(context.ready(now + Duration::from_millis(2_999), false).is_empty());
        assert_eq!(context.ready(now + Duration::from_secs(3), false), ["So I"]);
    }
}
