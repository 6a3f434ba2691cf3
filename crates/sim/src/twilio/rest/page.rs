//! Lists in pages (Twilio: usage/twilios-response).

use wire::twilio::form::Form;

/// Twilio's default and limit.
const SIZE: usize = 50;
const SIZE_MAX: usize = 1000;

/// Which part of a list was asked for.
pub(super) struct Page {
    pub(super) number: usize,
    pub(super) size: usize,
    base: String,
    filters: Form,
}

impl Page {
    /// Reads `Page` and `PageSize`; everything else in the query is kept for the next page.
    pub(super) fn from_query(base: String, query: &Form) -> Self {
        let number = |name: &str| query.get(name).and_then(|value| value.parse::<usize>().ok());
        let paging = ["Page", "PageSize", "PageToken"];
        let kept = query.pairs().filter(|(name, _)| !paging.contains(name));
        Self {
            number: number("Page").unwrap_or(0),
            size: number("PageSize").unwrap_or(SIZE).clamp(1, SIZE_MAX),
            filters: kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            base,
        }
    }

    /// The part, and whether there is more behind it.
    pub(super) fn cut<T>(&self, items: Vec<T>) -> (Vec<T>, bool) {
        let start = self.number.saturating_mul(self.size);
        let more = items.len() > start.saturating_add(self.size);
        (items.into_iter().skip(start).take(self.size).collect(), more)
    }

    /// Position of the first item of the part.
    pub(super) fn start(&self) -> usize {
        self.number.saturating_mul(self.size)
    }

    /// Where a page is, relative to the interface's base.
    pub(super) fn uri(&self, number: usize) -> String {
        let mut query = self.filters.clone();
        query.push("PageSize", self.size.to_string());
        query.push("Page", number.to_string());
        if number > 0 {
            query.push("PageToken", format!("PT{number}"));
        }
        format!("{}?{}", self.base, query.encode())
    }
}
