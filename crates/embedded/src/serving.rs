//! Serving a router on a listener, behind the door, until it is stopped.

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::door;

/// Serves until it is stopped; then lets the requests that run come to their end.
pub(crate) async fn serve(listener: TcpListener, router: Router, stopped: watch::Receiver<bool>) {
    let served = match listener.local_addr() {
        Ok(address) => {
            // An answer's last packet must not wait for the acknowledgement of the one before.
            let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
            axum::serve(listener, door::in_front_of(router, address))
                .with_graceful_shutdown(until_stopped(stopped))
                .await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "an emulator ended");
    }
}

/// Waits until the emulators shall stop.
pub(crate) async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    // An error says that the sender is gone: the same.
    drop(stopped.wait_for(|stopped| *stopped).await);
}
