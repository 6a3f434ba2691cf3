//! Chat history over REST: chats, chat groups, their events and reconstructed audio.
//!
//! The traps are handled here: timestamps documented as seconds come as milliseconds, and scores come as JSON inside a
//! string. All of it ends with the account, so nothing of ours is kept only there. (Hume: "Chat History")

use serde::{Deserialize, Deserializer, Serialize};

use super::scores::Scores;
use crate::lenient;

/// The most entries one page may hold. (Hume: "List chats")
pub const MAX_PAGE_SIZE: u32 = 100;

/// A moment, in Unix milliseconds. Read from seconds or milliseconds, told apart by magnitude; written as milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl<'de> Deserialize<'de> for UnixMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // 10^11 is the year 5138 in seconds and March 1973 in milliseconds.
        const LEAST_MILLIS: u64 = 100_000_000_000;
        let number = lenient::integer(deserializer)?;
        Ok(Self(if number.unsigned_abs() < LEAST_MILLIS { number * 1000 } else { number }))
    }
}

/// Where a page stands among the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// From 0.
    pub page_number: u32,
    /// How many entries a page holds at most.
    pub page_size: u32,
    /// How many pages there are.
    pub total_pages: u32,
    /// Whether the oldest or the newest come first.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub pagination_direction: Direction,
}

/// In which order a list runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// Oldest first; the default.
    #[default]
    Asc,
    /// Newest first.
    Desc,
}

/// `GET /v0/evi/chats`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatsPage {
    /// Which page.
    #[serde(flatten)]
    pub page: Page,
    /// The chats.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub chats_page: Vec<Chat>,
}

/// `GET /v0/evi/chats/{id}`: a chat and a page of its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatWithEvents {
    /// The chat.
    #[serde(flatten)]
    pub chat: Chat,
    /// Which page.
    #[serde(flatten)]
    pub page: Page,
    /// The events.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub events_page: Vec<ChatEvent>,
}

/// `GET /v0/evi/chat_groups`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatGroupsPage {
    /// Which page.
    #[serde(flatten)]
    pub page: Page,
    /// The groups.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub chat_groups_page: Vec<ChatGroup>,
}

/// `GET /v0/evi/chat_groups/{id}`: a group and a page of its chats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatGroupWithChats {
    /// The group.
    #[serde(flatten)]
    pub group: ChatGroup,
    /// Which page.
    #[serde(flatten)]
    pub page: Page,
    /// The chats.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub chats_page: Vec<Chat>,
}

/// `GET /v0/evi/chat_groups/{id}/events`: a page of events over all chats of the group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatGroupEvents {
    /// The group's id.
    pub id: String,
    /// Which page.
    #[serde(flatten)]
    pub page: Page,
    /// The events.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub events_page: Vec<ChatEvent>,
}

/// One chat: one socket session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chat {
    /// Its id.
    pub id: String,
    /// The group it belongs to.
    pub chat_group_id: String,
    /// Whether it runs, or how it ended.
    pub status: ChatStatus,
    /// When it began.
    pub start_timestamp: UnixMillis,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_timestamp: Option<UnixMillis>,
    /// How many events it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_count: Option<i64>,
    /// JSON, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The configuration it ran with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigRef>,
}

/// A configuration in one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRef {
    /// Its id.
    pub id: String,
    /// The version, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Whether a chat runs, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChatStatus {
    /// It runs.
    Active,
    /// The client closed.
    UserEnded,
    /// The client was silent as a connection.
    UserTimeout,
    /// It reached its longest duration.
    MaxDurationTimeout,
    /// Nobody spoke for too long.
    InactivityTimeout,
    /// Something broke.
    Error,
    /// A status that came later.
    #[serde(other)]
    Other,
}

/// One event of a chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatEvent {
    /// Its id.
    pub id: String,
    /// The chat it belongs to.
    pub chat_id: String,
    /// When.
    pub timestamp: UnixMillis,
    /// Whose.
    pub role: EventRole,
    /// What kind.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_text: Option<String>,
    /// The 48 scores: a JSON object, as text; empty when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emotion_features: Option<String>,
    /// JSON, as text; about 20 kB for what a user said, so not for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// On an `ASSISTANT_PROSODY`: the message it measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related_event_id: Option<String>,
}

impl ChatEvent {
    /// The scores in [`emotion_features`](Self::emotion_features); none when they are absent, empty or unreadable.
    #[must_use]
    pub fn scores(&self) -> Option<Scores> {
        serde_json::from_str(self.emotion_features.as_deref()?).ok()
    }

    /// Whether it belongs in a transcript.
    #[must_use]
    pub fn is_speech(&self) -> bool {
        matches!(self.kind, EventKind::UserMessage | EventKind::AgentMessage)
    }
}

/// Whose an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventRole {
    /// The caller's.
    User,
    /// EVI's.
    Agent,
    /// The system's.
    System,
    /// A tool's.
    Tool,
    /// One that came later.
    #[serde(other)]
    Other,
}

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// EVI said something.
    AgentMessage,
    /// How EVI sounded.
    AssistantProsody,
    /// The chat began.
    ChatStartMessage,
    /// The chat ended.
    ChatEndMessage,
    /// A tool was called.
    FunctionCall,
    /// A tool answered.
    FunctionCallResponse,
    /// EVI was paused.
    PauseOnset,
    /// EVI was resumed.
    ResumeOnset,
    /// Settings changed.
    SessionSettings,
    /// The prompt.
    SystemPrompt,
    /// The caller interrupted.
    UserInterruption,
    /// The caller said something.
    UserMessage,
    /// Recording of the caller began.
    UserRecordingStartMessage,
    /// One that came later.
    #[serde(other)]
    Other,
}

/// A chain of chats that form one conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatGroup {
    /// Its id.
    pub id: String,
    /// When its first chat began.
    pub first_start_timestamp: UnixMillis,
    /// When its latest chat began.
    pub most_recent_start_timestamp: UnixMillis,
    /// How many chats it has.
    pub num_chats: u32,
    /// Whether one of them runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Its latest chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_recent_chat_id: Option<String>,
    /// The configuration of its latest chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_recent_config: Option<ConfigRef>,
}

/// `GET /v0/evi/chats/{id}/audio`. The first request queues the work; it is asked for again until it is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioReconstruction {
    /// The chat's id.
    pub id: String,
    /// The account's id.
    pub user_id: String,
    /// How far it is.
    pub status: ReconstructionStatus,
    /// The file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<UnixMillis>,
    /// Where the file is, for 60 minutes. Whoever has it can listen: not for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_audio_url: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_url_expiration_timestamp_millis: Option<UnixMillis>,
}

/// How far the reconstruction of a chat's audio is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReconstructionStatus {
    /// It waits.
    Queued,
    /// It runs.
    InProgress,
    /// The file is there.
    Complete,
    /// It failed.
    Error,
    /// It was called off.
    Cancelled,
    /// A status that came later.
    #[serde(other)]
    Other,
}

/// What a refused REST request says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// A code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds_are_told_apart_by_magnitude() {
        let read = |text| serde_json::from_str::<UnixMillis>(text).unwrap();
        assert_eq!(read("1700000000"), UnixMillis(1_700_000_000_000));
        assert_eq!(read("1700000000123"), UnixMillis(1_700_000_000_123));
        assert_eq!(read("99999999999"), UnixMillis(99_999_999_999_000));
        assert_eq!(read("100000000000"), UnixMillis(100_000_000_000));
        assert_eq!(read("-9223372036854775808"), UnixMillis(i64::MIN));
        assert_eq!(serde_json::to_string(&UnixMillis(1)).unwrap(), "1");
    }

    #[test]
    fn a_chat_with_events_reads_writes_and_yields_scores() {
        let text = r#"{"id":"c","chat_group_id":"g","status":"USER_ENDED","start_timestamp":1700000000,"end_timestamp":null,
            "config":{"id":"cfg","version":2},"page_number":0,"page_size":10,"total_pages":1,"pagination_direction":"ASC","later":1,
            "events_page":[
              {"id":"e1","chat_id":"c","timestamp":1700000001000,"role":"USER","type":"USER_MESSAGE","message_text":"Hi",
               "emotion_features":"{\"Joy\":0.5,\"Anger\":0.25}","metadata":null},
              {"id":"e2","chat_id":"c","timestamp":1700000002000,"role":"AGENT","type":"AGENT_MESSAGE","message_text":"Hello","emotion_features":""},
              {"id":"e3","chat_id":"c","timestamp":1700000003000,"role":"LATER","type":"LATER"}]}"#;
        let chat: ChatWithEvents = serde_json::from_str(text).unwrap();
        assert_eq!(chat.chat.start_timestamp, UnixMillis(1_700_000_000_000));
        assert_eq!(chat.page.page_size, 10);
        let [said, answered, later] = chat.events_page.as_slice() else { panic!("three events") };
        assert_eq!(said.scores().unwrap().top(1), [("Joy", 0.5)]);
        assert_eq!(answered.scores(), None);
        assert!(said.is_speech() && answered.is_speech() && !later.is_speech());
        let again: ChatWithEvents = serde_json::from_str(&serde_json::to_string(&chat).unwrap()).unwrap();
        assert_eq!(again, chat);
    }

    #[test]
    fn pages_of_chats_and_groups_read_and_write() {
        let page = Page { page_number: 1, page_size: 10, total_pages: 2, pagination_direction: Direction::Desc };
        let group = ChatGroup {
            id: "g".into(),
            first_start_timestamp: UnixMillis(1_700_000_000_000),
            most_recent_start_timestamp: UnixMillis(1_700_000_100_000),
            num_chats: 2,
            active: Some(false),
            most_recent_chat_id: None,
            most_recent_config: None,
        };
        let text = serde_json::to_string(&ChatGroupsPage { page, chat_groups_page: vec![group.clone()] }).unwrap();
        insta::assert_snapshot!(text, @r#"{"page_number":1,"page_size":10,"total_pages":2,"pagination_direction":"DESC","chat_groups_page":[{"id":"g","first_start_timestamp":1700000000000,"most_recent_start_timestamp":1700000100000,"num_chats":2,"active":false}]}"#);
        let whole = ChatGroupWithChats { group, page, chats_page: Vec::new() };
        let again: ChatGroupWithChats = serde_json::from_str(&serde_json::to_string(&whole).unwrap()).unwrap();
        assert_eq!(again, whole);
        let audio: AudioReconstruction = serde_json::from_str(
            r#"{"id":"c","user_id":"u","status":"IN_PROGRESS","modified_at":1700000000123,"filename":null}"#,
        )
        .unwrap();
        assert_eq!(audio.status, ReconstructionStatus::InProgress);
    }
}
