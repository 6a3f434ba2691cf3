//! A node from its start to its end.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use call::Command;
use call::breaker::Breaker;
use store::{Moment, Store};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::engines::{Dialler, NoRoots};
use crate::figures::Figures;
use crate::journal::Journal;
use crate::live::Live;
use crate::recording::Recordings;
use crate::room::Room;
use crate::sessions::{Request, Sessions};
use crate::splice::Peers;
use crate::spool::Spool;
use crate::tools::Tools;
use crate::{control, heartbeat, live, status, stream};

/// Beyond the drain itself, ending a call takes so long at most: a goodbye, a close, a claim.
const ENDING_WITHIN: Duration = Duration::from_secs(15);

/// At the end, what is still to be stored is stored within this time, or at the next start.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The spool cannot be used.
    #[error("write to {directory}: {source}; set DATA_DIR to a directory that can be written")]
    Spool {
        /// Where it was to be.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Engines could not be trusted.
    #[error(transparent)]
    Roots(#[from] NoRoots),
    /// The operating system has no randomness.
    #[error("draw a random name for this start of the node: {0}")]
    Randomness(getrandom::Error),
}

/// A running node. Clones are the same node.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

/// What the routes and the calls share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) store: Store,
    /// This start of the node, told from others of the same name.
    pub(crate) boot: String,
    pub(crate) started_at: Moment,
    pub(crate) sessions: Sessions,
    pub(crate) dialler: Dialler,
    pub(crate) tools: Tools,
    pub(crate) journal: Arc<Journal>,
    pub(crate) recordings: Arc<Recordings>,
    pub(crate) live: Arc<Live>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) peers: Peers,
    /// Streams that have not said whose they are.
    pub(crate) nameless: Room,
    /// Streams that are passed through to other nodes.
    pub(crate) spliced: Room,
    /// Calls, streams passed through, and what calls leave behind: all that an orderly end waits for.
    pub(crate) tasks: TaskTracker,
    /// Readiness has changed.
    pub(crate) changed: Notify,
    /// Calls have had their time: what is passed through to other nodes ends too.
    pub(crate) leaving: CancellationToken,
    pub(crate) stop: CancellationToken,
    breaker: Mutex<Breaker>,
}

impl Inner {
    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files in the spools that cannot be stored.
    pub(crate) fn spool_set_aside(&self) -> u64 {
        self.journal.spool.set_aside() + self.recordings.spool.set_aside()
    }

    /// The wall clock, as tokens and signatures have it.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.store.now().as_ms() / 1_000
    }
}

impl Node {
    /// Starts a node: what an earlier one left on disk is stored, and the store is told that this one lives. It takes
    /// calls once its [`router`](Self::router) is served.
    ///
    /// # Errors
    /// If the data directory cannot be written, or the machine lacks certificates or randomness.
    pub async fn start(config: Config, store: Store) -> Result<Self, StartError> {
        let mut boot = [0; 8];
        getrandom::fill(&mut boot).map_err(StartError::Randomness)?;
        let boot: String = boot.iter().map(|byte| format!("{byte:02x}")).collect();
        let figures = Arc::new(Figures::default());
        let live = Arc::new(Live::default());
        let journal = Journal {
            store: store.clone(),
            spool: spool(&config, "journal")?,
            boot: boot.clone(),
            figures: Arc::clone(&figures),
            live: Arc::clone(&live),
        };
        let recordings = Recordings {
            store: store.clone(),
            spool: spool(&config, "recording")?,
            boot: boot.clone(),
            figures: Arc::clone(&figures),
            look: Notify::new(),
        };
        let inner = Arc::new(Inner {
            started_at: store.now(),
            sessions: Sessions::new(config.capacity),
            dialler: Dialler::new(config.engines.clone())?,
            tools: Tools::new(config.tools.clone()),
            breaker: Mutex::new(Breaker::new(config.engines.credentialed())),
            journal: Arc::new(journal),
            recordings: Arc::new(recordings),
            live,
            figures,
            peers: Peers::default(),
            nameless: Room::new(stream::NAMELESS_MAX),
            spliced: Room::new(u64::from(config.capacity)),
            tasks: TaskTracker::new(),
            changed: Notify::new(),
            leaving: CancellationToken::new(),
            stop: CancellationToken::new(),
            boot,
            config,
            store,
        });
        tokio::spawn(Arc::clone(&inner.journal).replay(inner.stop.clone()));
        tokio::spawn(Arc::clone(&inner.recordings).upload(inner.stop.clone()));
        heartbeat::say(&inner).await;
        tokio::spawn(heartbeat::beat(Arc::clone(&inner)));
        tracing::info!(node = inner.config.node, boot = inner.boot, "the node is up");
        Ok(Self(inner))
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.config.node
    }

    /// All of the node's routes.
    pub fn router(&self) -> Router {
        self.call_routes().merge(
            Router::new()
                .route("/health", get(status::health))
                .route("/ready", get(status::ready))
                .route("/status", get(status::status))
                .route("/metrics", get(status::metrics))
                .with_state(Arc::clone(&self.0)),
        )
    }

    /// Only the routes that calls need, for a program that answers `/health` and the like by itself.
    pub fn call_routes(&self) -> Router {
        Router::new()
            .route("/media-stream/{node}", get(stream::upgrade))
            .route("/live", get(live::upgrade))
            .route("/nodes/{node}/calls/{call}/prepare", post(control::prepare))
            .route("/nodes/{node}/calls/{call}/command", post(control::command))
            .route("/nodes/{node}/calls/{call}/next", get(control::next))
            .with_state(Arc::clone(&self.0))
    }

    /// Serves the node's routes on a socket of its own, until told to stop. Frames are small: none waits for the next.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "failed to send small packets at once");
            }
        });
        axum::serve(listener, self.router()).with_graceful_shutdown(until).await
    }

    /// How many calls are on the node, prepared ones included.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.0.sessions.all().len()
    }

    /// Goes down in order: takes no more calls, lets those it has go on for as long as the configuration says, hands over
    /// the rest, stores what is to be stored. Serve the routes until this returns: the control plane may have questions.
    pub async fn drain(&self) {
        let node = &self.0;
        node.sessions.drain();
        node.changed.notify_one();
        let calls = node.sessions.all();
        tracing::info!(calls = calls.len(), "the node is going down");
        let within_ms = u64::try_from(node.config.drain_within.as_millis()).unwrap_or(u64::MAX);
        for session in calls {
            if session.ask(Request::Command(Command::Drain { within_ms })).is_err() {
                tracing::warn!(call.id = %session.key.0, "a call could not be told that the node is going down");
            }
        }
        node.tasks.close();
        // What is passed through has the same time, and is then cut: only its two ends know how to hand it over.
        if tokio::time::timeout(node.config.drain_within, node.tasks.wait()).await.is_err() {
            node.leaving.cancel();
        }
        if tokio::time::timeout(ENDING_WITHIN, node.tasks.wait()).await.is_err() {
            tracing::error!(calls = self.sessions(), "calls were still there at the end of the drain");
        }
        self.flush().await;
        node.stop.cancel();
        match tokio::time::timeout(ENDING_WITHIN, node.store.forget_node(&node.config.node)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "failed to take this node off the list"),
            Err(_) => tracing::warn!("failed to take this node off the list in time"),
        }
        tracing::info!("the node is down");
    }

    /// Waits for what is on its way to the store.
    async fn flush(&self) {
        let deadline = Instant::now() + FLUSH_WITHIN;
        let waiting = || self.0.journal.spool.bytes() + self.0.recordings.spool.bytes();
        self.0.recordings.look.notify_one();
        while waiting() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if waiting() > 0 {
            tracing::warn!(spool.bytes = waiting(), "not all could be stored; it waits on disk for the next start");
        }
    }
}

fn spool(config: &Config, name: &str) -> Result<Spool, StartError> {
    let directory = config.data_dir.join("spool").join(name);
    Spool::open(directory.clone()).map_err(|source| StartError::Spool { directory, source })
}
