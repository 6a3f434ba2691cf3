//! `calls list` and `calls show`.

use std::time::Duration;

use serde_json::json;
use store::CallRecord;

use crate::api::{Api, CallPage, failure};
use crate::cli::{CallFilters, List, Show};
use crate::conversation::{self, field, word};
use crate::environment::Environment;
use crate::plan::Plan;
use crate::problem::Failure;
use crate::terminal::{Screen, short_number, spoken};

use super::call::recording_file;
use super::running::Running;

pub(super) async fn list(list: &List, environment: Environment, screen: &mut Screen) -> Result<(), Failure> {
    let running = Running::to_read(environment).await?;
    let page = running.api.get::<CallPage>(&format!("/v1/calls{}", query(list))).await;
    running.finish().await;
    let page = page.map_err(failure)?;
    if list.output.json {
        return json_line(screen, &page);
    }
    if page.calls.is_empty() {
        screen.line("There are no calls. Place one: cargo run -- call +12025550123");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = page.calls.iter().map(row).collect();
    screen.table(&["when", "id", "direction", "with", "agent", "engine", "status", "lasted"], &rows);
    if let Some(cursor) = page.next_cursor {
        screen.line(&format!("\nThere are more: --cursor {cursor}"));
    }
    Ok(())
}

fn row(call: &CallRecord) -> Vec<String> {
    let text = call.created_at.to_string();
    let local = text.parse::<jiff::Timestamp>().map(|at| at.to_zoned(jiff::tz::TimeZone::system()));
    let when = local.map_or(text, |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
    vec![
        when,
        call.id.to_string(),
        word(&call.direction),
        short_number(&call.phone),
        call.agent.clone(),
        call.engine.map(|engine| engine.as_str().to_owned()).unwrap_or_else(|| "–".to_owned()),
        word(&call.status),
        call.duration_s.map_or_else(|| "–".to_owned(), |s| spoken(Duration::from_secs(u64::from(s)))),
    ]
}

fn query(list: &List) -> String {
    let mut query = Filters::of(&list.filters);
    query.add("limit", Some(&list.limit.to_string()));
    query.add("cursor", list.cursor.as_deref());
    query.finish()
}

/// The filters that the API has, under its names.
pub(super) struct Filters(reqwest::Url);

impl Filters {
    pub(super) fn of(filters: &CallFilters) -> Self {
        let mut query = Self(reqwest::Url::parse("http://localhost").expect("invariant: a constant that is a URL"));
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        query.add("from", filters.from.as_deref());
        query.add("to", filters.to.as_deref());
        query.add("phone", filters.phone.as_deref());
        query.add("direction", filters.direction.as_deref());
        query.add("status", filters.status.as_deref());
        query.add("outcome", filters.outcome.as_deref());
        query.add("agent", filters.agent.as_deref());
        query.add("engine", filters.engine.as_deref());
        query.add("min_duration", number(filters.min_duration).as_deref());
        query.add("max_duration", number(filters.max_duration).as_deref());
        query.add("q", filters.q.as_deref());
        query
    }

    pub(super) fn add(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.0.query_pairs_mut().append_pair(name, value);
        }
    }

    /// With the question mark.
    pub(super) fn finish(self) -> String {
        self.0.query().map(|query| format!("?{query}")).unwrap_or_default()
    }
}

pub(super) async fn show(show: &Show, environment: Environment, screen: &mut Screen) -> Result<(), Failure> {
    let data_dir = Plan::data_dir_of(&environment);
    let running = Running::to_read(environment).await?;
    let read = read(&running.api, show.id.as_deref()).await;
    running.finish().await;
    let (call, turns, journal) = read?;
    if show.output.json {
        return json_line(screen, &json!({ "call": call, "turns": turns, "journal": journal }));
    }
    conversation::show(screen, &call, &turns, &journal);
    if let Some(file) = recording_file(&data_dir, &call.id.to_string()) {
        field(screen, "Recording", &file.display().to_string());
        screen.line("");
    }
    Ok(())
}

type Whole = (CallRecord, Vec<call::journal::Turn>, Vec<call::journal::Entry>);

async fn read(api: &Api, id: Option<&str>) -> Result<Whole, Failure> {
    let call = match id {
        Some(id) if id.starts_with("call_") => api.call(id).await.map_err(failure)?,
        end => latest(api, end.unwrap_or_default()).await?,
    };
    let id = call.id.to_string();
    let turns = api.turns(&id).await.map_err(failure)?;
    let journal = api.whole_journal(&id).await.map_err(failure)?;
    Ok((call, turns, journal))
}

/// The latest call whose id ends so.
async fn latest(api: &Api, end: &str) -> Result<CallRecord, Failure> {
    let page: CallPage = api.get("/v1/calls?limit=200").await.map_err(failure)?;
    let end = end.to_ascii_uppercase();
    page.calls.into_iter().find(|call| call.id.to_string().to_ascii_uppercase().ends_with(&end)).ok_or_else(|| {
        Failure::one("That call", "is not among the latest 200", "give its whole id, as `calls list` shows it")
    })
}

/// Something as one line of JSON.
pub(super) fn json_line(screen: &mut Screen, value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| anyhow::anyhow!("failed to write JSON: {error}"))?;
    screen.line(&text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_sent_under_the_apis_names_and_escaped() {
        let filters = CallFilters {
            phone: Some("+12025550123".into()),
            min_duration: Some(5),
            q: Some("two words".into()),
            ..CallFilters::default()
        };
        let list = List { filters, limit: 20, ..List::default() };
        assert_eq!(query(&list), "?phone=%2B12025550123&min_duration=5&q=two+words&limit=20");
    }
}
