//! Placing, reading, changing and finding calls (Twilio: voice/api/call-resource).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use wire::twilio::form::{CallStatus, Direction, Form};
use wire::twilio::rest::{
    API_VERSION, Answer, CallChange, CallEvent, CallPage, CallResource, CreateCall, ListCalls, UpdateCall, code,
};
use wire::twilio::sid::CallSid;
use wire::twilio::time::format_rfc2822;

use super::page::Page;
use super::{Refusal, not_found, refuse};
use crate::twilio::exchange::{Exchange, Subscription};
use crate::twilio::live::{Command, Plan, Source};
use crate::twilio::operator;
use crate::twilio::record::CallRecord;

/// How long an update waits for the call to follow before it answers.
const FOLLOW: Duration = Duration::from_secs(1);

pub(super) async fn create(
    State(exchange): State<Arc<Exchange>>,
    body: Bytes,
) -> Result<(StatusCode, Json<CallResource>), Refusal> {
    let form = Form::parse(&body);
    let create = CreateCall::from_form(&form)?;
    check_from(&exchange, &create.from)?;
    check_to(&create.to)?;
    let source = match create.answer {
        Answer::Url(webhook) => Source::Url(webhook),
        Answer::Twiml(twiml) => Source::Twiml(twiml),
        Answer::Application(_) => return Err(refuse(400, code::INVALID_APPLICATION, "ApplicationSid is not valid")),
    };
    let subscription = create.status_callback.map(|webhook| Subscription {
        webhook,
        events: if create.status_callback_events.is_empty() {
            vec![CallEvent::Completed]
        } else {
            create.status_callback_events
        },
    });
    let plan = Plan {
        source,
        fallback: create.fallback,
        ring_timeout: create.timeout,
        time_limit: create.time_limit,
        wait: exchange.take_turn(),
        callee: exchange.callee(&create.to),
    };
    let record = operator::place_outbound(&exchange, &create.from, &create.to, subscription, plan);
    Ok((StatusCode::CREATED, Json(resource(&exchange, &record))))
}

pub(super) async fn read(
    State(exchange): State<Arc<Exchange>>,
    Path((_, call)): Path<(String, String)>,
) -> Result<Json<CallResource>, Refusal> {
    Ok(Json(resource(&exchange, &find(&exchange, &call)?)))
}

pub(super) async fn update(
    State(exchange): State<Arc<Exchange>>,
    Path((_, call)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<CallResource>, Refusal> {
    let record = find(&exchange, &call)?;
    let update = UpdateCall::from_form(&Form::parse(&body))?;
    let bad_state = |why: &str| refuse(400, code::INVALID_CALL_STATE, why);
    if record.status.is_final() {
        return Err(bad_state("Call is not in-progress. Cannot redirect."));
    }
    let (command, ends) = match update.change {
        CallChange::Redirect(webhook) => (Command::Redirect(Source::Url(webhook)), false),
        CallChange::Twiml(twiml) => (Command::Redirect(Source::Twiml(twiml)), false),
        CallChange::Cancel if record.status == CallStatus::InProgress => {
            return Err(bad_state("Call is in-progress. Cannot cancel."));
        }
        CallChange::Cancel => (Command::Cancel, true),
        CallChange::Complete => (Command::Complete, true),
    };
    if !exchange.command(record.sid, command) {
        return Err(bad_state("Call is no longer there."));
    }
    if ends {
        let mut changes = exchange.changes();
        // Not following in time is not a failure: the answer then still says `in-progress`.
        let _late = tokio::time::timeout(FOLLOW, async {
            while exchange.call(record.sid).is_some_and(|record| !record.status.is_final()) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        })
        .await;
    }
    Ok(Json(resource(&exchange, &find(&exchange, &call)?)))
}

pub(super) async fn delete(
    State(exchange): State<Arc<Exchange>>,
    Path((_, call)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let record = find(&exchange, &call)?;
    if !record.status.is_final() {
        return Err(refuse(400, code::INVALID_CALL_STATE, "Call is not finished. Cannot delete."));
    }
    exchange.forget_call(record.sid);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(State(exchange): State<Arc<Exchange>>, RawQuery(query): RawQuery) -> Json<CallPage> {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let wanted = ListCalls::from_query(&query);
    let parent = query.get("ParentCallSid").filter(|sid| !sid.is_empty());
    let fits = |call: &CallRecord| {
        let day = call.started.map(|started| started.to_zoned(TimeZone::UTC).date());
        wanted.to.as_ref().is_none_or(|to| to.as_str() == call.to)
            && wanted.from.as_ref().is_none_or(|from| from.as_str() == call.from)
            && wanted.status.as_ref().is_none_or(|status| *status == shown(&call.status))
            && wanted.started_from.is_none_or(|from| day.is_some_and(|day| day >= from))
            && wanted.started_to.is_none_or(|to| day.is_some_and(|day| day <= to))
            && parent.is_none_or(|parent| call.parent.is_some_and(|sid| sid.as_str() == parent))
    };
    let calls: Vec<_> = exchange.calls().into_iter().filter(fits).collect();
    let page = Page::from_query(format!("/2010-04-01/Accounts/{}/Calls.json", exchange.config.account_sid), &query);
    let (part, more) = page.cut(calls);
    let position = |at: usize| u64::try_from(at).ok();
    Json(CallPage {
        page: position(page.number),
        page_size: position(page.size),
        start: position(page.start()),
        end: position((page.start() + part.len()).saturating_sub(1)),
        uri: Some(page.uri(page.number)),
        first_page_uri: Some(page.uri(0)),
        next_page_uri: more.then(|| page.uri(page.number + 1)),
        previous_page_uri: page.number.checked_sub(1).map(|number| page.uri(number)),
        calls: part.iter().map(|record| resource(&exchange, record)).collect(),
    })
}

pub(super) async fn notifications(
    State(exchange): State<Arc<Exchange>>,
    Path((_, call)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let record = find(&exchange, &call)?;
    let uri = format!("/2010-04-01/Accounts/{}/Calls/{}/Notifications.json", exchange.config.account_sid, record.sid);
    let notices: Vec<_> = record
        .notices
        .iter()
        .map(|notice| {
            let is_warning = matches!(notice.code, 12200 | 15003 | 31930 | 31931 | 31950 | 31951);
            json!({
                "account_sid": exchange.config.account_sid,
                "call_sid": record.sid,
                "error_code": notice.code.to_string(),
                "log": if is_warning { "1" } else { "0" },
                "message_text": notice.detail,
                "more_info": format!("https://www.twilio.com/docs/errors/{}", notice.code),
                "message_date": format_rfc2822(record.updated),
            })
        })
        .collect();
    Ok(Json(json!({
        "notifications": notices, "page": 0, "page_size": notices.len(), "start": 0,
        "end": notices.len().saturating_sub(1), "uri": uri, "first_page_uri": uri,
        "next_page_uri": null, "previous_page_uri": null,
    })))
}

fn find(exchange: &Exchange, file: &str) -> Result<CallRecord, Refusal> {
    let sid = file.strip_suffix(".json").unwrap_or(file);
    let record = CallSid::parse(sid).ok().and_then(|sid| exchange.call(sid));
    record.ok_or_else(|| Refusal(not_found("call")))
}

/// Twilio's published numbers for testing come first (Twilio: iam/test-credentials).
fn check_from(exchange: &Exchange, from: &str) -> Result<(), Refusal> {
    match from {
        "+15005550001" => return Err(refuse(400, code::INVALID_FROM, "From is not a valid phone number")),
        "+15005550006" => return Ok(()),
        _ => {}
    }
    if is_address(from) {
        return Ok(());
    }
    if !is_e164(from) {
        return Err(refuse(400, code::INVALID_FROM, "From is not a valid phone number"));
    }
    if exchange.number(from).is_none() {
        return Err(refuse(400, code::FROM_NOT_OURS, "From is not verified or owned by this account"));
    }
    Ok(())
}

fn check_to(to: &str) -> Result<(), Refusal> {
    match to {
        "+15005550001" => Err(refuse(400, code::NOT_A_NUMBER, "Phone number does not appear to be valid")),
        "+15005550002" => Err(refuse(400, code::UNREACHABLE_TO, "To phone number cannot be reached")),
        "+15005550003" => Err(refuse(400, code::COUNTRY_NOT_ALLOWED, "Account not authorized to call this number")),
        "+15005550004" => Err(refuse(400, code::BLOCKED, "Account not allowed to call this number")),
        to if is_e164(to) || is_address(to) => Ok(()),
        _ => Err(refuse(400, code::INVALID_TO, "To is not a valid phone number")),
    }
}

fn is_address(party: &str) -> bool {
    party.strip_prefix("client:").or_else(|| party.strip_prefix("sip:")).is_some_and(|name| !name.is_empty())
}

fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (8..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The interface does not know `initiated`, which is for callbacks only.
fn shown(status: &CallStatus) -> CallStatus {
    if *status == CallStatus::Initiated { CallStatus::Queued } else { status.clone() }
}

fn resource(exchange: &Exchange, record: &CallRecord) -> CallResource {
    let account = exchange.config.account_sid;
    let base = format!("/2010-04-01/Accounts/{account}/Calls/{}", record.sid);
    let subresource = |name: &str, file: &str| (name.to_owned(), format!("{base}/{file}.json"));
    CallResource {
        account_sid: Some(account),
        direction: Some(record.direction.clone()),
        to: record.to.as_str().into(),
        to_formatted: Some(record.to.as_str().into()),
        from: record.from.as_str().into(),
        from_formatted: Some(record.from.as_str().into()),
        phone_number_sid: record.number.map(|number| number.to_string()),
        parent_call_sid: record.parent,
        date_created: Some(record.created),
        date_updated: Some(record.updated),
        start_time: record.started,
        end_time: record.ended,
        duration: record.ended.map(|_| record.duration().unwrap_or_default().as_secs().to_string()),
        price_unit: Some("USD".to_owned()),
        api_version: Some(API_VERSION.to_owned()),
        queue_time: (record.direction == Direction::OutboundApi).then(|| record.queue_time.as_millis().to_string()),
        uri: Some(format!("{base}.json")),
        subresource_uris: [
            subresource("notifications", "Notifications"),
            subresource("recordings", "Recordings"),
            subresource("payments", "Payments"),
            subresource("events", "Events"),
            subresource("siprec", "Siprec"),
            subresource("streams", "Streams"),
            subresource("transcriptions", "Transcriptions"),
            subresource("user_defined_message_subscriptions", "UserDefinedMessageSubscriptions"),
            subresource("user_defined_messages", "UserDefinedMessages"),
        ]
        .into(),
        ..CallResource::new(record.sid, shown(&record.status))
    }
}
