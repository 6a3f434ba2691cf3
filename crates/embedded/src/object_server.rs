//! S3 on a folder, over HTTP.
//!
//! The emulator bounds neither bodies nor keys (a key with `..` leaves its bucket): it is only for our own requests, which
//! are signed, and for keys that we make ourselves.

use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{EmbeddedError, until_stopped};

/// The S3 emulator, ready to serve.
pub(crate) struct ObjectServer {
    service: S3Service,
}

impl ObjectServer {
    /// Opens the folder. Whoever asks must sign with this key.
    pub(crate) fn open(root: PathBuf, access_key: &str, secret_key: &str) -> Result<Self, EmbeddedError> {
        let directory = root.display().to_string();
        let files = FileSystem::new(root);
        let files = files.map_err(|error| EmbeddedError::Objects { directory, why: format!("{error:?}") })?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        Ok(Self { service: builder.build() })
    }

    /// Serves until it is stopped; then lets the requests that run come to their end.
    pub(crate) async fn serve(self, listener: TcpListener, stopped: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = until_stopped(stopped.clone()) => break,
            };
            // What is over is taken off the list.
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((socket, _)) => {
                    connections.spawn(serve_connection(socket, self.service.clone(), stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the S3 emulator was not accepted");
                    // Out of sockets: trying again at once would only burn the processor.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
        while connections.join_next().await.is_some() {}
    }
}

async fn serve_connection(socket: tokio::net::TcpStream, service: S3Service, stopped: watch::Receiver<bool>) {
    // An answer's last packet must not wait for the acknowledgement of the one before.
    drop(socket.set_nodelay(true));
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = until_stopped(stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the S3 emulator broke");
    }
}
