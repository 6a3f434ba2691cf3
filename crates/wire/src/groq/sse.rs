//! Server-sent events, read as the bytes come: in any split, with any line end.
//!
//! A line ends in LF, CRLF or CR; a blank one ends an event; a line that begins with a colon is a comment. Of the fields,
//! `event` and `data` matter here, and what has no data is no event. (WHATWG HTML, "Server-sent events") Bytes that are
//! not UTF-8 become replacement characters. Lines and events have a largest size; one that is larger is skipped to its
//! end, and reported.

/// The longest line: a chunk holds a few words, and at its largest a tool call's arguments.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// The largest event, when its data comes in several lines.
pub const EVENT_BYTES_MAX: usize = 512 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its kind, if it has one.
    pub event: Option<String>,
    /// Its data; lines are joined by LF.
    pub data: String,
}

/// An event larger than [`EVENT_BYTES_MAX`], or a line longer than [`LINE_BYTES_MAX`]. It was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is too large")]
pub struct TooLarge;

/// Reads a stream.
#[derive(Debug, Clone, Default)]
pub struct SseReader {
    /// The line that is not over yet.
    line: Vec<u8>,
    /// The event that is not over yet.
    event: SseEvent,
    /// Whether it has any data, be it empty.
    has_data: bool,
    /// Whether it is skipped.
    too_large: bool,
    /// Whether the last byte was a CR, so that an LF belongs to it.
    after_cr: bool,
    /// Whether a line was read: a byte order mark stands before the first one only.
    begun: bool,
}

impl SseReader {
    /// Reads more of the stream, and hands over each event that is complete.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Result<SseEvent, TooLarge>)) {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = after;
                continue;
            }
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.extend(rest);
                return;
            };
            self.extend(&rest[..end]);
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if let Some(outcome) = self.end_of_line() {
                each(outcome);
            }
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LINE_BYTES_MAX {
            self.too_large = true;
            // One byte stays, so that the line is not taken for the blank one that ends the event.
            self.line.clear();
            self.line.push(b':');
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_of_line(&mut self) -> Option<Result<SseEvent, TooLarge>> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xEF\xBB\xBF") {
            line.drain(..3);
        }
        if line.is_empty() {
            return self.end_of_event();
        }
        self.field(&String::from_utf8_lossy(&line));
        // The room is kept for the next line.
        line.clear();
        self.line = line;
        None
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.event.event = Some(value.to_owned()).filter(|kind| !kind.is_empty()),
            "data" if self.event.data.len() + value.len() < EVENT_BYTES_MAX => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "data" => self.too_large = true,
            // A comment has no name; `id` and `retry` are for streams that can be taken up again.
            _ => {}
        }
    }

    fn end_of_event(&mut self) -> Option<Result<SseEvent, TooLarge>> {
        let event = std::mem::take(&mut self.event);
        let has_data = std::mem::take(&mut self.has_data);
        if std::mem::take(&mut self.too_large) {
            return Some(Err(TooLarge));
        }
        has_data.then_some(Ok(event))
    }
}

/// One event with this data, as it is sent.
#[must_use]
pub fn write(data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 8);
    for line in data.split('\n') {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<Result<SseEvent, TooLarge>> {
        let (mut reader, mut events) = (SseReader::default(), Vec::new());
        for piece in pieces {
            reader.push(piece, |event| events.push(event));
        }
        events
    }

    fn data(data: &str) -> SseEvent {
        SseEvent { event: None, data: data.to_owned() }
    }

    #[test]
    fn an_event_ends_at_a_blank_line_whatever_its_line_ends() {
        for stream in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data:a\r\rdata:b\r\r"] {
            assert_eq!(read(&[stream.as_bytes()]), [Ok(data("a")), Ok(data("b"))], "{stream:?}");
        }
        assert_eq!(read(&[b"data: not over\n"]), []);
    }

    #[test]
    fn comments_unknown_fields_and_events_without_data_are_left_out() {
        assert_eq!(
            read(&[b"\xEF\xBB\xBF: hello\n\nid: 7\nretry: 1\ndata\n\nevent: x\n\nwhatever\n\n"]),
            [Ok(data(""))]
        );
    }

    #[test]
    fn lines_of_data_are_joined_and_an_event_keeps_its_kind() {
        let event = SseEvent { event: Some("error".into()), data: "{\n}".into() };
        assert_eq!(read(&[b"event: error\ndata: {\ndata: }\n\n"]), [Ok(event)]);
        assert_eq!(read(&[write("a\nb").as_bytes()]), [Ok(data("a\nb"))]);
    }

    #[test]
    fn what_is_too_large_is_skipped_and_what_follows_is_read() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(read(&[b"data: ", &long, &long, b"\n\ndata: b\n\n"]), [Err(TooLarge), Ok(data("b"))]);
        let line = [b"data: ".as_slice(), &long[..200_000], b"\n"].concat();
        assert_eq!(read(&[&line, &line, &line, b"\ndata: b\n\n"]), [Err(TooLarge), Ok(data("b"))]);
    }

    proptest! {
        #[test]
        fn a_stream_split_anywhere_gives_the_same_events(
            stream in "(data: ?[a-zé{}]{0,8}|event: [a-z]{0,5}|:[a-z]{0,4}|[a-z]{0,4}|)((\r\n|\n|\r){1,3}(data: ?[a-zé{}]{0,8}|event: [a-z]{0,5}|:x|)){0,12}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = stream.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            at.insert(0, 0);
            at.push(bytes.len());
            let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[bytes]));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(read(&single), read(&[bytes]));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&[&bytes]);
        }
    }
}
