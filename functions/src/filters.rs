//! The filters of the call log, as they come and as they are meant. Lists and exports share them.

use std::collections::BTreeSet;

use call::agent::EngineKind;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::{CallRecord, Direction, Lead, ListQuery, Moment, Outcome, Status, search_words};

use crate::problem::{FieldError, Problem};
use crate::status::moment;

/// Calls on a page, unless asked otherwise.
const LIMIT_DEFAULT: usize = 50;

/// Calls on a page at most.
const LIMIT_MAX: usize = 200;

/// The longest text of a filter.
const FILTER_CHARS_MAX: usize = 100;

/// So many words are looked for at once: each is walked beside the others.
const WORDS_MAX: usize = 8;

/// The filters as they came.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListCalls {
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) direction: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) engine: Option<String>,
    pub(crate) min_duration: Option<String>,
    pub(crate) max_duration: Option<String>,
    pub(crate) q: Option<String>,
    /// Whether the first page also has the calls under way, however old.
    pub(crate) live: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) cursor: Option<String>,
}

/// The filters, understood.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    from: Option<Moment>,
    until: Option<Moment>,
    phone: Option<String>,
    direction: Option<Direction>,
    status: Option<Status>,
    outcome: Option<Outcome>,
    agent: Option<String>,
    engine: Option<EngineKind>,
    duration_min: Option<u32>,
    duration_max: Option<u32>,
    words: Option<BTreeSet<String>>,
    pub(crate) live: bool,
    pub(crate) limit: usize,
}

impl ListCalls {
    /// What the filters mean, or everything that is wrong with them.
    pub(crate) fn understood(&self, time_zone: &TimeZone) -> Result<Filters, Problem> {
        let mut errors = Vec::new();
        let filters = Filters {
            from: read(&mut errors, "from", self.from.as_deref(), |text| day(text, time_zone, false)),
            until: read(&mut errors, "to", self.to.as_deref(), |text| day(text, time_zone, true)),
            phone: read(&mut errors, "phone", self.phone.as_deref(), short),
            direction: read(&mut errors, "direction", self.direction.as_deref(), |text| {
                word(text, "inbound, outbound")
            }),
            status: read(&mut errors, "status", self.status.as_deref(), |text| {
                word(text, "queued, ringing, in_progress, completed, busy, no_answer, failed, canceled")
            }),
            outcome: read(&mut errors, "outcome", self.outcome.as_deref(), |text| word(text, "yes, no, unclear")),
            agent: read(&mut errors, "agent", self.agent.as_deref(), short),
            engine: read(&mut errors, "engine", self.engine.as_deref(), |text| {
                word(text, &EngineKind::ALL.map(EngineKind::as_str).join(", "))
            }),
            duration_min: read(&mut errors, "min_duration", self.min_duration.as_deref(), seconds),
            duration_max: read(&mut errors, "max_duration", self.max_duration.as_deref(), seconds),
            words: read(&mut errors, "q", self.q.as_deref(), words),
            live: read(&mut errors, "live", self.live.as_deref(), yes).unwrap_or(false),
            limit: read(&mut errors, "limit", self.limit.as_deref(), limit).unwrap_or(LIMIT_DEFAULT),
        };
        if filters.from.zip(filters.until).is_some_and(|(from, until)| from >= until) {
            errors.push(FieldError { name: "to".to_owned(), detail: "it is before `from`".to_owned() });
        }
        if filters.duration_min.zip(filters.duration_max).is_some_and(|(min, max)| min > max) {
            let detail = "it is less than `min_duration`".to_owned();
            errors.push(FieldError { name: "max_duration".to_owned(), detail });
        }
        if errors.is_empty() { Ok(filters) } else { Err(Problem::all_invalid(errors)) }
    }
}

impl Filters {
    /// Whether a call passes. Where the leading index has looked already, looking again is harmless: an index may lag.
    pub(crate) fn let_pass(&self, call: &CallRecord) -> bool {
        let is = |asked: &Option<String>, is: &str| asked.as_deref().is_none_or(|asked| asked == is);
        is(&self.phone, &call.phone)
            && is(&self.agent, &call.agent)
            && self.direction.is_none_or(|direction| direction == call.direction)
            && self.status.is_none_or(|status| status == call.status)
            && self.outcome.is_none_or(|outcome| call.outcome == Some(outcome))
            && self.engine.is_none_or(|engine| call.engine == Some(engine))
            && self.duration_min.is_none_or(|min| call.duration_s.is_some_and(|duration| duration >= min))
            && self.duration_max.is_none_or(|max| call.duration_s.is_some_and(|duration| duration <= max))
    }

    /// Whether a call under way passes: nothing that was said in it can be looked up before it is over.
    pub(crate) fn let_live_pass(&self, call: &CallRecord) -> bool {
        let opened = call.created_at;
        let in_time = self.from.is_none_or(|from| opened >= from) && self.until.is_none_or(|until| opened < until);
        !call.status.is_final() && in_time && self.words.is_none() && self.let_pass(call)
    }

    /// The page of these filters that begins at a cursor.
    pub(crate) fn query<'q>(&self, cursor: Option<&'q str>, scope: &'q str) -> ListQuery<'q> {
        ListQuery { from: self.from, until: self.until, lead: self.lead(), cursor, limit: self.limit, scope }
    }

    /// What is looked up: what is likely to be rarest.
    fn lead(&self) -> Lead {
        match (&self.words, &self.phone, self.outcome) {
            (Some(words), _, _) => Lead::Words(words.clone()),
            (None, Some(phone), _) => Lead::Phone(phone.clone()),
            (None, None, Some(outcome)) => Lead::Outcome(outcome),
            (None, None, None) => Lead::Time,
        }
    }

    /// All but the times, in one spelling: a cursor is good for these filters only.
    pub(crate) fn scope(&self) -> String {
        let Self { phone, direction, status, outcome, agent, engine, duration_min, duration_max, .. } = self;
        format!("{phone:?} {direction:?} {status:?} {outcome:?} {agent:?} {engine:?} {duration_min:?} {duration_max:?}")
    }
}

pub(crate) fn read<T>(
    errors: &mut Vec<FieldError>,
    name: &str,
    text: Option<&str>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    match read(text?) {
        Ok(value) => Some(value),
        Err(detail) => {
            errors.push(FieldError { name: name.to_owned(), detail });
            None
        }
    }
}

/// The first moment of a day, or of the day after it.
pub(crate) fn day(text: &str, time_zone: &TimeZone, after: bool) -> Result<Moment, String> {
    let wrong = || "it must be a day, such as 2026-01-31".to_owned();
    // A date in jiff's eyes may have a time behind it; a day has not.
    let date: Date = Some(text).filter(|text| text.len() == 10).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    let date = if after { date.tomorrow().map_err(|_| wrong())? } else { date };
    let start = date.to_zoned(time_zone.clone()).map_err(|_| wrong())?;
    Ok(moment(start.timestamp()))
}

fn word<T: DeserializeOwned>(text: &str, allowed: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|_| format!("it must be one of {allowed}"))
}

fn short(text: &str) -> Result<String, String> {
    let is_short = !text.is_empty() && text.chars().count() <= FILTER_CHARS_MAX;
    // A plus sign that was not encoded arrives as a space.
    let text = text.strip_prefix(' ').map_or_else(|| text.to_owned(), |rest| format!("+{rest}"));
    if is_short { Ok(text) } else { Err(format!("it must have 1 to {FILTER_CHARS_MAX} characters")) }
}

fn words(text: &str) -> Result<BTreeSet<String>, String> {
    let words = search_words(text);
    if words.is_empty() || words.len() > WORDS_MAX || text.chars().count() > FILTER_CHARS_MAX {
        return Err(format!(
            "it must have 1 to {WORDS_MAX} words, of two letters or more, and at most {FILTER_CHARS_MAX} characters"
        ));
    }
    Ok(words)
}

fn seconds(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "it must be a whole number of seconds".to_owned())
}

fn yes(text: &str) -> Result<bool, String> {
    if text == "1" { Ok(true) } else { Err("it must be 1, or left out".to_owned()) }
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("it must be a whole number from 1 to {LIMIT_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_filter_is_named_with_what_is_allowed() {
        let query = ListCalls {
            from: Some("yesterday".into()),
            direction: Some("sideways".into()),
            status: Some("over".into()),
            engine: Some("siri".into()),
            max_duration: Some("-1".into()),
            q: Some("a !".into()),
            limit: Some("1000".into()),
            ..ListCalls::default()
        };
        let problem = query.understood(&TimeZone::UTC).unwrap_err();
        assert_eq!(problem.status(), 400);
        insta::assert_snapshot!(problem.detail().replace("; ", "\n"), @r"
        from: it must be a day, such as 2026-01-31
        direction: it must be one of inbound, outbound
        status: it must be one of queued, ringing, in_progress, completed, busy, no_answer, failed, canceled
        engine: it must be one of hume, openai, cascade
        max_duration: it must be a whole number of seconds
        q: it must have 1 to 8 words, of two letters or more, and at most 100 characters
        limit: it must be a whole number from 1 to 200
        ");
    }

    #[test]
    fn days_are_inclusive_and_of_the_configured_time_zone() {
        let query =
            ListCalls { from: Some("2026-03-29".into()), to: Some("2026-03-29".into()), ..ListCalls::default() };
        let filters = query.understood(&TimeZone::get("Europe/Berlin").unwrap()).unwrap();
        // The clocks go forward on that day: it has 23 hours.
        assert_eq!(filters.from.unwrap().to_string(), "2026-03-28T23:00:00.000Z");
        assert_eq!(filters.until.unwrap().to_string(), "2026-03-29T22:00:00.000Z");
        let backwards =
            ListCalls { from: Some("2026-03-30".into()), to: Some("2026-03-29".into()), ..ListCalls::default() };
        assert!(backwards.understood(&TimeZone::UTC).is_err());
    }

    #[test]
    fn the_rarest_leads() {
        let query = |q: Option<&str>, phone: Option<&str>| ListCalls {
            q: q.map(str::to_owned),
            phone: phone.map(str::to_owned),
            outcome: Some("yes".into()),
            ..ListCalls::default()
        };
        let lead = |query: ListCalls| query.understood(&TimeZone::UTC).unwrap().lead();
        assert_eq!(lead(query(Some("Tables, TABLE"), Some("+1"))), Lead::Words(["table".to_owned()].into()));
        assert_eq!(lead(query(None, Some(" 12025550123"))), Lead::Phone("+12025550123".into()));
        assert_eq!(lead(query(None, None)), Lead::Outcome(Outcome::Yes));
        assert_eq!(lead(ListCalls::default()), Lead::Time);
    }

    #[test]
    fn lengths_the_wrong_way_round_are_refused() {
        let query =
            ListCalls { min_duration: Some("9".into()), max_duration: Some("8".into()), ..ListCalls::default() };
        assert_eq!(
            query.understood(&TimeZone::UTC).unwrap_err().detail(),
            "max_duration: it is less than `min_duration`"
        );
    }
}
