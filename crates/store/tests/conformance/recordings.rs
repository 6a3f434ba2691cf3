//! Recordings, and the end of everything.

use std::time::Duration;

use bytes::Bytes;
use call::CallId;
use call::journal::{Entry, Kind};
use store::{Status, StoreError, WorkKind};

use crate::world::{World, fact};

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

/// A part of the recording, or all of it.
async fn heard(world: &World, id: CallId, range: Option<(u64, u64)>) -> Vec<u8> {
    let file = world.store.recording_file(id).await.unwrap();
    let mut body = world.store.recording(id, &file, range).await.unwrap();
    let mut heard = Vec::new();
    while let Some(bytes) = body.next().await {
        heard.extend(bytes.unwrap());
    }
    heard
}

#[tokio::test]
async fn a_recording_is_read_in_parts_of_one_file() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let missing = async || world.store.recording_file(call.id).await;
    assert!(matches!(missing().await, Err(StoreError::NotFound(_))));
    let mut upload = world.store.upload_recording(call.id);
    upload.write(b"01234").await.unwrap();
    upload.write(b"56789").await.unwrap();
    assert!(matches!(missing().await, Err(StoreError::NotFound(_))), "not finished");
    let etag = upload.finish().await.unwrap();
    let file = world.store.recording_file(call.id).await.unwrap();
    assert_eq!((file.bytes, &file.etag), (10, &etag));
    assert_eq!(heard(&world, call.id, None).await, b"0123456789");
    assert_eq!(heard(&world, call.id, Some((2, 4))).await, b"234");

    let mut upload = world.store.upload_recording(call.id);
    upload.write(b"another").await.unwrap();
    assert_ne!(upload.finish().await.unwrap(), etag);
    let stale = world.store.recording(call.id, &file, Some((2, 4))).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "parts of two files make none");
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
    let etag = upload.finish().await.unwrap();
    assert_eq!(world.store.recording_file(call.id).await.unwrap().etag, etag);
    let bytes = heard(&world, call.id, None).await;
    assert_eq!(bytes.len(), 18_000_000);
    assert!(bytes.chunks(1_000_000).all(|chunk| chunk == second));
}

#[tokio::test]
async fn a_segment_that_comes_after_the_end_has_the_recording_joined_again() {
    let world = World::new().await;
    let (call, _) = world.inbound().await;
    let joins = async || {
        let claimed = world.store.claim_work(100, Duration::from_secs(60)).await.unwrap();
        claimed.iter().filter(|leased| leased.item.kind == WorkKind::JoinRecording).count()
    };
    world.store.put_segment(call.id, 1, 0, Bytes::from_static(b"x")).await.unwrap();
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(joins().await, 0, "the call is under way");
    world.store.record_status(call.id, fact(Status::Completed, 30)).await.unwrap();
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(joins().await, 1, "the end's own");
    for n in 1..=5 {
        world.store.put_segment(call.id, 1, n, Bytes::from_static(b"x")).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(joins().await, 1, "one for all that came together");
}

#[tokio::test]
async fn an_expired_call_leaves_nothing() {
    let world = World::new().await;
    let (call, sid) = world.inbound().await;
    let (other, _) = world.inbound().await;
    let entry = |seq| Entry { epoch: 1, seq, at_ms: 1, kind: Kind::Commanded { command: "x".repeat(20_000) } };
    let entries: Vec<_> = (1..=40).map(entry).collect();
    for id in [call.id, other.id] {
        world.store.append_journal(id, &entries).await.unwrap();
        world.store.put_segment(id, 1, 1, Bytes::from_static(b"x")).await.unwrap();
    }
    world.store.expire_call(call.id).await.unwrap();
    world.store.expire_call(call.id).await.unwrap();
    assert!(matches!(world.store.call(call.id).await, Err(StoreError::NotFound(_))));
    assert!(matches!(world.store.call_by_sid(sid).await, Err(StoreError::NotFound(_))));
    assert_eq!(world.store.read_journal(call.id, None, 10).await.unwrap().entries, []);
    assert_eq!(world.store.segments(call.id).await.unwrap(), []);
    assert_eq!(world.store.read_journal(other.id, None, 100).await.unwrap().entries, entries);
    assert_eq!(world.store.segments(other.id).await.unwrap().len(), 1);
}
