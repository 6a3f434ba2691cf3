//! Lists.

use std::time::Duration;

use store::{Allowance, ListQuery, Node, Status, StoreError, Watch};

use crate::emulator;
use crate::world::{NOON, World, fact, sid};

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[tokio::test]
async fn calls_are_listed_newest_first_over_months_and_pages() {
    let world = World::new().await;
    let mut opened = Vec::new();
    for days in (0..70_u32).step_by(5) {
        let new = world.new_call_at(NOON.before(DAY * days));
        opened.push(world.store.open_inbound(&new, sid()).await.unwrap().call.id);
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let query = ListQuery { cursor: cursor.as_deref(), limit: 4, ..ListQuery::default() };
        let page = world.store.list_calls(&query, |_| true).await.unwrap();
        seen.extend(page.calls.iter().map(|call| call.id));
        pages += 1;
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, opened);
    assert_eq!(pages, 4, "14 calls in pages of 4");
}

#[tokio::test]
async fn a_list_keeps_to_its_days_and_its_filter() {
    let world = World::new().await;
    for days in 0..6_u32 {
        let (new, sid) = (world.new_call_at(NOON.before(DAY * days)), sid());
        let call = world.store.open_inbound(&new, sid).await.unwrap().call;
        if days % 2 == 0 {
            world.store.record_status(call.id, fact(Status::Completed, 1)).await.unwrap();
        }
    }
    let days = |from: u32, until: u32| ListQuery {
        from: Some(NOON.before(DAY * from)),
        until: Some(NOON.before(DAY * until)),
        limit: 100,
        ..ListQuery::default()
    };
    let count = async |query: &ListQuery<'_>| world.store.list_calls(query, |_| true).await.unwrap().calls.len();
    assert_eq!(count(&days(4, 1)).await, 3, "from is included and until is not");
    assert_eq!(count(&days(1, 4)).await, 0, "the wrong way round");
    let over = world.store.list_calls(&days(100, 0), |call| call.status.is_final()).await.unwrap();
    assert_eq!(over.calls.len(), 2);
    assert!(over.calls.iter().all(|call| call.ended_at.is_some()));
}

#[tokio::test]
async fn a_cursor_is_refused_by_another_list() {
    let world = World::new().await;
    for _ in 0..3 {
        world.inbound().await;
    }
    let query = ListQuery { limit: 1, scope: "status=failed", ..ListQuery::default() };
    let cursor = world.store.list_calls(&query, |_| true).await.unwrap().next_cursor.unwrap();
    let next = ListQuery { cursor: Some(&cursor), ..query.clone() };
    assert_eq!(world.store.list_calls(&next, |_| true).await.unwrap().calls.len(), 1);
    for foreign in [ListQuery { scope: "", ..next.clone() }, ListQuery { cursor: Some("made up"), ..next.clone() }] {
        assert_eq!(world.store.list_calls(&foreign, |_| true).await.err(), Some(StoreError::BadCursor));
    }
}

#[tokio::test]
async fn a_filter_that_nothing_passes_ends_after_a_thousand_entries() {
    // The bound is the store's own: one emulator that bears the number is enough to see it.
    if !emulator::BEARS_THOUSANDS {
        return;
    }
    let world = World::new().await;
    for _ in 0..26 {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let (store, new, sid) = (world.store.clone(), world.new_call(), sid());
            tasks.spawn(async move { store.open_inbound(&new, sid).await.unwrap() });
        }
        tasks.join_all().await;
    }
    let page = world.store.list_calls(&ListQuery { limit: 10, ..ListQuery::default() }, |_| false).await.unwrap();
    assert_eq!(page.calls, []);
    let cursor = page.next_cursor.expect("1,040 calls are more than one request examines");
    let rest = ListQuery { limit: 100, cursor: Some(&cursor), ..ListQuery::default() };
    assert_eq!(world.store.list_calls(&rest, |_| true).await.unwrap().calls.len(), 40);
}

fn node(name: &str) -> Node {
    Node {
        name: name.into(),
        address: "http://127.0.0.1:9000".into(),
        ready: true,
        sessions: 0,
        capacity: 500,
        version: "0.1.0".into(),
        started_at: NOON,
        seen_at: NOON,
    }
}

#[tokio::test]
async fn live_calls_follow_their_node_and_leave_at_the_end() {
    let world = World::new().await;
    for name in ["node-a", "node-b"] {
        world.store.heartbeat(&node(name)).await.unwrap();
    }
    let (call, _) = world.inbound().await;
    world.inbound().await;
    let live = async |node: &str| world.store.live_calls(node).await.unwrap().len();
    assert_eq!((live("node-a").await, live("node-b").await), (2, 0));
    world.store.next_epoch(call.id, 1, "node-b").await.unwrap();
    assert_eq!((live("node-a").await, live("node-b").await), (1, 1));
    assert_eq!(world.store.count_live_calls().await.unwrap(), 2);
    world.store.record_status(call.id, fact(Status::Completed, 1)).await.unwrap();
    assert_eq!((live("node-b").await, world.store.count_live_calls().await.unwrap()), (0, 1));
}

#[tokio::test]
async fn calls_that_should_be_over_or_dialled_are_overdue() {
    let world = World::new().await;
    world.store.heartbeat(&node("node-a")).await.unwrap();
    let (inbound, _) = world.inbound().await;
    let opened = world.outbound().await;
    let overdue = async || -> Vec<_> {
        world.store.overdue_calls().await.unwrap().iter().map(|call| call.id).collect::<Vec<_>>()
    };
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(overdue().await, []);
    world.store.mark_dialing(opened.id, &Allowance::UNBOUNDED).await.unwrap();
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(overdue().await, [], "dialling began a minute ago at most");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(overdue().await, [opened.id]);
    world.store.adopt_sid(opened.id, sid()).await.unwrap();
    assert_eq!(overdue().await, []);
    world.clock.advance(Duration::from_secs(1_800));
    let mut both = [inbound.id, opened.id];
    both.sort();
    let mut found = overdue().await;
    found.sort();
    assert_eq!(found, both);
}

#[tokio::test]
async fn a_node_lives_by_its_last_word() {
    let world = World::new().await;
    world.store.heartbeat(&node("node-b")).await.unwrap();
    world.store.heartbeat(&Node { ready: false, ..node("node-a") }).await.unwrap();
    let watch = Watch::default();
    let living = async || {
        let living = watch.living(world.store.nodes().await.unwrap(), world.clock.now());
        living.iter().map(|node| (node.name.clone(), node.has_room())).collect::<Vec<_>>()
    };
    let both = [("node-a".to_owned(), false), ("node-b".to_owned(), true)];
    assert_eq!(living().await, both);
    world.clock.advance(Duration::from_millis(5_999));
    assert_eq!(living().await, both);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(living().await, []);
    world.store.forget_node("node-b").await.unwrap();
    world.store.forget_node("node-b").await.unwrap();
    assert_eq!(world.store.nodes().await.unwrap().len(), 1);
}
