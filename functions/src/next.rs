//! `/twilio/voice/next`: a stream has ended, and Twilio asks what comes now.
//!
//! Four rules, in this order:
//! 1. The call is not in progress: nothing.
//! 2. The node wrote a next step, or still keeps one: that.
//! 3. Nobody meant the stream to end: the call goes on in a new epoch, on another node, with what was said so far. A
//!    repeat gets the answer that was given.
//! 4. That happened too often: an apology, and the end.

use std::time::Duration;

use axum::extract::State;
use call::journal::{Entry, Kind, NextStep};
use store::{CallRecord, Move, Node, StatusFact, StoreError};
use wire::twilio::form::{DialCallStatus, DialCallback, VoiceRequest};
use wire::twilio::twiml::{Dial, Response, Verb};

use crate::connect::{Twiml, prepare_of};
use crate::door::Signed;
use crate::guard::has_e164_shape;
use crate::problem::Problem;
use crate::sentence::{Sentence, words_and_goodbye};
use crate::state::VoiceState;
use crate::status::status_of;
use crate::voice::Known;

/// How long the phone of whom a caller is transferred to rings.
const TRANSFER_RINGS: Duration = Duration::from_secs(30);

pub(crate) async fn next(State(state): State<VoiceState>, signed: Signed<VoiceRequest>) -> Result<Twiml, Problem> {
    let Signed { callback: request, form, mention } = signed;
    let call = match state.known(&request, mention).await? {
        Known::Call(call) => *call,
        Known::NotYet | Known::Wrong => {
            tracing::warn!(call.sid = %request.call_sid, "a stream of an unknown call has ended");
            let gone = if request.is_in_progress() {
                Twiml(Sentence::Unavailable.and_goodbye("en"))
            } else {
                Twiml::nothing()
            };
            return Ok(gone);
        }
    };
    let epoch = mention.epoch.unwrap_or(call.epoch);
    if mention.dialled
        && let Ok(dial) = DialCallback::from_form(&form)
    {
        return state.after_dial(&call, epoch, &dial).await;
    }
    if !request.is_in_progress() {
        state.note_end(&call, &request).await?;
        return Ok(Twiml::nothing());
    }
    state.after_stream(call, epoch, &request).await
}

impl VoiceState {
    /// What comes after the stream of epoch `from`, of a call in progress.
    pub(crate) async fn after_stream(
        &self,
        call: CallRecord,
        from: u32,
        request: &VoiceRequest,
    ) -> Result<Twiml, Problem> {
        let step = match call.marks.next_steps.get(&from) {
            Some(step) => Some(step.clone()),
            None if from == call.epoch => self.kept_by_the_node(&call).await?,
            None => None,
        };
        match step {
            None | Some(NextStep::Continue) => self.go_on_elsewhere(call, from, request).await,
            Some(NextStep::HangUp { .. }) => Ok(Twiml(Response::from([Verb::Hangup]))),
            Some(NextStep::Apologise { text, language, .. }) => Ok(Twiml(words_and_goodbye(text, &language))),
            Some(NextStep::Transfer { to }) => Ok(self.transfer(&call, from, to).await),
        }
    }

    /// The node may have ended the stream and not reached the store. What it says is written, so that a repeat hears it
    /// too.
    async fn kept_by_the_node(&self, call: &CallRecord) -> Result<Option<NextStep>, StoreError> {
        let Some(node) = call.node() else { return Ok(None) };
        match self.nodes.kept_step(node, call.id, call.epoch).await {
            Ok(None) => Ok(None),
            Ok(Some(step)) => {
                self.store.put_next_step(call.id, call.epoch, &step).await?;
                // Another one may have been written meanwhile; the first one stays.
                Ok(self.store.next_step(call.id, call.epoch).await?.or(Some(step)))
            }
            Err(error) => {
                tracing::warn!(call.id = %call.id, node, %error, "the node of a stream that ended has no next step");
                Ok(None)
            }
        }
    }

    async fn go_on_elsewhere(&self, call: CallRecord, from: u32, request: &VoiceRequest) -> Result<Twiml, Problem> {
        let script = self.store.call_script(call.id).await?;
        let language = script.script.language.clone();
        let (to, is_repeat) = (from.saturating_add(1), call.epoch > from);
        // Of a repeat the node is known. Otherwise another one than that whose stream ended.
        let first = call.marks.nodes.get(&to).map(String::as_str);
        let nodes = self.nodes.candidates(call.id, first, call.marks.nodes.get(&from).map(String::as_str)).await?;
        if call.marks.gave_up_after == Some(from) {
            return Ok(Twiml(Sentence::Broken.and_goodbye(&language)));
        }
        let sids = (request.account_sid, request.call_sid);
        let prepare = prepare_of(&self.store, &call, to, script, self.call_max, sids).await?;
        let Some(node) = self.nodes.prepare_one(&nodes, &prepare).await else {
            tracing::error!(call.id = %call.id, epoch = to, asked = nodes.len(), "no node goes on with the call");
            let (by, why) = (call::journal::EndedBy::System, call::journal::EndReason::Error);
            self.store.record_ending(call.id, by, why).await?;
            return Ok(Twiml(Sentence::Unavailable.and_goodbye(&language)));
        };
        if is_repeat {
            return Ok(self.connect(call.id, to, &node.name));
        }
        self.moved(&call, from, node, request, &language).await
    }

    /// Writes the new epoch. The node is prepared by then; if it turns out not to be needed, it is told so.
    async fn moved(
        &self,
        call: &CallRecord,
        from: u32,
        node: &Node,
        request: &VoiceRequest,
        language: &str,
    ) -> Result<Twiml, Problem> {
        match self.store.next_epoch(call.id, from, &node.name).await? {
            Move::Moved(call) => {
                tracing::info!(call.id = %call.id, epoch = call.epoch, node = node.name, "a call goes on in a new epoch");
                Ok(self.connect(call.id, call.epoch, &node.name))
            }
            Move::Repeat { epoch, node: chosen, .. } => {
                if chosen != node.name {
                    self.nodes.release(&node.name, call.id).await;
                }
                Ok(self.connect(call.id, epoch, &chosen))
            }
            Move::Decided(step) => {
                self.nodes.release(&node.name, call.id).await;
                Ok(match step {
                    NextStep::HangUp { .. } | NextStep::Continue => Twiml(Response::from([Verb::Hangup])),
                    NextStep::Apologise { text, language, .. } => Twiml(words_and_goodbye(text, &language)),
                    NextStep::Transfer { to } => self.transfer(call, from, to).await,
                })
            }
            Move::TooMany => {
                tracing::error!(call.id = %call.id, epoch = from, "a call broke off too often");
                self.nodes.release(&node.name, call.id).await;
                Ok(Twiml(Sentence::Broken.and_goodbye(language)))
            }
            Move::Over => {
                tracing::warn!(call.id = %call.id, call.sid = %request.call_sid, "the record says that the call is over");
                self.nodes.release(&node.name, call.id).await;
                Ok(Twiml(Sentence::Unavailable.and_goodbye(language)))
            }
        }
    }

    async fn transfer(&self, call: &CallRecord, epoch: u32, to: String) -> Twiml {
        if !has_e164_shape(&to) {
            tracing::error!(call.id = %call.id, "a call was to be transferred to what is no telephone number");
            return Twiml(Sentence::NotReached.and_goodbye(&self.language_of(call).await));
        }
        // To whom is called, an inbound caller's own number is shown; of a call that we placed, ours.
        let caller_id = match call.direction {
            store::Direction::Inbound => None,
            store::Direction::Outbound => Some(call.from.clone().into()),
        };
        let action = Some(self.urls(call.id).after_dial(epoch));
        let dial = Dial { number: to.into(), caller_id, action, timeout: Some(TRANSFER_RINGS) };
        Twiml(Response::from([Verb::Dial(dial)]))
    }

    /// Whoever took over has gone, or never came.
    async fn after_dial(&self, call: &CallRecord, epoch: u32, dial: &DialCallback) -> Result<Twiml, Problem> {
        let seconds = dial.dial_call_duration.map_or(0, |length| length.as_secs());
        let status = dial.dial_call_status.as_str();
        tracing::info!(call.id = %call.id, status, seconds, "a transfer has ended");
        // Epoch 0 is the control plane's own part of the journal: no stream writes there. The number is the same for a
        // repeat, which therefore changes nothing.
        let command = format!("transfer ended: {status} after {seconds} s");
        let at_ms = self.store.now().as_ms();
        let entry = Entry { epoch: 0, seq: u64::from(epoch).max(1), at_ms, kind: Kind::Commanded { command } };
        self.store.append_journal(call.id, &[entry]).await?;
        if !dial.request.is_in_progress() {
            self.note_end(call, &dial.request).await?;
            return Ok(Twiml::nothing());
        }
        match &dial.dial_call_status {
            DialCallStatus::Completed | DialCallStatus::Answered => Ok(Twiml(Response::from([Verb::Hangup]))),
            DialCallStatus::Busy
            | DialCallStatus::NoAnswer
            | DialCallStatus::Failed
            | DialCallStatus::Canceled
            | DialCallStatus::Other(_) => Ok(Twiml(Sentence::NotReached.and_goodbye(&self.language_of(call).await))),
        }
    }

    async fn language_of(&self, call: &CallRecord) -> String {
        let script = self.store.call_script(call.id).await;
        script.map_or_else(|_| "en".to_owned(), |script| script.script.language)
    }

    /// Twilio says in passing that the call is over: the callback that should say it may never come.
    async fn note_end(&self, call: &CallRecord, request: &VoiceRequest) -> Result<(), StoreError> {
        let Some(status) = request.call_status.as_ref().and_then(status_of) else { return Ok(()) };
        if status.is_final() {
            let fact = StatusFact { status, at: self.store.now(), duration_s: None, sip_code: None };
            self.store.record_status(call.id, fact).await?;
            self.bell.ring();
        }
        Ok(())
    }
}
