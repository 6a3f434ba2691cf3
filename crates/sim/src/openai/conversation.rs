//! The conversation: its items in order, and what may be done to them.

use wire::openai::error::{ErrorCode, ErrorDetail};
use wire::openai::item::{ContentKind, FunctionCall, FunctionCallOutput, Item, ItemStatus, Message, Role};

/// More items are refused; an hour of talk has some hundreds.
const MOST_ITEMS: usize = 2_000;

/// All items, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conversation {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    item: Item,
    id: String,
    /// How much audio of it exists, where it was spoken by the model.
    audio_ms: Option<u64>,
}

impl Conversation {
    pub(crate) fn last_id(&self) -> Option<String> {
        self.entries.last().map(|entry| entry.id.clone())
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.entries.iter().any(|entry| entry.id == id)
    }

    /// Appends an item of the server's own making.
    pub(crate) fn append(&mut self, id: &str, item: Item) {
        if self.entries.len() < MOST_ITEMS {
            self.entries.push(Entry { item, id: id.to_owned(), audio_ms: None });
        }
    }

    /// The item as it now is, in place of an earlier state.
    pub(crate) fn update(&mut self, id: &str, item: Item, audio_ms: Option<u64>) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            (entry.item, entry.audio_ms) = (item, audio_ms);
        }
    }

    pub(crate) fn before(&self, id: &str) -> Option<String> {
        let at = self.entries.iter().position(|entry| entry.id == id)?;
        Some(self.entries[at.checked_sub(1)?].id.clone())
    }

    /// Puts in an item of the client's. Gives it, with its id, as it now stands in the conversation.
    pub(crate) fn create(
        &mut self,
        previous: Option<&str>,
        item: Item,
        fresh_id: String,
    ) -> Result<(String, Item), ErrorDetail> {
        let id = item.id().map_or(fresh_id, str::to_owned);
        if self.contains(&id) {
            return Err(about("item.id", "an item with this id exists already"));
        }
        if self.entries.len() >= MOST_ITEMS {
            return Err(about("item", "the conversation has too many items"));
        }
        if let Item::FunctionCallOutput(output) = &item {
            let known = self.entries.iter().any(|entry| matches!(&entry.item, Item::FunctionCall(call) if call.call_id.as_ref() == Some(&output.call_id)));
            if !known {
                return Err(about("item.call_id", "no function call has this call_id"));
            }
        }
        let at = match previous {
            None => self.entries.len(),
            Some("root") => 0,
            Some(previous) => {
                let at = self.entries.iter().position(|entry| entry.id == previous);
                at.ok_or_else(|| about("previous_item_id", "there is no such item"))? + 1
            }
        };
        let item = finished(item, &id);
        self.entries.insert(at, Entry { item: item.clone(), id: id.clone(), audio_ms: None });
        Ok((id, item))
    }

    /// Cuts a spoken message to what was heard, and forgets its words.
    pub(crate) fn truncate(&mut self, id: &str, content_index: u32, heard_ms: u64) -> Result<(), ErrorDetail> {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) else {
            return Err(no_item(id));
        };
        let Item::Message(message) = &mut entry.item else {
            return Err(about("item_id", "only assistant messages can be truncated"));
        };
        if message.role != Role::Assistant {
            return Err(about("item_id", "only assistant messages can be truncated"));
        }
        let Some(audio_ms) = entry.audio_ms.filter(|_| content_index == 0) else {
            return Err(about("content_index", "there is no audio content at this index"));
        };
        if heard_ms > audio_ms {
            return Err(about(
                "audio_end_ms",
                &format!("audio content of {audio_ms}ms is already shorter than {heard_ms}ms"),
            ));
        }
        entry.audio_ms = Some(heard_ms);
        for part in message.content.iter_mut().filter(|part| part.kind == ContentKind::OutputAudio) {
            part.transcript = None;
        }
        Ok(())
    }

    pub(crate) fn delete(&mut self, id: &str) -> Result<(), ErrorDetail> {
        let at = self.entries.iter().position(|entry| entry.id == id).ok_or_else(|| no_item(id))?;
        self.entries.remove(at);
        Ok(())
    }

    pub(crate) fn item(&self, id: &str) -> Result<&Item, ErrorDetail> {
        self.entries.iter().find(|entry| entry.id == id).map(|entry| &entry.item).ok_or_else(|| no_item(id))
    }
}

/// An item of the client's as the server completes it.
fn finished(item: Item, id: &str) -> Item {
    let (id, object, status) = (Some(id.to_owned()), Some("realtime.item".to_owned()), Some(ItemStatus::Completed));
    match item {
        Item::Message(message) => Item::Message(Message { id, object, status, ..message }),
        Item::FunctionCall(call) => Item::FunctionCall(FunctionCall { id, object, status, ..call }),
        Item::FunctionCallOutput(output) => {
            Item::FunctionCallOutput(FunctionCallOutput { id, object, status, ..output })
        }
        other @ (Item::ItemReference { .. } | Item::Other(_)) => other,
    }
}

pub(crate) fn about(param: &str, message: &str) -> ErrorDetail {
    ErrorDetail { param: Some(param.to_owned()), ..ErrorDetail::invalid_request(ErrorCode::InvalidValue, message) }
}

fn no_item(id: &str) -> ErrorDetail {
    let shown: String = id.chars().take(64).collect();
    ErrorDetail {
        param: Some("item_id".to_owned()),
        ..ErrorDetail::invalid_request(ErrorCode::InvalidItemId, format!("item with item_id '{shown}' not found"))
    }
}
