//! Writing for people: colour where it shows, alignment everywhere, no whole telephone numbers.

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

/// What a text is, from which its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A title, a name.
    Strong,
    /// Beside the point.
    Dim,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Whoever is on the phone.
    Caller,
    /// Whoever answers for us.
    Agent,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Strong => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Caller => "36",
            Self::Agent => "35",
        }
    }
}

/// Where a command writes what people or programs read.
pub struct Screen {
    out: Box<dyn Write + Send>,
    colour: bool,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("colour", &self.colour).finish_non_exhaustive()
    }
}

impl Screen {
    /// The results of a command.
    #[must_use]
    pub fn stdout() -> Self {
        Self { colour: may_colour(std::io::stdout().is_terminal()), out: Box::new(std::io::stdout()) }
    }

    /// What went wrong.
    #[must_use]
    pub fn stderr() -> Self {
        Self { colour: may_colour(std::io::stderr().is_terminal()), out: Box::new(std::io::stderr()) }
    }

    /// Into anything, without colour.
    #[must_use]
    pub fn plain(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), colour: false }
    }

    /// Whether colours show here.
    #[must_use]
    pub const fn is_coloured(&self) -> bool {
        self.colour
    }

    /// Writes a line. Whoever reads may have gone, as `head` does: that is no error of ours.
    pub fn line(&mut self, text: &str) {
        drop(writeln!(self.out, "{text}").and_then(|()| self.out.flush()));
    }

    /// The text in its colour, if colours show here.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()) } else { text.to_owned() }
    }

    /// A cell of a table: painted, and padded to a width.
    #[must_use]
    pub fn cell(&self, style: Style, text: &str, width: usize) -> String {
        format!("{}{}", self.paint(style, text), padding(text, width))
    }

    /// Writes rows below a header, each column as wide as its widest cell.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let width = |n: usize| {
            let cells = rows.iter().filter_map(|row| row.get(n).map(|cell| cell.chars().count()));
            cells.chain(header.get(n).map(|title| title.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let aligned = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", padding(cell, *width)));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let titles: Vec<String> = header.iter().map(|title| (*title).to_owned()).collect();
        self.line(&self.paint(Style::Dim, &aligned(&titles)));
        for row in rows {
            self.line(&aligned(row));
        }
    }
}

/// Colour is for terminals, and for those who did not ask to be left without (<https://no-color.org>).
fn may_colour(terminal: bool) -> bool {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    terminal && named("NO_COLOR").is_none() && named("TERM").is_none_or(|term| term != "dumb")
}

fn padding(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(text.chars().count()))
}

/// A telephone number without its middle: enough to recognise a call of one's own, and nothing for anybody else. What
/// is no number (`anonymous`, a client's name) is not longer than its first letters.
#[must_use]
pub fn short_number(number: &str) -> String {
    let letters: Vec<char> = number.chars().collect();
    let digits = letters.iter().filter(|letter| letter.is_ascii_digit()).count();
    if number == "anonymous" {
        return number.to_owned();
    }
    let (first, last) = if digits >= 9 && number.starts_with('+') { (5, 4) } else { (letters.len().min(3), 0) };
    let begin: String = letters.iter().take(first).collect();
    let end: String = letters.iter().skip(letters.len() - last).collect();
    format!("{begin}···{end}")
}

/// The tail of a call's id, by which a person tells two calls apart.
#[must_use]
pub fn short_id(id: &str) -> &str {
    let from = id.len().saturating_sub(6);
    id.get(from..).unwrap_or(id)
}

/// A duration as people say it: `0.42 s`, `38 s`, `4 min 05 s`.
#[must_use]
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 if duration.subsec_millis() == 0 => format!("{seconds} s"),
        0..10 => format!("{:.2} s", duration.as_secs_f64()),
        10..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Breaks a text into lines of at most `width` letters, at spaces.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_number_is_not_shown() {
        assert_eq!(short_number("+12025550123"), "+1202···0123");
        assert_eq!(short_number("anonymous"), "anonymous");
        assert_eq!(short_number("client:alex.morgan"), "cli···");
        assert_eq!(short_number("+123"), "+12···");
        assert_eq!(short_number(""), "···");
    }

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(spoken(Duration::from_millis(420)), "0.42 s");
        assert_eq!(spoken(Duration::from_millis(38_140)), "38.1 s");
        assert_eq!(spoken(Duration::from_secs(44)), "44 s");
        assert_eq!(spoken(Duration::from_secs(245)), "4 min 05 s");
        assert_eq!(spoken(Duration::from_secs(7_300)), "2 h 01 min");
    }

    #[test]
    fn long_sentences_break_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("", 7), [""]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let (file, mut written) = (Shared::default(), String::new());
        let mut screen = Screen::plain(file.clone());
        screen.table(&["id", "status"], &[vec!["a".into(), "ringing".into()], vec!["long".into(), "x".into()]]);
        written.push_str(&String::from_utf8(file.0.lock().unwrap().clone()).unwrap());
        assert_eq!(written, "id    status\na     ringing\nlong  x\n");
    }

    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().map_err(|_| std::io::Error::other("poisoned"))?.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
