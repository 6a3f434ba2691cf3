//! Joining a recording: the segments that the nodes put, as one file, and its waveform.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use call::CallId;
use call::journal::Kind;
use call::recording::{Epoch, join};
use store::{RecordingState, StoreError};

use super::{Step, WorkError, Worker};
use crate::connect::journal;

/// A call that is not over yet is looked at again after so long.
const NOT_OVER: Duration = Duration::from_secs(30);

impl Worker {
    pub(super) async fn join(&self, id: CallId) -> Result<Step, WorkError> {
        let call = match self.store.call(id).await {
            Ok(call) => call,
            Err(StoreError::NotFound(_)) => return Ok(Step::Done),
            Err(error) => return Err(error.into()),
        };
        match call.recording {
            Some(RecordingState::Pending) => {}
            Some(RecordingState::Ready | RecordingState::Empty) | None => return Ok(Step::Done),
        }
        if !call.status.is_final() {
            return Ok(Step::Postponed(NOT_OVER));
        }
        let mut epochs: BTreeMap<u32, Vec<(u32, Bytes)>> = BTreeMap::new();
        for segment in self.store.segments(id).await? {
            let audio = self.store.segment(id, segment.epoch, segment.n).await?;
            epochs.entry(segment.epoch).or_default().push((segment.n, audio));
        }
        if epochs.is_empty() {
            self.store.record_recording(id, RecordingState::Empty).await?;
            return Ok(Step::Done);
        }
        let starts = self.starts(id).await?;
        let first = starts.values().min().copied();
        let offset_ms = |epoch: &u32| starts.get(epoch).zip(first).map_or(0, |(start, first)| start - first);
        let epochs: Vec<Epoch<'_>> = epochs
            .iter()
            .map(|(epoch, segments)| Epoch {
                offset_ms: offset_ms(epoch),
                segments: segments.iter().map(|(n, audio)| (*n, audio.as_ref())).collect(),
            })
            .collect();
        let joined = join(&epochs);
        let mut upload = self.store.upload_recording(id);
        upload.write(&joined.wav).await?;
        upload.finish().await?;
        let waveform = serde_json::to_vec(&joined.waveform).expect("invariant: numbers are always JSON");
        self.store.put_waveform(id, waveform.into()).await?;
        self.store.record_recording(id, RecordingState::Ready).await?;
        tracing::info!(call.id = %id, bytes = joined.wav.len(), "a recording is joined");
        Ok(Step::Done)
    }

    /// When each epoch's stream started, Unix milliseconds.
    async fn starts(&self, id: CallId) -> Result<BTreeMap<u32, u64>, StoreError> {
        let mut starts = BTreeMap::new();
        for entry in journal(&self.store, id).await? {
            if let Kind::StreamStarted { .. } = entry.kind {
                starts.entry(entry.epoch).or_insert(entry.at_ms);
            }
        }
        Ok(starts)
    }
}
