//! `GET /v1/calls` and `/v1/calls/{id}`: the call log.
//!
//! A list is led by the index of time; filters are applied to what it yields. A page may be short and still have a
//! cursor: a request looks at 1,000 calls at most.

use axum::Json;
use axum::extract::Path;
use call::CallId;
use call::agent::EngineKind;
use http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{CallRecord, Direction, Erasure, ListQuery, Moment, Outcome, Status};

use crate::door::{Admin, Api, Query, Viewer};
use crate::outcome::Judged;
use crate::problem::{FieldError, Problem};
use crate::status::moment;

/// Calls on a page, unless asked otherwise.
const LIMIT_DEFAULT: usize = 50;

/// Calls on a page at most.
const LIMIT_MAX: usize = 200;

/// The longest text of a filter.
const FILTER_CHARS_MAX: usize = 100;

/// The filters as they came.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListCalls {
    from: Option<String>,
    to: Option<String>,
    phone: Option<String>,
    direction: Option<String>,
    status: Option<String>,
    outcome: Option<String>,
    agent: Option<String>,
    engine: Option<String>,
    min_duration: Option<String>,
    max_duration: Option<String>,
    q: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// A page, as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    calls: Vec<CallRecord>,
    next_cursor: Option<String>,
}

/// The filters, understood.
#[derive(Debug, Default)]
struct Filters {
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
    limit: usize,
}

impl ListCalls {
    fn understood(&self, time_zone: &TimeZone) -> Result<Filters, Problem> {
        let mut errors = Vec::new();
        if self.q.is_some() {
            let detail = "searching for words is not available yet; leave it out";
            errors.push(FieldError { name: "q".to_owned(), detail: detail.to_owned() });
        }
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
            limit: read(&mut errors, "limit", self.limit.as_deref(), limit).unwrap_or(LIMIT_DEFAULT),
        };
        if filters.from.zip(filters.until).is_some_and(|(from, until)| from >= until) {
            errors.push(FieldError { name: "to".to_owned(), detail: "it is before `from`".to_owned() });
        }
        if errors.is_empty() { Ok(filters) } else { Err(Problem::all_invalid(errors)) }
    }
}

impl Filters {
    fn let_pass(&self, call: &CallRecord) -> bool {
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

    /// All but the times, in one spelling: a cursor is good for these filters only.
    fn scope(&self) -> String {
        let Self { phone, direction, status, outcome, agent, engine, duration_min, duration_max, .. } = self;
        format!("{phone:?} {direction:?} {status:?} {outcome:?} {agent:?} {engine:?} {duration_min:?} {duration_max:?}")
    }
}

fn read<T>(
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
fn day(text: &str, time_zone: &TimeZone, after: bool) -> Result<Moment, String> {
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

fn seconds(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "it must be a whole number of seconds".to_owned())
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("it must be a whole number from 1 to {LIMIT_MAX}"))
}

pub(crate) async fn list(api: Api<Viewer>, Query(query): Query<ListCalls>) -> Result<Json<Page>, Problem> {
    let filters = query.understood(&api.time_zone)?;
    let scope = filters.scope();
    let query = ListQuery {
        from: filters.from,
        until: filters.until,
        cursor: query.cursor.as_deref(),
        limit: filters.limit,
        scope: &scope,
    };
    let page = api.store.list_calls(&query, |call| filters.let_pass(call)).await?;
    Ok(Json(Page { calls: page.calls, next_cursor: page.next_cursor }))
}

pub(crate) async fn show(api: Api<Viewer>, Path(id): Path<String>) -> Result<Json<Judged>, Problem> {
    let call = api.store.call(call_id(&id)?).await?;
    let analysis = api.store.analysis(call.id).await?;
    Ok(Json(Judged::new(call, analysis)))
}

/// Erases a call that is over: from now on it is gone for everybody, and the worker removes its parts.
pub(crate) async fn erase(api: Api<Admin>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let id = call_id(&id)?;
    match api.store.erase_call(id, &api.person.name).await? {
        Erasure::Begun => {
            tracing::info!(call.id = %id, user = api.person.name, "a call is erased");
            api.bell.ring();
            Ok(StatusCode::ACCEPTED)
        }
        Erasure::Repeated => Err(Problem::gone(format!("{id} was erased"))),
        Erasure::UnderWay => Err(Problem::conflict("the call is still under way; hang up first")),
    }
}

/// The id of a path. What is no id belongs to no call.
pub(crate) fn call_id(text: &str) -> Result<CallId, Problem> {
    text.parse().map_err(|_| Problem::not_found("a call with this id"))
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
            q: Some("appointment".into()),
            limit: Some("1000".into()),
            ..ListCalls::default()
        };
        let problem = query.understood(&TimeZone::UTC).unwrap_err();
        assert_eq!(problem.status(), 400);
        insta::assert_snapshot!(problem.detail().replace("; ", "\n"), @r"
        q: searching for words is not available yet
        leave it out
        from: it must be a day, such as 2026-01-31
        direction: it must be one of inbound, outbound
        status: it must be one of queued, ringing, in_progress, completed, busy, no_answer, failed, canceled
        engine: it must be one of hume, openai, cascade
        max_duration: it must be a whole number of seconds
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
}
