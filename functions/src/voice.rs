//! `/twilio/voice`: a call comes in, or one that we placed is answered.
//!
//! A call is opened once per `CallSid`. Twilio asks again when it did not like or did not get an answer: it then gets the
//! same epoch and node with a fresh token, also when the request comes so late that the stream is up. It also asks here
//! when we sent it back ourselves (`again=1`), because everything else failed; if the call had a stream by then, that
//! stream is over, and the answer is what `next` would say.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use call::CallId;
use call::journal::{EndReason, EndedBy};
use store::{Adopted, CallRecord, CallScript, NewCall, Node, StoreError};
use wire::twilio::ConnectionOverrides;
use wire::twilio::form::VoiceRequest;
use wire::twilio::twiml::{RejectReason, Response, Verb, Webhook};

use crate::connect::{AGAIN, Twiml, ends_by, longest, prepare_of};
use crate::door::{Mention, Signed, finish};
use crate::problem::Problem;
use crate::sentence::{Ear, Sentence};
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
    let back = state.voice_again(mention);
    state.in_time(&request, (mention.again, back), state.answer(&request, mention)).await
}

/// What we know of the call that Twilio asks about.
pub(crate) enum Known {
    Call(Box<CallRecord>),
    NotYet,
    /// It is not the call it says it is, or is forgotten.
    Wrong,
}

impl VoiceState {
    async fn answer(&self, request: &VoiceRequest, mention: Mention) -> Result<Twiml, Problem> {
        match self.known(request, mention).await? {
            Known::Call(call) => self.go_on(*call, request, mention.again).await,
            Known::NotYet => self.open(request, mention.again).await,
            Known::Wrong => Ok(Twiml(Sentence::Unavailable.and_goodbye("en", Ear::of(request)))),
        }
    }

    pub(crate) fn voice_again(&self, mention: Mention) -> Webhook {
        let call = mention.call.map(|call| format!("call={call}&")).unwrap_or_default();
        let url = self.webhooks.public.join(&format!("/twilio/voice?{call}{AGAIN}"));
        Webhook::post(ConnectionOverrides::for_twiml().apply(&url))
    }

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
                // It need not be written now to be answered now: the next webhook brings the id again.
                Err(error) if error.is_retryable() => match self.store.call(id).await {
                    Ok(call) if call.twilio_sid.is_none_or(|known| known == sid) => Ok(call),
                    Ok(_) => return Ok(Known::Wrong),
                    Err(_) => Err(error),
                },
                Err(error) => Err(error),
            },
            None => self.store.call_by_sid(sid).await,
        };
        match found {
            Ok(call) => Ok(Known::Call(Box::new(call))),
            Err(StoreError::NotFound(_)) if mention.call.is_none() => Ok(Known::NotYet),
            Err(error) if error.is_gone() => Ok(Known::Wrong),
            Err(error) => Err(error),
        }
    }

    async fn open(&self, request: &VoiceRequest, is_again: bool) -> Result<Twiml, Problem> {
        let ear = Ear::of(request);
        if ear == Ear::Called {
            tracing::warn!(call.sid = %request.call_sid, "Twilio asks about an outbound call that is not ours");
            return Ok(Twiml(Sentence::Unavailable.and_goodbye("en", ear)));
        }
        if self.webhooks.limits.caller(&request.from).is_err() {
            tracing::warn!(call.sid = %request.call_sid, "a caller calls too often, and hears that the line is busy");
            return Ok(Twiml(Response::from([Verb::Reject(RejectReason::Busy)])));
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
                return Ok(Twiml(Sentence::Unavailable.and_goodbye(&agent.language, ear)));
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
            return self.go_on(opened.call, request, is_again).await;
        }
        tracing::info!(call.id = %id, call.sid = %request.call_sid, agent = opened.call.agent, "a call comes in");
        self.bell.ring();
        self.begin(&opened.call, script, &nodes, request).await
    }

    /// Answers for a call that is open already.
    async fn go_on(&self, call: CallRecord, request: &VoiceRequest, is_again: bool) -> Result<Twiml, Problem> {
        if call.status.is_final() {
            return Ok(Twiml(Sentence::Unavailable.and_goodbye("en", Ear::at(&call))));
        }
        let epoch = call.epoch;
        match call.marks.streams.get(&epoch) {
            // Only our own redirect says that the stream is over. Any other request is a repeat of one that was answered
            // before, however late it comes: it hears the same, and the call that is under way is left alone.
            Some((node, _)) if !is_again => return Ok(self.connect(call.id, epoch, node)),
            Some(_) => return self.after_stream(call, epoch, request).await,
            // The node has given up before there was a stream.
            None if call.marks.next_steps.contains_key(&epoch) => return self.after_stream(call, epoch, request).await,
            None => {}
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
        let asked = self.nodes.prepare_one(nodes, &prepare).await;
        self.beside("the prepared node", self.nodes.settle(call, call.epoch, &asked)).await;
        let Some(node) = asked.took else {
            tracing::error!(call.id = %call.id, asked = nodes.len(), "no node takes the call");
            // Twilio may not get this answer, ask again, and be given a node: so it is no more than an intent.
            let intent = self.store.intend_ending(call.id, EndedBy::System, EndReason::Error);
            self.beside("why a call ends", intent).await;
            return Ok(Twiml(Sentence::Unavailable.and_goodbye(&language, Ear::at(call))));
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
