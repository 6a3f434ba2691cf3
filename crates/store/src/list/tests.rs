use std::collections::BTreeMap;

use call::CallId;

use super::*;
use crate::record::{Direction, Source, Status};
use crate::status::StatusFact;
use crate::testing::World;
use crate::update::Change;
use crate::words::search_words;

/// 2026-03-02T12:00:00Z: the calls of three months lie around two of their turns.
const NOW: Moment = Moment::from_ms(1_772_452_800_000);

const DAY: Duration = Duration::from_secs(24 * 3_600);

const NUMBERS: [&str; 3] = ["+12025550121", "+12025550122", "+12025550123"];

const WORDS: [&str; 5] = ["appointment", "tuesday", "dentist", "noon", "zoe"];

/// A list to be asked for, as its own filters and as one that is applied to all calls.
struct Asked {
    from: Option<Moment>,
    until: Option<Moment>,
    lead: Lead,
    status: Option<Status>,
    limit: usize,
}

impl Asked {
    fn by(rng: &mut fastrand::Rng) -> Self {
        let mut moment = || {
            let ago = Duration::from_secs(rng.u64(0..90 * 24 * 3_600));
            rng.bool().then(|| NOW.before(ago))
        };
        let (from, until) = (moment(), moment());
        let lead = match rng.u8(0..5) {
            0 => Lead::Time,
            1 => Lead::Phone(NUMBERS[rng.usize(0..3)].to_owned()),
            2 => Lead::Outcome([Outcome::Yes, Outcome::No, Outcome::Unclear][rng.usize(0..3)]),
            _ => Lead::Words((0..rng.usize(1..4)).map(|_| WORDS[rng.usize(0..5)].to_owned()).collect()),
        };
        let status = [None, None, Some(Status::Completed), Some(Status::Busy)][rng.usize(0..4)];
        Self { from, until, lead, status, limit: rng.usize(1..12) }
    }

    fn wants(&self, call: &CallRecord, said: &BTreeMap<CallId, BTreeSet<String>>) -> bool {
        self.from.is_none_or(|from| call.created_at >= from)
            && self.until.is_none_or(|until| call.created_at < until)
            && self.status.is_none_or(|status| call.status == status)
            && match &self.lead {
                Lead::Time => true,
                Lead::Phone(number) => call.phone == *number,
                Lead::Outcome(outcome) => call.outcome == Some(*outcome),
                Lead::Words(words) => words.is_subset(&said[&call.id]),
            }
    }
}

async fn change(world: &World, id: CallId, change: impl Fn(&mut CallRecord)) {
    let changed = world.store.change_call(id, |call| {
        change(call);
        Change::Write((), Vec::new())
    });
    changed.await.unwrap();
}

/// All ids that a list gives, over all its pages.
async fn all(store: &Store, query: &ListQuery<'_>, filter: impl Fn(&CallRecord) -> bool) -> Vec<CallId> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let query = ListQuery { cursor: cursor.as_deref(), ..query.clone() };
        let page = store.list_calls(&query, &filter).await.unwrap();
        assert!(page.calls.len() <= query.limit);
        found.extend(page.calls.iter().map(|call| call.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn every_list_is_what_its_filters_leave_of_all_calls_over_all_pages() {
    for seed in 0..2 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = World::new(seed, NOW, DAY * 80).await;
        let mut said = BTreeMap::new();
        for n in 0..70 {
            // Some of them have expired, and some begin at the same moment.
            let at = NOW.before(Duration::from_secs(rng.u64(0..90 * 24) * 3_600));
            let id = world.open(at, n, "front", NUMBERS[rng.usize(0..3)]).await;
            let words: BTreeSet<String> = WORDS.iter().filter(|_| rng.bool()).map(|word| (*word).to_owned()).collect();
            if at < NOW.before(DAY * 80) {
                continue;
            }
            world.store.index_words(id, &words).await.unwrap();
            let status = [Status::Ringing, Status::Completed, Status::Busy][rng.usize(0..3)];
            let fact = StatusFact { status, at: NOW, source: Source::Callback, duration_s: Some(1), sip_code: None };
            world.store.record_status(id, fact).await.unwrap();
            let outcome = [None, Some(Outcome::Yes), Some(Outcome::No), Some(Outcome::Unclear)][rng.usize(0..4)];
            change(&world, id, |call| call.outcome = outcome).await;
            said.insert(id, words);
        }
        let whole = ListQuery { limit: 200, ..ListQuery::default() };
        let calls = world.store.list_calls(&whole, |_| true).await.unwrap().calls;
        assert_eq!(calls.len(), said.len(), "seed {seed}");
        assert!(calls.is_sorted_by(|one, next| (one.created_at, one.id) > (next.created_at, next.id)));
        for n in 0..40 {
            let asked = Asked::by(&mut rng);
            let Asked { from, until, lead, limit, .. } = &asked;
            let query = ListQuery {
                from: *from,
                until: *until,
                lead: lead.clone(),
                limit: *limit,
                scope: "status",
                cursor: None,
            };
            let found = all(&world.store, &query, |call| asked.status.is_none_or(|status| call.status == status)).await;
            let expected: Vec<CallId> =
                calls.iter().filter(|call| asked.wants(call, &said)).map(|call| call.id).collect();
            assert_eq!(found, expected, "seed {seed}, list {n}: {query:?} {:?}", asked.status);
        }
    }
}

#[tokio::test]
async fn a_cursor_stays_where_it_is_when_new_calls_come() {
    let world = World::new(0, NOW, DAY * 80).await;
    let words: BTreeSet<String> = search_words("an appointment");
    for n in 0..6 {
        let id = world.open(NOW.before(DAY * n), 1, "front", NUMBERS[0]).await;
        world.store.index_words(id, &words).await.unwrap();
    }
    for lead in [Lead::Time, Lead::Phone(NUMBERS[0].into()), Lead::Words(words.clone())] {
        let query = ListQuery { limit: 2, lead, ..ListQuery::default() };
        let before = all(&world.store, &query, |_| true).await;
        let first = world.store.list_calls(&query, |_| true).await.unwrap();
        let id = world.open(NOW, fastrand::u128(2..), "front", NUMBERS[0]).await;
        world.store.index_words(id, &words).await.unwrap();
        let cursor = first.next_cursor.unwrap();
        let second =
            world.store.list_calls(&ListQuery { cursor: Some(&cursor), ..query.clone() }, |_| true).await.unwrap();
        let ids: Vec<CallId> = first.calls.iter().chain(&second.calls).map(|call| call.id).collect();
        assert_eq!(ids, before[..4]);
    }
}

#[tokio::test]
async fn a_rare_word_beside_a_common_one_costs_little() {
    let world = World::new(0, NOW, DAY * 80).await;
    for n in 0..300_u32 {
        let id = world.open(NOW.before(Duration::from_secs(60) * n), 1, "front", NUMBERS[0]).await;
        let text = if n % 100 == 99 { "the dentist" } else { "the" };
        world.store.index_words(id, &search_words(text)).await.unwrap();
    }
    let lead = Lead::Words(search_words("the dentist"));
    let page = world.store.list_calls(&ListQuery { limit: 50, lead, ..ListQuery::default() }, |_| true).await.unwrap();
    assert_eq!((page.calls.len(), page.next_cursor), (3, None));
    assert!(page.reads.items < 130, "it leaps: {:?}", page.reads);
}

#[tokio::test]
async fn an_erased_call_leaves_no_posting_and_gets_none() {
    let world = World::new(0, NOW, DAY * 80).await;
    let id = world.open(NOW, 1, "front", NUMBERS[0]).await;
    world.store.index_words(id, &search_words("my dentist")).await.unwrap();
    let fact = StatusFact { status: Status::Busy, at: NOW, source: Source::Callback, duration_s: None, sip_code: None };
    world.store.record_status(id, fact).await.unwrap();
    world.store.erase_call(id, "ada").await.unwrap();
    world.store.index_words(id, &search_words("my secret dentist")).await.unwrap();
    world.store.remove_parts(id).await.unwrap();
    let scan = world.store.dynamodb.scan().table_name(&world.store.table).send().await.unwrap();
    let keys: Vec<String> = scan
        .items()
        .iter()
        .map(|item| format!("{} / {}", item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap()))
        .collect();
    assert!(!keys.iter().any(|key| key.starts_with("WORD#") || key.ends_with("/ WORDS")), "{keys:?}");
}

/// What pages cost in a store with so many calls, one a minute; every hundredth led to a booking.
async fn costs(calls: u32) -> Vec<Reads> {
    let world = World::new(0, NOW, DAY * 400).await;
    let sample = world.open(NOW, 0, "front", NUMBERS[0]).await;
    let sample = world.store.call(sample).await.unwrap();
    let mut items = Vec::new();
    for n in 1..calls {
        let at = NOW.before(Duration::from_secs(60) * n);
        let mut call = CallRecord { id: CallId::new(at.as_ms(), u128::from(n)), created_at: at, ..sample.clone() };
        call.direction = if n % 10 == 0 { Direction::Inbound } else { Direction::Outbound };
        call.outcome = (n % 100 == 0).then_some(Outcome::Yes);
        items.extend(
            world.store.items_of(&call, &search_words(if n % 3 == 0 { "the dentist" } else { "the" })).unwrap(),
        );
    }
    world.load(items).await;
    let mut costs = Vec::new();
    for (lead, only_inbound) in [
        (Lead::Time, false),
        (Lead::Time, true),
        (Lead::Phone(NUMBERS[0].into()), false),
        (Lead::Outcome(Outcome::Yes), false),
        (Lead::Words(search_words("dentists")), false),
        (Lead::Words(search_words("the dentist")), false),
    ] {
        let query = ListQuery { limit: 20, lead, ..ListQuery::default() };
        let page = world.store.list_calls(&query, |call| !only_inbound || call.direction == Direction::Inbound).await;
        let page = page.unwrap();
        assert!(page.next_cursor.is_some());
        costs.push(page.reads);
    }
    costs
}

#[tokio::test]
async fn a_page_costs_the_same_among_a_few_thousand_calls_and_ten_thousand() {
    let few = costs(2_600).await;
    assert!(few.iter().all(|reads| reads.units > 0.0 && reads.items >= 20), "{few:?}");
    assert_eq!(few, costs(10_000).await);
}

#[test]
fn months_are_walked_backward_over_the_turn_of_the_year() {
    let at: Moment = "2026-01-31T23:59:59.999Z".parse().unwrap();
    let before = before_month(at).unwrap();
    assert_eq!(before.to_string(), "2025-12-31T23:59:59.999Z");
    assert_eq!(before_month(before).unwrap().month(), "2025-11");
    assert_eq!(before_month(Moment::from_ms(5)), None);
}
