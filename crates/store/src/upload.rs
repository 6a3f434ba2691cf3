//! Writing a joined recording without holding all of it in memory.

use bytes::Bytes;
use call::CallId;

use crate::error::StoreError;
use crate::store::Store;

/// A joined recording that is being written. Nothing is to be seen of it until it is finished.
#[derive(Debug)]
pub struct RecordingUpload;

impl Store {
    /// Begins to write the joined recording of a call (WAV).
    pub fn upload_recording(&self, id: CallId) -> RecordingUpload {
        todo!()
    }
}

impl RecordingUpload {
    /// Adds bytes.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        todo!()
    }

    /// Puts the recording in place of an earlier one, if there is any.
    pub async fn finish(self) -> Result<(), StoreError> {
        todo!()
    }
}
