//! The account itself: what a client reads to see whether its credentials work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use wire::twilio::time::format_rfc2822;

use crate::twilio::exchange::Exchange;

pub(super) async fn read(State(exchange): State<Arc<Exchange>>) -> Json<Value> {
    let sid = exchange.config.account_sid.as_str();
    let base = format!("/2010-04-01/Accounts/{sid}");
    let created = format_rfc2822(jiff::Timestamp::UNIX_EPOCH);
    Json(json!({
        "sid": sid,
        "friendly_name": "Simulated account",
        "status": "active",
        "type": "Full",
        "owner_account_sid": sid,
        "auth_token": null,
        "date_created": created,
        "date_updated": created,
        "uri": format!("{base}.json"),
        "subresource_uris": {
            "calls": format!("{base}/Calls.json"),
            "incoming_phone_numbers": format!("{base}/IncomingPhoneNumbers.json"),
        },
    }))
}
