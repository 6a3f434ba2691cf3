//! `GET /v1/export`: calls and what was said in them, for spreadsheets and programs.
//!
//! An answer has at most [`ANSWER_BYTES_MAX`]; where more follows, its `Link` header leads there. With `redact=1` numbers
//! and words are left out, not blacked out: the columns are not there.

mod csv;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use call::CallId;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{AccessKind, Analysis, CallRecord, Store, StoreError};
use tokio::task::JoinSet;

use crate::connect::conversation;
use crate::door::{Api, Query, Viewer};
use crate::filters::ListCalls;
use crate::problem::Problem;
use crate::transcript::as_text;

/// The largest answer. A Lambda's may have 6 MB.
const ANSWER_BYTES_MAX: usize = 5_000_000;

/// The most calls of an answer: the transcripts of more cannot be read while somebody waits.
const ANSWER_CALLS_MAX: usize = 1_000;

/// Calls that are looked up at once.
const PAGE_CALLS: usize = 200;

/// Transcripts that are read at the same time.
const READ_AT_ONCE: usize = 8;

/// The columns that hold numbers or words.
const PRIVATE: [&str; 6] = ["from", "to", "phone", "evidence", "booking", "transcript"];

/// The columns, in their order.
const COLUMNS: [&str; 27] = [
    "id",
    "twilio_sid",
    "direction",
    "from",
    "to",
    "phone",
    "agent",
    "agent_version",
    "engine",
    "engines_tried",
    "status",
    "ended_by",
    "end_reason",
    "created_at",
    "answered_at",
    "ended_at",
    "duration_s",
    "outcome",
    "verdict",
    "confidence",
    "evidence",
    "booking",
    "judged_by",
    "epoch",
    "recording",
    "simulated",
    "transcript",
];

/// The filters of a list, and how to write what passes them.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    format: Option<String>,
    redact: Option<String>,
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
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
    Ndjson,
}

impl Export {
    fn filters(&self) -> ListCalls {
        ListCalls {
            from: self.from.clone(),
            to: self.to.clone(),
            phone: self.phone.clone(),
            direction: self.direction.clone(),
            status: self.status.clone(),
            outcome: self.outcome.clone(),
            agent: self.agent.clone(),
            engine: self.engine.clone(),
            min_duration: self.min_duration.clone(),
            max_duration: self.max_duration.clone(),
            q: self.q.clone(),
            live: None,
            limit: None,
            cursor: None,
        }
    }

    fn format(&self) -> Result<Format, Problem> {
        match self.format.as_deref() {
            None | Some("csv") => Ok(Format::Csv),
            Some("json") => Ok(Format::Json),
            Some("ndjson") => Ok(Format::Ndjson),
            Some(_) => Err(Problem::invalid("format", "it must be one of csv, json, ndjson")),
        }
    }

    fn redacted(&self) -> Result<bool, Problem> {
        match self.redact.as_deref() {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(Problem::invalid("redact", "it must be 1, or 0, which is the same as leaving it out")),
        }
    }

    /// Where the rest is.
    fn rest(&self, cursor: &str) -> String {
        let mut query = String::new();
        let fields = serde_json::to_value(self).unwrap_or_default();
        for (name, value) in fields.as_object().into_iter().flatten() {
            if let (false, Some(text)) = (name == "cursor", value.as_str()) {
                query += &format!("{name}={}&", escaped(text));
            }
        }
        format!("/v1/export?{query}cursor={cursor}")
    }
}

/// A text as the value of a query.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

pub(crate) async fn export(api: Api<Viewer>, Query(query): Query<Export>) -> Result<Response, Problem> {
    let (format, redacted) = (query.format()?, query.redacted()?);
    let filters = query.filters().understood(&api.time_zone)?;
    // Exports and lists take each other's cursors for foreign ones: they would go on somewhere else.
    let scope = format!("export {}", filters.scope());
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|name| !(redacted && PRIVATE.contains(name))).collect();
    let mut sheet = Sheet::new(format, columns, query.cursor.is_none());
    let mut cursor = query.cursor.clone();
    let mut last = None;
    let rest = 'pages: loop {
        let mut list = filters.query(cursor.as_deref(), &scope);
        list.limit = PAGE_CALLS;
        let page = api.store.list_calls(&list, |call| filters.let_pass(call)).await?;
        for (call, more) in page.calls.iter().zip(mores(&api.store, &page.calls, redacted).await?) {
            // None of a call that was erased since the list was read.
            if let Some(more) = more
                && !sheet.add(record(call, more))
            {
                break 'pages last;
            }
            last = Some(list.cursor_behind(call));
        }
        match page.next_cursor {
            None => break None,
            // A page that examined all it may and found little is handed out as it is: somebody waits.
            Some(next) if sheet.calls >= ANSWER_CALLS_MAX || page.calls.len() < PAGE_CALLS => break Some(next),
            Some(next) => cursor = Some(next),
        }
    };
    // On record before anything is handed out.
    api.store.note_sweep(&api.person.name, AccessKind::Exported, sheet.calls as u64).await?;
    tracing::info!(user = api.person.name, calls = sheet.calls, redacted, "calls are exported");
    Ok(sheet.answer(rest.map(|cursor| query.rest(&cursor))))
}

/// What an export holds of a call beside its record.
struct More {
    analysis: Option<Analysis>,
    /// What was said, as heard; none where words are left out.
    transcript: Option<String>,
}

/// The same of each of these calls; none of a call that is gone.
async fn mores(store: &Store, calls: &[CallRecord], redacted: bool) -> Result<Vec<Option<More>>, Problem> {
    let mut mores: Vec<Option<More>> = calls.iter().map(|_| None).collect();
    for (first, part) in calls.chunks(READ_AT_ONCE).enumerate() {
        let mut reading = JoinSet::new();
        for (n, call) in part.iter().enumerate() {
            let (store, id) = (store.clone(), call.id);
            reading.spawn(async move { (first * READ_AT_ONCE + n, more(&store, id, redacted).await) });
        }
        while let Some(read) = reading.join_next().await {
            let (n, read) = read.map_err(|error| Problem::internal(&error))?;
            match read {
                Ok(more) => mores[n] = Some(more),
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(mores)
}

async fn more(store: &Store, id: CallId, redacted: bool) -> Result<More, StoreError> {
    let analysis = store.analysis(id).await?;
    let transcript = if redacted { None } else { Some(as_text(&conversation(store, id).await?.history)) };
    Ok(More { analysis, transcript })
}

fn record(call: &CallRecord, more: More) -> Map<String, Value> {
    let shown = serde_json::to_value(call).expect("invariant: a call is always JSON");
    let Value::Object(mut fields) = shown else { return Map::new() };
    if let Some(judgement) = more.analysis.and_then(|analysis| analysis.judgement) {
        let verdict = judgement.verdict;
        // `outcome` is what counts: a person's word, if there is one. This is the judge's.
        fields.insert("verdict".to_owned(), json!(verdict.outcome));
        fields.insert("confidence".to_owned(), json!(verdict.confidence));
        fields.insert("evidence".to_owned(), json!(verdict.evidence));
        fields.insert("booking".to_owned(), json!(verdict.fields));
        fields.insert("judged_by".to_owned(), json!(judgement.model));
    }
    if let Some(text) = more.transcript {
        fields.insert("transcript".to_owned(), json!(text));
    }
    fields
}

/// An answer that fills up.
struct Sheet {
    format: Format,
    columns: Vec<&'static str>,
    text: String,
    has_header: bool,
    calls: usize,
}

impl Sheet {
    fn new(format: Format, columns: Vec<&'static str>, is_first: bool) -> Self {
        let has_header = format == Format::Csv && is_first;
        let text = match format {
            Format::Csv if is_first => csv::row(columns.iter().map(|name| (*name).into())),
            Format::Csv | Format::Ndjson => String::new(),
            Format::Json => "[".to_owned(),
        };
        Self { format, columns, text, has_header, calls: 0 }
    }

    /// Adds a call. Whether it had room; the first one always has.
    fn add(&mut self, mut fields: Map<String, Value>) -> bool {
        let mut row = self.row(&fields);
        if self.calls == 0 && self.text.len() + row.len() > ANSWER_BYTES_MAX {
            let id = fields.get("id").and_then(Value::as_str).unwrap_or_default();
            let note = format!("(too long for an export: /v1/calls/{id}/transcript)");
            fields.insert("transcript".to_owned(), note.into());
            row = self.row(&fields);
        }
        // One byte is the end of a list in JSON.
        if self.calls > 0 && self.text.len() + row.len() + 1 > ANSWER_BYTES_MAX {
            return false;
        }
        self.text += &row;
        self.calls += 1;
        true
    }

    fn row(&self, fields: &Map<String, Value>) -> String {
        let value = |name: &&str| fields.get(*name).unwrap_or(&Value::Null).clone();
        if self.format == Format::Csv {
            return csv::row(self.columns.iter().map(value));
        }
        let fields: Map<String, Value> = self.columns.iter().map(|name| ((*name).to_owned(), value(name))).collect();
        let line = Value::Object(fields).to_string();
        match self.format {
            Format::Ndjson => line + "\n",
            Format::Json | Format::Csv if self.calls == 0 => line,
            Format::Json | Format::Csv => format!(",{line}"),
        }
    }

    fn answer(mut self, rest: Option<String>) -> Response {
        let (media, name) = match (self.format, self.has_header) {
            (Format::Csv, true) => ("text/csv; charset=utf-8; header=present", "calls.csv"),
            (Format::Csv, false) => ("text/csv; charset=utf-8; header=absent", "calls.csv"),
            (Format::Json, _) => ("application/json", "calls.json"),
            (Format::Ndjson, _) => ("application/x-ndjson", "calls.ndjson"),
        };
        if self.format == Format::Json {
            self.text.push(']');
        }
        let mut response = Body::from(self.text).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        let file = format!("attachment; filename=\"{name}\"");
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&file).expect("invariant: it is made of constants"));
        // For whoever shows how far an export is: rows of CSV are hard to count.
        headers.insert("x-calls", HeaderValue::from(self.calls));
        if let Some(rest) = rest {
            let link = HeaderValue::from_str(&format!("<{rest}>; rel=\"next\""));
            headers.insert(LINK, link.expect("invariant: all but letters and digits is escaped"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(n: usize, transcript: &str) -> Map<String, Value> {
        Map::from_iter([("id".to_owned(), json!(format!("call_{n}"))), ("transcript".to_owned(), json!(transcript))])
    }

    #[test]
    fn an_answer_takes_what_fits_and_at_least_one_call() {
        for format in [Format::Csv, Format::Json, Format::Ndjson] {
            let mut sheet = Sheet::new(format, COLUMNS.to_vec(), true);
            let mut added = 0;
            while sheet.add(fields(added, &"\"a\n".repeat(100_000))) {
                added += 1;
            }
            assert!((5..20).contains(&added), "{format:?} {added}");
            assert!(sheet.text.len() < ANSWER_BYTES_MAX);
            let mut sheet = Sheet::new(format, COLUMNS.to_vec(), true);
            assert!(sheet.add(fields(1, &"a".repeat(ANSWER_BYTES_MAX))));
            assert!(sheet.text.len() < 1_000 && sheet.text.contains("/v1/calls/call_1/transcript"));
        }
    }

    #[test]
    fn the_rest_is_found_with_the_same_filters() {
        let query = Export {
            format: Some("csv".into()),
            phone: Some("+12025550123".into()),
            q: Some("Zoë & noon".into()),
            cursor: Some("old".into()),
            ..Export::default()
        };
        assert_eq!(
            query.rest("new.1"),
            "/v1/export?format=csv&phone=%2B12025550123&q=Zo%C3%AB%20%26%20noon&cursor=new.1"
        );
    }
}
