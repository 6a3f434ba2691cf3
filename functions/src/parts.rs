//! The parts of a call: transcript, journal, recording, waveform. Who reads or hears them is on record.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use call::journal::{Entry, Turn};
use futures_util::stream;
use http::header::{
    ACCEPT, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, IF_RANGE,
    LOCATION, RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use store::{AccessKind, ByteRange, CallRecord, Moment, Position, RecordingFile, RecordingState};

use crate::calls::call_id;
use crate::connect::conversation;
use crate::door::{Api, Query, Viewer};
use crate::problem::Problem;
use crate::state::ApiInner;
use crate::transcript::{as_text, as_vtt};

/// Entries on a page of a journal, unless asked otherwise, and at most.
const ENTRIES_MAX: usize = 1_000;

/// S3 hands a recording out for so long without asking us again.
const URL_VALID: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Format {
    format: Option<String>,
}

#[derive(Debug, Serialize)]
struct Transcript {
    call: call::CallId,
    turns: Vec<Turn>,
}

pub(crate) async fn transcript(
    api: Api<Viewer>,
    Path(id): Path<String>,
    Query(query): Query<Format>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let call = api.store.call(call_id(&id)?).await?;
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = match query.format.as_deref() {
        Some(format) => format,
        None if accept.contains("text/vtt") => "vtt",
        None if accept.contains("text/plain") => "txt",
        None => "json",
    };
    api.store.note_access(call.id, &api.person.name, AccessKind::Transcript).await?;
    let turns = conversation(&api.store, call.id).await?.history;
    match format {
        "json" => Ok(Json(Transcript { call: call.id, turns }).into_response()),
        "txt" => Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], as_text(&turns)).into_response()),
        "vtt" => Ok(([(CONTENT_TYPE, "text/vtt; charset=utf-8")], as_vtt(&turns)).into_response()),
        _ => Err(Problem::invalid("format", "it must be one of json, txt, vtt")),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    after: Option<String>,
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct JournalPart {
    entries: Vec<serde_json::Value>,
    /// What to read after next time; none when nothing was ever read.
    next_after: Option<String>,
    more: bool,
}

pub(crate) async fn journal(
    api: Api<Viewer>,
    Path(id): Path<String>,
    Query(query): Query<After>,
) -> Result<Json<JournalPart>, Problem> {
    let call = api.store.call(call_id(&id)?).await?;
    let after = query.after.as_deref().map(position).transpose()?;
    let limit = query.limit.as_deref().map(|text| text.parse().ok().filter(|limit| (1..=ENTRIES_MAX).contains(limit)));
    let wrong = || Problem::invalid("limit", format!("it must be a whole number from 1 to {ENTRIES_MAX}"));
    let limit = limit.map_or(Ok(ENTRIES_MAX), |limit| limit.ok_or_else(wrong))?;
    api.store.note_access(call.id, &api.person.name, AccessKind::Transcript).await?;
    let page = api.store.read_journal(call.id, after, limit).await?;
    let last = page.entries.last().map(Position::of).or(after);
    Ok(Json(JournalPart {
        entries: page.entries.iter().map(shown).collect(),
        next_after: last.map(|position| format!("{}.{}", position.epoch, position.seq)),
        more: page.more,
    }))
}

fn position(text: &str) -> Result<Position, Problem> {
    let parts = text.split_once('.').and_then(|(epoch, seq)| Some((epoch.parse().ok()?, seq.parse().ok()?)));
    let wrong = || Problem::invalid("after", "it must be an epoch and a sequence number, such as 1.42");
    parts.map(|(epoch, seq)| Position { epoch, seq }).ok_or_else(wrong)
}

/// An entry as the API shows it: its time as a text like all others.
fn shown(entry: &Entry) -> serde_json::Value {
    let mut shown = serde_json::to_value(entry).expect("invariant: an entry is always JSON");
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("at_ms");
        fields.insert("at".to_owned(), Moment::from_ms(entry.at_ms).to_string().into());
    }
    shown
}

pub(crate) async fn recording(
    api: Api<Viewer>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let call = api.recorded(&id).await?;
    let file = api.store.recording_file(call.id).await?;
    api.store.note_access(call.id, &api.person.name, AccessKind::Recording).await?;
    if text(&headers, IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == file.etag)) {
        let response = described(&file).status(StatusCode::NOT_MODIFIED).body(Body::empty());
        return Ok(response.expect("invariant: constants are valid headers"));
    }
    // Whoever goes on with a file that is another one by now gets the new one from its beginning.
    let is_current = text(&headers, IF_RANGE).is_none_or(|tag| tag.trim() == file.etag);
    let range = text(&headers, RANGE).filter(|_| is_current).and_then(ByteRange::parse);
    let place = match range.map(|range| range.within(file.bytes)) {
        Some(None) => return Ok(unsatisfiable(file.bytes)),
        Some(place) => place,
        None => None,
    };
    let place = match (place, api.part_bytes_max) {
        (None, Some(max)) if file.bytes > max => return elsewhere(&api.store.recording_url(call.id, URL_VALID).await?),
        // A server may answer with less than was asked for (RFC 9110, 15.3.7); players ask on.
        (Some((first, last)), Some(max)) => Some((first, last.min(first + max - 1))),
        (place, _) => place,
    };
    let body = api.store.recording(call.id, &file, place).await?;
    let body = Body::from_stream(stream::unfold(body, |mut body| async { Some((body.next().await?, body)) }));
    let response = match place {
        None => described(&file).header(CONTENT_LENGTH, file.bytes).body(body),
        Some((first, last)) => {
            let range = format!("bytes {first}-{last}/{}", file.bytes);
            let builder = described(&file).status(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, range);
            builder.header(CONTENT_LENGTH, last + 1 - first).body(body)
        }
    };
    Ok(response.expect("invariant: numbers and constants are valid headers"))
}

/// What every answer about a recording says.
fn described(file: &RecordingFile) -> http::response::Builder {
    let builder = Response::builder().header(CONTENT_TYPE, "audio/wav").header(ACCEPT_RANGES, "bytes");
    match HeaderValue::from_str(&file.etag) {
        Ok(tag) if !tag.is_empty() => builder.header(ETAG, tag),
        Ok(_) | Err(_) => builder,
    }
}

/// The whole is more than a Lambda can answer, and a part must not be sent to whoever did not ask for one: S3 hands it
/// out itself. The address opens this one file for a minute, and is in this answer alone.
fn elsewhere(url: &str) -> Result<Response, Problem> {
    let place = HeaderValue::from_str(url).map_err(Problem::internal)?;
    Ok((StatusCode::TEMPORARY_REDIRECT, [(LOCATION, place)]).into_response())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn unsatisfiable(total: u64) -> Response {
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    let detail = format!("the recording has {total} bytes");
    let mut response = Problem::new(status, "range", "The recording is shorter", detail).into_response();
    let place = HeaderValue::from_str(&format!("bytes */{total}")).expect("invariant: a number is a valid header");
    response.headers_mut().insert(CONTENT_RANGE, place);
    response
}

pub(crate) async fn recording_head(api: Api<Viewer>, Path(id): Path<String>) -> Result<Response, Problem> {
    let call = api.recorded(&id).await?;
    let file = api.store.recording_file(call.id).await?;
    let response = described(&file).header(CONTENT_LENGTH, file.bytes).body(Body::empty());
    Ok(response.expect("invariant: numbers and constants are valid headers"))
}

pub(crate) async fn waveform(api: Api<Viewer>, Path(id): Path<String>) -> Result<Response, Problem> {
    let call = api.recorded(&id).await?;
    let waveform = api.store.waveform(call.id).await?;
    Ok(([(CONTENT_TYPE, "application/json")], waveform).into_response())
}

impl ApiInner {
    /// A call whose recording can be heard.
    async fn recorded(&self, id: &str) -> Result<CallRecord, Problem> {
        let call = self.store.call(call_id(id)?).await?;
        match call.recording {
            Some(RecordingState::Ready) => Ok(call),
            Some(RecordingState::Pending) => {
                let detail = "the recording is joined a few seconds after the call's end; try again then";
                let problem =
                    Problem::new(StatusCode::NOT_FOUND, "recording-pending", "The recording is not ready", detail);
                Err(problem.after(Duration::from_secs(5)))
            }
            Some(RecordingState::Empty) => Err(Problem::not_found("any sound of this call")),
            None => Err(Problem::not_found("a recording of this call, because its agent does not record,")),
        }
    }
}
