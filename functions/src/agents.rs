//! The agents of this installation, read again when they change.
//!
//! On one machine they are files in a directory; in the cloud they are in the store. A change that cannot be read, or
//! that contradicts another agent, is reported and the agents from before stay: a slip in a file takes no call down.
//!
//! An agent that is saved becomes a version in the store. Where agents are files, its file is written too: what the
//! directory says is what holds, and a file that somebody has changed since is of no version. The text that was there
//! before is kept beside it, as `<name>.toml.before`, because it may hold comments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use call::agent::{Agent, AgentBook, AgentError, AgentProblem, BookError, Installation, Script, ScriptError};
use store::{AgentVersion, Store, StoreError};

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

/// Why an agent was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The agents are part of the program.
    #[error("the agents are part of the program")]
    BuiltIn,
    /// Its file cannot be written.
    #[error("{path} cannot be written: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store does not take it.
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
    installation: Mutex<Installation>,
    /// The versions that files may be, as last saved.
    saved: Mutex<BTreeMap<String, AgentVersion>>,
}

impl Shared {
    fn new(source: Source, kept: Kept) -> Self {
        Self { source, kept: Mutex::new(kept), installation: Mutex::default(), saved: Mutex::default() }
    }
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
        let (print, book) = read_directory(directory, &Installation::unknown())?;
        let kept = Kept { book: Arc::new(book), print, looked_at: Some(Instant::now()) };
        Ok(Self(Arc::new(Shared::new(Source::Directory(directory.to_owned()), kept))))
    }

    /// The latest versions in the store, asked for when they are needed.
    #[must_use]
    pub fn in_store(store: Store) -> Self {
        let kept = Kept { book: Arc::default(), print: Vec::new(), looked_at: None };
        Self(Arc::new(Shared::new(Source::Store(store), kept)))
    }

    /// These, for ever.
    #[must_use]
    pub fn fixed(agents: AgentBook) -> Self {
        let book = Arc::new(Book::unversioned(agents));
        let kept = Kept { book, print: Vec::new(), looked_at: None };
        Self(Arc::new(Shared::new(Source::Fixed, kept)))
    }

    /// Says where the agents are to work. From now on one that cannot work here is neither read nor saved.
    pub fn place(&self, installation: Installation) {
        *lock(&self.0.installation) = installation;
    }

    /// Where the agents are to work.
    #[must_use]
    pub fn installation(&self) -> Installation {
        lock(&self.0.installation).clone()
    }

    /// Whether the agents that were read can work here.
    ///
    /// # Errors
    ///
    /// Everything that keeps one of them from it.
    pub async fn fit(&self) -> Result<(), AgentsError> {
        let book = self.book().await?;
        let misplaced = misplaced(book.agents.iter(), &self.installation());
        if misplaced.is_empty() { Ok(()) } else { Err(AgentsError::Mistakes(misplaced)) }
    }

    /// Learns which versions the agents' files are.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn know_versions(&self, store: &Store) -> Result<(), StoreError> {
        let saved = store.agents().await?;
        *lock(&self.0.saved) = saved.into_iter().map(|saved| (saved.agent.name.clone(), saved)).collect();
        let agents = self.kept().book.agents.clone();
        if matches!(self.0.source, Source::Directory(_)) {
            self.keep(self.versioned(agents));
        }
        Ok(())
    }

    /// Everything that keeps an agent from being saved.
    ///
    /// # Errors
    ///
    /// The other agents cannot be read.
    pub async fn problems_of(&self, agent: &Agent) -> Result<Vec<AgentProblem>, StoreError> {
        let mut problems = agent.problems();
        problems.extend(agent.problems_in(&self.installation()));
        let book = self.book().await?;
        let others = book.agents.iter().filter(|other| other.name != agent.name).cloned();
        for error in AgentBook::new(others.chain([agent.clone()])).err().unwrap_or_default() {
            let key = match error {
                BookError::SameName { .. } => "name",
                BookError::SameNumber { .. } => "numbers",
                BookError::TwoDefaults { .. } => "default",
            };
            problems.push(AgentProblem { line: None, key: key.to_owned(), message: error.to_string() });
        }
        Ok(problems)
    }

    /// Saves an agent in which no problems were found, and says which version it is now.
    ///
    /// # Errors
    ///
    /// It is not saved; or, if its file could not be written, saved in the store alone.
    pub async fn save(&self, agent: &Agent, store: &Store) -> Result<u32, SaveError> {
        match &self.0.source {
            Source::Fixed => Err(SaveError::BuiltIn),
            Source::Store(_) => {
                let saved = store.save_agent(agent).await?;
                self.kept().looked_at = None;
                Ok(saved.version)
            }
            Source::Directory(directory) => {
                let saved = store.save_agent(agent).await?;
                let version = saved.version;
                lock(&self.0.saved).insert(agent.name.clone(), saved);
                write_file(directory, agent)?;
                self.look(directory);
                Ok(version)
            }
        }
    }

    /// The agents of files, with the versions that they are.
    fn versioned(&self, agents: AgentBook) -> Book {
        let saved = lock(&self.0.saved);
        let is_saved = |agent: &&Agent| saved.get(&agent.name).is_some_and(|saved| saved.agent == **agent);
        let versions =
            agents.iter().filter(is_saved).map(|agent| (agent.name.clone(), saved[&agent.name].version)).collect();
        Book { agents, versions }
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
            match read_directory(directory, &self.installation()) {
                Ok((print, book)) => {
                    tracing::info!(agents = book.agents.iter().count(), "the agents were read again");
                    self.kept().print = print;
                    return self.keep(self.versioned(book.agents));
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

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.0.kept)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The agents that cannot work in an installation.
fn misplaced<'a>(agents: impl Iterator<Item = &'a Agent>, installation: &Installation) -> Vec<AgentError> {
    let wrong = |agent: &Agent| AgentError { name: agent.name.clone(), problems: agent.problems_in(installation) };
    agents.map(wrong).filter(|error| !error.problems.is_empty()).collect()
}

/// Written beside its place and moved there, so that nobody reads half of it.
fn write_file(directory: &Path, agent: &Agent) -> Result<(), SaveError> {
    let path = directory.join(format!("{}.toml", agent.name));
    let failed = |path: &Path, source| SaveError::File { path: path.display().to_string(), source };
    if path.exists() {
        let before = path.with_extension("toml.before");
        std::fs::copy(&path, &before).map_err(|source| failed(&before, source))?;
    }
    let beside = path.with_extension("toml.new");
    std::fs::write(&beside, agent.to_toml()).map_err(|source| failed(&beside, source))?;
    std::fs::rename(&beside, &path).map_err(|source| failed(&path, source))
}

async fn read_store(store: &Store) -> Result<Book, AgentsError> {
    let versions = store.agents().await?;
    let numbers = versions.iter().map(|version| (version.agent.name.clone(), version.version)).collect();
    let agents = AgentBook::new(versions.into_iter().map(|version| version.agent));
    Ok(Book { agents: agents.map_err(AgentsError::Contradictions)?, versions: numbers })
}

fn read_directory(directory: &Path, installation: &Installation) -> Result<(Fingerprint, Book), AgentsError> {
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
    mistakes.extend(misplaced(agents.iter(), installation));
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
    use call::agent::EngineKind;

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

        // What cannot work here is not taken either, and says what is missing.
        std::fs::write(directory.join("front.toml"), AGENT).unwrap();
        let agents = Agents::in_directory(&directory).unwrap();
        agents.place(Installation { engines: Some(vec![EngineKind::OpenAi]), private_tools: false });
        let error = agents.fit().await.unwrap_err().to_string();
        assert!(error.contains("front.toml") && error.contains("HUME_API_KEY"), "{error}");
        agents.place(Installation { engines: Some(vec![EngineKind::Hume]), private_tools: false });
        agents.fit().await.unwrap();
        std::fs::write(directory.join("front.toml"), AGENT.replace("hume", "openai")).unwrap();
        agents.kept().looked_at = None;
        let engines = agents.book().await.unwrap().agents.named("front").unwrap().engines.clone();
        assert_eq!(engines, [EngineKind::Hume]);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
