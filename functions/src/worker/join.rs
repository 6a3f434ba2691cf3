//! Joining a recording: the segments that the nodes put, as one file, and its waveform.
//!
//! A segment may come after its call's end, even after the joining: its node was cut off from the store, or a machine
//! was away. So what was joined is kept with the call, and whoever puts a late segment asks for joining again; when
//! nothing has changed since, there is nothing to do. Of several who join at the same time the last to look sees all
//! segments, and each looks again when it is done.
//!
//! A few segments are in memory at a time, and a part of the file (8 MB).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use call::CallId;
use call::audio::mulaw::SILENCE;
use call::journal::Kind;
use call::recording::{Epoch, Plan, Stretch, Waveform};
use futures_util::{StreamExt as _, stream};
use store::{CallRecord, Joined, RecordingState, RecordingUpload, Segment, Store, StoreError};

use super::{Step, WorkError, Worker};
use crate::connect::journal;

/// A call that is not over yet is looked at again after so long.
const NOT_OVER: Duration = Duration::from_secs(30);

/// Segments that came while others were joined are joined after so long: more may be on their way.
const MORE_CAME: Duration = Duration::from_secs(2);

/// Segments fetched ahead of the one that is written.
const FETCHED_AHEAD: usize = 4;

impl Worker {
    pub(super) async fn join(&self, id: CallId) -> Result<Step, WorkError> {
        let call = match self.store.call(id).await {
            Ok(call) => call,
            Err(error) if error.is_gone() => return Ok(Step::Done),
            Err(error) => return Err(error.into()),
        };
        if call.recording.is_none() {
            return Ok(Step::Done);
        }
        if !call.status.is_final() {
            return Ok(Step::Postponed(NOT_OVER));
        }
        let segments = self.store.segments(id).await?;
        let mut joined = figures(&segments);
        if self.is_joined(&call, &joined).await? {
            return Ok(Step::Done);
        }
        let state = if segments.is_empty() { RecordingState::Empty } else { RecordingState::Ready };
        if !segments.is_empty() {
            joined.etag = self.write_file(id, &segments).await?;
        }
        let now = figures(&self.store.segments(id).await?);
        if (now.segments, now.bytes) != (joined.segments, joined.bytes) {
            return Ok(Step::Postponed(MORE_CAME));
        }
        match self.store.record_joined(id, state, &joined).await {
            Ok(_) => tracing::info!(call.id = %id, segments = joined.segments, "a recording is joined"),
            // It was erased meanwhile, and we have just put its file back.
            Err(error) if error.is_gone() => self.store.remove_parts(id).await?,
            Err(error) => return Err(error.into()),
        }
        Ok(Step::Done)
    }

    /// Whether the file that is there was made of just these segments.
    async fn is_joined(&self, call: &CallRecord, figures: &Joined) -> Result<bool, StoreError> {
        let Some(joined) = &call.marks.joined else { return Ok(false) };
        if (joined.segments, joined.bytes) != (figures.segments, figures.bytes) {
            return Ok(false);
        }
        match self.store.recording_file(call.id).await {
            Ok(file) => Ok(file.etag == joined.etag),
            Err(StoreError::NotFound(_)) => Ok(joined.segments == 0),
            Err(error) => Err(error),
        }
    }

    /// Writes the file and its waveform. Returns the file's tag.
    async fn write_file(&self, id: CallId, segments: &[Segment]) -> Result<String, StoreError> {
        let starts = self.starts(id).await?;
        let first = starts.values().min().copied();
        let mut epochs: BTreeMap<u32, Epoch> = BTreeMap::new();
        for segment in segments {
            let offset_ms = starts.get(&segment.epoch).zip(first).map_or(0, |(start, first)| start - first);
            let epoch = epochs.entry(segment.epoch).or_insert(Epoch { offset_ms, segments: Vec::new() });
            epoch.segments.push((segment.n, segment.bytes));
        }
        let plan = Plan::new(&epochs);
        let mut upload = self.store.upload_recording(id);
        let waveform = match self.write(id, &plan, &mut upload).await {
            Ok(waveform) => waveform,
            Err(error) => {
                upload.abandon().await;
                return Err(error);
            }
        };
        let waveform = serde_json::to_vec(&waveform).expect("invariant: numbers are always JSON");
        self.store.put_waveform(id, waveform.into()).await?;
        upload.finish().await
    }

    async fn write(&self, id: CallId, plan: &Plan, upload: &mut RecordingUpload) -> Result<Waveform, StoreError> {
        upload.write(&plan.header()).await?;
        let (store, stretches) = (self.store.clone(), plan.stretches().to_vec());
        let sounds = stream::iter(stretches).map(move |stretch| sound(store.clone(), id, stretch));
        let mut sounds = Box::pin(sounds.buffered(FETCHED_AHEAD));
        let mut peaks = plan.peaks();
        while let Some(sound) = sounds.next().await {
            let sound = sound?;
            upload.write(&sound).await?;
            // On one machine calls run beside us: their frames are due every 20 ms.
            let heard = tokio::task::spawn_blocking(move || {
                peaks.hear(&sound);
                peaks
            });
            peaks = heard.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        Ok(peaks.finish())
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

/// The bytes of one stretch, exactly as many as planned.
async fn sound(store: Store, id: CallId, stretch: Stretch) -> Result<Bytes, StoreError> {
    let bytes = stretch.bytes();
    match stretch {
        Stretch::Silence { .. } => Ok(vec![SILENCE; bytes].into()),
        Stretch::Audio { epoch, n, range } => {
            let segment = store.segment(id, epoch, n).await?;
            let mut audio = segment.slice(range.start.min(segment.len())..range.end.min(segment.len()));
            if audio.len() < bytes {
                // It was put again, shorter, since it was listed: we are about to notice, and to begin anew.
                let mut padded = audio.to_vec();
                padded.resize(bytes, SILENCE);
                audio = padded.into();
            }
            Ok(audio)
        }
    }
}

fn figures(segments: &[Segment]) -> Joined {
    Joined {
        segments: u32::try_from(segments.len()).unwrap_or(u32::MAX),
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
        etag: String::new(),
    }
}
