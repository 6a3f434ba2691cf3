//! What Twilio reports of a call, by seed, and how it may arrive. **Only for tests**: shuffled, doubled, lost and late, as
//! the status callbacks of a number or of a single call are configured.
//!
//! A [`Story`] is a set of facts. The promise to be tested: whatever the order of their arrival and however often each
//! comes, the record is the one that they make in the order in which they happened.

use std::time::Duration;

use call::CallId;

use crate::clock::Moment;
use crate::record::{CallRecord, Direction, Marks, Source, Status};
use crate::status::{StatusFact, likely_ending};

/// 2026-11-21T12:00:00Z.
const NOON: Moment = Moment::from_ms(1_795_262_400_000);

/// Where the callbacks are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// At the call, when it is placed: each step is reported.
    Call,
    /// At the number: only the end is.
    Number,
}

/// What arrives of what happened, in the order in which it happened.
#[derive(Clone, Debug)]
pub struct Story {
    /// How callbacks are configured.
    pub level: Level,
    /// What is reported at least once.
    pub facts: Vec<StatusFact>,
    seed: u64,
}

impl Story {
    /// The story of this seed.
    #[must_use]
    pub fn by_seed(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x5bd1_e995);
        let level = if random.bool() { Level::Call } else { Level::Number };
        let after = |ms: u64| NOON.after(Duration::from_millis(ms));
        // Twilio's own times are whole seconds, ours are not.
        let callback = |status, ms: u64| fact(status, after(ms / 1_000 * 1_000), Source::Callback);
        let (rang, answered) = (random.u64(0..2_000), random.u64(2_000..20_000));
        let ended = answered + random.u64(0..100_000);
        let answers = random.u8(0..5) > 0;
        let finals = [Status::Busy, Status::NoAnswer, Status::Failed, Status::Canceled];
        let last = if answers { Status::Completed } else { finals[random.usize(..finals.len())] };

        let mut facts = Vec::new();
        if level == Level::Call {
            facts.push(callback(Status::Queued, 0));
            facts.push(callback(Status::Ringing, rang));
            if answers {
                facts.push(callback(Status::InProgress, answered));
            }
        }
        let seconds = u32::try_from((ended / 1_000).saturating_sub(answered / 1_000)).unwrap_or(0);
        let mut reported = callback(last, ended);
        reported.duration_s = answers.then_some(seconds);
        reported.sip_code = random.bool().then(|| random.u16(200..600));
        // A callback may come without its time: then it is known when it came, and how long the call was.
        if random.u8(0..8) == 0 {
            (reported.source, reported.at) = (Source::Passing, after(ended + random.u64(0..30_000)));
        }
        facts.push(reported);
        if answers {
            // What `next` hears in passing, with the time of its own arrival: at once, or after retries.
            facts.push(fact(last, after(ended + random.u64(0..15_000)), Source::Passing));
        }
        if random.u8(0..3) == 0 {
            let mut listed = fact(last, after(ended / 1_000 * 1_000), Source::List);
            listed.duration_s = answers.then_some(seconds);
            facts.push(listed);
        }
        // Any of them may never come.
        facts.retain(|_| random.u8(0..4) > 0);
        Self { level, facts, seed }
    }

    /// The call before anything is reported.
    #[must_use]
    pub fn call(&self) -> CallRecord {
        CallRecord {
            id: CallId::new(NOON.as_ms(), u128::from(self.seed)),
            twilio_sid: None,
            direction: Direction::Inbound,
            from: "+12025550123".to_owned(),
            to: "+12025550100".to_owned(),
            phone: "+12025550123".to_owned(),
            agent: "receptionist".to_owned(),
            agent_version: 1,
            engine: None,
            engines_tried: Vec::new(),
            status: Status::Ringing,
            ended_by: None,
            end_reason: None,
            created_at: NOON,
            answered_at: None,
            ended_at: None,
            duration_s: None,
            outcome: None,
            epoch: 1,
            recording: None,
            simulated: true,
            transfer: None,
            marks: Marks::default(),
        }
    }

    /// What the record says after these facts, without a store.
    #[must_use]
    pub fn record(&self, facts: &[StatusFact]) -> CallRecord {
        let mut call = self.call();
        for fact in facts {
            fact.apply(&mut call);
        }
        if let Some((by, why)) = call.marks.ending.or_else(|| likely_ending(&call)) {
            (call.ended_by, call.end_reason) = (Some(by), Some(why));
        }
        call
    }

    /// The facts as they arrive: in any order, each once or more often.
    #[must_use]
    pub fn shuffled(&self, random: &mut fastrand::Rng) -> Vec<StatusFact> {
        let mut facts = self.facts.clone();
        for fact in &self.facts {
            for _ in 0..random.u8(0..3) {
                facts.push(*fact);
            }
        }
        random.shuffle(&mut facts);
        facts
    }
}

fn fact(status: Status, at: Moment, source: Source) -> StatusFact {
    StatusFact { status, at, source, duration_s: None, sip_code: None }
}
