//! `GET /v1/calls` and `/v1/calls/{id}`: the call log.
//!
//! One index leads a list (words, else number, else outcome, else time); the other filters are applied to what it yields.
//! A page may be short and still have a cursor: a request looks at 1,000 entries at most.

use axum::Json;
use axum::extract::Path;
use call::CallId;
use http::StatusCode;
use serde::Serialize;
use store::{CallRecord, Erasure};

use crate::door::{Admin, Api, Query, Viewer};
use crate::filters::ListCalls;
use crate::outcome::Judged;
use crate::problem::Problem;

/// Calls under way that are shown at once: more than a person can look at.
const LIVE_MAX: usize = 100;

/// A page, as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    calls: Vec<CallRecord>,
    next_cursor: Option<String>,
    /// Those under way, where they were asked for; they may be among `calls` as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Vec<CallRecord>>,
}

pub(crate) async fn list(api: Api<Viewer>, Query(query): Query<ListCalls>) -> Result<Json<Page>, Problem> {
    let filters = query.understood(&api.time_zone)?;
    let scope = filters.scope();
    let live = match filters.live && query.cursor.is_none() {
        true => Some(api.store.calls_under_way(LIVE_MAX, |call| filters.let_live_pass(call)).await?),
        false => None,
    };
    let query = filters.query(query.cursor.as_deref(), &scope);
    let page = api.store.list_calls(&query, |call| filters.let_pass(call)).await?;
    Ok(Json(Page { calls: page.calls, next_cursor: page.next_cursor, live }))
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
