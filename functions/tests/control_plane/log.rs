//! What all tests of this program log, kept to be looked through.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static STARTED: Once = Once::new();

/// The end of the log to which lines are written.
#[derive(Clone, Copy)]
pub(crate) struct Log;

impl Log {
    /// Begins to log, once. Everything that the control plane says is kept, down to the smallest.
    pub(crate) fn start() {
        STARTED.call_once(|| {
            tracing_subscriber::fmt().json().with_env_filter("functions=trace").with_writer(|| Log).init();
        });
    }

    /// Everything so far.
    pub(crate) fn text() -> String {
        String::from_utf8_lossy(&LINES.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
