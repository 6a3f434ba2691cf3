//! Putting calls through: a record, its task, and the task that sends its reports.

use std::sync::Arc;

use tokio::sync::mpsc;
use wire::twilio::form::{CallStatus, Direction};
use wire::twilio::rest::CallEvent;

use super::callback;
use super::config::OwnedNumber;
use super::exchange::{Exchange, Subscription};
use super::live::{Live, Plan, Source};
use super::record::CallRecord;
use crate::phone::{Caller, CallerScript};

/// A call that was placed by REST.
pub(super) fn place_outbound(
    exchange: &Arc<Exchange>,
    from: &str,
    to: &str,
    subscription: Option<Subscription>,
    plan: Plan,
) -> CallRecord {
    let sid = exchange.new_call_sid();
    let mut record = CallRecord::new(sid, from, to, Direction::OutboundApi, CallStatus::Queued, exchange.elapsed());
    record.number = exchange.number(from).map(|number| number.sid);
    record.queue_time = plan.wait;
    let caller = Caller::new(plan.callee.script.clone());
    let live = register(exchange, &record, subscription, caller, plan.fallback.clone());
    exchange.event(sid, "call    queued".to_owned());
    exchange.keep_task(tokio::spawn(live.dial_out(plan)).abort_handle());
    record
}

/// A call to an owned number.
pub(super) fn place_inbound(
    exchange: &Arc<Exchange>,
    number: OwnedNumber,
    from: &str,
    script: CallerScript,
) -> CallRecord {
    let sid = exchange.new_call_sid();
    let mut record =
        CallRecord::new(sid, from, &number.phone_number, Direction::Inbound, CallStatus::Ringing, exchange.elapsed());
    record.number = Some(number.sid);
    record.started = Some(record.created);
    let subscription =
        number.status_callback.map(|webhook| Subscription { webhook, events: vec![CallEvent::Completed] });
    let live = register(exchange, &record, subscription, Caller::new(script), number.voice_fallback);
    exchange.event(sid, "call    ringing".to_owned());
    // A number without a webhook answers with nothing, as an empty document does.
    let source = number.voice.map_or_else(|| Source::Twiml("<Response/>".to_owned()), Source::Url);
    exchange.keep_task(tokio::spawn(live.come_in(source)).abort_handle());
    record
}

fn register(
    exchange: &Arc<Exchange>,
    record: &CallRecord,
    subscription: Option<Subscription>,
    caller: Caller,
    fallback: Option<wire::twilio::twiml::Webhook>,
) -> Live {
    let (commands, inbox) = mpsc::unbounded_channel();
    let (deliveries, outbox) = mpsc::unbounded_channel();
    exchange.add_call(record.clone(), subscription, commands, deliveries);
    let reports = tokio::spawn(callback::send_all(Arc::clone(exchange), record.sid, outbox));
    exchange.keep_task(reports.abort_handle());
    Live::new(Arc::clone(exchange), record.sid, inbox, caller, fallback)
}
