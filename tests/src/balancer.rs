//! What stands between Twilio and the nodes: it reads the node's name from the path of the upgrade and passes bytes on.
//!
//! Told to, it brings every stream to another node than the one it is for, as a balancer without such knowledge would.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// The head of an upgrade is a few hundred bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A running balancer. Dropped, it takes no more connections.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    routes: Arc<Routes>,
    task: AbortHandle,
}

#[derive(Default)]
struct Routes {
    nodes: Mutex<BTreeMap<String, SocketAddr>>,
    confused: AtomicBool,
}

impl Balancer {
    pub(crate) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let routes = Arc::new(Routes::default());
        let shared = Arc::clone(&routes);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let routes = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A connection that breaks is no matter of the balancer's.
                    drop(pass(&routes, client).await);
                });
            }
        });
        Ok(Self { address, routes, task: task.abort_handle() })
    }

    /// From now on this node is there.
    pub(crate) fn route(&self, node: &str, address: SocketAddr) {
        let mut nodes = self.routes.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(node.to_owned(), address);
    }

    /// Whether every stream is brought to the wrong node.
    pub(crate) fn confuse(&self, confused: bool) {
        self.routes.confused.store(confused, Ordering::Relaxed);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Routes {
    fn backend(&self, path: &str) -> Option<SocketAddr> {
        let last = path.rsplit('/').next()?;
        let name = last.strip_prefix("live?node=").unwrap_or(last);
        let confused = self.confused.load(Ordering::Relaxed);
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let other = nodes.iter().find(|(node, _)| *node != name).map(|(_, address)| *address);
        if confused { other } else { nodes.get(name).copied() }
    }
}

async fn pass(routes: &Routes, mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 || head.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head);
    let Some(backend) = text.split_whitespace().nth(1).and_then(|path| routes.backend(path)) else { return Ok(()) };
    let mut backend = TcpStream::connect(backend).await?;
    backend.set_nodelay(true)?;
    backend.write_all(&head).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_backend, mut to_backend) = backend.split();
    // When one side is gone, so is the other: there is no half of a telephone call.
    tokio::select! {
        done = tokio::io::copy(&mut from_client, &mut to_backend) => done?,
        done = tokio::io::copy(&mut from_backend, &mut to_client) => done?,
    };
    Ok(())
}
