//! The bundled lines: what a caller hears while no engine answers.
//!
//! Each line is a recording in `lines/<language>/`, compiled in, so that it can be played when disk, store and
//! network are all gone. The text stands beside the recording and is compiled in too: the transcript names exactly
//! what was said. An agent that brings its own voice replaces these elsewhere.

use super::wav::{self, Encoding};

/// The languages that have recordings. Any other falls back to the first.
pub const LANGUAGES: [&str; 4] = ["en", "es", "de", "fr"];

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// The engine is gone for a moment: please wait.
    Hold,
    /// What was said last may be lost: please repeat it.
    Again,
    /// The call cannot go on: an apology and a goodbye.
    Sorry,
}

impl Line {
    /// All lines.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Again, Self::Sorry];

    /// The name of its file, without the ending.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Again => "again",
            Self::Sorry => "sorry",
        }
    }
}

/// The line as mu-law at 8 kHz. `language` is a BCP 47 tag such as `en-US`; what is unknown is spoken in English.
#[must_use]
pub fn line(language: &str, line: Line) -> &'static [u8] {
    let file = recording(language, line).0;
    let layout = wav::layout(file).expect("invariant: a test reads every bundled line");
    debug_assert_eq!(layout.encoding, Encoding::MuLaw);
    &file[layout.data]
}

/// The words of the line, in the language in which [`line`] speaks it.
#[must_use]
pub fn text(language: &str, line: Line) -> &'static str {
    recording(language, line).1.trim_ascii_end()
}

/// Which of [`LANGUAGES`] is spoken for this tag.
#[must_use]
pub fn spoken_language(language: &str) -> &'static str {
    let primary = language.split(['-', '_']).next().unwrap_or(language);
    LANGUAGES.into_iter().find(|known| known.eq_ignore_ascii_case(primary)).unwrap_or(LANGUAGES[0])
}

type Recording = (&'static [u8], &'static str);

macro_rules! recordings {
    ($language:literal) => {
        [recordings!($language, "hold"), recordings!($language, "again"), recordings!($language, "sorry")]
    };
    ($language:literal, $name:literal) => {
        (
            include_bytes!(concat!("../../../../lines/", $language, "/", $name, ".wav")).as_slice(),
            include_str!(concat!("../../../../lines/", $language, "/", $name, ".txt")),
        )
    };
}

static ENGLISH: [Recording; 3] = recordings!("en");
static SPANISH: [Recording; 3] = recordings!("es");
static GERMAN: [Recording; 3] = recordings!("de");
static FRENCH: [Recording; 3] = recordings!("fr");

fn recording(language: &str, line: Line) -> Recording {
    let [hold, again, sorry] = match spoken_language(language) {
        "es" => SPANISH,
        "de" => GERMAN,
        "fr" => FRENCH,
        _ => ENGLISH,
    };
    match line {
        Line::Hold => hold,
        Line::Again => again,
        Line::Sorry => sorry,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{mulaw, phone_duration};
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_line_is_mulaw_at_the_phone_rate_with_one_channel() {
        for language in LANGUAGES {
            for name in Line::ALL {
                let layout = wav::layout(recording(language, name).0).unwrap();
                assert_eq!((layout.encoding, layout.rate, layout.channels), (Encoding::MuLaw, 8_000, 1));
            }
        }
    }

    #[test]
    fn every_line_is_short_and_loud_enough() {
        for language in LANGUAGES {
            for name in Line::ALL {
                let codes = line(language, name);
                let length = phone_duration(codes.len());
                assert!(length > Duration::from_millis(500) && length <= Duration::from_millis(3_500), "{length:?}");
                let level = mulaw::level_dbfs(codes);
                assert!((-26.0..-12.0).contains(&level), "{language} {name:?}: {level}");
                assert!(!mulaw::is_silent(&codes[..1_600]), "{language} {name:?} begins at once");
            }
        }
    }

    #[test]
    fn a_region_and_the_case_of_the_tag_do_not_matter() {
        assert_eq!(line("en-US", Line::Hold), line("en", Line::Hold));
        assert_eq!(line("ES_mx", Line::Again), line("es", Line::Again));
        assert_ne!(line("es", Line::Again), line("en", Line::Again));
    }

    #[test]
    fn an_unknown_language_is_spoken_in_english() {
        for unknown in ["", "-", "eo", "english", "e"] {
            assert_eq!(spoken_language(unknown), "en");
            assert_eq!(line(unknown, Line::Sorry), line("en", Line::Sorry));
            assert_eq!(text(unknown, Line::Sorry), text("en", Line::Sorry));
        }
    }

    #[test]
    fn every_line_has_its_own_words() {
        let mut texts: Vec<&str> =
            LANGUAGES.iter().flat_map(|language| Line::ALL.map(|name| text(language, name))).collect();
        assert!(texts.iter().all(|words| words.len() > 8 && !words.contains('\n')));
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), LANGUAGES.len() * Line::ALL.len());
    }

    #[test]
    fn names_are_the_names_of_the_files() {
        assert_eq!(Line::ALL.map(Line::name), ["hold", "again", "sorry"]);
    }
}
