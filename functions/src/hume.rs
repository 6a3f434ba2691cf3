//! `/hume/webhook`: what EVI tells of its chats.
//!
//! The node journals a chat's ids when it opens the chat, so most of what comes here is known. A chat that ended and
//! that the journal does not know (its node died before it wrote) is kept with the call.
//! Deliveries come in any order and any number; each is answered at once.

use axum::extract::{Request, State};
use call::CallId;
use call::agent::EngineKind;
use call::journal::{Entry, Kind};
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use store::{Chat, StoreError};
use wire::hume::webhook::{ChatRef, SIGNATURE_HEADER, TIMESTAMP_HEADER, Webhook, verify};

use crate::connect::journal;
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
        Webhook::ChatStarted(started) => state.note("started", &started.chat),
        Webhook::ChatEnded(ended) => {
            state.note("ended", &ended.chat);
            if let Some(call) = call_of(&ended.chat) {
                state.keep(call, &ended.chat).await?;
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

    async fn keep(&self, id: CallId, chat: &ChatRef) -> Result<(), StoreError> {
        match self.store.call(id).await {
            Ok(_) => {}
            Err(error) if error.is_gone() => return Ok(()),
            Err(error) => return Err(error),
        }
        let is_this = |entry: &Entry| {
            let Kind::EngineReady { chat: Some(known), .. } = &entry.kind else { return false };
            *known == chat.chat_id
        };
        if journal(&self.store, id).await?.iter().any(is_this) {
            return Ok(());
        }
        let (group, chat) = (chat.chat_group_id.clone(), chat.chat_id.clone());
        let chat = Chat { engine: EngineKind::Hume, group, id: chat };
        self.store.record_chat(id, &chat).await.map(drop)
    }
}

/// Our call, which we name to EVI as the session's id.
fn call_of(chat: &ChatRef) -> Option<CallId> {
    chat.custom_session_id.as_deref()?.parse().ok()
}
