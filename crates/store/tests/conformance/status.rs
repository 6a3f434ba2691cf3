//! Twilio's callbacks, in whatever order.

use call::CallId;
use call::agent::EngineKind;
use call::journal::{EndReason, EndedBy, NextStep};
use proptest::prelude::*;
use store::shuffle::Story;
use store::{CallRecord, Recorded, Source, Status, WorkKind};

use crate::emulator;
use crate::world::{World, at, fact, insist, sid};

/// What Twilio reports of a call that was answered after 4 s and lasted 31.
fn callbacks() -> Vec<store::StatusFact> {
    let mut last = fact(Status::Completed, 35);
    (last.duration_s, last.sip_code) = (Some(31), Some(200));
    vec![fact(Status::Queued, 0), fact(Status::Ringing, 1), fact(Status::InProgress, 4), last]
}

async fn after(world: &World, facts: &[store::StatusFact]) -> CallRecord {
    let call = world.outbound().await;
    world.store.adopt_sid(call.id, sid()).await.unwrap();
    for fact in facts {
        world.store.record_status(call.id, *fact).await.unwrap();
    }
    world.store.call(call.id).await.unwrap()
}

/// What does not differ from call to call.
fn essence(call: &CallRecord) -> serde_json::Value {
    let mut json = serde_json::to_value(call).unwrap();
    for name in ["id", "twilio_sid"] {
        json[name] = serde_json::Value::Null;
    }
    json
}

#[tokio::test]
async fn callbacks_in_order_tell_the_whole_story() {
    let world = World::new().await;
    let call = after(&world, &callbacks()).await;
    assert_eq!((call.status, call.duration_s), (Status::Completed, Some(31)));
    assert_eq!((call.answered_at, call.ended_at), (Some(at(4)), Some(at(35))));
    assert_eq!((call.ended_by, call.end_reason), (Some(EndedBy::Caller), Some(EndReason::HungUp)));
    assert_eq!(call.marks.sip_code, Some(200));
}

#[tokio::test]
async fn a_final_status_absorbs_all_others() {
    let world = World::new().await;
    for last in [Status::Completed, Status::Busy, Status::NoAnswer, Status::Failed, Status::Canceled] {
        let call = world.outbound().await;
        assert_eq!(world.store.record_status(call.id, fact(last, 5)).await.unwrap(), Recorded::Applied);
        let before = world.store.call(call.id).await.unwrap();
        for next in [Status::Ringing, Status::InProgress, Status::Completed, Status::Busy, Status::Failed] {
            assert_eq!(world.store.record_status(call.id, fact(next, 9)).await.unwrap(), Recorded::Stale);
        }
        let after = world.store.call(call.id).await.unwrap();
        assert_eq!((after.status, after.ended_at, after.ended_by), (before.status, before.ended_at, before.ended_by));
    }
}

#[tokio::test]
async fn of_a_call_that_nobody_answered_the_network_knows_best_why() {
    let world = World::new().await;
    let (inbound, _) = world.inbound().await;
    let outbound = world.outbound().await;
    let caller = (Some(EndedBy::Caller), Some(EndReason::Canceled));
    let nobody = (Some(EndedBy::System), Some(EndReason::NoAnswer));
    for (call, wanted) in [(inbound, caller), (outbound, nobody)] {
        world.store.record_status(call.id, fact(Status::NoAnswer, 9)).await.unwrap();
        // The node is told to let a prepared engine go, and says so.
        let released = NextStep::HangUp { ended_by: EndedBy::System, reason: EndReason::HungUp };
        world.store.put_next_step(call.id, 1, &released).await.unwrap();
        let call = world.store.call(call.id).await.unwrap();
        assert_eq!((call.ended_by, call.end_reason), wanted);
    }
}

#[tokio::test]
async fn an_end_in_whole_seconds_is_not_before_the_beginning() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let early = store::StatusFact {
        at: call.created_at.before(std::time::Duration::from_millis(400)),
        ..fact(Status::Completed, 0)
    };
    world.store.record_status(call.id, early).await.unwrap();
    assert_eq!(world.store.call(call.id).await.unwrap().ended_at, Some(call.created_at));
}

#[tokio::test]
async fn who_took_part_knows_better_than_the_status_who_ended_the_call() {
    let world = World::new().await;
    let goodbye = NextStep::HangUp { ended_by: EndedBy::Agent, reason: EndReason::SaidGoodbye };
    // The node's word may come before the end or, from its spool, long after.
    for late in [false, true] {
        let (call, _) = world.inbound().await;
        if !late {
            world.store.put_next_step(call.id, 1, &goodbye).await.unwrap();
            assert_eq!(world.store.call(call.id).await.unwrap().ended_by, None, "not over yet");
        }
        world.store.record_status(call.id, fact(Status::Completed, 9)).await.unwrap();
        if late {
            world.store.put_next_step(call.id, 1, &goodbye).await.unwrap();
        }
        let call = world.store.call(call.id).await.unwrap();
        assert_eq!((call.ended_by, call.end_reason), (Some(EndedBy::Agent), Some(EndReason::SaidGoodbye)));
    }
}

#[tokio::test]
async fn the_end_of_a_call_writes_its_work_once() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    for fact in callbacks().iter().chain(&callbacks()) {
        world.store.record_status(call.id, *fact).await.unwrap();
    }
    world.clock.advance(std::time::Duration::from_secs(20));
    let claimed = world.store.claim_work(100, std::time::Duration::from_secs(60)).await.unwrap();
    let mut kinds: Vec<_> = claimed.iter().map(|leased| leased.item.kind).collect();
    kinds.sort();
    let expected =
        [WorkKind::Analyse, WorkKind::Index, WorkKind::TellStarted, WorkKind::TellEnded, WorkKind::JoinRecording];
    assert_eq!(kinds, expected);
    assert!(claimed.iter().all(|leased| leased.item.call == call.id));
}

#[tokio::test]
async fn engines_are_listed_in_the_order_they_were_tried() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let (hume, openai) = (EngineKind::Hume, EngineKind::OpenAi);
    world.store.record_engines(call.id, None, &[hume]).await.unwrap();
    assert_eq!(world.store.record_engines(call.id, Some(openai), &[hume]).await.unwrap(), Recorded::Applied);
    assert_eq!(world.store.record_engines(call.id, Some(openai), &[]).await.unwrap(), Recorded::Stale);
    let call = world.store.call(call.id).await.unwrap();
    assert_eq!((call.engine, call.engines_tried), (Some(openai), vec![hume, openai]));
}

#[tokio::test]
async fn figures_that_come_after_the_end_complete_it_and_write_no_work() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let passing = store::StatusFact { source: Source::Passing, at: at(36), ..fact(Status::Completed, 0) };
    assert_eq!(world.store.record_status(call.id, passing).await.unwrap(), Recorded::Applied);
    let first = world.store.call(call.id).await.unwrap();
    assert_eq!((first.ended_at, first.duration_s), (Some(at(36)), None));
    world.clock.advance(std::time::Duration::from_secs(60));
    for leased in world.store.claim_work(100, std::time::Duration::from_secs(1)).await.unwrap() {
        world.store.complete_work(&leased).await.unwrap();
    }
    assert_eq!(world.store.record_status(call.id, callbacks()[3]).await.unwrap(), Recorded::Stale);
    let call = world.store.call(call.id).await.unwrap();
    assert_eq!((call.answered_at, call.ended_at, call.duration_s), (Some(at(4)), Some(at(35)), Some(31)));
    world.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(world.store.claim_work(100, std::time::Duration::from_secs(1)).await.unwrap(), []);
}

#[tokio::test]
async fn an_end_that_somebody_wanted_is_theirs_if_it_comes_and_nobodys_if_it_does_not() {
    let world = World::new().await;
    let wanted = async || {
        let (call, _) = world.inbound().await;
        world.store.record_status(call.id, fact(Status::InProgress, 0)).await.unwrap();
        world.store.intend_ending(call.id, EndedBy::Operator, EndReason::HungUp).await.unwrap();
        call
    };
    let ended = async |call: &CallRecord, seconds| {
        world.store.record_status(call.id, fact(Status::Completed, seconds)).await.unwrap();
        world.store.call(call.id).await.unwrap().ended_by
    };
    // Whoever wanted it died before they could say that it worked.
    let call = wanted().await;
    assert_eq!(world.store.call(call.id).await.unwrap().ended_by, None);
    assert_eq!(ended(&call, 5).await, Some(EndedBy::Operator));
    // The call went on for long: then it was not they.
    let call = wanted().await;
    assert_eq!(ended(&call, 61).await, Some(EndedBy::Caller));
    let call = wanted().await;
    world.store.withdraw_intent(call.id).await.unwrap();
    assert_eq!(ended(&call, 5).await, Some(EndedBy::Caller));
    // A stream starts: it did not come to that.
    let call = wanted().await;
    world.store.claim_stream(call.id, 1, "node-a", wire::twilio::StreamSid::from_number(1)).await.unwrap();
    assert_eq!(ended(&call, 5).await, Some(EndedBy::Caller));
    // Confirmed, it is theirs however long it takes.
    let call = wanted().await;
    world.store.record_ending(call.id, EndedBy::Operator, EndReason::HungUp).await.unwrap();
    assert_eq!(ended(&call, 90).await, Some(EndedBy::Operator));
}

#[tokio::test]
async fn a_doubt_asks_once_and_a_stream_that_starts_dispels_it() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    assert_eq!(world.store.doubt(call.id).await.unwrap(), Recorded::Applied);
    assert_eq!(world.store.doubt(call.id).await.unwrap(), Recorded::Stale);
    world.clock.advance(std::time::Duration::from_secs(10));
    let due = world.store.claim_work(10, std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(
        due.iter().map(|leased| leased.item.kind).collect::<Vec<_>>(),
        [WorkKind::TellStarted, WorkKind::Reconcile]
    );
    world.store.claim_stream(call.id, 1, "node-a", wire::twilio::StreamSid::from_number(1)).await.unwrap();
    assert_eq!(world.store.call(call.id).await.unwrap().marks.doubted_at, None);
}

/// A thousand calls (twenty thousand are derived beside the code, a million by the benches), each on a bad day: every
/// request has a chance of a fault, and callbacks about streams come in between. Several calls at a time, because most of the
/// time is waiting.
#[test]
fn the_final_record_does_not_depend_on_the_order_of_arrival_on_bad_days() {
    const AT_ONCE: u64 = 16;
    let arrivals = u64::from(emulator::cases(1_000));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = std::sync::Arc::new(World::seeded(7).await);
        world.faults.set_rate(0.1);
        let mut tasks = tokio::task::JoinSet::new();
        for first in 0..AT_ONCE {
            let world = std::sync::Arc::clone(&world);
            tasks.spawn(async move {
                let mut ended = Vec::new();
                for seed in (first..arrivals).step_by(usize::try_from(AT_ONCE).unwrap()) {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let story = Story::by_seed(seed);
                    let expected = figures(&story.record(&story.facts));
                    let call = told(&world, &story.shuffled(&mut random), &mut random).await;
                    assert_eq!(figures(&call), expected, "seed {seed}: {story:#?}");
                    ended.extend(call.status.is_final().then_some(call.id));
                }
                ended
            });
        }
        let ended: Vec<CallId> = tasks.join_all().await.into_iter().flatten().collect();
        // What follows an end follows each end once, and nothing that has not ended.
        let mut told = world.work().await;
        told.retain(|id| id.starts_with("tell_ended."));
        told.sort();
        let mut expected: Vec<_> = ended.iter().map(|id| format!("tell_ended.{id}")).collect();
        expected.sort();
        assert_eq!(told, expected);
        let counts = world.faults.counts();
        assert!(counts.values().sum::<u64>() > arrivals * 2 / 3, "{counts:?}");
    });
}

/// The record after these facts, between which Twilio may report that a stream has ended.
async fn told(world: &World, facts: &[store::StatusFact], random: &mut fastrand::Rng) -> CallRecord {
    let (new, sid) = (world.new_call_at(at(0)), sid());
    let call = insist(|| world.store.open_inbound(&new, sid)).await.call;
    for fact in facts {
        // What is written twice is not written in the same moment.
        world.clock.advance(std::time::Duration::from_millis(1));
        if random.u8(0..6) == 0 {
            insist(|| world.store.doubt(call.id)).await;
        }
        insist(|| world.store.record_status(call.id, *fact)).await;
    }
    insist(|| world.store.call(call.id)).await
}

fn figures(call: &CallRecord) -> serde_json::Value {
    serde_json::json!({
        "status": call.status, "answered_at": call.answered_at, "ended_at": call.ended_at,
        "duration_s": call.duration_s, "ended_by": call.ended_by, "end_reason": call.end_reason,
        "sip": call.marks.sip_code,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(emulator::cases(24)))]

    #[test]
    fn callbacks_may_be_doubled_shuffled_and_lost(
        order in proptest::collection::vec(0..3_usize, 0..8),
        finals in 1..3_usize,
        place in 0..9_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let all = callbacks();
            // Any selection of the early ones, in any order, with the last one somewhere among them.
            let mut facts: Vec<_> = order.iter().map(|n| all[*n]).collect();
            for n in 0..finals {
                facts.insert((place + n).min(facts.len()), all[3]);
            }
            let expected = after(&world, &all).await;
            assert_eq!(essence(&after(&world, &facts).await), essence(&expected));
        });
    }
}
