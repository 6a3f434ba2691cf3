//! The access patterns, and the keys that serve them.
//!
//! | pattern | keys |
//! |---|---|
//! | a call | `CALL#<id>` / `CALL` |
//! | what a call runs on | `CALL#<id>` / `SCRIPT` |
//! | what was found out about a call | `CALL#<id>` / `ANALYSIS` |
//! | a call's journal, after a position | `CALL#<id>` / `J#<epoch>#<first seq>`, a range |
//! | a call by Twilio's id | `SID#<sid>` / `SID` |
//! | a repeated request | `IDEM#<user>#<key>` / `IDEM` |
//! | how many placed calls are under way, and when the next may follow | `PLACED` / `COUNT` |
//! | the placed calls that are under way | `PLACED` / `CALL#<id>`, a range |
//! | when a number may be called again | `CALLED#<digest>` / `CALLED` |
//! | who read, exported, corrected or erased a call | `CALL#<id>` / `ACCESS#<moment>#<what>#<who>`, a range |
//! | who exported many, or erased a number | `ACCESS#<yyyy-mm>` / `<moment>#<nonce>` |
//! | a number that is being erased | `ERASURE#<id>` / `NUMBER` |
//! | work that is due | `WORK#<0-7>` / `<due>#<id>`, a range |
//! | work that is dead | `WORK#dead` / `<id>` |
//! | all nodes | `NODES` / `<name>` |
//! | all agents, latest versions | `AGENTS` / `<name>` |
//! | a version of an agent | `AGENT#<name>` / `V#<n>` |
//! | calls by time | index `time`: `M#<yyyy-mm>` / `<started>#<id>`, backward, month by month |
//! | calls with a number | index `phone`: the other party's number / `<started>#<id>` |
//! | calls by outcome | index `outcome`: `<outcome>#<yyyy-mm>` / `<started>#<id>` |
//! | live calls of a node, overdue calls | index `live`: `LIVE#<node>` / `<deadline>` |
//! | a call's words, where its postings are known from | `CALL#<id>` / `WORDS` |
//! | calls with a word | `WORD#<word>#<yyyy-mm>` / `<started>#<id>`, backward, month by month |
//! | what a call has added to the figures of waiting | `CALL#<id>` / `LATENCY` |
//! | figures of a family, by day | `COUNT#<yyyy-mm>` / `<family>#<day>#<dimension>`, a range |
//! | segments of a recording | S3: `rec/<id>/<epoch>/<n>` |
//! | a recording, its waveform | S3: `rec/<id>/recording.wav`, `rec/<id>/waveform.json` |
//!
//! Numbers in keys are padded with zeros, so that keys sort as numbers do. Names that come from outside are escaped where
//! a `#` in them could make one key look like another.

use call::CallId;
use jiff::civil::Date;
use sha2::{Digest as _, Sha256};
use wire::twilio::CallSid;

use crate::clock::Moment;
use crate::journal::Position;
use crate::record::Outcome;

/// The work is spread over so many partitions: enough for thousands of items a second, few enough to ask them all.
pub(crate) const WORK_SHARDS: u32 = 8;

/// Each counter is divided into so many items: transactions that close calls at the same moment conflict on an item, and
/// when a node dies hundreds do. Reading adds them up.
const COUNTER_SHARDS: u32 = 4;

/// An item's two keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

/// The partition of a call.
pub(crate) fn call_partition(id: CallId) -> String {
    format!("CALL#{id}")
}

/// The call itself.
pub(crate) fn call(id: CallId) -> Key {
    Key::new(call_partition(id), "CALL")
}

/// What a call runs on.
pub(crate) fn script(id: CallId) -> Key {
    Key::new(call_partition(id), "SCRIPT")
}

/// What was found out about a call.
pub(crate) fn analysis(id: CallId) -> Key {
    Key::new(call_partition(id), "ANALYSIS")
}

/// A batch of a call's journal, by its first entry.
pub(crate) fn journal(id: CallId, first: Position) -> Key {
    Key::new(call_partition(id), journal_sort(first))
}

/// The sort key of a batch of a journal.
pub(crate) fn journal_sort(first: Position) -> String {
    format!("J#{:06}#{:012}", first.epoch, first.seq)
}

/// After all batches of a journal.
pub(crate) const JOURNAL_END: &str = "J#~";

/// The sort keys of who had access to a call begin so. They outlive the call.
pub(crate) const ACCESS: &str = "ACCESS#";

/// Somebody had access to a call, first at this moment.
pub(crate) fn access(id: CallId, at: Moment, what: &str, who: &str) -> Key {
    Key::new(call_partition(id), format!("{ACCESS}{at}#{what}#{}", escape(who)))
}

/// The partition of what people did to many calls at once, by month.
pub(crate) fn access_month(month: &str) -> String {
    format!("{ACCESS}{month}")
}

/// A number that is being erased.
pub(crate) fn number_erasure(order: CallId) -> Key {
    Key::new(format!("ERASURE#{order}"), "NUMBER")
}

/// The way from Twilio's id to the call.
pub(crate) fn sid(sid: CallSid) -> Key {
    Key::new(format!("SID#{sid}"), "SID")
}

/// A request that was made before.
pub(crate) fn idempotency(user: &str, key: &str) -> Key {
    Key::new(format!("IDEM#{}#{}", escape(user), escape(key)), "IDEM")
}

/// The partition of the placed calls that are under way.
pub(crate) const PLACED: &str = "PLACED";

/// How many they are.
pub(crate) fn placed_count() -> Key {
    Key::new(PLACED, "COUNT")
}

/// One of them.
pub(crate) fn placed_call(id: CallId) -> Key {
    Key::new(PLACED, format!("{PLACED_CALL}{id}"))
}

/// What their sort keys begin with.
pub(crate) const PLACED_CALL: &str = "CALL#";

/// A called number, by a digest: keys stand in errors, and numbers must not.
pub(crate) fn called(number: &str) -> Key {
    let digest = Sha256::digest(number.as_bytes());
    let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Key::new(format!("CALLED#{digest}"), "CALLED")
}

/// A partition of the work.
pub(crate) fn work_partition(shard: u32) -> String {
    format!("WORK#{shard}")
}

/// A piece of work. Its id decides the partition, FNV-1a spreading them evenly.
pub(crate) fn work(due: Moment, id: &str) -> Key {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Key::new(work_partition(hash % WORK_SHARDS), format!("{due}#{id}"))
}

/// After all work that is due at `now`.
pub(crate) fn work_due_end(now: Moment) -> String {
    format!("{now}#~")
}

/// The partition of dead work.
pub(crate) const DEAD_WORK: &str = "WORK#dead";

/// The partition of nodes.
pub(crate) const NODES: &str = "NODES";

/// The partition of agents.
pub(crate) const AGENTS: &str = "AGENTS";

/// A version of an agent.
pub(crate) fn agent_version(name: &str, version: u32) -> Key {
    Key::new(format!("AGENT#{name}"), format!("V#{version:06}"))
}

/// Index `time`: the partition of a month.
pub(crate) fn month(at: Moment) -> String {
    format!("M#{}", at.month())
}

/// Indexes `time`, `phone`, `outcome`: the place of a call in time.
pub(crate) fn started(at: Moment, id: CallId) -> String {
    format!("{at}#{id}")
}

/// Index `outcome`: the partition of an outcome in a month.
pub(crate) fn outcome_month(outcome: Outcome, at: Moment) -> String {
    let name = match outcome {
        Outcome::Yes => "yes",
        Outcome::No => "no",
        Outcome::Unclear => "unclear",
    };
    format!("{name}#{}", at.month())
}

/// Index `live`: the partition of a node's calls, or of those that no node owns yet. (No node's name is `-`.)
pub(crate) fn live(node: Option<&str>) -> String {
    format!("LIVE#{}", node.unwrap_or("-"))
}

/// The words that a call was indexed with.
pub(crate) fn words(id: CallId) -> Key {
    Key::new(call_partition(id), "WORDS")
}

/// What a call has added to the figures of waiting.
pub(crate) fn latency(id: CallId) -> Key {
    Key::new(call_partition(id), "LATENCY")
}

/// The partition of a word's postings in a month.
pub(crate) fn word_month(word: &str, at: Moment) -> String {
    format!("WORD#{word}#{}", at.month())
}

/// That a word was said in a call.
pub(crate) fn posting(word: &str, at: Moment, id: CallId) -> Key {
    Key::new(word_month(word, at), started(at, id))
}

/// The call of a place in time.
pub(crate) fn parse_started(sort: &str) -> Option<CallId> {
    sort.split_once('#')?.1.parse().ok()
}

/// What sorts just before a place in time: all earlier places do too.
pub(crate) fn just_before(started: &str) -> String {
    let mut text = started.to_owned();
    match text.pop() {
        // Places end with a letter or a digit, and have all the same length.
        Some(last) if last > '!' && last.is_ascii() => {
            text.push(char::from(u8::try_from(last).unwrap_or(b'!') - 1));
            text.push('~');
            text
        }
        Some(_) | None => text,
    }
}

/// The partition of a month's counters.
pub(crate) fn counter_partition(day: Date) -> String {
    format!("COUNT#{:04}-{:02}", day.year(), day.month())
}

/// The sort key of a counter.
pub(crate) fn counter_sort(family: &str, day: Date, dimension: &str) -> String {
    format!("{family}#{day}#{dimension}")
}

/// One of the items that a counter consists of.
pub(crate) fn counter(family: &str, day: Date, dimension: &str, shard: u32) -> Key {
    Key::new(counter_partition(day), counter_sort(family, day, &format!("{dimension}%{shard}")))
}

/// In which item of each counter a call is counted: the same whenever it is asked.
pub(crate) fn counter_shard(id: CallId) -> u32 {
    id.to_string().bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)))
        % COUNTER_SHARDS
}

/// Day and dimension of a counter of this family, from its sort key.
pub(crate) fn parse_counter<'s>(family: &str, sort: &'s str) -> Option<(Date, &'s str)> {
    let (day, dimension) = sort.strip_prefix(family)?.strip_prefix('#')?.split_once('#')?;
    let (dimension, _shard) = dimension.rsplit_once('%')?;
    Some((day.parse().ok()?, dimension))
}

/// S3: all that belongs to a call's recording.
pub(crate) fn recording_prefix(id: CallId) -> String {
    format!("rec/{id}/")
}

/// S3: a segment.
pub(crate) fn segment(id: CallId, epoch: u32, n: u32) -> String {
    format!("rec/{id}/{epoch:04}/{n:06}")
}

/// S3: epoch and number of a segment, from its key; none for the other objects of a recording.
pub(crate) fn parse_segment(id: CallId, key: &str) -> Option<(u32, u32)> {
    let (epoch, n) = key.strip_prefix(&recording_prefix(id))?.split_once('/')?;
    Some((epoch.parse().ok()?, n.parse().ok()?))
}

/// S3: the joined recording.
pub(crate) fn recording(id: CallId) -> String {
    format!("rec/{id}/recording.wav")
}

/// S3: the waveform.
pub(crate) fn waveform(id: CallId) -> String {
    format!("rec/{id}/waveform.json")
}

fn escape(name: &str) -> String {
    name.replace('%', "%25").replace('#', "%23")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_numbers_do() {
        let at = |epoch, seq| journal_sort(Position { epoch, seq });
        assert!(at(1, 9) < at(1, 10) && at(1, 999_999_999_999) < at(2, 1) && at(9, 1) < at(10, 1));
        assert!(at(999_999, 999_999_999_999).as_str() < JOURNAL_END);
    }

    #[test]
    fn no_user_can_write_a_key_that_is_another_users() {
        assert_ne!(idempotency("a#b", "c"), idempotency("a", "b#c"));
        assert_ne!(idempotency("a%23b", "c"), idempotency("a#b", "c"));
    }

    #[test]
    fn a_called_number_is_in_no_key() {
        let key = called("+12025550123");
        assert!(!format!("{key:?}").contains("2025550123"));
        assert!(key != called("+12025550124") && key == called("+12025550123"));
    }

    #[test]
    fn segments_read_back_and_nothing_else_is_one() {
        let id = CallId::new(1, 2);
        assert_eq!(segment(id, 2, 31), format!("rec/{id}/0002/000031"));
        assert_eq!(parse_segment(id, &segment(id, 2, 31)), Some((2, 31)));
        assert_eq!(parse_segment(id, &recording(id)), None);
        assert_eq!(parse_segment(CallId::new(1, 3), &segment(id, 2, 31)), None);
    }

    #[test]
    fn what_is_just_before_a_place_lies_between_it_and_all_earlier_ones() {
        let place = |n: u128| started(Moment::from_ms(1_700_000_000_000), CallId::new(1_700_000_000_000, n));
        for n in 1..200 {
            let before = just_before(&place(n));
            assert!(place(n - 1) < before && before < place(n), "{n}");
        }
        assert_eq!(parse_started(&place(7)), Some(CallId::new(1_700_000_000_000, 7)));
    }

    #[test]
    fn work_ids_use_all_shards() {
        let mut used = std::collections::BTreeSet::new();
        for n in 0..100 {
            used.insert(work(Moment::from_ms(0), &format!("reconcile.{}", CallId::new(n, 0))).pk);
        }
        assert_eq!(used.len(), 8);
    }
}
