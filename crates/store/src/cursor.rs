//! Where a page of a list ended, as a text that means nothing to whoever holds it.
//!
//! A cursor carries a check sum over the list's filters: taken to another list, or changed, it is refused instead of
//! silently skipping calls. It guards no secret: whoever forges one only begins to read somewhere else. New calls do not
//! move it: they are newer than every place that a list has passed.

use call::CallId;
use sha2::{Digest, Sha256};

use crate::clock::Moment;
use crate::error::StoreError;
use crate::keys;

/// A place in a list: all calls that are newer have been examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The call at this place, or one that would stand here.
    pub(crate) id: CallId,
    /// Whether it has been examined too.
    pub(crate) included: bool,
}

impl Cursor {
    /// Behind a call.
    pub(crate) const fn behind(id: CallId) -> Self {
        Self { id, included: true }
    }

    /// Before a call: it comes next, if it is there.
    pub(crate) const fn before(id: CallId) -> Self {
        Self { id, included: false }
    }

    /// The last moment that is left.
    pub(crate) const fn at(self) -> Moment {
        Moment::from_ms(self.id.opened_at_ms())
    }

    /// What the sort keys of all calls that are left are not beyond.
    pub(crate) fn up_to(self) -> String {
        let started = keys::started(self.at(), self.id);
        if self.included { keys::just_before(&started) } else { started }
    }

    /// As a text, for a list with these filters.
    pub(crate) fn encode(self, filters: &str) -> String {
        let mark = if self.included { '.' } else { '-' };
        format!("{}{mark}{}", self.id.to_string().trim_start_matches("call_"), self.check(filters))
    }

    /// From a text, if it was given out for these filters.
    pub(crate) fn decode(text: &str, filters: &str) -> Result<Self, StoreError> {
        let split = |mark| text.split_once(mark).map(|(id, check)| (id, check, mark == '.'));
        let (id, check, included) = split('.').or_else(|| split('-')).ok_or(StoreError::BadCursor)?;
        let id: CallId = format!("call_{id}").parse().map_err(|_| StoreError::BadCursor)?;
        let cursor = Self { id, included };
        if cursor.check(filters) == check { Ok(cursor) } else { Err(StoreError::BadCursor) }
    }

    fn check(self, filters: &str) -> String {
        let sum = Sha256::digest(format!("{} {}\n{filters}", self.id, self.included));
        sum.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let id = CallId::new(1_700_000_000_000, 9);
        for cursor in [Cursor::behind(id), Cursor::before(id)] {
            let text = cursor.encode("status=failed");
            assert_eq!(Cursor::decode(&text, "status=failed"), Ok(cursor));
            assert_eq!(Cursor::decode(&text, ""), Err(StoreError::BadCursor));
            assert_eq!(Cursor::decode(&text[1..], "status=failed"), Err(StoreError::BadCursor));
        }
        let text = Cursor::behind(id).encode("status=failed").replace('.', "-");
        assert_eq!(Cursor::decode(&text, "status=failed"), Err(StoreError::BadCursor));
        for other in ["", ".", "-", "x", "01ARZ3NDEKTSV4RRFFQ69G5FAV.0000000000000000"] {
            assert_eq!(Cursor::decode(other, "status=failed"), Err(StoreError::BadCursor), "{other}");
        }
    }
}
