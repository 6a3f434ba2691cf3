//! The simulated account's REST routes: chat history, configurations, and messages into a running chat.

use std::time::Instant;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use wire::hume::API_KEY_HEADER;
use wire::hume::rest::{ChatStatus, ErrorResponse};

use super::server::Shared;
use super::{PageRequest, SendRefused};

/// The query of every list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    page_number: Option<u32>,
    page_size: Option<u32>,
    ascending_order: Option<bool>,
    config_id: Option<String>,
    status: Option<ChatStatus>,
}

/// A page of a size that there is not.
struct BadPage;

impl ListQuery {
    fn page(&self) -> Result<PageRequest, BadPage> {
        let PageRequest { number, size, ascending } = PageRequest::default();
        let size = self.page_size.unwrap_or(size);
        if !(1..=wire::hume::rest::MAX_PAGE_SIZE).contains(&size) {
            return Err(BadPage);
        }
        Ok(PageRequest {
            number: self.page_number.unwrap_or(number),
            size,
            ascending: self.ascending_order.unwrap_or(ascending),
        })
    }
}

pub(crate) async fn chats(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Response {
    answer(&shared, &headers, || {
        let page = query.page()?;
        Ok(Some(shared.model().chats(query.config_id.as_deref(), query.status, page)))
    })
}

pub(crate) async fn chat(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Response {
    answer(&shared, &headers, || {
        let page = query.page()?;
        Ok(shared.model().chat(&id, page))
    })
}

pub(crate) async fn chat_groups(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Response {
    answer(&shared, &headers, || {
        let page = query.page()?;
        Ok(Some(shared.model().chat_groups(query.config_id.as_deref(), page)))
    })
}

pub(crate) async fn chat_group(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Response {
    answer(&shared, &headers, || {
        let page = query.page()?;
        Ok(shared.model().chat_group(&id, page))
    })
}

pub(crate) async fn chat_group_events(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Response {
    answer(&shared, &headers, || {
        let page = query.page()?;
        Ok(shared.model().chat_group_events(&id, page))
    })
}

/// One page with the configured configurations, in their first version.
pub(crate) async fn configs(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, || {
        let model = shared.model();
        let page: Vec<_> = (model.config().config_ids.iter())
            .map(
                |id| serde_json::json!({"id": id, "version": 0, "name": format!("simulated {id}"), "evi_version": "3"}),
            )
            .collect();
        let pages = i32::from(!page.is_empty());
        Ok(Some(serde_json::json!({"page_number": 0, "page_size": 10, "total_pages": pages, "configs_page": page})))
    })
}

/// `POST /v0/evi/chat/{id}/send`.
pub(crate) async fn send(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: String,
) -> Response {
    if let Some(refusal) = refusal(&shared, &headers) {
        return refusal;
    }
    let sent = shared.model().send(Instant::now(), &id, &body);
    match sent {
        Ok(()) => {
            shared.wake_all();
            StatusCode::OK.into_response()
        }
        Err(SendRefused::UnknownChat) => problem(StatusCode::NOT_FOUND, "no such chat is active"),
        Err(SendRefused::Unprocessable(message)) => {
            let detail = serde_json::json!({"detail": [{"loc": ["body"], "msg": message, "type": "value_error"}]});
            (StatusCode::UNPROCESSABLE_ENTITY, Json(detail)).into_response()
        }
    }
}

fn answer<T: Serialize>(
    shared: &Shared,
    headers: &HeaderMap,
    read: impl FnOnce() -> Result<Option<T>, BadPage>,
) -> Response {
    if let Some(refusal) = refusal(shared, headers) {
        return refusal;
    }
    match read() {
        Ok(Some(found)) => Json(found).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "not found"),
        Err(BadPage) => problem(StatusCode::BAD_REQUEST, "page_size must be between 1 and 100"),
    }
}

fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let key = headers.get(API_KEY_HEADER).and_then(|value| value.to_str().ok());
    if !shared.model().admits(key) {
        return Some(problem(StatusCode::UNAUTHORIZED, "invalid API key"));
    }
    shared.is_throttled().then(|| problem(StatusCode::TOO_MANY_REQUESTS, "too many requests"))
}

fn problem(status: StatusCode, message: &str) -> Response {
    let body = ErrorResponse {
        code: None,
        error: status.canonical_reason().map(str::to_owned),
        message: Some(message.to_owned()),
    };
    (status, Json(body)).into_response()
}
