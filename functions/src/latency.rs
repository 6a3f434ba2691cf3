//! `GET /v1/calls/{id}/latency`, `/v1/latency` and `/v1/latency/bottlenecks`: how long callers wait, for whom, and what to
//! do about it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use call::CallId;
use call::latency::{Latency, Part};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use store::{Waited, Waits};

use crate::analytics::Range;
use crate::calls::call_id;
use crate::connect::journal;
use crate::door::{Api, Query, Viewer};
use crate::problem::Problem;

/// A wait that people still take for a natural pause.
const TARGET_MS_DEFAULT: u64 = 1_500;

/// The latencies of one call.
#[derive(Debug, Serialize)]
pub(crate) struct OfCall {
    call: CallId,
    #[serde(flatten)]
    latency: Latency,
}

pub(crate) async fn of_call(api: Api<Viewer>, Path(id): Path<String>) -> Result<Json<OfCall>, Problem> {
    let call = api.store.call(call_id(&id)?).await?.id;
    let latency = Latency::read(&journal(&api.store, call).await?);
    Ok(Json(OfCall { call, latency }))
}

/// Which days, and whose calls.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    from: Option<String>,
    to: Option<String>,
    engine: Option<String>,
}

/// The percentiles of a wait, in milliseconds, within a tenth.
#[derive(Debug, Serialize)]
pub(crate) struct Percentiles {
    count: u64,
    p50_ms: Option<u64>,
    p95_ms: Option<u64>,
    p99_ms: Option<u64>,
}

impl Percentiles {
    fn of(waits: &Waits, waited: Waited) -> Self {
        let at = |share| waits.per_mille(waited, share);
        Self { count: waits.count(waited), p50_ms: at(500), p95_ms: at(950), p99_ms: at(990) }
    }
}

type Figures = BTreeMap<&'static str, Percentiles>;

fn figures(waits: &Waits) -> Figures {
    Waited::ALL.into_iter().map(|waited| (waited.as_str(), Percentiles::of(waits, waited))).collect()
}

/// What the API shows of some days.
#[derive(Debug, Serialize)]
pub(crate) struct OfDays {
    from: Date,
    to: Date,
    total: Figures,
    by_day: Vec<OfDay>,
}

/// What it shows of a day.
#[derive(Debug, Serialize)]
pub(crate) struct OfDay {
    day: Date,
    figures: Figures,
}

pub(crate) async fn of_days(api: Api<Viewer>, Query(asked): Query<Asked>) -> Result<Json<OfDays>, Problem> {
    let range = Range::of(asked.from.as_deref(), asked.to.as_deref(), &api)?;
    let engine = asked.engine.as_deref().map(engine).transpose()?;
    let mut total = Waits::default();
    let mut by_day = Vec::new();
    for day in api.store.latency(range.first, range.last).await? {
        if day.engine.as_deref() == engine {
            total.add(&day.waits);
            by_day.push(OfDay { day: day.day, figures: figures(&day.waits) });
        }
    }
    Ok(Json(OfDays { from: range.first, to: range.last, total: figures(&total), by_day }))
}

fn engine(text: &str) -> Result<&'static str, Problem> {
    let known = call::agent::EngineKind::ALL.map(call::agent::EngineKind::as_str);
    let found = known.into_iter().find(|name| *name == text);
    found.ok_or_else(|| Problem::invalid("engine", format!("it must be one of {}", known.join(", "))))
}

/// Which days, and how long is too long.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    from: Option<String>,
    to: Option<String>,
    target_ms: Option<String>,
}

/// Who is to blame for waits, engine by engine.
#[derive(Debug, Serialize)]
pub(crate) struct Bottlenecks {
    from: Date,
    to: Date,
    target_ms: u64,
    bottlenecks: Vec<Bottleneck>,
}

/// An engine whose callers wait longer than they should: one in twenty does, or more.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Bottleneck {
    engine: String,
    waits: u64,
    above_target: u64,
    p95_ms: u64,
    /// Who is to blame.
    part: &'static str,
    part_p95_ms: u64,
    /// What a part may take without being blamed.
    part_allowed_ms: u64,
    /// The one setting to change.
    setting: &'static str,
    advice: &'static str,
}

pub(crate) async fn bottlenecks(api: Api<Viewer>, Query(asked): Query<Target>) -> Result<Json<Bottlenecks>, Problem> {
    let range = Range::of(asked.from.as_deref(), asked.to.as_deref(), &api)?;
    let target_ms = asked.target_ms.as_deref().map_or(Ok(TARGET_MS_DEFAULT), target)?;
    let mut engines: BTreeMap<String, Waits> = BTreeMap::new();
    for day in api.store.latency(range.first, range.last).await? {
        if let Some(engine) = day.engine {
            engines.entry(engine).or_default().add(&day.waits);
        }
    }
    let slow = engines.into_iter().filter_map(|(engine, waits)| bottleneck(engine, &waits, target_ms));
    let bottlenecks = slow.collect();
    Ok(Json(Bottlenecks { from: range.first, to: range.last, target_ms, bottlenecks }))
}

fn target(text: &str) -> Result<u64, Problem> {
    let target = text.parse().ok().filter(|target| (100..=60_000).contains(target));
    target.ok_or_else(|| Problem::invalid("target_ms", "it must be a whole number of milliseconds from 100 to 60000"))
}

/// The part that takes most beyond what it may; the engine may take what the others leave of the target.
fn bottleneck(engine: String, waits: &Waits, target_ms: u64) -> Option<Bottleneck> {
    let p95_ms = waits.per_mille(Waited::Total, 950).filter(|p95_ms| *p95_ms > target_ms)?;
    let beyond = |part: Part| {
        let takes = waits.per_mille(Waited::For(part), 950).unwrap_or(0);
        (takes.saturating_sub(allowed_ms(part, target_ms)), takes, part)
    };
    // Of two that take the same beyond, the engine is likelier: it is named last.
    let order = [Part::PhoneUp, Part::PhoneDown, Part::Node, Part::Engine];
    let (_, part_p95_ms, part) = order.map(beyond).into_iter().max_by_key(|(beyond, ..)| *beyond)?;
    let (setting, advice) = advice(part, &engine);
    Some(Bottleneck {
        engine,
        waits: waits.count(Waited::Total),
        above_target: waits.above(Waited::Total, target_ms),
        p95_ms,
        part: part.as_str(),
        part_p95_ms,
        part_allowed_ms: allowed_ms(part, target_ms),
        setting,
        advice,
    })
}

/// What a part may take: the phone network's usual share, and next to nothing for ourselves.
const fn allowed_ms(part: Part, target_ms: u64) -> u64 {
    match part {
        Part::PhoneUp | Part::PhoneDown => 150,
        Part::Node => 50,
        Part::Engine => target_ms.saturating_sub(350),
    }
}

fn advice(part: Part, engine: &str) -> (&'static str, &'static str) {
    match part {
        Part::PhoneUp | Part::PhoneDown => (
            "MEDIA_STREAM_URL",
            "the way between Twilio and the media node is long: run the node in the region of the number's Twilio edge, and let this lead there",
        ),
        Part::Node => (
            "CAPACITY",
            "sound waits at the media node before it is played: let each node take fewer calls at once, so that none has to queue",
        ),
        Part::Engine => match engine {
            "hume" => (
                "HUME_CONFIG_ID",
                "the engine answers late: choose a configuration with a faster language model, or shorter instructions",
            ),
            "openai" => (
                "turn_taking.end_of_turn_silence_ms",
                "the engine answers late: let it wait for less silence before it takes a turn for ended",
            ),
            _ => ("engines", "the engine answers late: put a faster one first in the agent's list"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_taken_adds_up_to_the_target() {
        assert_eq!(Part::ALL.map(|part| allowed_ms(part, 1_500)).into_iter().sum::<u64>(), 1_500);
    }

    #[test]
    fn every_part_has_one_setting() {
        for part in Part::ALL {
            for engine in ["hume", "openai", "cascade", "none"] {
                let (setting, advice) = advice(part, engine);
                assert!(!setting.is_empty() && !advice.is_empty());
            }
        }
        assert_eq!(bottleneck("hume".to_owned(), &Waits::default(), 100), None);
    }
}
