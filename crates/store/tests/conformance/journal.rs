//! The journal.

use call::CallId;
use call::journal::{Entry, Kind};
use proptest::prelude::*;
use store::Position;

use crate::emulator;
use crate::world::{NOON, World};

fn entry(epoch: u32, seq: u64) -> Entry {
    Entry { epoch, seq, at_ms: 1_000 * seq, kind: Kind::Commanded { command: format!("say {epoch}.{seq}") } }
}

fn entries(epoch: u32, seqs: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    seqs.map(|seq| entry(epoch, seq)).collect()
}

fn id() -> CallId {
    CallId::new(NOON.as_ms(), 1)
}

#[tokio::test]
async fn entries_read_back_in_order_from_any_position() {
    let world = World::new().await;
    let all = [entries(1, 1..=150), entries(2, 1..=30)].concat();
    world.store.append_journal(id(), &all[..70]).await.unwrap();
    world.store.append_journal(id(), &all[70..]).await.unwrap();
    let whole = world.store.read_journal(id(), None, 1_000).await.unwrap();
    assert_eq!((whole.entries.len(), whole.more), (180, false));
    assert_eq!(whole.entries, all);
    for n in [0, 1, 63, 64, 65, 99, 149, 150, 178] {
        let page = world.store.read_journal(id(), Some(Position::of(&all[n])), 7).await.unwrap();
        assert_eq!(page.entries, all[n + 1..(n + 8).min(180)], "after {n}");
        assert_eq!(page.more, n + 8 < 180, "after {n}");
    }
    let end = world.store.read_journal(id(), Some(Position { epoch: 2, seq: 30 }), 10).await.unwrap();
    assert_eq!((end.entries.len(), end.more), (0, false));
}

#[tokio::test]
async fn a_call_without_a_journal_has_an_empty_one() {
    let world = World::new().await;
    assert_eq!(world.store.read_journal(id(), None, 10).await.unwrap().entries, []);
    world.store.append_journal(id(), &[]).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(emulator::cases(16)))]

    #[test]
    fn entries_may_be_written_again_with_other_borders(
        again in proptest::collection::vec((1..60_u64, 1..30_u64), 0..8),
        after in 0..60_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.store.append_journal(id(), &entries(1, 1..=60)).await.unwrap();
            for (first, count) in again {
                let part = entries(1, first..=(first + count).min(60));
                world.store.append_journal(id(), &part).await.unwrap();
            }
            let page = world.store.read_journal(id(), Some(Position { epoch: 1, seq: after }), 1_000).await.unwrap();
            assert_eq!(page.entries, entries(1, after + 1..=60));
        });
    }
}
