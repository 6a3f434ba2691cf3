//! `/twilio/voice`: a call comes in, or one that we placed is answered.
//!
//! A call is opened once per `CallSid`. Twilio asks again when it did not like or did not get an answer: it then gets the
//! same epoch and node with a fresh token. It also asks here when everything else failed and the fallback sent it back;
//! if the call had a stream by then, that stream is over, and the answer is what `next` would say.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use call::CallId;
use call::journal::{EndReason, EndedBy};
use store::{Adopted, CallRecord, CallScript, NewCall, Node, StoreError};
use wire::twilio::form::{Direction, VoiceRequest};
use wire::twilio::twiml::{RejectReason, Response, Verb};

use crate::connect::{Twiml, ends_by, longest, prepare_of};
use crate::door::{Mention, Signed, finish};
use crate::problem::Problem;
use crate::sentence::Sentence;
use crate::state::VoiceState;

/// The routes that answer with TwiML.
pub fn router(state: VoiceState) -> Router {
    finish(routes(state))
}

pub(crate) fn routes(state: VoiceState) -> Router {
    Router::new()
        .route("/twilio/voice", get(voice).post(voice))
        .route("/twilio/voice/next", post(crate::next::next))
        .with_state(state)
}

async fn voice(State(state): State<VoiceState>, signed: Signed<VoiceRequest>) -> Result<Twiml, Problem> {
    let Signed { callback: request, mention, .. } = signed;
    if request.call_status.as_ref().is_some_and(|status| status.is_final()) {
        return Ok(Twiml::nothing());
    }
    match state.known(&request, mention).await? {
        Known::Call(call) => state.go_on(*call, &request).await,
        Known::NotYet => state.open(&request).await,
        Known::Wrong => Ok(Twiml(Sentence::Unavailable.and_goodbye("en"))),
    }
}

/// What we know of the call that Twilio asks about.
pub(crate) enum Known {
    Call(Box<CallRecord>),
    NotYet,
    /// It is not the call it says it is, or is forgotten.
    Wrong,
}

impl VoiceState {
    /// Finds the call. One that we placed learns its Twilio id here, if it has not yet.
    pub(crate) async fn known(&self, request: &VoiceRequest, mention: Mention) -> Result<Known, StoreError> {
        let sid = request.call_sid;
        let found = match mention.call {
            Some(id) => match self.store.adopt_sid(id, sid).await {
                Ok(Adopted::Yes(call)) => Ok(call),
                Ok(Adopted::Other(_)) => {
                    tracing::warn!(call.id = %id, call.sid = %sid, "a webhook names a call of another Twilio id");
                    return Ok(Known::Wrong);
                }
                Err(error) => Err(error),
            },
            None => self.store.call_by_sid(sid).await,
        };
        match found {
            Ok(call) => Ok(Known::Call(Box::new(call))),
            Err(StoreError::NotFound(_)) if mention.call.is_none() => Ok(Known::NotYet),
            Err(StoreError::NotFound(_)) => Ok(Known::Wrong),
            Err(error) => Err(error),
        }
    }

    async fn open(&self, request: &VoiceRequest) -> Result<Twiml, Problem> {
        match &request.direction {
            Some(Direction::OutboundApi | Direction::OutboundDial) => {
                tracing::warn!(call.sid = %request.call_sid, "Twilio asks about an outbound call that is not ours");
                return Ok(Twiml(Sentence::Unavailable.and_goodbye("en")));
            }
            Some(
                Direction::Inbound
                | Direction::TrunkingTerminating
                | Direction::TrunkingOriginating
                | Direction::Other(_),
            )
            | None => {}
        }
        let book = self.agents.book().await?;
        let Some(agent) = book.agents.for_number(&request.to) else {
            tracing::warn!(call.sid = %request.call_sid, "no agent answers the called number, and none is the default");
            return Ok(Twiml(Response::from([Verb::Reject(RejectReason::Rejected)])));
        };
        let script = match book.script(agent, &self.built_in_variables(request)) {
            Ok(script) => script,
            Err(error) => {
                tracing::error!(%error, "an agent cannot take an inbound call");
                return Ok(Twiml(Sentence::Unavailable.and_goodbye(&agent.language)));
            }
        };
        let script = CallScript { engines: script.engines.clone(), script };
        let id = new_call_id(self.store.now().as_ms());
        let nodes = self.nodes.candidates(id, None, None).await?;
        let new = NewCall {
            id,
            from: request.from.to_string(),
            to: request.to.to_string(),
            node: nodes.first().map(|node| node.name.clone()),
            ends_by: ends_by(&self.store, longest(&script, self.call_max)),
            simulated: self.simulated,
            script: script.clone(),
        };
        let opened = self.store.open_inbound(&new, request.call_sid).await?;
        if !opened.fresh {
            return self.go_on(opened.call, request).await;
        }
        tracing::info!(call.id = %id, call.sid = %request.call_sid, agent = opened.call.agent, "a call comes in");
        self.begin(&opened.call, script, &nodes, request).await
    }

    /// Answers for a call that is open already.
    async fn go_on(&self, call: CallRecord, request: &VoiceRequest) -> Result<Twiml, Problem> {
        if call.status.is_final() {
            return Ok(Twiml(Sentence::Unavailable.and_goodbye("en")));
        }
        if call.marks.streams.contains_key(&call.epoch) || call.marks.next_steps.contains_key(&call.epoch) {
            let epoch = call.epoch;
            return self.after_stream(call, epoch, request).await;
        }
        let script = self.store.call_script(call.id).await?;
        let nodes = self.nodes.candidates(call.id, call.node(), None).await?;
        self.begin(&call, script, &nodes, request).await
    }

    /// Prepares a node for the current epoch and opens the stream to it.
    async fn begin(
        &self,
        call: &CallRecord,
        script: CallScript,
        nodes: &[Node],
        request: &VoiceRequest,
    ) -> Result<Twiml, Problem> {
        let language = script.script.language.clone();
        let sids = (request.account_sid, request.call_sid);
        let prepare = prepare_of(&self.store, call, call.epoch, script, self.call_max, sids).await?;
        let Some(node) = self.nodes.prepare_one(nodes, &prepare).await else {
            tracing::error!(call.id = %call.id, asked = nodes.len(), "no node takes the call");
            self.store.record_ending(call.id, EndedBy::System, EndReason::Error).await?;
            return Ok(Twiml(Sentence::Unavailable.and_goodbye(&language)));
        };
        Ok(self.connect(call.id, call.epoch, &node.name))
    }

    fn built_in_variables(&self, request: &VoiceRequest) -> BTreeMap<String, String> {
        built_in_variables(&request.from, &request.to, self.store.now(), &self.time_zone)
    }
}

/// What every call fills in by itself. Inbound numbers may be words; only what can be printed is taken from them.
pub(crate) fn built_in_variables(
    from: &str,
    to: &str,
    now: store::Moment,
    time_zone: &jiff::tz::TimeZone,
) -> BTreeMap<String, String> {
    let printable = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
        if text.is_empty() { "an unknown number".to_owned() } else { text }
    };
    let ms = i64::try_from(now.as_ms()).unwrap_or(i64::MAX);
    let local = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_zoned(time_zone.clone());
    BTreeMap::from([
        ("caller_number".to_owned(), printable(from)),
        ("called_number".to_owned(), printable(to)),
        ("date".to_owned(), local.strftime("%A, %B %-d, %Y").to_string()),
        ("time".to_owned(), local.strftime("%H:%M").to_string()),
    ])
}

/// A fresh id.
pub(crate) fn new_call_id(now_ms: u64) -> CallId {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("invariant: the operating system has randomness");
    CallId::new(now_ms, u128::from_le_bytes(random))
}
