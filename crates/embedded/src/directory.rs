//! The directory that the emulators keep everything in, used by one process at a time and readable by one user.
//!
//! Directory and files are their owner's alone, also where an earlier version or a restored backup left them open.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::EmbeddedError;

/// A directory that is ours. The lock is the operating system's: it ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    root: PathBuf,
    _lock: File,
    temporary: bool,
}

impl DataDirectory {
    /// Makes the directory if it is missing, locks it, and closes it to others.
    pub(crate) fn open(root: &Path) -> Result<Self, EmbeddedError> {
        let unusable = |source| EmbeddedError::Directory { directory: root.display().to_string(), source };
        make_private(root).map_err(unusable)?;
        let lock = private_file(&root.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(EmbeddedError::InUse { directory: root.display().to_string() });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        fs::create_dir_all(root.join("objects")).map_err(unusable)?;
        close_to_others(root).map_err(unusable)?;
        Ok(Self { root: root.to_owned(), _lock: lock, temporary: false })
    }

    /// A fresh directory that is deleted at the end.
    pub(crate) fn temporary() -> Result<Self, EmbeddedError> {
        let name = format!("switchboard-{}-{}", std::process::id(), crate::random_text(6)?);
        let mut directory = Self::open(&std::env::temp_dir().join(name))?;
        directory.temporary = true;
        Ok(directory)
    }

    /// The file that DynamoDB's items are in. It is there: SQLite gives its log the permissions that it finds.
    pub(crate) fn database_file(&self) -> Result<PathBuf, EmbeddedError> {
        let file = self.root.join("switchboard.sqlite");
        private_file(&file)
            .map(|_| file)
            .map_err(|source| EmbeddedError::Directory { directory: self.root.display().to_string(), source })
    }

    /// The directory that S3's buckets are in.
    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.root)
        {
            tracing::warn!(%error, directory = %self.root.display(), "a temporary directory was not deleted");
        }
    }
}

/// Makes a directory for its owner alone.
fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Opens a file, made for its owner alone if it is missing.
fn private_file(file: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Takes from everybody else what they may do in and below the directory. Links are left alone: what they lead to is not
/// ours.
#[cfg(unix)]
fn close_to_others(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let close = |path: &Path, mode| {
        let open = fs::symlink_metadata(path)?.permissions().mode() & 0o777 != mode;
        if open { fs::set_permissions(path, fs::Permissions::from_mode(mode)) } else { Ok(()) }
    };
    close(directory, 0o700)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            close_to_others(&entry.path())?;
        } else if kind.is_file() {
            close(&entry.path(), 0o600)?;
        }
    }
    Ok(())
}

/// Only Unix has these permissions; elsewhere the user's own folder is closed as it is.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn close_to_others(_directory: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_uses_a_directory() {
        let first = DataDirectory::temporary().unwrap();
        let root = first.root.clone();
        assert!(matches!(DataDirectory::open(&root), Err(EmbeddedError::InUse { .. })));
        drop(first);
        assert!(!root.exists());
    }

    #[test]
    fn a_file_in_the_directorys_place_is_named_in_the_error() {
        let directory = DataDirectory::temporary().unwrap();
        let file = directory.root.join("lock");
        let error = DataDirectory::open(&file).unwrap_err();
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_look_into_it() {
        let directory = DataDirectory::temporary().unwrap();
        assert_eq!(mode(&directory.root), 0o700);
        let file = directory.database_file().unwrap();
        let database = dynoxide::Database::new(&file.display().to_string()).unwrap();
        assert_eq!(database.table_count().unwrap(), 0);
        let files: Vec<_> = fs::read_dir(&directory.root).unwrap().map(|entry| entry.unwrap().path()).collect();
        let files: Vec<_> = files.into_iter().filter(|path| path.is_file()).collect();
        assert!(files.iter().any(|path| path.ends_with("switchboard.sqlite-wal")), "{files:?}");
        for path in files {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_was_left_open_is_closed_at_the_next_start_and_a_link_is_not_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let directory = DataDirectory::temporary().unwrap();
        let elsewhere = DataDirectory::temporary().unwrap();
        let (inside, outside) = (directory.objects().join("bucket"), elsewhere.root.join("outside"));
        fs::create_dir(&inside).unwrap();
        for file in [inside.join("segment"), directory.root.join("switchboard.sqlite"), outside.clone()] {
            fs::write(&file, "words").unwrap();
            open(&file, 0o644);
        }
        symlink(&outside, inside.join("link")).unwrap();
        for path in [&inside, &directory.objects(), &directory.root] {
            open(path, 0o755);
        }
        close_to_others(&directory.root).unwrap();
        for path in [&directory.root, &directory.objects(), &inside] {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        assert_eq!(mode(&inside.join("segment")), 0o600);
        assert_eq!(mode(&directory.root.join("switchboard.sqlite")), 0o600);
        assert_eq!(mode(&outside), 0o644);
    }
}
