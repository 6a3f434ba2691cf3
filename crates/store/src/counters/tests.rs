use std::future::Future;
use std::time::Duration;

use call::CallId;
use call::outcome::Verdict;
use proptest::prelude::*;

use super::*;
use crate::analysis::{Correction, Judgement};
use crate::keys::Key;
use crate::list::ListQuery;
use crate::record::{Source, Status};
use crate::status::StatusFact;
use crate::testing::{World, insist};
use crate::update::Change;

fn counted() -> Counted {
    Counted {
        day: Date::constant(2026, 11, 21),
        hour: 13,
        agent: "front".into(),
        engine: Some(EngineKind::Hume),
        direction: Direction::Inbound,
        answered: true,
        duration_s: Some(60),
        ended_by: Some(EndedBy::Caller),
        end_reason: Some(EndReason::HungUp),
        outcome: None,
    }
}

#[test]
fn a_call_counts_once_in_each_figure() {
    let counts = counted().counts();
    let named: Vec<String> = counts.0.iter().map(|(name, number)| format!("{name} {number}")).collect();
    assert_eq!(
        named,
        ["answered 1", "by_caller 1", "calls 1", "end_hung_up 1", "inbound 1", "lasted_120 1", "talked_s 60"]
    );
}

#[test]
fn what_is_taken_away_leaves_nothing() {
    let (mut counts, one) = (Counts::default(), counted().counts());
    counts.add(&one);
    counts.subtract(&one);
    assert_eq!(counts, Counts::default());
}

#[test]
fn dimensions_survive_their_keys() {
    for dimension in Dimension::of(&counted()) {
        assert_eq!(Dimension::from_sort(&dimension.to_sort()), Some(dimension));
    }
}

#[test]
fn a_counter_key_reads_back() {
    let Key { pk, sk } = keys::counter("calls", Date::constant(2026, 11, 2), "agent#a#b", 3);
    assert_eq!((pk.as_str(), sk.as_str()), ("COUNT#2026-11", "calls#2026-11-02#agent#a#b%3"));
    assert_eq!(keys::parse_counter("calls", &sk), Some((Date::constant(2026, 11, 2), "agent#a#b")));
    assert_eq!(keys::parse_counter("latency", &sk), None);
}

/// 2026-11-21T23:30:00Z: in Berlin the next day has begun.
const LATE: Moment = Moment::from_ms(1_795_303_800_000);

const DAY: Duration = Duration::from_secs(24 * 3_600);

impl World {
    /// The counters, as a map.
    async fn counted(&self) -> BTreeMap<(Date, Dimension), Counts> {
        let (first, last) = (self.store.day_of(LATE.before(DAY * 5)), self.store.day_of(LATE.after(DAY * 5)));
        let found = insist(|| self.store.call_counts(first, last)).await;
        found.into_iter().map(|day| ((day.day, day.dimension), day.counts)).collect()
    }

    /// The same, from the calls themselves.
    async fn recounted(&self) -> BTreeMap<(Date, Dimension), Counts> {
        let query = ListQuery { limit: 200, ..ListQuery::default() };
        let page = insist(|| self.store.list_calls(&query, |_| true)).await;
        assert_eq!(page.next_cursor, None);
        let mut counts: BTreeMap<_, Counts> = BTreeMap::new();
        for mut call in page.calls {
            call.marks.counted = None;
            let Some(counted) = Counted::of(&call, &self.store) else { continue };
            for dimension in Dimension::of(&counted) {
                counts.entry((counted.day, dimension)).or_default().add(&counted.counts());
            }
        }
        counts
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
enum Step {
    Status(Status, u32),
    Judged(Outcome),
    Spoke(EngineKind),
    Erased,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        6 => (0..5_usize, 0..2_000_u32).prop_map(|(status, seconds)| {
            let statuses = [Status::InProgress, Status::Completed, Status::Completed, Status::Busy, Status::NoAnswer];
            Step::Status(statuses[status], seconds)
        }),
        3 => prop_oneof![Just(Outcome::Yes), Just(Outcome::No), Just(Outcome::Unclear)].prop_map(Step::Judged),
        1 => prop_oneof![Just(EngineKind::Hume), Just(EngineKind::OpenAi)].prop_map(Step::Spoke),
        1 => Just(Step::Erased),
    ];
    prop::collection::vec((0..8_u64, step), 10..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn counters_equal_a_recount_whatever_happens_in_whatever_order(steps in steps(), seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new(seed, LATE, DAY * 3).await;
            world.faults.set_rate(0.15);
            let mut calls = Vec::new();
            for n in 0..8 {
                let at = LATE.before(Duration::from_secs(n * 3_000));
                let agent = if n % 3 == 0 { "front" } else { "back#1" };
                calls.push(world.open(at, u128::from(n), agent, "+12025550123").await);
            }
            for (n, step) in steps {
                let (id, store) = (calls[usize::try_from(n).unwrap()], &world.store);
                if let Err(error) = happen(store, id, step).await {
                    assert!(matches!(error, StoreError::Erased(_)), "{error}");
                }
            }
            world.faults.set_rate(0.0);
            assert_eq!(world.counted().await, world.recounted().await);

            // The worker deletes what has expired, and whole days go by themselves.
            world.clock.advance(DAY * 3 - Duration::from_secs(8_000));
            for id in &calls {
                if matches!(world.store.call(*id).await, Err(StoreError::NotFound(_))) {
                    world.store.expire_call(*id).await.unwrap();
                }
            }
            assert_eq!(world.counted().await, world.recounted().await);
            world.clock.advance(DAY * 2);
            assert_eq!(world.counted().await, BTreeMap::new());
        });
    }
}

/// Insists on a step, as a worker or Twilio would.
async fn happen(store: &Store, id: CallId, step: Step) -> Result<(), StoreError> {
    for _ in 0..200 {
        let done = match step {
            Step::Status(status, seconds) => {
                let fact = StatusFact {
                    status,
                    at: LATE,
                    source: Source::Callback,
                    duration_s: Some(seconds),
                    sip_code: None,
                };
                store.record_status(id, fact).await.map(drop)
            }
            Step::Judged(outcome) => {
                store
                    .change_call(id, |call| {
                        call.outcome = Some(outcome);
                        Change::Write((), Vec::new())
                    })
                    .await
            }
            Step::Spoke(engine) => store.record_engines(id, Some(engine), &[]).await.map(drop),
            Step::Erased => store.erase_call(id, "ada").await.map(drop),
        };
        match done {
            Err(error) if error.is_retryable() => {}
            done => return done,
        }
    }
    panic!("200 tries, and the day is still bad");
}

#[tokio::test]
async fn the_day_is_one_of_the_configured_time_zone() {
    let world = World::new(1, LATE, DAY * 3).await;
    let id = world.open(LATE, 0, "front", "+12025550123").await;
    happen(&world.store, id, Step::Status(Status::Completed, 61)).await.unwrap();
    let counted = world.counted().await;
    let day = Date::constant(2026, 11, 22);
    assert_eq!(counted.len(), 4);
    assert_eq!(counted[&(day, Dimension::Hour(0))].of("lasted_120"), 1);
    assert_eq!(counted[&(day, Dimension::Agent("front".into()))].of("talked_s"), 61);
    assert_eq!(
        counted[&(day, Dimension::Engine("none".into()))].beginning("end_").collect::<Vec<_>>(),
        [("hung_up", 1)]
    );
}

#[tokio::test]
async fn those_who_close_judge_correct_and_erase_at_the_same_time_take_turns() {
    let world = World::new(7, LATE, DAY * 3).await;
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(world.open(LATE.before(Duration::from_secs(60)), n, "front", "+12025550123").await);
    }
    world.faults.set_rate(0.1);
    let mut tasks = tokio::task::JoinSet::new();
    for (n, id) in ids.into_iter().enumerate() {
        let verdict = Verdict::unclear("nobody knows".to_owned());
        let judgement = Judgement { verdict, model: "rule".into(), judged_at: LATE };
        let correction = Correction { outcome: Outcome::Yes, note: None, by: "olga".into(), at: LATE };
        let (closing, judging, correcting, erasing) =
            (world.store.clone(), world.store.clone(), world.store.clone(), world.store.clone());
        tasks.spawn(async move { happen(&closing, id, Step::Status(Status::Completed, 60)).await });
        tasks.spawn(async move { stubborn(|| judging.record_judgement(id, judgement.clone())).await });
        tasks.spawn(async move { stubborn(|| correcting.correct_outcome(id, correction.clone())).await });
        if n % 3 == 0 {
            tasks.spawn(async move { happen(&erasing, id, Step::Erased).await });
        }
    }
    while let Some(done) = tasks.join_next().await {
        let done = done.unwrap();
        assert!(done.is_ok() || matches!(done, Err(StoreError::Erased(_))), "{done:?}");
    }
    world.faults.set_rate(0.0);
    let counted = world.counted().await;
    assert_eq!(counted, world.recounted().await);
    assert!(counted.values().all(|counts| counts.of("calls") == counts.of("outcome_yes")), "{counted:?}");
}

/// Asks until it is answered.
async fn stubborn<T, F: Future<Output = Result<T, StoreError>>>(mut ask: impl FnMut() -> F) -> Result<(), StoreError> {
    for _ in 0..200 {
        match ask().await {
            Err(error) if error.is_retryable() => {}
            done => return done.map(drop),
        }
    }
    panic!("200 tries, and the day is still bad");
}
