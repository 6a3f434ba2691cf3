//! Taking typed values out of a form, so that what nobody took is known.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use super::Form;
use crate::pii::Pii;
use crate::twilio::sid::SidError;

/// Why a form is not the callback it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormError {
    /// A key is absent or empty that Twilio always sends.
    #[error("without {0}")]
    Missing(&'static str),
    /// An identifier is none.
    #[error("with a {0} that is {1}")]
    BadSid(&'static str, SidError),
}

/// Takes each pair at most once. Empty values are no values: Twilio sends them for what it does not know.
pub(super) struct Fields<'f> {
    form: &'f Form,
    taken: Vec<bool>,
}

impl<'f> Fields<'f> {
    pub(super) fn new(form: &'f Form) -> Self {
        Self { form, taken: vec![false; form.len()] }
    }

    /// Takes the first value of the key if `read` makes something of it; otherwise leaves it for the rest.
    pub(super) fn take<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let at = self.form.0.iter().position(|(name, _)| name == key)?;
        let (_, value) = &self.form.0[at];
        if value.is_empty() {
            return None;
        }
        let read = read(value)?;
        self.taken[at] = true;
        Some(read)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.take(key, |value| Some(value.to_owned()))
    }

    pub(super) fn personal(&mut self, key: &str) -> Option<Pii<String>> {
        self.text(key).map(Pii::new)
    }

    pub(super) fn parsed<T: FromStr>(&mut self, key: &str) -> Option<T> {
        self.take(key, |value| value.parse().ok())
    }

    pub(super) fn seconds(&mut self, key: &str) -> Option<Duration> {
        self.parsed(key).map(Duration::from_secs)
    }

    pub(super) fn moment(&mut self, key: &str, read: fn(&str) -> Option<Timestamp>) -> Option<Timestamp> {
        self.take(key, read)
    }

    pub(super) fn sid<T: FromStr<Err = SidError>>(&mut self, key: &'static str) -> Result<T, FormError> {
        let text = self.text(key).ok_or(FormError::Missing(key))?;
        text.parse().map_err(|error| FormError::BadSid(key, error))
    }

    /// Everything that was not taken, in order.
    pub(super) fn rest(self) -> Form {
        let left = self.form.0.iter().zip(&self.taken).filter(|(_, taken)| !**taken);
        left.map(|(pair, _)| pair.clone()).collect()
    }
}
