//! What Twilio says about a call, in whatever order it arrives.

use std::time::Duration;

use call::CallId;
use call::agent::EngineKind;
use call::journal::{EndReason, EndedBy};

use crate::clock::Moment;
use crate::error::StoreError;
use crate::record::{
    CallRecord, Chat, Figures, Intent, Joined, Recorded, RecordingState, Source, Status, ending_by_status,
};
use crate::store::Store;
use crate::update::Change;
use crate::work::{WorkItem, WorkKind};

/// The node has written all of the journal by then: it batches for 250 ms.
pub(crate) const JOURNAL_SETTLES: Duration = Duration::from_secs(5);

/// The node has put the last segment by then: it puts one every 10 s.
const SEGMENTS_SETTLE: Duration = Duration::from_secs(15);

/// An end that comes so long after somebody wanted it is taken for theirs.
const INTENT_COUNTS: Duration = Duration::from_secs(60);

/// A call of which there is doubt is asked for after so long: a report may be on its way.
const DOUBT_SETTLES: Duration = Duration::from_secs(10);

/// The engine's own history is complete by then. Hume promises no time.
const HISTORY_SETTLES: Duration = Duration::from_secs(20);

/// Chats of a call that are kept. An engine opens one for each of a few links.
const CHATS_MAX: usize = 100;

/// A fact about a call's status: from a callback, or from Twilio's call list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusFact {
    /// The status.
    pub status: Status,
    /// When it began.
    pub at: Moment,
    /// Whose time that is.
    pub source: Source,
    /// The answered time of a completed call, in seconds.
    pub duration_s: Option<u32>,
    /// The SIP answer code of the end.
    pub sip_code: Option<u16>,
}

/// What a fact does to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The status moves.
    Moves,
    /// The figures become better.
    Refines,
    /// It was known.
    Nothing,
}

impl Store {
    /// Records a status. The end of a call also writes what is to be done after it, once; what comes later about the
    /// same end can only make the figures better.
    pub async fn record_status(&self, id: CallId, fact: StatusFact) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| match fact.apply(call) {
            Effect::Nothing => Change::Keep(Recorded::Stale),
            Effect::Refines => Change::Write(Recorded::Stale, Vec::new()),
            Effect::Moves if call.status.is_final() => Change::Write(Recorded::Applied, self.work_at_end(call)),
            Effect::Moves => Change::Write(Recorded::Applied, Vec::new()),
        })
        .await
    }

    /// There is reason to think that the call is over, and perhaps nobody will say so: Twilio is asked in a while.
    pub async fn doubt(&self, id: CallId) -> Result<Recorded, StoreError> {
        let now = self.now();
        self.change_call(id, |call| {
            if call.status.is_final() || call.marks.doubted_at.is_some() {
                return Change::Keep(Recorded::Stale);
            }
            call.marks.doubted_at = Some(now);
            let work = WorkItem::new(id, WorkKind::Reconcile, now.after(DOUBT_SETTLES));
            Change::Write(Recorded::Applied, vec![work])
        })
        .await
    }

    /// What is to be done when a call is over.
    pub(crate) fn work_at_end(&self, call: &CallRecord) -> Vec<WorkItem> {
        let now = self.now();
        let mut work = vec![WorkItem::new(call.id, WorkKind::Expire, self.expiry_of(call.id))];
        work.extend(self.telling(call.id, WorkKind::TellEnded));
        if call.status == Status::Completed {
            work.push(WorkItem::new(call.id, WorkKind::Analyse, now.after(JOURNAL_SETTLES)));
            work.push(WorkItem::new(call.id, WorkKind::Index, now.after(JOURNAL_SETTLES)));
        }
        // OpenAI keeps no history that could be asked for.
        if call.engines_tried.contains(&EngineKind::Hume) {
            work.push(WorkItem::new(call.id, WorkKind::FillTranscript, now.after(HISTORY_SETTLES)));
        }
        if call.recording == Some(RecordingState::Pending) {
            work.push(WorkItem::new(call.id, WorkKind::JoinRecording, now.after(SEGMENTS_SETTLE)));
        }
        work
    }

    /// Says who is ending the call and why, before the status tells that it ended. The first to say so is believed; a
    /// node's next step of the current epoch does the same.
    pub async fn record_ending(&self, id: CallId, by: EndedBy, why: EndReason) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            if call.marks.ending.is_some() {
                return Change::Keep(Recorded::Stale);
            }
            call.marks.ending = Some((by, why));
            call.marks.intent = None;
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// Somebody is about to end the call, and Twilio has not agreed yet. An end within the next minute is taken for
    /// theirs, also if nobody comes back to say so. A stream that starts meanwhile says that it did not come to that.
    pub async fn intend_ending(&self, id: CallId, by: EndedBy, why: EndReason) -> Result<Recorded, StoreError> {
        let intent = Intent { by, why, at: self.now() };
        self.change_call(id, |call| {
            if call.status.is_final() || call.marks.ending.is_some() || call.marks.intent == Some(intent) {
                return Change::Keep(Recorded::Stale);
            }
            call.marks.intent = Some(intent);
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// It did not come to that: Twilio refused, or the call was over before.
    pub async fn withdraw_intent(&self, id: CallId) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            if call.marks.intent.take().is_none() {
                return Change::Keep(Recorded::Stale);
            }
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// Records which engine speaks now (none to leave it) and which have been tried.
    pub async fn record_engines(
        &self,
        id: CallId,
        speaking: Option<EngineKind>,
        tried: &[EngineKind],
    ) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            let before = (call.engine, call.engines_tried.len());
            call.engine = speaking.or(call.engine);
            for engine in tried.iter().chain(&speaking) {
                if !call.engines_tried.contains(engine) {
                    call.engines_tried.push(*engine);
                }
            }
            if before == (call.engine, call.engines_tried.len()) {
                return Change::Keep(Recorded::Stale);
            }
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }

    /// Records what an engine's service reports of a chat: of at most a hundred chats, in any order, any number of times.
    pub async fn record_chat(&self, id: CallId, report: &Chat) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            let before = call.marks.chats.clone();
            let chats = &mut call.marks.chats;
            match chats.iter().position(|chat| (chat.engine, &chat.id) == (report.engine, &report.id)) {
                Some(known) => chats[known].take(report),
                None if chats.len() < CHATS_MAX => chats.push(report.clone()),
                None => {}
            }
            chats.sort_by(|a, b| (a.started_at.or(a.ended_at), &a.id).cmp(&(b.started_at.or(b.ended_at), &b.id)));
            if *chats == before { Change::Keep(Recorded::Stale) } else { Change::Write(Recorded::Applied, Vec::new()) }
        })
        .await
    }

    /// Records what the recording was joined of.
    pub async fn record_joined(
        &self,
        id: CallId,
        state: RecordingState,
        joined: &Joined,
    ) -> Result<Recorded, StoreError> {
        self.change_call(id, |call| {
            if call.recording == Some(state) && call.marks.joined.as_ref() == Some(joined) {
                return Change::Keep(Recorded::Stale);
            }
            call.recording = Some(state);
            call.marks.joined = Some(joined.clone());
            Change::Write(Recorded::Applied, Vec::new())
        })
        .await
    }
}

impl StatusFact {
    /// Applies the fact. What comes out depends on the facts, not on their order: each goes to its source's figures,
    /// where the earlier time and the longer length stay, and the record is derived from all of them. Only of two
    /// different ends, which Twilio never reports, the first one stays.
    pub(crate) fn apply(self, call: &mut CallRecord) -> Effect {
        if self.status.is_final() && call.status.is_final() && self.status != call.status {
            return Effect::Nothing;
        }
        let before = call.clone();
        // Twilio's times are whole seconds: none may lie before the call itself.
        let at = self.at.max(call.created_at);
        let said = match self.status {
            Status::Queued | Status::Ringing => Figures::default(),
            Status::InProgress => Figures { answered_at: Some(at), ..Figures::default() },
            Status::Completed => {
                let (duration_s, sip_code) = (self.duration_s, self.sip_code);
                Figures { ended_at: Some(at), duration_s, sip_code, answered_at: None }
            }
            Status::Busy | Status::NoAnswer | Status::Failed | Status::Canceled => {
                Figures { ended_at: Some(at), sip_code: self.sip_code, ..Figures::default() }
            }
        };
        let moves = call.status.may_become(self.status);
        if moves {
            call.status = self.status;
        }
        call.note(self.source, said);
        match call.status {
            Status::Queued | Status::Ringing | Status::InProgress | Status::Completed => {}
            Status::Busy | Status::NoAnswer | Status::Failed | Status::Canceled => {
                // Nobody was ever on the line: a node that is told to let its engine go knows nothing better.
                if call.marks.ending.is_none() {
                    call.marks.ending = likely_ending(call);
                }
            }
        }
        if moves {
            Effect::Moves
        } else if *call == before {
            Effect::Nothing
        } else {
            Effect::Refines
        }
    }
}

impl CallRecord {
    /// Takes in what a source says, and derives the record's figures anew.
    pub(crate) fn note(&mut self, source: Source, said: Figures) {
        if said != Figures::default() {
            let known = self.marks.figures.entry(source).or_default();
            known.answered_at = known.answered_at.into_iter().chain(said.answered_at).min();
            known.ended_at = known.ended_at.into_iter().chain(said.ended_at).min();
            known.duration_s = known.duration_s.max(said.duration_s);
            known.sip_code = known.sip_code.max(said.sip_code);
        }
        // The best source comes first.
        let figures = &self.marks.figures;
        if figures.is_empty() {
            return;
        }
        let (answered, ended) =
            (figures.values().find_map(|f| f.answered_at), figures.values().find_map(|f| f.ended_at));
        let length = figures.values().find_map(|f| f.duration_s);
        self.marks.sip_code = figures.values().find_map(|f| f.sip_code).or(self.marks.sip_code);
        self.answered_at = answered.or(self.answered_at);
        if !self.status.is_final() {
            return;
        }
        self.ended_at = ended.or(self.ended_at);
        let Some(ended) = self.ended_at.filter(|_| self.status == Status::Completed) else { return };
        if let Some(seconds) = length {
            self.answered_at = Some(ended.before(Duration::from_secs(u64::from(seconds))).max(self.created_at));
        }
        self.answered_at = self.answered_at.map(|answered| answered.min(ended));
        let lasted = self.answered_at.map(|answered| ended.since(answered).as_secs());
        self.duration_s = length.or(lasted.and_then(|seconds| u32::try_from(seconds).ok()));
    }
}

/// Who ended a call and why, where nobody who took part has said so.
pub(crate) fn likely_ending(call: &CallRecord) -> Option<(EndedBy, EndReason)> {
    let ended = call.ended_at.filter(|_| call.status.is_final())?;
    // Twilio's times are whole seconds. Who ended the call before that was somebody else.
    let counts =
        |intent: &Intent| ended.after(Duration::from_secs(1)) >= intent.at && ended.since(intent.at) <= INTENT_COUNTS;
    let intent = call.marks.intent.filter(counts);
    intent.map(|intent| (intent.by, intent.why)).or(ending_by_status(call.status, call.direction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shuffle::Story;

    /// Without a store, the derivation alone: so many orders that none is missed.
    #[test]
    fn the_record_is_the_same_in_each_of_twenty_thousand_orders() {
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..20_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let story = Story::by_seed(seed % 500);
            let (expected, got) = (story.record(&story.facts), story.record(&story.shuffled(&mut random)));
            assert_eq!(got, expected, "seed {seed}: {story:#?}");
            kinds.insert((story.level, expected.status.is_final()));
        }
        assert_eq!(kinds.len(), 4, "both configurations, with and without an end: {kinds:?}");
    }

    #[test]
    fn a_stranger_to_the_figures_keeps_what_it_knew() {
        // A record from before figures were kept by source.
        let mut call = Story::by_seed(1).call();
        (call.status, call.answered_at) = (Status::InProgress, Some(call.created_at.after(Duration::from_secs(3))));
        let end = call.created_at.after(Duration::from_secs(10));
        let fact = StatusFact {
            status: Status::Completed,
            at: end,
            source: Source::Passing,
            duration_s: None,
            sip_code: None,
        };
        fact.apply(&mut call);
        assert_eq!((call.duration_s, call.ended_at), (Some(7), Some(end)));
    }
}
