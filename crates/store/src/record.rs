//! What is known of a call as a whole: the record that the API shows, and the marks beside it that it does not.

use std::collections::{BTreeMap, BTreeSet};

use call::CallId;
use call::agent::EngineKind;
use call::journal::{EndReason, EndedBy, NextStep};
pub use call::outcome::Outcome;
use serde::{Deserialize, Serialize};
use wire::twilio::CallSid;

use crate::clock::Moment;
use crate::counters::Counted;

/// A call, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Our own id.
    pub id: CallId,
    /// Twilio's id, once Twilio knows the call.
    pub twilio_sid: Option<CallSid>,
    /// Who called whom.
    pub direction: Direction,
    /// The calling number; an inbound one may be `anonymous`, `client:…` or `sip:…`.
    pub from: String,
    /// The called number.
    pub to: String,
    /// The other party's number: `from` of an inbound call, `to` of an outbound one.
    pub phone: String,
    /// The agent's name.
    pub agent: String,
    /// The version of the agent that the call runs on; 0 for a file that was never stored.
    pub agent_version: u32,
    /// The engine that speaks, or spoke last.
    pub engine: Option<EngineKind>,
    /// All engines that were dialled, in the order of their first dialling.
    pub engines_tried: Vec<EngineKind>,
    /// How far the call is.
    pub status: Status,
    /// Who ended it; none before the end.
    pub ended_by: Option<EndedBy>,
    /// Why it ended; none before the end.
    pub end_reason: Option<EndReason>,
    /// When it was opened.
    pub created_at: Moment,
    /// When it was answered.
    pub answered_at: Option<Moment>,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// How long it lasted from being answered, in seconds.
    pub duration_s: Option<u32>,
    /// Whether it reached its goal; none until judged.
    pub outcome: Option<Outcome>,
    /// The number of the current media stream.
    pub epoch: u32,
    /// The recording; none when the call is not recorded.
    pub recording: Option<RecordingState>,
    /// Whether Twilio was simulated.
    pub simulated: bool,
    /// What became of the last transfer; none where nobody was dialled, or it is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    /// What we keep to ourselves.
    #[serde(skip)]
    pub marks: Marks,
}

impl CallRecord {
    /// The node that owns the current epoch.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.marks.nodes.get(&self.epoch).map(String::as_str)
    }
}

/// What the store keeps beside a call's record and the API does not show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    /// How far an outbound call's dialling is; none for an inbound call.
    pub dial: Option<Dial>,
    /// Since when Twilio is being asked.
    pub dialing_at: Option<Moment>,
    /// The node of each epoch.
    pub nodes: BTreeMap<u32, String>,
    /// When each epoch began, the first with the call.
    pub epoch_starts: Vec<Moment>,
    /// The next step that a node wrote for each epoch.
    pub next_steps: BTreeMap<u32, NextStep>,
    /// The stream that won each epoch: its node and its Twilio id.
    pub streams: BTreeMap<u32, (String, String)>,
    /// The epoch after which we gave up, because there were too many.
    pub gave_up_after: Option<u32>,
    /// Who ended the call and why, as a node or a person said. The record shows it once the call is over.
    pub ending: Option<(EndedBy, EndReason)>,
    /// The SIP answer code of the end, where Twilio gave one.
    pub sip_code: Option<u16>,
    /// Why the call could not be placed, in the carrier's or our words.
    pub failure: Option<String>,
    /// When the call will surely be over.
    pub ends_by: Moment,
    /// What is known about times and length, by who says it. The record's own figures are derived from this.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<Source, Figures>,
    /// What somebody wants to end the call for, while nobody knows yet whether that came to pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The epochs whose transfer has come to its end. None of them is dialled again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub transfers_ended: BTreeSet<u32>,
    /// Since when there is reason to ask Twilio whether the call is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted_at: Option<Moment>,
    /// Whether the call counts among the placed calls that are under way.
    #[serde(default)]
    pub(crate) holds_place: bool,
    /// The engines' chats, as their services reported them, in the order in which they began.
    #[serde(default)]
    pub chats: Vec<Chat>,
    /// What the recording was last joined of.
    #[serde(default)]
    pub joined: Option<Joined>,
    /// Where it is remembered with which request the call was placed, so that this can be forgotten with the call.
    #[serde(default)]
    pub(crate) asked_with: Option<String>,
    /// What the call was counted as; none before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counted: Option<Counted>,
    /// Who may dial, so that a writer whose answer was lost recognises itself.
    #[serde(default)]
    pub(crate) dialing_by: Option<String>,
    /// Who moved the call to its current epoch, for the same reason.
    #[serde(default)]
    pub(crate) moved_by: Option<String>,
}

/// Who says when something happened, the best one first. Of two that differ the better one is believed, whichever came
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A status callback with a time of its own.
    Callback,
    /// Twilio's list of calls.
    List,
    /// Twilio in passing: the time is that of the request's arrival.
    Passing,
    /// We ourselves: a stream was claimed, or a call was given up.
    Ourselves,
}

/// What one source says. Said twice, the earlier time counts, and the longer length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Moment>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// How long it lasted from being answered, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u32>,
    /// The SIP answer code of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_code: Option<u16>,
}

/// An end that somebody wants and Twilio has not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Who wants it.
    pub by: EndedBy,
    /// Why.
    pub why: EndReason,
    /// Since when.
    pub at: Moment,
}

/// What became of connecting the caller with somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The epoch whose next step it was.
    pub epoch: u32,
    /// Twilio's word for it (`completed`, `busy`, `no-answer`, `failed`, `canceled`); `cut-off` when the longest call was
    /// over, `unknown` when nobody said.
    pub status: String,
    /// How long the two were connected, in seconds.
    pub duration_s: u64,
    /// When it was over.
    pub at: Moment,
}

/// A session as an engine's own service reported it, beside what the node wrote down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// Whose it is.
    pub engine: EngineKind,
    /// The service's id of the chain of sessions.
    pub group: String,
    /// The service's id of the session.
    pub id: String,
    /// When it began, by the service's clock; none until that is reported.
    #[serde(default)]
    pub started_at: Option<Moment>,
    /// When it ended, likewise.
    #[serde(default)]
    pub ended_at: Option<Moment>,
    /// How long it was, in seconds.
    #[serde(default)]
    pub duration_s: Option<u64>,
    /// Why it ended, in the service's words.
    #[serde(default)]
    pub end_reason: Option<String>,
}

impl Chat {
    /// A chat of which no more is known.
    #[must_use]
    pub const fn new(engine: EngineKind, group: String, id: String) -> Self {
        Self { engine, group, id, started_at: None, ended_at: None, duration_s: None, end_reason: None }
    }

    /// Takes in another report of the same chat. What was reported stays.
    pub(crate) fn take(&mut self, report: &Self) {
        self.started_at = self.started_at.or(report.started_at);
        self.ended_at = self.ended_at.or(report.ended_at);
        self.duration_s = self.duration_s.or(report.duration_s);
        self.end_reason = self.end_reason.take().or_else(|| report.end_reason.clone());
    }
}

/// What a recording was joined of. A segment that came later shows in the figures, a file of somebody slower in the tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// How many segments.
    pub segments: u32,
    /// Their bytes.
    pub bytes: u64,
    /// The file's tag; empty where there is no file.
    pub etag: String,
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody called us.
    Inbound,
    /// We called somebody.
    Outbound,
}

/// How far a call is. It only moves forward, and the last five are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Opened, not ringing yet.
    Queued,
    /// The other side's phone rings.
    Ringing,
    /// Answered.
    InProgress,
    /// Answered and over.
    Completed,
    /// The line was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// It could not be placed.
    Failed,
    /// It was called off before it was answered.
    Canceled,
}

impl Status {
    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Ringing | Self::InProgress => false,
            Self::Completed | Self::Busy | Self::NoAnswer | Self::Failed | Self::Canceled => true,
        }
    }

    /// Whether a call with status `self` may become `next`: only forward, and never out of a final one.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        self.rank() < next.rank()
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Ringing => 1,
            Self::InProgress => 2,
            Self::Completed | Self::Busy | Self::NoAnswer | Self::Failed | Self::Canceled => 3,
        }
    }
}

/// Whether a call's recording can be heard yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// It is being recorded, or its segments are not joined yet.
    Pending,
    /// It is one file.
    Ready,
    /// The call ended without any recorded audio.
    Empty,
}

/// How far the dialling of an outbound call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dial {
    /// Nobody has asked Twilio yet.
    Opened,
    /// Somebody is asking Twilio, or died doing so.
    Dialing,
    /// Twilio has given the call its id.
    Dialed,
    /// It could not be placed.
    Failed,
}

/// What became of something that was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was news, and is written.
    Applied,
    /// It was known, or something newer was, or it only filled in figures: nothing follows from it.
    Stale,
}

/// Who ended a call and why, where nobody who took part has said it.
pub(crate) const fn ending_by_status(status: Status, direction: Direction) -> Option<(EndedBy, EndReason)> {
    match (status, direction) {
        (Status::Queued | Status::Ringing | Status::InProgress, _) => None,
        (Status::Completed, _) => Some((EndedBy::Caller, EndReason::HungUp)),
        (Status::Busy, _) => Some((EndedBy::System, EndReason::Busy)),
        // An inbound call that was never answered is one whose caller did not wait.
        (Status::NoAnswer, Direction::Inbound) => Some((EndedBy::Caller, EndReason::Canceled)),
        (Status::NoAnswer, Direction::Outbound) => Some((EndedBy::System, EndReason::NoAnswer)),
        (Status::Failed, _) => Some((EndedBy::System, EndReason::Error)),
        (Status::Canceled, Direction::Inbound) => Some((EndedBy::Caller, EndReason::Canceled)),
        (Status::Canceled, Direction::Outbound) => Some((EndedBy::Operator, EndReason::Canceled)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_moves_only_forward_and_final_is_absorbing() {
        use Status::{Busy, Canceled, Completed, Failed, InProgress, NoAnswer, Queued, Ringing};
        assert!(Queued.may_become(Ringing) && Queued.may_become(InProgress) && Ringing.may_become(Busy));
        for last in [Completed, Busy, NoAnswer, Failed, Canceled] {
            for next in [Queued, Ringing, InProgress, Completed, Busy, NoAnswer, Failed, Canceled] {
                assert!(!last.may_become(next), "{last:?} became {next:?}");
            }
        }
        assert!(!InProgress.may_become(Ringing) && !Ringing.may_become(Ringing));
    }
}
