//! Work.

use std::time::Duration;

use store::{Leased, ListQuery, WorkItem, WorkKind};

use crate::world::World;

const LEASE: Duration = Duration::from_secs(60);

async fn claim(world: &World) -> Vec<Leased> {
    world.store.claim_work(100, LEASE).await.unwrap()
}

#[tokio::test]
async fn due_work_is_claimed_once_until_its_lease_ends() {
    let world = World::new().await;
    let id = world.new_call().id;
    world.store.add_work(id, WorkKind::Analyse, world.clock.now()).await.unwrap();
    world.store.add_work(id, WorkKind::Analyse, world.clock.now()).await.unwrap();
    world.store.add_work(id, WorkKind::Expire, world.clock.now().after(LEASE * 2)).await.unwrap();
    let claimed = claim(&world).await;
    assert_eq!(claimed.iter().map(|leased| leased.item.kind).collect::<Vec<_>>(), [WorkKind::Analyse]);
    assert_eq!(claim(&world).await, []);
    world.clock.advance(LEASE);
    let again = claim(&world).await;
    assert_eq!(again.len(), 1, "the worker died, and its lease is over");
    // The first worker was only slow. It is not its work any more.
    assert_eq!(world.store.fail_work(&claimed[0], "slow").await.unwrap(), None);
    world.store.complete_work(&claimed[0]).await.unwrap();
    world.store.complete_work(&again[0]).await.unwrap();
    world.clock.advance(LEASE * 2);
    assert_eq!(claim(&world).await[0].item.kind, WorkKind::Expire, "done is done");
}

#[tokio::test]
async fn many_workers_claim_each_item_once() {
    let world = World::new().await;
    for _ in 0..30 {
        world.store.add_work(world.new_call().id, WorkKind::Reconcile, world.clock.now()).await.unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = world.store.clone();
        tasks.spawn(async move { store.claim_work(100, LEASE).await.unwrap() });
    }
    let mut ids: Vec<_> = tasks.join_all().await.into_iter().flatten().map(|leased| leased.item.id).collect();
    ids.sort();
    assert_eq!(ids.len(), 30);
    ids.dedup();
    assert_eq!(ids.len(), 30);
}

#[tokio::test]
async fn work_that_fails_comes_back_later_and_is_dead_after_ten_times() {
    let world = World::new().await;
    let id = world.new_call().id;
    world.store.add_work(id, WorkKind::TellEnded, world.clock.now()).await.unwrap();
    for attempt in 1..=WorkItem::ATTEMPTS_MAX {
        let claimed = claim(&world).await;
        assert_eq!(claimed.len(), 1, "attempt {attempt}");
        let item = world.store.fail_work(&claimed[0], "no answer").await.unwrap().unwrap();
        assert_eq!((item.attempts, item.last_error.as_deref()), (attempt, Some("no answer")));
        assert_eq!(claim(&world).await, [], "not at once");
        world.clock.advance(Duration::from_secs(3_600));
    }
    assert_eq!(claim(&world).await, [], "dead");
    let dead = world.store.dead_work().await.unwrap();
    assert_eq!(dead.iter().map(|item| item.call).collect::<Vec<_>>(), [id]);
    let retried = world.store.retry_work(&dead[0].id).await.unwrap();
    assert_eq!(retried.attempts, 0);
    assert!(world.store.retry_work(&dead[0].id).await.is_err());
    assert_eq!(claim(&world).await.len(), 1);
    assert_eq!(world.store.dead_work().await.unwrap(), []);
}

#[tokio::test]
async fn work_that_is_not_ready_waits_without_failing() {
    let world = World::new().await;
    world.store.add_work(world.new_call().id, WorkKind::JoinRecording, world.clock.now()).await.unwrap();
    let claimed = claim(&world).await;
    world.store.postpone_work(&claimed[0], Duration::from_secs(30)).await.unwrap();
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(claim(&world).await, []);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(claim(&world).await[0].item.attempts, 1, "this one, and none before");
}

#[tokio::test]
async fn work_that_kills_its_worker_dies_and_takes_no_other_with_it() {
    let world = World::new().await;
    let now = world.clock.now();
    let poison = world.new_call().id;
    world.store.add_work(poison, WorkKind::JoinRecording, now).await.unwrap();
    for _ in 0..3 {
        world.store.add_work(world.new_call().id, WorkKind::Reconcile, now).await.unwrap();
    }
    assert_eq!(claim(&world).await.len(), 4);
    // The worker died of one of the four, and does so each time.
    let (mut innocent, mut deaths) = (0, 1);
    for _ in 0..40 {
        world.clock.advance(LEASE);
        for leased in claim(&world).await {
            if leased.item.call == poison {
                deaths += 1;
                break;
            }
            world.store.complete_work(&leased).await.unwrap();
            innocent += 1;
        }
    }
    assert_eq!((innocent, deaths), (3, WorkItem::ATTEMPTS_MAX));
    let dead = world.store.dead_work().await.unwrap();
    assert_eq!(dead.iter().map(|item| (item.call, item.attempts)).collect::<Vec<_>>(), [(poison, 10)]);
    assert!(dead[0].last_error.as_deref().unwrap().contains("worker"), "{dead:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_over_and_counted() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    for shard in 0..8 {
        let sk = "2026-01-01T00:00:00.000Z#juggle.call_0";
        let pk = format!("WORK#{shard}");
        world.put_raw(&[("pk", &pk), ("sk", sk), ("kind", "juggle")]).await;
    }
    world.store.add_work(call.id, WorkKind::Analyse, world.clock.now()).await.unwrap();
    let kinds: Vec<_> = claim(&world).await.iter().map(|leased| leased.item.kind).collect();
    assert!(kinds.contains(&WorkKind::Analyse), "{kinds:?}");
    let passed = world.store.unreadable();
    assert!((1..=8).contains(&passed), "{passed}");

    let started = format!("{}#call_x", world.clock.now());
    world.put_raw(&[("pk", "CALL#call_x"), ("sk", "CALL"), ("month", "M#2026-11"), ("started", &started)]).await;
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    let page = world.store.list_calls(&query, |_| true).await.unwrap();
    assert_eq!(page.calls.iter().map(|call| call.id).collect::<Vec<_>>(), [call.id]);
    assert_eq!(world.store.unreadable(), passed + 1);
}
