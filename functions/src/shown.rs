//! What a log line or the journal shows of a text that somebody else has written.

/// Longer texts are cut: a line of the log is for reading, and its size is not for a stranger to choose.
const CHARS_MAX: usize = 200;

/// The text, without control characters, and cut where it is too long.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_is_shown_in_one_short_line() {
        assert_eq!(shown("stream-error"), "stream-error");
        let long = shown(&"é\n".repeat(10_000));
        assert_eq!((long.chars().count(), long.contains('\n')), (201, false));
        assert_eq!(shown(&"x".repeat(200)).len(), 200);
        assert_eq!(shown(&"x".repeat(201)).chars().count(), 201);
    }
}
