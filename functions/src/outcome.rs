//! `PUT /v1/calls/{id}/outcome` and `POST /v1/calls/{id}/analyze`: a person's word, and another look by the judge.

use axum::Json;
use axum::extract::Path;
use call::outcome::Outcome;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{AccessKind, Analysis, CallRecord, Chat, Correction, WorkKind};

use crate::calls::call_id;
use crate::door::{Api, Content, Operator};
use crate::problem::Problem;
use crate::worker::question_of;

/// The longest note beside a correction, in characters.
const NOTE_CHARS_MAX: usize = 1_000;

/// A correction, as it came.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Corrected {
    outcome: String,
    note: Option<String>,
}

/// A call with what was found out about it, and what its engines' services reported.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    #[serde(flatten)]
    call: CallRecord,
    analysis: Option<Analysis>,
    chats: Vec<Chat>,
}

impl Judged {
    pub(crate) fn new(mut call: CallRecord, analysis: Option<Analysis>) -> Self {
        let chats = std::mem::take(&mut call.marks.chats);
        Self { call, analysis, chats }
    }
}

/// Corrects the outcome of a call that is over. The judge's verdict stays beside it.
pub(crate) async fn correct(
    api: Api<Operator>,
    Path(id): Path<String>,
    Content(corrected): Content<Corrected>,
) -> Result<Json<Judged>, Problem> {
    let id = call_id(&id)?;
    let outcome = Outcome::named(&corrected.outcome);
    let outcome = outcome.ok_or_else(|| Problem::invalid("outcome", "it must be one of yes, no, unclear"))?;
    let note = corrected.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
        return Err(Problem::invalid("note", format!("it must have at most {NOTE_CHARS_MAX} characters")));
    }
    over(&api.store.call(id).await?)?;
    let correction = Correction { outcome, note, by: api.person.name.clone(), at: api.store.now() };
    let (call, analysis) = api.store.correct_outcome(id, correction).await?;
    api.store.note_access(id, &api.person.name, AccessKind::Corrected).await?;
    tracing::info!(call.id = %id, user = api.person.name, outcome = outcome.as_str(), "an outcome is corrected");
    Ok(Json(Judged::new(call, Some(analysis))))
}

/// Has a call that is over judged again.
pub(crate) async fn analyze(
    api: Api<Operator>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<CallRecord>), Problem> {
    let call = api.store.call(call_id(&id)?).await?;
    over(&call)?;
    if question_of(&api.store, call.id).await?.is_none() {
        return Err(Problem::conflict("not a word was heard in this call, so there is nothing to judge"));
    }
    tracing::info!(call.id = %call.id, user = api.person.name, "a call is to be judged again");
    api.store.add_work(call.id, WorkKind::Analyse, api.store.now()).await?;
    api.bell.ring();
    Ok((StatusCode::ACCEPTED, Json(call)))
}

fn over(call: &CallRecord) -> Result<(), Problem> {
    if call.status.is_final() { Ok(()) } else { Err(Problem::conflict("the call is still under way")) }
}
