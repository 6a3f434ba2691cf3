//! DynamoDB and S3 emulators in this process, on loopback, on a thread of their own.
//!
//! What is kept in [`Embedded::start`]'s directory survives a crash: a write that was answered is in SQLite's log on disk.
//! The thread and its runtime are the emulators' own because SQLite and its fsync block whoever runs them, and no frame
//! of audio may wait for a disk. The emulators speak HTTP, so that the store needs no second implementation.
//!
//! Conversations are nobody else's business. Both listen on 127.0.0.1 only, answer no browser ([`door`]), and ask for an
//! access key that is made anew at each start and exists in memory only; the files are their owner's alone. That keeps out
//! web pages and this machine's other users. What runs as the same user is not kept out: it can read the files as well.

mod directory;
mod door;
mod object_server;
mod serving;
mod table_server;

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::watch;

use directory::DataDirectory;
use serving::serve;

/// Expired items are deleted so often. Readers skip them before that.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// After so long at the end, requests that still run are left to themselves.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// The emulators, while they run. Dropped, they stop.
pub struct Embedded {
    /// Where DynamoDB answers.
    pub dynamodb_url: String,
    /// Where S3 answers. The bucket belongs into the path.
    pub s3_url: String,
    /// The access key's id, for both. Not to be shown: the DynamoDB emulator takes it for proof.
    pub access_key: String,
    /// Its secret, which S3 asks for.
    pub secret_key: Secret,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    // Held until the thread has ended: it owns the lock, and a directory in memory's place.
    _directory: DataDirectory,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { dynamodb_url, s3_url, .. } = self;
        f.debug_struct("Embedded").field("dynamodb_url", dynamodb_url).field("s3_url", s3_url).finish_non_exhaustive()
    }
}

/// A text that does not print.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why the emulators could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The directory cannot be made, read or written.
    #[error("the data directory {directory} cannot be used: {source}")]
    Directory {
        /// Which.
        directory: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another process uses the directory.
    #[error("the data directory {directory} is in use by another process; stop it, or set DATA_DIR to another one")]
    InUse {
        /// Which.
        directory: String,
    },
    /// The database cannot be opened.
    #[error("the database {file} cannot be opened: {why}")]
    Database {
        /// Which file.
        file: String,
        /// Why.
        why: String,
    },
    /// A thread, a socket or randomness is not to be had.
    #[error("the emulators cannot run: {0}")]
    System(#[from] std::io::Error),
    /// Object storage cannot be opened.
    #[error("object storage in {directory} cannot be opened: {why}")]
    Objects {
        /// Where.
        directory: String,
        /// Why.
        why: String,
    },
}

impl Embedded {
    /// Starts both on what the directory holds. It is made if it is missing.
    pub fn start(directory: &Path) -> Result<Self, EmbeddedError> {
        let directory = DataDirectory::open(directory)?;
        let file = directory.database_file()?.display().to_string();
        let database = Database::new(&file);
        let database = database.map_err(|error| EmbeddedError::Database { file, why: error.to_string() })?;
        Self::serve(directory, database)
    }

    /// Starts both with nothing in them, for tests. Items live in memory, objects in a directory that goes away at the
    /// end.
    pub fn in_memory() -> Result<Self, EmbeddedError> {
        let directory = DataDirectory::temporary()?;
        let database = Database::memory();
        let why = |error: dynoxide::DynoxideError| error.to_string();
        let database =
            database.map_err(|error| EmbeddedError::Database { file: "in memory".to_owned(), why: why(error) })?;
        Self::serve(directory, database)
    }

    fn serve(directory: DataDirectory, database: Database) -> Result<Self, EmbeddedError> {
        let (access_key, secret_key) = (random_text(20)?, random_text(20)?);
        let tables = table_server::router(database.clone(), &access_key);
        let objects = object_server::router(directory.objects(), &access_key, &secret_key)?;
        let (dynamodb, s3) = (listen()?, listen()?);
        let dynamodb_url = format!("http://{}", dynamodb.local_addr()?);
        let s3_url = format!("http://{}", s3.local_addr()?);
        let (stop, stopped) = watch::channel(false);
        let (started, is_started) = mpsc::channel();
        let thread = std::thread::Builder::new().name("embedded-store".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            runtime.block_on(async {
                let listeners =
                    TcpListener::from_std(dynamodb).and_then(|table| Ok((table, TcpListener::from_std(s3)?)));
                match listeners {
                    Ok((dynamodb, s3)) => {
                        drop(started.send(Ok(())));
                        run(database, (dynamodb, tables), (s3, objects), stopped).await;
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            });
            // A request that hangs, or a sweep, is not waited for.
            runtime.shutdown_timeout(SHUTDOWN_MAX);
        })?;
        is_started.recv().map_err(|_| std::io::Error::other("their thread ended at once"))??;
        Ok(Self {
            dynamodb_url,
            s3_url,
            access_key,
            secret_key: Secret(secret_key),
            stop,
            thread: Some(thread),
            _directory: directory,
        })
    }

    /// Stops both, and waits until what they are doing is done, 10 s at most. Dropping does the same.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the emulators' thread panicked");
        }
    }
}

async fn run(
    database: Database,
    (dynamodb, tables): (TcpListener, Router),
    (s3, objects): (TcpListener, Router),
    stopped: watch::Receiver<bool>,
) {
    let sweeping = tokio::spawn(sweep(database));
    let both = async { tokio::join!(serve(dynamodb, tables, stopped.clone()), serve(s3, objects, stopped.clone())) };
    let give_up = async {
        serving::until_stopped(stopped.clone()).await;
        tokio::time::sleep(SHUTDOWN_MAX).await;
    };
    tokio::select! {
        ((), ()) = both => {}
        () = give_up => tracing::warn!("the emulators were stopped with requests under way"),
    }
    sweeping.abort();
}

/// Deletes what has expired: the emulator does not by itself.
async fn sweep(database: Database) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(deleted)) => tracing::debug!(deleted, "expired items were deleted"),
            Ok(Err(error)) => tracing::warn!(%error, "expired items were not deleted"),
            Err(error) => tracing::warn!(%error, "expired items were not deleted"),
        }
    }
}

fn listen() -> Result<std::net::TcpListener, std::io::Error> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn random_text(bytes: usize) -> Result<String, std::io::Error> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(random.iter().map(|byte| format!("{byte:02X}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_and_stops_and_listens_on_loopback_only() {
        let embedded = Embedded::in_memory().unwrap();
        assert!(embedded.dynamodb_url.starts_with("http://127.0.0.1:"));
        assert!(embedded.s3_url.starts_with("http://127.0.0.1:"));
        let printed = format!("{embedded:?}");
        assert!(!printed.contains(embedded.secret_key.expose()) && !printed.contains(&embedded.access_key));
        let address = embedded.dynamodb_url.trim_start_matches("http://").to_owned();
        assert!(std::net::TcpStream::connect(&address).is_ok());
        embedded.shutdown();
        assert!(std::net::TcpStream::connect(&address).is_err());
    }

    #[test]
    fn each_start_has_its_own_keys() {
        let (a, b) = (Embedded::in_memory().unwrap(), Embedded::in_memory().unwrap());
        assert_ne!(a.access_key, b.access_key);
        assert_ne!(a.secret_key.expose(), b.secret_key.expose());
    }
}
