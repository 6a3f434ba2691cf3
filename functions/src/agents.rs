//! The agents of this installation, read again when they change.
//!
//! On one machine they are files in a directory; in the cloud they are in the store. A change that cannot be read, or
//! that contradicts another agent, is reported and the agents from before stay: a slip in a file takes no call down.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use call::agent::{Agent, AgentBook, AgentError, BookError, Script, ScriptError};
use store::{Store, StoreError};

/// A directory is looked at this often at most: a person saves a file and calls.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The store is asked this often at most: agents change a few times a day.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// The agents, with their versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    /// The agents.
    pub agents: AgentBook,
    versions: BTreeMap<String, u32>,
}

impl Book {
    /// Agents of files, which have no versions.
    #[must_use]
    pub const fn unversioned(agents: AgentBook) -> Self {
        Self { agents, versions: BTreeMap::new() }
    }

    /// The version of an agent; 0 for one that was never stored.
    #[must_use]
    pub fn version(&self, name: &str) -> u32 {
        self.versions.get(name).copied().unwrap_or(0)
    }

    /// An agent's script for one call.
    pub(crate) fn script(&self, agent: &Agent, given: &BTreeMap<String, String>) -> Result<Script, ScriptError> {
        let agent_version = self.version(&agent.name);
        Ok(Script { agent_version, ..agent.script(given)? })
    }
}

/// Why agents cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AgentsError {
    /// A directory or a file cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Files with mistakes, each with its lines.
    #[error("{}", joined(.0))]
    Mistakes(Vec<AgentError>),
    /// Agents that contradict each other.
    #[error("{}", joined(.0))]
    Contradictions(Vec<BookError>),
    /// The store does not hand them out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn joined(errors: &[impl ToString]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Where agents come from. Clones share what was read.
#[derive(Clone, Debug)]
pub struct Agents(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Source,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
enum Source {
    Directory(PathBuf),
    Store(Store),
    Fixed,
}

#[derive(Debug)]
struct Kept {
    book: Arc<Book>,
    /// What the directory looked like.
    print: Fingerprint,
    looked_at: Option<Instant>,
}

/// Names, sizes and times of a directory's files.
type Fingerprint = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl Agents {
    /// `*.toml` of a directory. Reads them at once, so that mistakes show at the start.
    ///
    /// # Errors
    ///
    /// Anything that keeps one of them from being read.
    pub fn in_directory(directory: &Path) -> Result<Self, AgentsError> {
        let (print, book) = read_directory(directory)?;
        let kept = Kept { book: Arc::new(book), print, looked_at: Some(Instant::now()) };
        Ok(Self(Arc::new(Shared { source: Source::Directory(directory.to_owned()), kept: Mutex::new(kept) })))
    }

    /// The latest versions in the store, asked for when they are needed.
    #[must_use]
    pub fn in_store(store: Store) -> Self {
        let kept = Kept { book: Arc::default(), print: Vec::new(), looked_at: None };
        Self(Arc::new(Shared { source: Source::Store(store), kept: Mutex::new(kept) }))
    }

    /// These, for ever.
    #[must_use]
    pub fn fixed(agents: AgentBook) -> Self {
        let book = Arc::new(Book::unversioned(agents));
        let kept = Kept { book, print: Vec::new(), looked_at: None };
        Self(Arc::new(Shared { source: Source::Fixed, kept: Mutex::new(kept) }))
    }

    /// The agents as they are now.
    ///
    /// # Errors
    ///
    /// The store cannot be read and never could be.
    pub async fn book(&self) -> Result<Arc<Book>, StoreError> {
        let (book, looked_at) = {
            let kept = self.kept();
            (kept.book.clone(), kept.looked_at)
        };
        let fresh_for = |every| looked_at.is_some_and(|at: Instant| at.elapsed() < every);
        match &self.0.source {
            Source::Fixed => Ok(book),
            Source::Directory(_) if fresh_for(LOOK_EVERY) => Ok(book),
            Source::Directory(directory) => Ok(self.look(directory)),
            Source::Store(_) if fresh_for(ASK_EVERY) => Ok(book),
            Source::Store(store) => match read_store(store).await {
                Ok(book) => Ok(self.keep(book)),
                Err(AgentsError::Store(error)) if looked_at.is_none() => Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the agents could not be read again; those from before stay");
                    Ok(book)
                }
            },
        }
    }

    fn look(&self, directory: &Path) -> Arc<Book> {
        let unchanged = fingerprint(directory).is_ok_and(|print| print == self.kept().print);
        self.kept().looked_at = Some(Instant::now());
        if !unchanged {
            match read_directory(directory) {
                Ok((print, book)) => {
                    tracing::info!(agents = book.agents.iter().count(), "the agents were read again");
                    self.kept().print = print;
                    return self.keep(book);
                }
                Err(error) => {
                    // Said once for each state of the directory.
                    if let Ok(print) = fingerprint(directory) {
                        self.kept().print = print;
                    }
                    tracing::warn!(%error, "the agents could not be read again; those from before stay");
                }
            }
        }
        self.kept().book.clone()
    }

    fn keep(&self, book: Book) -> Arc<Book> {
        let book = Arc::new(book);
        let mut kept = self.kept();
        kept.book = book.clone();
        kept.looked_at = Some(Instant::now());
        book
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read_store(store: &Store) -> Result<Book, AgentsError> {
    let versions = store.agents().await?;
    let numbers = versions.iter().map(|version| (version.agent.name.clone(), version.version)).collect();
    let agents = AgentBook::new(versions.into_iter().map(|version| version.agent));
    Ok(Book { agents: agents.map_err(AgentsError::Contradictions)?, versions: numbers })
}

fn read_directory(directory: &Path) -> Result<(Fingerprint, Book), AgentsError> {
    let print = fingerprint(directory)?;
    let (mut agents, mut mistakes) = (Vec::new(), Vec::new());
    for (path, ..) in &print {
        let text = std::fs::read_to_string(path).map_err(|source| unreadable(path, source))?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match Agent::parse(name, &text) {
            Ok(agent) => agents.push(agent),
            Err(error) => mistakes.push(error),
        }
    }
    if !mistakes.is_empty() {
        return Err(AgentsError::Mistakes(mistakes));
    }
    let book = AgentBook::new(agents).map_err(AgentsError::Contradictions)?;
    Ok((print, Book::unversioned(book)))
}

fn fingerprint(directory: &Path) -> Result<Fingerprint, AgentsError> {
    let mut print = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|source| unreadable(directory, source))? {
        let path = entry.map_err(|source| unreadable(directory, source))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let data = std::fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
            print.push((path, data.len(), data.modified().ok()));
        }
    }
    print.sort();
    Ok(print)
}

fn unreadable(path: &Path, source: std::io::Error) -> AgentsError {
    AgentsError::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "engines = [\"hume\"]\ninstructions = \"Be kind.\"\n";

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let directory = std::env::temp_dir().join(format!("switchboard-agents-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("front.toml"), AGENT).unwrap();
        let agents = Agents::in_directory(&directory).unwrap();
        assert_eq!(agents.book().await.unwrap().agents.default_agent(), None);

        std::fs::write(directory.join("front.toml"), format!("default = true\n{AGENT}")).unwrap();
        agents.kept().looked_at = None;
        let name = |book: &Book| book.agents.default_agent().map(|agent| agent.name.clone());
        assert_eq!(name(&agents.book().await.unwrap()), Some("front".to_owned()));

        std::fs::write(directory.join("front.toml"), "enginees = []").unwrap();
        agents.kept().looked_at = None;
        assert_eq!(name(&agents.book().await.unwrap()), Some("front".to_owned()));
        assert!(matches!(Agents::in_directory(&directory), Err(AgentsError::Mistakes(_))));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
