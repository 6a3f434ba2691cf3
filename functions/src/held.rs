//! What is held about a person, and who looked at it: access records, and all that belongs to one number.
//!
//! A number is what a call's other party is known by. All that is held about one can be exported and erased; who did so is
//! on record, without the number.

use axum::Json;
use axum::extract::Path;
use call::CallId;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Access, AccessKind, CallRecord};

use crate::calls::call_id;
use crate::door::{Admin, Api, Query};
use crate::guard::has_e164_shape;
use crate::problem::Problem;
use crate::voice::new_call_id;

/// Calls on a page of what is held about a number.
const CALLS_MAX: usize = 10;

/// A page ends with the call that makes it so long: a Lambda's answer has at most 6 MB.
const PAGE_BYTES_MAX: usize = 3 << 20;

/// What a call may take of a page. The journal of a longer one is read at its own address.
const CALL_BYTES_MAX: usize = 2 << 20;

/// The longest name of a party.
const NUMBER_CHARS_MAX: usize = 100;

#[derive(Debug, Serialize)]
pub(crate) struct AccessShown {
    access: Vec<Access>,
}

/// Who read, exported, corrected or erased a call. Also of a call that is gone.
pub(crate) async fn access(api: Api<Admin>, Path(id): Path<String>) -> Result<Json<AccessShown>, Problem> {
    let id = call_id(&id)?;
    let access = api.store.accesses(id).await?;
    if access.is_empty() {
        match api.store.call(id).await {
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(AccessShown { access }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Month {
    month: Option<String>,
}

/// Who exported many calls or erased a number, in a month.
pub(crate) async fn sweeps(api: Api<Admin>, Query(query): Query<Month>) -> Result<Json<AccessShown>, Problem> {
    let month = query.month.unwrap_or_else(|| api.store.now().to_string()[..7].to_owned());
    let is_month = month.len() == 7 && format!("{month}-01").parse::<jiff::civil::Date>().is_ok();
    if !is_month {
        return Err(Problem::invalid("month", "it must be a month, such as 2026-01"));
    }
    Ok(Json(AccessShown { access: api.store.sweeps(&month).await? }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct HeldPage {
    number: String,
    calls: Vec<Held>,
    next_cursor: Option<String>,
}

/// All that is held about one call.
#[derive(Debug, Serialize)]
struct Held {
    call: CallRecord,
    /// Every item of the table, by its name, as it is stored.
    items: Map<String, Value>,
    /// Where the journal is read, when it is too long to be among the items.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<String>,
    /// Where the recording is heard.
    recording: Option<String>,
    access: Vec<Access>,
}

/// Exports all that is held about a number, page by page.
pub(crate) async fn export(
    api: Api<Admin>,
    Path(number): Path<String>,
    Query(query): Query<Paging>,
) -> Result<Json<HeldPage>, Problem> {
    let number = party(&number)?;
    let mut page = HeldPage { number: number.clone(), calls: Vec::new(), next_cursor: query.cursor };
    let mut bytes = 0;
    while page.calls.len() < CALLS_MAX && bytes < PAGE_BYTES_MAX {
        let next = api.store.calls_with(&number, page.next_cursor.as_deref(), 1).await?;
        page.next_cursor = next.next_cursor;
        for call in next.calls {
            // One that is erased between the two readings is not held any more.
            if api.store.call(call.id).await.is_err_and(|error| error.is_gone()) {
                continue;
            }
            api.store.note_access(call.id, &api.person.name, AccessKind::Exported).await?;
            let held = api.held(call).await?;
            bytes += size_of(&held);
            page.calls.push(held);
        }
        if page.next_cursor.is_none() {
            break;
        }
    }
    api.store.note_sweep(&api.person.name, AccessKind::Exported, page.calls.len() as u64).await?;
    Ok(Json(page))
}

impl Api<Admin> {
    async fn held(&self, call: CallRecord) -> Result<Held, Problem> {
        let items: Map<String, Value> = self.store.held(call.id).await?.into_iter().collect();
        let recording = call.recording.map(|_| format!("/v1/calls/{}/recording", call.id));
        let access = self.store.accesses(call.id).await?;
        let mut held = Held { call, items, journal: None, recording, access };
        if size_of(&held) > CALL_BYTES_MAX {
            held.items.retain(|name, _| !name.starts_with("J#"));
            held.journal = Some(format!("/v1/calls/{}/journal", held.call.id));
        }
        Ok(held)
    }
}

fn size_of(held: &Held) -> usize {
    serde_json::to_vec(held).map_or(0, |json| json.len())
}

#[derive(Debug, Serialize)]
pub(crate) struct Ordered {
    /// The order; its progress is in the work.
    order: CallId,
    /// Calls that are erased by now.
    erased: u64,
    /// Calls that will be erased when they are over.
    under_way: u64,
    /// Whether more are being looked for.
    more: bool,
}

/// Erases all calls with a number that were opened until now. Those that are found at once are gone with this answer; the
/// worker looks for more until none is left.
pub(crate) async fn erase(api: Api<Admin>, Path(number): Path<String>) -> Result<(StatusCode, Json<Ordered>), Problem> {
    let number = party(&number)?;
    let order = new_call_id(api.store.now().as_ms());
    let step = api.store.erase_number(order, &number, &api.person.name).await?;
    api.store.note_sweep(&api.person.name, AccessKind::Erased, step.erased).await?;
    tracing::info!(order = %order, calls = step.erased, user = api.person.name, "a number is erased");
    api.bell.ring();
    let ordered = Ordered { order, erased: step.erased, under_way: step.under_way, more: step.more };
    Ok((StatusCode::ACCEPTED, Json(ordered)))
}

/// Somebody who can be told from others: `anonymous` is everybody who hides a number.
fn party(text: &str) -> Result<String, Problem> {
    let is_named = ["client:", "sip:"].into_iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    if text.chars().count() <= NUMBER_CHARS_MAX && (has_e164_shape(text) || is_named) {
        return Ok(text.to_owned());
    }
    let detail =
        "it must be a number in E.164, such as +12025550123 (the plus sign as %2B), or begin with client: or sip:";
    Err(Problem::invalid("number", detail))
}
