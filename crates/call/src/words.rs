//! Small questions about spoken words: are they real, are they the same, where does a cut fall.

/// Sounds that people make while they listen. They say "go on", not "stop".
const LISTENING_SOUNDS: [&str; 24] = [
    "uh", "um", "uhm", "hm", "hmm", "mm", "mhm", "mmhm", "mmhmm", "uhhuh", "ah", "oh", "eh", "er", "erm", "huh", "aha",
    "äh", "ähm", "euh", "em", "ehm", "mmm", "ha",
];

/// Words that end a call rather than go on with it, in the languages of the bundled lines.
const FAREWELLS: [&str; 30] = [
    "bye",
    "goodbye",
    "thanks",
    "thank",
    "you",
    "ok",
    "okay",
    "good",
    "night",
    "day",
    "have",
    "a",
    "nice",
    "see",
    "take",
    "care",
    "tschüss",
    "danke",
    "wiederhören",
    "auf",
    "ciao",
    "adiós",
    "adios",
    "gracias",
    "hasta",
    "luego",
    "merci",
    "au",
    "revoir",
    "too",
];

/// Whether these words are a goodbye and nothing else.
#[must_use]
pub(crate) fn is_farewell(text: &str) -> bool {
    let normal = normal(text);
    !normal.is_empty() && normal.split(' ').all(|word| FAREWELLS.contains(&word))
}

/// Lower case letters and digits, words separated by one space: what is left when spelling does not matter.
#[must_use]
pub(crate) fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut gap = false;
    for character in text.chars() {
        if character.is_alphanumeric() {
            if gap && !normal.is_empty() {
                normal.push(' ');
            }
            gap = false;
            normal.extend(character.to_lowercase());
        } else if !matches!(character, '\'' | '’' | '-') {
            gap = true;
        }
    }
    normal
}

/// Whether a caller's words say something, so that they may cut the agent off.
#[must_use]
pub(crate) fn are_real(text: &str) -> bool {
    count_real(text) > 0
}

/// How many of a caller's words say something.
#[must_use]
pub(crate) fn count_real(text: &str) -> usize {
    normal(text).split(' ').filter(|word| !word.is_empty() && !LISTENING_SOUNDS.contains(word)).count()
}

/// Whether an agent's sentence says again what is in `said`, as a greeting after a resumption does.
#[must_use]
pub(crate) fn repeats(said: &str, sentence: &str) -> bool {
    let (said, sentence) = (normal(said), normal(sentence));
    !sentence.is_empty() && !said.is_empty() && (said.contains(&sentence) || sentence.contains(&said))
}

/// Whether an agent's sentence says again how `said` begins.
#[must_use]
pub(crate) fn begins_like(said: &str, sentence: &str) -> bool {
    let (said, sentence) = (normal(said), normal(sentence));
    !sentence.is_empty() && !said.is_empty() && (said.starts_with(&sentence) || sentence.starts_with(&said))
}

/// Whether `words` were said, whatever their spelling, somewhere in `said`.
#[must_use]
pub(crate) fn contains(said: &str, words: &str) -> bool {
    normal(said).contains(&normal(words))
}

/// The part of `text` that was heard when `heard` of `whole` samples were: cut at the word boundary nearest to that share.
#[must_use]
pub(crate) fn heard_part(text: &str, heard: u64, whole: u64) -> &str {
    if heard >= whole {
        return text;
    }
    if heard == 0 {
        return "";
    }
    let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let share = heard.saturating_mul(characters) / whole.max(1);
    let mut best = 0;
    let mut best_distance = share;
    let mut before_is_space = true;
    for ((index, character), position) in text.char_indices().chain([(text.len(), ' ')]).zip(0u64..) {
        // A boundary lies where a word has just ended.
        if character.is_whitespace() && !before_is_space && position.abs_diff(share) <= best_distance {
            (best, best_distance) = (index, position.abs_diff(share));
        }
        before_is_space = character.is_whitespace();
    }
    &text[..best]
}

/// How far ahead a word is looked for: a few words may be spoken otherwise than they are written.
const LOOKED_AHEAD: usize = 8;

/// Where `word` ends in `text`, looked for behind `from` among the next few words.
#[must_use]
pub(crate) fn find_word(text: &str, from: usize, word: &str) -> Option<usize> {
    let wanted = normal(word);
    if wanted.is_empty() {
        return None;
    }
    let mut at = from;
    for _ in 0..LOOKED_AHEAD {
        let rest = text.get(at..)?;
        let start = at + rest.find(|c: char| !c.is_whitespace())?;
        let length = text[start..].find(char::is_whitespace).unwrap_or(text.len() - start);
        at = start + length;
        if normal(&text[start..at]) == wanted {
            return Some(at);
        }
    }
    None
}

/// How long a text takes to say, in samples, at some 14 characters a second.
#[must_use]
pub(crate) fn spoken_samples(text: &str) -> u64 {
    text.chars().count() as u64 * 1_000 * crate::limits::SAMPLES_PER_MS / 14
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sounds_are_not_words() {
        assert!(!are_real("") && !are_real("Mm-hmm.") && !are_real("Uh, um…") && !are_real("..."));
        assert!(are_real("Wait!") && are_real("um, no") && are_real("2"));
    }

    #[test]
    fn a_cut_falls_between_words() {
        let text = "How can I help you today?";
        assert_eq!(heard_part(text, 0, 100), "");
        assert_eq!(heard_part(text, 100, 100), text);
        assert_eq!(heard_part(text, 30, 100), "How can");
        assert_eq!(heard_part(text, 1, 100), "");
        assert_eq!(heard_part(text, 99, 100), text);
        assert_eq!(heard_part("", 5, 10), "");
    }

    #[test]
    fn a_cut_never_splits_a_letter() {
        let text = "Grüß Gott, schöne Größe";
        for heard in 0..=50 {
            assert!(text.starts_with(heard_part(text, heard, 50)));
        }
    }

    #[test]
    fn words_are_found_in_their_order_whatever_their_marks() {
        let text = "Well, the 3 o'clock on Tuesday - or the one on Thursday?";
        assert_eq!(find_word(text, 0, "well"), Some(5));
        assert_eq!(find_word(text, 5, "the"), Some(9));
        assert_eq!(find_word(text, 9, "three"), None, "it is spoken otherwise than it is written");
        assert_eq!(find_word(text, 9, "oclock"), Some(19));
        assert_eq!(find_word(text, 19, "Tuesday,"), Some(30));
        assert_eq!(find_word(text, 30, "on"), Some(text.len() - 10));
        assert_eq!(find_word(text, text.len(), "on"), None);
        assert_eq!(find_word(text, 0, "—"), None);
    }

    #[test]
    fn a_repeated_greeting_is_known_whatever_its_commas() {
        assert!(repeats("Hello, this is Riverside Dental. How can I help?", "How can I help"));
        assert!(!repeats("Hello, how can I help?", "Tuesday at ten is free."));
    }
}
