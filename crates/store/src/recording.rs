//! Recordings: segments while a call lasts, one file and its waveform afterwards.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use call::CallId;

use crate::error::{StoreError, failure};
use crate::keys;
use crate::store::Store;

/// The most segments of a call: ten epochs of four hours, a segment each ten seconds.
const SEGMENTS_MAX: usize = 20_000;

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

/// What was found of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole(Bytes),
    /// A part.
    Partial {
        /// The bytes.
        bytes: Bytes,
        /// The place of the first.
        first: u64,
        /// The size of the whole.
        total: u64,
    },
    /// The file is shorter than that.
    Unsatisfiable {
        /// The size of the whole.
        total: u64,
    },
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
    /// Puts a segment. Putting it again is harmless.
    pub async fn put_segment(&self, id: CallId, epoch: u32, n: u32, segment: Bytes) -> Result<(), StoreError> {
        self.put_object(keys::segment(id, epoch, n), "application/octet-stream", segment).await
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

    /// The joined recording, or a part of it.
    pub async fn recording(&self, id: CallId, range: Option<ByteRange>) -> Result<Part, StoreError> {
        let key = keys::recording(id);
        let Some(range) = range else { return self.object(key).await.map(Part::Whole) };
        let head =
            self.s3.head_object().bucket(&self.bucket).key(&key).send().await.map_err(|error| failure(&error))?;
        let total = head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
        let Some((first, last)) = range.within(total) else { return Ok(Part::Unsatisfiable { total }) };
        let request = self.s3.get_object().bucket(&self.bucket).key(&key).range(format!("bytes={first}-{last}"));
        let answer = request.send().await.map_err(|error| failure(&error))?;
        Ok(Part::Partial { bytes: collect(answer.body).await?, first, total })
    }

    /// The size of the joined recording, in bytes.
    pub async fn recording_bytes(&self, id: CallId) -> Result<u64, StoreError> {
        let request = self.s3.head_object().bucket(&self.bucket).key(keys::recording(id));
        let head = request.send().await.map_err(|error| failure(&error))?;
        Ok(head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0))
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
