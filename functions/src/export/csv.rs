//! Rows of comma-separated values (RFC 4180), of which no spreadsheet makes anything but text and numbers.
//!
//! A cell that begins with `=`, `+`, `-`, `@` or their wide forms is a formula to a spreadsheet, and what a caller says or
//! is called ends up in cells. Such a cell gets an apostrophe before it, which spreadsheets take for "this is text". Our
//! own numbers are never negative and need none.

use serde_json::Value;

/// A row of these values. Texts of a list are joined by spaces; null is an empty cell.
pub(super) fn row(values: impl IntoIterator<Item = Value>) -> String {
    let mut row = String::new();
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            row.push(',');
        }
        match value {
            Value::Null => {}
            Value::Bool(value) => row += if value { "true" } else { "false" },
            Value::Number(number) => row += &number.to_string(),
            Value::String(text) => row += &cell(&text),
            Value::Array(values) => {
                let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                row += &cell(&texts.join(" "));
            }
            Value::Object(fields) => row += &cell(&Value::Object(fields).to_string()),
        }
    }
    row + "\r\n"
}

fn cell(text: &str) -> String {
    // Characters that no printer knows are nothing a spreadsheet should see; some refuse the whole file for one.
    let plain = |letter: char| if letter.is_control() && letter != '\n' { ' ' } else { letter };
    let text: String = text.replace("\r\n", "\n").chars().map(plain).collect();
    let text = if begins_a_formula(&text) { format!("'{text}") } else { text };
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_.:/'+ ".contains(letter);
    if text.chars().all(is_plain) && text.trim() == text { text } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn begins_a_formula(text: &str) -> bool {
    let first =
        text.trim_start_matches(|letter: char| letter.is_whitespace() || "\"'\u{feff}\u{200b}".contains(letter));
    // An apostrophe of the text's own would be taken for ours.
    text.starts_with(['\t', '\n', '\''])
        || first.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '−', '|', '%'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        for hostile in
            ["=1+1", "+12025550123", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1", "＝1", "\"=1", "'=1", "\u{feff}=1"]
        {
            let written = cell(hostile);
            assert!(written.starts_with('\'') || written.starts_with("\"'"), "{hostile:?} became {written:?}");
        }
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let row =
            row([json!("a,b"), json!("say \"hi\""), json!("two\r\nlines"), json!(null), json!(7), json!(["a", "b"])]);
        assert_eq!(row, "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",,7,a b\r\n");
    }
}
