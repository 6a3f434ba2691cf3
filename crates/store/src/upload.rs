//! Writing a joined recording without holding all of it in memory.
//!
//! A recording of four hours is 230 MB; a worker has less. What is larger than one part goes up as S3's multipart upload,
//! of which nothing is to be seen before it is complete.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use call::CallId;

use crate::error::{StoreError, failure};
use crate::keys;
use crate::store::Store;

/// The size of a part. S3 takes no smaller one than 5 MB but the last.
const PART_BYTES: usize = 8 * 1_024 * 1_024;

const CONTENT_TYPE: &str = "audio/wav";

/// A joined recording that is being written. Nothing is to be seen of it until it is finished; one that is
/// not to be finished is [abandoned](Self::abandon), and of a process that dies the bucket's rule for uploads that were
/// never completed takes care.
#[derive(Debug)]
pub struct RecordingUpload {
    store: Store,
    key: String,
    waiting: BytesMut,
    upload: Option<String>,
    parts: Vec<CompletedPart>,
}

impl Store {
    /// Begins to write the joined recording of a call (WAV).
    #[must_use]
    pub fn upload_recording(&self, id: CallId) -> RecordingUpload {
        RecordingUpload {
            store: self.clone(),
            key: keys::recording(id),
            waiting: BytesMut::new(),
            upload: None,
            parts: Vec::new(),
        }
    }
}

impl RecordingUpload {
    /// Adds bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() >= PART_BYTES {
            let part = self.waiting.split_to(PART_BYTES).freeze();
            self.send_part(part).await?;
        }
        Ok(())
    }

    /// Puts the recording in place of an earlier one, if there is any. Returns its entity tag.
    pub async fn finish(mut self) -> Result<String, StoreError> {
        let rest = self.waiting.split().freeze();
        if self.upload.is_none() {
            let request = self.store.s3.put_object().bucket(&self.store.bucket).key(self.key);
            let request = request.content_type(CONTENT_TYPE).body(ByteStream::from(rest));
            let put = request.send().await.map_err(|error| failure(&error))?;
            return Ok(put.e_tag.unwrap_or_default());
        }
        if !rest.is_empty() {
            self.send_part(rest).await?;
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts)).build();
        let request = self.store.s3.complete_multipart_upload().bucket(&self.store.bucket).key(&self.key);
        let request = request.set_upload_id(self.upload).multipart_upload(parts);
        let completed = request.send().await.map_err(|error| failure(&error))?;
        Ok(completed.e_tag.unwrap_or_default())
    }

    /// Deletes what went up. Of a failure to do so nobody need know: the bucket's rule does it later.
    pub async fn abandon(self) {
        let Some(upload) = self.upload else { return };
        let request = self.store.s3.abort_multipart_upload().bucket(&self.store.bucket).key(&self.key);
        if let Err(error) = request.upload_id(upload).send().await {
            tracing::debug!(error = %failure(&error), "an upload is left to the bucket's rule");
        }
    }

    async fn send_part(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => self.begin().await?,
        };
        let number =
            i32::try_from(self.parts.len() + 1).map_err(|_| StoreError::TooLarge("the recording".to_owned()))?;
        let request = self.store.s3.upload_part().bucket(&self.store.bucket).key(&self.key);
        let request = request.upload_id(upload).part_number(number).body(ByteStream::from(bytes));
        let sent = request.send().await.map_err(|error| failure(&error))?;
        let part =
            CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).set_checksum_crc32(sent.checksum_crc32);
        self.parts.push(part.build());
        Ok(())
    }

    async fn begin(&mut self) -> Result<String, StoreError> {
        let request = self.store.s3.create_multipart_upload().bucket(&self.store.bucket).key(&self.key);
        let begun = request.content_type(CONTENT_TYPE).send().await.map_err(|error| failure(&error))?;
        let upload = begun.upload_id.ok_or_else(|| StoreError::corrupt(&self.key, "an upload without an id"))?;
        self.upload = Some(upload.clone());
        Ok(upload)
    }
}
