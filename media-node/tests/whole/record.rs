//! The record is complete, whatever happens to the store and to the process.

use call::Command;
use call::audio::mulaw::SILENCE;
use call::journal::{EndedBy, Entry, Kind};
use call::recording::bytes_of;
use media_node::Node;

use crate::log;
use crate::support::{AUTH_TOKEN, Phone, Running, STREAM_SECRET, World, eventually};

#[tokio::test]
async fn a_call_leaves_its_journal_its_engines_and_its_recording() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    let mut phone = node.call(&call).await;
    phone.hears_something().await;
    // The disclosure is heard to its end before the caller is recorded.
    phone.speak(150, 0x20).await;
    phone.hang_up().await;
    assert_eq!(phone.closed().await.0, 1000);
    let journal = world.whole_journal(call.id).await;
    assert!(matches!(journal[0].kind, Kind::Prepared { .. }));
    let record = world.store.call(call.id).await.unwrap();
    assert_eq!(record.engine, Some(call::agent::EngineKind::Hume));
    assert_eq!(record.engines_tried, [call::agent::EngineKind::Hume]);
    eventually("the recording", async || !world.store.segments(call.id).await.unwrap().is_empty()).await;
    let audio = world.store.segment(call.id, 1, 0).await.unwrap();
    assert!(audio.len() > bytes_of(1_000) && audio.len() <= bytes_of(3_200), "{}", audio.len());
    let (caller, agent): (Vec<u8>, Vec<u8>) = audio.chunks(2).map(|moment| (moment[0], moment[1])).unzip();
    assert!(caller.iter().filter(|code| **code == 0x20).count() > 8_000);
    assert!(caller.iter().all(|code| matches!(*code, 0x20 | SILENCE)));
    assert!(agent.iter().filter(|code| **code != SILENCE).count() > 4_000);
    eventually("an empty spool", async || node.figure("spool_bytes").await == 0).await;
}

/// Of all tests in this program, as far as they have come: they log to one place.
#[tokio::test]
async fn neither_words_nor_secrets_are_logged() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    let token = call.token("node-a");
    let mut phone = node.call(&call).await;
    phone.hears_something().await;
    phone.send(r#"{"event":"dtmf","dtmf":{"digit":"7"}}"#.to_owned()).await;
    assert_eq!(node.command(&call, &Command::Transfer { to: "+12025550177".to_owned() }).await, 202);
    assert_eq!(phone.closed().await.0, 1000);
    world.whole_journal(call.id).await;
    let log = log::text();
    let ours: Vec<&str> = log.lines().filter(|line| line.contains(&call.id.to_string())).collect();
    for expected in ["the phone's audio begins", "engine ready", "the stream is over"] {
        assert!(ours.iter().any(|line| line.contains(expected)), "{expected}\n{ours:#?}");
    }
    for secret in
        ["Hello.", "This call is recorded", "Be brief", "+1202555", "the key", STREAM_SECRET, AUTH_TOKEN, &token]
    {
        let told = log.lines().find(|line| line.contains(secret));
        assert_eq!(told, None, "{secret}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_costs_nothing_but_time() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    world.faults.set_rate(1.0);
    let mut phone = node.call(&call).await;
    phone.hears_something().await;
    phone.speak(120, 0x20).await;
    node.figure_reaches("journal_spooled_total", 1).await;
    assert_eq!(node.command(&call, &Command::HangUp { by: EndedBy::Operator }).await, 202);
    assert_eq!(phone.closed().await.0, 1000);
    node.figure_reaches("spool_bytes", 10_000).await;
    world.faults.set_rate(0.0);
    let journal = world.whole_journal(call.id).await;
    assert!(journal.iter().any(|entry| matches!(entry.kind, Kind::NextStep { .. })));
    eventually("the next step", async || world.store.next_step(call.id, 1).await.unwrap().is_some()).await;
    eventually("the recording", async || world.store.segments(call.id).await.unwrap().len() == 1).await;
    eventually("an empty spool", async || node.figure("spool_bytes").await == 0).await;
    assert_eq!(node.figure("journal_dropped_total").await, 0);
}

#[tokio::test]
async fn one_bad_file_in_a_spool_keeps_no_other_waiting_and_is_kept() {
    let mut world = World::new().await;
    let call = world.open_call("node-a").await;
    let config = world.config("node-a", 1);
    let (journals, recordings) = (config.data_dir.join("spool/journal"), config.data_dir.join("spool/recording"));
    std::fs::create_dir_all(&journals).unwrap();
    std::fs::create_dir_all(&recordings).unwrap();
    let entry = Entry { epoch: 1, seq: 1, at_ms: 1, kind: Kind::Dtmf { digit: "1".to_owned() } };
    let line = serde_json::to_string(&entry).unwrap();
    // By name, all of these come before the good one.
    std::fs::create_dir(journals.join("a-directory")).unwrap();
    std::fs::write(journals.join("a-stranger.jsonl"), b"not ours").unwrap();
    std::fs::write(journals.join(format!("{}.0.boot.jsonl", call.id)), format!("nonsense\n{line}\n")).unwrap();
    let second = Entry { seq: 2, ..entry.clone() };
    let good = format!("{}\n", serde_json::to_string(&second).unwrap());
    std::fs::write(journals.join(format!("{}.1.boot.jsonl", call.id)), good).unwrap();
    std::fs::write(recordings.join("a-stranger.ulaw"), b"not ours").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = Running::start(config, world.node_store.clone(), listener).await;
    eventually("the journal", async || world.journal(call.id).await == [entry.clone(), second.clone()]).await;
    eventually("the bad ones set aside", async || node.figure("spool_set_aside").await == 4).await;
    eventually("an empty spool", async || node.figure("spool_bytes").await == 0).await;
    assert!(node.text("/status").await.1.contains(r#""spool_set_aside":4"#));
    assert_eq!(std::fs::read(journals.join("a-stranger.jsonl.bad")).unwrap(), b"not ours");
    assert_eq!(std::fs::read(recordings.join("a-stranger.ulaw.bad")).unwrap(), b"not ours");
}

/// The entries that wait on disk.
fn spooled(directory: &std::path::Path) -> Vec<Entry> {
    let files =
        std::fs::read_dir(directory).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    files.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

#[test]
fn what_a_killed_process_left_on_disk_is_stored_at_the_next_start() {
    let outside = tokio::runtime::Runtime::new().unwrap();
    let (mut world, call) = outside.block_on(async {
        let world = World::new().await;
        let call = world.open_call("node-a").await;
        (world, call)
    });
    let config = world.config("node-a", 1);
    let (first, store, faults) = (config.clone(), world.node_store.clone(), world.faults.clone());
    let process = tokio::runtime::Runtime::new().unwrap();
    process.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Running::start(first, store, listener).await;
        faults.set_rate(1.0);
        assert_eq!(node.prepare(&call).await, 202);
        let mut phone = Phone::join(&node.base, "node-a", &call, &call.token("node-a")).await;
        phone.hears_something().await;
        phone.speak(250, 0x20).await;
        node.figure_reaches("journal_spooled_total", 4).await;
        node.figure_reaches("spool_bytes", 16_000).await;
    });
    // Nothing is told, nothing is flushed: every task is gone, as after a kill.
    process.shutdown_background();
    outside.block_on(async {
        let spooled = spooled(&config.data_dir.join("spool").join("journal"));
        assert!(spooled.iter().any(|entry| matches!(entry.kind, Kind::EngineReady { .. })), "{spooled:?}");
        world.faults.set_rate(0.0);
        let node = Node::start(config, world.node_store.clone()).await.unwrap();
        eventually("the journal", async || {
            let journal = world.journal(call.id).await;
            spooled.iter().all(|entry| journal.contains(entry))
        })
        .await;
        eventually("the recording", async || world.store.segments(call.id).await.unwrap().len() == 1).await;
        assert!(world.store.segment(call.id, 1, 0).await.unwrap().len() >= bytes_of(1_000));
        node.drain().await;
    });
}
