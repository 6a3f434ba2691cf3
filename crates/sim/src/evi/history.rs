//! What an account remembers: chats, the groups they form, and the events of each.
//!
//! Answers Hume's chat-history requests with the traps of the real ones: times in milliseconds although documented as
//! seconds, scores and metadata as JSON inside strings. (Hume: "Chat History"; "List chats" and the pages around it)

use wire::hume::rest::{
    Chat, ChatEvent, ChatGroup, ChatGroupEvents, ChatGroupWithChats, ChatGroupsPage, ChatStatus, ChatWithEvents,
    ChatsPage, ConfigRef, Direction, EventKind, EventRole, MAX_PAGE_SIZE, Page, UnixMillis,
};

/// More chats are not remembered; the oldest go. A long test run has some hundreds.
const MOST_CHATS: usize = 1_000;

/// More events of one chat are not remembered. A busy half hour has some hundreds.
const MOST_EVENTS: usize = 2_000;

/// Which page of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// From 0.
    pub number: u32,
    /// 1 to 100.
    pub size: u32,
    /// Oldest first.
    pub ascending: bool,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { number: 0, size: 10, ascending: true }
    }
}

/// All chats, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    chats: Vec<Remembered>,
}

#[derive(Debug, Clone)]
struct Remembered {
    chat: Chat,
    events: Vec<ChatEvent>,
}

/// One event as a session reports it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) at: UnixMillis,
    pub(crate) kind: EventKind,
    pub(crate) text: Option<String>,
    /// JSON of the 48 scores.
    pub(crate) scores: Option<String>,
    /// JSON.
    pub(crate) metadata: Option<String>,
    pub(crate) related: Option<String>,
}

impl Entry {
    pub(crate) fn new(id: String, at: UnixMillis, kind: EventKind) -> Self {
        Self { id, at, kind, text: None, scores: None, metadata: None, related: None }
    }
}

impl History {
    pub(crate) fn open(&mut self, chat_id: &str, group_id: &str, config: Option<ConfigRef>, at: UnixMillis) {
        if self.chats.len() >= MOST_CHATS {
            self.chats.remove(0);
        }
        let chat = Chat {
            id: chat_id.to_owned(),
            chat_group_id: group_id.to_owned(),
            status: ChatStatus::Active,
            start_timestamp: at,
            end_timestamp: None,
            event_count: Some(0),
            metadata: None,
            config,
        };
        self.chats.push(Remembered { chat, events: Vec::new() });
    }

    pub(crate) fn close(&mut self, chat_id: &str, status: ChatStatus, at: UnixMillis) {
        if let Some(Remembered { chat, .. }) = self.chats.iter_mut().find(|remembered| remembered.chat.id == chat_id)
            && chat.status == ChatStatus::Active
        {
            (chat.status, chat.end_timestamp) = (status, Some(at));
        }
    }

    pub(crate) fn add(&mut self, chat_id: &str, entry: Entry) {
        let Some(remembered) = self.chats.iter_mut().rev().find(|remembered| remembered.chat.id == chat_id) else {
            return;
        };
        if remembered.events.len() >= MOST_EVENTS {
            return;
        }
        let Entry { id, at, kind, text, scores, metadata, related } = entry;
        let role = role(kind);
        remembered.events.push(ChatEvent {
            id,
            chat_id: chat_id.to_owned(),
            timestamp: at,
            role,
            kind,
            message_text: text,
            // Empty, not absent, where nothing was measured.
            emotion_features: Some(scores.unwrap_or_default()),
            metadata,
            related_event_id: related,
        });
        remembered.chat.event_count = i64::try_from(remembered.events.len()).ok();
    }

    pub(crate) fn has_group(&self, group_id: &str) -> bool {
        self.chats.iter().any(|remembered| remembered.chat.chat_group_id == group_id)
    }

    /// `GET /v0/evi/chats`.
    pub(crate) fn chats(&self, config_id: Option<&str>, status: Option<ChatStatus>, request: PageRequest) -> ChatsPage {
        let matching = |chat: &&Chat| {
            config_id.is_none_or(|id| chat.config.as_ref().is_some_and(|config| config.id == id))
                && status.is_none_or(|status| chat.status == status)
        };
        let (page, chats_page) = paged(self.chats.iter().map(|remembered| &remembered.chat).filter(matching), request);
        ChatsPage { page, chats_page }
    }

    /// `GET /v0/evi/chats/{id}`.
    pub(crate) fn chat(&self, chat_id: &str, request: PageRequest) -> Option<ChatWithEvents> {
        let remembered = self.chats.iter().find(|remembered| remembered.chat.id == chat_id)?;
        let (page, events_page) = paged(remembered.events.iter(), request);
        Some(ChatWithEvents { chat: remembered.chat.clone(), page, events_page })
    }

    /// `GET /v0/evi/chat_groups`.
    pub(crate) fn groups(&self, config_id: Option<&str>, request: PageRequest) -> ChatGroupsPage {
        let mut ids: Vec<&str> = Vec::new();
        for remembered in &self.chats {
            if !ids.contains(&remembered.chat.chat_group_id.as_str()) {
                ids.push(&remembered.chat.chat_group_id);
            }
        }
        let groups: Vec<ChatGroup> = ids.iter().filter_map(|id| self.summary(id)).collect();
        let of_config = |group: &&ChatGroup| {
            config_id.is_none_or(|id| group.most_recent_config.as_ref().is_some_and(|config| config.id == id))
        };
        let (page, chat_groups_page) = paged(groups.iter().filter(of_config), request);
        ChatGroupsPage { page, chat_groups_page }
    }

    /// `GET /v0/evi/chat_groups/{id}`. The answer has no words about the latest chat: the page of chats has it.
    pub(crate) fn group(&self, group_id: &str, request: PageRequest) -> Option<ChatGroupWithChats> {
        let group = ChatGroup { most_recent_chat_id: None, most_recent_config: None, ..self.summary(group_id)? };
        let (page, chats_page) = paged(self.of_group(group_id).map(|remembered| &remembered.chat), request);
        Some(ChatGroupWithChats { group, page, chats_page })
    }

    /// `GET /v0/evi/chat_groups/{id}/events`.
    pub(crate) fn group_events(&self, group_id: &str, request: PageRequest) -> Option<ChatGroupEvents> {
        self.summary(group_id)?;
        let (page, events_page) = paged(self.of_group(group_id).flat_map(|remembered| &remembered.events), request);
        Some(ChatGroupEvents { id: group_id.to_owned(), page, events_page })
    }

    fn of_group<'a>(&'a self, group_id: &'a str) -> impl Iterator<Item = &'a Remembered> {
        self.chats.iter().filter(move |remembered| remembered.chat.chat_group_id == group_id)
    }

    fn summary(&self, group_id: &str) -> Option<ChatGroup> {
        let first = &self.of_group(group_id).next()?.chat;
        let last = &self.of_group(group_id).last()?.chat;
        Some(ChatGroup {
            id: group_id.to_owned(),
            first_start_timestamp: first.start_timestamp,
            most_recent_start_timestamp: last.start_timestamp,
            num_chats: u32::try_from(self.of_group(group_id).count()).unwrap_or(u32::MAX),
            active: Some(self.of_group(group_id).any(|remembered| remembered.chat.status == ChatStatus::Active)),
            most_recent_chat_id: Some(last.id.clone()),
            most_recent_config: last.config.clone(),
        })
    }
}

fn role(kind: EventKind) -> EventRole {
    match kind {
        EventKind::UserMessage | EventKind::UserInterruption | EventKind::UserRecordingStartMessage => EventRole::User,
        EventKind::AgentMessage | EventKind::AssistantProsody => EventRole::Agent,
        EventKind::FunctionCall | EventKind::FunctionCallResponse => EventRole::Tool,
        EventKind::ChatStartMessage
        | EventKind::ChatEndMessage
        | EventKind::PauseOnset
        | EventKind::ResumeOnset
        | EventKind::SessionSettings
        | EventKind::SystemPrompt
        | EventKind::Other => EventRole::System,
    }
}

fn paged<'a, T: Clone + 'a>(all: impl Iterator<Item = &'a T>, request: PageRequest) -> (Page, Vec<T>) {
    let size = request.size.clamp(1, MAX_PAGE_SIZE);
    let mut all: Vec<&T> = all.collect();
    if !request.ascending {
        all.reverse();
    }
    let start = usize::try_from(u64::from(request.number) * u64::from(size)).unwrap_or(usize::MAX);
    let page = Page {
        page_number: request.number,
        page_size: size,
        total_pages: u32::try_from(all.len().div_ceil(size as usize)).unwrap_or(u32::MAX),
        pagination_direction: if request.ascending { Direction::Asc } else { Direction::Desc },
    };
    (page, all.into_iter().skip(start).take(size as usize).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        for n in 0..5_i64 {
            let (chat, group) = (format!("c{n}"), format!("g{}", n % 2));
            history.open(&chat, &group, None, UnixMillis(1_790_000_000_000 + n));
            for e in 0..3 {
                history.add(
                    &chat,
                    Entry::new(format!("{chat}e{e}"), UnixMillis(1_790_000_000_000 + n), EventKind::UserMessage),
                );
            }
            history.close(&chat, ChatStatus::UserEnded, UnixMillis(1_790_000_001_000));
        }
        history
    }

    #[test]
    fn pages_count_from_zero_and_run_both_ways() {
        let history = history();
        let page = history.chats(None, None, PageRequest { number: 1, size: 2, ascending: true });
        assert_eq!(page.page.total_pages, 3);
        assert_eq!(page.chats_page.iter().map(|chat| chat.id.as_str()).collect::<Vec<_>>(), ["c2", "c3"]);
        let newest = history.chats(None, None, PageRequest { number: 0, size: 1, ascending: false });
        assert_eq!(newest.chats_page[0].id, "c4");
        assert!(
            history
                .chats(None, None, PageRequest { number: u32::MAX, size: 100, ascending: true })
                .chats_page
                .is_empty()
        );
        assert!(history.chats(None, Some(ChatStatus::Active), PageRequest::default()).chats_page.is_empty());
    }

    #[test]
    fn a_group_gathers_its_chats_and_their_events() {
        let history = history();
        let group = history.group("g0", PageRequest::default()).unwrap();
        assert_eq!((group.group.num_chats, group.group.active), (3, Some(false)));
        assert_eq!(group.chats_page.last().map(|chat| chat.id.as_str()), Some("c4"));
        let listed = history.groups(None, PageRequest::default()).chat_groups_page;
        assert_eq!(listed[0].most_recent_chat_id.as_deref(), Some("c4"));
        let events = history.group_events("g0", PageRequest { size: 100, ..PageRequest::default() }).unwrap();
        assert_eq!(events.events_page.len(), 9);
        assert!(history.group("g9", PageRequest::default()).is_none());
        assert_eq!(history.groups(None, PageRequest::default()).chat_groups_page.len(), 2);
    }

    #[test]
    fn json_carries_milliseconds_and_scores_as_text() {
        let chat = history().chat("c1", PageRequest::default()).unwrap();
        let json = serde_json::to_value(&chat).unwrap();
        assert_eq!(json["start_timestamp"], 1_790_000_000_001_i64);
        assert_eq!(json["events_page"][0]["emotion_features"], "");
        assert_eq!(json["events_page"][0]["role"], "USER");
    }
}
