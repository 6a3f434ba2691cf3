//! Recordings: segments while a call lasts, one file and its waveform afterwards.

use bytes::Bytes;
use call::CallId;

use crate::error::StoreError;
use crate::store::Store;

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
        todo!()
    }
}

impl Store {
    /// Puts a segment. Putting it again is harmless.
    pub async fn put_segment(&self, id: CallId, epoch: u32, n: u32, segment: Bytes) -> Result<(), StoreError> {
        todo!()
    }

    /// The segments of a call, in order.
    pub async fn segments(&self, id: CallId) -> Result<Vec<Segment>, StoreError> {
        todo!()
    }

    /// The bytes of a segment.
    pub async fn segment(&self, id: CallId, epoch: u32, n: u32) -> Result<Bytes, StoreError> {
        todo!()
    }

    /// The joined recording, or a part of it.
    pub async fn recording(&self, id: CallId, range: Option<ByteRange>) -> Result<Part, StoreError> {
        todo!()
    }

    /// Puts the waveform of a recording (JSON).
    pub async fn put_waveform(&self, id: CallId, waveform: Bytes) -> Result<(), StoreError> {
        todo!()
    }

    /// The waveform of a recording (JSON).
    pub async fn waveform(&self, id: CallId) -> Result<Bytes, StoreError> {
        todo!()
    }
}
