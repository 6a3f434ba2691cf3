//! Media nodes, each on a runtime of its own: one can die at once, with all its sockets, and nothing else with it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use media_node::{Config, Node};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// A node while it runs. Dropped, it is killed.
pub(crate) struct RunningNode {
    pub(crate) address: SocketAddr,
    node: Node,
    runtime: Option<Runtime>,
}

impl RunningNode {
    /// Starts a node with these variables; its name is in `NODE_NAME`.
    pub(crate) async fn start(variables: &BTreeMap<String, String>, store: store::Config) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("media-node")
            .enable_all()
            .build()
            .context("start a node's runtime")?;
        let mut variables = variables.clone();
        let (started, is_started) = oneshot::channel();
        runtime.spawn(async move {
            let start = async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                let address = listener.local_addr()?;
                variables.insert("NODE_ADDRESS".to_owned(), format!("http://{address}"));
                let config = Config::from_lookup(&|name| variables.get(name).cloned())?;
                let node = Node::start(config, store::Store::connect(store).await).await?;
                anyhow::Ok((node, listener, address))
            };
            match start.await {
                Err(error) => drop(started.send(Err(error))),
                Ok((node, listener, address)) => {
                    drop(started.send(Ok((node.clone(), address))));
                    if let Err(error) = node.serve(listener, std::future::pending()).await {
                        tracing::error!(%error, "a node stopped serving");
                    }
                }
            }
        });
        let (node, address) = is_started.await.context("a node's runtime ended")??;
        Ok(Self { address, node, runtime: Some(runtime) })
    }

    /// How many calls are on it, prepared ones included.
    pub(crate) fn sessions(&self) -> usize {
        self.node.sessions()
    }

    /// Takes it out of service in order; returns when it is done.
    pub(crate) async fn drain(&self) {
        let node = self.node.clone();
        let Some(runtime) = &self.runtime else { return };
        if runtime.spawn(async move { node.drain().await }).await.is_err() {
            tracing::error!("a drain ended early");
        }
    }

    /// It is gone: no goodbye, no flush.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A directory of its own, which goes away with it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("whole-calls-{}-{:016x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "a directory of a test was left behind");
        }
    }
}
