//! Finding words in transcripts: what counts as the same word, and where it was said.
//!
//! A word is what stands between two characters that are neither letters nor digits. Case and accents are folded
//! (`Zoë` is `zoe`, `Straße` is `strasse`), and an English plural is its singular. The same folding goes over what was
//! said and over what is looked for, so that it need not be right, only the same; where it is wrong, two words are found
//! as one. Chinese and Japanese are written without spaces: each of their characters is a word.
//!
//! After a call the worker writes a *posting* for each of its words ([`Store::index_words`](crate::Store::index_words));
//! a list that looks for words walks the postings of all of them side by side.

mod postings;

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Longer words are cut: no word of a conversation is.
const WORD_CHARS_MAX: usize = 40;

/// Plurals that no rule makes, and words that look like plurals of others and are none.
const IRREGULAR: [(&str, &str); 22] = [
    ("buses", "bus"),
    ("children", "child"),
    ("echoes", "echo"),
    ("feet", "foot"),
    ("gases", "gas"),
    ("halves", "half"),
    ("heroes", "hero"),
    ("knives", "knife"),
    ("lens", "lens"),
    ("lenses", "lens"),
    ("lives", "life"),
    ("men", "man"),
    ("mice", "mouse"),
    ("news", "news"),
    ("people", "person"),
    ("potatoes", "potato"),
    ("shelves", "shelf"),
    ("teeth", "tooth"),
    ("tomatoes", "tomato"),
    ("wives", "wife"),
    ("women", "woman"),
    ("yes", "yes"),
];

/// The words of a text, folded. Single letters of the Latin alphabet are left out: they are what apostrophes leave over.
#[must_use]
pub fn search_words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    for letter in fold(text) {
        if stands_alone(letter) {
            end(&mut word, &mut words);
            words.insert(letter.to_string());
        } else if letter.is_alphanumeric() {
            word.push(letter);
        } else {
            end(&mut word, &mut words);
        }
    }
    end(&mut word, &mut words);
    words
}

fn end(word: &mut String, words: &mut BTreeSet<String>) {
    let whole = std::mem::take(word);
    let is_lone_letter = whole.len() == 1 && whole.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if !whole.is_empty() && !is_lone_letter {
        let cut: String = whole.chars().take(WORD_CHARS_MAX).collect();
        words.insert(singular(&cut));
    }
}

/// Lower case, without accents, compatibility forms made plain.
fn fold(text: &str) -> impl Iterator<Item = char> {
    let plain = text.nfkd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase);
    // Lower case of a capital with a dot brings a mark of its own.
    plain.filter(|letter| !is_combining_mark(*letter)).flat_map(|letter| {
        let spelled: &[char] = match letter {
            'ß' => &['s', 's'],
            'æ' => &['a', 'e'],
            'œ' => &['o', 'e'],
            'ø' => &['o'],
            'ł' => &['l'],
            'đ' | 'ð' => &['d'],
            'þ' => &['t', 'h'],
            'ı' => &['i'],
            'ς' => &['σ'],
            other => return vec![other],
        };
        spelled.to_vec()
    })
}

/// Whether a character is a word of its own.
fn stands_alone(letter: char) -> bool {
    matches!(letter,
        '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3134f}')
        && letter.is_alphanumeric()
}

/// One form for a word and its plural. It need not be a word: what an ending leaves open (`movies` of `movie` or `movy`) is
/// folded in the singular as well: an `e` after a hiss goes, and `ie` becomes `y`.
fn singular(word: &str) -> String {
    if let Ok(found) = IRREGULAR.binary_search_by_key(&word, |(plural, _)| plural) {
        return IRREGULAR[found].1.to_owned();
    }
    if !word.is_ascii() || word.ends_with(|letter: char| letter.is_ascii_digit()) {
        return word.to_owned();
    }
    let ends_one = |stem: &&str| stem.len() >= 3 && stem.ends_with(|letter: char| !"sui0123456789".contains(letter));
    let stem = word.strip_suffix('s').filter(ends_one).unwrap_or(word);
    let hisses = |root: &str| ["s", "x", "z", "sh", "ch"].iter().any(|hiss| root.ends_with(hiss));
    match stem.strip_suffix('e') {
        Some(root) if root.len() >= 3 && hisses(root) => root.to_owned(),
        Some(root) if root.len() >= 4 && root.ends_with('i') => format!("{}y", &root[..root.len() - 1]),
        _ => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        search_words(text).into_iter().collect()
    }

    #[test]
    fn case_accents_and_spelling_are_folded() {
        assert_eq!(words("Zoë ZOE zoe\u{308}"), ["zoe"]);
        assert_eq!(words("Straße STRASSE"), ["strass"], "and the e after a hiss is gone");
        assert_eq!(words("İstanbul ﬁne Ærø"), ["aero", "fine", "istanbul"]);
        assert_eq!(words("don't l’heure 14:30"), ["14", "30", "don", "heure"]);
        assert_eq!(words("  — … !"), Vec::<String>::new());
    }

    #[test]
    fn english_plurals_are_their_singulars() {
        for (one, many) in [
            ("appointment", "appointments"),
            ("box", "boxes"),
            ("address", "addresses"),
            ("company", "companies"),
            ("bus", "buses"),
            ("house", "houses"),
            ("case", "cases"),
            ("dish", "dishes"),
            ("beach", "beaches"),
            ("size", "sizes"),
            ("woman", "women"),
            ("child", "children"),
            ("pie", "pies"),
            ("day", "days"),
            ("shoe", "shoes"),
            ("tooth", "teeth"),
            ("doctor", "doctor's"),
            ("headache", "headaches"),
            ("movie", "movies"),
            ("bonus", "bonuses"),
            ("virus", "viruses"),
            ("city", "cities"),
            ("cookie", "cookies"),
            ("nurse", "nurses"),
            ("church", "churches"),
            ("tax", "taxes"),
            ("boy", "boys"),
            ("fee", "fees"),
        ] {
            assert_eq!(words(one), words(many), "{one}, {many}");
        }
        for (one, other) in [("new", "news"), ("len", "lens"), ("car", "care"), ("thi", "this"), ("ye", "yes")] {
            assert_ne!(words(one), words(other), "{one}, {other}");
        }
    }

    #[test]
    fn irregular_plurals_are_sorted() {
        assert!(IRREGULAR.is_sorted());
    }

    #[test]
    fn characters_of_languages_without_spaces_are_words() {
        assert_eq!(words("予約したい"), ["い", "し", "た", "予", "約"]);
    }

    #[test]
    fn a_word_without_end_is_cut() {
        assert_eq!(words(&"a".repeat(1_000)), ["a".repeat(WORD_CHARS_MAX)]);
    }
}
