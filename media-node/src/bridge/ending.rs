//! The end of a call's loop: the only place where a call waits for somebody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Bridge, Claimed};
use crate::node::Inner;
use crate::sessions::{Key, Request};
use crate::socket::code;

/// The next step is in the store, or this has passed, before the phone's socket is closed. Longer, and the caller would
/// hear the wait; the node keeps the step for whoever asks.
const STEP_WITHIN: Duration = Duration::from_millis(300);

/// Whose epoch it was is worth waiting for: the journal depends on it. The store was asked with a bound of its own.
const CLAIM_KNOWN_WITHIN: Duration = Duration::from_secs(3);

/// Takes the call off the node's list, however its loop ends.
pub(super) struct Leave {
    node: Arc<Inner>,
    key: Key,
}

impl Leave {
    pub(super) fn new(node: &Arc<Inner>, key: Key) -> Self {
        Self { node: Arc::clone(node), key }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.node.sessions.end(self.key, Instant::now());
    }
}

impl Bridge {
    /// Everything was said and done: close, in this order, the engines, the step, the phone, the record.
    pub(super) async fn finish(mut self, inbox: mpsc::Receiver<Request>, leave: Leave) {
        for socket in self.links.take_all() {
            self.node.tasks.spawn(socket.close(code::NORMAL, ""));
        }
        if let Some(step) = self.step.take() {
            // The writing goes on when it is late.
            drop(timeout(STEP_WITHIN, step).await);
        }
        if let Some(phone) = self.phone.take() {
            phone.socket.close(code::NORMAL, "").await;
        }
        drop(leave);
        self.close_record(inbox).await;
    }

    /// Gives the journal and the recording to the store, if they are ours to give.
    async fn close_record(mut self, mut inbox: mpsc::Receiver<Request>) {
        let claimed = timeout(CLAIM_KNOWN_WITHIN, async {
            while self.claim == Claimed::Asked {
                match inbox.recv().await {
                    Some(Request::Claimed(true)) => self.claim = Claimed::Ours,
                    Some(Request::Claimed(false)) => self.claim = Claimed::Others,
                    Some(Request::Join(..) | Request::Command(_) | Request::Tool(..)) => {}
                    None => break,
                }
            }
        });
        drop(claimed.await);
        let ours = match self.claim {
            // Without an answer, memory decides.
            Claimed::Ours | Claimed::Asked => true,
            Claimed::Others => false,
            Claimed::NotYet => was_expected_here(&self.node, self.session.key).await,
        };
        if ours {
            self.journal.release();
        }
        match self.recorder.take() {
            Some(recorder) if ours => recorder.finish(),
            Some(recorder) => recorder.abandon(),
            None => {}
        }
    }
}

/// Whether the stream that never came was to come here: the control plane may have turned to another node since.
async fn was_expected_here(node: &Inner, (call, epoch): Key) -> bool {
    match timeout(CLAIM_KNOWN_WITHIN, node.store.call(call)).await {
        Ok(Ok(record)) => record.epoch == epoch && record.node() == Some(node.config.node.as_str()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "failed to learn whose stream it was; its journal is dropped");
            false
        }
        Err(_) => false,
    }
}
