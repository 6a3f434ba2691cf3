//! What was answered is still there after the process was killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use call::CallId;
use call::journal::{Entry, Kind};
use embedded::{Embedded, EmbeddedError};
use store::{Store, StoreError};

use crate::emulator::local;
use crate::world::NOON;

/// Set for the process that is going to be killed.
const DIRECTORY: &str = "SWITCHBOARD_TEST_KILLED_DIRECTORY";

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn store_in(directory: &Path) -> (Embedded, Store) {
    let embedded = Embedded::start(directory).unwrap();
    let store = Store::connect(local(&embedded, "switchboard")).await;
    store.create_if_absent().await.unwrap();
    (embedded, store)
}

fn call_number(n: u64) -> CallId {
    CallId::new(NOON.as_ms(), u128::from(n))
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_when_the_process_is_killed() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return write_until_killed(Path::new(&directory)).await;
    }
    let directory = Directory(std::env::temp_dir().join(format!("switchboard-killed-{}", std::process::id())));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restart::nothing_that_was_answered_is_lost_when_the_process_is_killed", "--nocapture"])
        .env(DIRECTORY, &directory.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = 0;
    for line in lines {
        if let Some(n) = line.unwrap().strip_prefix("answered ") {
            answered = n.parse().unwrap();
        }
        if answered == 25 {
            assert!(matches!(Embedded::start(&directory.0), Err(EmbeddedError::InUse { .. })));
        }
        if answered >= 60 {
            break;
        }
    }
    // SIGKILL: nothing is flushed, no destructor runs.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answered >= 60, "the writer died by itself after {answered}");

    let (embedded, store) = store_in(&directory.0).await;
    for n in 1..=answered {
        let page = store.read_journal(call_number(n), None, 10).await.unwrap();
        assert_eq!(page.entries.len(), 1, "of {answered} answered writes, {n} is gone");
        assert_eq!(store.segment(call_number(n), 1, 1).await.unwrap(), Bytes::from(n.to_string()));
    }
    embedded.shutdown();
    // An end in order leaves the directory to the next one as well.
    let (_embedded, store) = store_in(&directory.0).await;
    assert_eq!(store.read_journal(call_number(1), None, 10).await.unwrap().entries.len(), 1);
}

async fn write_until_killed(directory: &Path) {
    let (_embedded, store) = store_in(directory).await;
    for n in 1.. {
        let entry = Entry { epoch: 1, seq: 1, at_ms: n, kind: Kind::Commanded { command: "x".into() } };
        store.append_journal(call_number(n), &[entry]).await.unwrap();
        store.put_segment(call_number(n), 1, 1, Bytes::from(n.to_string())).await.unwrap();
        println!("answered {n}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_says_so_and_may_be_asked_again() {
    let embedded = Embedded::in_memory().unwrap();
    let store = Store::connect(local(&embedded, "switchboard")).await;
    store.create_if_absent().await.unwrap();
    embedded.shutdown();
    let error = store.call(call_number(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.is_retryable());
    let error = store.put_segment(call_number(1), 1, 1, Bytes::from_static(b"x")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_table_or_key_that_is_wrong_is_not_worth_another_try() {
    let embedded = Embedded::in_memory().unwrap();
    let store = Store::connect(local(&embedded, "missing")).await;
    let error = store.call(call_number(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused { code, .. } if code == "ResourceNotFoundException"), "{error}");
    store.create_if_absent().await.unwrap();
    let mut config = local(&embedded, "missing");
    if let Some(keys) = &mut config.credentials {
        keys.access_key = "wrong".into();
    }
    let error = Store::connect(config).await.call(call_number(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused { code, .. } if code == "UnrecognizedClientException"), "{error}");
    let mut config = local(&embedded, "switchboard");
    if let Some(keys) = &mut config.credentials {
        keys.secret_key = "wrong".into();
    }
    let stranger = Store::connect(config).await;
    let error = stranger.put_segment(call_number(1), 1, 1, Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused { code, .. } if code == "SignatureDoesNotMatch"), "{error}");
}
