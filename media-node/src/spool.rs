//! Files that wait for the store: what was to be written while it was away, or when the process was killed.
//!
//! A file is written by one task only, its owner; when the owner is done with it, or was a process that is no more, the
//! file is anyone's to store and delete. Nothing is synced to the disk: a killed process loses nothing that was written,
//! and a loss of power costs what had not reached the store, which is what it costs without a spool as well.
//!
//! The spool has a bound. What does not fit is refused, and whoever wrote it counts the loss.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::fs;
use tokio::io::AsyncWriteExt;

/// The most that may wait on a node's disk: an hour of 70 recorded calls without a store.
const BYTES_MAX: u64 = 4 << 30;

/// One directory of files.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    bytes: AtomicU64,
    owned: Mutex<BTreeSet<String>>,
}

impl Spool {
    /// Opens a directory, making it if need be. What it holds is from processes that are no more.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let probe = directory.join(".writable");
        std::fs::write(&probe, b"")?;
        std::fs::remove_file(&probe)?;
        let mut bytes = 0;
        for entry in std::fs::read_dir(&directory)? {
            bytes += entry?.metadata()?.len();
        }
        Ok(Self { directory, bytes: AtomicU64::new(bytes), owned: Mutex::default() })
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Appends to a file, which is the caller's own from here on.
    pub(crate) async fn append(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let length = content.len() as u64;
        if self.bytes() + length > BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the spool is full"));
        }
        self.owned().insert(name.to_owned());
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path(name)).await?;
        file.write_all(content).await?;
        // The file's own buffer is the process's memory: after this the bytes survive us.
        file.flush().await?;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }

    /// A file's content.
    pub(crate) async fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name)).await
    }

    /// Deletes a file: it is stored.
    pub(crate) async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let length = fs::metadata(&path).await?.len();
        fs::remove_file(&path).await?;
        let left = |bytes: u64| Some(bytes.saturating_sub(length));
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).ok();
        self.owned().remove(name);
        Ok(())
    }

    /// Leaves a file to whoever stores it.
    pub(crate) fn disown(&self, name: &str) {
        self.owned().remove(name);
    }

    /// Leaves all files whose names begin like this.
    pub(crate) fn disown_all(&self, beginning: &str) {
        self.owned().retain(|name| !name.starts_with(beginning));
    }

    /// The files that are nobody's, in the order of their names.
    pub(crate) async fn orphans(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut entries = fs::read_dir(&self.directory).await?;
        while let Some(entry) = entries.next_entry().await? {
            if let Some(name) = entry.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        let owned = self.owned();
        names.retain(|name| !owned.contains(name));
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(Path::new(name).file_name().unwrap_or_default())
    }

    fn owned(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> PathBuf {
        std::env::temp_dir().join(format!("switchboard-spool-{:x}", fastrand::u64(..)))
    }

    #[tokio::test]
    async fn a_file_is_its_owners_until_it_is_given_up_and_survives_the_process() {
        let directory = directory();
        let spool = Spool::open(directory.clone()).unwrap();
        spool.append("a", b"one\n").await.unwrap();
        spool.append("a", b"two\n").await.unwrap();
        assert_eq!((spool.bytes(), spool.orphans().await.unwrap()), (8, vec![]));
        spool.disown("a");
        assert_eq!(spool.orphans().await.unwrap(), ["a"]);
        let next = Spool::open(directory.clone()).unwrap();
        assert_eq!((next.bytes(), next.orphans().await.unwrap()), (8, vec!["a".to_owned()]));
        assert_eq!(next.read("a").await.unwrap(), b"one\ntwo\n");
        next.remove("a").await.unwrap();
        assert_eq!((next.bytes(), next.orphans().await.unwrap()), (0, vec![]));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_told_at_once() {
        let file = directory();
        std::fs::write(&file, b"").unwrap();
        assert!(Spool::open(file.join("spool")).is_err());
        std::fs::remove_file(file).unwrap();
    }
}
