//! `<Dial>`: another leg, to whoever picks up at that number, and what the first leg is told when it is over.

use std::time::Duration;

use tokio::sync::mpsc;
use wire::twilio::form::{CallStatus, DialCallStatus, Direction};
use wire::twilio::sid::CallSid;
use wire::twilio::twiml::Dial;

use super::callback::advance;
use super::config::Pickup;
use super::document::{Flow, absolute, interrupted};
use super::live::{Interrupt, Live, Source};
use super::record::CallRecord;

/// How long it rings by default (Twilio: voice/twiml/dial).
const RING_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the two may talk by default (Twilio: voice/twiml/dial).
const TIME_LIMIT: Duration = Duration::from_secs(14_400);

/// Dials, lets the two talk, and goes on with the action or the next verb.
pub(super) async fn perform(live: &mut Live, dial: Dial) -> Option<Flow> {
    let action = match &dial.action {
        None => None,
        Some(action) => match absolute(live, action) {
            Some(action) => Some(action),
            None => return Some(Flow::Unserved),
        },
    };
    let exchange = std::sync::Arc::clone(&live.exchange);
    let caller_id = dial.caller_id.as_ref().map(|number| number.as_str().to_owned());
    let parent = exchange.call(live.sid)?;
    let allowed = caller_id.as_ref().is_none_or(|number| *number == parent.from || exchange.number(number).is_some());
    if !allowed {
        exchange.notice(live.sid, 13214, "callerId is neither the caller's number nor an owned one");
    }
    let sid = exchange.new_call_sid();
    let from = caller_id.unwrap_or_else(|| parent.from.clone());
    let mut record =
        CallRecord::new(sid, &from, &dial.number, Direction::OutboundDial, CallStatus::Queued, exchange.elapsed());
    record.parent = Some(live.sid);
    // Nobody commands the second leg, and nobody subscribed to it.
    exchange.add_call(record, None, mpsc::unbounded_channel().0, mpsc::unbounded_channel().0);
    exchange.event(live.sid, "twiml   <Dial>".to_owned());
    let callee = exchange.callee(&dial.number);
    let leg = Leg { sid, pickup: if allowed { callee.pickup } else { Pickup::Fails(403) }, after: callee.after };
    let (status, interrupt) =
        leg.live_through(live, dial.timeout.unwrap_or(RING_TIMEOUT), dial.time_limit.unwrap_or(TIME_LIMIT)).await;
    if let Some(interrupt) = interrupt {
        return Some(interrupted(interrupt));
    }
    let action = action?;
    let mut keys = vec![
        ("DialCallStatus".to_owned(), status.as_str().to_owned()),
        ("DialCallSid".to_owned(), sid.to_string()),
        ("DialBridged".to_owned(), (status == DialCallStatus::Completed).to_string()),
    ];
    if status == DialCallStatus::Completed {
        let talked = exchange.call(sid).and_then(|record| record.duration()).unwrap_or_default();
        keys.push(("DialCallDuration".to_owned(), talked.as_secs().to_string()));
    }
    Some(Flow::Next(Source::Action(action, keys)))
}

struct Leg {
    sid: CallSid,
    pickup: Pickup,
    after: Duration,
}

impl Leg {
    async fn live_through(
        &self,
        live: &mut Live,
        rings_for: Duration,
        talks_for: Duration,
    ) -> (DialCallStatus, Option<Interrupt>) {
        let timing = live.exchange.config.timing.clone();
        let exchange = std::sync::Arc::clone(&live.exchange);
        let moved = |status: CallStatus| advance(&exchange, self.sid, &status, None);
        moved(CallStatus::Initiated);
        if let Some(interrupt) = live.pause(timing.setup).await {
            moved(CallStatus::Canceled);
            return (DialCallStatus::Canceled, Some(interrupt));
        }
        match self.pickup {
            Pickup::Busy => {
                moved(CallStatus::Busy);
                return (DialCallStatus::Busy, None);
            }
            Pickup::Fails(_) => {
                moved(CallStatus::Failed);
                return (DialCallStatus::Failed, None);
            }
            Pickup::Answers | Pickup::NeverAnswers => moved(CallStatus::Ringing),
        };
        let answers = self.pickup == Pickup::Answers && self.after <= rings_for;
        if let Some(interrupt) = live.pause(if answers { self.after } else { rings_for }).await {
            moved(CallStatus::Canceled);
            return (DialCallStatus::Canceled, Some(interrupt));
        }
        if !answers {
            moved(CallStatus::NoAnswer);
            return (DialCallStatus::NoAnswer, None);
        }
        moved(CallStatus::InProgress);
        let interrupt = live.pause(timing.dialled_conversation.min(talks_for)).await;
        moved(CallStatus::Completed);
        (DialCallStatus::Completed, interrupt)
    }
}
