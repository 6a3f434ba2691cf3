//! Form-encoded webhooks: the pairs as they came, and typed views of them.
//!
//! A [`Form`] keeps order, duplicates, empty values and unknown keys, because all of them take part in the signature.
//! The views ([`VoiceRequest`], [`StatusCallback`], [`StreamCallback`], [`DialCallback`]) are lenient: only the ids are
//! required; a value that cannot be read as what it should be stays among the `rest`.
//!
//! Left to others: the bound on a body's size (64 kB at the door), and the signature, which is checked on the pairs
//! before a view is taken.

mod callbacks;
mod fields;
mod status;
mod voice;

use std::fmt;

use form_urlencoded::Serializer;

pub use self::callbacks::{DialCallStatus, DialCallback, StatusCallback, StreamCallback, StreamEvent};
pub use self::fields::FormError;
pub use self::status::{CallStatus, Direction};
pub use self::voice::VoiceRequest;

/// Pairs in the order they came.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// No pairs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a form-encoded body, or a query without its `?`. Never fails: what is not UTF-8 is replaced.
    pub fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The first value of a key, even if it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of a key, in order.
    pub fn get_all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        self.pairs().filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All pairs, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a pair at the end, beside others of its name.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Adds a pair if there is a value.
    pub fn push_some(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// The form-encoded text: a body, or a query.
    pub fn encode(&self) -> String {
        Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }
}

impl FromIterator<(String, String)> for Form {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Names only: values are telephone numbers, words and tokens.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form")?;
        f.debug_list().entries(self.pairs().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_duplicates_and_empty_values_are_kept() {
        let form = Form::parse(b"b=2&a=1&b=1&FromCity=&c=x+y%2B%C3%A9&flag");
        let pairs: Vec<_> = form.pairs().collect();
        assert_eq!(pairs, [("b", "2"), ("a", "1"), ("b", "1"), ("FromCity", ""), ("c", "x y+é"), ("flag", "")]);
        assert_eq!(form.get("b"), Some("2"));
        assert_eq!(form.get_all("b").collect::<Vec<_>>(), ["2", "1"]);
        assert_eq!(form.get("missing"), None);
        assert_eq!(Form::parse(form.encode().as_bytes()), form);
    }

    #[test]
    fn values_do_not_print() {
        let form = Form::parse(b"From=%2B12025550123");
        assert_eq!(format!("{form:?}"), r#"Form["From"]"#);
    }
}
