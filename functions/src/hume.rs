//! `/hume/webhook`: what EVI tells of its chats.
//!
//! What is told is kept in the call's journal, in epoch 0, which no stream writes: that a chat began, and how it ended. Of
//! a call whose node died before it wrote, this is how its conversation is found again, to go on with it or to fill its
//! transcript. Deliveries come in any order and any number; each is answered at once, and kept once.

use axum::extract::{Request, State};
use call::CallId;
use call::agent::EngineKind;
use call::journal::{Entry, Kind};
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use store::{CallRecord, StoreError, WorkKind};
use wire::hume::webhook::{ChatRef, EndReason, SIGNATURE_HEADER, TIMESTAMP_HEADER, Webhook, verify};

use crate::door::read_bytes;
use crate::problem::Problem;
use crate::state::StatusState;

/// The largest delivery, in bytes: ids and a tool's arguments.
const WEBHOOK_BYTES_MAX: usize = 64 << 10;

/// Where the reports of chats begin among the numbers of epoch 0; below are those of transfers.
const FIRST_SEQ: u64 = 1_000_000;

pub(crate) async fn webhook(State(state): State<StatusState>, request: Request) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let body = read_bytes(&parts, body, WEBHOOK_BYTES_MAX).await?;
    state.believe(&parts.headers, &body)?;
    let webhook = Webhook::parse(&body).map_err(|error| Problem::invalid("body", error.to_string()))?;
    match webhook {
        Webhook::ChatStarted(started) => {
            state.note("started", &started.chat);
            let told = Told { event: "chat_started", when: started.start_time, end_reason: None, lasted_s: None };
            state.keep(&started.chat, told).await?;
        }
        Webhook::ChatEnded(ended) => {
            state.note("ended", &ended.chat);
            let told = Told {
                event: "chat_ended",
                when: ended.end_time,
                end_reason: word(ended.end_reason),
                lasted_s: u64::try_from(ended.duration_seconds).ok(),
            };
            if let Some(call) = state.keep(&ended.chat, told).await? {
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
    async fn keep(&self, chat: &ChatRef, told: Told) -> Result<Option<CallRecord>, StoreError> {
        let Some(id) = call_of(chat) else { return Ok(None) };
        let call = match self.store.call(id).await {
            Ok(call) => call,
            Err(error) if error.is_gone() => return Ok(None),
            Err(error) => return Err(error),
        };
        let kind = Kind::ChatReported {
            engine: EngineKind::Hume,
            event: told.event.to_owned(),
            chat_group: chat.chat_group_id.clone(),
            chat: chat.chat_id.clone(),
            when_ms: u64::try_from(told.when).unwrap_or_default(),
            end_reason: told.end_reason,
            lasted_s: told.lasted_s,
        };
        let seq = seq_of(told.event, &chat.chat_id);
        let entry = Entry { epoch: 0, seq, at_ms: self.store.now().as_ms(), kind };
        self.store.append_journal(id, &[entry]).await?;
        Ok(Some(call))
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

/// What was told of a chat.
struct Told {
    event: &'static str,
    when: i64,
    end_reason: Option<String>,
    lasted_s: Option<u64>,
}

/// Hume's word for an end.
fn word(reason: EndReason) -> Option<String> {
    serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
}

/// Our call, which we name to EVI as the session's id.
fn call_of(chat: &ChatRef) -> Option<CallId> {
    chat.custom_session_id.as_deref()?.parse().ok()
}

/// The same number for the same chat, so that a repeated delivery changes nothing (FNV-1a).
fn seq_of(event: &str, chat: &str) -> u64 {
    let hash = event
        .bytes()
        .chain(chat.bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    FIRST_SEQ + u64::from(hash)
}
