//! The numbers the account owns (Twilio: phone-numbers/api/incomingphonenumber-resource).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use jiff::Timestamp;
use serde_json::{Value, json};
use wire::twilio::form::Form;
use wire::twilio::rest::{API_VERSION, UpdateIncomingPhoneNumber};
use wire::twilio::time::format_rfc2822;
use wire::twilio::twiml::Webhook;

use super::page::Page;
use super::{Refusal, not_found};
use crate::twilio::config::OwnedNumber;
use crate::twilio::exchange::Exchange;

pub(super) async fn list(State(exchange): State<Arc<Exchange>>, RawQuery(query): RawQuery) -> Json<Value> {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let wanted = query.get("PhoneNumber").filter(|number| !number.is_empty());
    let fits = |number: &OwnedNumber| wanted.is_none_or(|wanted| matches(wanted, &number.phone_number));
    let numbers: Vec<_> = exchange.numbers().into_iter().filter(fits).collect();
    let page = Page::from_query(format!("{}/IncomingPhoneNumbers.json", base(&exchange)), &query);
    let (part, more) = page.cut(numbers);
    Json(json!({
        "first_page_uri": page.uri(0),
        "next_page_uri": more.then(|| page.uri(page.number + 1)),
        "previous_page_uri": page.number.checked_sub(1).map(|number| page.uri(number)),
        "page": page.number,
        "page_size": page.size,
        "start": page.start(),
        "end": (page.start() + part.len()).saturating_sub(1),
        "uri": page.uri(page.number),
        "incoming_phone_numbers": part.iter().map(|number| resource(&exchange, number)).collect::<Vec<_>>(),
    }))
}

pub(super) async fn read(
    State(exchange): State<Arc<Exchange>>,
    Path((_, number)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    change(&exchange, &number, |_| {})
}

pub(super) async fn update(
    State(exchange): State<Arc<Exchange>>,
    Path((_, number)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let update = UpdateIncomingPhoneNumber::from_form(&Form::parse(&body));
    change(&exchange, &number, |number| {
        for (slot, change) in [
            (&mut number.voice, update.voice),
            (&mut number.voice_fallback, update.voice_fallback),
            (&mut number.status_callback, update.status_callback),
        ] {
            if let Some(webhook) = change {
                // An empty URL takes the webhook away.
                *slot = Some(webhook).filter(|webhook| !webhook.url.is_empty());
            }
        }
    })
}

fn change(exchange: &Exchange, file: &str, change: impl FnOnce(&mut OwnedNumber)) -> Result<Json<Value>, Refusal> {
    let sid = file.strip_suffix(".json").unwrap_or(file);
    let changed = exchange.change_number(sid, |number| {
        change(number);
        number.clone()
    });
    match changed {
        Some(number) => Ok(Json(resource(exchange, &number))),
        None => Err(Refusal(not_found("number"))),
    }
}

fn base(exchange: &Exchange) -> String {
    format!("/2010-04-01/Accounts/{}", exchange.config.account_sid)
}

/// `*` stands for any digits.
fn matches(pattern: &str, number: &str) -> bool {
    match pattern.split_once('*') {
        None => number.contains(pattern),
        Some((start, end)) => {
            number.len() >= start.len() + end.len() && number.starts_with(start) && number.ends_with(end)
        }
    }
}

fn resource(exchange: &Exchange, number: &OwnedNumber) -> Value {
    let url = |webhook: &Option<Webhook>| webhook.as_ref().map_or(String::new(), |webhook| webhook.url.clone());
    let method = |webhook: &Option<Webhook>| webhook.as_ref().map_or("POST", |webhook| webhook.method.as_str());
    let created = format_rfc2822(Timestamp::UNIX_EPOCH);
    json!({
        "sid": number.sid,
        "account_sid": exchange.config.account_sid,
        "friendly_name": number.phone_number,
        "phone_number": number.phone_number,
        "voice_url": url(&number.voice),
        "voice_method": method(&number.voice),
        "voice_fallback_url": url(&number.voice_fallback),
        "voice_fallback_method": method(&number.voice_fallback),
        "status_callback": url(&number.status_callback),
        "status_callback_method": method(&number.status_callback),
        "voice_caller_id_lookup": false,
        "voice_application_sid": "",
        "voice_receive_mode": "voice",
        "trunk_sid": null,
        "sms_url": "",
        "sms_method": "POST",
        "sms_fallback_url": "",
        "sms_fallback_method": "POST",
        "sms_application_sid": "",
        "address_requirements": "none",
        "address_sid": null,
        "identity_sid": null,
        "bundle_sid": null,
        "emergency_status": "Inactive",
        "emergency_address_sid": null,
        "emergency_address_status": "unregistered",
        "beta": false,
        "capabilities": {"voice": true, "sms": false, "mms": false, "fax": false},
        "origin": "twilio",
        "status": "in-use",
        "api_version": API_VERSION,
        "date_created": created,
        "date_updated": created,
        "uri": format!("{}/IncomingPhoneNumbers/{}.json", base(exchange), number.sid),
    })
}
