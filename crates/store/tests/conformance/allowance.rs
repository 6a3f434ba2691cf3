//! How many placed calls may be under way, and how fast: by the store's count, whoever places them.

use std::time::Duration;

use call::CallId;
use store::{Allowance, Every, Healed, MayDial, Recorded, Status};

use crate::world::{World, fact, insist, sid};

fn calls(calls_max: u32) -> Allowance {
    Allowance { calls_max, ..Allowance::UNBOUNDED }
}

async fn dial(world: &World, allowed: &Allowance) -> (CallId, MayDial) {
    let call = world.outbound().await;
    (call.id, world.store.mark_dialing(call.id, allowed).await.unwrap())
}

#[tokio::test]
async fn a_place_is_taken_by_dialling_and_left_by_any_end() {
    let world = World::new().await;
    for last in [Status::Completed, Status::Busy, Status::NoAnswer, Status::Canceled] {
        let (id, may) = dial(&world, &calls(1)).await;
        assert!(matches!(may, MayDial::Yes(_)), "{last:?}: {may:?}");
        assert_eq!(dial(&world, &calls(1)).await.1, MayDial::Full);
        assert_eq!(world.store.placed_calls().await.unwrap(), 1);
        for _ in 0..2 {
            world.store.record_status(id, fact(last, 5)).await.unwrap();
        }
        assert_eq!(world.store.placed_calls().await.unwrap(), 0, "{last:?}");
    }
    let (id, _) = dial(&world, &calls(1)).await;
    assert_eq!(world.store.mark_failed(id, "refused").await.unwrap(), Recorded::Applied);
    assert_eq!(world.store.placed_calls().await.unwrap(), 0);
    // An inbound call takes no place and leaves none.
    let (inbound, _) = world.inbound().await;
    world.store.record_status(inbound.id, fact(Status::Completed, 5)).await.unwrap();
    assert_eq!(world.store.placed_calls().await.unwrap(), 0);
}

#[tokio::test]
async fn of_many_processes_that_place_calls_at_once_as_many_succeed_as_are_allowed() {
    for seed in 0..4 {
        let world = World::seeded(seed).await;
        let mut tasks = tokio::task::JoinSet::new();
        let mut ids = Vec::new();
        for _ in 0..12 {
            let call = world.outbound().await;
            ids.push(call.id);
            let store = world.store.clone();
            tasks.spawn(async move { store.mark_dialing(call.id, &calls(3)).await });
        }
        world.faults.set_rate(0.1);
        let answers = tasks.join_all().await;
        world.faults.set_rate(0.0);
        let yes = answers.iter().filter(|answer| matches!(answer, Ok(MayDial::Yes(_)))).count();
        assert!(yes <= 3, "seed {seed}: {yes} were allowed");
        let placed = world.store.placed_calls().await.unwrap();
        // Whose answer was lost may hold a place without knowing; nobody holds one that is not counted.
        assert!((u32::try_from(yes).unwrap()..=3).contains(&placed), "seed {seed}: {placed} places, {yes} answers");
        world.faults.set_rate(0.1);
        for id in ids {
            insist(|| world.store.record_status(id, fact(Status::Failed, 5))).await;
        }
        world.faults.set_rate(0.0);
        assert_eq!(world.store.placed_calls().await.unwrap(), 0, "seed {seed}");
        assert_eq!(world.store.heal_allowance().await.unwrap(), Healed::default(), "seed {seed}");
    }
}

#[tokio::test]
async fn the_pace_is_one_for_all_and_who_is_held_counts_for_nothing() {
    let world = World::new().await;
    let pace = Some(Every::of(2, 2, Duration::from_secs(1)));
    let allowed = Allowance { pace, ..Allowance::UNBOUNDED };
    for _ in 0..2 {
        assert!(matches!(dial(&world, &allowed).await.1, MayDial::Yes(_)));
    }
    let (id, may) = dial(&world, &allowed).await;
    assert_eq!(may, MayDial::TooFast(Duration::from_millis(500)));
    assert_eq!(world.store.placed_calls().await.unwrap(), 2);
    world.clock.advance(Duration::from_millis(500));
    assert!(matches!(world.store.mark_dialing(id, &allowed).await.unwrap(), MayDial::Yes(_)), "the same call, later");
}

#[tokio::test]
async fn a_number_has_a_quota_of_its_own() {
    let world = World::new().await;
    let allowed = Allowance { per_number: Some(Every::of(60, 2, Duration::from_secs(3_600))), ..Allowance::UNBOUNDED };
    for _ in 0..2 {
        assert!(matches!(dial(&world, &allowed).await.1, MayDial::Yes(_)));
    }
    assert_eq!(dial(&world, &allowed).await.1, MayDial::TooOften(Duration::from_secs(60)));
    let mut other = world.new_call();
    other.to = "+12025550177".into();
    world.store.open_outbound(&other, None).await.unwrap();
    assert!(matches!(world.store.mark_dialing(other.id, &allowed).await.unwrap(), MayDial::Yes(_)));
    world.clock.advance(Duration::from_secs(60));
    assert!(matches!(dial(&world, &allowed).await.1, MayDial::Yes(_)));
    assert_eq!(dial(&world, &allowed).await.1, MayDial::TooOften(Duration::from_secs(60)));
    // What has expired is as good as deleted.
    world.clock.advance(Duration::from_secs(86_400));
    assert!(matches!(dial(&world, &allowed).await.1, MayDial::Yes(_)));
}

#[tokio::test]
async fn a_place_whose_call_is_gone_is_swept_when_its_time_is_over() {
    let world = World::new().await;
    let (gone, _) = dial(&world, &calls(2)).await;
    let (lives, _) = dial(&world, &calls(2)).await;
    world.store.adopt_sid(lives, sid()).await.unwrap();
    world.store.expire_call(gone).await.unwrap();
    assert_eq!(world.store.heal_allowance().await.unwrap(), Healed::default(), "its time is not over");
    world.clock.advance(Duration::from_secs(1_800 + 600));
    assert_eq!(world.store.heal_allowance().await.unwrap(), Healed { swept: 1, recounted: false });
    assert_eq!(world.store.placed_calls().await.unwrap(), 1, "the other one may be long, and is still there");
    world.store.record_status(lives, fact(Status::Completed, 5)).await.unwrap();
    assert_eq!(world.store.placed_calls().await.unwrap(), 0);
    assert_eq!(world.store.heal_allowance().await.unwrap(), Healed::default());
    assert!(matches!(dial(&world, &calls(1)).await.1, MayDial::Yes(_)));
}
