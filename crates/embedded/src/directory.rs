//! The directory that the emulators keep everything in, used by one process at a time.

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
    /// Makes the directory if it is missing, and locks it.
    pub(crate) fn open(root: &Path) -> Result<Self, EmbeddedError> {
        let unusable = |source| EmbeddedError::Directory { directory: root.display().to_string(), source };
        make_private(root).map_err(unusable)?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(root.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(EmbeddedError::InUse { directory: root.display().to_string() });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        fs::create_dir_all(root.join("objects")).map_err(unusable)?;
        Ok(Self { root: root.to_owned(), _lock: lock, temporary: false })
    }

    /// A fresh directory that is deleted at the end.
    pub(crate) fn temporary() -> Result<Self, EmbeddedError> {
        let name = format!("switchboard-{}-{}", std::process::id(), crate::random_text(6)?);
        let mut directory = Self::open(&std::env::temp_dir().join(name))?;
        directory.temporary = true;
        Ok(directory)
    }

    /// The file that DynamoDB's items are in.
    pub(crate) fn database_file(&self) -> PathBuf {
        self.root.join("switchboard.sqlite")
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

/// Conversations are nobody else's business: the directory is made for its owner alone.
fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
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
    #[test]
    fn nobody_else_can_look_into_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = DataDirectory::temporary().unwrap();
        assert_eq!(fs::metadata(&directory.root).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
