//! `/hume/webhook`: what EVI tells of its chats.
//!
//! What is told of a chat is kept in its call's record, in one place: when it began, when it ended and why. Of a call whose
//! node died before it wrote, this is how its conversation is found again, to go on with it or to fill its transcript.
//! Deliveries come in any order and any number; the record is the same.

use axum::extract::{Request, State};
use call::CallId;
use call::agent::EngineKind;
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use store::{CallRecord, Chat, Moment, StoreError, WorkKind};
use wire::hume::webhook::{ChatRef, EndReason, SIGNATURE_HEADER, TIMESTAMP_HEADER, Webhook, verify};

use crate::door::read_bytes;
use crate::problem::Problem;
use crate::state::StatusState;

/// The largest delivery, in bytes: ids and a tool's arguments.
const WEBHOOK_BYTES_MAX: usize = 64 << 10;

pub(crate) async fn webhook(State(state): State<StatusState>, request: Request) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let body = read_bytes(&parts, body, WEBHOOK_BYTES_MAX).await?;
    state.believe(&parts.headers, &body)?;
    let webhook = Webhook::parse(&body).map_err(|error| Problem::invalid("body", error.to_string()))?;
    match webhook {
        Webhook::ChatStarted(started) => {
            state.note("started", &started.chat);
            let chat = Chat { started_at: moment(started.start_time), ..named(&started.chat) };
            state.keep(call_of(&started.chat), &chat).await?;
        }
        Webhook::ChatEnded(ended) => {
            state.note("ended", &ended.chat);
            let end_reason = word(ended.end_reason);
            let duration_s = u64::try_from(ended.duration_seconds).ok();
            let ended_at = moment(ended.end_time);
            let chat = Chat { ended_at, duration_s, end_reason, ..named(&ended.chat) };
            if let Some(call) = state.keep(call_of(&ended.chat), &chat).await? {
                state.fill(&call).await?;
            }
        }
        // Tools are answered on the chat's own socket, by the node.
        Webhook::ToolCall(event) => state.note("asked for a tool", &event.chat),
        Webhook::Unknown { event_name } => tracing::debug!(event_name, "an unknown event of Hume's"),
    }
    Ok(StatusCode::NO_CONTENT)
}

impl StatusState {
    fn believe(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = self.hume_key.as_ref().map_or("", |key| key.expose_secret());
        let now_s = self.store.now().as_ms() / 1_000;
        verify(key.as_bytes(), body, text(SIGNATURE_HEADER), text(TIMESTAMP_HEADER), now_s).map_err(|why| {
            self.webhooks.counters.forged();
            let title = "The signature is not Hume's";
            Problem::forbidden("forged", title, "deliveries are signed with HUME_WEBHOOK_SIGNING_KEY").because(why)
        })
    }

    fn note(&self, what: &str, chat: &ChatRef) {
        let call = call_of(chat).map(|call| call.to_string()).unwrap_or_default();
        tracing::info!(call.id = call, chat = chat.chat_id, chat_group = chat.chat_group_id, "a chat {what}");
    }

    /// Keeps what was told of a chat, and gives its call; none for a chat that is not of a call of ours.
    async fn keep(&self, call: Option<CallId>, chat: &Chat) -> Result<Option<CallRecord>, StoreError> {
        let Some(id) = call else { return Ok(None) };
        match self.store.record_chat(id, chat).await {
            Ok(_) => self.store.call(id).await.map(Some),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the transcript filled of a call whose end came before anybody had said that Hume was its engine.
    async fn fill(&self, call: &CallRecord) -> Result<(), StoreError> {
        if call.status.is_final() && !call.engines_tried.contains(&EngineKind::Hume) {
            self.store.add_work(call.id, WorkKind::FillTranscript, self.store.now()).await?;
            self.bell.ring();
        }
        Ok(())
    }
}

fn named(chat: &ChatRef) -> Chat {
    Chat::new(EngineKind::Hume, chat.chat_group_id.clone(), chat.chat_id.clone())
}

fn moment(unix_ms: i64) -> Option<Moment> {
    u64::try_from(unix_ms).ok().filter(|ms| *ms > 0).map(Moment::from_ms)
}

/// Hume's word for an end.
fn word(reason: EndReason) -> Option<String> {
    serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
}

/// Our call, which we name to EVI as the session's id.
fn call_of(chat: &ChatRef) -> Option<CallId> {
    chat.custom_session_id.as_deref()?.parse().ok()
}
