//! A text that comes in crumbs, cut where a voice can begin to speak.
//!
//! Speech sounds right when the voice sees a clause at a time, and begins early when the first clause is short. So the
//! first piece ends at the first clause of some length, later ones at the end of a sentence or at a clause that is long
//! enough. Pieces are cut behind their spaces: put together they are the text again.

/// A first piece is not shorter than this, in bytes, unless the sentence is.
const FIRST_MIN: usize = 20;

/// A later piece that does not end a sentence is not shorter.
const LATER_MIN: usize = 60;

/// A piece without any mark is cut behind a word when it is this long.
const UNMARKED_MAX: usize = 200;

/// The text that has come and was not handed on.
#[derive(Debug, Default)]
pub(super) struct Clauses {
    waiting: String,
    begun: bool,
}

impl Clauses {
    pub(super) fn push(&mut self, text: &str) {
        self.waiting.push_str(text);
    }

    /// The next piece that is complete.
    pub(super) fn take(&mut self) -> Option<String> {
        let least = if self.begun { LATER_MIN } else { FIRST_MIN };
        let mut before = '\0';
        let mut word_end = None;
        let mut end = None;
        for (index, character) in self.waiting.char_indices() {
            if character.is_whitespace() && !before.is_whitespace() && index > 0 {
                // A mark ends something only if a space follows: "3.5" is one number.
                let sentence = matches!(before, '.' | '!' | '?' | '…' | ':' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}');
                let clause = matches!(before, ',' | ';' | '—' | '–') && index >= least;
                if sentence || clause {
                    end = Some(index);
                    break;
                }
                word_end = Some(index);
                if index >= UNMARKED_MAX {
                    break;
                }
            }
            before = character;
        }
        let end = end.or_else(|| word_end.filter(|end| *end >= UNMARKED_MAX))?;
        // The spaces belong to the piece that they follow; without one behind them, more may come.
        let rest = self.waiting[end..].find(|c: char| !c.is_whitespace()).map(|spaces| end + spaces)?;
        Some(self.split(rest))
    }

    /// What is left when no more comes.
    pub(super) fn rest(&mut self) -> Option<String> {
        let rest = self.split(self.waiting.len());
        (!rest.trim().is_empty()).then_some(rest)
    }

    fn split(&mut self, at: usize) -> String {
        self.begun = true;
        let rest = self.waiting.split_off(at);
        std::mem::replace(&mut self.waiting, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, crumb: usize) -> Vec<String> {
        let mut clauses = Clauses::default();
        let mut pieces = Vec::new();
        let characters: Vec<char> = text.chars().collect();
        for crumb in characters.chunks(crumb) {
            clauses.push(&crumb.iter().collect::<String>());
            pieces.extend(std::iter::from_fn(|| clauses.take()));
        }
        pieces.extend(clauses.rest());
        pieces
    }

    #[test]
    fn the_pieces_do_not_depend_on_the_crumbs_and_are_the_text_again() {
        let text = "Sure, I can do that for you. We have 3.5 hours left on Tuesday, at ten, or on Thursday at three. \
                    Would that suit you?";
        let whole = pieces(text, 1);
        for crumb in 2..40 {
            assert_eq!(pieces(text, crumb), whole, "in crumbs of {crumb}");
        }
        assert_eq!(whole.concat(), text);
        assert_eq!(whole[0], "Sure, I can do that for you. ");
        assert!(whole.iter().all(|piece| !piece.starts_with(' ')), "{whole:?}");
    }

    #[test]
    fn the_first_piece_is_a_clause() {
        assert_eq!(pieces("Let me have a look at that, one moment please", 3)[0], "Let me have a look at that, ");
    }

    #[test]
    fn a_text_without_marks_is_cut_all_the_same() {
        let text = "word ".repeat(100);
        let pieces = pieces(&text, 7);
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= UNMARKED_MAX + 10), "{pieces:?}");
    }
}
