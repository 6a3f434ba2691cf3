//! Files that wait for the store: what was to be written while it was away, or when the process was killed.
//!
//! A file is written by one task only, its owner; when the owner is done with it, or was a process that is no more, the
//! file is anyone's to store and delete. Nothing is synced to the disk: a killed process loses nothing that was written,
//! and a loss of power costs what had not reached the store, which is what it costs without a spool as well.
//!
//! The spool has a bound. What does not fit is refused, and whoever wrote it counts the loss. A file that can never be
//! stored is set aside: kept under another name for a person to look at, in nobody's way.
//!
//! What people said is in these files: they are for this user of the machine alone.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::fs;
use tokio::io::AsyncWriteExt;

/// The most that may wait on a node's disk: an hour of 70 recorded calls without a store.
const BYTES_MAX: u64 = 4 << 30;

/// What a file that is set aside ends with.
const SET_ASIDE: &str = ".bad";

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// One directory of files.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    bytes: AtomicU64,
    set_aside: AtomicU64,
    set_aside_bytes: AtomicU64,
    owned: Mutex<BTreeSet<String>>,
}

impl Spool {
    /// Opens a directory, making it if need be. What it holds is from processes that are no more. The directory above it
    /// holds spools and nothing else, and is made private with it.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        // An earlier version may have made them for everybody.
        for directory in [Some(directory.as_path()), directory.parent()].into_iter().flatten() {
            std::fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))?;
        }
        let probe = directory.join(".writable");
        std::fs::write(&probe, b"")?;
        std::fs::remove_file(&probe)?;
        let (mut bytes, mut set_aside, mut set_aside_bytes) = (0, 0, 0);
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let data = entry.metadata()?;
            if data.is_file() {
                std::fs::set_permissions(entry.path(), Permissions::from_mode(FILE_MODE))?;
            }
            if is_set_aside(entry.file_name().to_str()) {
                set_aside += 1;
                set_aside_bytes += data.len();
            } else {
                bytes += data.len();
            }
        }
        Ok(Self {
            directory,
            bytes: AtomicU64::new(bytes),
            set_aside: AtomicU64::new(set_aside),
            set_aside_bytes: AtomicU64::new(set_aside_bytes),
            owned: Mutex::default(),
        })
    }

    /// Files that can never be stored.
    pub(crate) fn set_aside(&self) -> u64 {
        self.set_aside.load(Ordering::Relaxed)
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Appends to a file, which is the caller's own from here on.
    pub(crate) async fn append(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let length = content.len() as u64;
        if self.bytes() + self.set_aside_bytes.load(Ordering::Relaxed) + length > BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the spool is full"));
        }
        self.owned().insert(name.to_owned());
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).append(true).mode(FILE_MODE).open(self.path(name)).await?;
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
        self.waits_no_more(name, length);
        Ok(())
    }

    /// Sets a file aside: it can never be stored as it is.
    pub(crate) async fn put_aside(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let length = fs::metadata(&path).await?.len();
        // A name that is taken belongs to another broken file, which is kept as well.
        let mut aside = self.path(&format!("{name}{SET_ASIDE}"));
        let mut n = 1;
        while fs::try_exists(&aside).await? {
            n += 1;
            aside = self.path(&format!("{name}.{n}{SET_ASIDE}"));
        }
        fs::rename(&path, aside).await?;
        self.waits_no_more(name, length);
        self.set_aside.fetch_add(1, Ordering::Relaxed);
        self.set_aside_bytes.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }

    fn waits_no_more(&self, name: &str, length: u64) {
        let left = |bytes: u64| Some(bytes.saturating_sub(length));
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).ok();
        self.owned().remove(name);
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
            if let Some(name) = entry.file_name().to_str()
                && !is_set_aside(Some(name))
            {
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

fn is_set_aside(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.ends_with(SET_ASIDE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two levels of its own: the upper one is made private as well.
    fn directory() -> PathBuf {
        std::env::temp_dir().join(format!("switchboard-spool-{:x}", fastrand::u64(..))).join("spool")
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
        std::fs::remove_dir_all(directory.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_set_aside_is_kept_and_counted_and_in_nobodys_way() {
        let directory = directory();
        let spool = Spool::open(directory.clone()).unwrap();
        for content in [b"one", b"two"] {
            spool.append("a", content).await.unwrap();
            spool.put_aside("a").await.unwrap();
        }
        assert_eq!((spool.bytes(), spool.set_aside(), spool.orphans().await.unwrap()), (0, 2, vec![]));
        let next = Spool::open(directory.clone()).unwrap();
        assert_eq!((next.bytes(), next.set_aside(), next.orphans().await.unwrap()), (0, 2, vec![]));
        assert_eq!(std::fs::read(directory.join("a.bad")).unwrap(), b"one");
        assert_eq!(std::fs::read(directory.join("a.2.bad")).unwrap(), b"two");
        std::fs::remove_dir_all(directory.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn the_spool_is_for_this_user_alone_also_what_was_there_before() {
        let parent = directory();
        let directory = parent.join("journal");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("old"), b"words").unwrap();
        for (path, mode) in [(&parent, 0o755), (&directory, 0o755), (&directory.join("old"), 0o644)] {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let spool = Spool::open(directory.clone()).unwrap();
        spool.append("new", b"words").await.unwrap();
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(parent.clone()), mode(directory.clone())), (0o700, 0o700));
        assert_eq!((mode(directory.join("old")), mode(directory.join("new"))), (0o600, 0o600));
        std::fs::remove_dir_all(parent.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_told_at_once() {
        let file = directory();
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, b"").unwrap();
        assert!(Spool::open(file.join("spool")).is_err());
        std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    }
}
