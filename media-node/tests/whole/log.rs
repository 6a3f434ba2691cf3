//! Everything that the tests of this program log, at the finest level.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing_subscriber::EnvFilter;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Logs from here on. The first to ask is enough.
pub(crate) fn begin() {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        let filter = EnvFilter::new("media_node=trace,call=trace,store=trace,wire=trace");
        tracing_subscriber::fmt().with_ansi(false).with_env_filter(filter).with_writer(|| Writer).init();
    });
}

/// What was logged so far.
pub(crate) fn text() -> String {
    String::from_utf8(log().clone()).unwrap()
}

fn log() -> MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer;

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        log().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
