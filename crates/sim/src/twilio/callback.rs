//! What Twilio tells unasked: a call's progress (Twilio: voice/api/call-resource) and a stream's life.
//!
//! Without faults the reports of one call go out one after the other. With them each goes its own way: lost, doubled,
//! delayed, and thereby reordered.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use wire::twilio::form::{CallStatus, Form, StreamEvent};
use wire::twilio::sid::{CallSid, StreamSid};
use wire::twilio::time::format_rfc2822;
use wire::twilio::twiml::{Stream, Webhook};

use super::exchange::Exchange;
use super::params::standard;
use super::record::{RequestAnswer, RequestKind, RequestRecord};
use super::webhook;

/// A report on its way.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    kind: RequestKind,
    webhook: Webhook,
    form: Form,
}

/// Moves a call on, if that is forward, and reports it to whoever subscribed. Says whether it moved.
pub(super) fn advance(exchange: &Exchange, sid: CallSid, status: &CallStatus, sip_code: Option<u16>) -> bool {
    let Some(worth) = exchange.advance(sid, status) else {
        return false;
    };
    if let Some((subscription, sequence)) = worth
        && let Some(record) = exchange.call(sid)
    {
        let mut form = standard(exchange.config.account_sid, &record, status);
        form.push("CallbackSource", "call-progress-events");
        form.push("SequenceNumber", sequence.to_string());
        form.push("Timestamp", format_rfc2822(Timestamp::now()));
        if status.is_final() {
            let seconds = record.duration().map_or(0, |duration| duration.as_secs());
            form.push("CallDuration", seconds.to_string());
            form.push("Duration", seconds.div_ceil(60).to_string());
            form.push_some("SipResponseCode", sip_code.map(|code| code.to_string()));
        }
        exchange.deliver(sid, Delivery { kind: RequestKind::Status, webhook: subscription.webhook, form });
    }
    true
}

/// Reports a moment of a stream's life, if its document asked for it.
pub(super) fn stream_event(
    exchange: &Exchange,
    call: CallSid,
    stream_sid: StreamSid,
    stream: &Stream,
    event: &StreamEvent,
    error: Option<String>,
) {
    exchange.event(call, format!("stream  {}", event.as_str()));
    let Some(webhook) = stream.status_callback.clone() else {
        return;
    };
    let mut form = Form::new();
    form.push("AccountSid", exchange.config.account_sid.as_str());
    form.push("CallSid", call.as_str());
    form.push("StreamSid", stream_sid.as_str());
    form.push("StreamName", stream.name.as_deref().unwrap_or(stream_sid.as_str()));
    form.push("StreamEvent", event.as_str());
    form.push_some("StreamError", error);
    form.push("Timestamp", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string());
    exchange.deliver(call, Delivery { kind: RequestKind::StreamStatus, webhook, form });
}

/// Reports a moment of a recording's life.
pub(super) fn recording_event(exchange: &Exchange, call: CallSid, webhook: Webhook, keys: Vec<(&'static str, String)>) {
    let mut form = Form::new();
    form.push("AccountSid", exchange.config.account_sid.as_str());
    form.push("CallSid", call.as_str());
    for (name, value) in keys {
        form.push(name, value);
    }
    exchange.deliver(call, Delivery { kind: RequestKind::RecordingStatus, webhook, form });
}

/// Sends the reports of one call, until the call is forgotten.
pub(super) async fn send_all(
    exchange: Arc<Exchange>,
    call: CallSid,
    mut deliveries: mpsc::UnboundedReceiver<Delivery>,
) {
    while let Some(delivery) = deliveries.recv().await {
        let faults = exchange.faults().callbacks;
        if exchange.chance(faults.lose) {
            exchange.requested(call, never_sent(&exchange, delivery));
            continue;
        }
        let copies = if exchange.chance(faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = exchange.part_of(faults.delay_max);
            if delay.is_zero() {
                send(&exchange, call, &delivery).await;
            } else {
                let (exchange, delivery) = (Arc::clone(&exchange), delivery.clone());
                let keeper = Arc::clone(&exchange);
                let late = tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    send(&exchange, call, &delivery).await;
                });
                keeper.keep_task(late.abort_handle());
            }
        }
    }
}

async fn send(exchange: &Exchange, call: CallSid, delivery: &Delivery) {
    let Delivery { kind, webhook, form } = delivery;
    if let Err(failure) = webhook::request(exchange, call, *kind, webhook, form).await {
        let code = if failure.code == 11200 { 15003 } else { failure.code };
        exchange.notice(call, code, format!("status callback: {}", failure.detail));
    }
}

fn never_sent(exchange: &Exchange, delivery: Delivery) -> RequestRecord {
    RequestRecord {
        at: exchange.elapsed(),
        took: std::time::Duration::ZERO,
        kind: delivery.kind,
        url: delivery.webhook.url,
        form: delivery.form,
        attempt: 1,
        idempotency_token: None,
        answer: RequestAnswer::NeverSent,
    }
}
