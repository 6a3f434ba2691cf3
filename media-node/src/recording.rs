//! Recordings on their way into the store: seconds into files, files into segments.
//!
//! A call's loop hands each frame to its [`Recorder`], which makes whole seconds of them; a task appends those to the
//! current segment's file. After ten seconds, or at the end, the file is left to the uploader, which stores and deletes
//! it, now or when the store is back. What a killed process leaves behind is stored at the next start. So what is kept in
//! memory is some three seconds a call, and what a kill costs as well.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use call::audio::mulaw::SILENCE;
use call::recording::{Piece, SEGMENT_MS, Segmenter, bytes_of};
use call::{CallId, Recorded};
use futures_util::{StreamExt, stream};
use store::{Store, StoreError};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::figures::Figures;
use crate::journal::is_about_content;
use crate::spool::Spool;

/// What is written to disk at once, in milliseconds: one small write a second and call.
const PIECE_MS: u64 = 1_000;

/// Pieces in a segment.
const PIECES: u32 = 10;
const _: () = assert!(PIECE_MS * PIECES as u64 == SEGMENT_MS);

/// Seconds that may wait for the disk. A disk that hangs for longer costs a hole in the recording.
const QUEUED_MAX: usize = 64;

/// Segments stored at once.
const UPLOADS_MAX: usize = 8;

/// The uploader looks so often, at most and at least.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A store that was away is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// All recordings of a node.
#[derive(Debug)]
pub(crate) struct Recordings {
    pub(crate) store: Store,
    pub(crate) spool: Spool,
    pub(crate) boot: String,
    pub(crate) figures: Arc<Figures>,
    pub(crate) look: Notify,
}

/// One epoch's recording.
#[derive(Debug)]
pub(crate) struct Recorder {
    call: CallId,
    figures: Arc<Figures>,
    segmenter: Segmenter,
    pieces: mpsc::Sender<Piece>,
    /// Told when the stream turned out to be another node's.
    abandoned: CancellationToken,
}

impl Recorder {
    /// Records a frame. Never waits.
    pub(crate) fn push(&mut self, frame: &Recorded) {
        let (figures, pieces) = (&self.figures, &self.pieces);
        self.segmenter.push(frame, |piece| {
            if pieces.try_send(piece).is_err() {
                figures.recording_dropped.one();
            }
        });
    }

    /// The epoch is over: what is left is written.
    pub(crate) fn finish(self) {
        let lost = self.segmenter.finish(|piece| {
            if self.pieces.try_send(piece).is_err() {
                self.figures.recording_dropped.one();
            }
        });
        if lost.late + lost.ahead > 0 {
            tracing::warn!(call.id = %self.call, lost.late, lost.ahead, "frames came too late to be recorded");
        }
    }

    /// The stream was another node's: nothing of this is stored.
    pub(crate) fn abandon(self) {
        self.abandoned.cancel();
    }
}

/// Which segment a file holds.
#[derive(Clone, Debug, PartialEq)]
struct Name {
    call: CallId,
    epoch: u32,
    n: u32,
    boot: String,
}

impl Name {
    fn file(&self) -> String {
        format!("{}.{}.{}.{}.ulaw", self.call, self.epoch, self.n, self.boot)
    }

    fn parse(file: &str) -> Option<Self> {
        let mut parts = file.strip_suffix(".ulaw")?.split('.');
        let name = Self {
            call: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
            n: parts.next()?.parse().ok()?,
            boot: parts.next()?.to_owned(),
        };
        parts.next().is_none().then_some(name)
    }
}

impl Recordings {
    /// Begins an epoch's recording. Its task is among `tasks`.
    pub(crate) fn open(self: &Arc<Self>, call: CallId, epoch: u32, tasks: &TaskTracker) -> Recorder {
        let (pieces, queue) = mpsc::channel(QUEUED_MAX);
        let abandoned = CancellationToken::new();
        tasks.spawn(Arc::clone(self).write(call, epoch, queue, abandoned.clone()));
        Recorder { call, figures: Arc::clone(&self.figures), segmenter: Segmenter::new(PIECE_MS), pieces, abandoned }
    }

    async fn write(
        self: Arc<Self>,
        call: CallId,
        epoch: u32,
        mut queue: mpsc::Receiver<Piece>,
        abandoned: CancellationToken,
    ) {
        let mut current: Option<(u32, String, usize)> = None;
        while let Some(piece) = queue.recv().await {
            let n = piece.n / PIECES;
            if current.as_ref().is_some_and(|(current, ..)| *current != n) {
                self.leave(current.take());
            }
            let (_, file, written) =
                current.get_or_insert_with(|| (n, Name { call, epoch, n, boot: self.boot.clone() }.file(), 0));
            // A piece that was dropped on the way is a hole, not a shift of all that follows.
            let place = bytes_of(PIECE_MS) * (piece.n % PIECES) as usize;
            let mut content = vec![SILENCE; place.saturating_sub(*written)];
            content.extend_from_slice(&piece.audio);
            match self.spool.append(file, &content).await {
                Ok(()) => *written += content.len(),
                Err(error) => {
                    self.figures.recording_dropped.one();
                    tracing::error!(call.id = %call, %error, "failed to write the recording to disk");
                }
            }
        }
        if let Some((_, file, _)) = current.filter(|_| abandoned.is_cancelled())
            && let Err(error) = self.spool.remove(&file).await
        {
            tracing::warn!(call.id = %call, %error, "failed to delete a recording that is another node's");
        }
        self.leave_all(call, epoch);
    }

    /// A segment is finished: the uploader's turn.
    fn leave(&self, finished: Option<(u32, String, usize)>) {
        if let Some((_, file, _)) = finished {
            self.spool.disown(&file);
            self.look.notify_one();
        }
    }

    /// The epoch is over: nothing of it is owned any more.
    fn leave_all(&self, call: CallId, epoch: u32) {
        self.spool.disown_all(&format!("{call}.{epoch}."));
        self.look.notify_one();
    }

    /// Stores finished segments, again and again until told to stop.
    pub(crate) async fn upload(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let result = self.upload_once().await;
            if let Err(error) = &result {
                tracing::warn!(%error, spool.bytes = self.spool.bytes(), "failed to store a recording; it waits on disk");
            }
            let troubled = result.is_err();
            let pause = if troubled { RETRY_AFTER } else { LOOK_AGAIN_AFTER };
            tokio::select! {
                () = async { tokio::time::sleep(pause).await; if !troubled {
                    drop(tokio::time::timeout(LOOK_EVERY, self.look.notified()).await);
                } } => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn upload_once(&self) -> Result<(), UploadError> {
        let names = self.spool.orphans().await?;
        let mut uploads = stream::iter(names).map(|file| self.upload_file(file)).buffer_unordered(UPLOADS_MAX);
        let mut result = Ok(());
        while let Some(uploaded) = uploads.next().await {
            result = result.and(uploaded);
        }
        result
    }

    async fn upload_file(&self, file: String) -> Result<(), UploadError> {
        let Some(name) = Name::parse(&file) else {
            return self.put_aside(&file, "its name is not a segment's").await;
        };
        let audio = self.spool.read(&file).await?;
        match self.store.put_segment(name.call, name.epoch, name.n, audio.into()).await {
            Ok(_) => {}
            Err(error) if is_about_content(&error) => return self.put_aside(&file, &error.to_string()).await,
            Err(error) => return Err(error.into()),
        }
        self.figures.segments_put.one();
        self.spool.remove(&file).await?;
        Ok(())
    }
}

impl Recordings {
    async fn put_aside(&self, file: &str, why: &str) -> Result<(), UploadError> {
        self.spool.put_aside(file).await?;
        tracing::error!(
            spool.file = file,
            why,
            "a file in the recording's spool cannot be stored; it is kept as `.bad`"
        );
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the spool cannot be used: {0}")]
    Spool(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_which_segment_it_is() {
        let name = Name { call: CallId::new(1, 2), epoch: 3, n: 4, boot: "0a1b".to_owned() };
        assert_eq!(Name::parse(&name.file()), Some(name));
        for wrong in ["", "x.ulaw", "call_1.2.3.4.ulaw", "a.b.c.d.e.ulaw"] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }
}
