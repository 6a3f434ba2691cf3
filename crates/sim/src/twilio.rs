//! The simulated Twilio: one account behind real sockets.
//!
//! It offers the REST interface, calls voice webhooks, carries TwiML out, opens media streams to our server and reports
//! progress, each as strictly as Twilio's documentation is. The phone at the end of a stream is [`crate::phone::Phone`],
//! the one that also runs in virtual time; whoever holds it acts by a [`CallerScript`]. Everything that happens is kept in
//! a [`CallRecord`] and a timeline.
//!
//! **What is a failure**, noted on the call with Twilio's number: a webhook that does not answer, not in time, not with
//! 2xx, or with too much (112xx, 11750); a document that cannot be read (12100, 12200, 12300) or is relative to nothing
//! (15004); a status callback that is refused (15003); a stream that cannot be opened or breaks (319xx); whatever the
//! phone holds against the server.
//!
//! **What is not a failure**: an empty document, a server that closes its stream (the call goes on with the action or the
//! next verb), a handler that answers a report slowly, unknown keys in a REST request.
//!
//! **Outside the simulation**: transcriptions, speech in `<Gather>`, fetching and transcribing a recording, background
//! recordings, machine detection, conferences, queues and the other verbs we do not write (they are skipped and the
//! timeline says so), the words of `<Say>` in the outbound track of a one-way stream (it is silent), TwiML applications, SIP, cookies and caches, subaccounts, and what
//! calls cost. Unencrypted streams and webhooks are allowed to this machine, which Twilio would refuse for streams.

mod callback;
mod config;
mod dial;
mod document;
mod exchange;
mod fetch;
mod fork;
mod gather;
mod live;
mod operator;
mod params;
mod record;
mod recording;
mod rest;
mod stream;
mod webhook;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use wire::twilio::sid::CallSid;
use wire::twilio::twiml::Webhook;

pub use self::config::{
    CallbackFaults, Callee, Faults, Network, OwnedNumber, Pickup, RejectedAs, RestFault, RestFaults, SignedUrl, Timing,
    TwilioConfig, Unknowns, WebhookFaults,
};
pub use self::record::{
    CallRecord, Event, Notice, OneWayRecord, Recording, RequestAnswer, RequestKind, RequestRecord, StreamOutcome,
    StreamRecord,
};
pub use self::webhook::IDEMPOTENCY_HEADER;

use self::exchange::Exchange;
use self::live::Command;
use crate::phone::CallerScript;

/// A running simulated Twilio. When it is dropped, its calls and its interface are gone at once.
pub struct Twilio {
    exchange: Arc<Exchange>,
    address: Option<SocketAddr>,
}

/// Why a call could not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the account does not own that number")]
pub struct NumberNotOwned;

impl Twilio {
    /// A simulated Twilio whose REST interface listens where the configuration says.
    pub async fn start(config: TwilioConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let mut twilio = Self::new(config);
        twilio.address = Some(address);
        let router = twilio.router();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "simulated Twilio stopped serving");
            }
        });
        twilio.exchange.keep_task(server.abort_handle());
        Ok(twilio)
    }

    /// A simulated Twilio whose REST interface is yet to be mounted, see [`Twilio::router`]. Calls run on the runtime
    /// that they are placed on.
    pub fn new(config: TwilioConfig) -> Self {
        Self { exchange: Arc::new(Exchange::new(config)), address: None }
    }

    /// The REST interface, to be mounted at the root of a server or beside other routes.
    pub fn router(&self) -> Router {
        rest::router(Arc::clone(&self.exchange))
    }

    /// Where the REST interface listens, as `TWILIO_BASE_URL`; nothing if it was only mounted.
    pub fn base_url(&self) -> Option<String> {
        self.address.map(|address| format!("http://{address}"))
    }

    /// What this simulated Twilio was told at its start.
    pub fn config(&self) -> &TwilioConfig {
        &self.exchange.config
    }

    /// Someone calls an owned number. `from` is kept as it is, however odd.
    pub fn place_inbound(&self, from: &str, to: &str, script: CallerScript) -> Result<CallSid, NumberNotOwned> {
        let number = self.exchange.number(to).ok_or(NumberNotOwned)?;
        Ok(operator::place_inbound(&self.exchange, number, from, script).sid)
    }

    /// The person on the phone hangs up, whatever their script says. Says whether there was a call to hang up.
    pub fn hang_up(&self, call: CallSid) -> bool {
        self.exchange.command(call, Command::HangUp)
    }

    /// Who picks up at a number from now on.
    pub fn set_callee(&self, phone_number: &str, callee: Callee) {
        self.exchange.set_callee(phone_number, callee);
    }

    /// Where an owned number's calls go from now on.
    pub fn set_voice(&self, phone_number: &str, voice: Option<Webhook>) -> Result<(), NumberNotOwned> {
        let number = self.exchange.number(phone_number).ok_or(NumberNotOwned)?;
        self.exchange.change_number(number.sid.as_str(), |number| number.voice = voice).ok_or(NumberNotOwned)
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.exchange.set_faults(faults);
    }

    /// One thing to go wrong with the next REST request; several queue up.
    pub fn inject(&self, fault: RestFault) {
        self.exchange.inject(fault);
    }

    /// A call, as far as it has come.
    pub fn call(&self, call: CallSid) -> Option<CallRecord> {
        self.exchange.call(call)
    }

    /// Every call, the newest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.exchange.calls()
    }

    /// Everything that happened, in order.
    pub fn timeline(&self) -> Vec<Event> {
        self.exchange.timeline()
    }

    /// What happens from now on, for whoever prints it. A watcher that falls thousands of lines behind misses some.
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.exchange.watch()
    }

    /// Waits until something is true, and gives up after a time.
    pub async fn until<T>(&self, within: Duration, mut look: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let mut changes = self.exchange.changes();
        tokio::time::timeout(within, async {
            loop {
                if let Some(seen) = look(self) {
                    return seen;
                }
                // What the ear hears is no change of a record, so look every now and then as well.
                let _timeout = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
            }
        })
        .await
        .ok()
    }

    /// Waits for the end of a call, and gives up after a time.
    pub async fn finished(&self, call: CallSid, within: Duration) -> Option<CallRecord> {
        self.until(within, |twilio| twilio.call(call).filter(|record| record.status.is_final())).await
    }
}

impl Drop for Twilio {
    fn drop(&mut self) {
        self.exchange.abort_tasks();
    }
}
