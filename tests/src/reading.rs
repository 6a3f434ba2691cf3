//! What became of a call: read through the public API, and from what the simulated engines noted.

use std::time::{Duration, Instant};

use call::journal::{Entry, Kind, Turn};
use serde_json::Value;
use sim::{evi, openai};
use wire::twilio::sid::CallSid;

use crate::house::House;

impl House {
    /// The record with this Twilio id, as the API shows it.
    ///
    /// # Errors
    /// It is not listed in time.
    pub async fn record_of(&self, sid: CallSid) -> anyhow::Result<Value> {
        self.api.call_by_sid(sid.as_str(), Duration::from_secs(10)).await
    }

    /// The record of a call, as the API shows it.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn record(&self, id: &str) -> anyhow::Result<Value> {
        self.api.call(id).await
    }

    /// Waits until the record satisfies.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn record_when(
        &self,
        id: &str,
        within: Duration,
        look: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let record = self.api.call(id).await?;
            if look(&record) {
                return Ok(record);
            }
            anyhow::ensure!(Instant::now() < deadline, "the record does not become what it should: {record:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the record is final, and reads it.
    ///
    /// # Errors
    /// It does not become so in time.
    pub async fn final_record(&self, id: &str, within: Duration) -> anyhow::Result<Value> {
        let is_final =
            |record: &Value| !matches!(record["status"].as_str(), None | Some("queued" | "ringing" | "in_progress"));
        self.record_when(id, within, is_final).await
    }

    /// The journal as it is now.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn journal_now(&self, id: &str) -> anyhow::Result<Vec<Entry>> {
        self.api.journal(id).await
    }

    /// The journal, once the stream of this epoch is over.
    ///
    /// # Errors
    /// That is not written in time.
    pub async fn journal(&self, id: &str, epoch: u32) -> anyhow::Result<Vec<Entry>> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let journal = self.api.journal(id).await?;
            let over =
                journal.iter().any(|entry| entry.epoch == epoch && matches!(entry.kind, Kind::StreamEnded { .. }));
            if over {
                return Ok(journal);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "the end of epoch {epoch} is not written:\n{}",
                crate::judge::outline(&journal)
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits for an entry of the journal.
    ///
    /// # Errors
    /// It is not written in time.
    pub async fn entry_when<T>(
        &self,
        id: &str,
        within: Duration,
        mut look: impl FnMut(&Entry) -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + within;
        loop {
            let journal = self.api.journal(id).await?;
            if let Some(found) = journal.iter().find_map(&mut look) {
                return Ok(found);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "the entry is not written:\n{}",
                crate::judge::outline(&journal)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What EVI noted of the chats that a journal names, in their order.
    #[must_use]
    pub fn chats_of(&self, journal: &[Entry]) -> Vec<evi::Record> {
        let records = self.evi().records();
        let of =
            |id: &String| records.iter().find(|(_, record)| record.chat_id == *id).map(|(_, record)| record.clone());
        vendor_ids(journal).iter().filter_map(of).collect()
    }

    /// What `OpenAI` noted of the sessions that a journal names, in their order.
    #[must_use]
    pub fn sessions_of(&self, journal: &[Entry]) -> Vec<openai::Record> {
        let records = self.openai().records();
        let of =
            |id: &String| records.iter().find(|(_, record)| record.session_id == *id).map(|(_, record)| record.clone());
        vendor_ids(journal).iter().filter_map(of).collect()
    }

    /// The conversation.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn transcript(&self, id: &str) -> anyhow::Result<Vec<Turn>> {
        self.api.transcript(id).await
    }
}

/// The vendors' ids of the chats and sessions that were ready, in order.
fn vendor_ids(journal: &[Entry]) -> Vec<String> {
    let id = |entry: &Entry| if let Kind::EngineReady { chat, .. } = &entry.kind { chat.clone() } else { None };
    journal.iter().filter_map(id).collect()
}
