//! The secrets of one machine, made once in the data directory, for nobody but its owner.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::problem::Problem;

/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;

/// The data directory, held by this process alone for as long as it lives: the lock is the operating system's, and goes
/// with the process however that ends.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    ///
    /// It cannot be written, or another process has it.
    pub fn take(path: &Path) -> Result<Self, Problem> {
        let shown = path.display().to_string();
        let unusable = |error: std::io::Error| {
            let remedy = "set DATA_DIR to a directory that can be written, or make this one writable";
            Problem::new(format!("DATA_DIR {shown}"), format!("cannot be written: {error}"), remedy)
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join("program.lock"));
        let lock = lock.map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Problem::new(
                format!("DATA_DIR {shown}"),
                "is in use by another process",
                "stop that process, or set DATA_DIR to another directory (and PORT to another port)",
            )),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A secret of this name, made now if there is none yet.
    ///
    /// # Errors
    ///
    /// It can be neither read nor made.
    pub fn secret(&self, secret: LocalSecret) -> Result<SecretString, Problem> {
        let path = self.path.join(secret.file());
        let unusable = |error: std::io::Error| {
            let name = path.display().to_string();
            Problem::new(name, format!("cannot be used: {error}"), "make it readable, or delete it to get a new one")
        };
        match read_secret(&path) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => make_secret(&path).map_err(unusable),
            Err(error) => Err(unusable(error)),
        }
    }
}

/// What is made once for one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalSecret {
    /// Signs what control plane and node say to each other.
    Stream,
    /// Signs what the node asks of the user's own tools.
    Tool,
    /// Opens the API to the command line and to whoever may read the file.
    ApiToken,
    /// Signs what the user's webhook is told.
    Webhook,
}

impl LocalSecret {
    /// The file's name.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Stream => "stream-secret",
            Self::Tool => "tool-secret",
            Self::ApiToken => "api-token",
            Self::Webhook => "webhook-secret",
        }
    }
}

/// The API's token of a data directory, for a command that talks to whoever holds the directory.
///
/// # Errors
///
/// It is there and cannot be read.
pub fn api_token(data_dir: &Path) -> std::io::Result<Option<SecretString>> {
    read_secret(&data_dir.join(LocalSecret::ApiToken.file()))
}

fn read_secret(path: &Path) -> std::io::Result<Option<SecretString>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A copy of the directory may have lost what was set when the file was made.
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let text = text.trim();
    Ok((text.len() >= SECRET_BYTES).then(|| text.to_owned().into()))
}

/// Written beside its place and moved there, so that a crash leaves a whole secret or none.
fn make_secret(path: &Path) -> std::io::Result<SecretString> {
    let text = random_text(SECRET_BYTES)?;
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(text.into())
}

/// Random hexadecimal digits, two for each byte.
///
/// # Errors
///
/// The operating system has no randomness.
pub fn random_text(bytes: usize) -> std::io::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn directory() -> PathBuf {
        std::env::temp_dir().join(format!("switchboard-secrets-{}-{}", std::process::id(), random_text(4).unwrap()))
    }

    #[test]
    fn secrets_are_made_once_and_for_their_owner_alone() {
        let path = directory();
        let taken = DataDirectory::take(&path).unwrap();
        let first = taken.secret(LocalSecret::ApiToken).unwrap();
        assert_eq!(first.expose_secret().len(), 64);
        let file = path.join("api-token");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let again = api_token(&path).unwrap().unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(taken.secret(LocalSecret::Stream).unwrap().expose_secret(), first.expose_secret());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn an_empty_file_is_no_secret() {
        let path = directory();
        let taken = DataDirectory::take(&path).unwrap();
        fs::write(path.join("stream-secret"), "\n").unwrap();
        assert_eq!(taken.secret(LocalSecret::Stream).unwrap().expose_secret().len(), 64);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn one_process_at_a_time_has_the_directory() {
        let path = directory();
        let taken = DataDirectory::take(&path).unwrap();
        let problem = DataDirectory::take(&path).unwrap_err();
        assert!(problem.what.contains("in use") && problem.remedy.contains("DATA_DIR"), "{problem:?}");
        drop(taken);
        assert!(DataDirectory::take(&path).is_ok());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_file_in_the_directorys_place_is_a_problem_with_a_remedy() {
        let path = directory();
        fs::write(&path, "").unwrap();
        assert!(DataDirectory::take(&path).unwrap_err().what.contains("cannot be written"));
        fs::remove_file(path).unwrap();
    }
}
