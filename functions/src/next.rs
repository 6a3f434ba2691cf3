//! `/twilio/voice/next`: a stream has ended, and Twilio asks what comes now.
//!
//! Four rules, in this order:
//! 1. The call is not in progress: nothing.
//! 2. The node wrote a next step, or still keeps one: that.
//! 3. Nobody meant the stream to end: the call goes on in a new epoch, on another node, with what was said so far. A
//!    repeat gets the answer that was given.
//! 4. That happened too often: an apology, and the end.
//!
//! When a transfer has ended, Twilio asks here as well (`after=dial`), and hears that the call is over.

use std::fmt;
use std::time::Duration;

use axum::extract::State;
use call::journal::{EndReason, EndedBy, NextStep};
use store::{CallRecord, Moment, Move, Node, Source, StatusFact, StoreError, Transfer};
use wire::twilio::form::{DialCallStatus, DialCallback, VoiceRequest};
use wire::twilio::twiml::{Dial, Response, Verb};

use crate::connect::{Twiml, prepare_of, transfer_ends_by};
use crate::door::{Mention, Signed};
use crate::guard::has_e164_shape;
use crate::problem::Problem;
use crate::sentence::{Ear, Sentence, words_and_goodbye};
use crate::shown::shown;
use crate::state::VoiceState;
use crate::status::status_of;
use crate::voice::Known;

/// With less than this left of the longest call nobody is dialled any more.
const TRANSFER_LASTS_MIN: Duration = Duration::from_secs(10);

/// How long the phone of whom a caller is transferred to rings.
const TRANSFER_RINGS: Duration = Duration::from_secs(30);

pub(crate) async fn next(State(state): State<VoiceState>, signed: Signed<VoiceRequest>) -> Result<Twiml, Problem> {
    let Signed { callback: request, form, mention } = signed;
    if mention.dialled {
        // Whatever else is wrong: from here nobody is dialled again.
        let dial = DialCallback::from_form(&form).ok();
        return Ok(state.after_dial(&request, mention, dial.as_ref()).await);
    }
    let back = match mention.call {
        Some(call) => state.urls(call).next_again(mention.epoch),
        None => state.voice_again(mention),
    };
    state.in_time(&request, (mention.again, back), state.what_next(&request, mention)).await
}

impl VoiceState {
    async fn what_next(&self, request: &VoiceRequest, mention: Mention) -> Result<Twiml, Problem> {
        let call = match self.known(request, mention).await? {
            Known::Call(call) => *call,
            Known::NotYet | Known::Wrong => {
                tracing::warn!(call.sid = %request.call_sid, "a stream of an unknown call has ended");
                let gone = if request.is_in_progress() {
                    Twiml(Sentence::Unavailable.and_goodbye("en", Ear::of(request)))
                } else {
                    Twiml::nothing()
                };
                return Ok(gone);
            }
        };
        if !request.is_in_progress() {
            self.beside("the end of a call", self.note_end(&call, request)).await;
            return Ok(Twiml::nothing());
        }
        let epoch = mention.epoch.unwrap_or(call.epoch);
        self.after_stream(call, epoch, request).await
    }

    /// What comes after the stream of epoch `from`, of a call in progress.
    pub(crate) async fn after_stream(
        &self,
        call: CallRecord,
        from: u32,
        request: &VoiceRequest,
    ) -> Result<Twiml, Problem> {
        // Its node is asked also when the call went on in another epoch, as long as that has no stream: the node may
        // have been too slow to say what it meant.
        let may_be_meant = from == call.epoch || !call.marks.streams.contains_key(&from.saturating_add(1));
        let step = match call.marks.next_steps.get(&from) {
            Some(step) => Some(step.clone()),
            None if may_be_meant => self.kept_by_the_node(&call, from).await,
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
    async fn kept_by_the_node(&self, call: &CallRecord, from: u32) -> Option<NextStep> {
        let node = call.marks.nodes.get(&from)?;
        match self.nodes.kept_step(node, call.id, from).await {
            Ok(None) => None,
            Ok(Some(step)) => {
                let written = async {
                    self.store.put_next_step(call.id, from, &step).await?;
                    self.store.next_step(call.id, from).await
                };
                // Another one may have been written meanwhile; the first one stays.
                self.beside("a next step", written).await.flatten().or(Some(step))
            }
            Err(error) => {
                tracing::warn!(call.id = %call.id, node, %error, "the node of a stream that ended has no next step");
                None
            }
        }
    }

    async fn go_on_elsewhere(&self, call: CallRecord, from: u32, request: &VoiceRequest) -> Result<Twiml, Problem> {
        let (to, is_repeat) = (from.saturating_add(1), call.epoch > from);
        // Of a repeat the node is known.
        let first = call.marks.nodes.get(&to).map(String::as_str);
        if let Some(node) = first.filter(|_| call.epoch > to || call.marks.streams.contains_key(&to)) {
            // It hears what was answered, and nothing is prepared for what is history or has its stream.
            return Ok(self.connect(call.id, to, node));
        }
        let script = self.store.call_script(call.id).await?;
        let language = script.script.language.clone();
        if call.marks.gave_up_after == Some(from) {
            return Ok(Twiml(Sentence::Broken.and_goodbye(&language, Ear::at(&call))));
        }
        // Otherwise another one than that whose stream ended.
        let nodes = self.nodes.candidates(call.id, first, call.marks.nodes.get(&from).map(String::as_str)).await?;
        let sids = (request.account_sid, request.call_sid);
        let prepare = prepare_of(&self.store, &call, to, script, self.call_max, sids).await?;
        let asked = self.nodes.prepare_one(&nodes, &prepare).await;
        self.beside("the prepared node", self.nodes.settle(&call, to, &asked)).await;
        let Some(node) = asked.took else {
            tracing::error!(call.id = %call.id, epoch = to, asked = nodes.len(), "no node goes on with the call");
            let intent = self.store.intend_ending(call.id, EndedBy::System, EndReason::Error);
            self.beside("why a call ends", intent).await;
            return Ok(Twiml(Sentence::Unavailable.and_goodbye(&language, Ear::at(&call))));
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
                Ok(Twiml(Sentence::Broken.and_goodbye(language, Ear::at(call))))
            }
            Move::Over => {
                tracing::warn!(call.id = %call.id, call.sid = %request.call_sid, "the record says that the call is over");
                self.nodes.release(&node.name, call.id).await;
                Ok(Twiml(Sentence::Unavailable.and_goodbye(language, Ear::at(call))))
            }
        }
    }

    async fn transfer(&self, call: &CallRecord, epoch: u32, to: String) -> Twiml {
        if call.marks.transfers_ended.contains(&epoch) {
            tracing::warn!(call.id = %call.id, epoch, "a transfer that is over is not begun again");
            return Twiml(Response::from([Verb::Hangup]));
        }
        let ear = Ear::at(call);
        if !has_e164_shape(&to) {
            tracing::error!(call.id = %call.id, "a call was to be transferred to what is no telephone number");
            return Twiml(Sentence::NotReached.and_goodbye(&self.language_of(call).await, ear));
        }
        // The longest call is the longest, whoever talks in it.
        let lasted = self.store.now().since(call.answered_at.unwrap_or(call.created_at));
        let Some(left) = self.call_max.checked_sub(lasted).filter(|left| *left >= TRANSFER_LASTS_MIN) else {
            tracing::warn!(call.id = %call.id, "a call has no time left to be transferred");
            let ending = self.store.record_ending(call.id, EndedBy::System, EndReason::Limit);
            self.beside("why a call ends", ending).await;
            return Twiml(Sentence::TimeIsUp.and_goodbye(&self.language_of(call).await, ear));
        };
        let time_limit = Duration::from_secs(left.as_secs());
        let ends_by = transfer_ends_by(&self.store, TRANSFER_RINGS, time_limit);
        self.beside("a transfer", self.store.begin_transfer(call.id, ends_by)).await;
        // To whom is called, an inbound caller's own number is shown; of a call that we placed, ours.
        let caller_id = match call.direction {
            store::Direction::Inbound => None,
            store::Direction::Outbound => Some(call.from.clone().into()),
        };
        let action = Some(self.urls(call.id).after_dial(epoch, time_limit));
        Twiml(Response::from([Verb::Dial(Dial {
            number: to.into(),
            caller_id,
            action,
            timeout: Some(TRANSFER_RINGS),
            time_limit: Some(time_limit),
        })]))
    }

    /// Whoever took over has gone, or never came. What Twilio says and what our URL says is enough to answer; everything
    /// else is done beside it, and never leads to another `<Dial>`.
    async fn after_dial(&self, request: &VoiceRequest, mention: Mention, dial: Option<&DialCallback>) -> Twiml {
        let known = self.beside("the call of a transfer", self.known(request, mention)).await;
        let call = match known {
            Some(Known::Call(call)) => Some(call),
            Some(Known::NotYet | Known::Wrong) | None => None,
        };
        let ended = Ended::of(dial, mention.limit);
        let answer = if request.is_in_progress() {
            let language = match &call {
                Some(call) if ended.is_said() => self.language_of(call).await,
                Some(_) | None => "en".to_owned(),
            };
            ended.answer(&language, Ear::of(request))
        } else {
            Twiml::nothing()
        };
        if let Some(call) = call {
            let epoch = mention.epoch.unwrap_or(call.epoch);
            self.beside("the end of a transfer", self.note_transfer(&call, epoch, &ended, request)).await;
        }
        answer
    }

    async fn note_transfer(
        &self,
        call: &CallRecord,
        epoch: u32,
        ended: &Ended,
        request: &VoiceRequest,
    ) -> Result<(), StoreError> {
        tracing::info!(call.id = %call.id, ended = %ended, "a transfer has ended");
        self.store.end_transfer(call.id, &ended.transfer(epoch, self.store.now())).await?;
        if request.is_in_progress() { Ok(()) } else { self.note_end(call, request).await }
    }

    async fn language_of(&self, call: &CallRecord) -> String {
        let script = self.beside("the language of a call", self.store.call_script(call.id)).await;
        script.map_or_else(|| "en".to_owned(), |script| script.script.language)
    }

    /// Twilio says in passing that the call is over: the callback that should say it may never come.
    async fn note_end(&self, call: &CallRecord, request: &VoiceRequest) -> Result<(), StoreError> {
        let Some(status) = request.call_status.as_ref().and_then(status_of) else { return Ok(()) };
        if status.is_final() {
            let duration_s = request.rest.get("CallDuration").and_then(|seconds| seconds.parse().ok());
            let at = self.store.now();
            let fact = StatusFact { status, at, source: Source::Passing, duration_s, sip_code: None };
            self.store.record_status(call.id, fact).await?;
            self.bell.ring();
        }
        Ok(())
    }
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// They have talked, for so many seconds.
    Talked { seconds: u64 },
    /// They have talked until the longest call was over.
    CutOff { seconds: u64 },
    /// They have not: Twilio's word for it.
    NotReached { status: String },
    /// Twilio does not say.
    Unknown,
}

impl Ended {
    fn of(dial: Option<&DialCallback>, limit: Option<Duration>) -> Self {
        let Some(dial) = dial else { return Self::Unknown };
        let seconds = dial.dial_call_duration.map_or(0, |length| length.as_secs());
        match &dial.dial_call_status {
            DialCallStatus::Completed | DialCallStatus::Answered => {
                // Twilio counts whole seconds.
                let cut = limit.is_some_and(|limit| seconds.saturating_add(1) >= limit.as_secs());
                if cut { Self::CutOff { seconds } } else { Self::Talked { seconds } }
            }
            DialCallStatus::Busy
            | DialCallStatus::NoAnswer
            | DialCallStatus::Failed
            | DialCallStatus::Canceled
            | DialCallStatus::Other(_) => Self::NotReached { status: shown(dial.dial_call_status.as_str()) },
        }
    }

    /// As the record shows it.
    fn transfer(&self, epoch: u32, at: Moment) -> Transfer {
        let (status, duration_s) = match self {
            Self::Talked { seconds } => ("completed", *seconds),
            Self::CutOff { seconds } => ("cut-off", *seconds),
            Self::NotReached { status } => (status.as_str(), 0),
            Self::Unknown => ("unknown", 0),
        };
        Transfer { epoch, status: status.to_owned(), duration_s, at }
    }

    /// Whether the answer has words.
    const fn is_said(&self) -> bool {
        match self {
            Self::Talked { .. } => false,
            Self::CutOff { .. } | Self::NotReached { .. } | Self::Unknown => true,
        }
    }

    fn answer(&self, language: &str, ear: Ear) -> Twiml {
        Twiml(match self {
            Self::Talked { .. } => Response::from([Verb::Hangup]),
            Self::CutOff { .. } => Sentence::TimeIsUp.and_goodbye(language, ear),
            Self::NotReached { .. } => Sentence::NotReached.and_goodbye(language, ear),
            Self::Unknown => Sentence::Unavailable.and_goodbye(language, ear),
        })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Talked { seconds } => write!(f, "completed after {seconds} s"),
            Self::CutOff { seconds } => write!(f, "cut off after {seconds} s, by the longest call (MAX_CALL_MINUTES)"),
            Self::NotReached { status } => write!(f, "{status} after 0 s"),
            Self::Unknown => f.write_str("nobody knows how"),
        }
    }
}
