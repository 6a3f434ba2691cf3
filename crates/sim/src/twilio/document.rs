//! Carrying a document out, verb by verb (Twilio: voice/twiml).

use std::time::Duration;

use wire::twilio::form::{CallStatus, Direction, Form};
use wire::twilio::twiml::read::{Document, Instruction};
use wire::twilio::twiml::{Connect, Method, RejectReason, Say, Verb, Webhook};

use super::config::RejectedAs;
use super::live::{Interrupt, Live, Source};
use super::record::{ENTRIES_MAX, RequestKind, StreamOutcome};
use super::stream::{self, StreamEnd};
use super::{dial, fork, gather, recording, webhook};

/// Where a document leads.
pub(super) enum Flow {
    /// To another one.
    Next(Source),
    /// To its end: Twilio hangs up.
    Over,
    /// Nowhere: the call is not taken.
    Rejected(CallStatus),
    /// To something that cannot be requested.
    Unserved,
    /// The call is over for another reason; perhaps there is an action to request all the same.
    Gone(Option<Source>),
}

/// Carries a document out.
pub(super) async fn perform(live: &mut Live, document: Document) -> Flow {
    for (position, instruction) in document.instructions.into_iter().enumerate() {
        let verb = match instruction {
            Instruction::Verb(verb) => verb,
            Instruction::Unsupported(name) => {
                live.exchange.event(live.sid, format!("twiml   <{name}> is outside this simulation, and skipped"));
                continue;
            }
            Instruction::Gather(gather) => {
                live.answer();
                match gather::perform(live, gather).await {
                    Some(flow) => return flow,
                    None => continue,
                }
            }
            Instruction::Record(record) => {
                live.answer();
                match recording::perform(live, record).await {
                    Some(flow) => return flow,
                    None => continue,
                }
            }
            Instruction::Start(one_way) => {
                live.answer();
                fork::start(live, one_way);
                continue;
            }
            Instruction::Stop { name } => {
                live.answer();
                fork::stop(live, &name);
                continue;
            }
        };
        if position == 0
            && let Verb::Reject(reason) = verb
            && let Some(flow) = rejected(live, reason)
        {
            return flow;
        }
        if !matches!(verb, Verb::Redirect(_)) {
            live.answer();
        }
        if let Some(flow) = carry_out(live, verb).await {
            return flow;
        }
    }
    Flow::Over
}

/// Only a call that is not answered can be rejected.
fn rejected(live: &Live, reason: RejectReason) -> Option<Flow> {
    let record = live.exchange.call(live.sid)?;
    (record.direction == Direction::Inbound && record.answered.is_none()).then(|| {
        Flow::Rejected(match (reason, live.exchange.config.unknowns.rejected_as) {
            (RejectReason::Busy, _) => CallStatus::Busy,
            (RejectReason::Rejected, RejectedAs::NoAnswer) => CallStatus::NoAnswer,
            (RejectReason::Rejected, RejectedAs::Failed) => CallStatus::Failed,
        })
    })
}

/// One verb. Nothing means that the next one follows.
async fn carry_out(live: &mut Live, verb: Verb) -> Option<Flow> {
    match verb {
        Verb::Connect(connect) => self::connect(live, connect).await,
        Verb::Say(say) => {
            let length = begin_to_say(live, say);
            wait(live, length).await
        }
        Verb::Play { url } => match begin_to_play(live, &url).await {
            Ok(length) => wait(live, length).await,
            Err(flow) => Some(flow),
        },
        Verb::Pause { length } => wait(live, length).await,
        Verb::Redirect(webhook) => Some(match absolute(live, &webhook) {
            Some(webhook) => Flow::Next(Source::Url(webhook)),
            None => Flow::Unserved,
        }),
        Verb::Dial(dial) => dial::perform(live, dial).await,
        Verb::Hangup | Verb::Reject(_) => Some(Flow::Over),
    }
}

async fn wait(live: &mut Live, length: Duration) -> Option<Flow> {
    live.pause(length).await.map(interrupted)
}

/// Notes what is said, and tells how long that takes.
pub(super) fn begin_to_say(live: &Live, say: Say) -> Duration {
    live.exchange.event(live.sid, "twiml   <Say>".to_owned());
    let characters = u32::try_from(say.text.chars().count()).unwrap_or(u32::MAX);
    live.exchange.note(live.sid, |record| {
        if record.said.len() < ENTRIES_MAX {
            record.said.push(say.text);
        }
    });
    live.exchange.config.timing.say_per_character.saturating_mul(characters)
}

/// Fetches what is to be played, and tells how long it takes: no time if it could not be fetched, which is noted.
pub(super) async fn begin_to_play(live: &mut Live, url: &str) -> Result<Duration, Flow> {
    let Some(file) = absolute(live, &Webhook { url: url.to_owned(), method: Method::Get }) else {
        return Err(Flow::Unserved);
    };
    live.exchange.event(live.sid, "twiml   <Play>".to_owned());
    let exchange = std::sync::Arc::clone(&live.exchange);
    let sid = live.sid;
    let answer = live.until(webhook::request(&exchange, sid, RequestKind::Media, &file, &Form::new())).await;
    match answer {
        Ok(Ok(_)) => Ok(exchange.config.timing.play),
        // A file above the limit for documents is still a file.
        Ok(Err(failure)) if failure.code == 11750 => Ok(exchange.config.timing.play),
        Ok(Err(failure)) => {
            live.exchange.notice(sid, failure.code, format!("<Play>: {}", failure.detail));
            Ok(Duration::ZERO)
        }
        Err(interrupt) => Err(interrupted(interrupt)),
    }
}

async fn connect(live: &mut Live, connect: Connect) -> Option<Flow> {
    let action = match &connect.action {
        None => None,
        Some(action) => match absolute(live, action) {
            Some(action) => Some(Source::Action(action, Vec::new())),
            None => return Some(Flow::Unserved),
        },
    };
    let unknowns = &live.exchange.config.unknowns;
    let (after_hang_up, after_failure) = (unknowns.action_after_hang_up, unknowns.action_after_failed_stream);
    let StreamEnd { outcome, redirect } = stream::run(live, &connect.stream).await;
    match (outcome, redirect) {
        (_, Some(source)) => Some(Flow::Next(source)),
        (StreamOutcome::CallerHungUp | StreamOutcome::CallEnded | StreamOutcome::Redirected, None) => {
            Some(Flow::Gone(action.filter(|_| after_hang_up)))
        }
        (StreamOutcome::Failed(_), None) if !after_failure => None,
        // No document runs beside a two-way stream that could stop it.
        (StreamOutcome::ServerClosed(_) | StreamOutcome::Failed(_) | StreamOutcome::Stopped, None) => {
            action.map(Flow::Next)
        }
    }
}

/// What an interruption does to a document.
pub(super) fn interrupted(interrupt: Interrupt) -> Flow {
    match interrupt {
        Interrupt::Redirect(source) => Flow::Next(source),
        Interrupt::HungUp | Interrupt::Ended => Flow::Gone(None),
    }
}

/// A URL of a document, made absolute; noted as 15004 if there is nothing to be relative to.
pub(super) fn absolute(live: &Live, webhook: &Webhook) -> Option<Webhook> {
    if webhook.url.starts_with("http://") || webhook.url.starts_with("https://") {
        return Some(webhook.clone());
    }
    let joined = live.base.as_ref().and_then(|base| base.join(&webhook.url).ok());
    if joined.is_none() {
        live.exchange.notice(live.sid, 15004, format!("{:?} is relative to nothing", webhook.url));
    }
    joined.map(|url| Webhook { url: url.to_string(), method: webhook.method })
}
