//! Recordings, and the end of everything.

use bytes::Bytes;
use call::journal::{Entry, Kind};
use store::{ByteRange, Part, StoreError};

use crate::world::World;

#[tokio::test]
async fn segments_are_listed_in_order_and_may_be_put_again() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    for (epoch, n) in [(2, 1), (1, 10), (1, 2), (1, 2)] {
        let bytes = Bytes::from(vec![7; 10 * n as usize]);
        world.store.put_segment(call.id, epoch, n, bytes).await.unwrap();
    }
    world.store.put_waveform(call.id, Bytes::from_static(b"[1,2]")).await.unwrap();
    let segments = world.store.segments(call.id).await.unwrap();
    let seen: Vec<_> = segments.iter().map(|segment| (segment.epoch, segment.n, segment.bytes)).collect();
    assert_eq!(seen, [(1, 2, 20), (1, 10, 100), (2, 1, 10)]);
    assert_eq!(world.store.segment(call.id, 1, 2).await.unwrap(), vec![7; 20]);
    assert_eq!(world.store.waveform(call.id).await.unwrap(), &b"[1,2]"[..]);
    assert!(matches!(world.store.segment(call.id, 3, 1).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_recording_is_read_in_parts() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let read = async |range| world.store.recording(call.id, range).await;
    assert!(matches!(read(None).await, Err(StoreError::NotFound(_))));
    assert!(matches!(read(Some(ByteRange::From(0))).await, Err(StoreError::NotFound(_))));
    let mut upload = world.store.upload_recording(call.id);
    upload.write(b"01234").await.unwrap();
    upload.write(b"56789").await.unwrap();
    assert!(matches!(read(None).await, Err(StoreError::NotFound(_))), "not finished");
    upload.finish().await.unwrap();
    assert_eq!(world.store.recording_bytes(call.id).await.unwrap(), 10);
    assert_eq!(read(None).await.unwrap(), Part::Whole(Bytes::from_static(b"0123456789")));
    let part = |bytes, first| Part::Partial { bytes: Bytes::from_static(bytes), first, total: 10 };
    assert_eq!(read(Some(ByteRange::Between(2, 4))).await.unwrap(), part(b"234", 2));
    assert_eq!(read(Some(ByteRange::From(8))).await.unwrap(), part(b"89", 8));
    assert_eq!(read(Some(ByteRange::Last(1))).await.unwrap(), part(b"9", 9));
    assert_eq!(read(Some(ByteRange::From(10))).await.unwrap(), Part::Unsatisfiable { total: 10 });
}

#[tokio::test]
async fn a_long_recording_goes_up_in_pieces() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let mut upload = world.store.upload_recording(call.id);
    let second: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for _ in 0..18 {
        upload.write(&second).await.unwrap();
    }
    upload.finish().await.unwrap();
    let Part::Whole(bytes) = world.store.recording(call.id, None).await.unwrap() else { panic!("not whole") };
    assert_eq!(bytes.len(), 18_000_000);
    assert!(bytes.chunks(1_000_000).all(|chunk| chunk == second));
}

#[tokio::test]
async fn an_erased_call_leaves_nothing() {
    let world = World::new().await;
    let (call, sid) = world.inbound().await;
    let (other, _) = world.inbound().await;
    let entry = |seq| Entry { epoch: 1, seq, at_ms: 1, kind: Kind::Commanded { command: "x".repeat(20_000) } };
    let entries: Vec<_> = (1..=40).map(entry).collect();
    for id in [call.id, other.id] {
        world.store.append_journal(id, &entries).await.unwrap();
        world.store.put_segment(id, 1, 1, Bytes::from_static(b"x")).await.unwrap();
    }
    world.store.erase_call(call.id).await.unwrap();
    world.store.erase_call(call.id).await.unwrap();
    assert!(matches!(world.store.call(call.id).await, Err(StoreError::NotFound(_))));
    assert!(matches!(world.store.call_by_sid(sid).await, Err(StoreError::NotFound(_))));
    assert_eq!(world.store.read_journal(call.id, None, 10).await.unwrap().entries, []);
    assert_eq!(world.store.segments(call.id).await.unwrap(), []);
    assert_eq!(world.store.read_journal(other.id, None, 100).await.unwrap().entries, entries);
    assert_eq!(world.store.segments(other.id).await.unwrap().len(), 1);
}
