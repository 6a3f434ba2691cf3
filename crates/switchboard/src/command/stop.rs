//! Being asked to end: by Ctrl-C or by SIGTERM.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a program that was ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Listens for both.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// From now on the signals end nothing by themselves.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// From now on one more ends the program at once, as a crash would: what is spooled is stored at the next start.
    pub(super) fn then_at_once(mut self) {
        tokio::spawn(async move {
            self.asked().await;
            std::process::exit(INTERRUPTED);
        });
    }
}
