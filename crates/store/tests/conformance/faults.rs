//! Bad days: the same promises, with a fault on every fourth request.

use bytes::Bytes;
use call::journal::{EndReason, EndedBy, Entry, Kind, NextStep};
use proptest::prelude::*;
use store::fault::Fault;
use store::{Adopted, Allowance, Claim, Idempotency, ListQuery, MayDial, Move, Placed, Recorded, Status, StoreError};
use wire::twilio::StreamSid;

use crate::emulator;
use crate::world::{World, agent, fact, insist, sid};

/// A call from its beginning to its end, each step as its caller would take it.
async fn whole_call(world: &World) {
    let store = &world.store;
    let once = Idempotency { user: "ann".into(), key: "k".into(), body_sha256: "b".into() };
    let new = world.new_call();
    let placed = insist(|| store.open_outbound(&new, Some(&once))).await;
    let (Placed::New(call) | Placed::Same(call)) = placed else { panic!("{placed:?}") };
    assert_eq!(call.id, new.id, "nobody else used the key");
    let again = insist(|| store.open_outbound(&new, Some(&once))).await;
    assert!(matches!(&again, Placed::New(same) | Placed::Same(same) if same.id == call.id), "{again:?}");

    insist(|| store.mark_dialing(call.id, &Allowance::UNBOUNDED)).await;
    let sid = sid();
    assert!(matches!(insist(|| store.adopt_sid(call.id, sid)).await, Adopted::Yes(_)));
    insist(|| store.record_status(call.id, fact(Status::Ringing, 1))).await;
    let stream = StreamSid::from_number(1);
    assert_eq!(insist(|| store.claim_stream(call.id, 1, "node-a", stream)).await, Claim::Won);

    let entry = |seq| Entry { epoch: 1, seq, at_ms: seq, kind: Kind::Commanded { command: "x".repeat(3_000) } };
    let entries: Vec<_> = (1..=40).map(entry).collect();
    for part in entries.chunks(15) {
        insist(|| store.append_journal(call.id, part)).await;
    }
    for n in 1..=3 {
        insist(|| store.put_segment(call.id, 1, n, Bytes::from(vec![1; 100]))).await;
    }
    let moved = insist(|| store.next_epoch(call.id, 1, "node-b")).await;
    assert!(matches!(&moved, Move::Moved(_) | Move::Repeat { .. }), "{moved:?}");
    assert_eq!(insist(|| store.claim_stream(call.id, 2, "node-b", StreamSid::from_number(2))).await, Claim::Won);
    let step = NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye };
    insist(|| store.put_next_step(call.id, 2, &step)).await;
    let mut end = fact(Status::Completed, 40);
    end.duration_s = Some(30);
    insist(|| store.record_status(call.id, end)).await;
    assert_eq!(insist(|| store.record_status(call.id, end)).await, Recorded::Stale);

    let read = insist(|| store.call_by_sid(sid)).await;
    assert_eq!((read.id, read.status, read.epoch, read.node()), (call.id, Status::Completed, 2, Some("node-b")));
    assert_eq!((read.duration_s, read.ended_by), (Some(30), Some(EndedBy::Agent)));
    assert_eq!(read.marks.epoch_starts.len(), 2, "moved once");
    assert_eq!(insist(|| store.read_journal(call.id, None, 100)).await.entries, entries);
    assert_eq!(insist(|| store.segments(call.id)).await.len(), 3);
    work_is_done_once(world).await;
}

/// All work that the call left is there once, and none is left when it was done.
async fn work_is_done_once(world: &World) {
    let day = std::time::Duration::from_secs(24 * 3_600);
    world.clock.advance(day);
    let mut done = Vec::new();
    // A claim whose answer was lost leaves a lease that has to end first, and is then claimed alone.
    for _ in 0..20 {
        for leased in insist(|| world.store.claim_work(100, day)).await {
            insist(|| world.store.complete_work(&leased)).await;
            done.push((leased.item.kind, leased.item.due));
        }
        world.clock.advance(day);
    }
    done.sort();
    let kinds: Vec<_> = done.iter().map(|(kind, _)| kind.as_str()).collect();
    // Opening and dialling, at the same moment, ask for one and the same reconciliation; the end by which the call is
    // surely over, for another.
    let expected = ["analyse", "index", "tell_started", "tell_ended", "reconcile", "reconcile", "join_recording"];
    assert_eq!(kinds, expected, "{done:?}");
}

#[test]
fn a_whole_call_comes_out_right_on_bad_days() {
    let mut met = std::collections::BTreeMap::new();
    let seeds = emulator::cases(24);
    for seed in 0..u64::from(seeds) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::seeded(seed).await;
            world.faults.set_rate(0.25);
            whole_call(&world).await;
            for (fault, count) in world.faults.counts() {
                *met.entry(fault).or_insert(0) += count;
            }
        });
    }
    for fault in [Fault::Throttled, Fault::Conflict, Fault::NotConnected, Fault::AnswerLost, Fault::FailedAfterwards] {
        assert!(
            met.get(&fault).is_some_and(|count| *count >= u64::from(seeds) * 5 / 6),
            "{fault:?} was met too seldom: {met:?}"
        );
    }
}

/// The faults after which a write may be there although its writer was told nothing.
const AMBIGUOUS: [Fault; 3] = [Fault::AnswerLost, Fault::FailedAfterwards, Fault::Conflict];

#[tokio::test]
async fn a_writer_whose_answer_was_lost_knows_its_own_write() {
    let world = World::new().await;
    for fault in AMBIGUOUS {
        let (new, sid) = (world.new_call(), sid());
        world.faults.inject(fault);
        let opened = world.store.open_inbound(&new, sid).await.unwrap();
        assert!(opened.fresh && opened.call.id == new.id, "{fault:?}");

        let new = world.new_call();
        world.faults.inject(fault);
        assert!(matches!(world.store.open_outbound(&new, None).await.unwrap(), Placed::New(_)), "{fault:?}");
        world.faults.inject(fault);
        assert!(
            matches!(world.store.mark_dialing(new.id, &Allowance::UNBOUNDED).await.unwrap(), MayDial::Yes(_)),
            "{fault:?}"
        );

        world.faults.inject(fault);
        let moved = world.store.next_epoch(opened.call.id, 1, "node-b").await.unwrap();
        assert!(matches!(moved, Move::Moved(_)), "{fault:?}: {moved:?}");
        world.faults.inject(fault);
        let saved = world.store.save_agent(&agent(&format!("a-{fault:?}"))).await.unwrap();
        assert_eq!(saved.version, 1, "{fault:?}");
    }
    let counts = world.faults.counts();
    assert!(AMBIGUOUS.iter().all(|fault| counts.get(fault) == Some(&5)), "{counts:?}");
}

#[tokio::test]
async fn of_racing_writers_one_wins_on_bad_days_too() {
    for seed in 0..u64::from(emulator::cases(6)) {
        let world = World::seeded(seed).await;
        let call = world.outbound().await;
        let (inbound, _) = world.inbound().await;
        world.faults.set_rate(0.2);
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..5_u128 {
            let store = world.store.clone();
            tasks.spawn(async move {
                let dial = store.mark_dialing(call.id, &Allowance::UNBOUNDED).await;
                let moved = store.next_epoch(inbound.id, 1, &format!("node-{n}")).await;
                let claim = insist(|| store.claim_stream(call.id, 1, "node-a", StreamSid::from_number(n))).await;
                (matches!(dial, Ok(MayDial::Yes(_))), matches!(moved, Ok(Move::Moved(_))), claim == Claim::Won)
            });
        }
        let answers = tasks.join_all().await;
        world.faults.set_rate(0.0);
        let count = |of: fn(&(bool, bool, bool)) -> bool| answers.iter().filter(|answer| of(answer)).count();
        // A winner may not have heard of it (then the worker finds the call); there are never two.
        assert!(count(|answer| answer.0) <= 1, "seed {seed}: two would have dialled");
        assert!(count(|answer| answer.1) <= 1, "seed {seed}: two moved the call");
        assert_eq!(count(|answer| answer.2), 1, "seed {seed}: one stream");
        assert_eq!(world.store.call(inbound.id).await.unwrap().epoch, 2);
    }
}

#[tokio::test]
async fn a_batch_that_is_done_by_halves_is_finished() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let entry = |seq| Entry { epoch: 1, seq, at_ms: 1, kind: Kind::Commanded { command: "x".repeat(30_000) } };
    world.store.append_journal(call.id, &(1..=20).map(entry).collect::<Vec<_>>()).await.unwrap();
    for _ in 0..3 {
        world.faults.inject(Fault::Unprocessed);
    }
    world.store.expire_call(call.id).await.unwrap();
    assert_eq!(world.faults.counts().get(&Fault::Unprocessed), Some(&3));
    assert_eq!(world.store.read_journal(call.id, None, 10).await.unwrap().entries, []);
    assert!(matches!(world.store.call(call.id).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_stale_index_delays_a_list_and_confuses_nothing() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    let count = async || world.store.list_calls(&query, |_| true).await.unwrap().calls.len();
    assert_eq!(count().await, 1);
    world.inbound().await;
    world.faults.inject(Fault::StaleIndex);
    assert_eq!(count().await, 1, "the index does not know the second call yet");
    assert_eq!(count().await, 2);
    // The record itself is never read from an index.
    world.store.record_status(call.id, fact(Status::Completed, 1)).await.unwrap();
    assert_eq!(world.store.call(call.id).await.unwrap().status, Status::Completed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(emulator::cases(12)))]

    #[test]
    fn callbacks_on_bad_days_leave_the_record_of_a_good_one(
        seed in 0..1_000_u64,
        order in Just(vec![0, 1, 2, 3, 1, 3]).prop_shuffle(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::seeded(seed).await;
            let mut end = fact(Status::Completed, 35);
            end.duration_s = Some(31);
            let facts = [fact(Status::Queued, 0), fact(Status::Ringing, 1), fact(Status::InProgress, 4), end];
            let call = world.outbound().await;
            world.faults.set_rate(0.3);
            for n in order {
                insist(|| world.store.record_status(call.id, facts[n])).await;
            }
            world.faults.set_rate(0.0);
            let read = world.store.call(call.id).await.unwrap();
            assert_eq!((read.status, read.duration_s), (Status::Completed, Some(31)));
            assert_eq!((read.answered_at, read.ended_at), (Some(crate::world::at(4)), Some(crate::world::at(35))));
            world.clock.advance(std::time::Duration::from_secs(30));
            let claimed = world.store.claim_work(100, std::time::Duration::from_secs(1)).await.unwrap();
            let mut kinds: Vec<_> = claimed.iter().map(|leased| leased.item.kind.as_str()).collect();
            kinds.sort();
            assert_eq!(kinds, ["analyse", "index", "join_recording", "tell_ended", "tell_started"]);
        });
    }
}
