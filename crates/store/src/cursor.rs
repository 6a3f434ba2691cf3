//! Where a page of a list ended, as a text that means nothing to whoever holds it.
//!
//! A cursor carries a check sum over the list's filters: taken to another list, or changed, it is refused instead of
//! silently skipping calls. It guards no secret: whoever forges one only begins to read somewhere else.

use call::CallId;
use sha2::{Digest, Sha256};

use crate::clock::Moment;
use crate::error::StoreError;

/// The last call that was examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) at: Moment,
    pub(crate) id: CallId,
}

impl Cursor {
    /// As a text, for a list with these filters.
    pub(crate) fn encode(self, filters: &str) -> String {
        format!("{}.{}", self.id.to_string().trim_start_matches("call_"), self.check(filters))
    }

    /// From a text, if it was given out for these filters.
    pub(crate) fn decode(text: &str, filters: &str) -> Result<Self, StoreError> {
        let (id, check) = text.split_once('.').ok_or(StoreError::BadCursor)?;
        let id: CallId = format!("call_{id}").parse().map_err(|_| StoreError::BadCursor)?;
        let cursor = Self { at: Moment::from_ms(id.opened_at_ms()), id };
        if cursor.check(filters) == check { Ok(cursor) } else { Err(StoreError::BadCursor) }
    }

    fn check(self, filters: &str) -> String {
        let sum = Sha256::digest(format!("{}\n{filters}", self.id));
        sum.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let id = CallId::new(1_700_000_000_000, 9);
        let cursor = Cursor { at: Moment::from_ms(1_700_000_000_000), id };
        let text = cursor.encode("status=failed");
        assert_eq!(Cursor::decode(&text, "status=failed"), Ok(cursor));
        assert_eq!(Cursor::decode(&text, ""), Err(StoreError::BadCursor));
        for other in ["", ".", "x", "01ARZ3NDEKTSV4RRFFQ69G5FAV.0000000000000000", &text[1..]] {
            assert_eq!(Cursor::decode(other, "status=failed"), Err(StoreError::BadCursor), "{other}");
        }
    }
}
