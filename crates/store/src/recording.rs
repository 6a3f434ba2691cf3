//! Recordings: segments while a call lasts, one file and its waveform afterwards.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use call::CallId;

use crate::clock::Moment;
use crate::erase::Life;
use crate::error::{StoreError, failure};
use crate::keys;
use crate::store::Store;
use crate::work::WorkKind;

/// The most segments of a call: ten epochs of four hours, a segment each ten seconds.
const SEGMENTS_MAX: usize = 20_000;

/// Segments that come after a call's end within this time are joined together: after an hour without a store hundreds
/// of them come at once.
const LATE_TOGETHER: Duration = Duration::from_secs(5);

/// A piece of a recording, in S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The epoch it was recorded in.
    pub epoch: u32,
    /// Its number within the epoch.
    pub n: u32,
    /// Its size.
    pub bytes: u64,
}

/// The part of a file that is asked for, as in the header `Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-`
    From(u64),
    /// `bytes=first-last`, both included.
    Between(u64, u64),
    /// `bytes=-count`
    Last(u64),
}

/// The joined recording, as it is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingFile {
    /// Its size.
    pub bytes: u64,
    /// Its entity tag, with its quotes. Another file has another one.
    pub etag: String,
}

/// Bytes of a recording on their way from S3. They are fetched as they are asked for.
#[derive(Debug)]
pub struct RecordingBody(ByteStream);

impl RecordingBody {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        let next = self.0.next().await?;
        Some(next.map_err(|error| StoreError::Unavailable(error.to_string())))
    }
}

impl ByteRange {
    /// Reads the header `Range`. Anything but one range of bytes is none, and is answered with the whole file, as RFC
    /// 9110 allows.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match (first, last) {
            ("", last) => number(last).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// First and last byte of the range within a file of this size; none if it lies outside.
    #[must_use]
    pub const fn within(self, total: u64) -> Option<(u64, u64)> {
        let (first, last) = match self {
            Self::From(first) => (first, u64::MAX),
            Self::Between(first, last) => (first, last),
            Self::Last(0) => return None,
            Self::Last(count) => (total.saturating_sub(count), u64::MAX),
        };
        if first >= total {
            return None;
        }
        Some((first, if last < total { last } else { total - 1 }))
    }
}

impl Store {
    /// Puts a segment. Putting it again is harmless. One that comes after the call's end has the recording joined again;
    /// one of a call that was erased or has expired is taken, and is not kept.
    pub async fn put_segment(&self, id: CallId, epoch: u32, n: u32, segment: Bytes) -> Result<(), StoreError> {
        if self.expiry_of(id) <= self.now() {
            return Ok(());
        }
        self.put_object(keys::segment(id, epoch, n), "application/octet-stream", segment).await?;
        // Asked after writing, not before: of an erasure or an end between the two one of us sees the other.
        match self.life(id).await? {
            Life::Unknown | Life::UnderWay => Ok(()),
            Life::Over => self.add_work(id, WorkKind::JoinRecording, slot_after(self.now())).await,
            Life::Erased => self.erase_objects(id).await,
        }
    }

    /// The segments of a call, in order.
    pub async fn segments(&self, id: CallId) -> Result<Vec<Segment>, StoreError> {
        let mut segments: Vec<Segment> = self
            .objects(id)
            .await?
            .into_iter()
            .filter_map(|(key, bytes)| keys::parse_segment(id, &key).map(|(epoch, n)| Segment { epoch, n, bytes }))
            .collect();
        segments.sort();
        Ok(segments)
    }

    /// The bytes of a segment.
    pub async fn segment(&self, id: CallId, epoch: u32, n: u32) -> Result<Bytes, StoreError> {
        self.object(keys::segment(id, epoch, n)).await
    }

    /// Size and tag of the joined recording.
    pub async fn recording_file(&self, id: CallId) -> Result<RecordingFile, StoreError> {
        let request = self.s3.head_object().bucket(&self.bucket).key(keys::recording(id));
        let head = request.send().await.map_err(|error| failure(&error))?;
        let bytes = head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
        Ok(RecordingFile { bytes, etag: head.e_tag.unwrap_or_default() })
    }

    /// The bytes of a recording from the first to the last, both included; none for all.
    pub async fn recording(
        &self,
        id: CallId,
        file: &RecordingFile,
        range: Option<(u64, u64)>,
    ) -> Result<RecordingBody, StoreError> {
        let request = self.s3.get_object().bucket(&self.bucket).key(keys::recording(id));
        let request = request.set_range(range.map(|(first, last)| format!("bytes={first}-{last}")));
        let answer = request.send().await.map_err(|error| failure(&error))?;
        if answer.e_tag.unwrap_or_default() != file.etag {
            // It was joined again since it was looked at.
            return Err(StoreError::Conflict);
        }
        Ok(RecordingBody(answer.body))
    }

    /// An address at which S3 itself hands the recording out, to anyone, for so long.
    pub async fn recording_url(&self, id: CallId, valid: Duration) -> Result<String, StoreError> {
        let wrong = |why: &dyn std::fmt::Display| StoreError::Refused {
            code: "Presigning".to_owned(),
            message: why.to_string(),
        };
        let config = PresigningConfig::expires_in(valid).map_err(|error| wrong(&error))?;
        let request = self.s3.get_object().bucket(&self.bucket).key(keys::recording(id));
        let signed = request.response_content_type("audio/wav").presigned(config).await;
        signed.map(|signed| signed.uri().to_owned()).map_err(|error| failure(&error))
    }

    /// Puts the waveform of a recording (JSON).
    pub async fn put_waveform(&self, id: CallId, waveform: Bytes) -> Result<(), StoreError> {
        self.put_object(keys::waveform(id), "application/json", waveform).await
    }

    /// The waveform of a recording (JSON).
    pub async fn waveform(&self, id: CallId) -> Result<Bytes, StoreError> {
        self.object(keys::waveform(id)).await
    }

    /// All objects of a call's recording: their keys and sizes.
    pub(crate) async fn objects(&self, id: CallId) -> Result<Vec<(String, u64)>, StoreError> {
        let (mut objects, mut next) = (Vec::new(), None);
        loop {
            let request = self.s3.list_objects_v2().bucket(&self.bucket).prefix(keys::recording_prefix(id));
            let answer = request.set_continuation_token(next).send().await.map_err(|error| failure(&error))?;
            for object in answer.contents() {
                let bytes = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                objects.extend(object.key().map(|key| (key.to_owned(), bytes)));
            }
            next = answer.next_continuation_token;
            if next.is_none() || objects.len() >= SEGMENTS_MAX {
                return Ok(objects);
            }
        }
    }

    pub(crate) async fn put_object(&self, key: String, content_type: &str, bytes: Bytes) -> Result<(), StoreError> {
        let request = self.s3.put_object().bucket(&self.bucket).key(key).content_type(content_type);
        request.body(ByteStream::from(bytes)).send().await.map(drop).map_err(|error| failure(&error))
    }

    async fn object(&self, key: String) -> Result<Bytes, StoreError> {
        let answer =
            self.s3.get_object().bucket(&self.bucket).key(key).send().await.map_err(|error| failure(&error))?;
        collect(answer.body).await
    }
}

/// The end of the span of time that a moment lies in.
pub(crate) fn slot_after(now: Moment) -> Moment {
    let span_ms = u64::try_from(LATE_TOGETHER.as_millis()).unwrap_or(u64::MAX);
    Moment::from_ms(now.as_ms().div_ceil(span_ms).saturating_mul(span_ms))
}

async fn collect(body: ByteStream) -> Result<Bytes, StoreError> {
    let body = body.collect().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(body.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_header_writes_them() {
        assert_eq!(ByteRange::parse("bytes=0-"), Some(ByteRange::From(0)));
        assert_eq!(ByteRange::parse("bytes=5-9"), Some(ByteRange::Between(5, 9)));
        assert_eq!(ByteRange::parse("bytes=-3"), Some(ByteRange::Last(3)));
        for other in ["", "bytes=", "bytes=-", "bytes=9-5", "bytes=1-2,4-5", "items=1-2", "bytes=+1-2", "bytes=a-"] {
            assert_eq!(ByteRange::parse(other), None, "{other}");
        }
    }

    #[test]
    fn ranges_end_where_the_file_does() {
        assert_eq!(ByteRange::From(4).within(10), Some((4, 9)));
        assert_eq!(ByteRange::Between(4, 99).within(10), Some((4, 9)));
        assert_eq!(ByteRange::Last(99).within(10), Some((0, 9)));
        assert_eq!(ByteRange::From(10).within(10), None);
        assert_eq!(ByteRange::Last(0).within(10), None);
        assert_eq!(ByteRange::Last(1).within(0), None);
    }
}
