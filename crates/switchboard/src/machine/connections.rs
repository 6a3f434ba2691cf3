//! Connections to the one port, each with a bound on how long it may take to say what it wants.
//!
//! A tunnel opens this port to the world. Somebody who connects and says nothing, or says it a byte a minute, must not
//! hold a socket for as long as they like; that is why the server of the router's own library, which waits for ever,
//! is not used here. Left to others: how long an answer may take, and what a request may be.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The head of a request is complete within this time from its connection, or from the request before.
pub(super) const HEAD_MAX: Duration = Duration::from_secs(30);

/// After a failure to accept, for want of file descriptors for instance, the next try waits so long.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until told to stop; then lets running requests come to their end.
pub(super) async fn serve(listener: TcpListener, router: Router, head_max: Duration, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, router.clone(), head_max, stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, head_max: Duration, stop: CancellationToken) {
    // Frames are small: none waits for the next.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to send small packets at once");
    }
    let service = TowerToHyperService::new(router.layer(axum::Extension(ConnectInfo(peer))));
    // Only HTTP/1: to find out which version is spoken, the first bytes would be waited for without a bound.
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_max);
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn who_says_nothing_or_half_of_it_is_hung_up_on_and_everybody_else_is_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()));
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, router, Duration::from_millis(500), stop.clone()));
        for said in ["", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            timeout(LONG, stream.read_to_end(&mut answer)).await.expect("it is hung up on").unwrap();
            assert!(!String::from_utf8_lossy(&answer).contains("200"), "{said:?}");
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        let ours = stream.local_addr().unwrap().to_string();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        timeout(LONG, stream.read_to_string(&mut answer)).await.expect("it is answered").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&ours), "{answer}");
        // A connection that is idle does not keep the server from ending.
        let idle = TcpStream::connect(address).await.unwrap();
        stop.cancel();
        timeout(LONG, server).await.expect("the server ends").unwrap();
        drop(idle);
    }
}
