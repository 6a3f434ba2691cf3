//! What a person wants to be gone is gone, and stays so; what is held about a number can be had; who had it is known.

use std::time::Duration;

use bytes::Bytes;
use call::CallId;
use call::journal::{Entry, Kind, Speaker, Turn};
use call::latency::Latency;
use call::outcome::{Outcome, Verdict};
use store::{
    AccessKind, CallRecord, Correction, Erasure, Idempotency, Judgement, ListQuery, Placed, Status, StoreError,
    WorkKind, search_words,
};

use crate::world::{World, fact, sid};

const NUMBER: &str = "+12025550123";

fn said(seq: u64, text: &str) -> Entry {
    let turn = Turn {
        n: 1,
        speaker: Speaker::Caller,
        text: text.into(),
        heard_text: text.into(),
        approximate: false,
        start_ms: 0,
        end_ms: 900,
        heard_ms: 900,
        interrupted: false,
        engine: None,
        expressions: Vec::new(),
    };
    Entry { epoch: 1, seq, at_ms: 1, kind: Kind::Turn(turn) }
}

/// A call with words and sound that is over.
async fn finished(world: &World) -> CallRecord {
    let (call, _) = world.inbound().await;
    world.store.append_journal(call.id, &[said(1, "My name is Rumpelstiltskin.")]).await.unwrap();
    world.store.put_segment(call.id, 1, 0, Bytes::from_static(b"sound-of-a-voice")).await.unwrap();
    world.store.record_status(call.id, fact(Status::Completed, 30)).await.unwrap();
    world.store.call(call.id).await.unwrap()
}

/// Does what the worker does about erasing, until nothing of it is due.
async fn work(world: &World) {
    loop {
        let claimed = world.store.claim_work(100, Duration::from_secs(60)).await.unwrap();
        let mut worked = false;
        for leased in claimed {
            match leased.item.kind {
                WorkKind::Erase => world.store.remove_parts(leased.item.call).await.unwrap(),
                WorkKind::EraseNumber => match world.store.go_on_erasing(leased.item.call).await.unwrap() {
                    None => {}
                    Some(_) => {
                        world.store.postpone_work(&leased, Duration::from_secs(30)).await.unwrap();
                        continue;
                    }
                },
                WorkKind::Analyse
                | WorkKind::TellStarted
                | WorkKind::TellEnded
                | WorkKind::TellAnalyzed
                | WorkKind::Reconcile
                | WorkKind::JoinRecording
                | WorkKind::FillTranscript
                | WorkKind::Index
                | WorkKind::Expire => {}
            }
            world.store.complete_work(&leased).await.unwrap();
            worked = true;
        }
        if !worked {
            return;
        }
    }
}

/// Postings are in lower case.
fn assert_holds_nothing(dump: &str) {
    let dump = dump.to_lowercase();
    for trace in ["2025550123", "rumpelstiltskin", "book appointments", "sound-of-a-voice", "recording.wav", "word#"] {
        assert!(!dump.contains(trace), "{trace} is in {dump}");
    }
}

#[tokio::test]
async fn after_an_erasure_a_dump_of_everything_holds_no_number_and_no_word() {
    let world = World::new().await;
    let once = Idempotency { user: "ann".into(), key: "remind +12025550123".into(), body_sha256: "b".into() };
    let mut new = world.new_call();
    (new.from, new.to) = ("+12025550100".into(), NUMBER.into());
    let Placed::New(call) = world.store.open_outbound(&new, Some(&once)).await.unwrap() else { panic!("placed") };
    let sid = sid();
    world.store.adopt_sid(call.id, sid).await.unwrap();
    world.store.append_journal(call.id, &[said(1, "My name is Rumpelstiltskin.")]).await.unwrap();
    world.store.index_words(call.id, &search_words("My name is Rumpelstiltskin.")).await.unwrap();
    world.store.put_segment(call.id, 1, 0, Bytes::from_static(b"sound-of-a-voice")).await.unwrap();
    let mut upload = world.store.upload_recording(call.id);
    upload.write(b"RIFF sound-of-a-voice").await.unwrap();
    upload.finish().await.unwrap();
    world.store.put_waveform(call.id, Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(world.store.erase_call(call.id, "ada").await.unwrap(), Erasure::UnderWay);
    world.store.record_status(call.id, fact(Status::Completed, 30)).await.unwrap();
    // What was found out about it, twice, with the work to tell of it; a turn that the engine's history has filled in; and
    // how long its caller waited.
    let verdict = Verdict {
        outcome: Outcome::Yes,
        confidence: 1.0,
        evidence: Some("A table for Rumpelstiltskin.".into()),
        evidence_turn: Some(1),
        evidence_found: true,
        fields: [("name".to_owned(), "Rumpelstiltskin".to_owned())].into(),
        reason: "Rumpelstiltskin is expected.".into(),
    };
    let judgement = Judgement { verdict, model: "rule".into(), judged_at: world.clock.now() };
    world.store.record_judgement(call.id, judgement).await.unwrap();
    let note = Some("I know Rumpelstiltskin".to_owned());
    let correction = Correction { outcome: Outcome::No, note, by: "olga".into(), at: world.clock.now() };
    world.store.correct_outcome(call.id, correction).await.unwrap();
    let filled = Entry { epoch: 0, ..said(1, "Rumpelstiltskin once more.") };
    world.store.append_journal(call.id, &[filled]).await.unwrap();
    let latency = Latency { first_word_ms: Some(40), ..Latency::default() };
    world.store.count_latency(call.id, &latency).await.unwrap();
    // Work that died with words of an error.
    world.store.add_work(call.id, WorkKind::Analyse, world.clock.now()).await.unwrap();
    for _ in 0..10 {
        world.clock.advance(Duration::from_secs(3_600));
        for leased in world.store.claim_work(100, Duration::from_secs(60)).await.unwrap() {
            world.store.fail_work(&leased, "Rumpelstiltskin at +12025550123 is unclear").await.unwrap();
        }
    }
    let before = world.dump().await;
    for trace in [
        "2025550123",
        "Rumpelstiltskin",
        "Book appointments",
        "sound-of-a-voice",
        "WORD#rumpelstiltskin#",
        "A table for Rumpelstiltskin.",
        "I know Rumpelstiltskin",
        "Rumpelstiltskin once more.",
        "latency#",
        sid.as_str(),
    ] {
        assert!(before.contains(trace), "{trace} is not in {before}");
    }
    world.store.note_access(call.id, "vic", AccessKind::Transcript).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.store.erase_call(call.id, "ada").await.unwrap(), Erasure::Begun);
    assert_eq!(world.store.erase_call(call.id, "ada").await.unwrap(), Erasure::Repeated);
    assert!(matches!(world.store.call(call.id).await, Err(StoreError::Erased(_))), "at once");
    assert!(matches!(world.store.call_by_sid(sid).await, Err(StoreError::NotFound(_))));
    work(&world).await;
    let after = world.dump().await;
    assert_holds_nothing(&after);
    assert!(!after.contains(sid.as_str()));
    let accesses = world.store.accesses(call.id).await.unwrap();
    let seen: Vec<_> = accesses.iter().map(|access| (access.who.as_str(), access.what)).collect();
    assert_eq!(seen, [("vic", AccessKind::Transcript), ("ada", AccessKind::Erased)]);
}

#[tokio::test]
async fn what_comes_late_does_not_bring_an_erased_call_back() {
    let world = World::new().await;
    let call = finished(&world).await;
    world.store.erase_call(call.id, "ada").await.unwrap();
    work(&world).await;
    // A node that was cut off from the store writes what it had spooled.
    world.store.append_journal(call.id, &[said(2, "Rumpelstiltskin again.")]).await.unwrap();
    world.store.put_segment(call.id, 1, 1, Bytes::from_static(b"sound-of-a-voice")).await.unwrap();
    // A worker that had read its journal before comes to its words now.
    world.store.index_words(call.id, &search_words("Rumpelstiltskin")).await.unwrap();
    let late = world.store.record_status(call.id, fact(Status::Completed, 31)).await;
    assert!(matches!(late, Err(StoreError::Erased(_))), "{late:?}");
    assert!(world.store.adopt_sid(call.id, sid()).await.is_err());
    assert_holds_nothing(&world.dump().await);

    // One that dies between writing and looking leaves its part: the worker comes again.
    let mut upload = world.store.upload_recording(call.id);
    upload.write(b"sound-of-a-voice").await.unwrap();
    upload.finish().await.unwrap();
    world.clock.advance(Duration::from_secs(600));
    work(&world).await;
    assert_holds_nothing(&world.dump().await);
}

#[tokio::test]
async fn a_number_is_erased_over_pages_and_calls_under_way_when_they_are_over() {
    let world = World::new().await;
    for _ in 0..60 {
        finished(&world).await;
    }
    let (under_way, _) = world.inbound().await;
    let mut other = world.new_call();
    other.from = "+12025550199".into();
    let other = world.store.open_inbound(&other, sid()).await.unwrap().call;
    world.clock.advance(Duration::from_secs(1));
    let order = CallId::new(world.clock.now().as_ms(), 7);
    let step = world.store.erase_number(order, NUMBER, "ada").await.unwrap();
    assert!(step.erased > 0 && step.more, "{step:?}");
    for _ in 0..4 {
        world.clock.advance(Duration::from_secs(60));
        work(&world).await;
    }
    let left = world.store.calls_with(NUMBER, None, 10).await.unwrap().calls;
    assert_eq!(left.iter().map(|call| call.id).collect::<Vec<_>>(), [under_way.id]);
    world.store.record_status(under_way.id, fact(Status::Completed, 300)).await.unwrap();
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(60));
        work(&world).await;
    }
    let dump = world.dump().await;
    assert!(!dump.contains("2025550123") && !dump.contains("Rumpelstiltskin"), "{dump}");
    assert!(dump.contains("2025550199"));
    assert_eq!(world.store.call(other.id).await.unwrap().id, other.id);
}

#[tokio::test]
async fn all_that_is_held_about_a_number_can_be_had_page_by_page() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, finished(&world).await.id);
        world.clock.advance(Duration::from_secs(1));
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = world.store.calls_with(NUMBER, cursor.as_deref(), 2).await.unwrap();
        assert!(page.calls.len() <= 2);
        seen.extend(page.calls.iter().map(|call| call.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let held = world.store.held(ids[0]).await.unwrap();
    let names: Vec<_> = held.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["CALL", "J#000001#000000000001", "SCRIPT"]);
    assert_eq!(held[1].1["entries"][0]["text"], "My name is Rumpelstiltskin.");
}

#[tokio::test]
async fn words_that_come_after_the_end_are_looked_at_again() {
    let world = World::new().await;
    let call = finished(&world).await;
    let judging = async || world.work().await.iter().filter(|id| id.contains("analyse")).count();
    assert_eq!(judging().await, 1, "what the end itself asks for");
    for leased in world.store.claim_work(100, Duration::from_secs(60)).await.unwrap() {
        world.store.complete_work(&leased).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(120));
    for leased in world.store.claim_work(100, Duration::from_secs(60)).await.unwrap() {
        world.store.complete_work(&leased).await.unwrap();
    }
    assert_eq!(judging().await, 0);
    // A node that was cut off from the store writes what it had spooled; twice, as it does not know.
    for _ in 0..2 {
        world.store.append_journal(call.id, &[said(2, "Tuesday, please.")]).await.unwrap();
    }
    assert_eq!(judging().await, 1);
}

#[tokio::test]
async fn what_is_older_than_the_retention_is_hidden_at_once() {
    let world = World::new().await;
    let call = finished(&world).await;
    world.clock.advance(Duration::from_secs(366 * 24 * 3_600));
    assert!(matches!(world.store.call(call.id).await, Err(StoreError::NotFound(_))));
    assert_eq!(
        world.store.list_calls(&ListQuery { limit: 10, ..ListQuery::default() }, |_| true).await.unwrap().calls,
        []
    );
    assert_eq!(world.store.read_journal(call.id, None, 10).await.unwrap().entries, []);
    world.store.append_journal(call.id, &[said(3, "late")]).await.unwrap();
    world.store.put_segment(call.id, 1, 5, Bytes::from_static(b"late")).await.unwrap();
    world.store.expire_call(call.id).await.unwrap();
    let dump = world.dump().await;
    assert!(!dump.contains("Rumpelstiltskin") && !dump.contains("late"), "{dump}");
}
