//! `GET /v1/analytics`: figures over many calls, from counters.

use std::collections::BTreeMap;

use axum::Json;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use store::{Counts, Dimension, LENGTH_CLASSES_S};

use crate::door::{Api, Query, Viewer};
use crate::filters::read;
use crate::problem::{FieldError, Problem};
use crate::state::ApiInner;

/// Days that are shown unless asked otherwise.
const DAYS_DEFAULT: i32 = 30;

/// Days that are shown at most: their counters are read month by month.
const DAYS_MAX: i32 = 400;

/// Which days.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Days {
    from: Option<String>,
    to: Option<String>,
}

/// The days from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: Date,
    pub(crate) last: Date,
}

impl Range {
    /// The days that were asked for: up to today, thirty of them, unless said otherwise.
    pub(crate) fn of(from: Option<&str>, to: Option<&str>, api: &ApiInner) -> Result<Self, Problem> {
        Self::until(from, to, api.store.day_of(api.store.now()))
    }

    fn until(from: Option<&str>, to: Option<&str>, today: Date) -> Result<Self, Problem> {
        let mut errors = Vec::new();
        let first = read(&mut errors, "from", from, day);
        let last = read(&mut errors, "to", to, day).unwrap_or(today);
        let wrong = |name: &str, detail: String| FieldError { name: name.to_owned(), detail };
        let default = || last.checked_sub(jiff::Span::new().days(DAYS_DEFAULT - 1)).unwrap_or(last);
        let first = first.unwrap_or_else(default);
        let days = first.until(last).map_or(0, |span| span.get_days()) + 1;
        if errors.is_empty() && first > last {
            errors.push(wrong("to", "it is before `from`".to_owned()));
        } else if days > DAYS_MAX {
            errors.push(wrong("from", format!("at most {DAYS_MAX} days are shown at once; {days} were asked for")));
        }
        if errors.is_empty() { Ok(Self { first, last }) } else { Err(Problem::all_invalid(errors)) }
    }
}

fn day(text: &str) -> Result<Date, String> {
    let date = Some(text).filter(|text| text.len() == 10).and_then(|text| text.parse::<Date>().ok());
    // The calendar ends, and so does counting days back from its beginning.
    let date = date.filter(|date| (1970..9999).contains(&date.year()));
    date.ok_or_else(|| "it must be a day, such as 2026-01-31".to_owned())
}

/// What the API shows.
#[derive(Debug, Serialize)]
pub(crate) struct Analytics {
    from: Date,
    to: Date,
    time_zone: String,
    totals: Figures,
    by_day: Vec<Row>,
    by_hour: Vec<Row>,
    by_agent: Vec<Row>,
    by_engine: Vec<Row>,
}

/// The figures of some calls, by what they have in common.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    #[serde(flatten)]
    figures: Figures,
}

/// The figures of calls that are over.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    calls: u64,
    inbound: u64,
    outbound: u64,
    answered: u64,
    /// Of all calls; null without any.
    answer_rate: Option<f64>,
    outcomes: BTreeMap<String, u64>,
    /// Bookings among the calls that were judged, those that remained unclear included; null without any.
    booking_rate: Option<f64>,
    /// How long was talked.
    minutes: f64,
    /// Of the answered calls.
    mean_duration_s: Option<f64>,
    durations: Vec<Lasted>,
    ends: BTreeMap<String, u64>,
    ended_by: BTreeMap<String, u64>,
}

/// Answered calls of a length.
#[derive(Debug, Serialize)]
pub(crate) struct Lasted {
    /// They were shorter; null for the longest.
    under_s: Option<u32>,
    calls: u64,
}

impl Figures {
    fn of(counts: &Counts) -> Self {
        let (calls, answered, talked_s) = (counts.of("calls"), counts.of("answered"), counts.of("talked_s"));
        let named = |prefix| counts.beginning(prefix).map(|(name, n)| (name.to_owned(), n)).collect();
        let mut outcomes: BTreeMap<String, u64> = named("outcome_");
        for name in ["yes", "no", "unclear"] {
            outcomes.entry(name.to_owned()).or_default();
        }
        let classes = LENGTH_CLASSES_S.iter().map(|class| (Some(*class), format!("lasted_{class}")));
        let classes = classes.chain([(None, "lasted_more".to_owned())]);
        Self {
            calls,
            inbound: counts.of("inbound"),
            outbound: counts.of("outbound"),
            answered,
            answer_rate: share(answered, calls),
            booking_rate: share(outcomes["yes"], outcomes.values().sum()),
            outcomes,
            minutes: rounded(as_float(talked_s) / 60.0),
            mean_duration_s: (answered > 0).then(|| rounded(as_float(talked_s) / as_float(answered))),
            durations: classes.map(|(under_s, name)| Lasted { under_s, calls: counts.of(&name) }).collect(),
            ends: named("end_"),
            ended_by: named("by_"),
        }
    }
}

/// A part of a whole, to four decimals.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (as_float(part) / as_float(whole) * 10_000.0).round() / 10_000.0)
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Counts stay far below where a float loses ones.
fn as_float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

pub(crate) async fn analytics(api: Api<Viewer>, Query(days): Query<Days>) -> Result<Json<Analytics>, Problem> {
    let Range { first, last } = Range::of(days.from.as_deref(), days.to.as_deref(), &api)?;
    let mut totals = Counts::default();
    let (mut by_day, mut by_hour) = (BTreeMap::<String, Counts>::new(), BTreeMap::<String, Counts>::new());
    let (mut by_agent, mut by_engine) = (BTreeMap::<String, Counts>::new(), BTreeMap::<String, Counts>::new());
    for day in api.store.call_counts(first, last).await? {
        let (rows, name) = match day.dimension {
            Dimension::All => {
                totals.add(&day.counts);
                (&mut by_day, day.day.to_string())
            }
            Dimension::Hour(hour) => (&mut by_hour, format!("{hour:02}")),
            Dimension::Agent(name) => (&mut by_agent, name),
            Dimension::Engine(name) => (&mut by_engine, name),
        };
        rows.entry(name).or_default().add(&day.counts);
    }
    let rows = |rows: BTreeMap<String, Counts>| {
        rows.into_iter().map(|(name, counts)| Row { name, figures: Figures::of(&counts) }).collect()
    };
    Ok(Json(Analytics {
        from: first,
        to: last,
        time_zone: api.time_zone.iana_name().unwrap_or("UTC").to_owned(),
        totals: Figures::of(&totals),
        by_day: rows(by_day),
        by_hour: rows(by_hour),
        by_agent: rows(by_agent),
        by_engine: rows(by_engine),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_up_to_today_unless_said_otherwise() {
        let today = Date::constant(2026, 3, 1);
        let range = |from, to| Range::until(from, to, today);
        assert_eq!(range(None, None).unwrap(), Range { first: Date::constant(2026, 1, 31), last: today });
        let one = Date::constant(2026, 2, 28);
        assert_eq!(range(Some("2026-02-28"), Some("2026-02-28")).unwrap(), Range { first: one, last: one });
        for (from, to, said) in [
            (Some("yesterday"), None, "from: it must be a day, such as 2026-01-31"),
            (Some("2026-03-02"), None, "to: it is before `from`"),
            (Some("2024-03-02"), None, "from: at most 400 days are shown at once; 730 were asked for"),
            (
                Some("0001-01-01"),
                Some("9999-12-31"),
                "from: it must be a day, such as 2026-01-31; to: it must be a day, such as 2026-01-31",
            ),
        ] {
            assert_eq!(range(from, to).unwrap_err().detail(), said);
        }
    }

    #[test]
    fn without_calls_there_are_no_rates() {
        let figures = serde_json::to_value(Figures::of(&Counts::default())).unwrap();
        for name in ["answer_rate", "booking_rate", "mean_duration_s"] {
            assert!(figures[name].is_null(), "{figures}");
        }
    }
}
